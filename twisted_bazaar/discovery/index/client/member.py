"""The client of an index server: publishes what a node has there, and asks there who has what.

The list can be changed at any time, whether the server is there or not; how the server comes to have the same is
told in C{enrolment}.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from twisted_bazaar.discovery.index.client.list_sync import ListSync
from twisted_bazaar.discovery.index.client.published_list import PublishedList
from twisted_bazaar.discovery.index.messages import (
    MOST_ON_PAGE,
    Busy,
    FindFiles,
    FindSellers,
    FindSources,
    FoundFiles,
    FoundSellers,
    FoundSources,
    Listed,
    TooMany,
)
from twisted_bazaar.errors import LinkClosed, NotNow, PeerError
from twisted_bazaar.interfaces import ICatalogue, INode
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.role import Role
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Address, Origin, Peer
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, Page, SharedFile, is_beginning
from twisted_bazaar.values.joining import JoinObserver, NotJoined
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.files import LONGEST_NAME_BYTES
from twisted_bazaar.wire.message import TRACKER_ID, Message

ANSWER_S: Final = 5.0
_WARNINGS_A_MINUTE: Final = 2
_A_TRACKER: Final = "a tracker is there"
_NO_INDEX_SERVER: Final = f"no index server was reached: {_A_TRACKER}; see that --index is right"
_OWNER: Final = re.compile("[0-9a-f]{1,64}")
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_REFUSALS: Final[Mapping[str, type[PeerError]]] = {cls.code: cls for cls in (TooMany, Busy, NotNow)}


@define(eq=False)
class _Question:
    """Something that was asked and not been answered."""

    message: Message
    answer: Deferred[Any]


@implementer(ICatalogue)
class IndexMember(Role):
    """Carried by a node whose tracker is an index server.

    Its questions wait for the server for C{ANSWER_S}, if it is not there or says nothing.

    @param observer: told when the server is there, and has answered as one.
    @ivar is_with_stranger: whether what this node is linked to gives ids and is no index server, such as a tracker.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, observer: JoinObserver | None = None) -> None:
        self.receives: Mapping[type[Message], Callable[[Any, Origin], None]] = {
            Listed: self._listed_received,
            FoundFiles: self._answer_received,
            FoundSources: self._answer_received,
            FoundSellers: self._answer_received,
            Error: self._error_received,
        }
        self._observer = observer or JoinObserver()
        self.is_with_stranger: bool = False
        self._is_joined = False
        self._has_answered = False
        self._is_stopped = False
        self._warnings = RateLimit.a_minute(_WARNINGS_A_MINUTE)
        self._questions: dict[int, _Question] = {}

    # What the node calls: IRole.

    def start(self, node: INode) -> None:
        """Begin; nothing is linked yet."""
        super().start(node)
        self._listing = PublishedList(node.rng, node.bazaar)
        self._enrolment = ListSync(node, self._listing, self._say, self._warn, "the index server")

    def stop(self) -> Deferred[None]:
        """End every timer; what waits for an answer gets none."""
        self._is_stopped = True
        self.tracker_left()
        for question in list(self._questions.values()):
            question.answer.errback(LinkClosed("this node is stopping"))
        return succeed(None)

    def tracker_joined(self) -> None:
        """Somebody gives ids: see what it has of the list, if it is an index server, and ask what waits to be asked."""
        self._is_joined, self._has_answered, self.is_with_stranger = True, False, False
        self._enrolment.server_joined()
        for question in self._questions.values():
            self._say(question.message)

    def tracker_left(self) -> None:
        """The index server is gone; the list is kept for when it comes back, and questions wait a little."""
        self._is_joined = self.is_with_stranger = False
        self._enrolment.server_left()

    # What other roles call: ICatalogue, and the same for goods.

    @property
    def is_in_sync(self) -> bool:
        """Whether the server has the whole list, as far as it takes it."""
        return self._enrolment.is_in_sync

    def publish(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Change the files of this node that others can find."""
        self._listing.change_files(added, removed)
        self._enrolment.send_updates()

    def publish_goods(self, items: Sequence[str]) -> None:
        """Say what all the goods are that this node sells from now on."""
        self._listing.set_items(items)
        self._enrolment.send_updates()

    def set_load(self, downloads: int) -> None:
        """Say how many downloads this node serves now."""
        self._enrolment.set_load(downloads)

    def search(self, query: FileQuery) -> Deferred[Page]:
        """Look for files.

        @raise LinkClosed: the server does not answer.
        @raise PeerError: it says no.
        """
        texts = (query.name, query.words)
        if any(text is not None and not 0 < len(text) <= LONGEST_NAME_BYTES for text in texts) or not (
            (query.digest is None or is_beginning(query.digest))
            and (query.owner is None or _OWNER.fullmatch(query.owner))
        ):
            # No file is called so, and nobody has to be asked.
            return succeed(Page((), 0))
        most = max(1, min(query.most, MOST_ON_PAGE))
        asking = self._ask(
            lambda number: FindFiles(
                id=number,
                name=query.name,
                words=query.words,
                digest=query.digest,
                after=query.after,
                most=most,
                owner=query.owner,
            )
        )
        return asking.addCallback(_page_of)

    def sources(self, digest: str) -> Deferred[Sequence[FileSource]]:
        """Find the sources of a file, the least loaded first; this node is not among them.

        @raise LinkClosed: the server does not answer.
        @raise PeerError: it says no.
        """
        if not _DIGEST.fullmatch(digest):
            return succeed(())
        asking = self._ask(lambda number: FindSources(id=number, digest=digest))
        return asking.addCallback(self._sources_of)

    def sellers(
        self, item: str | None, seller_key: str | None, found: Callable[[Sequence[Peer]], None]
    ) -> Deferred[None]:
        """Find sellers of an item in this node's bazaar, or the seller with a key; this node is not among them.

        @param item: what it sells does not matter if not given; one of the two must be.
        @param found: called with all that the server names, at once.
        @raise LinkClosed: the server does not answer.
        @raise PeerError: it says no.
        """
        asking = self._ask(lambda number: FindSellers(id=number, item=item, seller=seller_key, bazaar=self.node.bazaar))
        return asking.addCallback(lambda answer: found(self._sellers_of(answer)))

    # Questions.

    def _ask(self, make: Callable[[int], Message]) -> Deferred[Any]:
        if self._is_stopped:
            return fail(LinkClosed("this node is stopping"))
        if self.is_with_stranger:
            return fail(LinkClosed(_NO_INDEX_SERVER))
        message_id = self._new_id()
        question = _Question(make(message_id), Deferred())
        self._questions[message_id] = question
        question.answer.addTimeout(ANSWER_S, self.node.clock, _no_answer)
        question.answer.addBoth(self._asked_no_more, message_id)
        if self._is_joined:
            self._say(question.message)
        return question.answer

    def _asked_no_more(self, result: Any, message_id: int) -> Any:
        del self._questions[message_id]
        return result

    def _answer_received(self, message: FoundFiles | FoundSources | FoundSellers, origin: Origin) -> None:
        question = self._questions.get(message.id)
        if origin.id == TRACKER_ID:
            self._server_answered()
        if origin.id == TRACKER_ID and question is not None and _ANSWERS[type(question.message)] is type(message):
            question.answer.callback(message)

    def _error_received(self, error: Error, origin: Origin) -> None:
        if origin.id != TRACKER_ID or error.id is None:
            return
        question = self._questions.get(error.id)
        if self._enrolment.is_unknown_there(error):
            self._meet_stranger()
        elif question is not None:
            question.answer.errback(_REFUSALS.get(error.code, PeerError)(error.reason or error.code))
        else:
            if self._enrolment.is_renewal(error):
                # It knows what a list is, and cannot keep one now.
                self._server_answered()
            self._enrolment.error_received(error)

    def _sources_of(self, found: FoundSources) -> Sequence[FileSource]:
        return [
            FileSource(each.id, each.key, Address(each.host, each.port), each.whole, each.load, each.udp)
            for each in found.sources
            if each.key != self.node.key.public
        ]

    def _sellers_of(self, found: FoundSellers) -> Sequence[Peer]:
        return [
            Peer(each.id, each.key, Address(each.host, each.port))
            for each in found.sellers
            if each.key != self.node.key.public
        ]

    # The list.

    def _listed_received(self, answer: Listed, origin: Origin) -> None:
        if origin.id == TRACKER_ID:
            self._server_answered()
            self._enrolment.listed_received(answer)

    # Who is there.

    def _server_answered(self) -> None:
        """What is linked is an index server: tell it once a link."""
        if self._is_joined and not self._has_answered:
            self._has_answered = True
            self._observer.joined(f"at node {self.node.id}")

    def _meet_stranger(self) -> None:
        """What is linked is no index server: ask it nothing more, until another link is made."""
        if not self._is_joined:
            return
        self.tracker_left()
        self.is_with_stranger = True
        self._warn(_NO_INDEX_SERVER)
        for question in list(self._questions.values()):
            question.answer.errback(LinkClosed(_NO_INDEX_SERVER))
        self._observer.not_joined(0, NotJoined.STRANGER, _A_TRACKER)

    # Words.

    def _new_id(self) -> int:
        return self.node.rng.getrandbits(53)

    def _say(self, message: Message) -> None:
        self.node.send(message, (self.node.id, TRACKER_ID))

    def _warn(self, sentence: str, **details: Any) -> None:
        """Log a warning, unless there were many lately."""
        if self._warnings.allow(self.node.clock.seconds()):
            self.log.warn(sentence, **details)


def _no_answer(result: Any, timeout_s: float) -> Any:
    raise LinkClosed(
        f"the index server has not answered within {timeout_s:g} s; see that it runs, and that --index is right"
    )


def _page_of(found: FoundFiles) -> Page:
    files = [FoundFile(hit.name, hit.size, hit.digest, hit.sources, hit.partial) for hit in found.files]
    return Page(files, found.total, found.next)


_ANSWERS: Final[Mapping[type[Message], type[Message]]] = {
    FindFiles: FoundFiles,
    FindSources: FoundSources,
    FindSellers: FoundSellers,
}
