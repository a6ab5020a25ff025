"""A sealed connection on a blocking socket, for what puts a load on daemons without a reactor of its own."""

from __future__ import annotations

import socket
from types import TracebackType

from benchmarks.report import BenchmarkError
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.tls.tls_session import tls_sessions

_READ_BYTES = 256 << 10


class SealedSocket:
    """One end of a sealed connection, with as much of a socket's interface as loads use.

    @param link: the connection, which this closes.
    @param key: what this end proves.
    @param is_dialler: whether this end made the connection.
    """

    def __init__(self, link: socket.socket, key: KeyPair, *, is_dialler: bool = True) -> None:
        self._link = link
        self._session = tls_sessions(key)(is_dialler)
        self._unread = b""
        self._session.begin()
        self._send()
        while self._session.proven_key is None:
            self._receive()

    def __enter__(self) -> SealedSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Set an option of the socket."""
        self._link.setsockopt(level, option, value)

    def sendall(self, data: bytes) -> None:
        """Send bytes."""
        self._session.send(data)
        self._send()

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Read so many bytes: fewer only with flags that allow it, or at the end."""
        while len(self._unread) < size and (flags & socket.MSG_WAITALL or not self._unread) and self._receive():
            pass
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def recv_into(self, buffer: bytearray) -> int:
        """Read what there is; 0 at the end."""
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _send(self) -> None:
        self._session.drain(self._link.sendall)

    def _receive(self) -> bool:
        sealed = self._link.recv(_READ_BYTES)
        if not sealed:
            if self._session.proven_key is None:
                raise BenchmarkError("the other end closed the connection before it had proven its key")
            return False
        self._unread += self._session.receive(sealed)
        self._send()
        return True
