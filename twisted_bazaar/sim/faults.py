"""Fault injection: faults of machines and ways, on a schedule or drawn from a seed.

Every fault has a beginning and an end; at its end it is undone: a machine has power again and its
program is started, a partition heals. Faults overlap: a machine is slow, still or full for as long as
one of those that make it so is under way.

A new kind is a member of L{FaultKind}, which says all that others want to know of it, and a method of C{_Effects}.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from itertools import count
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from attrs import frozen

if TYPE_CHECKING:
    # Who reads a trace wants to know the kinds of fault, and is not to wait for all that a simulated machine needs.
    from twisted_bazaar.sim.cluster import Cluster, Member
    from twisted_bazaar.sim.engine.hosts import Host

Undo = Callable[[], None]

# What is drawn is exact to the millisecond, so that it can stand in a file.
_DIGITS: Final = 3
_TICK_S: Final = 0.001
_SLOWEST_BYTES_A_SECOND: Final = 4_000.0


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


class _Effects:
    """The effects of faults, each with how it is undone, and how many do the same to one machine."""

    def __init__(self, cluster: Cluster) -> None:
        self._ways = cluster.network.ways
        self._doing: Counter[tuple[object, ...]] = Counter()
        self._rates: dict[Host, list[float]] = {}
        self._to_start: dict[Member, None] = {}

    def crash(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """Take the power away."""
        return self._take_down(members, lambda member: member.crash())

    def kill(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """End programs."""
        return self._take_down(members, lambda member: member.kill())

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
        return self._cut(members, one_way=False)

    def cut_one_way(self, fault: Fault, members: Sequence[Member]) -> Undo:
        """Let nothing get from some to all others."""
        return self._cut(members, one_way=True)

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

    def _cut(self, members: Sequence[Member], *, one_way: bool) -> Undo:
        cut = self._ways.cut([member.host.name for member in members], one_way=one_way)
        return partial(self._ways.heal, cut)

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


@frozen
class _Nature:
    """All that is known of a kind of fault.

    @ivar begin: lets it befall some members; returns what undoes it.
    @ivar lengths_s: how long a drawn one lasts: the least and the most. Some outlast the silence after which a node
        is taken for dead, most do not.
    @ivar strengths: how strong a drawn one is: the least and the most; None if all are equally strong.
    @ivar cuts: whether some can send nothing to all others; drawn, it then befalls several.
    @ivar silences: whether some may be taken for dead that live.
    @ivar takes_down: whether programs do not run while it lasts.
    """

    begin: Callable[[_Effects, Fault, Sequence[Member]], Undo]
    lengths_s: tuple[float, float]
    strengths: tuple[float, float] | None = None
    cuts: bool = False
    silences: bool = False
    takes_down: bool = False


class FaultKind(Enum):
    """A kind of fault. Its value is what files, options and traces call it; all else follows from its nature."""

    _value_: str

    CRASH = "crash", _Nature(_Effects.crash, (1.0, 60.0), takes_down=True)
    KILL = "kill", _Nature(_Effects.kill, (0.5, 30.0), takes_down=True)
    PAUSE = "pause", _Nature(_Effects.pause, (0.1, 120.0), silences=True)
    PARTITION = "partition", _Nature(_Effects.partition, (1.0, 120.0), cuts=True, silences=True)
    ONE_WAY = "one-way", _Nature(_Effects.cut_one_way, (1.0, 120.0), cuts=True, silences=True)
    SLOW = "slow", _Nature(_Effects.slow, (5.0, 120.0), (2.0, 50.0), silences=True)
    SKEW = "skew", _Nature(_Effects.skew, (10.0, 300.0), (0.9, 1.1), silences=True)
    DISK_FULL = "disk-full", _Nature(_Effects.fill_disk, (1.0, 60.0))
    DISK_ERROR = "disk-error", _Nature(_Effects.break_disk, (0.5, 30.0))

    def __new__(cls, value: str, nature: _Nature) -> Self:
        """A kind, known by its value alone."""
        kind = object.__new__(cls)
        kind._value_ = value
        kind.nature = nature
        return kind

    nature: _Nature

    # Members are alone of their kind; a hash of the name would differ between two runs.
    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


_BY_NAME: Final[Mapping[str, FaultKind]] = {kind.value: kind for kind in FaultKind}


def fault_kind(name: str) -> FaultKind:
    """The kind of fault that files, options and traces call by a name.

    @raise KeyError: there is none.
    """
    return _BY_NAME[name]


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
        for_s = round(min(rng.uniform(*kind.nature.lengths_s), until_s - begin_s), _DIGITS)
        if begin_s + for_s > until_s:
            # Rounding, or the sum itself, has put its end past the end of all.
            for_s = round(for_s - _TICK_S, _DIGITS)
        several = rng.randint(1, max(1, len(names) // 2)) if kind.nature.cuts else 1
        # One is drawn for each kind that has one, whichever it is: so the rest does not depend on the kind.
        strengths = {each: rng.uniform(*each.nature.strengths) for each in FaultKind if each.nature.strengths}
        strength = strengths.get(kind, 1.0)
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
        for number in sorted(self._under_way, key=lambda number: self._under_way[number][0].kind.nature.takes_down):
            self._end(number)

    def _begin(self, number: int) -> None:
        fault = self._to_come.pop(number, None)
        if fault is None:
            return
        self._note("begins", fault)
        members = [self._cluster.members[name] for name in fault.nodes]
        self._under_way[number] = (fault, fault.kind.nature.begin(self._effects, fault, members))
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
