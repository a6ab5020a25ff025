"""Quorum reads: gets what stands under a name from the nodes of a ring that keep it (compare Dynamo, 4.5).

There is no read repair here: a read changes nothing, and replicas that are behind are mended by anti-entropy.

Nobody is believed that something is there, or is not: several are asked, what comes is verified, and of each owner
the newest is taken. Those that this node itself takes for the keepers are asked at once. If one of them says that the
name belongs to it, and another on another host has the same, that is enough. Else the identifier is looked for, which
takes longer: L{twisted_bazaar.discovery.ring.rules.lookup}.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Final

import msgspec
from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.discovery.ring.rpc.hedged_requests import HedgedRequests
from twisted_bazaar.discovery.ring.rpc.messages import Card, RingMessage
from twisted_bazaar.discovery.ring.rpc.requests import Unanswered
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.unverified_contacts import host_of
from twisted_bazaar.discovery.ring.storage.entry import Entry, read_entry
from twisted_bazaar.discovery.ring.storage.messages import MOST_LISTED, Listed, RingRequest, RingTransfer
from twisted_bazaar.discovery.ring.storage.replica_server import ReplicaServer
from twisted_bazaar.errors import LinkClosed, PeerError
from twisted_bazaar.timer import Timer

__all__ = ["USUAL_COPIES", "Holding", "Read"]

# Two have to agree to hide something, or be dead, before the rest are asked.
USUAL_COPIES: Final = 2
_MOST_PAGES: Final = 16
_AT_ONCE: Final = 8
# Who is taken for the one to whom a name belongs may have others before it that are not known here.
_MOST_HINTS: Final = 3
# Who names so many entries that it cannot show is not asked for more.
_MOST_LIES: Final = 8
# Who is dead is not waited for by those who have an answer already: for so long, or so many times as long as that took.
_GRACE_S: Final = 0.25
_LATE: Final = 3


@frozen
class Holding:
    """An entry that was asked for.

    @ivar sources: who says that it has the file that it is about.
    @ivar keepers: who says that it keeps this version of it.
    """

    entry: Entry
    sources: Sequence[Contact] = ()
    keepers: Sequence[Contact] = ()


class _Listing(msgspec.Struct, eq=False):
    """The entries of one node under a name.

    @ivar texts: some of them, by tag.
    @ivar pages: how many have come.
    @ivar is_own: whether it says that the name belongs to it.
    @ivar before: the node before it, if not; as it names that one if it is another's.
    """

    at: Contact
    listed: list[Listed]
    texts: dict[str, str]
    pages: int = 0
    is_own: bool = False
    before: Card | Contact | None = None


_Candidates = list[tuple[Listed, _Listing]]
OnListing = Callable[[_Listing], None]


class Read:
    """One quorum read.

    @param dht: the node that gets, and what it keeps itself.
    @param clock: the source of time and timers.
    @param copies: how many have to agree. From one something old may come while there is something newer; all who are
        to have it are asked if these know nothing.
    """

    __slots__ = (
        *("_dht", "_clock", "_member", "_space", "_name", "_copies", "_most", "_identifier", "_make", "_lies"),
        *("_listings", "_verified"),
    )

    def __init__(
        self, dht: ReplicaServer, clock: IReactorTime, space: str, name: str, copies: int = USUAL_COPIES
    ) -> None:
        self._dht = dht
        self._clock = clock
        self._member = dht.member
        self._space = space
        self._name = name
        self._copies = copies
        self._most = dht.replicas + 1
        self._identifier = dht.store.identifier_of_name(name)
        self._make = partial(RingRequest, space=space, name=name)
        self._lies: dict[Contact, int] = {}
        # Nobody is asked twice.
        self._listings: dict[Contact, _Listing] = {}
        self._verified: dict[str, Entry | None] = {}

    async def holdings(self) -> Sequence[Holding]:
        """What there is: of each owner the newest, and the newest of all first.

        @raise LinkClosed: nobody was there to ask.
        """
        found = await self._ask_likely()
        return _present(await self._search() if found is None else found)

    async def _ask_likely(self) -> Sequence[Holding] | None:
        """What those have who are taken for the keepers, or are said to be nearer; None if that need not be all."""
        likely = (
            self._member.lookups.likely_owners(self._identifier, self._most) if self._copies <= USUAL_COPIES else ()
        )
        if not likely:
            return None
        nearest = likely[0]
        asking = HedgedRequests(likely, self._copies, self._list, is_patient=False)
        await asking.run()
        asked = asking.asked
        for left in range(_MOST_HINTS, -1, -1):
            listings = list(self._listings.values())
            found = await self._read_all(listings)
            if self._agree(listings, found, nearest):
                return found
            hint = self._hint(asked) if left else None
            if hint is None:
                break
            asked.append(hint)
            await HedgedRequests((hint,), 1, self._list, is_patient=False).run()
        return None

    def _hint(self, asked: Sequence[Contact]) -> Contact | None:
        """Who may be nearer to the identifier, by what those say that have answered, the nearest of them first."""
        cards = self._member.cards

        def far(contact: Contact) -> int:
            return self._member.ring.distance(self._identifier, contact.id)

        for listing in sorted(self._listings.values(), key=lambda each: far(each.at)):
            hint = listing.before
            if isinstance(hint, Card):
                [hint] = cards.read_all((hint,), listing.at.address) or (None,)
            if hint is not None and hint not in self._listings and hint not in asked and far(hint) < far(listing.at):
                return hint
        return None

    def _agree(self, listings: Sequence[_Listing], found: Sequence[Holding], nearest: Contact) -> bool:
        """Whether so many show what was found that it is believed to be all."""
        shown = {holding.entry.tag_text: holding.entry.kept.version for holding in found}
        # If the nearest is dead there may be nobody yet who knows that it is next.
        is_known = nearest not in self._listings
        hosts = set[Hashable]()
        for listing in listings:
            for one in listing.listed:
                if shown.get(one.tag) == one.version:
                    hosts.add(host_of(listing.at))
                    is_known = is_known or listing.is_own
                    break
        return is_known and len(hosts) >= self._copies

    async def _search(self) -> Sequence[Holding]:
        """What those have who are found to be the keepers."""
        named = (await self._member.lookups.find(self._identifier, until="named")).holders[: self._most]
        listings, asked = await self._list_some(named, self._copies)
        found = await self._read_all(listings)
        if not found or len(listings) < min(self._copies, USUAL_COPIES):
            # One that is quick could hide what another has; and who was named need not be the one.
            holders = (await self._member.lookups.find(self._identifier, until="late")).holders[: self._most]
            rest = [holder for holder in holders if holder not in asked]
            more, _ = await self._list_some(rest, len(rest))
            listings += more
            found = await self._read_all(listings) if more else found
        if not listings:
            raise LinkClosed(f"nobody is there to ask for {self._name!r}")
        return found

    # What is listed.

    async def _list_some(self, holders: Sequence[Contact], wanted: int) -> tuple[list[_Listing], Sequence[Contact]]:
        """What so many of some nodes have, and who has been asked.

        Who takes much longer than the first that has something is not waited for.
        """
        clock, began = self._clock, self._clock.seconds()

        def on_answer(listing: _Listing) -> None:
            if listing.listed and not grace.is_set and len(asking.answers) < wanted:
                grace.set(max(_GRACE_S, _LATE * (clock.seconds() - began)))

        asking = HedgedRequests(holders, wanted, self._list, on_answer)
        grace = Timer(clock, asking.end)
        await asking.run()
        grace.cancel()
        return list(asking.answers.values()), asking.asked

    def _list(self, contact: Contact, on_listing: OnListing, on_failure: Unanswered, late: Callable[[], None]) -> None:
        """Ask what one node has.

        @param on_listing: called with that.
        @param on_failure: called with why it is not known.
        @param late: called when it takes longer than usual.
        """
        known = self._listings.get(contact)
        if known is None and contact == self._member.own:
            known = self._listings[contact] = self._list_own()
        if known is not None:
            on_listing(known)
        else:
            self._ask_page(_Listing(contact, [], {}), "", on_listing, on_failure, late)

    def _ask_page(
        self, listing: _Listing, after: str, on_listing: OnListing, on_failure: Unanswered, late: Callable[[], None]
    ) -> None:
        """Ask what there is after a tag; this is done so often that a Deferred for it would be felt."""
        make = partial(self._make, after=after) if after else self._make
        on_page = partial(self._on_page, listing, after, on_listing, on_failure, late)
        self._member.requests.question(listing.at, make, on_page, on_failure, late)

    def _on_page(
        self,
        listing: _Listing,
        after: str,
        on_listing: OnListing,
        on_failure: Unanswered,
        late: Callable[[], None],
        answer: RingMessage,
    ) -> None:
        try:
            following = self._read_page(listing, answer, after)
        except PeerError as error:
            on_failure(error)
            return
        listing.pages += 1
        if following is not None and listing.pages < _MOST_PAGES:
            self._ask_page(listing, following, on_listing, on_failure, late)
            return
        self._listings[listing.at] = listing
        on_listing(listing)

    def _read_page(self, listing: _Listing, answer: RingMessage, after: str) -> str | None:
        """Note a page; returns after which tag there are more.

        @raise LinkClosed: it is none.
        """
        if not isinstance(answer, RingTransfer):
            raise LinkClosed("it answers something else")
        listed = answer.listed
        listing.listed += listed
        listing.is_own = listing.is_own or answer.own
        if answer.predecessor is not None:
            listing.before = answer.predecessor
        if listed and answer.parts == 1:
            listing.texts[listed[0].tag] = answer.text
        return listed[-1].tag if answer.more and listed and listed[-1].tag > after else None

    def _list_own(self) -> _Listing:
        """What this node has itself."""
        dht = self._dht
        pairs = dht.list_own(self._space, self._name, _MOST_PAGES * MOST_LISTED)
        texts = {listed.tag: entry.text for listed, entry in pairs}
        stabilization = self._member.stabilization
        is_own = stabilization.is_responsible(self._identifier)
        before = None if is_own else stabilization.predecessor
        return _Listing(self._member.own, [listed for listed, _ in pairs], texts, is_own=is_own, before=before)

    # What holds.

    async def _read_all(self, listings: Sequence[_Listing]) -> Sequence[Holding]:
        """Of each owner the newest that is listed, and holds."""
        found = list[Holding]()
        wanted = _by_tag(listings)
        left = iter(wanted.items())

        async def read() -> None:
            # One after another: very many may be known, or not worth asking for, at once.
            for tag, candidates in left:
                newest = await self._newest(tag, candidates)
                if newest is not None:
                    found.append(newest)

        if all(tag in listing.texts for tag, candidates in wanted.items() for _, listing in candidates):
            # Nobody has to be asked, as is nearly always so.
            await read()
        else:
            await gatherResults([Deferred.fromCoroutine(read()) for _ in range(min(_AT_ONCE, len(wanted)))])
        return found

    async def _newest(self, tag: str, candidates: _Candidates) -> Holding | None:
        """The newest of one owner that holds; those that do not are let go of."""
        while candidates:
            best = max(candidates, key=_version_of)
            listed, listing = best
            if self._lies.get(listing.at, 0) < _MOST_LIES:
                text = listing.texts.get(tag)
                if text is None:
                    # Who has listed it may be found to lie about others meanwhile.
                    await self._fetch(tag, listing)
                    continue
                entry = self._read(text)
                if entry is not None and self._is_asked(entry, tag) and entry.kept.version >= listed.version:
                    version = entry.kept.version
                    keepers = tuple([where.at for each, where in candidates if each.version == version])
                    return Holding(entry, _sources(candidates, version), keepers)
                self._lies[listing.at] = self._lies.get(listing.at, 0) + 1
            candidates.remove(best)
        return None

    async def _fetch(self, tag: str, listing: _Listing) -> None:
        """Get what somebody has listed, and has not shown."""
        try:
            entry, _ = await self._dht.fetch(listing.at, partial(self._make, tag=tag))
        except PeerError:
            # No entry has such a text.
            listing.texts[tag] = ""
        else:
            self._verified[entry.text] = entry
            listing.texts[tag] = entry.text

    def _read(self, text: str) -> Entry | None:
        """The entry of a text, if it holds; what several have is verified once."""
        if text not in self._verified:
            try:
                self._verified[text] = read_entry(text)
            except PeerError:
                self._verified[text] = None
        return self._verified[text]

    def _is_asked(self, entry: Entry, tag: str) -> bool:
        kept = entry.kept
        return kept.name == self._name and kept.space == self._space and entry.tag_text == tag


def _by_tag(listings: Sequence[_Listing]) -> dict[str, _Candidates]:
    """Who lists what."""
    wanted: dict[str, _Candidates] = {}
    for listing in listings:
        for listed in listing.listed:
            wanted.setdefault(listed.tag, []).append((listed, listing))
    return wanted


def _version_of(candidate: tuple[Listed, _Listing]) -> int:
    return candidate[0].version


def _sources(candidates: _Candidates, version: int) -> Sequence[Contact]:
    """Who has the file that this version of an entry is about."""
    return tuple([listing.at for listed, listing in candidates if listed.whole and listed.version == version])


def _present(found: Sequence[Holding]) -> Sequence[Holding]:
    """What is not deleted, the newest first."""
    there = [holding for holding in found if not holding.entry.kept.deleted]
    if len(there) > 1:
        there.sort(key=lambda holding: holding.entry.rank, reverse=True)
    return there
