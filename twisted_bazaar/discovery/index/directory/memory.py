"""The directory of an index server in its own memory: L{Directory}, given time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from twisted_bazaar.discovery.index.directory.directory import Counts, Directory, Steps
from twisted_bazaar.discovery.index.directory.store import IDirectory
from twisted_bazaar.discovery.index.messages import File, Update
from twisted_bazaar.discovery.index.scheduling.time_slicing import TimeSlicer
from twisted_bazaar.errors import LinkClosed
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.files import FileQuery, FileSource, Page

_LOOK_S: Final = 1.0
# Who lists much does it in a moment, and is not to be held up by what can be done after it.
_PAUSE_S: Final = 1.0

T = TypeVar("T")


@implementer(IDirectory)
class MemoryDirectory:
    """Keeps everything in memory.

    @param directory: all that is known; nothing if not given.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, directory: Directory | None = None) -> None:
        self._directory = directory or Directory()
        self.lease_s: float = self._directory.lease_s
        self.most_a_peer: int = self._directory.most_a_peer
        self._is_running = False

    def start(self, reactor: Any) -> None:
        """Begin."""
        self._reactor = reactor
        self._turns = TimeSlicer(reactor)
        self._looking = Timer(reactor, self._look)
        self._working = Timer(reactor, self._begin_work)
        self._is_running = True
        self._looking.set(_LOOK_S)

    def stop(self) -> Deferred[None]:
        """End every timer; who waits for an answer is told."""
        if self._is_running:
            self._is_running = False
            self._looking.cancel()
            self._working.cancel()
            self._turns.stop()
        return succeed(None)

    def renew(self, peer: Peer, mark: int, load: int) -> Deferred[int]:
        """Believe a peer's list for another lease."""
        return self._do(peer, lambda: self._directory.renew(peer, mark, load, self._now()))

    def update(self, peer: Peer, update: Update) -> Deferred[int]:
        """Change a peer's list."""
        doing = self._turns.submit(peer.key, self._update(peer, update), peer.network)
        self._work_later()
        return doing

    def add(self, peer: Peer, file: File) -> Deferred[int]:
        """List one file."""
        return self._do(peer, lambda: self._directory.add(peer, file, self._now()))

    def remove(self, peer: Peer, name: str) -> Deferred[int]:
        """List a file no more."""
        return self._do(peer, lambda: self._directory.remove(peer, name, self._now()))

    def peer_left(self, peer: Peer) -> Deferred[None]:
        """Remove a peer's list: nothing of it is found any more."""
        # A change that waits would bring it back.
        self._turns.forget(peer.key)
        self._directory.peer_left(peer.key, self._now())
        self._work_later()
        return succeed(None)

    def find(self, query: FileQuery, asker: Peer) -> Deferred[Page]:
        """Look for files."""
        self._expire()
        return self._turns.submit(asker.key, self._directory.find(query, asker), asker.network)

    def sources(self, digest: str, most: int, asker: Peer) -> Deferred[Sequence[FileSource]]:
        """Find the sources of a file."""
        self._expire()
        return self._turns.submit(asker.key, self._directory.sources(digest, most, asker), asker.network)

    def sellers(
        self, bazaar: str, item: str | None, key: str | None, most: int, asker: Peer
    ) -> Deferred[Sequence[Peer]]:
        """Find sellers of an item, or the seller with a key."""
        self._expire()
        return self._do(asker, lambda: self._directory.sellers(bazaar, item, key, most, asker))

    def counts(self) -> Deferred[Counts]:
        """The sizes of the directory."""
        return succeed(self._directory.counts)

    def _now(self) -> float:
        return float(self._reactor.seconds())

    def _update(self, peer: Peer, update: Update) -> Steps[int]:
        yield from self._directory.catch_up(update)
        return self._directory.update(peer, update, self._now())

    def _do(self, peer: Peer, change: Callable[[], T]) -> Deferred[T]:
        """Make a change in one step, after all earlier work for the same peer."""
        doing = self._turns.submit(peer.key, _one_step(change), peer.network)
        self._work_later()
        return doing

    def _look(self) -> None:
        """Expire leases, every now and then."""
        self._looking.set(_LOOK_S)
        self._expire()
        self._work_later()

    def _expire(self) -> None:
        """Drop the lists whose leases have expired, also when this process has stood still meanwhile."""
        self._directory.expire(self._now())

    def _work_later(self) -> None:
        """Index and clear some more after a while; a search for words before then has it done at once."""
        is_to_come = self._working.is_set or self._turns.is_waiting(None)
        if self._is_running and self._directory.has_backlog and not is_to_come:
            self._working.set(_PAUSE_S)

    def _begin_work(self) -> None:
        working = self._turns.submit(None, self._work())
        working.addErrback(lambda failure: failure.trap(LinkClosed))
        working.addErrback(lambda failure: self.log.failure("clearing and indexing in the directory failed", failure))
        working.addCallback(lambda _: self._work_later())

    def _work(self) -> Steps[None]:
        while self._directory.has_backlog:
            yield
            self._directory.run_backlog()


def _one_step(do: Callable[[], T]) -> Steps[T]:
    return do()
    yield
