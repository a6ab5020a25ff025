"""Who is asked by somebody that it does not know gets to know that one, if it is a member, and where it says."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import msgspec

from tests.discovery.ring.nets import RingTestCase, key_pair
from tests.raw_datagram import RawSocket
from twisted_bazaar.discovery.ring.member.client import RingClient
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import RingFind, RingMessage
from twisted_bazaar.discovery.ring.rules import fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.settings import CLASSIC
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
        return self.seen(other) in one.table.fingers

    def ask(self, asker: RingMember, asked: RingMember) -> RingMessage:
        """Have one ask another something, in a member's way."""
        find = partial(RingFind, place=asked.ring.to_wire(0))
        found: RingMessage = self.result(asker.requests.ask(self.seen(asked), find))
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
        return seen[1] in one.stabilization.successors or seen[0] in other.stabilization.successors

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

    def test_at_once(self) -> None:
        """Who asks much at once is asked back once for all of that."""
        asker, asked = self.strangers()
        self.ask(asker, asked)
        for _ in range(10):
            asker.requests.ask(self.seen(asked), partial(RingFind, place=asked.ring.to_wire(0)))
        self.network.run(0.5)
        self.assertEqual(self.pings(asked, self.seen(asker).address), 1)
        self.assertTrue(self.knows(asked, asker))
        self.assertEqual(asked._incarnation.verification._asked, set())

    def test_neighbour(self) -> None:
        """Neighbours are asked in rounds, and not for asking."""
        asked = self.living()[0]
        neighbour, verification = asked.stabilization.successors[0], asked._incarnation.verification
        asked.table.fingers.remove(neighbour)
        verification.verify(neighbour)
        self.assertEqual(verification._asked, set())

    def test_guest(self) -> None:
        """Who only asks is no node that others are to be led to."""
        guest = RingClient(self.settings)
        node = self.add(self.nodes[0], member=guest)
        self.network.run_until(lambda: guest.can_ask, 10.0)
        asked = self.living()[5]
        for _ in range(10):
            self.ask(guest, asked)
        where = self.network.where_datagrams(node)
        self.assertIn(self.pings(asked, where), range(1, 5))
        self.assertEqual(asked._incarnation.verification._asked, set())
        known = [each for member in self.living() for each in member.table.fingers]
        self.assertNotIn(where, [contact.address for contact in known])

    def test_no_room(self) -> None:
        """Who would not be kept is not asked."""
        asker, asked = self.strangers()
        self.patch(fingers, "HELD", 0)
        for _ in range(3):
            self.ask(asker, asked)
        self.assertEqual(self.pings(asked, self.seen(asker).address), 0)


