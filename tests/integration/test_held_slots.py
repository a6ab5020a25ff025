"""Upload slots of a real sharer, held by readers from many hosts that do not read."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from tests.integration.daemons import Daemons, until
from twisted_bazaar.files.memory import manifest_of

MIB: Final = 1 << 20
HOSTS: Final = tuple(f"127.0.0.{number}" for number in range(2, 10))
CONNECTIONS: Final = 4
LONGEST_WAIT_S: Final = 2.0


def said(type: str, **keys: Any) -> bytes:
    """A message in a frame."""
    payload = json.dumps({"type": type, **keys}).encode()
    return b"%d:%b," % (len(payload), payload)


def ask(port: int, digest: str, host: str) -> socket.socket:
    """Ask for a file, a slot and a chunk; as nobody reads yet, the slot may not be there when the chunk is wanted."""
    connection = socket.create_connection(("127.0.0.1", port), source_address=(host, 0))
    connection.sendall(said("fetch", digest=digest) + said("queue"))
    return connection


def wait_for(connection: socket.socket, has_come: Callable[[bytes], bool]) -> None:
    """Read until something has come."""
    came = b""
    while not has_come(came):
        more = connection.recv(MIB)
        assert more, came[-200:]
        came += more


def fetch_s(port: int, digest: str) -> float:
    """How long it takes to get one chunk."""
    began = time.monotonic()
    with ask(port, digest, "127.0.0.1") as connection:
        connection.settimeout(30)
        wait_for(connection, lambda came: b'{"type":"go"' in came)
        connection.sendall(said("want", chunk=0))
        wait_for(connection, lambda came: len(came) > MIB)
    return time.monotonic() - began


def test_readers_that_do_not_read(tmp_path: Path) -> None:
    """While eight hosts with four connections each hold all slots and read nothing, each who asks has a chunk in less
    than 2 s; and so it goes on."""
    content = random.Random(1).randbytes(16 * MIB)
    digest = manifest_of(content).digest
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "big.bin").write_bytes(content)
    with Daemons(tmp_path, in_the_open=True) as daemons, ExitStack() as stack:
        server = daemons.start("bazaar-node", "--role", "index_server", "--listen", "tcp:0:interface=127.0.0.1")
        via = ("--via", "index", "--index", f"tcp:127.0.0.1:{server.wait_for_port()}")
        listen = ("--listen", "tcp:0:interface=127.0.0.1")
        sharer = daemons.start("bazaar-node", "--role", "sharer", *via, "--folder", str(folder), *listen)
        port = sharer.wait_for_port()
        sharer.wait_for("sharing big.bin")
        control_s = max(fetch_s(port, digest) for _ in range(3))

        held = [stack.enter_context(ask(port, digest, host)) for _ in range(CONNECTIONS) for host in HOSTS]
        for connection in held:
            connection.setblocking(False)

        def want() -> bool:
            """Whoever has a slot wants all that it may, and does not read that."""
            served = 0
            for connection in held:
                try:
                    has_slot = b'{"type":"go"' in connection.recv(4096, socket.MSG_PEEK)
                except BlockingIOError:
                    continue
                if has_slot:
                    connection.setblocking(True)
                    # Who has wanted too much is cut, and has none any more.
                    with suppress(ConnectionError):
                        connection.sendall(b"".join(said("want", chunk=chunk) for chunk in range(8)))
                        served += 1
                    connection.setblocking(False)
            return served >= 4

        until(want)
        for _ in range(5):
            assert fetch_s(port, digest) < max(LONGEST_WAIT_S, 3 * control_s)
            want()
