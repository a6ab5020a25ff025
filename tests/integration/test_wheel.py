"""The built wheel, installed into a new environment."""

from __future__ import annotations

from pathlib import Path

from tests.integration.installation import Environment, build_wheel


def test_wheel_brings_both_plugins(tmp_path: Path) -> None:
    """A wheel built from the sources and installed elsewhere has both daemons, all roles and the command."""
    new = Environment(tmp_path / "new")
    new.install(str(build_wheel(tmp_path)))

    daemons = new.run("twistd", "--help")
    assert "bazaar-tracker" in daemons
    assert "bazaar-node" in daemons
    roles = new.run("twistd", "bazaar-node", "--help-roles")
    expected = ["buyer", "index_server", "relay", "ring_peer", "seller", "sharer", "super_peer", "tracker"]
    assert [line.split()[0] for line in roles.splitlines()] == expected
    assert "demo" in new.run("bazaar", "--help")
