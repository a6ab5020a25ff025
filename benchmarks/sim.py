"""How fast the simulator is, and how large a network it holds.

C{sim-events}: messages delivered a second of real time in a network of 1,000 nodes that pass searches on, while
no promise is checked. The peer is Twisted's own way to connect protocols in memory, C{twisted.test.iosim}: the
same production nodes with the same links, each pair on a pump of its own, and all pumped in turn until no bytes
are left. It has no latency, no loss and no order of time. On an idle machine with two cores ours is to be above
50,000 as well.

One process with 10,000 nodes gives the rest. C{sim-memory}: how many resident bytes each node takes once all
have joined through the tracker and have three links at least; it is compared with 100 KiB. C{sim-scale}:
seconds of real time from nothing until all have joined and 1,000 searches have been served; it is compared
with 120. Both are taken once. C{sim-growth}: how much processor time a message takes, beside what it takes in a
process with 100 nodes under the same searches, times log 10,000 / log 100.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from twisted.internet.task import Clock
from twisted.test import iosim

from benchmarks.harness import Measure, constant, figure, once, take
from benchmarks.peers import AIM, IOSIM
from benchmarks.report import BenchmarkError, Row
from twisted_bazaar.discovery.flood.messages import Search
from twisted_bazaar.discovery.flood.search import REACHES
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.node.link_table import LinkTable
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.node_ids import MANY_OBJECTS
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.roles.want import Want
from twisted_bazaar.service.process import expect_many_objects
from twisted_bazaar.sim.cluster import TRACKER, Cluster, Member, Observer, Programme
from twisted_bazaar.sim.engine.hosts import Network
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.sale import Supply
from twisted_bazaar.wire.message import Message

_NODES: Final = 1_000
_MANY_NODES: Final = 10_000
_FEW_NODES: Final = 100
_ROUNDS: Final = 5
_FLOODS_A_ROUND: Final = 4
_SEARCHES: Final = 1_000
# How often each node begins a search: as often in a small network as in a large one, so that both do the same.
_SEARCH_EVERY_S: Final = 5.0
_LONGEST_SEARCH_S: Final = 30
_KIND_OF_GOODS: Final = 5
_LEAST_LINKS: Final = 3
_BYTES_A_NODE: Final = 100 * 1024
_SCALE_S: Final = 120.0


class _Counter(Observer):
    """Counts messages."""

    def __init__(self) -> None:
        self.count = 0

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """Count one."""
        self.count += 1


class _Market:
    """A network of sellers of five kinds of goods and of buyers, one of each in ten nodes, and relays."""

    def __init__(self, nodes: int) -> None:
        self.network = Network(seed=1)
        self.cluster = Cluster(self.network)
        self.counter = _Counter()
        self.cluster.observe(self.counter)
        self.cluster.add_tracker(lambda member: [Tracker()]).start()
        self.buyers: list[Buyer] = []
        timeline = self.network.timeline
        for number in range(nodes):
            member = self.cluster.add(f"node-{number}", Programme(lambda member, n=number: self._roles(n)))  # type: ignore[misc]
            timeline.at(number / 200, Member.keep_running, member)
        self.cluster.run(nodes / 200)
        while min(len(member.node.peers()) for member in self.cluster.running() if member.node) < _LEAST_LINKS:
            self.cluster.run(1.0)

    def _roles(self, number: int) -> list[IRole]:
        if number % 10 == 0:
            goods = f"item-{number // 10 % _KIND_OF_GOODS}"
            return [Seller({goods: Supply(1_000_000)})]
        if number % 10 == 5:
            self.buyers.append(Buyer([]))
            return [self.buyers[-1]]
        return []

    def flood(self, times: int) -> None:
        """Let searches that nobody can answer go as far as they can."""
        for number in range(times):
            self.buyers[number % len(self.buyers)].add(Want("nothing", 1))
            self.cluster.run(8.0)

    def serve(self, searches: int) -> None:
        """Let buyers find and buy, one after the other.

        @raise BenchmarkError: something was not bought.
        """
        wants = []
        for number in range(searches):
            wants.append(Want(f"item-{number % _KIND_OF_GOODS}", 1))
            self.buyers[number % len(self.buyers)].add(wants[-1])
            self.cluster.run(_SEARCH_EVERY_S / len(self.cluster.members))
        for _ in range(_LONGEST_SEARCH_S):
            if not any(want.missing for want in wants):
                return
            self.cluster.run(1.0)
        raise BenchmarkError("not every want was met")


class _Pumped:
    """The same nodes with the same links, connected by Twisted's iosim and pumped pair by pair.

    @param market: whose nodes and links are taken over.
    """

    def __init__(self, market: _Market) -> None:
        self._clock = Clock()
        self._pumps: list[Any] = []
        self.count = 0
        rng = random.Random(1)
        by_name = {member.name: member.node for member in market.cluster.running() if member.name != TRACKER}
        self._nodes = {
            name: Node(self._clock, rng, KeyPair.generate(rng), former_id=node.id, trace=self._count)
            for name, node in by_name.items()
            if node is not None
        }
        linked = {
            frozenset((name, market.cluster.name_of(peer)))
            for name, node in by_name.items()
            if node is not None
            for peer in node.peers()
        }
        for one, other in sorted(map(sorted, linked)):
            self._connect(self._nodes[one]._links, self._nodes[other]._links)
        self._pump()
        self._origins = [node for name, node in self._nodes.items() if name.endswith("5")]

    def _connect(self, dialling: LinkTable, accepting: LinkTable) -> None:
        client, server = dialling._build_dialled(), accepting._build_accepted(None)
        transports = iosim.FakeTransport(client, isServer=False), iosim.FakeTransport(server, isServer=True)
        for transport in transports:
            # What a socket has and a fake one lacks.
            transport.setTcpNoDelay = lambda enabled: None
        self._pumps.append(iosim.connect(server, transports[1], client, transports[0]))

    def _count(self, peer: Peer | None, message: Message) -> None:
        self.count += 1

    def _pump(self) -> None:
        """Move bytes between each two ends, over and over, until there are none left."""
        while sum([pump.pump() for pump in self._pumps]):
            pass

    def flood(self, times: int) -> None:
        """Let searches that nobody can answer go as far as they can, as a buyer sends them."""
        for number in range(times):
            node = self._origins[number % len(self._origins)]
            for reach in REACHES:
                self._clock.advance(2.0)
                identity = node.rng.randrange(1 << 53)
                node.flood(Search(id=identity, return_path=(node.id,), ttl=reach, item="nothing"))
                self._pump()


def measure() -> list[Row]:
    """All rows of this module."""
    return [*_events(), *_sizes()]


def _events() -> list[Row]:
    market = _Market(_NODES)
    pumped = _Pumped(market)
    # Neither is to spend its time on looking for garbage among what lives as long as the other.
    expect_many_objects(MANY_OBJECTS)
    events = Measure(
        name="sim-events",
        unit="messages a second",
        goal=1.0,
        peer=IOSIM,
        ours=figure(lambda: _rate(market, market.counter)),
        theirs=figure(lambda: _rate(pumped, pumped)),
    )
    return take([events], _ROUNDS)


def _rate(network: _Market | _Pumped, counter: _Counter | _Pumped) -> float:
    """How many messages a second are delivered while searches go as far as they can."""
    count, began = counter.count, time.perf_counter()
    network.flood(_FLOODS_A_ROUND)
    return (counter.count - count) / (time.perf_counter() - began)


def _sizes() -> list[Row]:
    with _process(_FEW_NODES) as few, _process(_MANY_NODES) as many:
        growth = Measure(
            name="sim-growth",
            unit="processor microseconds a message",
            goal=1.0,
            peer=AIM,
            ours=figure(many.serve),
            theirs=figure(lambda: few.serve() * math.log(_MANY_NODES) / math.log(_FEW_NODES)),
            is_cost=True,
        )
        grown = take([growth], _ROUNDS)
        memory = Measure(
            name="sim-memory",
            unit="resident bytes a node",
            goal=1.0,
            peer=AIM,
            ours=constant(many.bytes_each),
            theirs=constant(_BYTES_A_NODE),
            is_cost=True,
        )
        scale = Measure(
            name="sim-scale",
            unit="seconds",
            goal=1.0,
            peer=AIM,
            ours=constant(many.took_s),
            theirs=constant(_SCALE_S),
            is_cost=True,
        )
        # To build so large a network takes a minute: it is built once.
        return [*once([memory, scale]), *grown]


class _Served:
    """A process with a network of so many nodes, which serves searches when it is told to.

    @ivar bytes_each: the resident bytes that each node takes.
    @ivar took_s: the seconds that building it and all searches so far have taken.
    """

    def __init__(self, process: subprocess.Popen[str], nodes: int) -> None:
        self._process = process
        self._nodes = nodes
        built = self._hear()
        self.bytes_each, self.took_s = built["bytes_each"], built["took_s"]

    def serve(self) -> float:
        """Serve a part of the searches; returns the processor time a message, in microseconds."""
        assert self._process.stdin is not None, "it was asked for"
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        served = self._hear()
        self.took_s += served["took_s"]
        return 1e6 * served["message_s"]

    def _hear(self) -> dict[str, float]:
        assert self._process.stdout is not None, "it was asked for"
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"the simulation of {self._nodes} nodes failed")
        figures: dict[str, float] = json.loads(line)
        return figures


@contextmanager
def _process(nodes: int) -> Iterator[_Served]:
    command = [sys.executable, "-m", "benchmarks.sim", str(nodes)]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _Served(process, nodes)
        finally:
            process.kill()


def _serve(nodes: int) -> None:
    """Build a network of so many nodes, and let it serve a part of the searches for each line that comes."""
    before, began = _resident_bytes(), time.perf_counter()
    market = _Market(nodes)
    took_s = time.perf_counter() - began
    print(json.dumps({"bytes_each": (_resident_bytes() - before) / nodes, "took_s": took_s}), flush=True)
    for _ in sys.stdin:
        count, began, busy = market.counter.count, time.perf_counter(), time.process_time()
        market.serve(_SEARCHES // _ROUNDS)
        message_s = (time.process_time() - busy) / (market.counter.count - count)
        print(json.dumps({"message_s": message_s, "took_s": time.perf_counter() - began}), flush=True)


def _resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError("/proc/self/status does not tell the resident memory")


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
