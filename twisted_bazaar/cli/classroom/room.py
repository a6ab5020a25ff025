"""The classroom: its peers, how they come and go, and what the table shows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from twisted_bazaar.cli.classroom.peer import PeerProcess
from twisted_bazaar.cli.classroom.table import PeerView, is_whole
from twisted_bazaar.cli.ring.rows import Standing
from twisted_bazaar.cli.terminal.interpreter import fires_within
from twisted_bazaar.discovery.ring.rules.identifiers import CLASSROOM_BITS, Ring
from twisted_bazaar.errors import BazaarError, UsageError

FIRST_PLACES: Final = (1, 3, 4, 5, 8, 10, 12, 15)
"""The places of the lesson."""
_MOST_PEERS: Final = 24
# The place of a newcomer may be next to one that has just died: until that is noticed nobody can let it in.
_JOIN_S: Final = 70.0
# A join that takes longer than usual is told of after so long, and then every so often.
_TELL_AFTER_S: Final = 3.0
_TELL_EVERY_S: Final = 15.0
_LEAVE_S: Final = 30.0
# A request waits for a ring that closes over a death, and then for its file.
_FINISH_S: Final = 180.0
# Death is noticed after seven pings, of seven seconds each; and then others have to hear of it.
_WHOLE_S: Final = 120
# Who has gone, and is named by nobody any more, is shown for so long.
_SHOWN_S: Final = 60.0
_FILE_LINES: Final = 800
_LONGEST_NUMBER: Final = 6
_PINGS: Final = ("a ping request message", "a ping response message")


class Room:
    """Peers of one ring, each a process.

    @param folder: where their files go, a directory for each.
    @param states: where their state directories go, likewise.
    @param say: takes a line for people.
    @ivar has_pings: whether lines about pings are said too.
    """

    def __init__(self, reactor: Any, folder: Path, states: Path, say: Callable[[str], object]) -> None:
        self._reactor = reactor
        self._folder = folder
        self._states = states
        self._say = say
        self._ring = Ring(CLASSROOM_BITS)
        self._peers: dict[int, PeerProcess] = {}
        # Those at which something was typed, the last one last.
        self._typed_at: dict[int, None] = {}
        self.has_pings = False
        self._is_opened = self._is_closed = False

    def views(self) -> list[PeerView]:
        """All peers as they are now; who went long ago, and is named by nobody, is left out."""
        views = [peer.view() for peer in self._peers.values()]
        named = {place for view in views for place in view.named}
        return [view for view in views if not view.is_gone or view.for_s < _SHOWN_S or view.place in named]

    async def open(self) -> None:
        """Begin the ring of the lesson: its first peer, and then all others, who join by it.

        @raise BazaarError: one of them does not come on the ring.
        """
        first, *others = FIRST_PLACES
        await self.join(first)
        joining = [Deferred.fromCoroutine(self.join(place, by=first)) for place in others]
        try:
            await gatherResults(joining, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
        self._is_opened = True

    async def join(self, place: int | None = None, by: int | None = None) -> PeerProcess:
        """Have a peer join; returns when it is on the ring.

        @param place: where; in the middle of the widest gap if not given.
        @param by: by whom; by the first that is there if not given.
        @raise UsageError: there cannot be one.
        @raise BazaarError: it does not come on the ring.
        """
        here = {each.place: each for each in self._peers.values() if not each.is_gone}
        if place is None:
            place = self._widest_gap(sorted(here))
        if not 0 <= place < self._ring.size:
            raise UsageError(f"{place}: places on this ring go from 0 to {self._ring.size - 1}")
        if place in here:
            raise UsageError(f"peer {place} is there already")
        if len(here) >= _MOST_PEERS:
            raise UsageError(f"there are {_MOST_PEERS} peers already, which is enough for one machine")
        known = [each.endpoint for each in here.values() if each.endpoint and each.joined.called]
        if by is not None:
            known = [each for each in [self.at(by).endpoint] if each]
        if here and not known:
            raise UsageError("nobody is there yet by whom it could join; try again in a moment")
        before = self._peers.get(place)
        if before is not None:
            # Its directory is its own until it has ended.
            await fires_within(before.ended, _LEAVE_S, self._reactor)
        peer = self._peers[place] = PeerProcess(
            self._reactor,
            place,
            next(iter(known), None),
            self._folder / str(place),
            self._states / str(place),
            lambda line: self._tell(place, line),
        )
        await self._until_joined(peer)
        return peer

    async def leave(self, place: int) -> None:
        """Have a peer leave politely; returns when it is gone.

        @raise UsageError: there is none.
        """
        peer = self.at(place)
        peer.leave()
        await fires_within(peer.ended, _LEAVE_S, self._reactor)

    async def kill(self, place: int) -> None:
        """End a peer at once, as a power cut does; returns when it is gone.

        @raise UsageError: there is none.
        """
        peer = self.at(place)
        peer.kill()
        await fires_within(peer.ended, _LEAVE_S, self._reactor)

    def type_at(self, place: int, line: str) -> None:
        """Type a line at the prompt of a peer. What it is to store by a number is made, if there is no such file.

        @raise UsageError: there is none.
        """
        peer = self.at(place)
        word, _, name = line.partition(" ")
        if word == "store" and name.isdecimal() and not any(peer.room.glob(f"{name}*")):
            file = peer.room / f"{name}.txt"
            lines = (f"file {name}, made at peer {place}, line {number:04}\n" for number in range(_FILE_LINES))
            file.write_text("".join(lines), encoding="ascii")
            self._say(f"{file} is made, {_FILE_LINES:,} lines")
        self._typed_at.pop(place, None)
        self._typed_at[place] = None
        peer.type(line)

    async def finish(self) -> None:
        """Wait until all have done what was typed at them, the last one first: it may need the others for it.

        @raise BazaarError: one of them could not do it, which it has said, or takes too long.
        """
        failed = list[str]()
        for place in reversed(self._typed_at):
            peer = self._peers[place]
            if not peer.is_gone:
                peer.finish()
                await fires_within(peer.ended, _FINISH_S, self._reactor)
                if peer.status != 0:
                    failed.append(str(place))
        if failed:
            raise BazaarError(f"not all was done that was typed at peer {', '.join(failed)}")

    def at(self, place: int) -> PeerProcess:
        """The peer at a place.

        @raise UsageError: there is none, or it has gone.
        """
        peer = self._peers.get(place)
        if peer is None or peer.is_gone:
            here = ", ".join(str(each) for each in sorted(self._peers) if not self._peers[each].is_gone)
            raise UsageError(f"there is no peer {place}; there are {here or 'none'}")
        return peer

    async def look(self) -> None:
        """Ask all that are there how they stand."""
        peers = [peer for peer in self._peers.values() if not peer.is_gone]
        for peer, standing in zip(peers, await self._look_at(peers), strict=True):
            peer.note(standing)

    async def until_whole(self) -> None:
        """Wait until all peers know their neighbours.

        @raise BazaarError: that takes too long.
        """
        for _ in range(_WHOLE_S):
            await self.look()
            if is_whole(self.views()):
                return
            await deferLater(self._reactor, 1.0, lambda: None)
        raise BazaarError(f"the ring is not whole after {_WHOLE_S} s")

    async def close(self) -> None:
        """End all peers at once: there is nobody to whom they could hand anything over."""
        self._is_closed = True
        for peer in self._peers.values():
            if not peer.ended.called:
                peer.kill()
        for peer in self._peers.values():
            await fires_within(peer.ended, _LEAVE_S, self._reactor)

    # Inside.

    async def _until_joined(self, peer: PeerProcess) -> None:
        """Wait until a peer is on the ring, and tell from time to time that it is not yet.

        @raise BazaarError: it does not come.
        """
        settled = _first_of(peer.joined, peer.ended)
        # At the beginning many processes start at once.
        since, wait_s = self._reactor.seconds(), _TELL_AFTER_S if self._is_opened else _TELL_EVERY_S
        while not await fires_within(settled, wait_s, self._reactor):
            waited = self._reactor.seconds() - since
            if waited >= _JOIN_S:
                raise BazaarError(f"peer {peer.place} has not come on the ring within {_JOIN_S:g} s; it goes on trying")
            self._say(f"peer {peer.place} is still joining; it goes on trying")
            wait_s = min(_TELL_EVERY_S, _JOIN_S - waited)
        if not peer.joined.called and not self._is_closed:
            raise BazaarError(f"peer {peer.place} has not come on the ring")

    def _look_at(self, peers: Sequence[PeerProcess]) -> Deferred[list[Standing | None]]:
        def look() -> list[Standing | None]:
            return [peer.look_blocking() for peer in peers]

        looking: Deferred[list[Standing | None]] = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), look)
        return looking

    def _tell(self, place: int, line: str) -> None:
        if self.has_pings or not line.startswith(_PINGS):
            self._say(f"peer {place}: {line}")

    def _widest_gap(self, places: Sequence[int]) -> int:
        """The middle of the widest gap between places."""
        if not places:
            return 0
        size = self._ring.size
        following = [*places[1:], places[0]]
        gaps = [(self._ring.distance(low, high) or size, low) for low, high in zip(places, following, strict=True)]
        gap, low = max(gaps)
        return (low + gap // 2) % size


def _first_of(*events: Deferred[None]) -> Deferred[None]:
    """Fires when the first of several does that others wait for, too."""
    first: Deferred[None] = Deferred()

    def fire(result: None) -> None:
        if not first.called:
            first.callback(None)
        return result

    for event in events:
        event.addCallback(fire)
    return first


def place_of(text: str) -> int:
    """The place that somebody has typed.

    @raise UsageError: it is none.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
        raise UsageError(f"{text!r} is no place: write a number, such as 3")
    return int(text)
