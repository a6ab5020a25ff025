"""What strangers write into the log of a real daemon, even of one that is told to tell everything."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Final

from tests.integration import fork_server
from tests.integration.daemons import TWISTD, free_port, until

_SENT_BYTES: Final = 4_000_000
# Three kinds of lines, each with its burst and what a minute brings, and what a daemon says of itself.
_LOGGED_BYTES: Final = 120_000
_REQUESTS: Final = 50


def _frame(**message: Any) -> bytes:
    payload = json.dumps(message).encode()
    return b"%d:%s," % (len(payload), payload)


def test_tracker(tmp_path: Path) -> None:
    """Four megabytes of greetings and requests at a tracker with -v leave some 60 KB in its log, not twelve million."""
    port, log = free_port(), tmp_path / "log"
    words = ("bazaar-tracker", "-v", "--listen", f"tcp:{port}:interface=127.0.0.1")
    with log.open("wb") as output:
        tracker = fork_server.start((*TWISTD, *words), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            until(lambda: "listening on" in log.read_text())
            sent = 0
            numbers = itertools.count(1)
            deadline = time.monotonic() + 60.0

            def greet() -> int:
                """Greet it, and ask it; how many bytes that took."""
                greeting = _frame(type="thisisme", id=-1, port=0, key=f"{next(numbers):064x}", version=1)
                said = greeting + _frame(type="nodereq", have=[]) * _REQUESTS
                with socket.create_connection(("127.0.0.1", port), timeout=10.0) as connection:
                    connection.sendall(said)
                    connection.recv(1000)
                return len(said)

            while sent < _SENT_BYTES and time.monotonic() < deadline:
                sent += greet()
            # It tells with the next line that it may write, so somebody has to come then.
            until(lambda: bool(greet()) and "more like it were left out" in log.read_text())
        finally:
            tracker.terminate()
            tracker.wait()
    text = log.read_text()
    assert sent >= _SENT_BYTES
    assert "joined from" in text
    assert len(text) < _LOGGED_BYTES, len(text)
