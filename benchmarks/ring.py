"""The ring: how far its lookups go and whether they get there, and how fast its nodes give what they keep.

C{ring-hops}: nodes that lead to who is responsible, one after another, on a ring of 1,000 in the simulator. Beside it
0.5 x log2 N + 1: the mean of Chord, whose paper counts the steps to the last node before the place, and one more.

C{ring-failures}: how many of 10,000 lookups find who is responsible, in two simulated rings in which 30 % of 1,000
nodes have died just now and nothing is repaired. Beside it all of them: one that fails is one too many.

C{ring-lookup}, C{ring-lookup-concurrent}: gets of small values a second, one after another and 50 at a time, each at
some of 100 nodes in one process over loopback. The peer is the package C{kademlia} with as many nodes, values of the
same size, each put on as many nodes: on four, as ours are. As it comes it would put each on twenty, and answer a fifth
of all gets out of what the asker itself keeps; that is a matter of how many copies one pays for. It signs nothing, and
takes the first answer; ours has two hosts agree, and verifies. The names are new for each run: who gets a value from
C{kademlia} keeps it nearer then. Before, all have got so many that nearly all know each other, and
what the first question to somebody costs is no longer seen. A machine may be slow for a second or two: so ours and
theirs take turns in many short rounds, in an order drawn anew each time, and the ratio is the median of those of all.

C{ring-lookup-first}, C{ring-lookup-first-concurrent}: the same where ours believes the first answer too, as those may
who would rather have what is old soon than what is new later; it verifies all the same.

C{ring-dead}: how long a get takes, in milliseconds, when 30 of 100 nodes have been killed just now. They are a process
of their own, ended with SIGKILL, and take with them what they keep. Which of the 100 they are, in the order in which
all have come, is drawn by chance, and is the same for both kinds. Each run has other nodes. A get that takes longer
than 6 s is cut off there, and counts as 6 s.

If many of our own gets do not bring the value there is no row.
"""

from __future__ import annotations

import math
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from attrs import define

from benchmarks.harness import Measure, constant, figure, once, take
from benchmarks.peers import AIM, KADEMLIA, PAPER
from benchmarks.report import BenchmarkError, Row
from twisted_bazaar.roles.node_ids import MANY_OBJECTS
from twisted_bazaar.service.process import expect_many_objects
from twisted_bazaar.sim.ring.run import ring_failures, ring_hops

_SIMULATED: Final = 1_000
_LOOKUPS: Final = 10_000
# Some askers die with the question on their lips.
_LOOKUPS_TO_SPARE: Final = 200
_DYING: Final = 0.3
# Of two rings, each with half of the lookups, in a process of its own.
_SEEDS: Final = (1, 2)
_NODES: Final = 100
_KILLED: Final = 30
# Machines are fast now and slow then: many short rounds say more than few long ones.
_ROUNDS: Final = 9
_GETS: Final = 300
# A get of ours asks two of a hundred: after these nine of ten pairs have met, and what a first contact costs is paid.
_GETS_TO_MEET: Final = 500
_ROUNDS_TO_MEET: Final = 24
_AT_ONCE: Final = 50
_DEAD_ROUNDS: Final = 5
_DEAD_GETS: Final = 60
# Ours go on after they have joined: who their neighbours are, and whom they know farther away.
_SETTLE_S: Final = 6.0
_PATIENCE_S: Final = 60.0
_MOST_MISSED: Final = 0.02
# Of the killed 30 of 100, all four that kept a value are among them once in 120 times. Who kept one kept those beside
# it, too: several are lost at a time.
_MOST_LOST: Final = 0.2
_ROOT: Final = Path(__file__).resolve().parent.parent


def measure() -> list[Row]:
    """All rows of this module."""
    with ProcessPoolExecutor(2, get_context("spawn"), expect_many_objects, (MANY_OBJECTS,)) as pool:
        failures = [pool.submit(_fail, seed) for seed in _SEEDS]
        hops = pool.submit(_hops)
        rows = [*hops.result(), *_failures([each.result() for each in failures])]
    return [*rows, *_lookups(), *_dead()]


