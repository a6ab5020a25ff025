"""How much the operating system keeps for a connection that cannot be sent yet."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any


def keep_little_unsent(transport: Any, most_bytes: int) -> None:
    """Limit what the system takes for a connection to what it may send soon (C{TCP_NOTSENT_LOWAT}).

    @param transport: of a connection; one without a socket is left as it is.
    """
    handle = getattr(transport, "getHandle", None)
    if handle is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with suppress(OSError):
            handle().setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, most_bytes)
