"""Faults of machines and ways, on a schedule or drawn from a seed.

Every fault has a beginning and an end; at its end it is undone: a machine has power again and its
program is started, a partition heals. Faults overlap: a machine is slow, still or full for as long as
one of those that make it so is under way.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from itertools import count
from math import prod
from typing import Any, ClassVar, Final

from attrs import frozen

from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.engine.hosts import Host

Undo = Callable[[], None]


class FaultKind(Enum):
    """A kind of fault."""

    CRASH = "crash"
    KILL = "kill"
    PAUSE = "pause"
    PARTITION = "partition"
    ONE_WAY = "one-way"
    SLOW = "slow"
    SKEW = "skew"
    DISK_FULL = "disk-full"
    DISK_ERROR = "disk-error"

    # Members are alone of their kind; a hash of the name would differ between two runs.
    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


@frozen
class Fault:
    """One thing that goes wrong for a while.

    @ivar at_s: when it begins, in seconds since the run began.
    @ivar for_s: how long it lasts.
    @ivar nodes: the names of the members it befalls; with a partition, one side of it.
    @ivar strength: for C{slow}, how many times slower; for C{skew}, the rate of the clock.
    """

    kind: FaultKind
    at_s: float
    for_s: float
    nodes: tuple[str, ...]
    strength: float = 1.0


# How long a drawn fault lasts, in seconds: the least and the most. Some outlast the silence after
# which a node is taken for dead, most do not.
_LENGTHS: Final[Mapping[FaultKind, tuple[float, float]]] = {
    FaultKind.CRASH: (1.0, 60.0),
    FaultKind.KILL: (0.5, 30.0),
    FaultKind.PAUSE: (0.1, 120.0),
    FaultKind.PARTITION: (1.0, 120.0),
    FaultKind.ONE_WAY: (1.0, 120.0),
    FaultKind.SLOW: (5.0, 120.0),
    FaultKind.SKEW: (10.0, 300.0),
    FaultKind.DISK_FULL: (1.0, 60.0),
    FaultKind.DISK_ERROR: (0.5, 30.0),
}
# What is drawn is exact to the millisecond, so that it can stand in a file.
_DIGITS: Final = 3
_TICK_S: Final = 0.001
_OF_SEVERAL: Final = frozenset({FaultKind.PARTITION, FaultKind.ONE_WAY})
_DOWN: Final = frozenset({FaultKind.CRASH, FaultKind.KILL})
_SLOWEST_BYTES_A_SECOND: Final = 4_000.0


def draw_faults(
    rng: random.Random, names: Sequence[str], until_s: float, a_minute: float, kinds: Sequence[FaultKind]
) -> list[Fault]:
    """Faults at random times, of random kinds, that befall random members.

    @param names: whom they may befall.
    @param until_s: by when all have ended.
    @param a_minute: how many begin in a minute, on average.
    """
    faults: list[Fault] = []
    if not a_minute or not names or not kinds:
        return faults
    at_s = rng.expovariate(a_minute / 60)
    while (begin_s := round(at_s, _DIGITS)) < until_s:
        kind = rng.choice(kinds)
        least_s, most_s = _LENGTHS[kind]
        for_s = round(min(rng.uniform(least_s, most_s), until_s - begin_s), _DIGITS)
        if begin_s + for_s > until_s:
            # Rounding, or the sum itself, has put its end past the end of all.
            for_s = round(for_s - _TICK_S, _DIGITS)
        several = rng.randint(1, max(1, len(names) // 2)) if kind in _OF_SEVERAL else 1
        strength = {FaultKind.SLOW: rng.uniform(2, 50), FaultKind.SKEW: rng.uniform(0.9, 1.1)}.get(kind, 1.0)
        nodes = tuple(sorted(rng.sample(names, several)))
        faults.append(Fault(kind, begin_s, for_s, nodes, round(strength, _DIGITS)))
        at_s += rng.expovariate(a_minute / 60)
    return faults


class Faults:
    """Lets things go wrong in a cluster.

    @param cluster: whom they befall.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._effects = _Effects(cluster)
        self._number = count()
        self._to_come: dict[int, Fault] = {}
        self._under_way: dict[int, tuple[Fault, Undo]] = {}

    @property
    def under_way(self) -> list[Fault]:
        """Those that have begun and not ended, in the order in which they began."""
        return [fault for fault, _ in self._under_way.values()]

    def schedule(self, faults: Sequence[Fault]) -> None:
        """Let these begin and end at their times, counted from now.

        @raise ValueError: one names a member that there is not.
        """
        timeline = self._cluster.network.timeline
        for fault in faults:
            strangers = [name for name in fault.nodes if name not in self._cluster.members]
            if strangers:
                raise ValueError(f"there is no member {strangers[0]!r}")
        for fault in faults:
            number = next(self._number)
            self._to_come[number] = fault
            timeline.at(timeline.now + fault.at_s, self._begin, number)

    def end_all(self) -> None:
        """Undo everything that is under way, and call off what was to come.

        Programs are started last, when their disks work again and their ways are open.
        """
        self._to_come.clear()
        for number in sorted(self._under_way, key=lambda number: self._under_way[number][0].kind in _DOWN):
            self._end(number)

    def _begin(self, number: int) -> None:
        fault = self._to_come.pop(number, None)
        if fault is None:
            return
        self._note("begins", fault)
        members = [self._cluster.members[name] for name in fault.nodes]
        self._under_way[number] = (fault, _BEGIN[fault.kind](self._effects, fault, members))
        timeline = self._cluster.network.timeline
        timeline.at(timeline.now + fault.for_s, self._end, number)

    def _end(self, number: int) -> None:
        fault, undo = self._under_way.pop(number, (None, None))
        if fault is not None and undo is not None:
            self._note("ends", fault)
            undo()

    def _note(self, what: str, fault: Fault) -> None:
        self._cluster.note(
            "fault", fault=fault.kind.value, what=what, nodes=fault.nodes, strength=fault.strength, for_s=fault.for_s
        )


