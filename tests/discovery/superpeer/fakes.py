"""What tests of one super peer begin with: it stands on a fake node, among weak peers and neighbours that are words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.superpeer.nets import digest_of, slots_of
from twisted_bazaar.discovery.index.messages import File, Update
from twisted_bazaar.discovery.superpeer.messages import (
    MOST_TABLE_BITS,
    Found,
    Query,
    QueryEnd,
    QueryHit,
    Register,
    SuperHello,
    Table,
)
from twisted_bazaar.discovery.superpeer.qrp.tables import tokens_of_file
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.testing import FakeNode, deliver, deliver_datagram
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Message

M = TypeVar("M", bound=Message)


def query_id(number: int) -> str:
    """The id of a query."""
    return f"{number:032x}"


def place(number: int) -> Address:
    """Where a neighbour takes datagrams."""
    return Address(f"10.8.0.{number}", 9200)


def found_at(number: int, *names: str, host: str | None = "10.5.0.1") -> Found:
    """A weak peer somewhere, with some files."""
    files = tuple(File(name=name, size=len(name), digest=digest_of(name)) for name in names)
    return Found(id=number, key=f"{number:064x}", host=host, port=4000, files=files)


class SuperPeerTestCase(SynchronousTestCase):
    """A super peer on a fake node."""

    options: dict[str, Any] = {}

    def setUp(self) -> None:
        """Start it."""
        self.begin(**self.options)

    def begin(self, **options: Any) -> None:
        """Start one that knows nothing."""
        self.node = FakeNode()
        self.role = SuperPeer(**options)
        self.role.start(self.node)

    def neighbour(self, number: int, **keys: Any) -> Address:
        """Let a super peer say that it is there."""
        address = place(number)
        hello = SuperHello(id=500 + number, key=f"{500 + number:064x}", **{"neighbours": 3, **keys})
        deliver_datagram(self.role, hello, address)
        return address

    def leave(self, number: int) -> None:
        """Let it say that it goes."""
        hello = SuperHello(id=500 + number, key=f"{500 + number:064x}", leaving=True)
        deliver_datagram(self.role, hello, place(number))

    def weak_peer(self, node_id: int, *names: str, host: str = "10.0.0.9", **keys: Any) -> Peer:
        """Let a weak peer be linked and register, and list some files."""
        peer = self.node.link(node_id, host)
        self.role.peer_joined(peer)
        self.hear(node_id, Register(id=1, **keys))
        if names:
            files = tuple(File(name=name, size=len(name), digest=digest_of(name)) for name in names)
            self.hear(node_id, Update(id=2, base=0, mark=1, add=files))
        return peer

    def unlink(self, peer: Peer) -> None:
        """Let a weak peer's link go."""
        self.node.linked.remove(peer)
        self.role.peer_left(peer)

    def table(self, node_id: int, names: Sequence[str], base: int = 0, version: int = 1) -> None:
        """Let a weak peer tell its words."""
        tokens = [token for name in names for token in tokens_of_file(name, digest_of(name))]
        self.hear(node_id, Table(base=base, version=version, bits=MOST_TABLE_BITS, on=slots_of(tokens)))
        self.node.clock.advance(0)

    def hear(self, node_id: int, message: Message) -> None:
        """Let a message come over a link."""
        deliver(self.role, message, self.node.id, node_id)

    def hear_from(self, number: int, message: Message) -> None:
        """Let a datagram come from a neighbour."""
        deliver_datagram(self.role, message, place(number))

    def ask(self, node_id: int, number: int = 1, **keys: Any) -> None:
        """Let a weak peer ask."""
        self.hear(node_id, Query(id=query_id(number), **{"words": "film", **keys}))

    def told(self, node_id: int, kind: type[M]) -> list[M]:
        """What a weak peer has been told of one kind."""
        return [message for message, route in self.node.sent if route[-1] == node_id and isinstance(message, kind)]

    def ends(self, node_id: int) -> list[QueryEnd]:
        """Which ends of queries a weak peer has been told."""
        return self.told(node_id, QueryEnd)

    def codes(self, node_id: int) -> list[str]:
        """The codes of the errors that a weak peer has been told."""
        return [error.code for error in self.told(node_id, Error)]

    def names(self, node_id: int) -> list[str]:
        """The names of all files that a weak peer has been told of."""
        return [file.name for hit in self.told(node_id, QueryHit) for each in hit.found for file in each.files]

    def sent(self, kind: type[M]) -> list[tuple[M, Address]]:
        """What went by datagram, and where, since last asked."""
        datagrams, self.node.datagrams = self.node.datagrams, []
        return [(message, address) for message, address in datagrams if isinstance(message, kind)]

    def hit(self, number: int, *found: Found, answer: int = 1) -> QueryHit:
        """A hit for a query."""
        return QueryHit(id=query_id(number), answer=answer, found=found)
