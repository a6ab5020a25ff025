"""Packaging. The flat layout and the drop-in under C{twisted/plugins} are why this is not all in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

setup(
    name="twisted_bazaar",
    version="0.1.0",
    description="A peer-to-peer exchange on Twisted: find goods and files without a central market, and obtain them",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    # Without this an editable install hides the drop-in from twistd.
    package_dir={"": "."},
    packages=[*find_packages(include=["twisted_bazaar", "twisted_bazaar.*"]), "twisted.plugins"],
    package_data={
        "twisted_bazaar": ["py.typed"],
        "twisted_bazaar.trade.schema": ["*/*.sql"],
        "twisted_bazaar.discovery.index.schema": ["*.sql"],
    },
    install_requires=[
        "twisted >= 26.4",
        "attrs >= 24.2",
        "msgspec >= 0.21",
        "automat >= 25.4.16",
        "PyNaCl >= 1.5",
        "click >= 8.1.8",
        "rich >= 13.0",
        "platformdirs >= 4.2",
        "sortedcontainers >= 2.4",
        "watchdog >= 6.0",
    ],
    extras_require={
        "postgres": ["psycopg[binary] >= 3.2"],
        "dev": [
            "build >= 1.2.1",
            "coverage >= 7.6",
            "hypothesis >= 6.100",
            "kademlia >= 2.2.3",
            "mypy >= 1.16",
            "mypy-zope >= 1.0.12",
            "packaging >= 24.0",
            "psutil >= 6.0",
            "psycopg[binary] >= 3.2",
            "pytest >= 8.0",
            "pytest-cov >= 6.0",
            "pytest-timeout >= 2.3.1",
            "pytest-twisted >= 1.14.3",
            "pytest-xdist >= 3.6",
            "ruff >= 0.9",
            "setuptools >= 70.1",
            "sortedcontainers-stubs >= 2.4",
            "wheel >= 0.40",
        ],
    },
    entry_points={"console_scripts": ["bazaar = twisted_bazaar.cli.main:main"]},
    classifiers=[
        "Framework :: Twisted",
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Communications :: File Sharing",
        "Typing :: Typed",
    ],
)
