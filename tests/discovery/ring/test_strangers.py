"""Strangers that ask the members of a ring: they are answered, and that is all that comes of it."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import msgspec

from tests.discovery.ring.keeping_nets import KeepingTestCase
from tests.discovery.ring.nets import key_pair
from tests.raw_datagram import RawSocket
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import RingFind, RingJoin, RingPing
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.entry import VALUES
from twisted_bazaar.discovery.ring.storage.messages import RingRequest
from twisted_bazaar.values.addresses import Address

GIVE = "0123456789abcdef"


class StrangersTests(KeepingTestCase):
    """What becomes of the questions of somebody who shows no cookie."""

    def setUp(self) -> None:
        """Have a ring, which keeps something, and a stranger."""
        super().setUp()
        self.nodes = self.ring(4)
        self.success(self.dht(self.nodes[0]).put(VALUES, "greeting", b"hello"))
        self.member = self.members[self.nodes[1]]
        self.socket = RawSocket(self.network, self.nodes[1], "10.9.0.1")

    def success(self, deferred: Any) -> Any:
        """What comes of something."""
        self.network.run_until(lambda: deferred.called, 30.0)
        return self.successResultOf(deferred)

    def ask(self, make: Any, number: int = 0, stamp: int = 1) -> None:
        """Ask in somebody's name, without a cookie."""
        ring, own = self.member.ring, self.member.own
        key = key_pair(1_000 + number).public
        cards = ContactEncoder(Contact(ring.id_of_key(key), key, Address("10.9.0.1", 7_000), 0), ring)
        message = make(source=cards.own_text, destination=ring.to_wire(own.id), stamp=stamp, origin=cards.own_card)
        keys = json.loads(msgspec.json.encode(message)) | {"give": GIVE, "pad": ""}
        keys["pad"] = "0" * (1_200 - len(json.dumps(keys, separators=(",", ":"))))
        self.socket.tell(keys.pop("type"), **keys)
        self.network.run(0.05)

    def test_answered(self) -> None:
        """Who joins, looks for a place or wants an entry is answered at once; who says that it is a member is not."""
        where = self.member.ring.to_wire(0)
        wanted = partial(RingRequest, space=VALUES, name="greeting")
        for make in (RingJoin, partial(RingFind, place=where), wanted, RingPing):
            self.ask(make)
        told = [(answer["type"], answer.get("cookie")) for answer in self.socket.received]
        answers = [("ringpong", GIVE), ("ringfound", GIVE), ("ringtransfer", GIVE), ("stale", None)]
        self.assertEqual(told, answers)
        self.assertEqual(len(self.socket.received[2]["listed"]), 1)

    def test_no_effect(self) -> None:
        """However many ask, nobody comes to be known by it, and no more goes out than came in."""
        rng = self.network.network.rng

        def known() -> tuple[Any, ...]:
            fingers = frozenset(self.member.table.fingers)
            return self.member.stabilization.state, fingers, tuple(self.member.pinging_predecessors)

        before = known()
        for number in range(300):
            identifier = self.member.ring.to_wire(rng.getrandbits(60))
            wanted = partial(RingRequest, space=VALUES, name="greeting")
            self.ask((RingJoin, partial(RingFind, place=identifier), wanted)[number % 3], number)
        self.assertEqual(known(), before)
        self.assertGreater(len(self.socket.received), 200)
        self.assertLessEqual(self.socket.bytes_received, self.socket.bytes_sent)
        self.assertEqual((self.flaws(), self.faults()), ([], []))

    def test_joining(self) -> None:
        """Who joins asks at once, and knocks at nobody before."""
        self.network.datagrams.clear()
        newcomer = self.add(self.nodes[0])
        self.until_joined([*self.nodes, newcomer])
        names = [message.wire_name for _, _, message in self.network.datagrams]
        joined = names.index("ringjoin")
        self.assertNotIn("knock", names[: joined + 1])
        self.assertEqual(self.network.datagrams[joined + 1][2].wire_name, "ringpong")
