"""C{--via ring} and what belongs to it: what goes together, and what a node becomes by it."""

from __future__ import annotations

import tempfile
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.taps.test_super_peers import make_service, tracker_of
from twisted_bazaar.identity.keys import own_id
from twisted_bazaar.roles.ring.finder import RingFinder
from twisted_bazaar.roles.ring_peer import RingPeer

VIA = ("--via", "ring")
JOIN = ("--join", "tcp:127.0.0.1:9300")


def finder_of(service: Any) -> RingFinder:
    """What a node finds by."""
    [finder] = (role for role in service.roles if isinstance(role, RingFinder))
    return finder


class ViaRingTests(SynchronousTestCase):
    """A daemon that finds by a ring."""

    def refusal(self, *words: str) -> str:
        """The line that a command line ends with."""
        with self.assertRaises(SystemExit) as caught:
            make_service(*words)
        line = str(caught.exception)
        self.assertNotIn("\n", line)
        return line.removeprefix("bazaar-node: ")

    def test_member(self) -> None:
        """It is a member of the ring, by its key, and asks no tracker."""
        service = make_service(*VIA, *JOIN)
        self.assertFalse(finder_of(service).member.is_client)
        self.assertIsNone(tracker_of(service))
        self.assertEqual(service.node.id, own_id(service.node.key.public))
        self.assertEqual(service.config.udp, ("127.0.0.1", 0))
        limits = service.config.limits
        self.assertEqual((limits.min_links, limits.max_links), (0, 256))

    def test_udp(self) -> None:
        """It takes datagrams at the port where it listens, or where it is told to, and need not listen."""
        self.assertEqual(make_service(*VIA, "--listen", "tcp:9300:interface=127.0.0.1").config.udp, ("127.0.0.1", 9300))
        self.assertEqual(make_service(*VIA, "--udp", "127.0.0.1:9301").config.udp, ("127.0.0.1", 9301))
        self.assertEqual(make_service(*VIA, "--listen", "none").config.udp, ("", 0))

    def test_join(self) -> None:
        """It joins where it is told to; without that it begins a ring."""
        for words, ports in ((JOIN, [9300]), ((), [])):
            reactor = MemoryReactorClock()
            role = finder_of(make_service(*VIA, *words, reactor=reactor))
            self.assertEqual([getattr(role.lifecycle.join, "_port", None)], ports or [None])

    def test_below(self) -> None:
        """A way and a member can be written down; what is for nodes of another way is passed over."""
        environment = {"BAZAAR_VIA": "ring", "BAZAAR_JOIN": JOIN[1], "BAZAAR_BITS": "32"}
        role = finder_of(make_service(environment=environment))
        self.assertEqual((role.lifecycle.join._port, role.member.ring.bits), (9300, 32))
        other = make_service("--via", "flood", environment=environment)
        self.assertFalse(any(isinstance(each, RingFinder) for each in other.roles))
        [peer] = make_service("--role", "ring_peer", environment=environment).roles
        self.assertIsInstance(peer, RingPeer)

    def test_settings(self) -> None:
        """It lives on its ring as it is told to."""
        role = finder_of(make_service(*VIA, "--bits", "16", "--successors", "4", "--replicas", "1"))
        self.assertEqual((role.member.settings.bits, role.member.settings.successors, role.dht.replicas), (16, 4, 1))
        classic = finder_of(make_service(*VIA, "--classic"))
        self.assertEqual((classic.member.settings.bits, classic.dht.replicas), (8, 2))
        self.assertEqual(classic.dht.store.identifier_of_name("2012"), 2012 % 256)

    def test_roles(self) -> None:
        """Buyer, seller and sharer find by it, alone or together."""
        for roles in (
            ("--role", "buyer", "--want", "apple"),
            ("--role", "seller", "--stock", "apple"),
            ("--role", "sharer", "--folder", tempfile.gettempdir()),
            ("--role", "buyer", "--want", "apple", "--role", "seller", "--stock", "pear"),
        ):
            with self.subTest(roles=roles):
                finder_of(make_service(*VIA, *JOIN, *roles))

    def test_refusals(self) -> None:
        """What does not go together is refused in one line that says what to do."""
        for words, line in (
            (
                JOIN,
                "--join goes with --via ring or --role ring_peer: add one of them, or leave out --join",
            ),
            (
                ("--via", "superpeer", "--classic"),
                "--classic goes with --via ring or --role ring_peer: add one of them, or leave out --classic",
            ),
            (
                (*VIA, "--role", "ring_peer"),
                "--via ring: --role ring_peer has the node's place on a ring already; run two nodes",
            ),
            (
                (*VIA, "--udp", "none"),
                "--udp none: --via ring goes by datagrams; write a port, or leave out --udp for any that is free",
            ),
            (
                (*VIA, "--min-links", "3"),
                "--min-links goes with --via flood: who asks a ring needs none; leave it out",
            ),
            ((*VIA, "--join", "x:y"), "--join 'x:y': write where a member listens, such as tcp:127.0.0.1:9300"),
            (
                (*VIA, "--super", "tcp:127.0.0.1:9200"),
                "--super goes with --via superpeer: add that, or leave out --super",
            ),
            ((*VIA, "--role", "tracker"), "--via ring: a node that hands out ids has nobody to ask; run two nodes"),
        ):
            with self.subTest(words=words):
                self.assertEqual(self.refusal(*words), line)
