"""Promises of the messages of a ring: what stands on the wire, what is refused, and that it fits."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.nets import key_pair
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import (
    ANYBODY,
    MARK_DIGITS,
    Card,
    RingAbrupt,
    RingExit,
    RingFind,
    RingFound,
    RingJoin,
    RingMessage,
    RingPing,
    RingPong,
    RingQuit,
    RingUpdate,
    Seen,
    shortened,
)
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.errors import MalformedMessage
from twisted_bazaar.node.datagrams.cookies import ROOM_BYTES
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.codec import Codec

KINDS = (RingJoin, RingPing, RingPong, RingUpdate, RingAbrupt, RingQuit, RingExit, RingFind, RingFound)
CODEC = Codec(KINDS)
ROOM = Limits().datagram_bytes - ROOM_BYTES
RING = Ring()
SENDER = Address("10.0.0.1", 9_001)


def contact(number: int, ring: Ring = RING, host: str | None = None, identifier: int | None = None) -> Contact:
    """A node; another for each number."""
    key = key_pair(number).public
    where = Address(host or f"10.0.0.{number % 250 + 1}", 9_001)
    return Contact(ring.id_of_key(key) if identifier is None else identifier, key, where, 9_001)


OWN = contact(0)
CARDS = ContactEncoder(OWN, RING)
ENVELOPE: dict[str, Any] = {
    "source": RING.to_wire(OWN.id),
    "destination": RING.to_wire(contact(1).id),
    "stamp": 7,
    "origin": CARDS.write(OWN),
}
EXAMPLES: tuple[RingMessage, ...] = (
    RingJoin(**ENVELOPE | {"destination": ANYBODY}),
    RingPing(**ENVELOPE, mark="0123456789ab"),
    RingPong(
        **ENVELOPE,
        bits=64,
        member=False,
        predecessor=CARDS.write(contact(1)),
        successors=CARDS.write_all([contact(2), contact(3)]),
        you=Seen("10.0.0.2", 9_001),
        mark="0123456789ab",
        same=True,
    ),
    RingUpdate(**ENVELOPE, about=CARDS.write(contact(4))),
    RingAbrupt(**ENVELOPE, about=CARDS.write(contact(4))),
    RingQuit(**ENVELOPE, predecessor=CARDS.write(contact(1)), successors=CARDS.write_all([contact(2)])),
    RingExit(**ENVELOPE),
    RingFind(**ENVELOPE, place=RING.to_wire(5)),
    RingFound(
        **ENVELOPE,
        before=CARDS.write_all([contact(1)]),
        after=CARDS.write_all([contact(2), OWN]),
        beyond=CARDS.write_all([contact(3)]),
        predecessor=CARDS.write(contact(1)),
    ),
)


class WireTests(SynchronousTestCase):
    """What stands on the wire."""

    def test_there_and_back(self) -> None:
        """Every message is read as it was written."""
        for message in EXAMPLES:
            self.assertEqual(CODEC.decode(CODEC.encode(message)), message)
        self.assertEqual({type(message) for message in EXAMPLES}, set(KINDS))

    def test_names(self) -> None:
        """Each has its name, apart from those of the other systems."""
        words = ("join", "ping", "pong", "update", "abrupt", "quit", "exit", "find", "found")
        self.assertEqual([message.wire_name for message in EXAMPLES], [f"ring{word}" for word in words])

    def test_envelope(self) -> None:
        """Each tells from whom, for whom, which, and by whom it was begun; oneself without a host."""
        self.assertEqual(
            json.loads(CODEC.encode(RingPing(**ENVELOPE))),
            {
                "type": "ringping",
                "source": RING.to_wire(OWN.id),
                "destination": RING.to_wire(contact(1).id),
                "stamp": 7,
                "origin": [CARDS.write(OWN).key, None, 9_001, 9_001, None],
            },
        )

    def test_limits(self) -> None:
        """What breaks the limits is refused, with the key that does."""
        card = list(json.loads(CODEC.encode(RingPing(**ENVELOPE)))["origin"])
        faults: list[tuple[str, Any]] = [
            ("source", ""),
            ("source", "0" * 41),
            ("destination", "0" * 41),
            ("stamp", -1),
            ("stamp", "7"),
            ("origin", ["x" * 42, *card[1:]]),
            ("origin", [*card[:2], 65_536, *card[3:]]),
            ("origin", card[:3]),
            ("origin", None),
            ("successors", [card] * 33),
            ("bits", 2),
            ("bits", 161),
            ("you", ["nowhere", 1]),
        ]
        whole = json.loads(CODEC.encode(RingPong(**ENVELOPE, bits=64)))
        CODEC.decode(json.dumps(whole).encode())
        for key, value in faults:
            error = self.assertRaises(MalformedMessage, CODEC.decode, json.dumps({**whole, key: value}).encode())
            self.assertIn(key, str(error), value)

    @given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(["source", "stamp", "origin", "about"]), st.text()))
    def test_rubbish(self, kind: type[RingMessage], keys: dict[str, str]) -> None:
        """Nothing but a message or a refusal comes of anything."""
        tag = kind.__struct_config__.tag
        self.assertRaises(MalformedMessage, CODEC.decode, json.dumps({**keys, "type": tag}).encode())


class SizeTests(SynchronousTestCase):
    """One datagram."""

    def pong(self, ring: Ring, host: str, *, is_given: bool = False) -> RingPong:
        """How a node with as many neighbours as usual stands."""
        nodes = [contact(number, ring, host, identifier=number if is_given else None) for number in range(10)]
        cards = ContactEncoder(nodes[0], ring)
        envelope = ENVELOPE | {"source": ring.to_wire(nodes[0].id), "stamp": 2**53, "origin": cards.write(nodes[0])}
        return RingPong(
            **envelope,
            bits=ring.bits,
            predecessor=cards.write(nodes[9]),
            successors=cards.write_all(nodes[1:9]),
            mark=MARK_DIGITS * "0",
        )

    def test_fits(self) -> None:
        """Eight successors go into a datagram, on rings of any size, as long as places follow from keys; else on small
        ones."""
        for ring in (Ring(8), Ring(64), Ring(160)):
            self.assertLessEqual(len(CODEC.encode(self.pong(ring, "192.168.100.100"))), ROOM)
        self.assertLessEqual(len(CODEC.encode(self.pong(Ring(8), "192.168.100.100", is_given=True))), ROOM)

    def test_shortened(self) -> None:
        """Where that is too long, the last successors are left out, and at last nothing can be."""
        message = self.pong(Ring(160), "2001:db8:1111:2222:3333:4444:5555:6666", is_given=True)
        cards = message.successors
        self.assertEqual(shortened(message), message.evolve(successors=cards[:7]))
        self.assertIsNone(shortened(message.evolve(successors=())))
        quitting = RingQuit(**ENVELOPE, successors=cards)
        self.assertEqual(shortened(quitting), quitting.evolve(successors=cards[:7]))
        found = RingFound(**ENVELOPE, before=cards, after=cards[:2])
        self.assertEqual(shortened(found), found.evolve(after=cards[:1]))
        self.assertIsNone(shortened(RingPing(**ENVELOPE)))


class CardsTests(SynchronousTestCase):
    """Contacts in messages."""

    def test_there_and_back(self) -> None:
        """Others are read as they were written, with places that follow from their keys and with given ones."""
        for each in (contact(1), contact(2, identifier=42)):
            self.assertEqual(CARDS.read(CARDS.write(each), SENDER), each)
        self.assertEqual(
            (CARDS.write(contact(1)).id, CARDS.write(contact(2, identifier=42)).id), (None, "000000000000002a")
        )

    def test_sender(self) -> None:
        """Who has sent a message stands where it came from, whatever it says."""
        other = ContactEncoder(contact(1, host="192.168.1.1"), RING)
        ping = RingPing(**ENVELOPE | {"source": RING.to_wire(other.own.id), "origin": other.write(other.own)})
        where = Address("10.0.0.9", 1_234)
        self.assertEqual(CARDS.sender_of(ping, where), Contact(other.own.id, other.own.key, where, 9_001))

    def test_not_the_sender(self) -> None:
        """A message that was sent on, has another source than origin, or is of another ring has no sender here."""
        other = ContactEncoder(contact(1), RING)
        passed = RingPing(**ENVELOPE | {"origin": other.write(contact(2))})
        crossed = RingPing(**ENVELOPE | {"origin": other.write(contact(1)), "source": RING.to_wire(5)})
        foreign = RingPing(**ENVELOPE | {"origin": other.write(contact(1)), "source": "2a"})
        tenth = ContactEncoder(contact(10), RING)
        written_otherwise = RingPing(**ENVELOPE | {"origin": tenth.own_card, "source": tenth.own_text.upper()})
        for message in (passed, crossed, foreign, written_otherwise):
            self.assertIsNone(CARDS.sender_of(message, SENDER))

    def test_on_the_machine_of_the_sender(self) -> None:
        """Who is on the machine of a sender as it says is at that sender's address, unless it is this machine too."""
        local = Contact(contact(3).id, contact(3).key, Address("127.0.0.1", 9_003), 9_003)
        card = CARDS.write(local)
        self.assertEqual(CARDS.read(card, SENDER).address, Address("10.0.0.1", 9_003))
        self.assertEqual(CARDS.read(card, Address("127.0.0.1", 9_001)), local)

    def test_itself(self) -> None:
        """A node knows itself by any address of its machine; the same key elsewhere is somebody else."""
        other = ContactEncoder(contact(1), RING)
        unknowing = ContactEncoder(contact(0, host="0.0.0.0"), RING)
        seen = other.write(contact(0))
        self.assertEqual(unknowing.read(seen, SENDER), unknowing.own)
        self.assertEqual(CARDS.read(other.write(contact(0, host="127.0.0.1")), Address("127.0.0.1", 1)), OWN)
        elsewhere = contact(0, host="10.9.9.9")
        self.assertEqual(CARDS.read(other.write(elsewhere), SENDER), elsewhere)

    def test_becomes(self) -> None:
        """Who learns where it is itself forgets whom it took for itself before."""
        cards = ContactEncoder(contact(0, host="0.0.0.0"), RING)
        ping = RingPing(**ENVELOPE)
        self.assertEqual(cards.sender_of(ping, SENDER), cards.own)
        cards.become(contact(0, host="10.9.9.9"))
        self.assertEqual(cards.sender_of(ping, SENDER), contact(0, host=SENDER.host))

    def test_nobody(self) -> None:
        """Who cannot be on this ring is left out of lists."""
        card = CARDS.write(contact(1))
        for wrong in (
            Card(card.key, "10.0.0.1", 1, 1, "2a"),
            Card(card.key, "example.org", 1, 1),
            Card(card.key, "fe80::1%eth0", 1, 1),
            Card("+" + card.key[1:], "10.0.0.1", 1, 1),
        ):
            self.assertRaises(ValueError, CARDS.read, wrong, SENDER)
            self.assertEqual(CARDS.read_all([wrong, CARDS.write(contact(2))], SENDER), (contact(2),))

    def test_no_sender(self) -> None:
        """Nor has it sent anything."""
        card = CARDS.write(OWN)
        for wrong in (
            Card("+" + card.key[1:], None, 1, 1),
            Card(card.key, None, 1, 1, "2a"),
            Card(card.key, "::", 1, 1),
        ):
            self.assertIsNone(CARDS.sender_of(RingPing(**ENVELOPE | {"origin": wrong}), SENDER))
