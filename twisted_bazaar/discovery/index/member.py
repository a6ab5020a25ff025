"""A peer of an index server: lists what it has there, and asks there who has what.

The list can be changed at any time, whether the server is there or not. The server is told what has changed since
it was told last, in parts of which a few are under way at once, so that neither end holds much of a long list; and
everything if it has lost its memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from twisted_bazaar.bounded import Ration
from twisted_bazaar.discovery.index.listing import OwnListing
from twisted_bazaar.discovery.index.messages import (
    MOST_ON_PAGE,
    NOTHING_LISTED,
    Busy,
    FindFiles,
    FindSellers,
    FindSources,
    FoundFiles,
    FoundSellers,
    FoundSources,
    Listed,
    Renew,
    TooMany,
)
from twisted_bazaar.errors import LinkClosed, NotNow, PeerError
from twisted_bazaar.interfaces import ICatalogue, INode, IRole, Opening
from twisted_bazaar.values.addresses import Address, Origin, Peer
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, Page, SharedFile
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.files import LONGEST_NAME_BYTES
from twisted_bazaar.wire.message import TRACKER_ID, Message

ANSWER_S: Final = 5.0
_UNDER_WAY: Final = 4
# How often of a lease it is renewed: one of the words may come late.
_RENEWALS: Final = 3
_LEASE_S: Final = 45.0
# However long a server says that it believes a list, it is told often.
_LONGEST_LEASE_S: Final = 60.0
# Loads change with every download that begins or ends.
_LEAST_BETWEEN_RENEWALS_S: Final = 1.0
_WARNINGS_A_MINUTE: Final = 2
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_REFUSALS: Final[Mapping[str, type[PeerError]]] = {cls.code: cls for cls in (TooMany, Busy, NotNow)}


@define(eq=False)
class _Question:
    """Something that was asked and not been answered."""

    message: Message
    answer: Deferred[Any]


@implementer(IRole, ICatalogue)
class IndexMember:
    """Carried by a node whose tracker is an index server.

    Its questions wait for the server for C{ANSWER_S}, if it is not there or says nothing.
    """

    log = Logger()
    openings: Mapping[type[Message], Opening] = {}
    node: INode

    def __init__(self) -> None:
        self.receives: Mapping[type[Message], Callable[[Any, Origin], None]] = {
            Listed: self._listed_received,
            FoundFiles: self._answer_received,
            FoundSources: self._answer_received,
            FoundSellers: self._answer_received,
            Error: self._error_received,
        }
        self._load = 0
        self._is_joined = False
        # The server has said what it has over this link, and can be told the rest.
        self._is_resumed = False
        # It takes no more for now.
        self._is_refused = False
        self._is_stopped = False
        self._warnings = Ration(_WARNINGS_A_MINUTE)
        self._questions: dict[int, _Question] = {}
        # The last question for what the server has, if its answer still says something.
        self._renewal_id: int | None = None
        self._renewed_at = float("-inf")
        self._renew_every_s = _LEASE_S / _RENEWALS
        self._renewing: IDelayedCall | None = None
        self._telling: IDelayedCall | None = None

    # What the node calls: IRole.

    def start(self, node: INode) -> None:
        """Begin; nothing is linked yet."""
        self.node = node
        self._listing = OwnListing(node.rng, node.bazaar)

    def stop(self) -> Deferred[None]:
        """End every timer; what waits for an answer gets none."""
        self._is_stopped = True
        self.tracker_left()
        for question in list(self._questions.values()):
            question.answer.errback(LinkClosed("this node stops"))
        return succeed(None)

    def peer_joined(self, peer: Peer) -> None:
        """Other nodes have nothing to do with it."""

    def peer_left(self, peer: Peer) -> None:
        """Other nodes have nothing to do with it."""

    def tracker_joined(self) -> None:
        """The index server is there: see what it has of the list, and ask what waits to be asked."""
        self._is_joined, self._is_resumed = True, False
        self._renew()
        for question in self._questions.values():
            self._say(question.message)

    def tracker_left(self) -> None:
        """The index server is gone; the list is kept for when it comes back, and questions wait a little."""
        self._is_joined = self._is_resumed = False
        for timer in (self._renewing, self._telling):
            if timer is not None and timer.active():
                timer.cancel()
        self._renewing = self._telling = None

    # What other roles call: ICatalogue, and the same for goods.

    @property
    def has_told_all(self) -> bool:
        """Whether the server has the whole list, as far as it takes it."""
        return self._is_resumed and not self._listing.has_more and not self._listing.under_way

    def publish(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Let others find files of this node from now on, and others no more."""
        self._listing.change_files(added, removed)
        self._tell()

    def publish_goods(self, items: Sequence[str]) -> None:
        """Say what all the goods are that this node sells from now on."""
        self._listing.set_items(items)
        self._tell()

    def loaded(self, downloads: int) -> None:
        """Say how many downloads this node serves now."""
        if downloads != self._load:
            self._load = downloads
            if self._is_joined:
                self._renew_by(self._renewed_at + _LEAST_BETWEEN_RENEWALS_S)

    def search(self, query: FileQuery) -> Deferred[Page]:
        """Look for files.

        @raise LinkClosed: the server does not answer.
        @raise PeerError: it says no.
        """
        texts = (query.name, query.words)
        if any(text is not None and not 0 < len(text) <= LONGEST_NAME_BYTES for text in texts) or not (
            query.digest is None or _DIGEST.fullmatch(query.digest)
        ):
            # No file is called so, and nobody has to be asked.
            return succeed(Page((), 0))
        most = max(1, min(query.most, MOST_ON_PAGE))
        asking = self._ask(
            lambda number: FindFiles(
                id=number, name=query.name, words=query.words, digest=query.digest, after=query.after, most=most
            )
        )
        return asking.addCallback(_page_of)

    def sources(self, digest: str) -> Deferred[Sequence[FileSource]]:
        """Who has a file, the least loaded first; this node is not among them.

        @raise LinkClosed: the server does not answer.
        @raise PeerError: it says no.
        """
        if not _DIGEST.fullmatch(digest):
            return succeed(())
        asking = self._ask(lambda number: FindSources(id=number, digest=digest))
        return asking.addCallback(self._sources_of)

    def sellers(self, item: str | None = None, seller_key: str | None = None) -> Deferred[Sequence[Peer]]:
        """Who sells an item in this node's bazaar, or where the seller with a key is; this node is not among them.

        @param item: what it sells does not matter if not given; one of the two must be.
        @raise LinkClosed: the server does not answer.
        @raise PeerError: it says no.
        """
        asking = self._ask(lambda number: FindSellers(id=number, item=item, seller=seller_key, bazaar=self.node.bazaar))
        return asking.addCallback(self._sellers_of)

    # Questions.

    def _ask(self, make: Callable[[int], Message]) -> Deferred[Any]:
        if self._is_stopped:
            return fail(LinkClosed("this node stops"))
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
        if origin.id == TRACKER_ID and question is not None and _ANSWERS[type(question.message)] is type(message):
            question.answer.callback(message)

    def _error_received(self, error: Error, origin: Origin) -> None:
        if origin.id != TRACKER_ID or error.id is None:
            return
        question = self._questions.get(error.id)
        if question is not None:
            question.answer.errback(_REFUSALS.get(error.code, PeerError)(error.reason or error.code))
        elif self._listing.refused(error.id):
            self._is_refused = True
            self._warn("the index server refuses the list: {reason}", reason=error.reason or error.code)
        elif error.id == self._renewal_id:
            # What keeps its directory may have failed; it is asked again at the next renewal.
            self._warn("the index server cannot keep the list now: {reason}", reason=error.reason or error.code)

    def _sources_of(self, found: FoundSources) -> Sequence[FileSource]:
        return [
            FileSource(each.id, each.key, Address(each.host, each.port), each.whole, each.load)
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
        if origin.id != TRACKER_ID:
            return
        self._renew_every_s = max(_LEAST_BETWEEN_RENEWALS_S, min(answer.lease, _LONGEST_LEASE_S) / _RENEWALS)
        if answer.id == self._renewal_id:
            self._resume(answer)
        elif self._is_resumed and self._listing.answered(answer):
            # The answer to the question under way will be older than that.
            self._renewal_id = None
        self._tell()
        if self._listing.left_out and not self._listing.has_more:
            self._warn(
                "the index server lists {most} files a peer; {left_out} of this node's are not listed",
                most=answer.most,
                left_out=self._listing.left_out,
            )

    def _resume(self, answer: Listed) -> None:
        """The server has said which list it has."""
        self._is_refused = False
        if self._is_resumed:
            self._listing.told(answer)
            return
        self._is_resumed = True
        before = self._listing.mark
        self._listing.resumed(answer)
        if self._listing.mark not in (before, NOTHING_LISTED):
            # It had more than it was known to have, and believes it when it is told so.
            self._renew()

    def _tell(self) -> None:
        """Send what the server has not been told, as much as may be under way at once."""
        if not self._is_resumed or self._is_refused:
            return
        while self._listing.under_way < _UNDER_WAY:
            update = self._listing.next_update(self._new_id())
            if update is None:
                break
            self._say(update)
        is_set = self._telling is not None and self._telling.active()
        if self._listing.has_more and not self._listing.under_way and not is_set:
            # What is next has not been found in the time of one turn.
            self._telling = self.node.clock.callLater(0, self._tell)

    def _renew(self) -> None:
        self._renewed_at = self.node.clock.seconds()
        self._renewal_id = self._new_id()
        self._listing.asked()
        self._say(Renew(id=self._renewal_id, mark=self._listing.mark, load=self._load))
        if self._renewing is not None and self._renewing.active():
            self._renewing.cancel()
        self._renewing = self.node.clock.callLater(self._renew_every_s, self._renew)

    def _renew_by(self, at: float) -> None:
        """Renew at an instant, or now if it has passed; or when it would be done anyway, if that is earlier."""
        wait_s = max(0.0, at - self.node.clock.seconds())
        if self._renewing is not None and self._renewing.active():
            if self._renewing.getTime() <= self.node.clock.seconds() + wait_s:
                return
            self._renewing.cancel()
        self._renewing = self.node.clock.callLater(wait_s, self._renew)

    # Words.

    def _new_id(self) -> int:
        return self.node.rng.getrandbits(53)

    def _say(self, message: Message) -> None:
        self.node.send(message, (self.node.id, TRACKER_ID))

    def _warn(self, sentence: str, **details: Any) -> None:
        """Say something, but not over and over."""
        if self._warnings.admit(self.node.clock.seconds()) is not None:
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
