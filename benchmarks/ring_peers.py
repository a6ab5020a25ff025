"""Many nodes in one process that keep small values for each other, over sockets on loopback.

C{python -m benchmarks.ring_peers ours COUNT [PORT]} has members of a ring as users run them with C{--plain}, and
C{sealed COUNT [PORT]} as they run them without; C{kademlia COUNT [PORT]} has as many nodes of the package of that name,
on asyncio. All join by whoever is at the port, if there is one, and
print a port to join by as their first line, when all have joined. Then each line that they read is a command, and
each that they print its result:

C{add COUNT PORT}: have so many more join by whoever is at a port. Prints a port to join by.
C{put NAME COUNT}: have values kept under so many names. Prints how many are.
C{get NAME COUNT AT_ONCE}: get them, each at some node, so many at a time. Prints how many came, and how many a second.
C{first NAME COUNT AT_ONCE}: the same, and believe the first answer.
C{pace NAME COUNT}: get them, one begun every few milliseconds whatever becomes of the others. Prints how many came,
and how long each took, in milliseconds; one that takes longer than the limit has not come, and counts as the limit.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from attrs import Factory, define
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from benchmarks.processes import LOOPBACK
from twisted_bazaar.discovery.ring.storage.read import USUAL_COPIES
from twisted_bazaar.discovery.ring.storage.replication import USUAL_REPLICAS
from twisted_bazaar.roles.node_ids import MANY_OBJECTS
from twisted_bazaar.service.process import expect_many_objects

VALUE_BYTES: Final = 100
# On how many nodes a value is, as it is in the ring.
COPIES: Final = USUAL_REPLICAS + 1
_PACE_S: Final = 0.01
_LIMIT_S: Final = 6.0
_JOINED_AT_ONCE: Final = 10


class Nodes(Protocol):
    """The nodes of one kind."""

    def add(self, count: int, port: int, done: Callable[[int], None]) -> None:
        """Have more of them join by whoever is at a port; say a port to join by."""

    def put(self, name: str, done: Callable[[bool], None]) -> None:
        """Have a value kept under a name, by some node; say whether it is."""

    def get(self, name: str, done: Callable[[bool], None]) -> None:
        """Get it, by some node; say whether it has come."""

    def first(self, name: str, done: Callable[[bool], None]) -> None:
        """The same, and believe the first answer."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something after a while."""


@define(eq=False)
class Load:
    """Some gets or puts.

    @param one: does one.
    @param at_once: how many at a time; 0 for one after each pause, whatever becomes of the others.
    @param over: called with the result.
    """

    nodes: Nodes
    one: Callable[[str, Callable[[bool], None]], None]
    name: str
    count: int
    at_once: int
    over: Callable[[str], None]
    began: float = Factory(time.perf_counter)
    begun: int = 0
    ended: int = 0
    came: int = 0
    took_ms: list[float] = Factory(list)

    def go(self) -> None:
        """Begin."""
        for _ in range(min(self.count, self.at_once or 1)):
            self._next()

    def _next(self) -> None:
        began = time.perf_counter()
        name = f"{self.name}-{self.begun}"
        self.begun += 1
        if not self.at_once and self.begun < self.count:
            self.nodes.later(_PACE_S, self._next)

        is_over = False

        def done(has_come: bool) -> None:
            nonlocal is_over
            if is_over:
                return
            is_over = True
            self.took_ms.append(1_000 * (time.perf_counter() - began))
            self.ended += 1
            self.came += has_come
            if self.ended == self.count:
                rate = self.count / (time.perf_counter() - self.began)
                self.over(" ".join(str(each) for each in (self.came, *([rate] if self.at_once else self.took_ms))))
            elif self.at_once and self.begun < self.count:
                self._next()

        if not self.at_once:
            self.nodes.later(_LIMIT_S, lambda: done(False))
        self.one(name, done)


def obey(nodes: Nodes, line: str) -> None:
    """Do what a line says, and print what has come of it."""
    match line.split():
        case ["add", count, port]:
            nodes.add(int(count), int(port), _say)
            return
        case ["put", name, count]:
            load = Load(nodes, nodes.put, name, int(count), 1, _say)
        case ["get", name, count, at_once]:
            load = Load(nodes, nodes.get, name, int(count), int(at_once), _say)
        case ["first", name, count, at_once]:
            load = Load(nodes, nodes.first, name, int(count), int(at_once), _say)
        case ["pace", name, count]:
            load = Load(nodes, nodes.get, name, int(count), 0, _say)
        case _:
            raise SystemExit(f"{line!r} is no command")
    load.go()


def value_of(name: str) -> bytes:
    """What is kept under a name."""
    return name.encode().ljust(VALUE_BYTES, b".")


def _say(result: object) -> None:
    print(result, flush=True)


# Ours.


