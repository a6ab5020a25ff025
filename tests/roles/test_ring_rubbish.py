"""Whatever an object with the keys of a ring's messages holds, a member that keeps files takes no harm by it."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import examples
from tests.discovery.ring.attacks import owned
from tests.raw_datagram import RawSocket
from tests.roles.test_ring_peer import PeersTestCase
from twisted_bazaar.discovery.ring.storage.entry import VALUES
from twisted_bazaar.discovery.ring.storage.fragments import name_of
from twisted_bazaar.roles.ring_peer import RingPeer

_LARGEST: Final = 2**53 - 1
_DIGITS: Final = "0123456789abcdef"
_KEY: Final = "A" * 43


def digits(*lengths: int) -> st.SearchStrategy[str]:
    """Hexadecimal digits, so many."""
    return st.sampled_from(lengths).flatmap(lambda length: st.text(_DIGITS, min_size=length, max_size=length))


def mostly(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What may stand there, or now and then anything."""
    return st.integers(0, 9).flatmap(lambda number: right if number else anything)


hosts = st.sampled_from(
    [None, "10.0.0.1", "10.0.0.2", "10.9.9.9", "127.0.0.1", "::1", "255.255.255.255", "nowhere", ""]
)
ports = st.sampled_from([0, 1, 9_001, 65_535, 65_536, -1])
cards = st.tuples(st.sampled_from([_KEY, "_" * 43, "", "B" * 43]), hosts, ports, ports) | st.tuples(
    st.just(_KEY), hosts, ports, ports, digits(1, 16, 40)
)
right_cards = st.tuples(st.sampled_from([_KEY, "_" * 43]), st.just(None), st.just(1), st.just(0))
named_cards = st.tuples(
    st.sampled_from([_KEY, "B" * 43]), st.sampled_from(["10.0.0.1", "10.9.9.9", "::1"]), st.just(9_001), st.just(1)
)
numbers = st.integers(-2, 10) | st.sampled_from([-_LARGEST, 719, 720, 65_536, _LARGEST, _LARGEST + 1, 2**70, 0.5])
texts = st.text(max_size=30) | st.sampled_from([VALUES, "file", "x", "kept", "part", "older", "", "\u202e", "\x00"])
listed = st.lists(digits(16) | numbers | st.booleans(), max_size=5)
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts | digits(1, 15, 16, 17, 32, 64) | cards | listed,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=6,
)


