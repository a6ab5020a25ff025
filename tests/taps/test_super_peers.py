"""C{--super}, C{--may-lead}, C{--udp}: what goes together, and what a node becomes by it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.identity.keys import own_id
from twisted_bazaar.interfaces import ICatalogue
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.roles.discovery.chosen import chosen_method
from twisted_bazaar.roles.discovery.method import DiscoveryContext
from twisted_bazaar.taps import node

VIA = ("--via", "superpeer")
SUPER_PEER = ("--role", "super_peer")


def make_service(*words: str, environment: Mapping[str, str] | None = None, reactor: Any = None) -> Any:
    """The service of a node that keeps nothing."""
    options = parsed("--ephemeral", *words, environment=environment)
    return node.makeService(options, reactor or MemoryReactorClock())


def parsed(*words: str, environment: Mapping[str, str] | None = None) -> node.NodeOptions:
    """The options of a node."""
    options = node.Options()
    options.environment = environment or {}
    options.parseOptions(words)
    return options


def tracker_of(service: Any) -> Any:
    """Where a node looks for its tracker; None for nowhere."""
    endpoint = service.config.tracker
    return None if endpoint is None else endpoint._port


class SettingsCase(SynchronousTestCase):
    """A settings file that a test can write."""

    def file(self, text: str) -> tuple[str, str]:
        """The words that name a file with this text."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = Path(directory.name) / "b.toml"
        path.write_text(text)
        return "--config", str(path)

    def super_peers(self, *words: str, **how: Any) -> list[int]:
        """The ports of the super peers that a weak peer is told of."""
        named: list[str] = []

        def observed(place: str, endpoint: Any) -> Any:
            named.append(place)
            return endpoint

        options = parsed("--ephemeral", *VIA, *words, **how)
        roles = [plugin.name for plugin in options.plugins]
        chosen_method(options.option_values, DiscoveryContext(MemoryReactorClock(), roles, observed=observed))
        return [int(place.rpartition(":")[2]) for place in named]


class WeakPeerTests(SettingsCase):
    """C{--via superpeer}."""

    def test_id(self) -> None:
        """It gets its id from its key, and asks no tracker, but for one that is meant for it."""
        service = make_service(*VIA)
        self.assertIsNone(tracker_of(service))
        self.assertEqual(service.node.id, own_id(service.node.key.public))
        service = make_service(*VIA, "--tracker", "tcp:127.0.0.1:9009")
        self.assertEqual((tracker_of(service), service.node.id), (9009, -1))
        self.assertIsNone(tracker_of(make_service(*VIA, "--tracker", "none")))

    def test_tracker_below(self) -> None:
        """A tracker in a file or a variable is for nodes of other ways, unless it stands in the table of a role."""
        environment = {"BAZAAR_TRACKER": "tcp:127.0.0.1:9009"}
        self.assertIsNone(tracker_of(make_service(*VIA, environment=environment)))
        for text, port in (
            ("tracker = 'tcp:127.0.0.1:9009'", None),
            ("[bazaar-node]\ntracker = 'tcp:127.0.0.1:9009'", None),
            ("[relay]\ntracker = 'tcp:127.0.0.1:9009'", 9009),
            ("[seller]\ntracker = 'tcp:127.0.0.1:9009'", None),
        ):
            with self.subTest(text=text):
                self.assertEqual(tracker_of(make_service(*VIA, *self.file(text))), port)

    def test_super_peers(self) -> None:
        """It is told where some are; the usual one is for who is told of none, and has no tracker to ask."""
        two = ("--super", "tcp:127.0.0.1:9201", "--super", "tcp:127.0.0.1:9202")
        tracker = ("--tracker", "tcp:127.0.0.1:9000")
        for words, ports in (
            ((), [9200]),
            (two, [9201, 9202]),
            (tracker, []),
            ((*tracker, *two), [9201, 9202]),
            (("--tracker", "none"), [9200]),
        ):
            with self.subTest(words=words):
                self.assertEqual(self.super_peers(*words), ports)

    def test_below(self) -> None:
        """Super peers can be written down, in a file and in a variable."""
        text = "super = ['tcp:127.0.0.1:9201', 'tcp:127.0.0.1:9202']"
        self.assertEqual(self.super_peers(*self.file(text)), [9201, 9202])
        environment = {"BAZAAR_SUPER": "tcp:127.0.0.1:9203\ntcp:127.0.0.1:9204"}
        self.assertEqual(self.super_peers(environment=environment), [9203, 9204])
        # What is for nodes of another way is passed over.
        other = make_service(environment={**environment, "BAZAAR_MAY_LEAD": "yes"})
        limits = evolve(other.node.limits, max_connections=Limits().max_connections)
        self.assertEqual((tracker_of(other), other.config.udp, limits), (9000, None, Limits()))
        leads = make_service(environment={**environment, "BAZAAR_VIA": "superpeer", "BAZAAR_MAY_LEAD": "yes"})
        self.assertIsNotNone(leads.config.udp)

    def test_limits(self) -> None:
        """It finds out soon that a super peer has died, looks for no neighbours, and can have many links."""
        limits = make_service(*VIA).config.limits
        self.assertEqual((limits.ping_s, limits.silence_s, limits.min_links, limits.max_links), (2.5, 7.5, 0, 256))
        limits = make_service(*VIA, "--max-links", "9", "--limit", "silence-s=20").config.limits
        self.assertEqual((limits.ping_s, limits.silence_s, limits.max_links), (2.5, 20.0, 9))

    def test_roles(self) -> None:
        """Buyer, seller and sharer find by it, and it carries what they need."""
        for roles in (
            ("--role", "buyer", "--want", "apple"),
            ("--role", "seller", "--stock", "apple"),
            ("--role", "sharer", "--folder", tempfile.gettempdir()),
        ):
            with self.subTest(roles=roles):
                carried = make_service(*VIA, *roles).roles
                self.assertEqual([ICatalogue.providedBy(role) for role in carried].count(True), 1)

    def test_may_lead(self) -> None:
        """Who may become a super peer has room for weak peers, and takes datagrams where it listens."""
        service = make_service(*VIA, "--may-lead")
        self.assertEqual(service.config.udp, ("127.0.0.1", 0))
        limits = service.config.limits
        self.assertEqual((limits.min_links, limits.max_links, limits.max_greeting), (0, 620, 364))
        self.assertEqual(make_service(*VIA, "--may-lead", "--listen", "tcp:9200").config.udp, ("", 9200))
        self.assertEqual(make_service(*VIA, "--may-lead", "--udp", "9300").config.udp, ("127.0.0.1", 9300))
        self.assertEqual(make_service(*VIA).config.udp, None)


