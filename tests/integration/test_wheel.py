"""The built wheel, installed into a new environment."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from tests.integration.installation import ROOT, Environment, build_wheel, copy_sources, run


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def make_wheel(source: Path, umask: str, environment: dict[str, str] | None = None) -> Path:
    """Run C{make wheel} in a copy of the sources, with the Python that runs the tests; returns the wheel."""
    # What a make that runs the tests was told is not for this one.
    alone = {"MAKEFLAGS": "", "MFLAGS": "", **(environment or {})}
    words = f"umask {umask} && make -o .venv/.installed-dev wheel RUN={sys.executable}"
    run(("sh", "-c", words), source, alone)
    [wheel] = (source / "dist").glob("*.whl")
    return wheel


@pytest.mark.slow
def test_wheel_brings_both_plugins(wheel: Path, tmp_path: Path) -> None:
    """A wheel built from the sources and installed elsewhere has both daemons, all roles and the command."""
    new = Environment(tmp_path / "new")
    new.install(str(wheel))

    daemons = new.run("twistd", "--help")
    assert "bazaar-tracker" in daemons
    assert "bazaar-node" in daemons
    roles = new.run("twistd", "bazaar-node", "--help-roles")
    expected = ["buyer", "index_server", "relay", "ring_peer", "seller", "sharer", "super_peer", "tracker"]
    assert [line.split()[0] for line in roles.splitlines()] == expected
    assert "demo" in new.run("bazaar", "--help")


def test_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    """All that lies in the package is in the wheel: modules, schemas, the mark that it is typed; and the drop-in."""
    with zipfile.ZipFile(wheel) as archive:
        built = {name for name in archive.namelist() if ".dist-info/" not in name}

    package = {path for path in (ROOT / "twisted_bazaar").rglob("*") if path.is_file()}
    there = {path.relative_to(ROOT).as_posix() for path in package if path.parent.name != "__pycache__"}
    assert built == there | {"twisted/plugins/bazaar_dropin.py"}
    assert {Path(name).suffix for name in built} == {".py", ".sql", ".typed"}


@pytest.mark.slow
def test_same_sources_make_same_wheel(tmp_path: Path) -> None:
    """C{make wheel} gives the same bytes wherever, whenever and by whomever it is run, and where it has run before."""
    one, other = copy_sources(tmp_path / "one"), copy_sources(tmp_path / "other")
    for path in other.rglob("*"):
        path.chmod(0o775 if path.is_dir() else 0o664)

    first = make_wheel(one, "022", {"PYTHONHASHSEED": "1"}).read_bytes()
    assert make_wheel(other, "077", {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}).read_bytes() == first
    assert make_wheel(one, "002").read_bytes() == first
