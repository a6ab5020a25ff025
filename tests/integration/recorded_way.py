"""A way between daemons that keeps all that goes over it, in both directions."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class RecordedWay:
    """Takes connections at a port of its own, and passes on whatever comes over them.

    @param port: where it leads to; may be set later.
    @ivar carried: all that went over it.
    @ivar connections: how many there were.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.carried = b""
        self.connections = 0
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._server]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def own_port(self) -> int:
        """Where it takes connections."""
        return int(self._server.getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self.port))
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                with self._lock:
                    self.carried += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
