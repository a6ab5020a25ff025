"""How roles are declared and found."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import twisted.plugins
from click.testing import CliRunner
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.configured import context_of, typed
from twisted_bazaar.cli.main import main
from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.plugin import IRolePlugin, RolePlugin, find_role, known_roles, load_roles
from twisted_bazaar.role import Role
from twisted_bazaar.roles import relay, tracker
from twisted_bazaar.taps import node
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.values.addresses import Address, Peer

OURS = ["buyer", "index_server", "relay", "ring_peer", "seller", "sharer", "super_peer", "tracker"]

BROKEN = """
from twisted_bazaar.plugin import DiscoveryPlugin, RolePlugin

bakery = RolePlugin("bakery", "a_module_that_is_not_there", "Bakes.")
zeppelin = RolePlugin("zeppelin", "twisted_bazaar.roles.relay", "Floats.")
hearsay = DiscoveryPlugin("hearsay", "a_module_that_is_not_there", "Hearsay", "Listens.")
"""
WHY = (
    "cannot be loaded: ModuleNotFoundError: No module named 'a_module_that_is_not_there'; "
    "'python -c \"import a_module_that_is_not_there\"' shows where"
)
BAKERY = f"the role 'bakery' {WHY}"
HEARSAY = f"--via 'hearsay' {WHY}"


class RolePluginTests(SynchronousTestCase):
    """A name for a role, and where it lives."""

    def assert_cannot_load(self, line: str, ask: Callable[[], object]) -> None:
        """See that asking is refused with this line."""
        with self.assertRaises(UsageError) as caught:
            ask()
        self.assertEqual(str(caught.exception), line)

    def test_ours(self) -> None:
        """The roles of this package are found by their names."""
        self.assertEqual([plugin.name for plugin in known_roles() if plugin.module.startswith("twisted_bazaar.")], OURS)
        for plugin in known_roles():
            self.assertTrue(verifyObject(IRolePlugin, plugin))
            self.assertIs(find_role(plugin.name), plugin)

    def test_unknown(self) -> None:
        """A role that there is not names those there are."""
        with self.assertRaises(UsageError) as caught:
            find_role("bier")
        self.assertEqual(str(caught.exception), f"there is no role 'bier'; the roles are {', '.join(OURS)}")

    def test_of_its_module(self) -> None:
        """Options and role are those of the module it names."""
        plugin = RolePlugin("tracker", "twisted_bazaar.roles.tracker", "Gives ids.")
        self.assertIs(plugin.options(), tracker.OPTIONS)
        values = typed(tracker.OPTIONS, "--verbose")
        self.assertIsInstance(plugin.make_role(values, context_of()), tracker.Tracker)

    def test_not_there(self) -> None:
        """Naming a module does not import it: only who asks for the role finds it missing."""
        plugin = RolePlugin("bakery", "a_module_that_is_not_there", "Bakes.")
        for ask in (plugin.load, plugin.options, lambda: plugin.make_role(typed(()), context_of())):
            self.assert_cannot_load(BAKERY, ask)

    def test_has_not_all(self) -> None:
        """So does who asks for what its module has not got."""
        plugin = RolePlugin("bakery", "twisted_bazaar.errors", "Bakes.")
        with self.assertRaises(UsageError) as caught:
            plugin.options()
        self.assertIn("module 'twisted_bazaar.errors' has no attribute 'OPTIONS'", str(caught.exception))


class ThirdPartyTests(SynchronousTestCase):
    """A drop-in of somebody else, with one role that is broken."""

    def setUp(self) -> None:
        """Put it where Twisted looks."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        Path(directory.name, "test_dropin.py").write_text(BROKEN, encoding="utf-8")
        twisted.plugins.__path__.append(directory.name)
        self.addCleanup(self.take_away, directory.name)

    def take_away(self, directory: str) -> None:
        """Let Twisted forget it."""
        twisted.plugins.__path__.remove(directory)
        sys.modules.pop("twisted.plugins.test_dropin", None)
        list(getPlugins(IRolePlugin))

    def test_by_name(self) -> None:
        """Its roles stand among ours, in the order of their names."""
        self.assertEqual([plugin.name for plugin in known_roles()], ["bakery", *OURS, "zeppelin"])

    def test_broken(self) -> None:
        """A role or a way to find that cannot be loaded is named in the log, and the others are loaded."""
        with capturedLogs() as logged:
            load_roles()
        said = [formatEvent(event) for event in logged if event["log_level"] is LogLevel.warn]
        self.assertEqual(said, [BAKERY, HEARSAY])

    def test_asked_for(self) -> None:
        """Who asks for one that cannot be loaded is told why, in one line."""
        options = node.Options()
        options.environment = {}
        with self.assertRaises(SystemExit) as caught:
            options.parseOptions(["--role", "bakery"])
        self.assertEqual(str(caught.exception), f"bazaar-node: {BAKERY}")
        result = CliRunner().invoke(main, ["search", "song", "--via", "hearsay"], prog_name="bazaar")
        self.assertEqual((result.exit_code, result.stdout, result.stderr), (2, "", f"bazaar search: {HEARSAY}\n"))


class RoleTests(SynchronousTestCase):
    """The base of roles."""

    def test_does_nothing(self) -> None:
        """It is a role that does nothing, and so a relay is one."""
        for role in (Role(), relay.make_role(typed(relay.OPTIONS), context_of())):
            self.assertTrue(verifyObject(IRole, role))
            fake = FakeNode()
            role.start(fake)
            for event in (role.peer_joined, role.peer_left):
                event(Peer(7, "ab" * 32, Address("10.0.0.9", 9000)))
            self.assertIsNone(self.successResultOf(role.stop()))
            self.assertEqual((role.receives, fake), ({}, FakeNode(clock=fake.clock, rng=fake.rng)))
