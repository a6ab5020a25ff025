"""C{--via} and C{--index}: what goes together, and what a node becomes by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.interfaces import ICatalogue
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.taps import node

INDEX = ("--via", "index", "--index", "tcp:127.0.0.1:9100")


def make_service(reactor: Any, *words: str, environment: Mapping[str, str] | None = None) -> Any:
    """The service of a node that keeps nothing."""
    options = node.Options()
    options.environment = environment or {}
    options.parseOptions(["--ephemeral", *words])
    return node.makeService(options, reactor)


class ViaTests(SynchronousTestCase):
    """A node finds in the way that it is told."""

    def limits(self, *words: str) -> Limits:
        """The limits of a node."""
        limits: Limits = make_service(MemoryReactorClock(), *words).config.limits
        return limits

    def dialled(self, *words: str, **how: Any) -> list[int]:
        """The ports that a node dials when it is started."""
        reactor = MemoryReactorClock()
        make_service(reactor, *words, **how).startService()
        return [client[1] for client in reactor.tcpClients]

    def refusal(self, *words: str, **how: Any) -> str:
        """The line that a command line ends with."""
        with self.assertRaises(SystemExit) as caught:
            make_service(MemoryReactorClock(), *words, **how)
        line = str(caught.exception)
        self.assertNotIn("\n", line)
        return line.removeprefix("bazaar-node: ")

    def test_flood(self) -> None:
        """If nothing is said it finds by flooding, under a tracker."""
        self.assertEqual(self.dialled(), [9000])
        self.assertEqual(self.dialled("--via", "flood", "--tracker", "tcp:127.0.0.1:9009"), [9009])
        self.assertEqual(evolve(self.limits(), max_connections=Limits().max_connections), Limits())

    def test_index(self) -> None:
        """By an index it has no tracker but the index server, looks for no neighbours, and takes more links."""
        self.assertEqual(self.dialled("--via", "index", "--index", "tcp:127.0.0.1:9109"), [9109])
        self.assertEqual(self.dialled("--via", "index"), [9100], "the usual place, as for commands")
        limits = self.limits(*INDEX)
        self.assertEqual((limits.min_links, limits.max_links > 100), (0, True))
        self.assertEqual(self.limits(*INDEX, "--max-links", "9").max_links, 9)

    def test_what_it_needs(self) -> None:
        """A node carries what its way of finding needs, besides what it was told to."""
        for words, many in ((INDEX, 1), ((), 0)):
            roles = make_service(MemoryReactorClock(), *words).roles
            self.assertEqual([ICatalogue.providedBy(role) for role in roles].count(True), many)

    def test_roles(self) -> None:
        """Buyer and seller take their way from it, on one node too."""
        for roles in (
            ("--role", "buyer", "--want", "apple"),
            ("--role", "seller", "--stock", "apple"),
            ("--role", "buyer", "--want", "apple", "--role", "seller", "--stock", "pear"),
        ):
            for words in ((), INDEX):
                with self.subTest(roles=roles, words=words):
                    self.assertEqual(self.dialled(*roles, *words), [9100 if words else 9000])

    def test_refusals(self) -> None:
        """What does not go together is refused in one line that says what to do."""
        for words, line in (
            (["--via", "smoke"], "--via 'smoke': write one of flood, index, ring, superpeer"),
            (
                ["--index", "tcp:127.0.0.1:9100"],
                "--index goes with --via index: add that, or leave out --index",
            ),
            (
                [*INDEX, "--tracker", "tcp:127.0.0.1:9000"],
                "--tracker goes with --via flood: who asks an index server needs none; leave it out",
            ),
            (
                [*INDEX, "-t", "none"],
                "--tracker goes with --via flood: who asks an index server needs none; leave it out",
            ),
            (
                [*INDEX, "--min-links", "3"],
                "--min-links goes with --via flood: who asks an index server needs none; leave it out",
            ),
            (
                ["--via", "index", "--index", "9100"],
                "--index '9100': not an endpoint; write one such as tcp:127.0.0.1:9100",
            ),
            (
                ["--via", "index", "--index", "none"],
                "--index none: write where an index server listens, such as tcp:127.0.0.1:9100",
            ),
            ([*INDEX, "--role", "tracker"], "--via index: a node that hands out ids has nobody to ask; run two nodes"),
        ):
            with self.subTest(words=words):
                self.assertEqual(self.refusal(*words), line)

    def test_below(self) -> None:
        """What lies below the command line may be about nodes of another way; it is used or left."""
        tracker = {"BAZAAR_TRACKER": "tcp:127.0.0.1:9009"}
        index = {"BAZAAR_INDEX": "tcp:127.0.0.1:9109"}
        self.assertEqual(self.dialled(*INDEX, environment=tracker), [9100])
        self.assertEqual(self.dialled("--via", "flood", environment=index), [9000])
        self.assertEqual(self.dialled("--via", "index", environment=index), [9109])
        self.assertEqual(self.dialled(environment=index), [9000])
        self.assertEqual(self.dialled(environment={**tracker, **index, "BAZAAR_VIA": "index"}), [9109])


class RegistrarTests(SynchronousTestCase):
    """A node to which everybody links, because it hands out ids, has room for them."""

    def test_room(self) -> None:
        """It takes as many links as the system lets it; what is said beside that holds."""
        for words, greeting, many in (
            (("--role", "tracker"), 4096, True),
            (("--role", "tracker", "--max-links", "9", "--limit", "max-greeting=5"), 5, False),
            (("--role", "relay"), Limits().max_greeting, False),
        ):
            with self.subTest(words=words):
                limits = make_service(MemoryReactorClock(), *words).config.limits
                self.assertEqual((limits.max_greeting, limits.max_links > 100), (greeting, many))
