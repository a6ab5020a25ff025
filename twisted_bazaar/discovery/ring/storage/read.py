"""Getting what stands under a name from the nodes of a ring that keep it.

Nobody is believed that something is there, or is not: several are asked, what comes is verified, and of each owner
the newest is taken. Those that this node itself takes for the keepers are asked at once. If one of them says that the
name belongs to it, and another on another host has the same, that is enough. Else the place is looked for, which takes
longer: L{twisted_bazaar.discovery.ring.rules.lookup}.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec
from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twisted_bazaar.discovery.ring.rpc.hedged_requests import HedgedRequests
from twisted_bazaar.discovery.ring.rpc.messages import Card, RingMessage
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.unverified_contacts import host_of
from twisted_bazaar.discovery.ring.storage.entry import Entry, read_entry
from twisted_bazaar.discovery.ring.storage.messages import MOST_LISTED, Listed, RingRequest, RingTransfer
from twisted_bazaar.discovery.ring.storage.replica_server import ReplicaServer
from twisted_bazaar.errors import LinkClosed, PeerError
from twisted_bazaar.system.limited_log import limited_logger

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
    """

    entry: Entry
    sources: Sequence[Contact] = ()


class _Listing(msgspec.Struct, eq=False):
    """The entries of one node under a name.

    @ivar texts: some of them, by tag.
    @ivar is_own: whether it says that the name belongs to it.
    @ivar before: the node before it, if not; as it names that one if it is another's.
    """

    at: Contact
    listed: list[Listed]
    texts: dict[str, str]
    is_own: bool = False
    before: Card | Contact | None = None


_Candidates = list[tuple[Listed, _Listing]]


@frozen
class _Missing:
    """An entry whose text has to be fetched.

    @ivar listing: of who has listed it.
    """

    tag: str
    listing: _Listing


