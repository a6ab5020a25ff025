"""What it costs that links are sealed.

C{tls-bulk}: bytes a second of processor time, of both ends together, that go over one sealed connection, beside one in
the open; C{tls-wrapper}: the same beside Twisted's own wrapper with the same certificates. Both ends are processes of
their own, with the sizes that transfers have. They share two cores with whatever runs besides, so their processor time
is compared.

C{tls-relay}: searches that a relay passes on in a second of its processor time, over sealed links and over links in the
open; what is sent is that of L{benchmarks.relay}.

C{tls-memory}: how much more resident memory a tracker has for an idle sealed link than for one in the open, beside
6 KiB.

C{tls-joins}: sealed connections that two nodes begin in a second of the processor time of both, from dialling until
the first word has come, beside the same by bare C{SSL.Connection} over blocking sockets: with the same certificates,
but without Twisted, and with nobody judged. Neither side has session tickets: with both ends proven anew a resumed
handshake costs the same, within 6 %, and to issue the tickets costs 12 %.

C{datagram-sealed}: values that 20 nodes of a ring get in a second, 50 at a time, all in one process, by sealed
datagrams and by datagrams in the open. Each value takes some questions and answers, and two signatures to verify.
C{datagram-exchange}: the least that can be said: messages of 240 bytes that two nodes exchange in a second of processor
time, of which nothing is done but to answer.

C{tls-iroh}: bytes a second of the processor time of both ends over a sealed connection, beside a stream of iroh (QUIC)
between two processes on loopback, one of which is told the other's key and address. What iroh spends goes into its
bindings for Python, which hand over what is sent byte by byte.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from OpenSSL import SSL

from benchmarks.bare import BACKLOG
from benchmarks.harness import Measure, constant, figure, take
from benchmarks.peers import AIM, IN_THE_OPEN, IROH, OPENSSL, WRAPPER
from benchmarks.processes import LOOPBACK, daemon, free_port, wait_until_listening
from benchmarks.relay import SEARCHES, WARM_UP, pass_through_relay, running_relay
from benchmarks.report import BenchmarkError, Row
from benchmarks.ring import running_network
from benchmarks.sealed_socket import SealedSocket
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.control import ThisIsMe
from twisted_bazaar.security.tls.contexts import TlsContexts
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.framing import frame
from twisted_bazaar.wire.message import NO_ID

_ROUNDS: Final = 5
_BULK_BYTES: Final = 256 << 20
_WARM_UP_BYTES: Final = 32 << 20
_IROH_BYTES: Final = 2 << 20
_JOINS: Final = 1_000
_WORD: Final = b"hello"
_READ_BYTES: Final = 16 << 10
_IDLE_LINKS: Final = 500
_IDLE_BYTES: Final = 6 << 10
_SETTLE_S: Final = 0.3
_MEMBERS: Final = 20
_GETS: Final = 500
_AT_ONCE: Final = 50
_EXCHANGES: Final = 40_000
_LOAD: Final = "benchmarks.links_load"
_IROH_LOAD: Final = "benchmarks.iroh_load"
_DATAGRAM_LOAD: Final = "benchmarks.datagram_load"
_ROOT: Final = Path(__file__).resolve().parent.parent


def measure() -> list[Row]:
    """All rows of this module."""
    return [*_connection_rows(), *_relay_rows(), *_memory_rows(), *_datagram_rows()]


class End:
    """One end of what is measured, in a process of its own.

    @ivar there: what the other end has to know to dial it.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.there: list[Any] = self._hear()["there"]

    def do(self, *words: object) -> float:
        """Have it do something; returns the processor seconds that it tells."""
        assert self._process.stdin is not None, "it was asked for"
        self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self._process.stdin.flush()
        return float(self._hear()["used"])

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None, "it was asked for"
        said = json.loads(self._process.stdout.readline() or b'{"error": "the process has ended"}')
        if "error" in said:
            raise BenchmarkError(f"a connection failed: {said['error']}")
        return dict(said)