class _Effects:
    """The effects of faults, each with how it is undone, and how many do the same to one machine."""

    def __init__(self, cluster: Cluster) -> None:
        self._ways = cluster.network.ways
        self._doing: Counter[tuple[object, ...]] = Counter()
        self._rates: dict[Host, list[float]] = {}
        self._to_start: dict[Member, None] = {}

    def crash(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """Take the power away."""
        return self._take_down(members, Member.crash)

    def kill(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """End programs."""
        return self._take_down(members, Member.kill)

    def pause(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """Let programs stand still; those that are started later do not."""
        hosts = [(member.host, member.host.epoch) for member in members if member.node is not None]
        for host, epoch in hosts:
            self._add("still", host, epoch)
            host.pause()

        def undo() -> None:
            for host, epoch in hosts:
                if self._was_last("still", host, epoch) and host.epoch == epoch:
                    host.resume()

        return undo

    def partition(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """Cut some off from all others."""
        cut = self._ways.cut([member.host.name for member in members], one_way=fault.kind is FaultKind.ONE_WAY)
        return partial(self._ways.heal, cut)

    def slow(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """Make ways slow and narrow."""
        ways = self._ways
        slowings = [ways.slow_down(m.host.name, fault.strength, _SLOWEST_BYTES_A_SECOND) for m in members]

        def undo() -> None:
            for slowing in slowings:
                ways.speed_up(slowing)

        return undo

    def skew(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """Let clocks go wrong; what several do to one adds up."""
        for member in members:
            self._rates.setdefault(member.host, []).append(fault.strength)
            member.host.skew_clock(prod(self._rates[member.host], start=1.0))

        def undo() -> None:
            for member in members:
                self._rates[member.host].remove(fault.strength)
                member.host.skew_clock(prod(self._rates[member.host], start=1.0))

        return undo

    def fill_disk(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """Leave no room on disks."""
        for member in members:
            self._add("full", member.host)
            member.host.disk.fill()

        def undo() -> None:
            for member in members:
                if self._was_last("full", member.host):
                    member.host.disk.make_room()

        return undo

    def break_disk(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """Let disks fail."""
        for member in members:
            self._add("failing", member.host)
            member.host.disk.is_failing = True

        def undo() -> None:
            for member in members:
                if self._was_last("failing", member.host):
                    member.host.disk.is_failing = False

        return undo

    def _take_down(self, members: Sequence[Member], how: Callable[[Member], None]) -> Undo:
        for member in members:
            self._add("down", member)
            if member.node is not None:
                self._to_start[member] = None
            how(member)

        def undo() -> None:
            for member in members:
                if self._was_last("down", member):
                    member.host.power_up()
                    if member in self._to_start:
                        del self._to_start[member]
                        member.keep_running()

        return undo

    def _add(self, *what: object) -> None:
        self._doing[what] += 1

    def _was_last(self, *what: object) -> bool:
        """Undo one; returns whether nothing does the same any more."""
        self._doing[what] -= 1
        if self._doing[what]:
            return False
        del self._doing[what]
        return True


_BEGIN: Final[Mapping[FaultKind, Callable[[_Effects, Fault, Sequence[Member]], Undo]]] = {
    FaultKind.CRASH: _Effects.crash,
    FaultKind.KILL: _Effects.kill,
    FaultKind.PAUSE: _Effects.pause,
    FaultKind.PARTITION: _Effects.partition,
    FaultKind.ONE_WAY: _Effects.partition,
    FaultKind.SLOW: _Effects.slow,
    FaultKind.SKEW: _Effects.skew,
    FaultKind.DISK_FULL: _Effects.fill_disk,
    FaultKind.DISK_ERROR: _Effects.break_disk,
}