def _hops() -> list[Row]:
    chords, mean_hops = 0.5 * math.log2(_SIMULATED) + 1, ring_hops(_SIMULATED, _SEEDS[0]).mean_hops
    if mean_hops is None:
        raise BenchmarkError("no lookup came to its end")
    hops = Measure(
        name="ring-hops",
        unit="nodes asked",
        goal=1.0,
        peer=PAPER,
        ours=constant(mean_hops),
        theirs=constant(chords),
        is_cost=True,
    )
    return once([hops])


def _fail(seed: int) -> tuple[int, int]:
    """How many lookups are begun in a ring of which a part has just died, and how many of them find nobody."""
    report = ring_failures(_SIMULATED, _DYING, (_LOOKUPS + _LOOKUPS_TO_SPARE) // len(_SEEDS), seed)
    return report.asked, report.failed


def _failures(counts: Sequence[tuple[int, int]]) -> list[Row]:
    asked, failed = sum(each for each, _ in counts), sum(each for _, each in counts)
    if asked < _LOOKUPS:
        raise BenchmarkError(f"only {asked} lookups were begun, not {_LOOKUPS}")
    found = Measure(
        name="ring-failures",
        unit="lookups that found it",
        goal=1.0,
        peer=AIM,
        ours=constant(asked - failed),
        theirs=constant(asked),
    )
    return once([found])


def _lookups() -> list[Row]:
    with ExitStack() as stack:
        networks = {kind: stack.enter_context(running_network(kind, _NODES)) for kind in _kinds()}
        time.sleep(_SETTLE_S)
        _each(networks, Network.meet)
        names: dict[int, str] = {}

        def prepare(number: int) -> None:
            for at_once in (1, _AT_ONCE):
                names[at_once] = f"{number}-{at_once}"
                # All keep equally much; ours keeps nothing nearer for having been got.
                _each(networks, lambda network, name=names[at_once]: network.put(name, _GETS))  # type: ignore[misc]

        def get(kind: str, command: str, at_once: int) -> float:
            return networks[kind].get(names[at_once], _GETS, at_once, command)

        measures = []
        for at_once, suffix in ((1, ""), (_AT_ONCE, "-concurrent")):
            theirs = figure(partial(get, "kademlia", "get", at_once))
            for command, name in (("get", "ring-lookup"), ("first", "ring-lookup-first")):
                measures.append(
                    Measure(
                        name=name + suffix,
                        unit="gets a second",
                        goal=1.5,
                        peer=KADEMLIA,
                        ours=figure(partial(get, "ours", command, at_once)),
                        theirs=theirs,
                    )
                )
        return take(measures, _ROUNDS, prepare)


def _dead() -> list[Row]:
    networks: dict[str, tuple[Network, Network]] = {}
    with ExitStack() as stack:

        def prepare(number: int) -> None:
            stack.close()
            order = random.sample([True] * _KILLED + [False] * (_NODES - _KILLED), _NODES)
            networks.update({kind: _mixed(stack, kind, order) for kind in _kinds()})
            time.sleep(_SETTLE_S)

        dead = Measure(
            name="ring-dead",
            unit="milliseconds a get",
            goal=20.0,
            peer=KADEMLIA,
            ours=figure(lambda: _get_after_deaths(*networks["ours"])),
            theirs=figure(lambda: _get_after_deaths(*networks["kademlia"])),
            is_cost=True,
        )
        return take([dead], _DEAD_ROUNDS, prepare)


def _get_after_deaths(staying: Network, doomed: Network) -> float:
    """How many milliseconds a get takes when some nodes have just been killed: the median of many."""
    staying.put("met", _DEAD_GETS)
    staying.get("met", _DEAD_GETS, 1)
    staying.put("dead", _DEAD_GETS)
    doomed.kill()
    staying.say(f"pace dead {_DEAD_GETS}")
    return median(staying.hear(_DEAD_GETS, _MOST_LOST))


def _each(networks: Mapping[str, Network], do: Callable[[Network], None]) -> None:
    """Do what is not measured to all networks at a time: each is a process of its own."""
    with ThreadPoolExecutor(len(networks)) as pool:
        for _ in pool.map(do, networks.values()):
            pass


def _kinds() -> Sequence[str]:
    return ("ours", "kademlia") if KADEMLIA.is_installed() else ("ours",)


@define
class Network:
    """A process of nodes.

    @ivar kind: C{ours}, C{sealed} or C{kademlia}.
    @ivar port: by which others join.
    """

    kind: str
    process: subprocess.Popen[str]
    port: int = 0

    def meet(self) -> None:
        """Have nearly all nodes know each other."""
        self.put("met", _GETS_TO_MEET)
        for _ in range(_ROUNDS_TO_MEET):
            self.get("met", _GETS_TO_MEET, _AT_ONCE)

    def put(self, name: str, count: int) -> None:
        """Have values kept under so many names."""
        self._ask(f"put {name} {count}", count)

    def get(self, name: str, count: int, at_once: int, command: str = "get") -> float:
        """Get them; how many a second."""
        return self._ask(f"{command} {name} {count} {at_once}", count)

    def add(self, count: int, port: int) -> None:
        """Have more nodes join by whoever is at a port."""
        self.say(f"add {count} {port}")
        if not self.read().strip().isdigit():
            raise BenchmarkError(f"the nodes of {self.kind} did not come")

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def read(self) -> str:
        """The next that it prints."""
        output = self.process.stdout
        assert output is not None, "it was asked for"
        if not select.select([output], [], [], _PATIENCE_S)[0]:
            raise BenchmarkError(f"the nodes of {self.kind} did not answer in {_PATIENCE_S:g} s")
        return output.readline()

    def say(self, command: str) -> None:
        """Give it a command."""
        assert self.process.stdin is not None, "it was asked for"
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def hear(self, count: int, most_missed: float = _MOST_MISSED) -> list[float]:
        """The figures that come of a command.

        @raise BenchmarkError: it has ended, or more than such a share of so many have not come to us.
        """
        came, *figures = self.read().split() or [""]
        if not figures:
            raise BenchmarkError(f"the nodes of {self.kind} ended")
        if self.kind != "kademlia" and int(came) < count * (1 - most_missed):
            raise BenchmarkError(f"only {came} of {count} values came")
        return [float(figure) for figure in figures]

    def _ask(self, command: str, count: int) -> float:
        self.say(command)
        return self.hear(count)[0]


def _mixed(stack: ExitStack, kind: str, order: Sequence[bool]) -> tuple[Network, Network]:
    """Nodes that stay, and nodes that are to die.

    @param order: of each in the order in which they come whether it is to die.
    """
    networks: dict[bool, Network] = {}
    port = 0
    for is_doomed, run in groupby(order):
        count = len(list(run))
        if is_doomed not in networks:
            networks[is_doomed] = stack.enter_context(running_network(kind, count, port))
            port = port or networks[is_doomed].port
        else:
            networks[is_doomed].add(count, port)
    return networks[False], networks[True]


@contextmanager
def running_network(kind: str, count: int, port: int = 0) -> Iterator[Network]:
    """Nodes that have joined each other, and whoever is at a port."""
    command = [sys.executable, "-m", "benchmarks.ring_peers", kind, str(count), str(port)]
    with (
        # They are killed, and what they kept for each other would stay.
        TemporaryDirectory(prefix="bazaar-bench-") as scratch,
        subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**os.environ, "TMPDIR": scratch},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            network = Network(kind, process)
            line = network.read().strip()
            if not line.isdigit():
                raise BenchmarkError(f"the nodes of {kind} did not start")
            network.port = int(line)
            yield network
        finally:
            process.kill()