class SuperPeerTests(SettingsCase):
    """C{--role super_peer}."""

    def test_shared_file(self) -> None:
        """A file that says how weak peers find serves it too."""
        text = (
            "via = 'superpeer'\nsuper = ['tcp:127.0.0.1:9200']\nmay-lead = true\n[super_peer]\nleaves = 9\nudp = 9200"
        )
        service = make_service(*SUPER_PEER, *self.file(text))
        self.assertEqual((service.config.udp, service.config.limits.max_links), (("127.0.0.1", 9200), 73))
        with self.assertRaises(SystemExit) as caught:
            make_service(*SUPER_PEER, "--role", "seller", "--stock", "apple", *self.file(text))
        self.assertIn("--role super_peer is none; run two nodes; --via is from ", str(caught.exception))

    def test_id(self) -> None:
        """It gets its id from its key; a tracker that is typed gives it one instead."""
        service = make_service(*SUPER_PEER)
        self.assertIsNone(tracker_of(service))
        self.assertEqual(service.node.id, own_id(service.node.key.public))
        self.assertEqual(tracker_of(make_service(*SUPER_PEER, "-t", "tcp:127.0.0.1:9009")), 9009)

    def test_datagrams(self) -> None:
        """It takes datagrams at the interface and the port where it takes links, if nothing is said."""
        for words, place in (
            ((), ("127.0.0.1", 9200)),
            (("--listen", "tcp:9200"), ("", 9200)),
            (("--listen", "tcp:9200:interface=127.0.0.1"), ("127.0.0.1", 9200)),
            (("--listen", "tcp6:9200"), ("::", 9200)),
            (("--listen", "tcp:9200", "--udp", "9201"), ("", 9201)),
            (("--listen", "tcp:9200:interface=127.0.0.1", "--udp", "9201"), ("127.0.0.1", 9201)),
            (("--listen", "tcp:9200", "--udp", "127.0.0.1:9201"), ("127.0.0.1", 9201)),
            (("--listen", "tcp:9200", "--udp", "[::1]:9201"), ("::1", 9201)),
            (("--listen", "tcp:9200", "--udp", "0"), ("", 0)),
            (("--listen", "unix:/tmp/x.socket", "--udp", "127.0.0.1:9201"), ("127.0.0.1", 9201)),
        ):
            with self.subTest(words=words):
                self.assertEqual(make_service(*SUPER_PEER, *words).config.udp, place)

    def test_others(self) -> None:
        """Nobody else takes datagrams, unless that is said."""
        for words, place in (
            ((), None),
            (("--udp", "none"), None),
            (("--udp", "9300"), ("127.0.0.1", 9300)),
        ):
            self.assertEqual(make_service(*words).config.udp, place)

    def test_room(self) -> None:
        """It has room for its weak peers and some more; what is said beside that holds."""
        for words, most, greeting in (
            ((), 364, 364),
            (("--leaves", "1000"), 1064, 1064),
            (("--max-links", "9", "--limit", "max-greeting=5"), 9, 5),
        ):
            with self.subTest(words=words):
                limits: Limits = make_service(*SUPER_PEER, *words).config.limits
                self.assertEqual((limits.max_links, limits.max_greeting, limits.min_links), (most, greeting, 0))
                self.assertEqual((limits.ping_s, limits.silence_s), (2.5, 7.5))

    def test_with_another_role(self) -> None:
        """A role beside it that floods keeps its neighbours."""
        words = ("--role", "buyer", "--want", "apple", "--tracker", "tcp:127.0.0.1:9000")
        self.assertEqual(make_service(*SUPER_PEER, *words).config.limits.min_links, 3)


