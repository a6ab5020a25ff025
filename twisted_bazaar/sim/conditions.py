"""What lies between two machines: how long bytes take, how many fit, how many get lost, and what is cut.

Every pair of hosts has a latency of its own, drawn from the seed and the two names, so that it does not
depend on who connects first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import Final

from attrs import evolve, frozen

Draw = Callable[[random.Random], float]

_SLOWEST_S: Final = 2.0


@frozen
class Conditions:
    """What the way from one host to another is like.

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
        self._slowed: dict[str, tuple[float, float]] = {}
        self.cuts: dict[Cut, None] = {}
        self.version = 0

    def conditions(self, source: str, target: str) -> Conditions:
        """What the way from one host to another is like now."""
        conditions = self._changed.get((source, target))
        if conditions is None:
            conditions = self.usual
            if self._latency is not None:
                pair = random.Random(f"{self._seed}/{min(source, target)}/{max(source, target)}")
                conditions = evolve(conditions, latency_s=min(_SLOWEST_S, max(0.0, self._latency(pair))))
        for host in (source, target):
            if host in self._slowed:
                times, most = self._slowed[host]
                conditions = evolve(conditions, latency_s=conditions.latency_s * times, bytes_a_second=most)
        return conditions

    def change(self, source: str, target: str, conditions: Conditions | None) -> None:
        """Make one way special; with None, usual again."""
        self.version += 1
        if conditions is None:
            self._changed.pop((source, target), None)
        else:
            self._changed[source, target] = conditions

    def slow_down(self, host: str, times: float, bytes_a_second: float) -> None:
        """Make every way from and to a host slower, and narrow."""
        self.version += 1
        self._slowed[host] = (times, bytes_a_second)

    def speed_up(self, host: str) -> None:
        """Make the ways of a host what they were before they were slowed down."""
        self.version += 1
        self._slowed.pop(host, None)

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
        return any(cut.separates(source, target) for cut in self.cuts)


def constant(seconds: float) -> Draw:
    """The same latency for all."""
    return lambda rng: seconds


def uniform(least_s: float, most_s: float) -> Draw:
    """Any latency between two, all as likely."""
    return lambda rng: rng.uniform(least_s, most_s)


def lognormal(median_s: float, sigma: float) -> Draw:
    """Latencies as measured between hosts of the internet: most near the median, few far above."""
    return lambda rng: median_s * rng.lognormvariate(0.0, sigma)
