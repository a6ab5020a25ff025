"""The directory of several index servers in PostgreSQL: peers of each are found by those of all.

A peer is believed while its lease lasts by the database's clock, whichever server it is linked to. What is left of
those who have gone is cleared in small batches by whoever sees it. What lists weigh is counted in the database, over
all servers; the time of the connections of each server is shared by host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.database.postgresql import PATIENCE_S, Database, Kind
from twisted_bazaar.database.schema_migrations import read_steps
from twisted_bazaar.discovery.index.directory.directory import LEASE_S, MOST_A_PEER, MOST_BYTES, Counts
from twisted_bazaar.discovery.index.directory.store import IDirectory
from twisted_bazaar.discovery.index.messages import File, Update
from twisted_bazaar.discovery.index.postgres.lists import Lists, is_plain
from twisted_bazaar.discovery.index.postgres.questions import Questions
from twisted_bazaar.discovery.index.postgres.workers import Worker
from twisted_bazaar.errors import LinkClosed, PeerError, StorageError
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.files import FileQuery, FileSource, Page

_FORMS_LOCK: Final = 0x627A6978_666F726D
_LOOK_S: Final = 1.0
# Between two batches, so that others come to their turn.
_BETWEEN_S: Final = 0.05
# The name of a process among those that have been; the database makes it, and nobody has to keep it.
_NEW_SERVER: Final = "SELECT gen_random_uuid()::text"

T = TypeVar("T")


@implementer(IDirectory)
class PostgresDirectory:
    """Keeps everything in a database that several servers share.

    The changes of one peer are made in the order in which they come; questions do not wait for them.

    @param url: see L{Database}.
    @param most_bytes: what all lists in the database may weigh; the same for all servers.
    @raise UsageError: psycopg is not installed, or the URL is none.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        url: str,
        lease_s: float = LEASE_S,
        most_a_peer: int = MOST_A_PEER,
        patience_s: float = PATIENCE_S,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.lease_s = lease_s
        self.most_a_peer = most_a_peer
        self._most_bytes = most_bytes
        forms = read_steps(files("twisted_bazaar.discovery.index.schema"))
        kind = Kind("directory", "twisted_bazaar_index", _FORMS_LOCK, forms, is_soft=True)
        # What takes long is not to stand before what does not.
        self._changes, self._questions, self._searches = (Database(url, kind, patience_s) for _ in range(3))
        self._server: str | None = None
        self._is_stopped = False

    def check(self) -> None:
        """See whether the database can be used, before there is a reactor.

        @raise UsageError: it cannot; the text says why.
        """
        self._changes.check()

    def start(self, reactor: Any) -> None:
        """Begin."""
        for database in (self._changes, self._questions, self._searches):
            database.open(reactor)
        self._workers = {each: Worker(reactor) for each in (self._changes, self._questions, self._searches)}
        self._looking = Timer(reactor, self._look)
        self._looking.set(_LOOK_S)

    def stop(self) -> Deferred[None]:
        """End when everything begun is done; fires then."""
        self._is_stopped = True
        self._looking.cancel()
        for worker in self._workers.values():
            worker.stop()
        # Each closes when what it is at work on is done.
        return gatherResults([database.close() for database in self._workers]).addCallback(lambda _: None)

    def renew(self, peer: Peer, mark: int, load: int) -> Deferred[int]:
        """Believe a peer's list for another lease."""
        return self._change(peer, lambda lists: lists.renew(peer, mark, load))

    def update(self, peer: Peer, update: Update) -> Deferred[int]:
        """Change a peer's list."""
        if not is_plain(update.bazaar):
            return fail(PeerError("bazaar: a control character in the name"))
        return self._change(peer, lambda lists: lists.update(peer, update))

    def add(self, peer: Peer, file: File) -> Deferred[int]:
        """List one file."""
        return self._change(peer, lambda lists: lists.add(peer, file))

    def remove(self, peer: Peer, name: str) -> Deferred[int]:
        """List a file no more."""
        return self._change(peer, lambda lists: lists.remove(peer, name))

    def peer_left(self, peer: Peer) -> Deferred[None]:
        """A peer's link is gone: nothing of it is found any more, unless it is linked to another server."""
        # What waits is of no use any more; and what comes over its next link comes after this.
        for worker in self._workers.values():
            worker.forget(peer.key)
        leaving = self._change(peer, lambda lists: lists.peer_left(peer.key))
        # When this server stops, leases end by themselves.
        return leaving.addErrback(lambda failure: failure.trap(LinkClosed) and None)

    def find(self, query: FileQuery, asker: Peer) -> Deferred[Page]:
        """Look for files."""
        is_quick = query.name is not None or query.digest is not None
        database = self._questions if is_quick else self._searches
        return self._run(asker, database, lambda connection: Questions(connection).find(query, asker))

    def sources(self, digest: str, most: int, asker: Peer) -> Deferred[Sequence[FileSource]]:
        """Find the sources of a file."""
        return self._ask(asker, lambda questions: questions.sources(digest, most, asker))

    def sellers(
        self, bazaar: str, item: str | None, key: str | None, most: int, asker: Peer
    ) -> Deferred[Sequence[Peer]]:
        """Find sellers of an item, or the seller with a key."""
        return self._ask(asker, lambda questions: questions.sellers(bazaar, item, key, most, asker))

    def counts(self) -> Deferred[Counts]:
        """The sizes of the directory."""
        return self._do(None, None, self._searches, lambda connection: Questions(connection).counts())

    def _change(self, peer: Peer, change: Callable[[Lists], T]) -> Deferred[T]:
        return self._run(peer, self._changes, lambda connection: change(self._lists(connection)))

    def _ask(self, asker: Peer, ask: Callable[[Questions], T]) -> Deferred[T]:
        return self._run(asker, self._questions, lambda connection: ask(Questions(connection)))

    def _run(self, peer: Peer, database: Database, work: Callable[[Any], T]) -> Deferred[T]:
        return self._do(peer.key, peer.network, database, work)

    def _do(self, owner: str | None, host: str | None, database: Database, work: Callable[[Any], T]) -> Deferred[T]:
        """Do something in the database, in a fair turn."""
        return self._workers[database].submit(owner, lambda: database.run(work), host)

    def _lists(self, connection: Any) -> Lists:
        """In the thread: the lists, as this process sees them."""
        if self._server is None:
            [self._server] = connection.execute(_NEW_SERVER).fetchone()
        assert self._server is not None, "the database has made one"
        return Lists(connection, self._server, self.lease_s, self.most_a_peer, self._most_bytes)

    def _look(self) -> None:
        """Drop lists whose leases have expired."""
        looking = self._do(None, None, self._changes, lambda connection: self._lists(connection).expire())
        looking.addErrback(self._not_looked)
        looking.addCallback(lambda has_more: self._look_in(_BETWEEN_S if has_more else _LOOK_S))

    def _not_looked(self, failure: Failure) -> bool:
        # Who asks something else is told, and tells the log.
        if failure.check(StorageError, LinkClosed) is None:
            self.log.failure("expired lists could not be removed from the directory", failure)
        return False

    def _look_in(self, seconds: float) -> None:
        if not self._is_stopped:
            self._looking.set(seconds)
