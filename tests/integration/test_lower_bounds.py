"""The lowest versions that the package says it works with: it does, in an environment that has no others.

What is required is read from the wheel, as pip reads it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.integration.installation import ROOT, Environment, build_wheel

pytestmark = pytest.mark.timeout(900)

# What the tests need beside the package. In its newest version: old ones take twice as long to try as much.
TEST_PACKAGES: Final = ("hypothesis",)
MOST_JOBS: Final = 4
# The parts of the house that stand on other packages; the demo stands on the rest of them.
# One after the other: what tests leave in memory adds up.
PARTS: Final = (("wire", "identity", "node", "trade"), ("discovery",), ("roles", "taps"))


def bound_of(specifiers: SpecifierSet) -> Version | None:
    """The version of a lower bound that stands alone; None if there is none, or more than that."""
    if [each.operator for each in specifiers] != [">="]:
        return None
    [bound] = specifiers
    return Version(bound.version)


def pins_of(requirements: list[Requirement]) -> dict[str, Version]:
    """The lowest version of each, by name."""
    bounds = {canonicalize_name(each.name): bound_of(each.specifier) for each in requirements}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def build_requirements() -> list[Requirement]:
    """What the wheel is built with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [Requirement(text) for text in project["build-system"]["requires"]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built with the lowest versions that it says it can be built with."""
    pins = [f"{name}=={version}" for name, version in pins_of(build_requirements()).items()]
    return build_wheel(tmp_path_factory.mktemp("wheel"), tuple(pins))


@pytest.fixture(scope="module")
def package(wheel: Path) -> Distribution:
    """What the wheel says of itself."""
    [distribution] = distributions(path=[str(wheel)])
    return distribution


@pytest.fixture(scope="module")
def requirements(package: Distribution) -> list[Requirement]:
    """What the wheel requires, with and without extras."""
    return [Requirement(text) for text in package.requires or ()]


@pytest.fixture(scope="module")
def pins(requirements: list[Requirement]) -> dict[str, Version]:
    """The lowest version of each package that this one runs with."""
    return pins_of([each for each in requirements if each.marker is None])


@pytest.fixture(scope="module")
def lowest(wheel: Path, pins: dict[str, Version], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the package and the lowest versions."""
    environment = Environment(tmp_path_factory.mktemp("lowest"))
    environment.install(str(wheel), *(f"{name}=={version}" for name, version in pins.items()), *TEST_PACKAGES)
    return environment


def test_every_requirement_has_a_lower_bound(package: Distribution, requirements: list[Requirement]) -> None:
    """Each requirement, extras and the build's included, names a lowest version, and leaves the others open."""
    everything = [*requirements, *build_requirements(), Requirement(f"python{package.metadata['Requires-Python']}")]

    assert [str(each) for each in everything if bound_of(each.specifier) is None] == []
    assert {each.name for each in everything} >= {"twisted", "hypothesis", "setuptools", "python"}


@pytest.mark.parametrize(
    "text", ["", "== 26.4", "=== 26.4", "~= 26.4", ">= 26.4, < 27", ">= 26.4, != 26.5", "> 26", "<= 27"]
)
def test_other_bounds_are_noticed(text: str) -> None:
    """No bound, a pin, an upper bound and a gap are told from a lower bound."""
    assert bound_of(SpecifierSet(text)) is None


@pytest.mark.slow
def test_lowest_versions_are_installed(lowest: Environment, pins: dict[str, Version]) -> None:
    """The environment has the lowest version of all that is required, none of them a version never released."""
    listed = json.loads(lowest.run("python", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"))
    installed = {canonicalize_name(each["name"]): Version(each["version"]) for each in listed}

    assert {name: installed[name] for name in pins} == pins
    assert "twisted" in pins


@pytest.mark.slow
def test_demo(lowest: Environment) -> None:
    """The demo shows its sales with the lowest versions, and its books agree."""
    assert "The books agree" in lowest.run("bazaar", "demo")


@pytest.mark.slow
def test_unit_tests(lowest: Environment, tmp_path: Path) -> None:
    """The unit tests of all that the daemons are made of pass with the lowest versions."""
    shutil.copytree(ROOT / "tests", lowest.directory / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    jobs = str(min(MOST_JOBS, os.cpu_count() or 1))
    trial = ("-m", "twisted.trial", f"--temp-directory={tmp_path / 'trial'}", "-j", jobs)

    for parts in PARTS:
        report = lowest.run("python", *trial, *(f"tests.{part}" for part in parts))

        counted = re.search(r"^Ran (\d+) tests", report, re.MULTILINE)
        assert counted is not None, report
        assert int(counted[1]) > 100
