"""What the daemons' command lines take and refuse."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.roles.discovery.index import IndexMethod
from twisted_bazaar.roles.discovery.method import DiscoveryMethod
from twisted_bazaar.roles.discovery.superpeer import SuperPeerMethod
from twisted_bazaar.service.service import NodeService
from twisted_bazaar.taps import node, tracker


def parsed(*words: str) -> node.NodeOptions:
    """The options of a node for some words."""
    options = node.Options()
    options.parseOptions(words)
    return options


class NodeOptionsTests(SynchronousTestCase):
    """C{twistd bazaar-node}."""

    def refusal(self, *words: str) -> str:
        """The line that a command line ends with."""
        with self.assertRaises(SystemExit) as caught:
            # Nothing of this is to touch what the user's own nodes keep.
            node.makeService(parsed("--ephemeral", *words), MemoryReactorClock())
        line = str(caught.exception)
        self.assertNotIn("\n", line)
        return line

    def test_defaults_stay_on_this_machine(self) -> None:
        """Without options it listens on loopback and looks for the tracker there."""
        options = parsed()
        self.assertEqual(
            (options["listen"], options["tracker"], [plugin.name for plugin in options.plugins]),
            ("tcp:0:interface=127.0.0.1", "tcp:127.0.0.1:9000", ["relay"]),
        )

    def test_roles_bring_their_options(self) -> None:
        """The options of a role are known when it is named, before or after it."""
        options = parsed("--want", "apple", "--role", "buyer", "--role=seller", "--stock", "pear=2")
        self.assertEqual(
            (options["want"], options["stock"], [plugin.name for plugin in options.plugins]),
            (["apple"], ["pear=2"], ["buyer", "seller"]),
        )
        self.assertIn("--want", self.refusal("--want", "apple"))

    def test_service(self) -> None:
        """Good options make a service."""
        service = node.makeService(parsed("--ephemeral", "--role", "seller", "--stock", "apple"), MemoryReactorClock())
        self.assertIsInstance(service, NodeService)

    def test_refusals(self) -> None:
        """Each mistake gives one line that says what to do."""
        for words, line in (
            (
                ["--role", "bier"],
                "there is no role 'bier'; the roles are buyer, index_server, relay, ring_peer, seller, sharer, "
                "super_peer, tracker",
            ),
            (["--role", "relay", "--role", "relay"], "--role relay stands twice; run two nodes"),
            (["--role"], "option --role requires argument"),
            (["--rol", "buyer"], "write --role ROLE in full"),
            (["--role", "buyer"], "a buyer needs something to look for: add --want apple"),
            (["--listen", "tcp:x"], "--listen 'tcp:x': 'x' is not a port; write one such as tcp:9001, or none"),
            (
                ["--listen", "tcp:99999"],
                "--listen 'tcp:99999': '99999' is not a port; write one such as tcp:9001, or none",
            ),
            (
                ["--tracker", "tcp:127.0.0.1:99999"],
                "--tracker 'tcp:127.0.0.1:99999': '99999' is not a port; write one such as tcp:127.0.0.1:9000",
            ),
            (["--listen", "x"], "--listen 'x': not an endpoint; write one such as tcp:9001, or none"),
            (["--tracker", "tcp"], "--tracker 'tcp': not an endpoint; write one such as tcp:127.0.0.1:9000"),
            (
                ["--tracker", "none"],
                "--tracker none: a node gets its id from a tracker; start one with bazaar-tracker",
            ),
            (
                ["--advertise", "10.0.0.1:9", "--listen", "none"],
                "--advertise goes with --listen; a node that does not listen cannot be reached",
            ),
            (["--connect", "none"], "--connect: write the endpoint of a node, such as tcp:127.0.0.1:9001"),
            (["--listen", ""], "--listen '': not an endpoint; write one such as tcp:9001, or none"),
            (["--limit", "max-links=z"], "--limit max-links must be a number of 1 or more, not 'z'"),
            (["--bazaar", ""], "--bazaar '': 0 characters; 1 to 64 are taken"),
            (["--max-links", "0"], "--max-links must be a number of 1 or more, not '0'"),
            (["--min-links", "-1"], "--min-links must be a number of 0 or more, not '-1'"),
            (["--limit", "frame-s=soon"], "--limit frame-s must be a number of 1 or more, not 'soon'"),
            (["--advertise", "me:1"], "--advertise 'me:1': write an IP address and a port, such as 192.0.2.7:9001"),
            (["--advertise", "10.0.0.1:x"], "--advertise '10.0.0.1:x': 'x' is not a port"),
            (["--events", "/nowhere/at/all"], "--events '/nowhere/at/all': No such file or directory"),
        ):
            self.assertEqual(self.refusal(*words), f"bazaar-node: {line}")

    def test_unknown_limit(self) -> None:
        """A limit that there is not names those there are."""
        self.assertIn("the limits are max-links, min-links", self.refusal("--limit", "speed=1"))


class UsualPortTests(SynchronousTestCase):
    """Where a node listens if nothing is said."""

    def listen(self, *words: str) -> object:
        """The endpoint that counts."""
        options = node.Options()
        options.parseOptions(words)
        return options["listen"]

    def test_role(self) -> None:
        """Who is asked listens where those ask who are told nothing; all others at a free port."""
        for words, port in (((), 0), (("index_server",), 9100), (("super_peer",), 9200), (("tracker", "seller"), 9000)):
            roles = [f"--role={role}" for role in words]
            self.assertEqual(self.listen(*roles), f"tcp:{port}:interface=127.0.0.1")
        self.assertEqual(options_of(IndexMethod)["index"], "tcp:127.0.0.1:9100")
        self.assertEqual(options_of(SuperPeerMethod)["super"], "tcp:127.0.0.1:9200")

    def test_said(self) -> None:
        """What is said counts."""
        self.assertEqual(self.listen("--role", "index_server", "--listen", "tcp:7"), "tcp:7")


def options_of(method: type[DiscoveryMethod]) -> dict[str, str | None]:
    """What help shows for each option of a way to find where nothing is said."""
    return {option.name: option.shown or option.default for option in method.options}


class PidFileTests(SynchronousTestCase):
    """Daemons in the foreground can share a directory."""

    def pid_file(self, **parent: Any) -> object:
        """Which pid file twistd would use."""
        options = tracker.Options()
        options.parent = {"nodaemon": 1, "pidfile": "twistd.pid", **parent}
        options.parseOptions([])
        return options.parent["pidfile"]

    def test_foreground(self) -> None:
        """With -n there is none, unless the user names one."""
        self.assertEqual(self.pid_file(), "")
        self.assertEqual(self.pid_file(pidfile="my.pid"), "my.pid")

    def test_background(self) -> None:
        """In the background twistd does as it always does."""
        self.assertEqual(self.pid_file(nodaemon=0), "twistd.pid")


class TrackerOptionsTests(SynchronousTestCase):
    """C{twistd bazaar-tracker}."""

    def test_default(self) -> None:
        """It listens on loopback, port 9000."""
        options = tracker.Options()
        options.parseOptions(["--ephemeral"])
        self.assertEqual(options["listen"], "tcp:9000:interface=127.0.0.1")
        self.assertIsInstance(tracker.makeService(options, MemoryReactorClock()), NodeService)

    def test_usage_error(self) -> None:
        """A word that is no option ends it with one line."""
        options = tracker.Options()
        with self.assertRaises(SystemExit) as caught:
            options.parseOptions(["--frob"])
        self.assertEqual(str(caught.exception), "bazaar-tracker: option --frob not recognized")
        self.assertTrue(issubclass(tracker.Options, usage.Options))


class SuggestionTests(SynchronousTestCase):
    """An option that there is not."""

    def refusal(self, options: usage.Options, *words: str) -> str:
        """The line that a command line ends with."""
        with self.assertRaises(SystemExit) as caught:
            options.parseOptions(words)
        return str(caught.exception)

    def test_close(self) -> None:
        """What it may have been meant for is told, by nodes with roles and by trackers; nothing if nothing is close."""
        for options, words, line in (
            (node.Options(), ["--lisen", "tcp:1"], "option --lisen not recognized; did you mean --listen?"),
            (
                node.Options(),
                ["--role", "seller", "--stok", "a"],
                "option --stok not recognized; did you mean --stock?",
            ),
            (node.Options(), ["--frob"], "option --frob not recognized"),
            (node.Options(), ["-q"], "option -q not recognized"),
            (node.Options(), ["--tracker"], "option --tracker requires argument"),
            (tracker.Options(), ["--advertize", "x"], "option --advertize not recognized; did you mean --advertise?"),
            (tracker.Options(), ["--verbose=1"], "option --verbose must not have an argument"),
        ):
            self.assertEqual(self.refusal(options, *words), f"{options.program}: {line}")

    def test_of_a_role(self) -> None:
        """An option of a role that the node has not names the role."""
        line = "bazaar-node: option --stock not recognized; it goes with --role seller"
        self.assertEqual(self.refusal(node.Options(), "--role", "buyer", "--stock", "apple"), line)

    def test_no_option(self) -> None:
        """A word that is no option is named."""
        line = "bazaar-node: 'listen': only options are taken, which begin with --; did you mean --listen?"
        self.assertEqual(self.refusal(node.Options(), "listen", "tcp:1"), line)
        self.assertEqual(
            self.refusal(tracker.Options(), "9000"),
            "bazaar-tracker: '9000': only options are taken, which begin with --",
        )
