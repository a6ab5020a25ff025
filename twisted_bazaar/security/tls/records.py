"""The records of a TLS connection (RFC 8446, 5), below pyOpenSSL: sealed and opened with as few copies as there can be.

pyOpenSSL makes new buffers for each record, raises an error for each read that finds nothing, and keeps what comes in
a buffer that never shrinks: that took twice as long as the cipher itself. So here OpenSSL is called directly once the
handshake is over, through the library that pyOpenSSL itself calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.bindings.openssl.binding import Binding

_LIB: Final[Any] = Binding.lib
_FFI: Final[Any] = Binding.ffi

# As much as a transfer reads at once, so that what is plain of it is put into one piece once.
_SCRATCH_BYTES: Final = 256 << 10


class Scratch:
    """Memory that OpenSSL writes to before Python has it; one for all connections, which use it one after another."""

    def __init__(self) -> None:
        self.memory: Any = _FFI.new_allocator(should_clear_after_alloc=False)("char[]", _SCRATCH_BYTES)
        self.view: memoryview[int] = memoryview(_FFI.buffer(self.memory))


class Records:
    """The records of one connection.

    @param connection: without a socket.
    @param scratch: of the node.
    """

    def __init__(self, connection: Any, scratch: Scratch) -> None:
        self._connection = connection
        self._ssl: Any = connection._ssl
        self._sealed: Any = connection._from_ssl
        self._scratch = scratch.memory
        self._view = scratch.view
        self._is_direct = False

    def seal(self, plain: bytes | memoryview) -> None:
        """Seal bytes; those of one call share records.

        @raise SSL.Error: the connection has failed.
        """
        size, done = len(plain), 0
        start = _FFI.from_buffer(plain)
        while done < size:
            written = _LIB.SSL_write(self._ssl, start + done, size - done)
            if written <= 0:
                self._connection._raise_ssl_error(self._ssl, written)
            done += written

    def drain(self, send: Callable[[memoryview], object]) -> None:
        """Have all sent that is sealed; it stands in the scratch memory, so it is to be copied or sent at once."""
        size = _SCRATCH_BYTES
        while size == _SCRATCH_BYTES:
            size = _LIB.BIO_read(self._sealed, self._scratch, _SCRATCH_BYTES)
            if size > 0:
                send(self._view[:size])

    def open(self, sealed: bytes | memoryview) -> tuple[bytes, int, bool]:
        """Open what came.

        @param sealed: what has come; empty for what the handshake has left.
        @return: what is plain of it, so far; how many records that was; and whether nothing more comes.
        @raise SSL.Error: somebody has changed it.
        """
        if sealed:
            # OpenSSL reads the bytes where they are. It has read them all when it wants more.
            self._read_from(_LIB.BIO_new_mem_buf(_FFI.from_buffer(sealed), len(sealed)))
        is_drained = False
        plain: list[bytes] = []
        start, filled, read = self._scratch, 0, 0
        try:
            while (got := _LIB.SSL_read(self._ssl, start + filled, _SCRATCH_BYTES - filled)) > 0:
                filled += got
                read += 1
                if filled == _SCRATCH_BYTES:
                    plain.append(bytes(self._view))
                    filled = 0
            is_drained = self._wants_more(got)
        finally:
            if sealed and not is_drained:
                # What it has not read goes away with the bytes.
                self._read_from(_LIB.BIO_new(_LIB.BIO_s_mem()))
        if filled:
            plain.append(bytes(self._view[:filled]))
        return plain[0] if len(plain) == 1 else b"".join(plain), read, not is_drained

    def _wants_more(self, result: int) -> bool:
        """Whether OpenSSL could not go on for want of bytes; False when the other end has said that nothing comes."""
        reason = _LIB.SSL_get_error(self._ssl, result)
        if reason not in (_LIB.SSL_ERROR_WANT_READ, _LIB.SSL_ERROR_ZERO_RETURN):
            self._connection._raise_ssl_error(self._ssl, result)
        return bool(reason == _LIB.SSL_ERROR_WANT_READ)

    def _read_from(self, source: Any) -> None:
        """Have OpenSSL read from somewhere else; what it read from before is freed."""
        if not self._is_direct:
            # That was the one that pyOpenSSL writes to.
            self._is_direct = True
            self._connection._into_ssl = None
        _LIB.BIO_set_mem_eof_return(source, -1)
        _LIB.SSL_set_bio(self._ssl, source, self._sealed)
