"""What tests of super peers begin with: whole nets of them on simulated machines, and weak peers played by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import count
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.raw_peer import RawPeer, link
from twisted_bazaar.discovery.superpeer.messages import MOST_TABLE_BITS, Query, QueryHit
from twisted_bazaar.discovery.superpeer.qrp.slot_set import write_slots
from twisted_bazaar.discovery.superpeer.qrp.tables import HASH_BITS, hash_of, tokens_of_file, tokens_of_item
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import Message


def digest_of(name: str) -> str:
    """The digest of a file that has its name as content."""
    return hashlib.sha256(name.encode()).hexdigest()


def file_of(name: str) -> dict[str, Any]:
    """The same file in a list."""
    return {"name": name, "size": len(name), "digest": digest_of(name)}


def slots_of(tokens: Sequence[str]) -> str:
    """Slots of a weak peer's table, as they are written."""
    return write_slots(sorted({hash_of(token) >> HASH_BITS - MOST_TABLE_BITS for token in tokens}))


class NetTestCase(SynchronousTestCase):
    """A net of super peers."""

    seed = 1

    def setUp(self) -> None:
        """Have machines."""
        self.network = SimulatedNetwork(self.seed)
        self.roles: dict[Node, SuperPeer] = {}
        self._ids = count(100)
        self._query_ids = count(1)

    def super_peer(self, *near: Node, host: str | None = None, given: Sequence[Address] = (), **options: Any) -> Node:
        """Start a super peer.

        @param near: those that it is given as neighbours.
        @param given: addresses that it is given beside them.
        """
        role = SuperPeer([*map(self.network.where_datagrams, near), *given], **options)
        machine = None if host is None else self.network.host(host)
        node = self.network.add_node(role, udp=True, host=machine, max_links=1_000)
        self.roles[node] = role
        return node

    def row(self, length: int, **options: Any) -> list[Node]:
        """Super peers of which each is linked to the one before."""
        nodes: list[Node] = []
        for _ in range(length):
            nodes.append(self.super_peer(*nodes[-1:], **options))
        self.settle()
        return nodes

    def settle(self) -> None:
        """Let neighbours find each other and tell their tables."""
        self.network.run(4.0)

    def weak_peer(self, node: Node, *names: str, goods: Sequence[str] = (), **keys: Any) -> RawPeer:
        """Let a weak peer be taken that has some files and goods, and say so in a table too."""
        peer = link(self.network, node, next(self._ids), port=4000, **keys)
        peer.tell("register", id=1)
        if names or goods:
            peer.tell("update", id=2, base=0, mark=1, add=[file_of(name) for name in names], offer=list(goods))
            tokens = [token for name in names for token in tokens_of_file(name, digest_of(name))]
            tokens += [token for item in goods for token in tokens_of_item("bazaar", item)]
            peer.tell("table", base=0, version=1, bits=MOST_TABLE_BITS, on=slots_of(tokens))
        self.network.run(0.05)
        return peer

    def ask(self, peer: RawPeer, most_s: float = 12.0, **keys: Any) -> list[str]:
        """Ask, wait for the end, and give the names of what was found, a seller's key for goods."""
        query_id = self.begin(peer, **keys)
        self.network.run_until(lambda: self.is_over(peer, query_id), most_s)
        return self.found(peer, query_id)

    def begin(self, peer: RawPeer, **keys: Any) -> str:
        """Ask; gives the id of the query."""
        query_id = f"{next(self._query_ids):032x}"
        peer.tell("query", **{"id": query_id, **keys})
        return query_id

    def is_over(self, peer: RawPeer, query_id: str) -> bool:
        """Whether nothing more comes for a query."""
        return any(end["id"] == query_id for end in peer.of_type("queryend"))

    def end_of(self, peer: RawPeer) -> dict[str, Any]:
        """The last end of a query."""
        return peer.of_type("queryend")[-1]

    def found(self, peer: RawPeer, query_id: str) -> list[str]:
        """The names of the files that have come for a query, or the keys of sellers."""
        names: list[str] = []
        for hit in peer.of_type("queryhit"):
            if hit["id"] == query_id:
                for each in hit["found"]:
                    names += [file["name"] for file in each.get("files", ())] or [each["key"]]
        return sorted(names)

    def datagrams(self, kind: type[Message]) -> list[Message]:
        """What super peers have sent each other of one kind."""
        return [message for _, _, message in self.network.datagrams if isinstance(message, kind)]

    @property
    def queries(self) -> int:
        """How many queries went between super peers."""
        return len(self.datagrams(Query))

    @property
    def hits(self) -> int:
        """How many parts of hits did."""
        return len(self.datagrams(QueryHit))
