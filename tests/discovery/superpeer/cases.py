"""What tests of weak peers have in common: files, super peers that are played by hand, and plain ones that work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed

from twisted_bazaar.discovery.index.directory.directory import LEASE_S, Directory, Steps
from twisted_bazaar.discovery.index.messages import File, Listed, Renew, Update
from twisted_bazaar.discovery.superpeer.messages import (
    Found,
    Other,
    Query,
    QueryEnd,
    QueryHit,
    Register,
    Registered,
    Table,
    Unregister,
)
from twisted_bazaar.discovery.superpeer.qrp.tables import RouteTable, hash_of, tokens_of_query
from twisted_bazaar.role import Role
from twisted_bazaar.values.addresses import Address, Origin, Peer
from twisted_bazaar.values.files import FileQuery, SharedFile

DIGEST: Final = "ab" * 32
OTHER_DIGEST: Final = "cd" * 32


def shared(name: str, digest: str = DIGEST, size: int = 1, is_whole: bool = True) -> SharedFile:
    """A file that is shared."""
    return SharedFile(name, size, digest, is_whole)


def found(
    node_id: int, *names: str, digest: str = DIGEST, host: str | None = "10.0.0.5", load: int = 0, **about: Any
) -> Found:
    """A hit: somebody with some files."""
    files = tuple(File(name=name, size=1, digest=digest, **about) for name in names)
    return Found(id=node_id, key=f"{node_id:064x}", port=9000, host=host, load=load, files=files)


def result_of(steps: Steps[Any]) -> Any:
    """What comes of work in steps."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class PlainSuperPeer(Role):
    """A super peer that knows nobody else, as plain as can be.

    @param most: how many weak peers it takes.
    @ivar others: whom it names.
    @ivar leaves: who has registered.
    @ivar tables: the table of each.
    @ivar unregistered: who has left politely.
    @ivar is_silent: whether it answers no questions.
    """

    is_self_numbered = True

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.others: tuple[Other, ...] = ()
        self.leaves: dict[int, Register] = {}
        self.tables: dict[int, RouteTable] = {}
        self.unregistered: list[int] = []
        self.queries: list[Query] = []
        self.is_silent = False
        self.directory = Directory()
        self.receives: Mapping[type[Any], Callable[[Any, Origin], None]] = {
            Register: self._register,
            Unregister: lambda _, origin: self.unregistered.append(origin.id),
            Renew: self._renew,
            Update: self._update,
            Table: lambda table, origin: self.tables[origin.id].apply_part(table),
            Query: self._query,
        }

    def stop(self) -> Deferred[None]:
        """There is nothing to end."""
        return succeed(None)

    def peer_left(self, peer: Peer) -> None:
        """Nothing of it is found any more."""
        if self.leaves.pop(peer.id, None) is not None:
            del self.tables[peer.id]
            self.directory.peer_left(peer.key, self.node.clock.seconds())

    def maybe(self, node_id: int, query: Query) -> bool:
        """Whether by its table a weak peer may have what is looked for."""
        return self.tables[node_id].may_have([hash_of(token) for token in tokens_of_query(query)])

    def _peer(self, origin: Origin) -> Peer:
        return next(peer for peer in self.node.peers() if peer.id == origin.id)

    def _register(self, message: Register, origin: Origin) -> None:
        is_taken = len(self.leaves) < self.most
        if is_taken:
            self.leaves[origin.id], self.tables[origin.id] = message, RouteTable(20)
        self.node.send(Registered(id=message.id, taken=is_taken, most=self.most, others=self.others), origin.route)

    def _renew(self, message: Renew, origin: Origin) -> None:
        mark = self.directory.renew(self._peer(origin), message.mark, message.load, self.node.clock.seconds())
        self._listed(message.id, mark, origin)

    def _update(self, message: Update, origin: Origin) -> None:
        self._listed(message.id, self.directory.update(self._peer(origin), message, self.node.clock.seconds()), origin)

    def _listed(self, number: int, mark: int, origin: Origin) -> None:
        most = self.directory.most_a_peer
        self.node.send(Listed(id=number, mark=mark, most=most, lease=int(LEASE_S)), origin.route)

    def _query(self, query: Query, origin: Origin) -> None:
        self.queries.append(query)
        if self.is_silent:
            return
        hits = [*self._sellers(query, origin), *self._holders(query, origin)]
        if hits:
            self.node.send(QueryHit(id=query.id, answer=self.node.id, found=tuple(hits)), origin.route)
        self.node.send(QueryEnd(id=query.id, hits=len(hits), reached_all=True), origin.route)

    def _sellers(self, query: Query, origin: Origin) -> list[Found]:
        if query.item is None and query.seller is None:
            return []
        peers = self.directory.sellers(query.bazaar, query.item, query.seller, 50, self._peer(origin))
        return [Found(each.id, each.key, each.address.port, each.address.host) for each in peers]

    def _holders(self, query: Query, origin: Origin) -> list[Found]:
        if query.item is not None or query.seller is not None:
            return []
        asker = self._peer(origin)
        page = result_of(self.directory.find(FileQuery(query.name, query.words, query.digest), asker))
        hits = []
        for file in page.files:
            for source in result_of(self.directory.sources(file.digest, 50, asker)):
                listed = File(name=file.name, size=file.size, digest=file.digest, whole=source.is_whole)
                address: Address = source.address
                hits.append(
                    Found(source.id, source.key, address.port, address.host, source.load, source.udp, (listed,))
                )
        return hits