class RubbishTests(PeersTestCase):
    """Two members that keep a file and a value, and somebody who says anything."""

    def setUp(self) -> None:
        """Have them."""
        super().setUp()
        self.nodes = self.ring(2)
        self.ask(self.nodes[0], "ring.put", name="x", value="right")
        self.victim = self.nodes[1]
        self.own = self.peers[self.victim].member.ring.to_wire(self.peers[self.victim].member.own.id)
        self.stranger = RawSocket(self.network, self.victim)
        self.show()

    def tearDown(self) -> None:
        """Nothing is left."""
        transport: Any = self.stranger.transport
        transport.stopListening()
        super().tearDown()

    def show(self) -> None:
        """Show that the stranger is at its address; from time to time, as cookies get old."""
        self.cookie = self.stranger.cookie(self.network)
        self.shown_at = self.network.seconds()

    def standing(self) -> list[Any]:
        """All that is not to change."""
        return [
            (
                peer.member.is_member,
                peer.member.stabilization.predecessor,
                peer.member.stabilization.successors,
                [entry.text for entry in peer.dht.store],
                len(peer.kept),
                peer.kept.size_bytes,
            )
            for peer in self.peers.values()
        ]

    def messages(self) -> st.SearchStrategy[dict[str, Any]]:
        """Objects of each type that a member takes, with its keys and whatever under them."""
        entry = owned(5, "y")
        right: dict[str, st.SearchStrategy[Any]] = {
            "source": digits(16) | st.just(self.own),
            "destination": st.sampled_from(["", self.own]),
            "stamp": st.integers(0, _LARGEST),
            "origin": right_cards,
            "about": named_cards,
            "you": st.tuples(st.just("10.9.9.9"), st.just(9_001)),
            "predecessor": named_cards,
            "digest": digits(64),
            "text": st.sampled_from(["{}", "", entry.text[:-1], entry.text.replace("y", "z", 1)]),
            "whole": st.sampled_from([name_of("{}"), name_of(entry.text)]) | digits(32),
            "bits": st.sampled_from([8, 64]),
            "outcome": st.sampled_from(["part", "kept", "older"]),
            "space": st.sampled_from([VALUES, "file"]),
            "name": st.sampled_from(["x", "y"]),
        }
        for key in ("place", "tag", "after"):
            right[key] = digits(16)
        for key in ("low", "high", "position", "until", "total"):
            right[key] = digits(32)
        for key in ("successors", "before", "beyond"):
            right[key] = st.lists(named_cards, max_size=4)
        right["after"] |= st.lists(named_cards, max_size=4)
        for key in ("member", "next", "own", "same", "more"):
            right[key] = st.booleans()
        for key in ("part", "parts", "left", "version"):
            right[key] = st.integers(0, 3)

        def of_kind(kind: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
            config: Any = kind.__struct_config__
            fields = msgspec.structs.fields(kind)
            keys = {each.encode_name: mostly(right.get(each.encode_name, anything)) for each in fields}
            needed = {each.encode_name: keys.pop(each.encode_name) for each in fields if each.required}
            return st.fixed_dictionaries({"type": st.just(config.tag), **needed}, optional=keys)

        kinds: list[Any] = sorted(RingPeer().datagrams, key=lambda kind: kind.__name__)
        return st.sampled_from(kinds).flatmap(of_kind)

    def test_anything(self) -> None:
        """No object with the keys of any message, whatever stands under them, meets with an error, is kept, or changes
        who is whose neighbour."""
        before = self.standing()

        @examples(300, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(st.lists(self.messages(), min_size=1, max_size=12))
        def say(messages: list[dict[str, Any]]) -> None:
            if self.network.seconds() - self.shown_at > 20.0:
                self.show()
            for message in messages:
                data = json.dumps({**message, "cookie": self.cookie}, separators=(",", ":")).encode()
                if len(data) <= 1_200:
                    self.stranger.put(data)
            self.network.run(0.05)
            self.assertEqual(self.faults(), [0, 0])
            self.assertEqual(self.flushLoggedErrors(), [])
            self.assertEqual(self.standing(), before)

        say()
        self.network.run(20.0)
        self.assertEqual((self.faults(), self.flushLoggedErrors(), self.standing()), ([0, 0], [], before))
        self.assertEqual([row["value"] for row in self.ask(self.nodes[1], "ring.get", name="x")], ["right"])

    def faults(self) -> list[int]:
        """How often each has met with an error of its own."""
        return [node.datagrams.counts["faults"] for node in self.nodes]

    def test_taken(self) -> None:
        """Very many of these are read, and not refused before they come to a member."""
        heard: list[type] = []
        peer, victim = self.peers[self.victim], self.victim
        for kind, take in list(peer.member.datagrams.items()):
            peer.member.datagrams[kind] = partial(_note, heard, take)
        victim.datagrams.register_receivers(peer.datagrams)

        @settings(max_examples=150, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(self.messages())
        def say(message: dict[str, Any]) -> None:
            self.stranger.put(json.dumps({**message, "cookie": self.cookie}, separators=(",", ":")).encode()[:1_200])
            self.network.run(0.01)

        say()
        self.assertGreater(len(heard), 20)
        self.assertGreater(len(set(heard)), len(peer.datagrams) // 2)


def _note(heard: list[type], take: Any, message: Any, address: Any, key: str | None) -> None:
    heard.append(type(message))
    take(message, address, key)
