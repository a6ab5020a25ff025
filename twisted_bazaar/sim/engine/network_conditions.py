"""Network conditions between two machines: latency, bandwidth, loss, and cuts.

Every pair of hosts has a latency of its own, drawn from the seed and the two names, so that it does not
depend on who connects first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import Final

from attrs import evolve, frozen

Draw = Callable[[random.Random], float]

# What is drawn above it counts as this: with more, greetings would run out of time.
SLOWEST_S: Final = 2.0
_MOST_KNOWN: Final = 1 << 17
_FEW_QUEUES: Final = 1024


@frozen
class Conditions:
    """The conditions of the way from one host to another.

    @ivar latency_s: how long a byte takes.
    @ivar bytes_a_second: how many bytes fit through; 0 for any number.
    @ivar loss: the share of packets that get lost; TCP sends them again, later.
    @ivar duplication: the share of datagrams that arrive twice.
    @ivar reordering: the share of datagrams that others overtake.
    """

    latency_s: float = 0.02
    bytes_a_second: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0

    @property
    def are_plain(self) -> bool:
        """Whether bytes only take their time."""
        return not (self.bytes_a_second or self.loss)


@frozen(eq=False)
class Cut:
    """A partition: nothing gets from some hosts to others.

    @ivar one_side: the hosts on one side; all others are on the other.
    @ivar one_way: whether only what leaves that side is lost.
    """

    one_side: frozenset[str]
    one_way: bool = False

    def separates(self, source: str, target: str) -> bool:
        """Whether nothing gets from one host to another."""
        if source in self.one_side:
            return target not in self.one_side
        return target in self.one_side and not self.one_way


@frozen(eq=False)
class Slowing:
    """A host whose ways are slower and narrower than they were."""

    host: str
    times: float
    bytes_a_second: float


# From a machine to itself nothing is slow, narrow or lost.
_WITHIN: Final = Conditions(latency_s=0.00005)


class Ways:
    """All ways between the hosts of a network.

    @param seed: decides the latency of each pair.
    @param usual: what a way is like unless it was changed.
    @param latency: draws the latency of a pair of hosts; that of C{usual} for all if not given.
    @ivar cuts: the partitions there are.
    @ivar version: another number after each change, for those that keep what they have asked.
    """

    def __init__(self, seed: object, usual: Conditions, latency: Draw | None = None) -> None:
        self._seed = seed
        self.usual = usual
        self._latency = latency
        self._changed: dict[tuple[str, str], Conditions] = {}
        self._known: dict[tuple[str, str], Conditions] = {}
        self._slowings: dict[Slowing, None] = {}
        self._free_at: dict[tuple[str, str], float] = {}
        self._queues_to_sweep = _FEW_QUEUES
        self.cuts: dict[Cut, None] = {}
        self.version: int = 0

    def conditions(self, source: str, target: str) -> Conditions:
        """What the way from one host to another is like now."""
        known = self._known.get((source, target))
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[source, target] = self._work_out(source, target)
        return known

    def _work_out(self, source: str, target: str) -> Conditions:
        if source == target:
            return _WITHIN
        conditions = self._changed.get((source, target))
        if conditions is None:
            conditions = self.usual
            if self._latency is not None:
                pair = random.Random(f"{self._seed}/{min(source, target)}/{max(source, target)}")
                conditions = evolve(conditions, latency_s=min(SLOWEST_S, max(0.0, self._latency(pair))))
        for slowing in self._slowings:
            if slowing.host in (source, target):
                narrowest = min(conditions.bytes_a_second or slowing.bytes_a_second, slowing.bytes_a_second)
                conditions = evolve(
                    conditions, latency_s=conditions.latency_s * slowing.times, bytes_a_second=narrowest
                )
        return conditions

    def change(self, source: str, target: str, conditions: Conditions | None) -> None:
        """Make one way special; with None, usual again."""
        self._forget()
        if conditions is None:
            self._changed.pop((source, target), None)
        else:
            self._changed[source, target] = conditions

    def slow_down(self, host: str, times: float, bytes_a_second: float) -> Slowing:
        """Make every way from and to a host slower, and narrow; lasts until it is taken back.

        What slows one host at the same time adds up.
        """
        self._forget()
        slowing = Slowing(host, times, bytes_a_second)
        self._slowings[slowing] = None
        return slowing

    def speed_up(self, slowing: Slowing) -> None:
        """Take back one slowing."""
        self._forget()
        self._slowings.pop(slowing, None)

    def passed_at(self, source: str, target: str, size: int, now: float) -> float:
        """Let bytes through a narrow way, behind all that is in it already; returns when the last is through.

        @param size: how many; 0 asks how long the queue is.
        """
        key = (source, target)
        through = max(now, self._free_at.get(key, now))
        if size:
            through += size / self.conditions(source, target).bytes_a_second
            self._free_at[key] = through
            if len(self._free_at) > self._queues_to_sweep:
                self._free_at = {key: at for key, at in self._free_at.items() if at > now}
                self._queues_to_sweep = max(_FEW_QUEUES, 2 * len(self._free_at))
        return through

    def cut(self, hosts: Collection[str], *, one_way: bool = False) -> Cut:
        """Begin a partition; it lasts until it is healed."""
        cut = Cut(frozenset(hosts), one_way)
        self.cuts[cut] = None
        return cut

    def heal(self, cut: Cut) -> None:
        """End a partition."""
        self.cuts.pop(cut, None)

    def is_cut(self, source: str, target: str) -> bool:
        """Whether nothing gets from one host to another now."""
        for cut in self.cuts:  # noqa: SIM110 # a generator costs more than the cuts do
            if cut.separates(source, target):
                return True
        return False

    def _forget(self) -> None:
        """What was asked before may be true no more."""
        self.version += 1
        self._known.clear()


def constant(seconds: float) -> Draw:
    """The same latency for all."""
    return lambda rng: seconds


def uniform(least_s: float, most_s: float) -> Draw:
    """Any latency between two, all as likely."""
    return lambda rng: rng.uniform(least_s, most_s)


def lognormal(median_s: float, sigma: float) -> Draw:
    """Latencies as measured between hosts of the internet: most near the median, few far above."""
    return lambda rng: median_s * rng.lognormvariate(0.0, sigma)
