"""Streams over datagrams: what the window gains, and how fast they are on loopback.

C{udp-window} and C{udp-window-loss}: rate of a transfer with the usual window over that of stop-and-wait, in the
simulator at a round trip of 20 ms, without loss and where one datagram in twenty gets lost.

C{udp-loopback}: bytes a second of a file over loopback, checked against its digest, beside those that come back from an
echo that is nothing but Twisted's C{DatagramProtocol}, in datagrams of the same size.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

from twisted.internet.protocol import DatagramProtocol, Factory, Protocol

from benchmarks.harness import Measure, figure, take
from benchmarks.peers import OURSELVES, TWISTED
from benchmarks.processes import PATIENCE_S
from benchmarks.report import BenchmarkError, Row
from benchmarks.streams_load import CONTENT_BYTES, DATAGRAM_BYTES, Sending, echoed
from twisted_bazaar.files.udp import Streams
from twisted_bazaar.files.window import Settings
from twisted_bazaar.sim.engine.hosts import Host, Network
from twisted_bazaar.sim.engine.network_conditions import Conditions

_ROUND_TRIP_S: Final = 0.02
_LOSS: Final = 0.05
_LARGE: Final = 16 << 20
_SMALL: Final = 256 << 10
_ROUNDS: Final = 5
_PORT: Final = 4000
_ROOT: Final = Path(__file__).resolve().parent.parent


def measure() -> list[Row]:
    """All rows of this module."""
    seeds = {Settings(): count(), Settings(window=1): count()}

    def rate(size: int, loss: float, settings: Settings) -> float:
        return _rate(next(seeds[settings]), size, loss, settings)

    measures = [
        Measure(
            name=name,
            unit="simulated bytes a second",
            goal=30.0,
            peer=OURSELVES,
            ours=figure(partial(rate, _LARGE, loss, Settings())),
            theirs=figure(partial(rate, _SMALL, loss, Settings(window=1))),
        )
        for name, loss in (("udp-window", 0.0), ("udp-window-loss", _LOSS))
    ]
    return [*take(measures, _ROUNDS), *_loopback()]


def _rate(seed: int, size: int, loss: float, settings: Settings) -> float:
    """Bytes a second of one transfer in the simulator, from the first step to the last byte."""
    network = Network(seed, Conditions(latency_s=_ROUND_TRIP_S / 2, loss=loss))
    near, far = _Simulated(network.add_host("near"), settings), _Simulated(network.add_host("far"), settings)
    counting = _Counting(far.host)
    far.streams.listen(_giving(counting))
    near.streams.connect((far.host.address, _PORT), _giving(Sending(bytes(size))))
    network.timeline.run_until(600.0, lambda: counting.size >= size)
    if counting.size != size:
        raise BenchmarkError(f"{counting.size} of {size} bytes came")
    return size / network.timeline.now


class _Simulated(DatagramProtocol):
    """The socket of a simulated machine."""

    def __init__(self, host: Host, settings: Settings) -> None:
        self.host = host
        self.streams = Streams(host, random.Random(host.name), b"benchmark", self._send, settings)
        self._port: Any = host.listenUDP(_PORT, self, "", DATAGRAM_BYTES + 16)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Take one."""
        self.streams.datagram_received(datagram, addr)

    def _send(self, data: bytes, where: tuple[str, int]) -> None:
        self._port.write(data, where)


class _Counting(Protocol):
    """Counts what comes."""

    def __init__(self, host: Host) -> None:
        self.size = 0

    def dataReceived(self, data: bytes) -> None:
        """Some of it."""
        self.size += len(data)


def _giving(protocol: Protocol) -> Factory:
    factory = Factory()
    factory.buildProtocol = lambda addr: protocol  # type: ignore[assignment]
    return factory


def _loopback() -> list[Row]:
    with _process("echo") as echo, _process("serve") as server:
        fetched = Measure(
            name="udp-loopback",
            unit="bytes a second",
            goal=0.5,
            peer=TWISTED,
            ours=figure(lambda: _fetched(server)),
            theirs=figure(lambda: echoed(echo, CONTENT_BYTES // DATAGRAM_BYTES)),
        )
        return take([fetched], _ROUNDS)


def _fetched(port: int) -> float:
    command = [sys.executable, "-m", "benchmarks.streams_load", "fetch", str(port)]
    said = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, timeout=PATIENCE_S, check=True).stdout
    rate = float(said)
    if not rate:
        raise BenchmarkError("what came is not the file")
    return rate


@contextmanager
def _process(kind: str) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.streams_load", kind]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None, "it was asked for"
            line = process.stdout.readline()
            if not line.strip().isdigit():
                raise BenchmarkError(f"{kind} did not start")
            yield int(line)
        finally:
            process.kill()
