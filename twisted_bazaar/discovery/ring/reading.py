"""Getting what stands under a name from the nodes of a ring that keep it.

Nobody is believed that something is there, or is not: several are asked, what comes is verified, and of each owner
the newest is taken. Those that this node itself takes for the keepers are asked at once. If one of them says that the
name belongs to it, and another on another host has the same, that is enough. Else the place is looked for, which takes
longer: L{twisted_bazaar.discovery.ring.lookup}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from attrs import define, frozen
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twisted_bazaar.discovery.ring.entry import Entry, read_entry, tag_text
from twisted_bazaar.discovery.ring.hedged import Hedged
from twisted_bazaar.discovery.ring.identifiers import Contact
from twisted_bazaar.discovery.ring.keeper import Keeper
from twisted_bazaar.discovery.ring.keeping_messages import MOST_LISTED, Listed, RingRequest, RingTransfer
from twisted_bazaar.discovery.ring.messages import RingMessage
from twisted_bazaar.discovery.ring.named import host_of
from twisted_bazaar.errors import LinkClosed, PeerError

__all__ = ["USUAL_COPIES", "Holding", "Reading"]

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


@define(eq=False)
class _Listing:
    """What one node has under a name.

    @ivar texts: some of them, by tag.
    @ivar is_own: whether it says that the name belongs to it.
    @ivar before: the node before it, if not.
    """

    at: Contact
    listed: list[Listed]
    texts: dict[str, str]
    is_own: bool = False
    before: Contact | None = None


_Candidates = Sequence[tuple[Listed, _Listing]]


class Reading:
    """One get.

    @param keeper: the node that gets, and what it keeps itself.
    @param clock: the source of time and timers.
    @param copies: how many nodes are asked at first. All that are to have it are, if these know nothing.
    """

    def __init__(self, keeper: Keeper, clock: IReactorTime, space: str, name: str, copies: int = USUAL_COPIES) -> None:
        self._keeper = keeper
        self._clock = clock
        self._member = keeper.member
        self._space = space
        self._name = name
        self._copies = copies
        self._most = keeper.replicas + 1
        self._place = keeper.store.place_of_name(name)
        self._lies = Counter[Contact]()
        # Nobody is asked twice.
        self._listings: dict[Contact, _Listing] = {}
        self._verified: dict[str, Entry] = {}

    async def holdings(self) -> Sequence[Holding]:
        """What there is: of each owner the newest, and the newest of all first.

        @raise LinkClosed: nobody was there to ask.
        """
        found = await self._guess()
        if found is None:
            found = await self._search()
        if len(found) > 1:
            found.sort(key=lambda holding: holding.entry.rank, reverse=True)
        return [holding for holding in found if not holding.entry.kept.deleted]

    async def _guess(self) -> list[Holding] | None:
        """What those have whom this node takes for the keepers; None if that need not be all."""
        likely = self._member.likely(self._place, self._most) if self._copies <= USUAL_COPIES else ()
        if not likely:
            return None
        asking = Hedged(likely, USUAL_COPIES, self._list, is_patient=False)
        asking.go()
        await asking.over
        asked = asking.asked
        found = await self._agreed(likely[0])
        for _ in range(_MOST_HINTS):
            hint = self._hint(asked) if found is None else None
            if hint is None:
                break
            asked.append(hint)
            asking = Hedged((hint,), 1, self._list, is_patient=False)
            asking.go()
            await asking.over
            found = await self._agreed(likely[0])
        return found

    def _hint(self, asked: Sequence[Contact]) -> Contact | None:
        """Who may be nearer to the place, by what those say that have answered, the nearest of them first."""

        def far(contact: Contact) -> int:
            return self._member.ring.distance(self._place, contact.id)

        for listing in sorted(self._listings.values(), key=lambda each: far(each.at)):
            hint = listing.before
            if hint is not None and hint not in self._listings and hint not in asked and far(hint) < far(listing.at):
                return hint
        return None

    async def _agreed(self, nearest: Contact) -> list[Holding] | None:
        """What has come, if that is enough.

        @param nearest: who was taken for the one to whom the name belongs.
        """
        listings = list(self._listings.values())
        found = await self._read_all(listings)
        shown = {(tag_text(holding.entry.tag), holding.entry.kept.version) for holding in found}
        agreeing = [each for each in listings if any((one.tag, one.version) in shown for one in each.listed)]
        # If the nearest is dead there may be nobody yet who knows that it is next.
        is_known = nearest not in self._listings or any(each.is_own for each in agreeing)
        hosts = {host_of(each.at) for each in agreeing}
        return found if is_known and len(hosts) >= USUAL_COPIES else None

    async def _search(self) -> list[Holding]:
        """What those have who are found to be the keepers."""
        named = (await self._member.find(self._place, until="named")).holders[: self._most]
        listings, asked = await self._list_some(named, self._copies)
        found = await self._read_all(listings)
        if not found or len(listings) < min(self._copies, USUAL_COPIES):
            # One that is quick could hide what another has; and who was named need not be the one.
            holders = (await self._member.find(self._place, until="late")).holders[: self._most]
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

        asking = Hedged(holders, wanted, self._list, came)
        asking.go()
        await asking.over
        for timer in timers:
            if timer.active():
                timer.cancel()
        return list(asking.answers.values()), asking.asked

    def _list(self, contact: Contact, late: Callable[[], None]) -> Deferred[_Listing]:
        """What one node has."""
        known = self._listings.get(contact)
        if known is not None:
            return succeed(known)
        if contact == self._member.own:
            own = self._listings[contact] = self._list_own()
            return succeed(own)
        listing = _Listing(contact, [], {})
        make = partial(RingRequest, space=self._space, name=self._name)

        def take(answer: RingMessage) -> _Listing | Deferred[_Listing]:
            after = self._take(listing, answer, "")
            if after is not None:
                return Deferred.fromCoroutine(self._list_rest(listing, after, late))
            self._listings[contact] = listing
            return listing

        return self._member.ask(contact, make, late).addCallback(take)

    async def _list_rest(self, listing: _Listing, after: str | None, late: Callable[[], None]) -> _Listing:
        """What there is on further pages."""
        make = partial(RingRequest, space=self._space, name=self._name)
        for _ in range(_MOST_PAGES - 1):
            if after is None:
                break
            after = self._take(listing, await self._member.ask(listing.at, partial(make, after=after), late), after)
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
            named = self._member.cards.read_all((answer.predecessor,), listing.at.address)
            listing.before = named[0] if named else None
        if listed and answer.parts == 1:
            listing.texts[listed[0].tag] = answer.text
        return listed[-1].tag if answer.more and listed and listed[-1].tag > after else None

    def _list_own(self) -> _Listing:
        """What this node has itself."""
        keeper = self._keeper
        pairs = keeper.list_own(self._space, self._name, _MOST_PAGES * MOST_LISTED)
        texts = {listed.tag: entry.text for listed, entry in pairs}
        membership = self._member.membership
        is_own = membership.is_responsible(self._place)
        return _Listing(
            self._member.own, [listed for listed, _ in pairs], texts, is_own, None if is_own else membership.predecessor
        )

    # What holds.

    async def _read_all(self, listings: Sequence[_Listing]) -> list[Holding]:
        """Of each owner the newest that is listed, and holds."""
        wanted: dict[str, list[tuple[Listed, _Listing]]] = {}
        for listing in listings:
            for listed in listing.listed:
                wanted.setdefault(listed.tag, []).append((listed, listing))
        found = list[Holding]()
        left = iter(wanted)

        async def read() -> None:
            # One after another: very many may be known, or not worth asking for, at once.
            for tag in left:
                holding = await self._newest(tag, wanted[tag])
                if holding is not None:
                    found.append(holding)

        if len(wanted) == 1:
            await read()
        elif wanted:
            await gatherResults([Deferred.fromCoroutine(read()) for _ in range(min(_AT_ONCE, len(wanted)))])
        return found

    def _read(self, text: str) -> Entry:
        """An entry that holds; what several have is verified once.

        @raise Forged: it does not.
        """
        entry = self._verified.get(text)
        if entry is None:
            entry = self._verified[text] = read_entry(text)
        return entry

    async def _newest(self, tag: str, candidates: _Candidates) -> Holding | None:
        """The newest of one owner that holds."""
        for listed, listing in sorted(candidates, key=lambda pair: pair[0].version, reverse=True):
            if self._lies[listing.at] >= _MOST_LIES:
                continue
            try:
                if tag in listing.texts:
                    entry = self._read(listing.texts[tag])
                else:
                    make = partial(RingRequest, space=self._space, name=self._name, tag=tag)
                    entry, _ = await self._keeper.fetch(listing.at, make)
            except PeerError:
                self._lies[listing.at] += 1
                continue
            is_asked = entry.key[:2] == (self._space, self._name) and tag_text(entry.tag) == tag
            if is_asked and entry.kept.version >= listed.version:
                same = [each for each in candidates if each[0].whole and each[0].version == entry.kept.version]
                return Holding(entry, tuple(each[1].at for each in same))
            self._lies[listing.at] += 1
        return None