class RefusalTests(SynchronousTestCase):
    """What does not go together is refused in one line that says what to do."""

    def test_refusals(self) -> None:
        """Each mistake has its line."""
        index = ("--via", "index", "--index", "tcp:127.0.0.1:9100")
        place = "tcp:127.0.0.1:9201"
        for words, line in (
            (["--super", place], "--super goes with --via superpeer: add that, or leave out --super"),
            ([*index, "--super", place], "--super goes with --via superpeer: add that, or leave out --super"),
            ([*SUPER_PEER, "--super", place], "--super goes with --via superpeer: add that, or leave out --super"),
            (["--may-lead"], "--may-lead goes with --via superpeer: add that, or leave out --may-lead"),
            ([*VIA, *index[2:]], "--index goes with --via index: add that, or leave out --index"),
            (
                [*VIA, "--min-links", "3"],
                "--min-links goes with --via flood: who asks a super peer needs none; leave it out",
            ),
            ([*VIA, *SUPER_PEER], "--via superpeer is for weak peers, and --role super_peer is none; run two nodes"),
            (
                [*VIA, "--role", "tracker"],
                "--via superpeer: a node that hands out ids has nobody to ask; run two nodes",
            ),
            (
                [*VIA, "--role", "index_server"],
                "--via superpeer: a node that hands out ids has nobody to ask; run two nodes",
            ),
            (
                [*VIA, "--super", "9200"],
                "--super '9200': not an endpoint; write one such as tcp:127.0.0.1:9200",
            ),
            (
                [*VIA, "--super", "tcp:127.0.0.1:99999"],
                "--super 'tcp:127.0.0.1:99999': '99999' is not a port; write one such as tcp:127.0.0.1:9200",
            ),
            ([*VIA, "--super", "none"], "--super none: write where a super peer listens, such as tcp:127.0.0.1:9200"),
            (
                [*VIA, "--may-lead", "--listen", "none"],
                "--may-lead goes with --listen; a node that does not listen cannot lead",
            ),
            (
                [*VIA, "--may-lead", "--udp", "none"],
                "--udp none: who may lead takes datagrams; leave out --udp or --may-lead",
            ),
            (
                [*SUPER_PEER, "--listen", "none"],
                "--listen none: a super peer takes links of weak peers; write an endpoint such as tcp:9200",
            ),
            (
                [*SUPER_PEER, "--udp", "none"],
                "--udp none: super peers talk to each other by datagrams; write a port, such as 9200",
            ),
            (
                [*SUPER_PEER, "--listen", "unix:/tmp/x.socket"],
                "--listen 'unix:/tmp/x.socket': no datagrams come there; say where, with --udp such as 127.0.0.1:9200",
            ),
            (["--udp", "x"], "--udp 'x': 'x' is not a port; write one such as 9200"),
            (["--udp", "99999"], "--udp '99999': '99999' is not a port; write one such as 9200"),
            (["--udp", "-1"], "--udp '-1': '-1' is not a port; write one such as 9200"),
            (["--udp", "me:9200"], "--udp 'me:9200': write a port, or HOST:PORT such as 192.0.2.7:9200"),
            (["--udp", "127.0.0.1:"], "--udp '127.0.0.1:': '' is not a port; write one such as 9200"),
            (["--udp", ":9200"], "--udp ':9200': write a port, or HOST:PORT such as 192.0.2.7:9200"),
            (["--neighbour", "127.0.0.1:9200"], "option --neighbour not recognized; it goes with --role super_peer"),
        ):
            with self.subTest(words=words):
                with self.assertRaises(SystemExit) as caught:
                    make_service(*words)
                self.assertEqual(str(caught.exception), f"bazaar-node: {line}")

    def test_in_force(self) -> None:
        """What is given several times, and was not given, has no value."""
        options = node.Options()
        options.environment = {}
        options.parseOptions([*SUPER_PEER])
        self.assertEqual({options.in_force()[name].value for name in ("neighbour", "super", "udp")}, {None})
        self.assertIs(options.in_force()["may-lead"].value, False)

    def test_neighbours(self) -> None:
        """A neighbour is an address."""
        for text in ("127.0.0.1", "me:9201", "127.0.0.1:99999", ":9201", "9201"):
            with self.subTest(text=text), self.assertRaises(SystemExit) as caught:
                make_service(*SUPER_PEER, "--neighbour", text)
            line = str(caught.exception)
            self.assertIn(f"bazaar-node: --neighbour {text!r}", line)
            self.assertNotIn("\n", line)
