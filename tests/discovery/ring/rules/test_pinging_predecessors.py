"""Who comes before a node, as pings show it; and what a member tells of them, however many there are."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.ring.member.ring_events import RingEvents
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.discovery.ring.rules.pinging_predecessors import PingingPredecessors
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.values.addresses import Address

RING = Ring(8)


def caller(identifier: int) -> Contact:
    """A node at a place."""
    return Contact(identifier, f"{identifier:064x}", Address("10.0.0.1", 9000 + identifier))


class CallersTests(SynchronousTestCase):
    """The memory of a node at place 8."""

    def setUp(self) -> None:
        """Know nobody."""
        self.callers = PingingPredecessors(8, RING, 2, 17.5)

    def test_nearest(self) -> None:
        """The two nearest behind count, whoever else asks, and whenever."""
        for identifier in (10, 5, 250, 4, 3):
            self.callers.on_ping(caller(identifier), 0.0)
        self.assertEqual([each.id for each in self.callers.recent(1.0)], [5, 4])

    def test_silence(self) -> None:
        """Who has not asked for a while counts no longer, and who is farther away comes in again."""
        self.callers.on_ping(caller(5), 0.0)
        self.callers.on_ping(caller(4), 10.0)
        self.assertEqual([each.id for each in self.callers.recent(17.5)], [4])
        self.callers.on_ping(caller(3), 18.0)
        self.assertEqual([each.id for each in self.callers.recent(18.0)], [4, 3])

    def test_again(self) -> None:
        """Who asks again counts from then on."""
        for now in (0.0, 10.0, 20.0):
            self.callers.on_ping(caller(5), now)
        self.assertEqual([each.id for each in self.callers.recent(37.0)], [5])

    def test_gone(self) -> None:
        """Who has gone counts no longer."""
        self.callers.on_ping(caller(5), 0.0)
        self.callers.discard(caller(5))
        self.callers.discard(caller(4))
        self.assertEqual(self.callers.recent(0.0), [])

    def test_bounded(self) -> None:
        """However many ask, two are remembered."""
        for identifier in range(256):
            self.callers.on_ping(caller(identifier), 0.0)
        self.assertEqual(len(self.callers._asked), 2)


class TellingTests(SynchronousTestCase):
    """What a member reports."""

    def setUp(self) -> None:
        """Have a node in a classroom."""
        self.node = FakeNode()
        self.telling = RingEvents(self.node, RING, tells_all=True)

    def events(self) -> list[str]:
        """The events reported since last asked."""
        events = [event for event, _ in self.node.reports]
        self.node.reports.clear()
        return events

    def test_called(self) -> None:
        """Places are told as people write them: in a classroom as numbers, else in hexadecimal digits."""
        self.telling.neighbour_failed(caller(150))
        self.assertEqual(self.node.reports[0], ("ring-dead", {"id": "150", "host": "10.0.0.1", "port": 9150}))
        self.assertEqual((Ring(8).display(150), Ring(64).display(150)), ("150", "0000000000000096"))

    def test_sought(self) -> None:
        """It is told whether a place is here, or whom the question is sent on to."""
        own, by, near, after = caller(8), caller(3), caller(10), caller(12)
        self.telling.lookup_answered(8, by, LookupReply(own, (), (own, near)))
        self.telling.lookup_answered(11, by, LookupReply(own, (near,), (after,)))
        self.telling.lookup_answered(220, by, LookupReply(own, (near,)))
        self.telling.lookup_answered(220, by, LookupReply(own))
        self.assertEqual(
            self.node.reports,
            [
                ("ring-here", {"place": "8", "by": "3"}),
                ("ring-sent-on", {"place": "11", "by": "3", "to": "12"}),
                ("ring-sent-on", {"place": "220", "by": "3", "to": "10"}),
            ],
        )

    def test_flood(self) -> None:
        """However much strangers call, it is told some times in a minute, and hides nothing of the neighbours."""
        for _ in range(10_000):
            self.telling.ping_received(caller(5))
            self.telling.lookup_answered(220, caller(5), LookupReply(caller(8), (caller(10),)))
        self.assertLessEqual(len(self.events()), 120)
        self.telling.neighbour_failed(caller(10))
        self.telling.successors_changed([caller(12), caller(15)])
        self.assertEqual(self.events(), ["ring-dead", "ring-successors"])
        self.node.clock.advance(60.0)
        self.telling.ping_received(caller(5))
        self.assertEqual(self.events(), ["ring-pinged"])

    def test_in_earnest(self) -> None:
        """Outside a classroom it is not told who calls, nor of successors that are not the first."""
        telling = RingEvents(self.node, Ring(64), tells_all=False)
        telling.ping_received(caller(5))
        telling.pong_received(caller(5))
        telling.successors_changed([caller(12)])
        telling.lookup_answered(8, caller(5), LookupReply(caller(8), (), (caller(8),)))
        self.assertEqual(self.events(), [])
        telling.successor_changed(caller(12))
        self.assertEqual(self.events(), ["ring-successor"])
