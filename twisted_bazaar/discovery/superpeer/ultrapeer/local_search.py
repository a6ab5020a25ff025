"""Local search: looks up what a query asks for in the lists of a super peer's own leaves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from heapq import nsmallest
from typing import Any, Final

from twisted.python.failure import Failure

from twisted_bazaar.discovery.index.directory.catalogue import Title
from twisted_bazaar.discovery.index.directory.directory import Directory, Steps
from twisted_bazaar.discovery.index.directory.leases import Lister
from twisted_bazaar.discovery.index.messages import Busy, File
from twisted_bazaar.discovery.index.scheduling.time_slicing import TimeSlicer
from twisted_bazaar.discovery.superpeer.messages import MOST_FOUND, Found, Query
from twisted_bazaar.errors import LinkClosed
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.values.files import FileQuery

# A fraction of a millisecond: so much is done for each question as it comes. What takes longer takes turns.
_LOOKED_AT_ONCE: Final = 64
# Each may have as many holders as there are leaves.
_FEW_TITLES: Final = 4
# Of several files each is named before any of them is named with everybody who has it.
_FIRST_HOLDERS: Final = 8
# Who asks for those on this machine gets to them by this machine's address: all are named that take connections.
_HERE: Final = Address("127.0.0.1", 0)
_NOBODY: Final = ""

Tell = Callable[[Sequence[Found] | None], None]


class LocalSearch:
    """Answers queries from a directory, without letting any of them hold up the others.

    @param directory: the lists.
    @param reactor: time and timers.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, directory: Directory, reactor: Any) -> None:
        self._directory = directory
        self._turns = TimeSlicer(reactor)

    def stop(self) -> None:
        """Cancel all searches."""
        self._turns.stop()

    def search(
        self, query: Query, most: int, owner: Hashable, tell: Tell, asker: str = _NOBODY, host: str | None = None
    ) -> None:
        """Look up a query.

        @param most: no more hits than these.
        @param owner: who waits while something else of its own is being looked for.
        @param tell: called once with what was found, at once if that takes no time; with None if too many
            questions of this owner's are waiting.
        @param asker: the key of the leaf that asks, which is not named to itself.
        @param host: whom the time that it takes is charged to; the owner if not given.
        """
        if query.item is not None or query.seller is not None:
            tell(self._sellers(query, most, asker))
            return
        if query.words is None:
            titles = self._directory.exact_matches(query.name, query.digest)
            if len(titles) <= _FEW_TITLES:
                tell(self._at_once(titles, most, asker))
                return
        steps = self._files(query, most, asker)
        if not self._turns.is_waiting(owner):
            try:
                next(steps)
            except StopIteration as end:
                tell(end.value)
                return
        looking: Any = self._turns.submit(owner, steps, host)
        looking.addErrback(_told_busy)
        looking.addCallback(tell)
        looking.addErrback(lambda failure: failure.trap(LinkClosed))
        looking.addErrback(
            lambda failure: self.log.failure("a query could not be answered from the lists of weak peers", failure)
        )

    def forget(self, owner: Hashable) -> None:
        """Cancel the searches of an owner that has gone."""
        self._turns.forget(owner)

    def _sellers(self, query: Query, most: int, asker: str) -> Sequence[Found]:
        to = Peer(0, asker, _HERE)
        sellers = self._directory.sellers(query.bazaar, query.item, query.seller, most, to)
        return [_found(seller, 0, ()) for seller in sellers]

    def _at_once(self, titles: Collection[Title], most: int, asker: str) -> Sequence[Found]:
        named: list[tuple[Lister, File]] = []
        for title in titles:
            named += _held(title, self._directory.holders(title), asker, most)
            if len(named) >= most:
                break
        return _by_holder(named[:most])

    def _files(self, query: Query, most: int, asker: str) -> Steps[Sequence[Found]]:
        titles = self._directory.holdings(FileQuery(query.name, query.words, query.digest))
        first = most if query.words is None else _FIRST_HOLDERS
        named: list[tuple[Lister, File]] = []
        others: list[tuple[Lister, File]] = []
        for looked_at, title in enumerate(titles, 1):
            if title is not None:
                held = _held(title, self._directory.holders(title), asker, most)
                named += held[:first]
                if len(others) < most:
                    others += held[first:]
                if len(named) >= most:
                    break
            if looked_at % _LOOKED_AT_ONCE == 0:
                yield
        return _by_holder((named + others)[:most])


def _held(title: Title, holders: Sequence[tuple[Lister, bool]], asker: str, most: int) -> list[tuple[Lister, File]]:
    """A file, with those of its holders that can be named, and have least to do if there are too many."""
    near = [each for each in holders if each[0].is_there and each[0].is_open_here and each[0].peer.key != asker]
    if not near:
        return []
    if len(near) > most:
        near = nsmallest(most, near, key=lambda each: each[0].burden)
    digest = title.digest.hex()
    if len(near) == 1:
        [(lister, is_whole)] = near
        return [(lister, File(name=title.name, size=title.size, digest=digest, whole=is_whole))]
    part, whole = (File(name=title.name, size=title.size, digest=digest, whole=is_whole) for is_whole in (False, True))
    return [(lister, whole if is_whole else part) for lister, is_whole in near]


def _by_holder(held: Sequence[tuple[Lister, File]]) -> Sequence[Found]:
    """Files by the leaf that has them. A leaf that has left meanwhile is not named."""
    if len(held) == 1:
        [(lister, file)] = held
        return [_found(lister.peer, lister.load, (file,))] if lister.is_there else []
    files: dict[Lister, list[File]] = {}
    for lister, file in held:
        if lister.is_there:
            files.setdefault(lister, []).append(file)
    return [
        _found(lister.peer, lister.load, tuple(meant[at : at + MOST_FOUND]))
        for lister, meant in files.items()
        for at in range(0, len(meant), MOST_FOUND)
    ]


def _found(peer: Peer, load: int, files: tuple[File, ...]) -> Found:
    host = None if peer.address.is_local else peer.address.host
    return Found(id=peer.id, key=peer.key, port=peer.address.port, host=host, load=load, udp=peer.udp_port, files=files)


def _told_busy(failure: Failure) -> None:
    failure.trap(Busy)