@contextmanager
def _end(*words: object) -> Iterator[End]:
    command = [sys.executable, "-m", *map(str, words)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield End(process)
        finally:
            process.kill()


def _connection_rows() -> list[Row]:
    with ExitStack() as stack:
        server = stack.enter_context(_end(_LOAD, "serve"))
        dialler = stack.enter_context(_end(_LOAD, "dial", *server.there))

        def used(*words: object) -> float:
            """The processor seconds that both ends take for something."""
            before = server.do("used")
            dialled = dialler.do(*words)
            return dialled + server.do("used") - before

        def bulk(kind: str) -> float:
            used("bulk", kind, _WARM_UP_BYTES)
            return _BULK_BYTES / used("bulk", kind, _BULK_BYTES)

        sealed = figure(partial(bulk, "sealed"))
        measures = [
            Measure(
                name=name,
                unit="bytes a processor second",
                goal=goal,
                peer=peer,
                ours=sealed,
                theirs=figure(partial(bulk, kind)),
            )
            for name, goal, peer, kind in (
                ("tls-bulk", 0.7, IN_THE_OPEN, "plain"),
                ("tls-wrapper", 2.0, WRAPPER, "wrapper"),
            )
        ]
        joins = Measure(
            name="tls-joins",
            unit="handshakes a processor second",
            goal=0.6,
            peer=OPENSSL,
            ours=figure(lambda: _JOINS / used("joins", _JOINS)),
            theirs=figure(_bare_handshakes),
        )
        beside_iroh = Measure(
            name="tls-iroh",
            unit="bytes a processor second",
            goal=1.0,
            peer=IROH,
            ours=sealed,
            theirs=figure(_iroh_bulk),
        )
        return take([*measures, joins, beside_iroh], _ROUNDS)


def _iroh_bulk() -> float:
    with _end(_IROH_LOAD, "serve") as server, _end(_IROH_LOAD, "dial", *server.there) as dialler:
        # What both have used to begin does not count.
        before = dialler.do(0) + server.do(0)
        return _IROH_BYTES / (dialler.do(_IROH_BYTES) + server.do(0) - before)


def _bare_handshakes() -> float:
    """Shake hands over connections by OpenSSL alone, up to the first word; returns how many a processor second."""
    contexts = TlsContexts.of(KeyPair.from_seed(bytes(32)))
    with socket.create_server((LOOPBACK, 0)) as listening:
        began = time.process_time()
        for _ in range(_JOINS):
            with socket.create_connection(listening.getsockname()) as near, listening.accept()[0] as far:
                dialler, accepter = SSL.Connection(contexts.dialling, None), SSL.Connection(contexts.accepting, None)
                dialler.set_connect_state()
                accepter.set_accept_state()
                _shake_hands(dialler, near, far, accepter)
                _shake_hands(accepter, far, near, dialler)
                _shake_hands(dialler, near, far, accepter)
                accepter.do_handshake()
                accepter.send(_WORD)
                _carry(accepter, far, near, dialler)
                if dialler.recv(_READ_BYTES) != _WORD:
                    raise BenchmarkError("a handshake failed")
        return _JOINS / (time.process_time() - began)


def _shake_hands(source: SSL.Connection, out: socket.socket, into: socket.socket, sink: SSL.Connection) -> None:
    """Have one end say all that it has to say now."""
    with suppress(SSL.WantReadError):
        source.do_handshake()
    _carry(source, out, into, sink)


def _carry(source: SSL.Connection, out: socket.socket, into: socket.socket, sink: SSL.Connection) -> None:
    """Carry what one end has to say to the other."""
    out.sendall(source.bio_read(_READ_BYTES))
    sink.bio_write(into.recv(_READ_BYTES))


def _relay_rows() -> list[Row]:
    with ExitStack() as stack:
        relays = {is_plain: stack.enter_context(running_relay(is_plain=is_plain)) for is_plain in (True, False)}

        def passed_on(is_plain: bool) -> float:
            relay = relays[is_plain]
            before = relay.processor_s()
            pass_through_relay(relay, SEARCHES, is_plain=is_plain)
            return SEARCHES / (relay.processor_s() - before)

        for is_plain, relay in relays.items():
            pass_through_relay(relay, WARM_UP, is_plain=is_plain)
        row = Measure(
            name="tls-relay",
            unit="searches a processor second",
            goal=0.75,
            peer=IN_THE_OPEN,
            ours=figure(partial(passed_on, False)),
            theirs=figure(partial(passed_on, True)),
        )
        return take([row], _ROUNDS)


def _datagram_rows() -> list[Row]:
    with ExitStack() as stack:
        rings = {kind: stack.enter_context(running_network(kind, _MEMBERS)) for kind in ("ours", "sealed")}
        pairs = stack.enter_context(_end(_DATAGRAM_LOAD))
        time.sleep(_SETTLE_S)
        for ring in rings.values():
            ring.meet()
            ring.put("value", _GETS)

        def exchanged(kind: str) -> float:
            return _EXCHANGES / pairs.do("exchange", kind, _EXCHANGES)

        measures = [
            Measure(
                name=name,
                unit=unit,
                goal=0.8,
                peer=IN_THE_OPEN,
                ours=figure(ours),
                theirs=figure(theirs),
            )
            for name, unit, ours, theirs in (
                (
                    "datagram-sealed",
                    "gets a second",
                    partial(rings["sealed"].get, "value", _GETS, _AT_ONCE),
                    partial(rings["ours"].get, "value", _GETS, _AT_ONCE),
                ),
                (
                    "datagram-exchange",
                    "messages a processor second",
                    partial(exchanged, "sealed"),
                    partial(exchanged, "plain"),
                ),
            )
        ]
        return take(measures, _ROUNDS)


def _memory_rows() -> list[Row]:
    row = Measure(
        name="tls-memory",
        unit="resident bytes a link",
        goal=1.0,
        peer=AIM,
        ours=figure(lambda: _idle_bytes(is_plain=False) - _idle_bytes(is_plain=True)),
        theirs=constant(_IDLE_BYTES),
        is_cost=True,
    )
    return take([row])


def _idle_bytes(*, is_plain: bool) -> float:
    """What each of many links that say nothing any more weighs in a tracker."""
    port = free_port()
    listen = f"tcp:{port}:interface={LOOPBACK}:backlog={BACKLOG}"
    encode = Codec().encode
    with ExitStack() as stack, daemon(["bazaar-tracker", "--listen", listen], is_plain=is_plain) as process:
        server = wait_until_listening(process, port)
        time.sleep(_SETTLE_S)
        before = server.resident_bytes()
        for number in range(_IDLE_LINKS):
            key = KeyPair.from_seed(number.to_bytes(32))
            bare = server.connect()
            link = stack.enter_context(bare if is_plain else SealedSocket(bare, key))
            link.sendall(frame(encode(ThisIsMe(id=NO_ID, port=1024 + number, key=key.public))))
            if b'"thisisyou"' not in link.recv(4096):
                raise BenchmarkError("the tracker did not welcome a node")
        time.sleep(_SETTLE_S)
        return (server.resident_bytes() - before) / _IDLE_LINKS
