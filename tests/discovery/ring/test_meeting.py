"""Who is asked by somebody that it does not know gets to know that one, if it is a member, and where it says."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import msgspec

from tests.discovery.ring.nets import RingTestCase, key_pair
from tests.raw_datagram import RawSocket
from twisted_bazaar.discovery.ring.cards import Cards
from twisted_bazaar.discovery.ring.guest import RingGuest
from twisted_bazaar.discovery.ring.identifiers import Contact
from twisted_bazaar.discovery.ring.member import RingMember
from twisted_bazaar.discovery.ring.messages import RingFind, RingMessage
from twisted_bazaar.values.addresses import Address

COUNT = 24


class MeetingTests(RingTestCase):
    """Members that ask each other, and others that ask members."""

    def setUp(self) -> None:
        """Have a ring on which not everybody knows everybody."""
        super().setUp()
        self.nodes = self.ring(COUNT)

    def knows(self, one: RingMember, other: RingMember) -> bool:
        """Whether one member knows another."""
        return self.seen(other) in one._neighbourhood.fingers

    def ask(self, asker: RingMember, asked: RingMember) -> RingMessage:
        """Have one ask another something, in a member's way."""
        found: RingMessage = self.result(asker.ask(self.seen(asked), partial(RingFind, place=asked.ring.text(0))))
        self.network.run(0.1)
        return found

    def strangers(self) -> tuple[RingMember, RingMember]:
        """Two that do not know each other."""
        members = self.living()
        pairs = ((one, other) for one in members for other in members if one is not other)
        return next(
            pair for pair in pairs if not self.knows(*pair) and not self.knows(*reversed(pair)) and not self.near(*pair)
        )

    def near(self, one: RingMember, other: RingMember) -> bool:
        """Whether one has another in its list, or the other way round."""
        seen = self.seen(one), self.seen(other)
        return seen[1] in one.membership.successors or seen[0] in other.membership.successors

    def pings(self, by: RingMember, to: Address) -> int:
        """How often one member has asked somebody how it stands."""
        [sender] = [node.id for node, member in self.members.items() if member is by]
        return [each[:2] for each in self.network.datagrams if each[2].wire_name == "ringping"].count((sender, to))

    def test_both(self) -> None:
        """Both know each other afterwards; who is asked knows the other when that has shown where it is."""
        asker, asked = self.strangers()
        self.ask(asker, asked)
        self.assertEqual((self.knows(asker, asked), self.knows(asked, asker)), (True, False))
        self.ask(asker, asked)
        self.assertTrue(self.knows(asked, asker))
        self.assertEqual((self.flaws(), self.faults()), ([], []))

    def test_once(self) -> None:
        """Who is known is not asked again for asking."""
        asker, asked = self.strangers()
        where = self.seen(asker).address
        before = self.pings(asked, where)
        for _ in range(10):
            self.ask(asker, asked)
        self.assertEqual(self.pings(asked, where) - before, 1)

    def test_guest(self) -> None:
        """Who only asks is no node that others are to be led to."""
        guest = RingGuest(self.settings)
        node = self.add(self.nodes[0], member=guest)
        self.network.run_until(lambda: guest.can_ask, 10.0)
        asked = self.living()[5]
        for _ in range(10):
            self.ask(guest, asked)
        where = self.network.where_datagrams(node)
        self.assertIn(self.pings(asked, where), range(1, 5))
        known = [each for member in self.living() for each in member._neighbourhood.fingers]
        self.assertNotIn(where, [contact.address for contact in known])


class MuteTests(RingTestCase):
    """Somebody who asks by hand, from where it says, and never answers."""

    def setUp(self) -> None:
        """Have a ring."""
        super().setUp()
        self.nodes = self.ring(4)
        self.member = self.members[self.nodes[1]]
        self.socket = RawSocket(self.network, self.nodes[1], "10.9.0.1")

    def ask(self, number: int, cookie: str) -> None:
        """Ask in somebody's name, with a cookie."""
        ring, own = self.member.ring, self.member.own
        key = key_pair(1_000 + number).public
        cards = Cards(Contact(ring.id_of_key(key), key, Address("10.9.0.1", 7_000), 0), ring)
        message = RingFind(
            source=cards.own_text,
            destination=ring.text(own.id),
            stamp=number,
            origin=cards.own_card,
            place=ring.text(0),
        )
        keys: dict[str, Any] = json.loads(msgspec.json.encode(message))
        self.socket.tell(keys.pop("type"), **keys, give="0123456789abcdef", cookie=cookie)
        self.network.run(0.05)

    def test_nobody(self) -> None:
        """It is asked seldom, in however many names it asks; it is not known by that, and nobody is taken for dead."""
        cookie = self.socket.cookie(self.network)
        neighbourhood = self.member._neighbourhood
        before = frozenset(neighbourhood.fingers), len(neighbourhood.dead), len(neighbourhood._doubtful)
        for number in range(200):
            self.ask(number, cookie)
        self.network.run(5.0)
        after = frozenset(neighbourhood.fingers), len(neighbourhood.dead), len(neighbourhood._doubtful)
        self.assertEqual(after, before)
        self.assertEqual(len(self.socket.of_type("ringfound")), 200)
        self.assertIn(len(self.socket.of_type("ringping")), range(1, 5))
