"""Candidates: the super peers that a leaf knows of, and which it tries next. Sans-IO.

Those that the user has given are kept for ever; those that super peers and a tracker have named are kept as long as
there is room for them. One that could not be reached, or had no room, is left alone for a while.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable, Iterator, Sequence
from typing import Final

from attrs import define

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.bounded import FairTable

MOST_KNOWN: Final = 64
KNOWN_S: Final = 86_400.0
# As many as one super peer names.
_SHARES: Final = 4
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
# Who has no super peer at all does not wait for longer before it tries again where there was one.
LONGEST_WAIT_ALONE_S: Final = 5.0
# Who loses a link that has lasted for so long begins anew with its waits.
_LASTING_S: Final = 30.0


@define(eq=False)
class Candidate:
    """A super peer that may be there.

    @ivar where: its address, or an endpoint that leads to it.
    @ivar id: its node's id, once that is known.
    @ivar is_full: whether it has no room, as far as is known.
    @ivar failures: how often in a row it was of no use.
    @ivar has_worked: whether it was given by the user, or has ever taken this node.
    @ivar is_busy: whether it is being tried, or has taken this node.
    """

    where: Hashable
    backoff: Backoff
    id: int | None = None
    is_full: bool = False
    failures: int = 0
    has_worked: bool = False
    is_busy: bool = False
    tried_at: float = float("-inf")
    wait_s: float = 0.0


class Candidates:
    """All super peers that one leaf knows of.

    @param given: where the user says that there are some.
    """

    def __init__(self, rng: random.Random, given: Sequence[Hashable]) -> None:
        self._rng = rng
        self._given = {where: self._new(where, has_worked=True) for where in given}
        self._named: FairTable[Hashable, Candidate] = FairTable(MOST_KNOWN, KNOWN_S, _SHARES)

    def add(self, where: Hashable, node_id: int, is_full: bool, owner: Hashable, now: float) -> None:
        """Add a super peer that somebody has named.

        @param owner: who; one that names many pushes out what it has named itself.
        """
        known = self._given.get(where) or self._named.get(where, now)
        if known is None:
            known = self._new(where)
            self._named.put(where, known, owner, now)
        if known.id != node_id:
            # Another node is there now, and what the old one did is not its fault.
            known.id, known.failures, known.wait_s = node_id, 0, 0.0
        known.is_full = is_full

    def next(self, now: float, taken: Collection[int], *, is_alone: bool) -> Candidate | None:
        """Choose the one to try now, which counts as being tried then; None if all are to be left alone.

        @param taken: ids of those that are not to be tried.
        @param is_alone: whether this node has no super peer at all.
        """
        ready = [each for each in self._all(now, taken) if self._ready_at(each, is_alone) <= now]
        if not ready:
            return None
        # Not everybody is to try the same.
        self._rng.shuffle(ready)
        best = min(ready, key=lambda each: (each.failures, each.is_full))
        best.is_busy, best.tried_at = True, now
        return best

    def ready_in(self, now: float, taken: Collection[int], *, is_alone: bool) -> float | None:
        """The seconds until there is one to try; None if none is known."""
        times = [self._ready_at(each, is_alone) for each in self._all(now, taken)]
        return max(0.0, min(times) - now) if times else None

    def dial_failed(self, candidate: Candidate, now: float) -> None:
        """A candidate was not there, or did not want this node."""
        candidate.is_busy = False
        candidate.failures += 1
        candidate.wait_s = candidate.backoff.delay()
        candidate.tried_at = now
        if candidate.id is None:
            return
        for other in self._all(now, ()):
            # The same one, known by another address too.
            if other.id == candidate.id:
                other.is_full, other.failures = candidate.is_full, candidate.failures
                other.wait_s, other.tried_at = candidate.wait_s, now

    def accepted(self, candidate: Candidate, node_id: int) -> None:
        """A candidate has taken this node."""
        candidate.id = node_id
        candidate.has_worked = True

    def registration_lost(self, candidate: Candidate, lasted_s: float, now: float) -> None:
        """A candidate that had taken this node is gone, after so long."""
        if lasted_s >= _LASTING_S:
            candidate.backoff.reset()
            candidate.failures = 0
        self.dial_failed(candidate, now)

    def not_needed(self, candidate: Candidate) -> None:
        """A candidate was not needed after all."""
        candidate.is_busy = False

    def _new(self, where: Hashable, *, has_worked: bool = False) -> Candidate:
        return Candidate(where, Backoff(self._rng, FIRST_WAIT_S, LONGEST_WAIT_S), has_worked=has_worked)

    def _all(self, now: float, taken: Collection[int]) -> Iterator[Candidate]:
        named = (candidate for _, candidate in self._named.items(now))
        for candidate in (*self._given.values(), *named):
            if not candidate.is_busy and candidate.id not in taken:
                yield candidate

    def _ready_at(self, candidate: Candidate, is_alone: bool) -> float:
        wait_s = candidate.wait_s
        if is_alone and candidate.has_worked:
            wait_s = min(wait_s, LONGEST_WAIT_ALONE_S)
        return candidate.tried_at + wait_s