class ByHandTests(RingTestCase):
    """Somebody who asks by hand, from where it says."""

    def setUp(self) -> None:
        """Have a ring."""
        super().setUp()
        self.nodes = self.ring(4)
        self.member = self.members[self.nodes[1]]
        self.socket = RawSocket(self.network, self.nodes[1], "10.9.0.1")

    def ask(self, number: int, cookie: str | None = None) -> None:
        """Ask in somebody's name, with a cookie or as a stranger."""
        ring, own = self.member.ring, self.member.own
        cards = ContactEncoder(self.contact(number), ring)
        message = RingFind(
            source=cards.own_text,
            destination=ring.to_wire(own.id),
            stamp=number,
            origin=cards.own_card,
            place=ring.to_wire(0),
        )
        keys: dict[str, Any] = json.loads(msgspec.json.encode(message))
        keys["give"] = "0123456789abcdef"
        if cookie is None:
            keys["pad"] = "0" * (1_180 - len(json.dumps(keys)))
        else:
            keys["cookie"] = cookie
        self.socket.tell(keys.pop("type"), **keys)
        self.network.run(0.05)

    def known(self) -> tuple[object, ...]:
        """Whom the member knows, and whom it takes for dead or doubts."""
        table = self.member.table
        return frozenset(table.fingers), len(table.failed), len(self.member._incarnation.maintenance.doubtful)

    def test_mute(self) -> None:
        """It is asked seldom, in however many names it asks; it is not known by that, and nobody is taken for dead."""
        cookie = self.socket.cookie(self.network)
        before = self.known()
        for number in range(200):
            self.ask(number, cookie)
        self.network.run(5.0)
        self.assertEqual(self.known(), before)
        self.assertEqual(self.member._incarnation.verification._asked, set())
        self.assertEqual(len(self.socket.of_type("ringfound")), 200)
        self.assertIn(len(self.socket.of_type("ringping")), range(1, 5))

    def test_nonsense(self) -> None:
        """Who answers as nobody can is not known by that, and is not asked again for it."""
        cookie = self.socket.cookie(self.network)
        before = self.known()
        for number, wrong in enumerate(({"bits": 8}, {"same": True}, {"bits": 160, "same": True})):
            self.socket.received.clear()
            self.ask(number, cookie)
            [ping] = self.socket.of_type("ringping")
            keys = {"source": ping["destination"], "destination": ping["source"], "stamp": ping["stamp"]}
            keys["source"] = self.member.ring.to_wire(self.contact(number).id)
            origin = ContactEncoder(self.contact(number), self.member.ring).own_card
            pong = {"origin": msgspec.to_builtins(origin), "bits": 64, "member": True, **keys, **wrong}
            self.socket.tell("ringpong", **pong, cookie=cookie)
            self.network.run(5.0)
            self.assertEqual(len(self.socket.of_type("ringping")), 1)
        self.assertEqual(self.known(), before)

    def test_in_its_name(self) -> None:
        """Where somebody is who has shown it, strangers are answered as anywhere, and not asked."""
        cookie = self.socket.cookie(self.network)
        self.ask(0, cookie)
        self.socket.received.clear()
        for number in range(1, 8):
            self.ask(number)
        self.assertEqual([each["type"] for each in self.socket.received], ["ringfound"] * 7)
        self.ask(8, cookie)
        self.assertEqual(len(self.socket.of_type("ringping")), 1)

    def test_not_yet(self) -> None:
        """Who has not joined yet asks nobody back: it would say that it is a member."""
        cookie = self.socket.cookie(self.network)
        self.member.stabilization.is_member = False
        self.ask(0, cookie)
        self.member.stabilization.is_member = True
        self.assertEqual(self.socket.of_type("ringping"), [])
        self.ask(1, cookie)
        self.assertEqual(len(self.socket.of_type("ringping")), 1)

    def test_at_its_place(self) -> None:
        """Who asks from the place of who is asked is no shortcut, and does no harm."""
        self.socket.cookie(self.network)
        own = self.member.own
        there = Contact(own.id, self.contact(0).key, Address("10.9.0.1", 7_000), 0)
        self.member._incarnation.verification.verify(there)
        self.network.run(0.05)
        self.assertEqual(self.socket.of_type("ringping"), [])

    def contact(self, number: int) -> Contact:
        """Somebody in whose name is asked."""
        ring, key = self.member.ring, key_pair(1_000 + number).public
        return Contact(ring.id_of_key(key), key, Address("10.9.0.1", 7_000), 0)


class ClassroomTests(RingTestCase):
    """A ring without shortcuts."""

    settings = CLASSIC

    def test_nobody(self) -> None:
        """Nobody is asked for having asked."""
        nodes = [self.add(ring_id=1)]
        for identifier in (50, 100, 150, 200):
            nodes.append(self.add(nodes[0], ring_id=identifier))
            self.until_joined(nodes)
        self.network.run(60.0)
        asker, asked = self.members[nodes[0]], self.members[nodes[2]]
        for _ in range(3):
            self.result(asker.requests.ask(self.seen(asked), partial(RingFind, place=asked.ring.to_wire(0))))
        self.network.run(0.1)
        self.assertNotIn(self.seen(asker), asked.table.fingers)
        self.assertEqual(asked._incarnation.verification._asked, set())
