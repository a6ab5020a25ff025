"""A super peer under load, and what a search costs a network of them.

C{superpeer-query}: how many queries a second one super peer answers that has 300 weak peers with 100,000 files, each
query by one of them for the exact name of a file. The peer, L{benchmarks.bare}, gets the same bytes over as many
connections, as many at a time, and sends each message back after C{json.loads} and C{json.dumps}: one message for
one, where ours looks the file up and sends a hit and an end mark.

C{superpeer-udp}: how many queries a second one super peer passes on from one neighbour to another, each checked,
remembered and looked up in its own lists. The peer gets the same datagrams and sends each back after C{json.loads}
and C{json.dumps}.

C{superpeer-messages}: queries and hits among super peers for one search, in the simulator's scenario C{superpeer}:
1,000 super peers of degree 6, as it has them, and so many weak peers with so many files less that it ends in time. The
peer is the plain flood of the design paper in the same network, for the same questions. It does not count if ours
finds less than 99 % of what the flood does.

The daemons run as users run them, in processes of their own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from benchmarks.harness import Measure, constant, figure, once, take
from benchmarks.peers import PAPER, TWISTED
from benchmarks.processes import LOOPBACK, Server, bare_server, daemon, free_port, wait_until_listening
from benchmarks.report import BenchmarkError, Row
from benchmarks.superpeer_load import Neighbour, crowd, echoed, file_name, forwarded, next_query, served, strangers
from twisted_bazaar.roles.node_ids import MANY_OBJECTS
from twisted_bazaar.service.process import expect_many_objects
from twisted_bazaar.sim.superpeer.run import SuperPeerRun
from twisted_bazaar.sim.superpeer.scenario import Phase, SuperPeerScenario

_ROUNDS: Final = 5
_PEERS: Final = 300
_FILES: Final = 100_000
_QUERIES: Final = 30_000
_ON_EACH: Final = 4
_DATAGRAMS: Final = 20_000
_UNDER_WAY: Final = 64
_TTL: Final = 4
_NODES: Final = 6_000
_TITLES: Final = 12_500
_SEARCHES: Final = 60
_LEAST_RECALL: Final = 0.99


def measure() -> list[Row]:
    """All rows of this module."""
    return [*_queries(), *_datagrams(), *_messages()]


def _queries() -> list[Row]:
    chance = random.Random(1)
    with ExitStack() as stack:
        peer = stack.enter_context(bare_server("echo"))
        theirs = stack.enter_context(strangers(peer, _PEERS))
        own = stack.enter_context(crowd(stack.enter_context(_super_peer()), _PEERS, _FILES))
        queries: list[bytes] = []

        def prepare(number: int) -> None:
            queries[:] = [next_query(file_name(chance.randrange(_FILES))) for _ in range(_QUERIES)]

        answered = Measure(
            name="superpeer-query",
            unit="queries a second",
            goal=0.5,
            peer=TWISTED,
            ours=figure(lambda: served(own, queries, _ON_EACH, b'"queryend"')),
            theirs=figure(lambda: served(theirs, queries, _ON_EACH, b'"query"')),
        )
        return take([answered], _ROUNDS, prepare)


def _datagrams() -> list[Row]:
    with ExitStack() as stack:
        echo = stack.enter_context(bare_server("udp"))
        server = stack.enter_context(_super_peer("datagrams-a-second=1000000"))
        asker, taker = Neighbour(server, 2), Neighbour(server, 3)
        for each in (asker, taker):
            stack.enter_context(each.socket)
            each.join()
        queries: list[bytes] = []

        def prepare(number: int) -> None:
            queries[:] = [next_query(file_name(number), ttl=_TTL) for number in range(_DATAGRAMS)]
            asker.greet()
            taker.greet()

        passed_on = Measure(
            name="superpeer-udp",
            unit="queries a second",
            goal=0.5,
            peer=TWISTED,
            ours=figure(lambda: forwarded(asker, taker, queries, _UNDER_WAY)),
            theirs=figure(lambda: echoed(echo, queries, _UNDER_WAY)),
        )
        return take([passed_on], _ROUNDS, prepare)


def _messages() -> list[Row]:
    expect_many_objects(MANY_OBJECTS)
    phases: list[Phase] = ["flood", "dynamic"]
    scenario = SuperPeerScenario(nodes=_NODES, files=_TITLES, queries=_SEARCHES, phases=phases)
    flood, ours = (phase.searches["all"] for phase in SuperPeerRun(scenario, checks=()).run().phases)
    if not flood.messages or not ours.messages or flood.recall is None or ours.recall is None:
        raise BenchmarkError("nothing was searched for")
    if ours.recall < _LEAST_RECALL * flood.recall:
        raise BenchmarkError(f"of what there was, the flood found {flood.recall:.1%}, and ours {ours.recall:.1%}")
    cost = Measure(
        name="superpeer-messages",
        unit="messages a search",
        goal=5.0,
        peer=PAPER,
        ours=constant(ours.messages),
        theirs=constant(flood.messages),
        is_cost=True,
    )
    return once([cost])


@contextmanager
def _super_peer(*limits: str) -> Iterator[Server]:
    """A super peer that knows nobody; what plays its weak peers and neighbours answers no pings."""
    port = free_port()
    words = ["bazaar-node", "--role", "super_peer", "--ephemeral", "--listen", f"tcp:{port}:interface={LOOPBACK}"]
    words += ["--udp", f"{LOOPBACK}:{port}"]
    for limit in ("ping-s=1000", "silence-s=2000", *limits):
        words += ["--limit", limit]
    with daemon(words) as process:
        yield wait_until_listening(process, port)
