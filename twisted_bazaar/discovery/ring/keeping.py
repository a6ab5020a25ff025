"""What the nodes of a ring keep for each other: put there, asked for, and deleted.

An entry goes to the node to which its name belongs and to some that follow it. Whoever asks does not believe anybody
that something is there, or is not: it asks several, verifies what comes, and of each owner takes the newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec
from attrs import define, frozen
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.entry import Entry, Kept, check_name, read_entry, sign_entry, tag_text
from twisted_bazaar.discovery.ring.identifiers import Contact
from twisted_bazaar.discovery.ring.keeper import Copy, Files, Keeper
from twisted_bazaar.discovery.ring.keeping_messages import Listed, RingRequest, RingTransfer
from twisted_bazaar.errors import LinkClosed, NotNow, PeerError, UsageError
from twisted_bazaar.wire.message import LARGEST_INTEGER

__all__ = ["Copy", "Files", "Holding", "Keeping", "Stored"]

# Two have to agree to hide something, or be dead, before the rest are asked.
USUAL_COPIES: Final = 2
_TRIES: Final = 3
_MOST_PAGES: Final = 16
_AT_ONCE: Final = 8
# Who is dead is not waited for by those who have an answer already: for so long, or so many times as long as that took.
_GRACE_S: Final = 0.25
_LATE: Final = 3


@frozen
class Stored:
    """What has become of an entry.

    @ivar copies: what each has said, the one to which it belongs first.
    """

    entry: Entry
    copies: Sequence[Copy]

    @property
    def keepers(self) -> Sequence[Contact]:
        """Who has it now."""
        return [copy.at for copy in self.copies if copy.is_kept]


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
    """

    at: Contact
    listed: list[Listed]
    texts: dict[str, str]


