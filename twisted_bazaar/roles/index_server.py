"""The index server: gives each peer its number, lists what they have, and tells who has what.

It carries no searches, no sales and no files. Its state is soft: peers tell it again what it has lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.byte_budget import MIB
from twisted_bazaar.discovery.index.directory.directory import LEASE_S, MOST_A_PEER, MOST_BYTES, Counts, Directory
from twisted_bazaar.discovery.index.directory.memory import MemoryDirectory
from twisted_bazaar.discovery.index.directory.store import IDirectory
from twisted_bazaar.discovery.index.messages import (
    AddFile,
    Busy,
    File,
    FindFiles,
    FindSellers,
    FindSources,
    FoundFiles,
    FoundSellers,
    FoundSources,
    Hit,
    Listed,
    RemoveFile,
    Renew,
    Seller,
    Source,
    Update,
)
from twisted_bazaar.discovery.index.scheduling.pending import PendingRequests, limit_of_questions
from twisted_bazaar.errors import NotNow, PeerError, StorageError, UsageError
from twisted_bazaar.interfaces import Command, INode, IRegistrar, Receivers
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.role import Role
from twisted_bazaar.roles.commands.members import members_commands
from twisted_bazaar.roles.goods import at_least, parse_memory, parse_seconds
from twisted_bazaar.roles.node_ids import LIMITS, MANY_OBJECTS, NodeIds
from twisted_bazaar.settings.endpoints import UsualPort
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Origin, Peer
from twisted_bazaar.values.files import FileQuery, FileSource, Page
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Message

# A lease that is shorter costs more words than it is worth; a longer one names the dead for too long.
_LEASES_S: Final = (3.0, 55.0)
_FAULTS_TOLD_A_MINUTE: Final = 5


def _parse_lease(text: str, option: str) -> float:
    lease_s = parse_seconds(text, option)
    least, longest = _LEASES_S
    if not least <= lease_s <= longest:
        raise UsageError(f"{option} {text!r}: takes {least:g} to {longest:g} seconds")
    return lease_s


OPTIONS: Final = (
    Option(
        "directory",
        "Where the lists are kept: several servers share those at one postgresql://... URL.",
        "URL",
        shown="in memory",
    ),
    Option(
        "list-memory",
        "How many MiB all lists may take, also in a database.",
        "MIB",
        f"{MOST_BYTES // MIB}",
        read=parse_memory,
    ),
    Option("most-files-a-peer", "How many files and goods one peer may list.", "N", f"{MOST_A_PEER}", read=at_least(1)),
    Option(
        "lease",
        "How many seconds a peer stays listed that says nothing more.",
        "SECONDS",
        f"{LEASE_S:g}",
        read=_parse_lease,
    ),
    Option("verbose", "Tell of each peer that comes or goes.", short="v"),
)
"""The options of an index server."""
LISTEN: Final = UsualPort.INDEX_SERVER.to_listen
EXAMPLE: Final = "--listen tcp:9100"


@implementer(IRegistrar)
class IndexServer(Role):
    """A directory of files and goods.

    @param directory: where it is kept; in memory if not given.
    @param verbose: whether the log tells of each peer that comes or goes.
    """

    log: Final = limited_logger(__name__)
    limits = LIMITS
    collect_after: int | None = MANY_OBJECTS

    def __init__(self, directory: IDirectory | None = None, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self.directory: IDirectory = directory or MemoryDirectory()
        self._rate_limits = limit_of_questions()
        self._faults_told = RateLimit.a_minute(_FAULTS_TOLD_A_MINUTE)
        self._is_stopped = False
        self.receives: Receivers = {
            AddFile: self._file_added,
            RemoveFile: self._file_removed,
            Update: self._updated,
            Renew: self._renewed,
            FindFiles: self._files_sought,
            FindSources: self._sources_sought,
            FindSellers: self._sellers_sought,
        }
        self.commands: Mapping[str, Command] = {
            "status": lambda request: self.directory.counts().addCallback(self._tell_status)
        }

    def start(self, node: INode) -> None:
        """Begin; nothing is linked yet."""
        super().start(node)
        self._node_ids = NodeIds(node.rng)
        self.commands = {**members_commands(self._node_ids, "index server"), **self.commands}
        self._pending = PendingRequests(node.clock, lambda peer: node.is_behind(peer.id))
        self.directory.start(node.clock)

    def stop(self) -> Deferred[None]:
        """Answer no more."""
        self._is_stopped = True
        self._pending.stop()
        return self.directory.stop()

    def assign_id(self, key: str, claimed: int) -> int:
        """The number of the peer that just greeted: its old one if it had one and it is free."""
        return self._node_ids.assign_id(key, claimed, self.node.clock.seconds())

    def peer_joined(self, peer: Peer) -> None:
        """A peer is there; what it has is for it to say."""
        self._node_ids.id_taken(peer, self.node.clock.seconds())
        self._tell("joined", "node {id} joined from {address}", id=peer.id, address=str(peer.address))

    def peer_left(self, peer: Peer) -> None:
        """A peer has gone, and is named to nobody any more."""
        now = self.node.clock.seconds()
        if not self._node_ids.id_freed(peer, now):
            return
        self._rate_limits.forget(peer.key)
        self._pending.forget(peer)
        leaving = self.directory.peer_left(peer)
        leaving.addErrback(self._directory_failed)
        leaving.addErrback(
            lambda failure: self.log.failure(
                "the list of node {id}, which has left, could not be removed", failure, id=peer.id
            )
        )
        self._tell("left", "node {id} left", id=peer.id)

    # What peers list.

    def _file_added(self, message: AddFile, origin: Origin) -> None:
        file = File(name=message.name, size=message.size, digest=message.digest, whole=message.whole)
        self._do(message, origin, lambda peer: self.directory.add(peer, file), self._listed)

    def _file_removed(self, message: RemoveFile, origin: Origin) -> None:
        self._do(message, origin, lambda peer: self.directory.remove(peer, message.name), self._listed)

    def _updated(self, message: Update, origin: Origin) -> None:
        self._do(message, origin, lambda peer: self.directory.update(peer, message), self._listed)

    def _renewed(self, message: Renew, origin: Origin) -> None:
        self._do(message, origin, lambda peer: self.directory.renew(peer, message.mark, message.load), self._listed)

    def _listed(self, mark: int, message_id: int) -> Message:
        return Listed(id=message_id, mark=mark, most=self.directory.most_a_peer, lease=int(self.directory.lease_s))

    # What they ask.

    def _files_sought(self, message: FindFiles, origin: Origin) -> None:
        query = FileQuery(message.name, message.words, message.digest, message.after, message.most, message.owner)
        self._ask(message, origin, lambda peer: self.directory.find(query, peer), _found_files)

    def _sources_sought(self, message: FindSources, origin: Origin) -> None:
        self._ask(
            message, origin, lambda peer: self.directory.sources(message.digest, message.most, peer), _found_sources
        )

    def _sellers_sought(self, message: FindSellers, origin: Origin) -> None:
        self._ask(
            message,
            origin,
            lambda peer: self.directory.sellers(message.bazaar, message.item, message.seller, message.most, peer),
            _found_sellers,
        )

    def _ask(
        self,
        message: Any,
        origin: Origin,
        look: Callable[[Peer], Deferred[Any]],
        answer: Callable[[Any, int], Message],
    ) -> None:
        """Answer a question, unless this peer asks too many."""
        peer = self._node_ids.holders.get(origin.id)
        if peer is not None and not self._rate_limits.allow(peer.key, self.node.clock.seconds()):
            self.node.send(Error.telling(Busy("too many questions; ask fewer a second"), message), origin.route)
            return
        self._do(message, origin, look, answer)

    def _do(
        self,
        message: Any,
        origin: Origin,
        look: Callable[[Peer], Deferred[Any]],
        answer: Callable[[Any, int], Message],
    ) -> None:
        """Do what a message asks for, and send what comes of it.

        @raise Busy: too much is waiting.
        """
        peer = self._node_ids.holders.get(origin.id)
        if peer is None or self._is_stopped:
            # It has left, and this came by a link that another had taken the place of.
            return

        def begin() -> Deferred[Any]:
            doing: Deferred[Any] = look(peer).addCallback(answer, message.id)
            doing.addErrback(self._refusal, message)
            doing.addCallback(self.node.send, origin.route)
            return doing.addErrback(
                lambda failure: self.log.failure(
                    "a {name} of node {id} could not be answered", failure, name=message.wire_name, id=peer.id
                )
            )

        self._pending.submit(peer, message, begin)

    def _refusal(self, failure: Failure, message: Message) -> Message:
        if failure.check(StorageError):
            self._directory_failed(failure)
            return Error.telling(NotNow("the directory cannot be read or written; ask again"), message)
        failure.trap(PeerError)
        assert isinstance(failure.value, PeerError), "it was just trapped"
        return Error.telling(failure.value, message)

    def _directory_failed(self, failure: Failure) -> None:
        failure.trap(StorageError)
        if self._faults_told.allow(self.node.clock.seconds()):
            self.log.error("the directory cannot be read or written: {reason}", reason=failure.getErrorMessage())

    def _tell(self, event: str, sentence: str, **details: Any) -> None:
        # Strangers are not to fill the log.
        self.node.report(event, sentence if self._verbose else None, **details)

    def _tell_status(self, counts: Counts) -> dict[str, Any]:
        return {
            "role": "index_server",
            "peers": counts.peers,
            "files": counts.files,
            "entries": counts.entries,
            "goods": counts.goods,
            "words": counts.words,
        }


def _found_files(page: Page, message_id: int) -> Message:
    hits = tuple(
        Hit(name=file.name, size=file.size, digest=file.digest, sources=file.sources, partial=file.partial)
        for file in page.files
    )
    return FoundFiles(id=message_id, files=hits, total=page.total, next=page.next)


def _found_sources(sources: list[FileSource], message_id: int) -> Message:
    named = tuple(
        Source(
            id=each.id,
            key=each.key,
            host=each.address.host,
            port=each.address.port,
            whole=each.is_whole,
            load=each.load,
            udp=each.udp,
        )
        for each in sources
    )
    return FoundSources(id=message_id, sources=named)


def _found_sellers(sellers: list[Peer], message_id: int) -> Message:
    named = tuple(Seller(id=each.id, key=each.key, host=each.address.host, port=each.address.port) for each in sellers)
    return FoundSellers(id=message_id, sellers=named)


def make_role(options: OptionValues, context: RoleContext) -> IndexServer:
    """Make an index server from its options.

    @raise UsageError: one of them cannot be read.
    """
    lease_s, most, budget = options["lease"], options["most-files-a-peer"], options["list-memory"]
    url: str | None = options["directory"]
    verbose = options["verbose"]
    if url is None:
        return IndexServer(MemoryDirectory(Directory(lease_s, most, budget)), verbose=verbose)
    if not url.startswith(("postgresql://", "postgres://")):
        raise UsageError("--directory: write postgresql://USER@HOST/DATABASE, or leave it out to keep it in memory")
    from twisted_bazaar.discovery.index.postgres.directory import PostgresDirectory

    directory = PostgresDirectory(url, lease_s, most, most_bytes=budget.total)
    directory.check()
    return IndexServer(directory, verbose=verbose)
