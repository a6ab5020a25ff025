"""Which packages there are, the drop-in for twistd among them; all else stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    # Without this an editable install hides the drop-in from twistd.
    package_dir={"": "."},
    # The folder twisted is not a package: one of ours would hide all of Twisted.
    packages=[*find_packages(include=["twisted_bazaar", "twisted_bazaar.*"]), "twisted.plugins"],
)
