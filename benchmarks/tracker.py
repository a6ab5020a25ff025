"""What a registered node costs a tracker: resident bytes, and the time to join.

In each run a fresh server gets 5,000 connections from one process, with at most C{_WINDOW} on the way
in, and keeps them all. Both servers run with Twisted's default reactor and the same listen backlog.

C{tracker-join} is how many a second from the first connect to the last arrival. Ours is
C{twistd -n bazaar-tracker}; a node sends its C{thisisme} as soon as it is connected, and has arrived when its
C{thisisyou} has come. The peer is L{benchmarks.bare}: nothing is sent on a connection, and it has
arrived when the server has counted it in C{connectionMade}, which the server tells through a pipe,
once for fifty. So the peer's figure is what Twisted takes to accept and build a protocol, and ours has a
frame read, an answer written and the node entered in the directory on top.

C{tracker-memory} is, in the same runs, how much the server's resident memory has grown from before the
first connection until all have arrived, divided by their number. The kernel's socket buffers are in neither
figure.
"""

from __future__ import annotations

import os
import random
import resource
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from benchmarks.bare import BACKLOG, REPORTED_EVERY
from benchmarks.harness import Load, Measure, take
from benchmarks.peers import TWISTED
from benchmarks.processes import LOOPBACK, PATIENCE_S, Server, bare_server, daemon, free_port, wait_until_listening
from benchmarks.report import BenchmarkError, Row
from twisted_bazaar.node.control import ThisIsMe
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.framing import frame
from twisted_bazaar.wire.message import NO_ID

_ROUNDS: Final = 11
_NODES: Final = 5_000
_WINDOW: Final = 200
_FILES_BESIDE: Final = 100
_SETTLE_S: Final = 0.3


def measure() -> list[Row]:
    """All rows of this module."""
    _raise_file_limit()
    tracker = Load(lambda: _run(_tracker, _register))
    bare = Load(lambda: _run(_bare, _connect_only))
    memory = Measure(
        name="tracker-memory",
        unit="resident bytes a node",
        goal=0.25,
        peer=TWISTED,
        ours=tracker["bytes each"],
        theirs=bare["bytes each"],
        is_cost=True,
    )
    join = Measure(
        name="tracker-join",
        unit="nodes a second",
        goal=0.3,
        peer=TWISTED,
        ours=tracker["a second"],
        theirs=bare["a second"],
    )
    return take([memory, join], _ROUNDS)


def _run(
    start: Callable[[], AbstractContextManager[Server]], join: Callable[[Server, list[socket.socket]], float]
) -> dict[str, float]:
    """Start a server, fill it with connections and look at it: connections a second, and resident bytes for each."""
    links: list[socket.socket] = []
    try:
        with start() as server:
            time.sleep(_SETTLE_S)
            before = server.resident_bytes()
            elapsed_s = join(server, links)
            time.sleep(_SETTLE_S)
            grown_bytes = server.resident_bytes() - before
            return {"a second": _NODES / elapsed_s, "bytes each": grown_bytes / _NODES}
    finally:
        # After the server has gone: this side leaves no port waiting.
        for link in links:
            link.close()


@contextmanager
def _tracker() -> Iterator[Server]:
    port = free_port()
    listen = f"tcp:{port}:interface={LOOPBACK}:backlog={BACKLOG}"
    with daemon(["bazaar-tracker", "--listen", listen]) as process:
        yield wait_until_listening(process, port)


def _bare() -> AbstractContextManager[Server]:
    return bare_server("accept")


def _register(server: Server, links: list[socket.socket]) -> float:
    """Join a tracker with many nodes; returns how long that took in seconds."""
    greetings = _greetings(random.Random(1))
    address = (LOOPBACK, server.port)
    with selectors.DefaultSelector() as arrivals:
        welcomed = 0
        began = time.perf_counter()
        while welcomed < _NODES:
            while len(links) < _NODES and len(links) - welcomed < _WINDOW:
                link = socket.socket()
                link.settimeout(PATIENCE_S)
                link.connect(address)
                link.send(greetings[len(links)])
                arrivals.register(link, selectors.EVENT_READ, link)
                links.append(link)
            ready = arrivals.select(PATIENCE_S)
            if not ready:
                raise BenchmarkError(f"the tracker welcomed {welcomed} nodes and no more")
            for key, _ in ready:
                answer = key.data.recv(4096)
                if b'"thisisyou"' not in answer:
                    raise BenchmarkError(f"the tracker answered a greeting with {answer!r}")
                arrivals.unregister(key.data)
            welcomed += len(ready)
        return time.perf_counter() - began


def _connect_only(server: Server, links: list[socket.socket]) -> float:
    """Connect to the bare server many times; returns how long it took in seconds to count them all."""
    assert server.output is not None, "the bare server tells its count"
    address = (LOOPBACK, server.port)
    # Read without a buffer in between: the pipe is waited for.
    counts = server.output.fileno()
    with selectors.DefaultSelector() as arrivals:
        arrivals.register(counts, selectors.EVENT_READ)
        taken = 0
        began = time.perf_counter()
        while taken < _NODES:
            while len(links) < _NODES and len(links) - taken < _WINDOW:
                link = socket.socket()
                link.settimeout(PATIENCE_S)
                link.connect(address)
                links.append(link)
            if not arrivals.select(PATIENCE_S):
                raise BenchmarkError(f"the bare server took {taken} connections and no more")
            taken += REPORTED_EVERY * os.read(counts, 4096).count(b"\n")
        return time.perf_counter() - began


def _greetings(rng: random.Random) -> list[bytes]:
    """What each node says: it has no id yet, listens, and has a key of its own."""
    encode = Codec().encode
    return [
        frame(encode(ThisIsMe(id=NO_ID, port=rng.randint(1024, 65535), key=f"{rng.getrandbits(256):064x}")))
        for _ in range(_NODES)
    ]


def _raise_file_limit() -> None:
    """Let this process, and so its servers, have a socket for each node.

    @raise BenchmarkError: the system does not allow it.
    """
    needed = _NODES + _FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BenchmarkError(f"{needed} open files are needed and {hard} allowed; see `ulimit -Hn`")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