class RingNodes:
    """Members of a ring as C{bazaar-node} runs them."""

    def __init__(self, reactor: Any, *, is_plain: bool) -> None:
        self._reactor = reactor
        self._is_plain = is_plain
        self._roles: list[Any] = []
        self._nodes: list[Any] = []

    async def start(self, count: int, port: int) -> int:
        """Start all, and have them join; returns a port to join by."""
        first = port or await self._add(0)
        wanted = len(self._roles) + count - (not port)
        while len(self._roles) < wanted:
            adding = min(_JOINED_AT_ONCE, wanted - len(self._roles))
            await gatherResults([Deferred.fromCoroutine(self._add(first)) for _ in range(adding)])
        await deferLater(self._reactor, 0, lambda: None)
        return first

    async def _add(self, port: int) -> int:
        from twisted.internet.endpoints import TCP4ServerEndpoint

        from twisted_bazaar.node.limits import Limits
        from twisted_bazaar.roles.ring_peer import RingPeer
        from twisted_bazaar.service.config import NodeConfig
        from twisted_bazaar.service.service import build_node

        role = RingPeer(f"tcp:{LOOPBACK}:{port}" if port else None)
        node = build_node(NodeConfig(Limits(min_links=0), is_plain=self._is_plain), [role], self._reactor)
        self._roles.append(role)
        self._nodes.append(node)
        await node.start(TCP4ServerEndpoint(self._reactor, 0, interface=LOOPBACK), None, (LOOPBACK, 0))
        await role.joined
        return node.advertised[1]

    def add(self, count: int, port: int, done: Callable[[int], None]) -> None:
        """Have more of them join."""
        Deferred.fromCoroutine(self.start(count, port)).addCallbacks(done, lambda failure: print(failure))

    def put(self, name: str, done: Callable[[bool], None]) -> None:
        """Have a value kept."""
        putting = random.choice(self._roles).dht.put("value", name, value_of(name))
        putting.addCallbacks(lambda stored: bool(stored.keepers), lambda _: False).addCallback(done)

    def get(self, name: str, done: Callable[[bool], None]) -> None:
        """Get it."""
        self._get(name, USUAL_COPIES, done)

    def first(self, name: str, done: Callable[[bool], None]) -> None:
        """The same, and believe the first answer."""
        self._get(name, 1, done)

    def _get(self, name: str, copies: int, done: Callable[[bool], None]) -> None:
        getting = random.choice(self._roles).dht.get("value", name, copies)
        getting.addCallbacks(lambda held: [each.entry.kept.value for each in held], lambda _: [])
        getting.addCallback(lambda values: done(values == [value_of(name)]))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something after a while."""
        self._reactor.callLater(seconds, call)


def run_ours(count: int, port: int, *, is_plain: bool) -> None:
    """Serve until killed."""
    from twisted.internet import reactor
    from twisted.internet.stdio import StandardIO
    from twisted.protocols.basic import LineReceiver

    nodes = RingNodes(reactor, is_plain=is_plain)

    class Commands(LineReceiver):
        delimiter = b"\n"

        def lineReceived(self, line: bytes) -> None:
            obey(nodes, line.decode())

    def started(first: int) -> None:
        expect_many_objects(MANY_OBJECTS)
        StandardIO(Commands())
        _say(first)

    starting = Deferred.fromCoroutine(nodes.start(count, port))
    starting.addCallbacks(started, lambda failure: print(failure, file=sys.stderr))
    reactor.run()


# The peer's.


class KademliaNodes:
    """Nodes of the package C{kademlia}."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._servers: list[Any] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self, count: int, port: int) -> int:
        """Start all, and have them join; returns a port to join by."""
        from kademlia.network import Server

        for _ in range(count):
            # Tables and searches as they are by default: with tables for four, it floods itself with pings.
            server = Server()
            await server.listen(0, LOOPBACK)
            own = server.transport.get_extra_info("sockname")[1]
            if port:
                await server.bootstrap([(LOOPBACK, port)])
            port = port or own
            self._servers.append(server)
        return port

    def add(self, count: int, port: int, done: Callable[[int], None]) -> None:
        """Have more of them join."""
        self._do(self.start(count, port), int, done)

    def put(self, name: str, done: Callable[[bool], None]) -> None:
        """Have a value kept."""
        self._do(self._put(random.choice(self._servers), name), bool, done)

    def get(self, name: str, done: Callable[[bool], None]) -> None:
        """Get it."""
        self._do(random.choice(self._servers).get(name), lambda value: value == value_of(name), done)

    first = get

    async def _put(self, server: Any, name: str) -> bool:
        usual, server.ksize = server.ksize, COPIES
        try:
            return bool(await server.set(name, value_of(name)))
        finally:
            server.ksize = usual

    def _do(self, work: Any, read: Callable[[Any], Any], done: Callable[[Any], None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)

        def ended(task: asyncio.Task[Any]) -> None:
            self._tasks.discard(task)
            done(task.exception() is None and read(task.result()))

        task.add_done_callback(ended)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something after a while."""
        self._loop.call_later(seconds, call)


def run_kademlia(count: int, port: int) -> None:
    """Serve until killed."""
    # It tells of each node that does not answer.
    logging.disable()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    nodes = KademliaNodes(loop)
    first = loop.run_until_complete(nodes.start(count, port))
    expect_many_objects(MANY_OBJECTS)
    loop.add_reader(sys.stdin.fileno(), lambda: obey(nodes, sys.stdin.readline()))
    _say(first)
    loop.run_forever()


def main(kind: str, count: str, port: str = "0") -> None:
    """Serve until killed."""
    runs = {
        "ours": partial(run_ours, is_plain=True),
        "sealed": partial(run_ours, is_plain=False),
        "kademlia": run_kademlia,
    }
    runs[kind](int(count), int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
