"""Imported by every Python process that has this folder on its path: it keeps what it sends over the network.

Each connection has a file of its own, with all that was given to the system for it, in the folder that the environment
names. What is received was sent by another of these processes.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

FOLDER: Final = "KEEP_WHAT_IS_SENT_IN"


def keep_what_is_sent(folder: Path) -> None:
    """From now on keep it."""
    names: WeakKeyDictionary[socket.socket, str] = WeakKeyDictionary()

    def keep(sender: socket.socket, data: bytes) -> None:
        if sender.family not in (socket.AF_INET, socket.AF_INET6):
            return
        if sender not in names:
            # Later the other end may be gone.
            ends = [sender.getsockname()[1]]
            with suppress(OSError):
                ends.append(sender.getpeername()[1])
            names[sender] = "-".join(map(str, [sender.type.name, os.getpid(), *ends]))
        with (folder / names[sender]).open("ab") as file:
            file.write(data)

    usual_send, usual_sendto, usual_sendmsg = socket.socket.send, socket.socket.sendto, socket.socket.sendmsg

    def send(self: socket.socket, data: Any, *flags: int) -> int:
        sent = usual_send(self, data, *flags)
        keep(self, bytes(data[:sent]))
        return sent

    def sendto(self: socket.socket, data: Any, *where: Any) -> int:
        sent = usual_sendto(self, data, *where)
        keep(self, bytes(data))
        return sent

    def sendmsg(self: socket.socket, buffers: Any, *others: Any) -> int:
        pieces = list(buffers)
        sent = usual_sendmsg(self, pieces, *others)
        keep(self, b"".join(pieces)[:sent])
        return sent

    changed: Any = socket.socket
    changed.send, changed.sendto, changed.sendmsg = send, sendto, sendmsg


if place := os.environ.get(FOLDER):
    keep_what_is_sent(Path(place))
