"""The built wheel, installed into a new environment."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(240)
def test_wheel_brings_both_plugins(tmp_path: Path) -> None:
    """A wheel built from the sources and installed elsewhere has both daemons, all roles and the command."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    venv.create(tmp_path / "new", with_pip=True)
    programs = tmp_path / "new" / "bin"
    subprocess.run(
        [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )

    def output_of(*words: str) -> str:
        return subprocess.run(
            [str(programs / words[0]), *words[1:]], check=True, capture_output=True, text=True, cwd=tmp_path
        ).stdout

    daemons = output_of("twistd", "--help")
    assert "bazaar-tracker" in daemons
    assert "bazaar-node" in daemons
    roles = output_of("twistd", "bazaar-node", "--help-roles")
    assert [line.split()[0] for line in roles.splitlines()] == ["buyer", "relay", "seller", "tracker"]
    assert "demo" in output_of("bazaar", "--help")
