"""Signs that tests wait for instead of a while: what a process has not read yet, and that somebody dials."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from tests.integration.daemons import LONGEST_S, until

_LISTENS: Final = "0A"


def unread_bytes(port: int) -> int:
    """How much has come to the sockets of a port, by connections and datagrams, that nobody has read."""
    total = 0
    for kind in ("udp", "udp6", "tcp", "tcp6"):
        table = Path("/proc/net", kind)
        rows = table.read_text(encoding="ascii").splitlines()[1:] if table.exists() else []
        for local, _, state, queues in (row.split()[1:5] for row in rows):
            if int(local.rpartition(":")[2], 16) == port and state != _LISTENS:
                total += int(queues.rpartition(":")[2], 16)
    return total


def wait_until_read(port: int) -> None:
    """Wait until a process has taken all that has come to its port: faster than that nothing would arrive."""
    until(lambda: not unread_bytes(port), every_s=0.001)


def wait_until_dialled(port: int) -> None:
    """Wait until somebody dials a port where nobody listens any more, and hang up."""
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(LONGEST_S)
        server.accept()[0].close()
