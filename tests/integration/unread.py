"""Signs that tests wait for instead of a while: what a process has not read yet, and that somebody dials."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.integration.daemons import LONGEST_S, until


def unread_bytes(port: int) -> int:
    """How much has come to a port by datagrams that nobody has read."""
    rows = Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]
    fields = [row.split() for row in rows]
    return sum(int(row[4].rpartition(":")[2], 16) for row in fields if int(row[1].rpartition(":")[2], 16) == port)


def wait_until_read(port: int) -> None:
    """Wait until a process has taken all that has come to its port: faster than that nothing would arrive."""
    until(lambda: not unread_bytes(port), every_s=0.002)


def wait_until_dialled(port: int) -> None:
    """Wait until somebody dials a port where nobody listens any more, and hang up."""
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(LONGEST_S)
        server.accept()[0].close()