class Read:
    """One get.

    @param keeper: the node that gets, and what it keeps itself.
    @param clock: the source of time and timers.
    @param copies: how many have to agree. From one something old may come while there is something newer; all who are
        to have it are asked if these know nothing.
    """

    __slots__ = (
        *("_keeper", "_clock", "_member", "_space", "_name", "_copies", "_most", "_place", "_make", "_lies"),
        *("_listings", "_going_on", "_verified"),
    )

    log = limited_logger(__name__)

    def __init__(
        self, keeper: ReplicaServer, clock: IReactorTime, space: str, name: str, copies: int = USUAL_COPIES
    ) -> None:
        self._keeper = keeper
        self._clock = clock
        self._member = keeper.member
        self._space = space
        self._name = name
        self._copies = copies
        self._most = keeper.replicas + 1
        self._place = keeper.store.place_of_name(name)
        self._make = partial(RingRequest, space=space, name=name)
        self._lies: dict[Contact, int] = {}
        # Nobody is asked twice.
        self._listings: dict[Contact, _Listing] = {}
        self._going_on: Deferred[Sequence[Holding]] | None = None
        self._verified: dict[str, Entry | None] = {}

    def holdings(self) -> Deferred[Sequence[Holding]]:
        """What there is: of each owner the newest, and the newest of all first.

        @raise LinkClosed: nobody was there to ask.
        """
        likely = self._member.lookups.likely_owners(self._place, self._most) if self._copies <= USUAL_COPIES else ()
        if not likely:
            return Deferred.fromCoroutine(self._search()).addCallback(_present)
        asking = HedgedRequests(likely, self._copies, self._list, is_patient=False)
        holdings: Deferred[Sequence[Holding]] = Deferred(lambda _: self._give_up(asking))
        asking.go(partial(self._guessed, likely[0], asking.asked, holdings))
        return holdings

    def _guessed(self, nearest: Contact, asked: list[Contact], holdings: Deferred[Sequence[Holding]]) -> None:
        """Hand up what those have who were taken for the keepers; what others have if that need not be all.

        Nearly always that is all. So it is done without coroutines, which would take as long as what they do.

        @param nearest: who was taken for the one to whom the name belongs.
        """
        listings = list(self._listings.values())
        try:
            found = self._read_here(_by_tag(listings))
            agreed = _present(found) if found is not None and self._agree(listings, found, nearest) else None
        except Exception:
            holdings.errback()
            return
        if agreed is not None:
            holdings.callback(agreed)
        else:
            self._going_on = Deferred.fromCoroutine(self._go_on(nearest, asked))
            self._going_on.addCallback(_present).chainDeferred(holdings)

    def _give_up(self, asking: HedgedRequests[_Listing]) -> None:
        """Nobody wants to know any more."""
        if self._going_on is None:
            asking.stop()
        else:
            self._going_on.cancel()

    async def _go_on(self, nearest: Contact, asked: list[Contact]) -> Sequence[Holding]:
        """What those have who are said to be nearer, or are found to be the keepers."""
        for left in range(_MOST_HINTS, -1, -1):
            listings = list(self._listings.values())
            found = await self._read_all(listings)
            if self._agree(listings, found, nearest):
                return found
            hint = self._hint(asked) if left else None
            if hint is None:
                break
            asked.append(hint)
            asking = HedgedRequests((hint,), 1, self._list, is_patient=False)
            await asking.run()
        return await self._search()

    def _hint(self, asked: Sequence[Contact]) -> Contact | None:
        """Who may be nearer to the place, by what those say that have answered, the nearest of them first."""
        cards = self._member.cards

        def far(contact: Contact) -> int:
            return self._member.ring.distance(self._place, contact.id)

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
        named = (await self._member.lookups.find(self._place, until="named")).holders[: self._most]
        listings, asked = await self._list_some(named, self._copies)
        found = await self._read_all(listings)
        if not found or len(listings) < min(self._copies, USUAL_COPIES):
            # One that is quick could hide what another has; and who was named need not be the one.
            holders = (await self._member.lookups.find(self._place, until="late")).holders[: self._most]
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
        timers = list[IDelayedCall]()

        def came(listing: _Listing) -> None:
            if listing.listed and not timers and len(asking.answers) < wanted:
                wait_s = max(_GRACE_S, _LATE * (clock.seconds() - began))
                timers.append(clock.callLater(wait_s, asking.end))

        asking = HedgedRequests(holders, wanted, self._list, came)
        await asking.run()
        for timer in timers:
            if timer.active():
                timer.cancel()
        return list(asking.answers.values()), asking.asked

    def _list(
        self,
        contact: Contact,
        came: Callable[[_Listing], None],
        failed: Callable[[Exception], None],
        late: Callable[[], None],
    ) -> None:
        """Ask what one node has."""
        known = self._listings.get(contact)
        if known is None and contact == self._member.own:
            known = self._listings[contact] = self._list_own()
        if known is not None:
            came(known)
            return
        listing = _Listing(contact, [], {})

        def take(answer: RingMessage) -> None:
            try:
                after = self._take(listing, answer, "")
            except PeerError as error:
                failed(error)
                return
            if after is None:
                self._listings[contact] = listing
                came(listing)
                return
            rest = Deferred.fromCoroutine(self._list_rest(listing, after, late))
            rest.addCallbacks(came, lambda failure: failed(failure.value))
            rest.addErrback(lambda failure: self.log.failure("what a node has was not taken", failure))

        self._member.requests.question(contact, self._make, take, failed, late)

    async def _list_rest(self, listing: _Listing, after: str | None, late: Callable[[], None]) -> _Listing:
        """What there is on further pages."""
        for _ in range(_MOST_PAGES - 1):
            if after is None:
                break
            after = self._take(
                listing, await self._member.requests.ask(listing.at, partial(self._make, after=after), late), after
            )
        self._listings[listing.at] = listing
        return listing

    def _take(self, listing: _Listing, answer: RingMessage, after: str) -> str | None:
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
        keeper = self._keeper
        pairs = keeper.list_own(self._space, self._name, _MOST_PAGES * MOST_LISTED)
        texts = {listed.tag: entry.text for listed, entry in pairs}
        stabilization = self._member.stabilization
        is_own = stabilization.is_responsible(self._place)
        before = None if is_own else stabilization.predecessor
        return _Listing(self._member.own, [listed for listed, _ in pairs], texts, is_own, before)

    # What holds.

    async def _read_all(self, listings: Sequence[_Listing]) -> Sequence[Holding]:
        """Of each owner the newest that is listed, and holds."""
        wanted = _by_tag(listings)
        found = self._read_here(wanted)
        if found is not None:
            return found
        fetched = list[Holding]()
        left = iter(wanted)

        async def read() -> None:
            # One after another: very many may be known, or not worth asking for, at once.
            for tag in left:
                newest = self._newest(tag, wanted[tag])
                while isinstance(newest, _Missing):
                    await self._fetch(newest)
                    newest = self._newest(tag, wanted[tag])
                if newest is not None:
                    fetched.append(newest)

        await gatherResults([Deferred.fromCoroutine(read()) for _ in range(min(_AT_ONCE, len(wanted)))])
        return fetched

    def _read_here(self, wanted: Mapping[str, _Candidates]) -> Sequence[Holding] | None:
        """The same, if nobody has to be asked for it."""
        found = list[Holding]()
        for tag, candidates in wanted.items():
            newest = self._newest(tag, candidates)
            if isinstance(newest, _Missing):
                return None
            if newest is not None:
                found.append(newest)
        return found

    def _read(self, text: str) -> Entry | None:
        """The entry of a text, if it holds; what several have is verified once."""
        if text not in self._verified:
            try:
                self._verified[text] = read_entry(text)
            except PeerError:
                self._verified[text] = None
        return self._verified[text]

    def _newest(self, tag: str, candidates: _Candidates) -> Holding | _Missing | None:
        """The newest of one owner that holds; those that do not are let go of."""
        while candidates:
            best = candidates[0]
            for each in candidates:
                if each[0].version > best[0].version:
                    best = each
            listed, listing = best
            text = listing.texts.get(tag)
            if self._lies.get(listing.at, 0) < _MOST_LIES:
                if text is None:
                    return _Missing(tag, listing)
                entry = self._read(text)
                if entry is not None and self._is_asked(entry, tag) and entry.kept.version >= listed.version:
                    return Holding(entry, _sources(candidates, entry.kept.version))
                self._note_lie(listing.at)
            candidates.remove(best)
        return None

    def _is_asked(self, entry: Entry, tag: str) -> bool:
        kept = entry.kept
        return kept.name == self._name and kept.space == self._space and entry.tag_text == tag

    async def _fetch(self, missing: _Missing) -> None:
        """Get what somebody has listed, and has not shown."""
        listing = missing.listing
        try:
            entry, _ = await self._keeper.fetch(listing.at, partial(self._make, tag=missing.tag))
        except PeerError:
            # No entry has such a text.
            listing.texts[missing.tag] = ""
        else:
            self._verified[entry.text] = entry
            listing.texts[missing.tag] = entry.text

    def _note_lie(self, contact: Contact) -> None:
        self._lies[contact] = self._lies.get(contact, 0) + 1


def _by_tag(listings: Sequence[_Listing]) -> dict[str, _Candidates]:
    """Who lists what."""
    wanted: dict[str, _Candidates] = {}
    for listing in listings:
        for listed in listing.listed:
            wanted.setdefault(listed.tag, []).append((listed, listing))
    return wanted


def _sources(candidates: _Candidates, version: int) -> Sequence[Contact]:
    """Who has the file that this version of an entry is about."""
    return tuple([listing.at for listed, listing in candidates if listed.whole and listed.version == version])


def _present(found: Sequence[Holding]) -> Sequence[Holding]:
    """What is not deleted, the newest first."""
    there = [holding for holding in found if not holding.entry.kept.deleted]
    if len(there) > 1:
        there.sort(key=lambda holding: holding.entry.rank, reverse=True)
    return there