class Keeping(Keeper):
    """What one node keeps, and what it has others keep."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._versions: dict[tuple[str, str], int] = {}

    def put(self, space: str, name: str, value: bytes = b"", **said: Any) -> Deferred[Stored]:
        """Have something kept under a name, in place of what this node had kept there before.

        @param said: what else L{Kept} has: of a file its digest, size and name; a lifetime.
        @raise UsageError: the name or the value cannot be.
        @raise NotNow: nobody has room for it.
        @raise LinkClosed: nobody was there to keep it.
        """
        return Deferred.fromCoroutine(self._put(space, name, value=value, **said))

    def delete(self, space: str, name: str, **said: Any) -> Deferred[Stored]:
        """Have what this node has put under a name kept no longer."""
        return Deferred.fromCoroutine(self._put(space, name, deleted=True, **said))

    def get(self, space: str, name: str, copies: int = USUAL_COPIES) -> Deferred[Sequence[Holding]]:
        """What there is under a name: of each owner the newest, and the newest of all first.

        @param copies: how many nodes are asked at first. All that are to have it are, if these know nothing.
        @raise LinkClosed: nobody was there to ask.
        """
        return Deferred.fromCoroutine(self._get(space, name, copies))

    # Putting.

    async def _put(self, space: str, name: str, **said: Any) -> Stored:
        try:
            check_name(name)
        except ValueError as error:
            raise UsageError(str(error)) from None
        version = self._next_version(space, name, 0)
        stored: Stored | None = None
        for _ in range(_TRIES):
            kept = _kept(space=space, name=name, owner=self._node.key.public, version=version, **said)
            entry = sign_entry(self._node.key, kept)
            stored = await self._spread(entry)
            newest = max((copy.version for copy in stored.copies if copy.outcome == "older"), default=0)
            if stored.keepers and not newest:
                return stored
            # It was stored by this key before, by a clock that was ahead; or who should have it has gone.
            version = self._next_version(space, name, newest)
        assert stored is not None, "it was tried"
        if stored.keepers:
            return stored
        if any(copy.outcome == "full" for copy in stored.copies):
            raise NotNow(f"nobody who is to keep {name!r} has room for it")
        raise LinkClosed(f"nobody is there to keep {name!r}")

    async def _spread(self, entry: Entry) -> Stored:
        """Send an entry to all that are to have it."""
        holders = await self.member.lookup(self.store.place_of(entry))
        sending = [
            self.send(holder, entry).addErrback(partial(_lost, holder)) for holder in holders[: self.replicas + 1]
        ]
        return Stored(entry, await gatherResults(sending))

    def _next_version(self, space: str, name: str, above: int) -> int:
        known = self.store.get((space, name, self._node.key.public), self._now())
        before = max(above, self._versions.get((space, name), 0), 0 if known is None else known.kept.version)
        version = min(LARGEST_INTEGER, max(int(self._now() * 1000), before + 1))
        self._versions[space, name] = version
        return version

    # Getting.

    async def _get(self, space: str, name: str, copies: int) -> Sequence[Holding]:
        holders = (await self.member.lookup(self.store.place_of_name(name)))[: self.replicas + 1]
        listings = await self._list_all(holders[:copies], space, name)
        if not any(listing.listed for listing in listings):
            listings += await self._list_all(holders[copies:], space, name)
        if not listings:
            raise LinkClosed(f"nobody is there to ask for {name!r}")
        wanted: dict[str, list[tuple[Listed, _Listing]]] = {}
        for listing in listings:
            for listed in listing.listed:
                wanted.setdefault(listed.tag, []).append((listed, listing))
        line = DeferredSemaphore(_AT_ONCE)
        found = await gatherResults(
            [
                line.run(lambda each: Deferred.fromCoroutine(self._newest(space, name, *each)), each)
                for each in wanted.items()
            ]
        )
        holdings = [holding for holding in found if holding is not None and not holding.entry.kept.deleted]
        return sorted(holdings, key=lambda holding: holding.entry.rank, reverse=True)

    async def _newest(
        self, space: str, name: str, tag: str, candidates: Sequence[tuple[Listed, _Listing]]
    ) -> Holding | None:
        """The newest of one owner that holds."""
        for listed, listing in sorted(candidates, key=lambda pair: pair[0].version, reverse=True):
            try:
                if tag in listing.texts:
                    entry = read_entry(listing.texts[tag])
                else:
                    entry, _ = await self.fetch(listing.at, partial(RingRequest, space=space, name=name, tag=tag))
            except PeerError:
                continue
            is_asked = entry.key[:2] == (space, name) and tag_text(entry.tag) == tag
            if is_asked and entry.kept.version >= listed.version:
                same = [each for each in candidates if each[0].whole and each[0].version == entry.kept.version]
                return Holding(entry, tuple(each[1].at for each in same))
        return None

    def _list_all(self, holders: Sequence[Contact], space: str, name: str) -> Deferred[list[_Listing]]:
        """What some nodes have; who takes much longer than the first that has something is not waited for."""
        listings = list[_Listing]()
        done: Deferred[list[_Listing]] = Deferred()
        waiting = set(holders)
        began = self._now()
        timers = list[IDelayedCall]()

        def finish() -> None:
            for timer in timers:
                if timer.active():
                    timer.cancel()
            if not done.called:
                done.callback(list(listings))

        def came(listing: _Listing) -> None:
            listings.append(listing)
            if listing.listed and not timers and not done.called:
                wait_s = max(_GRACE_S, _LATE * (self._now() - began))
                timers.append(self._node.clock.callLater(wait_s, finish))

        def over(_: object, holder: Contact) -> None:
            waiting.discard(holder)
            if not waiting:
                finish()

        for holder in holders:
            asking = Deferred.fromCoroutine(self._list(holder, space, name))
            asking.addCallbacks(came, lambda failure: failure.trap(PeerError)).addErrback(self._failed)
            asking.addCallback(over, holder)
        if not holders:
            finish()
        return done

    def _failed(self, failure: Failure) -> None:
        self.log.failure("a node was not asked as it should be", failure)

    async def _list(self, contact: Contact, space: str, name: str) -> _Listing:
        if contact == self.member.own:
            entries = self._by_tag(space, name)
            texts = {tag_text(entry.tag): entry.text for entry in entries}
            return _Listing(contact, [self._listed(entry) for entry in entries], texts)
        listing = _Listing(contact, [], {})
        after: str | None = None
        for _ in range(_MOST_PAGES):
            answer = await self.member.ask(contact, partial(RingRequest, space=space, name=name, after=after))
            if not isinstance(answer, RingTransfer):
                raise LinkClosed("it answers something else")
            listing.listed += answer.listed
            if answer.listed and answer.parts == 1:
                listing.texts[answer.listed[0].tag] = answer.text
            if not answer.more or not answer.listed or answer.listed[-1].tag <= (after or ""):
                break
            after = answer.listed[-1].tag
        return listing


def _kept(**said: Any) -> Kept:
    """What an owner wants to be kept.

    @raise UsageError: it cannot be.
    """
    try:
        return msgspec.convert(said, Kept, from_attributes=False)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _lost(contact: Contact, failure: Failure) -> Copy:
    failure.trap(PeerError)
    return Copy(contact, "lost")
