"""What can go wrong with machines and ways, on a schedule or drawn from a seed.

Every fault has a beginning and an end; at its end it is undone: a machine has power again and its
program is started, a partition heals.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Final

from attrs import frozen

from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.reactor import Host


class FaultKind(Enum):
    """What goes wrong."""

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
    __hash__ = object.__hash__


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
_OF_SEVERAL: Final = frozenset({FaultKind.PARTITION, FaultKind.ONE_WAY})
_SLOWEST_BYTES_A_SECOND: Final = 4_000.0


def draw_faults(
    rng: random.Random, names: Sequence[str], until_s: float, a_minute: float, kinds: Sequence[FaultKind]
) -> list[Fault]:
    """Faults at random times, of random kinds, that befall random members.

    @param names: whom they may befall.
    @param until_s: when the last may begin; all end by then too.
    @param a_minute: how many begin in a minute, on average.
    """
    faults: list[Fault] = []
    if not a_minute or not names or not kinds:
        return faults
    at_s = rng.expovariate(a_minute / 60)
    while at_s < until_s:
        kind = rng.choice(kinds)
        least_s, most_s = _LENGTHS[kind]
        for_s = min(rng.uniform(least_s, most_s), until_s - at_s)
        several = rng.randint(1, max(1, len(names) // 2)) if kind in _OF_SEVERAL else 1
        strength = {FaultKind.SLOW: rng.uniform(2, 50), FaultKind.SKEW: rng.uniform(0.9, 1.1)}.get(kind, 1.0)
        nodes = tuple(sorted(rng.sample(names, several)))
        faults.append(Fault(kind, round(at_s, 3), round(for_s, 3), nodes, round(strength, 3)))
        at_s += rng.expovariate(a_minute / 60)
    return faults


class Faults:
    """Lets things go wrong in a cluster.

    @param cluster: whom they befall.
    @ivar under_way: the faults that have begun and not ended.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.under_way: dict[Fault, Callable[[], None]] = {}

    def schedule(self, faults: Sequence[Fault]) -> None:
        """Let these begin and end at their times, counted from now."""
        timeline = self._cluster.network.timeline
        for fault in faults:
            timeline.at(timeline.now + fault.at_s, self._begin, fault)

    def end_all(self) -> None:
        """Undo everything that is under way, in the order in which it began."""
        for fault in list(self.under_way):
            self._end(fault)

    def _begin(self, fault: Fault) -> None:
        cluster = self._cluster
        self._note("begins", fault)
        members = [cluster.members[name] for name in fault.nodes]
        self.under_way[fault] = _BEGIN[fault.kind](cluster, fault, members)
        timeline = cluster.network.timeline
        timeline.at(timeline.now + fault.for_s, self._end, fault)

    def _end(self, fault: Fault) -> None:
        undo = self.under_way.pop(fault, None)
        if undo is not None:
            self._note("ends", fault)
            undo()

    def _note(self, what: str, fault: Fault) -> None:
        self._cluster.note(
            "fault", fault=fault.kind.value, what=what, nodes=fault.nodes, strength=fault.strength, for_s=fault.for_s
        )


def _crash(cluster: Cluster, fault: Fault, members: Sequence[Member]) -> Callable[[], None]:
    for member in members:
        member.crash()
    return partial(_start_again, members)


def _kill(cluster: Cluster, fault: Fault, members: Sequence[Member]) -> Callable[[], None]:
    for member in members:
        member.kill()
    return partial(_start_again, members)


def _start_again(members: Sequence[Member]) -> None:
    for member in members:
        member.keep_running()


def _pause(cluster: Cluster, fault: Fault, members: Sequence[Member]) -> Callable[[], None]:
    epochs = [(member.host, member.host.epoch) for member in members]
    for host, _ in epochs:
        host.pause()

    def undo() -> None:
        for host, epoch in epochs:
            if host.epoch == epoch:
                host.resume()

    return undo


def _partition(cluster: Cluster, fault: Fault, members: Sequence[Member]) -> Callable[[], None]:
    ways = cluster.network.ways
    cut = ways.cut(fault.nodes, one_way=fault.kind is FaultKind.ONE_WAY)
    return partial(ways.heal, cut)


def _slow(cluster: Cluster, fault: Fault, members: Sequence[Member]) -> Callable[[], None]:
    ways = cluster.network.ways
    for name in fault.nodes:
        ways.slow_down(name, fault.strength, _SLOWEST_BYTES_A_SECOND)

    def undo() -> None:
        for name in fault.nodes:
            ways.speed_up(name)

    return undo


def _skew(cluster: Cluster, fault: Fault, members: Sequence[Member]) -> Callable[[], None]:
    hosts = [member.host for member in members]
    for host in hosts:
        host.skew_clock(fault.strength)
    return partial(_for_all, hosts, lambda host: host.skew_clock(1.0))


def _fill_disk(cluster: Cluster, fault: Fault, members: Sequence[Member]) -> Callable[[], None]:
    hosts = [member.host for member in members]
    for host in hosts:
        host.disk.fill()
    return partial(_for_all, hosts, lambda host: host.disk.mend())


def _break_disk(cluster: Cluster, fault: Fault, members: Sequence[Member]) -> Callable[[], None]:
    hosts = [member.host for member in members]
    for host in hosts:
        host.disk.is_failing = True
    return partial(_for_all, hosts, lambda host: host.disk.mend())


def _for_all(hosts: Sequence[Host], what: Callable[[Host], None]) -> None:
    for host in hosts:
        what(host)


_BEGIN: Final[Mapping[FaultKind, Callable[[Cluster, Fault, Sequence[Member]], Callable[[], None]]]] = {
    FaultKind.CRASH: _crash,
    FaultKind.KILL: _kill,
    FaultKind.PAUSE: _pause,
    FaultKind.PARTITION: _partition,
    FaultKind.ONE_WAY: _partition,
    FaultKind.SLOW: _slow,
    FaultKind.SKEW: _skew,
    FaultKind.DISK_FULL: _fill_disk,
    FaultKind.DISK_ERROR: _break_disk,
}
