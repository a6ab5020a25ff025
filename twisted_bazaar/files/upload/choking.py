"""Choking (BEP 3): who is served and who waits, when more ask than there are upload slots. Sans-IO.

After the choker of BitTorrent (B. Cohen, "Incentives Build Robustness in BitTorrent", 2003, section 3; BEP 3), with
max-min fair shares by host:

  - A slot is a lease that progress keeps. Each chunk renews it, until the turn is over. Who lets the source wait too
    long for one chunk, because it reads slowly or wants nothing, loses the slot to who waits, but is not cut off: it
    finishes its chunk beside the slots. So a slow reader keeps nobody from a slot, and still gets its chunk.
  - A host that was slow lately does not need a slot: it is served chunk by chunk beside them, until one comes fast.
  - A host with several slots more than one that waits gives one up at once, and finishes that chunk in the same way.
  - As many as the node has room for are served beside the slots. Past that the host that has most of them is choked
    first, then who hardly reads at all and is much slower than the newcomer.
  - If none of that is of help, one slot goes round among hosts that have nothing, each for one lease: the optimistic
    unchoke, which finds out who is faster.
  - Hosts take turns in the line, and so do the connections of one host.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable
from enum import Enum
from math import exp
from typing import Final, Generic, TypeVar

from attrs import define, frozen

LEASE_S: Final = 0.5
"""How long a source waits for who has a slot, in all, for one chunk, while others wait for that slot."""

_TURN_CHUNKS: Final = 8
_TURN_S: Final = 2.0
# For each slot so many are served beside the slots. A way out that is narrow has so many more to share it.
_BESIDE_A_SLOT: Final = 3
# Over how many seconds a rate is measured: who empties a large buffer now and then takes nothing in between.
_RATE_S: Final = 4.0
_SHORTEST_SAMPLE_S: Final = 0.1
# Who is so many times as fast takes the place of who hardly reads. Equals, and those whose links are slow, would push
# each other out in the middle of chunks for ever.
_MUCH_FASTER: Final = 2.0
_HARDLY: Final = 16 << 10
_FAIR_EXCESS: Final = 2
# Which hosts were slow, and for how long that is remembered.
_SLOW_S: Final = 60.0
_MOST_SLOW: Final = 1024

T = TypeVar("T", bound=Hashable)


class Verdict(Enum):
    """The decision about an asker.

    @cvar UNCHOKE: it has a slot.
    @cvar FINISH: it is served beside the slots, and for one chunk only.
    @cvar CHOKE: it waits in line.
    """

    UNCHOKE = "unchoke"
    FINISH = "finish"
    CHOKE = "choke"


@frozen
class Progress:
    """The visible progress of somebody who is served.

    @ivar taken_bytes: how much it has taken in all.
    @ivar kept_waiting_s: how long the source has waited for it since the last chunk was complete.
    """

    taken_bytes: int
    kept_waiting_s: float


@define
class _Turn:
    host: str
    since: float
    taken_bytes: int
    lease_since: float
    sampled_at: float
    rate: float | None = None
    chunks: int = 0

    def sample(self, taken_bytes: int, now: float) -> None:
        """Measure the rate anew."""
        elapsed_s = now - self.sampled_at
        if elapsed_s < _SHORTEST_SAMPLE_S:
            return
        rate = (taken_bytes - self.taken_bytes) / elapsed_s
        share = 1.0 if self.rate is None else 1.0 - exp(-elapsed_s / _RATE_S)
        self.rate = (self.rate or 0.0) * (1.0 - share) + rate * share
        self.sampled_at, self.taken_bytes = now, taken_bytes


class Choker(Generic[T]):
    """A number of upload slots, those who are served beside them, and the line before them.

    @param slots: how many slots there are.
    @param progress: tells how far somebody is who is served.
    """

    def __init__(self, slots: int, progress: Callable[[T], Progress]) -> None:
        self._slots = slots
        self._most_beside = _BESIDE_A_SLOT * slots
        self._progress = progress
        # An asker is in one of these at most. Both turns are in the order in which they began, the hosts of the line in
        # that in which it is their turn.
        self._unchoked: dict[T, _Turn] = {}
        self._beside: dict[T, _Turn] = {}
        self._line: dict[str, dict[T, None]] = {}
        # Hosts that have let a lease run out, the last one last: their rate, and when that was.
        self._slow: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def busy(self) -> int:
        """The number of askers that are served or wait."""
        return len(self._unchoked) + len(self._beside) + sum(len(line) for line in self._line.values())

    @property
    def has_line(self) -> bool:
        """Whether somebody waits."""
        return bool(self._line)

    def serves(self, asker: T) -> bool:
        """Whether somebody has a slot, or is served beside the slots."""
        return asker in self._unchoked or asker in self._beside

    def waits(self, asker: T) -> bool:
        """Whether somebody stands in line."""
        return any(asker in line for line in self._line.values())

    def queue_position(self, asker: T) -> int:
        """The number of askers before one in the line, if the hosts take turns from now on."""
        count, of_later = 0, 0
        own = next(line for line in self._line.values() if asker in line)
        place = list(own).index(asker)
        for line in self._line.values():
            if line is own:
                count, of_later = count + place, 1
            else:
                count += min(len(line), place + 1 - of_later)
        return count

    def enqueue(self, asker: T, host: str) -> None:
        """Stand in line, at the end of that of its host; who stands there or is served stays as it is.

        @param host: whom a slot is charged to.
        """
        if not self.serves(asker):
            self._line.setdefault(host, {})[asker] = None

    def remove(self, asker: T) -> None:
        """Give up the slot or the place in the line."""
        self._unchoked.pop(asker, None)
        self._beside.pop(asker, None)
        host = next((host for host, line in self._line.items() if asker in line), None)
        if host is not None:
            self._leave_line(asker, host)

    def chunk_sent(self, asker: T, now: float) -> bool:
        """A chunk has been sent to somebody who is served: its lease begins anew.

        @return: whether its turn is over: others wait, and it has had enough, or was to have this one only.
        """
        turn = self._unchoked.get(asker) or self._beside[asker]
        if now - turn.lease_since < LEASE_S:
            self._slow.pop(turn.host, None)
        turn.chunks += 1
        turn.lease_since = now
        if not self.has_line:
            return False
        return asker in self._beside or turn.chunks >= _TURN_CHUNKS or now - turn.since >= _TURN_S

    def assign_slots(self, now: float) -> list[tuple[Verdict, T]]:
        """Give out the slots that are free, and those whose leases are over; ask it often while somebody waits.

        @return: what has changed, in this order.
        """
        changed: list[tuple[Verdict, T]] = []
        for served, turn in (*self._unchoked.items(), *self._beside.items()):
            turn.sample(self._progress(served).taken_bytes, now)
        # No slot changes hands twice in one decision.
        for _ in range(self._slots):
            host = self._next_host(now, are_slow=False)
            if host is None or not (self._has_free_slot or self._free_slot(host, now, changed)):
                break
            self._serve(host, now, self._unchoked, Verdict.UNCHOKE, changed)
        while self._has_free_slot and (host := self._next_host(now, are_slow=True)) is not None:
            self._serve(host, now, self._unchoked, Verdict.UNCHOKE, changed)
        for _ in range(self._most_beside):
            host = self._next_host(now, are_slow=True)
            if host is None or not self._has_room_beside(host, self._slow[host][0], changed):
                break
            self._serve(host, now, self._beside, Verdict.FINISH, changed)
        while self._beside and self._has_free_slot:
            # Nobody waits.
            first = next(iter(self._beside))
            turn = self._unchoked[first] = self._beside.pop(first)
            turn.since = turn.lease_since = now
            turn.chunks = 0
            changed.append((Verdict.UNCHOKE, first))
        return changed

    # Inside.

    @property
    def _has_free_slot(self) -> bool:
        return len(self._unchoked) < self._slots

    def _next_host(self, now: float, *, are_slow: bool) -> str | None:
        """The host whose turn it is, of those that were slow lately or of the others: the one that is served least.

        Who was slow long ago is tried again, after those of whom nothing is known.
        """
        served = self._served()
        waiting = (host for host in self._line if self._is_slow(host, now) == are_slow)
        return min(waiting, key=lambda host: (served[host], host in self._slow), default=None)

    def _is_slow(self, host: str, now: float) -> bool:
        return host in self._slow and now - self._slow[host][1] < _SLOW_S

    def _served(self) -> Counter[str]:
        return _by_host((*self._unchoked.values(), *self._beside.values()))

    def _serve(
        self, host: str, now: float, place: dict[T, _Turn], verdict: Verdict, changed: list[tuple[Verdict, T]]
    ) -> None:
        """Serve who waits longest of a host."""
        asker = next(iter(self._line[host]))
        self._leave_line(asker, host)
        if line := self._line.pop(host, None):
            # The other hosts come first.
            self._line[host] = line
        place[asker] = _Turn(host, now, self._progress(asker).taken_bytes, now, now)
        changed.append((verdict, asker))

    def _leave_line(self, asker: T, host: str) -> None:
        line = self._line[host]
        del line[asker]
        if not line:
            del self._line[host]

    def _free_slot(self, host: str, now: float, changed: list[tuple[Verdict, T]]) -> bool:
        """Take a slot from who has too many, or makes too little of it.

        @param host: that of who would get it.
        """
        expired = [asker for asker, turn in self._unchoked.items() if self._is_expired(asker, turn, now)]
        for asker in expired:
            self._note_slow(asker, now)
        held = _by_host(self._unchoked.values())
        [(greediest, most)] = held.most_common(1)
        if most >= held[host] + _FAIR_EXCESS:
            victim = self._slowest([asker for asker, turn in self._unchoked.items() if turn.host == greediest])
            if not self._finish(victim, changed):
                self._choke(victim, changed)
            return True
        served = self._served()
        for victim in sorted(expired, key=lambda each: (-served[self._unchoked[each].host], self._rate(each))):
            if self._finish(victim, changed):
                return True
        is_trying = any(not turn.chunks and each not in expired for each, turn in self._unchoked.items())
        if not expired or served[host] or is_trying:
            return False
        self._choke(expired[-1], changed)
        return True

    def _is_expired(self, asker: T, turn: _Turn, now: float) -> bool:
        return min(now - turn.lease_since, self._progress(asker).kept_waiting_s) >= LEASE_S

    def _note_slow(self, asker: T, now: float) -> None:
        host = self._unchoked[asker].host
        self._slow[host] = (self._rate(asker), now)
        self._slow.move_to_end(host)
        if len(self._slow) > _MOST_SLOW:
            self._slow.popitem(last=False)

    def _finish(self, asker: T, changed: list[tuple[Verdict, T]]) -> bool:
        """Serve somebody who has a slot beside the slots, or choke it if its host has most of those and it is slowest.

        @return: whether the slot is free.
        """
        turn = self._unchoked[asker]
        if not self._has_room_beside(turn.host, self._rate(asker), changed):
            if not any(each.host == turn.host for each in self._beside.values()):
                return False
            self._choke(asker, changed)
            return True
        self._beside[asker] = self._unchoked.pop(asker)
        changed.append((Verdict.FINISH, asker))
        return True

    def _has_room_beside(self, host: str, rate: float, changed: list[tuple[Verdict, T]]) -> bool:
        """Whether one more of a host may be served beside the slots; it may take the place of another."""
        if len(self._beside) < self._most_beside:
            return True
        beside = _by_host(self._beside.values())
        [(crowded, most)] = beside.most_common(1)
        if most < beside[host] + _FAIR_EXCESS:
            # What is fair already; in between who is much faster comes first, of one host or of all.
            crowded = host if beside[host] else ""
        loser = self._slowest([each for each, turn in self._beside.items() if not crowded or turn.host == crowded])
        slowest = self._rate(loser)
        if most < beside[host] + _FAIR_EXCESS and (slowest >= _HARDLY or not rate or rate < _MUCH_FASTER * slowest):
            return False
        self._choke(loser, changed)
        return True

    def _choke(self, asker: T, changed: list[tuple[Verdict, T]]) -> None:
        turn = self._unchoked.pop(asker, None) or self._beside.pop(asker)
        self.enqueue(asker, turn.host)
        changed.append((Verdict.CHOKE, asker))

    def _rate(self, asker: T) -> float:
        turn = self._unchoked.get(asker) or self._beside[asker]
        return turn.rate or 0.0

    def _slowest(self, askers: list[T]) -> T:
        """The slowest of several askers; of those equally slow the one that came last."""
        return min(reversed(askers), key=self._rate)


def _by_host(turns: Iterable[_Turn]) -> Counter[str]:
    return Counter(turn.host for turn in turns)
