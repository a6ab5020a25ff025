"""Drop-ins of others that cannot be loaded: each is named with its file and its error, and is in nobody's way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.integration.daemons import TWISTD
from tests.integration.test_third_party_method import bazaar, run

RAISES: Final = "import nothing_of_this_name\n"
UNREADABLE: Final = "def (\n"
NAMELESS: Final = """
from zope.interface import implementer

from twisted_bazaar.plugin import IDiscoveryPlugin


@implementer(IDiscoveryPlugin)
class Nameless:
    description = "Has no name."


nameless = Nameless()
"""
NAMES_NOTHING: Final = """
from twisted_bazaar.plugin import DiscoveryPlugin, RolePlugin

bakery = RolePlugin("bakery", "twisted_bazaar.errors", "Bakes.")
hearsay = DiscoveryPlugin("hearsay", "twisted_bazaar.errors", "Hearsay", "Listens.")
"""
TRACEBACK: Final = "Traceback"


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A directory with drop-ins, each broken in a way of its own."""
    directory = tmp_path / "others/twisted/plugins"
    directory.mkdir(parents=True)
    drop_ins = {"raises": RAISES, "unreadable": UNREADABLE, "nameless": NAMELESS, "names_nothing": NAMES_NOTHING}
    for name, text in drop_ins.items():
        (directory / f"broken_{name}.py").write_text(text)
    return directory


@pytest.fixture
def environment(plugins: Path, tmp_path: Path) -> dict[str, str]:
    """An environment in which Python finds them, and nodes find no state of the user's."""
    places = os.pathsep.join(filter(None, [str(plugins.parents[1]), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": places, "XDG_STATE_HOME": str(tmp_path / "state"), "COLUMNS": "80"}


def faults_in(plugins: Path) -> list[str]:
    """The lines about what cannot be loaded at all, in the order of their files."""
    return [
        f"{plugins}/broken_nameless.py cannot be loaded: AttributeError: 'Nameless' object has no attribute 'name'",
        f"{plugins}/broken_raises.py cannot be loaded: ModuleNotFoundError: No module named 'nothing_of_this_name'",
        f"{plugins}/broken_unreadable.py cannot be loaded: SyntaxError: invalid syntax (broken_unreadable.py, line 1)",
    ]


@pytest.mark.parametrize(
    ("option", "known", "fault"),
    [
        (
            "--help-roles",
            "relay         Passes on what others send, and no more.",
            "the role 'bakery' cannot be loaded: AttributeError: module 'twisted_bazaar.errors' has no attribute "
            "'OPTIONS'",
        ),
        (
            "--help-methods",
            "flood      Asks everybody within reach, over neighbours.",
            "--via 'hearsay' cannot be loaded: AttributeError: module 'twisted_bazaar.errors' has no attribute "
            "'Hearsay'",
        ),
    ],
)
def test_listed(
    option: str, known: str, fault: str, plugins: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Lists of what is installed end with a line for each that cannot be loaded."""
    done = run([*TWISTD, "bazaar-node", option], tmp_path, environment)
    lines = done.stdout.splitlines()
    assert (done.returncode, known in lines, TRACEBACK in done.stdout) == (0, True, False)
    assert sorted(lines[-4:-1]) == faults_in(plugins)
    assert lines[-1].startswith(fault)


def test_refused(plugins: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Who asks for what there is not learns in one line what cannot be loaded."""
    done = bazaar(tmp_path, environment, "search", "song", "--via", "smoke")
    [line] = done.stderr.splitlines()
    first, *faults = line.split("; ")
    assert first == "bazaar search: --via 'smoke': write one of flood, hearsay, index, ring, superpeer"
    assert (done.returncode, done.stdout, sorted(faults)) == (2, "", faults_in(plugins))
    daemon = run([*TWISTD, "bazaar-node", "--ephemeral", "--role", "brewer"], tmp_path, environment)
    # What Twisted itself says of them stands before.
    first, roles, *faults = daemon.stderr.splitlines()[-1].split("; ")
    assert first == "bazaar-node: there is no role 'brewer'"
    assert roles.startswith("the roles are bakery, buyer, ")
    assert (daemon.returncode, sorted(faults)) == (2, faults_in(plugins))


@pytest.mark.parametrize(
    ("role", "code", "fault"),
    [
        (
            "grocer",
            'class Order(Message, tag="buy"):\n    """Taken by this package."""\n',
            "the role 'grocer' cannot be loaded: mistaken.Order and twisted_bazaar.trade.messages.Buy both claim the "
            "wire name 'buy'; give one of them another tag",
        ),
        (
            "listener",
            'class Order(Message, tag="renew"):\n    """Taken by a role of this package."""\n',
            "the role 'listener' cannot be loaded: mistaken.Order and twisted_bazaar.discovery.index.messages.Renew "
            "both claim the wire name 'renew'; give one of them another tag",
        ),
        ("idler", "", "the role 'idler' cannot be made: make_role of mistaken returned None, no role"),
    ],
)
def test_mistaken(role: str, code: str, fault: str, tmp_path: Path) -> None:
    """A role whose message has a name that is taken, or that makes nothing, is told in one line."""
    plugins = tmp_path / "mine/twisted/plugins"
    plugins.mkdir(parents=True)
    door = f'from twisted_bazaar.plugin import RolePlugin\n\nmine = RolePlugin("{role}", "mistaken", "Errs.")\n'
    (plugins / "mistaken_dropin.py").write_text(door)
    start = "from twisted_bazaar.wire.message import Message\n\nOPTIONS = ()\n\n"
    made = "\n\ndef make_role(options, context):\n    return None\n"
    (tmp_path / "mine/mistaken.py").write_text(start + code + made)
    places = os.pathsep.join(filter(None, [str(tmp_path / "mine"), os.environ.get("PYTHONPATH")]))
    environment = {"PYTHONPATH": places, "XDG_STATE_HOME": str(tmp_path / "state")}
    done = run([*TWISTD, "bazaar-node", "--ephemeral", "--role", role], tmp_path, environment)
    assert done.returncode != 0
    assert TRACEBACK not in done.stdout + done.stderr
    assert f"bazaar-node: {fault}" in done.stderr.splitlines()


def test_no_matter_to_others(tmp_path: Path, environment: dict[str, str]) -> None:
    """A command that uses none of them says nothing of them, and does its work."""
    shown = bazaar(tmp_path, environment, "search", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    nobody = bazaar(tmp_path, environment, "search", "song", "--index", "tcp:127.0.0.1:1")
    [line] = nobody.stderr.splitlines()
    assert (nobody.returncode, line.startswith("bazaar search: no index server at tcp:127.0.0.1:1")) == (7, True)
