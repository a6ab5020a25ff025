"""Search by keyword and by digest in a ring (an inverted index in a DHT), and publishing what this node has.

The ring names owners. Where each is, is looked up on the ring by its key: so nobody is named who is not there now, and
nobody at an address that is not its own.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, DeferredSemaphore, fail, gatherResults, succeed
from zope.interface import implementer

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.findings import MOST_KEPT, Findings
from twisted_bazaar.discovery.index.messages import MOST_ON_PAGE
from twisted_bazaar.discovery.index.words import question_of
from twisted_bazaar.discovery.recent import Recent
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.records.own_records import OwnRecords
from twisted_bazaar.discovery.ring.records.records import (
    RecordKey,
    listed_as,
    provider_key,
    read_page,
    read_provided,
    seller_key,
    word_key,
    words_for,
)
from twisted_bazaar.discovery.ring.records.republishing import Republisher
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient, Holding
from twisted_bazaar.discovery.ring.storage.replica_server import first_failure
from twisted_bazaar.errors import LinkClosed, PeerError, WholeDigestsOnly
from twisted_bazaar.identity.keys import own_id
from twisted_bazaar.interfaces import ICatalogue, INode
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.values.files import FileQuery, FileSource, Page, SharedFile, is_beginning_only
from twisted_bazaar.wire.files import LONGEST_NAME_BYTES

# Of so many owners it is looked up where they are, for one question.
MOST_OWNERS: Final = 64
_AT_ONCE: Final = 8
# All words of a name lead to it; one is enough, if whoever has the file has it listed there.
_MOST_WORDS: Final = 3
# Who was there a moment ago is not looked up again.
_KNOWN_S: Final = 20.0
_MOST_KNOWN: Final = 512
# Each takes some tenths of a millisecond.
_ENTERED_AT_ONCE: Final = 100
_DIGEST: Final = re.compile("[0-9a-f]{64}")

Lookup = tuple[str | None, str | None, str | None]
"""What was looked for, on whatever page: a name, words, a digest."""


@implementer(ICatalogue)
class RingSearch:
    """Finds files and goods by the records of a ring, and publishes those of one node.

    @param dht: what there is in the ring.
    @param member: the node as a member of the ring; None for a client, which can ask and has nothing to offer.
    """

    _node: INode
    _entering: Timer

    def __init__(self, dht: DhtClient, member: RingMember | None) -> None:
        self._dht = dht
        self._ring_node = dht.member
        self._member = member
        self._own: OwnRecords | None = None
        self._republisher: Republisher | None = None
        # What has been said, and not entered yet; a folder may be told of as a whole.
        self._unentered: deque[tuple[Sequence[SharedFile], Sequence[str]]] = deque()
        self._items: Sequence[str] = ()
        self._known: FairTable[str, Contact] = FairTable(_MOST_KNOWN, _KNOWN_S, shares=1)
        self._pages: Recent[Findings] = Recent(MOST_KEPT)

    def start(self, node: INode) -> None:
        """Begin; the member has not joined yet."""
        self._node = node
        if self._member is None:
            return
        self._entering = Timer(node.clock, self._enter)
        own = self._own = OwnRecords(node.bazaar)
        own.set_items(self._items)
        self._republisher = Republisher(self._member, self._dht, own)
        self._republisher.start(node)
        self._member.before_leaving(self._republisher.withdraw)
        self._enter()

    def stop(self) -> None:
        """Have the ring know nothing more."""
        if self._republisher is not None:
            self._entering.cancel()
            self._republisher.stop()

    @property
    def unpublished(self) -> int:
        """How many records of this node the ring does not have yet as they are to be."""
        said = sum(len(added) + len(removed) for added, removed in self._unentered)
        return said + (0 if self._republisher is None else self._republisher.waiting)

    # Being found.

    def publish(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Let others find files of this node from now on, and others no more."""
        if self._member is None:
            return
        for first in range(0, len(removed), _ENTERED_AT_ONCE):
            self._unentered.append(((), removed[first : first + _ENTERED_AT_ONCE]))
        for first in range(0, len(added), _ENTERED_AT_ONCE):
            self._unentered.append((added[first : first + _ENTERED_AT_ONCE], ()))
        if self._own is not None and not self._entering.is_set:
            self._enter()

    def publish_goods(self, items: Sequence[str]) -> None:
        """Say what all the goods are that this node sells from now on."""
        self._items = items
        if self._own is not None:
            self._tell(self._own.set_items(items))

    def set_load(self, downloads: int) -> None:
        """Nobody asks for that here."""

    # Finding.

    def search(self, query: FileQuery) -> Deferred[Page]:
        """Look for files; fires when the search is over. Later pages are of what was found for the first.

        @raise LinkClosed: this node is on no ring now, or nobody answers.
        @raise PeerError: everything is asked for.
        """
        texts = (query.name, query.words)
        if any(text is not None and not 0 < len(text) <= LONGEST_NAME_BYTES for text in texts):
            return succeed(Page((), 0))
        if is_beginning_only(query.digest):
            return fail(WholeDigestsOnly("a ring finds a file by its whole digest only, or by its name"))
        if query.name is None and query.words is None and query.digest is None:
            return fail(PeerError("a ring has no list of everything; say a name, words or a digest"))
        query = FileQuery(query.name, query.words, query.digest, query.after, max(1, min(query.most, MOST_ON_PAGE)))
        lookup: Lookup = query.name, query.words, query.digest
        findings = self._pages.get(lookup, self._now()) if query.after is not None else None
        if findings is not None:
            return succeed(findings).addCallback(lambda findings: findings.page(query))
        return Deferred.fromCoroutine(self._search(query, lookup))

    def sources(self, digest: str) -> Deferred[Sequence[FileSource]]:
        """Who has a file, and is there now; this node is not among them.

        @raise LinkClosed: this node is on no ring now, or nobody answers.
        """
        return Deferred.fromCoroutine(self._sources(digest) if _DIGEST.fullmatch(digest) else _nobody())

    def sellers(
        self, item: str | None, seller_key: str | None, found: Callable[[Sequence[Peer]], None]
    ) -> Deferred[None]:
        """Who sells an item in this node's bazaar, or where the seller with a key is; this node is not among them.

        @param item: what it sells does not matter if a key is given; one of the two must be.
        @param found: called with sellers, each time some are known.
        @raise LinkClosed: this node is on no ring now, or nobody answers.
        """
        return Deferred.fromCoroutine(self._sellers(item, seller_key, found))

    # Inside.

    def _enter(self) -> None:
        """Enter some of what has been said, and the rest when others have had their turn."""
        if self._own is None or not self._unentered:
            return
        added, removed = self._unentered.popleft()
        self._tell(self._own.change_files(added, removed))
        if self._unentered:
            self._entering.set(0)

    def _tell(self, changed: Iterable[RecordKey]) -> None:
        if self._republisher is not None:
            self._republisher.update(changed)

    async def _search(self, query: FileQuery, lookup: Lookup) -> Page:
        findings = Findings(query)
        if query.digest is not None:
            if _DIGEST.fullmatch(query.digest):
                for holding in await self._get(provider_key(query.digest)):
                    file = read_provided(query.digest, holding.entry.kept.value)
                    findings.add(holding.entry.kept.owner, () if file is None else (file,))
        else:
            words = _words_of(query)
            await gatherResults([self._list(word, findings) for word in words], consumeErrors=True).addErrback(
                first_failure
            )
        self._pages.put(lookup, findings, self._now())
        return findings.page(query)

    def _list(self, word: str, findings: Findings) -> Deferred[None]:
        return Deferred.fromCoroutine(self._list_pages(word, findings))

    async def _list_pages(self, word: str, findings: Findings) -> None:
        """Take what owners have listed under a word, page by page."""
        number = 0
        pages = 1
        while number < pages and not findings.is_full:
            for holding in await self._get(word_key(word, number)):
                page = read_page(holding.entry.kept.value)
                findings.add(holding.entry.kept.owner, page.files)
                if not number:
                    pages = max(pages, page.pages)
            number += 1

    async def _sources(self, digest: str) -> Sequence[FileSource]:
        said = dict[str, SharedFile]()
        for holding in await self._get(provider_key(digest)):
            file = read_provided(digest, holding.entry.kept.value)
            if file is not None:
                said[holding.entry.kept.owner] = file
        sources = list[FileSource]()

        def take(contact: Contact) -> None:
            address = Address(contact.address.host, contact.port)
            is_whole = said[contact.key].is_whole
            sources.append(FileSource(own_id(contact.key), contact.key, address, is_whole, udp=contact.address.port))

        await self._locate_all(said, take)
        return sources

    async def _sellers(self, item: str | None, seller: str | None, found: Callable[[Sequence[Peer]], None]) -> None:
        if seller is not None:
            owners = [seller]
        else:
            assert item is not None, "one of them is given"
            holdings = await self._get(seller_key(self._node.bazaar, item))
            owners = [holding.entry.kept.owner for holding in holdings]

        def take(contact: Contact) -> None:
            if contact.port:
                address = Address(contact.address.host, contact.port)
                found([Peer(own_id(contact.key), contact.key, address, udp_port=contact.address.port)])

        await self._locate_all(owners, take)

    async def _get(self, key: RecordKey) -> Sequence[Holding]:
        """What there is under a key."""
        if not self._ring_node.can_ask:
            raise LinkClosed("this node is not on the ring yet")
        return await self._dht.get(*key)

    async def _locate_all(self, owners: Iterable[str], found: Callable[[Contact], None]) -> None:
        """Look up where some owners are; those that are not there are left out, and so is this node."""
        line = DeferredSemaphore(_AT_ONCE)
        chosen = [owner for owner in owners if owner != self._node.key.public]
        if len(chosen) > MOST_OWNERS:
            # The newest come first: that is no reason for everybody to ask the same ones.
            chosen = self._node.rng.sample(chosen, MOST_OWNERS)

        async def locate(owner: str) -> None:
            contact = await self._locate(owner)
            if contact is not None:
                found(contact)

        locating = [line.run(lambda owner: Deferred.fromCoroutine(locate(owner)), owner) for owner in chosen]
        await gatherResults(locating, consumeErrors=True).addErrback(first_failure)

    async def _locate(self, owner: str) -> Contact | None:
        """Where the node with a key is, if it is on the ring; it has just answered, or a moment ago."""
        if not self._ring_node.can_ask:
            raise LinkClosed("this node is not on the ring yet")
        now = self._now()
        known = self._known.get(owner, now)
        if known is not None:
            return known
        holders = (await self._ring_node.lookups.find(self._ring_node.ring.id_of_key(owner))).holders
        # Only the first has answered: the others are what somebody says.
        if not holders or holders[0].key != owner:
            return None
        self._known.put(owner, holders[0], None, self._now())
        return holders[0]

    def _now(self) -> float:
        return float(self._node.clock.seconds())


def _words_of(query: FileQuery) -> Sequence[str]:
    """The words to look under: the longest are in the fewest names."""
    if query.name is not None:
        words = words_for(query.name)
    else:
        whole, beginning = question_of(query.words or "")
        # The last may be only begun, and then nothing is listed under it.
        words = [] if not beginning else listed_as([*whole, beginning])
    return sorted(words, key=len, reverse=True)[:_MOST_WORDS]


async def _nobody() -> Sequence[FileSource]:
    return ()
