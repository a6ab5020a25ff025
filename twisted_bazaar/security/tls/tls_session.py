"""A TLS session of one connection, sans-IO (RFC 8446): OpenSSL between two buffers in memory.

The verdict on the other end is reached once, after the handshake and before anything of it is read: by its leaf
certificate and by the name of what is spoken. No callback of OpenSSL decides it: a resumed session calls none, and
with somebody else's certificate above an attacker's own it is shown that one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from OpenSSL import SSL

from twisted_bazaar.errors import InTheOpen, Unproven
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.certificate import key_in
from twisted_bazaar.security.links.session import Session
from twisted_bazaar.security.tls.contexts import ALPN, TlsContexts

HANDSHAKE_BYTES: Final = 8 << 10
"""So much of what the other end sends is looked at before it has proven its key; ours send some 2.5 KiB."""

# The first byte of each record with which a handshake begins, and of an alert (RFC 8446, 5.1).
_FIRST: Final = b"\x16\x15"
# OpenSSL's buffers keep the size of the most that was ever in them, so what goes in goes in by pieces. A record is a
# little longer than what it seals.
_PIECE_BYTES: Final = (16 << 10) + 22
# A read gives one record at most.
_RECORD_BYTES: Final = 16 << 10
_SEALED_AT_ONCE_BYTES: Final = 64 << 10


class TlsSession:
    """One end of a connection by TLS.

    @param context: of this node, for this side.
    @param is_dialler: whether this end made the connection.
    """

    def __init__(self, context: SSL.Context, *, is_dialler: bool) -> None:
        self._ssl = SSL.Connection(context, None)
        self._is_dialler = is_dialler
        self._seen_bytes = 0
        self.proven_key: str | None = None
        self.is_ended: bool = False
        if is_dialler:
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()

    def begin(self) -> None:
        """Begin, with a greeting of its own if this end dialled."""
        if self._is_dialler:
            self._shake_hands()

    def receive(self, sealed: bytes) -> bytes:
        """Take what came; returns what is plain of it, so far.

        @raise Unproven: the other end has not proven a key, or somebody has changed what it sent.
        """
        rest = memoryview(sealed)
        plain: list[bytes] = []
        if self.proven_key is None:
            rest = self._receive_handshake(rest)
            if self.proven_key is None:
                return b""
            # With the end of the handshake more has come.
            self._read(plain)
        while rest and not self.is_ended:
            self._ssl.bio_write(bytes(rest[:_PIECE_BYTES]))
            rest = rest[_PIECE_BYTES:]
            self._read(plain)
        return plain[0] if len(plain) == 1 else b"".join(plain)

    def send(self, plain: bytes) -> None:
        """Seal bytes for the other end; only once it has proven its key.

        @raise Unproven: the connection has failed.
        """
        assert self.proven_key is not None, "nothing is sent to who has not proven a key"
        try:
            self._ssl.sendall(plain)
        except SSL.Error as error:
            raise Unproven(_reason_of(error)) from None

    def outgoing(self) -> bytes:
        """What is to be sent now, and is forgotten here; empty for nothing."""
        try:
            return self._ssl.bio_read(_SEALED_AT_ONCE_BYTES * 2)
        except SSL.WantReadError:
            return b""

    def end(self) -> None:
        """Say that nothing more comes from this end."""
        # OpenSSL has nothing to say where the handshake is not over, or has failed.
        with suppress(SSL.Error):
            self._ssl.shutdown()

    def _receive_handshake(self, sealed: memoryview) -> memoryview:
        """Take what came before the other end has proven its key; returns what was not looked at yet."""
        if not self._seen_bytes and sealed[0] not in _FIRST:
            raise InTheOpen("no TLS: what came first was no handshake")
        while sealed and self.proven_key is None:
            most = HANDSHAKE_BYTES - self._seen_bytes
            if not most:
                raise Unproven(f"no handshake in {HANDSHAKE_BYTES} bytes")
            taken, sealed = sealed[:most], sealed[most:]
            self._seen_bytes += len(taken)
            self._ssl.bio_write(bytes(taken))
            self._shake_hands()
        return sealed

    def _shake_hands(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            raise Unproven(_reason_of(error)) from None
        self.proven_key = self._judge()

    def _judge(self) -> str:
        """The key that the other end has proven."""
        if self._ssl.get_alpn_proto_negotiated() != ALPN:
            raise Unproven(f"it does not speak {ALPN.decode()}")
        leaf = self._ssl.get_peer_certificate(as_cryptography=True)
        if leaf is None:
            raise Unproven("it has shown no certificate")
        return key_in(leaf)

    def _read(self, plain: list[bytes]) -> None:
        """Read all records that are whole."""
        try:
            while True:
                plain.append(self._ssl.recv(_RECORD_BYTES))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.is_ended = True
        except SSL.Error as error:
            raise Unproven(_reason_of(error)) from None


def tls_sessions(key: KeyPair) -> Callable[[bool], Session]:
    """What makes the sessions of a node with a key; its argument says whether this end dialled."""
    contexts = TlsContexts.of(key)

    def make(is_dialler: bool) -> Session:
        return TlsSession(contexts.dialling if is_dialler else contexts.accepting, is_dialler=is_dialler)

    return make


def _reason_of(error: SSL.Error) -> str:
    """In the words of OpenSSL."""
    try:
        return "TLS: " + str(error.args[0][-1][-1])
    except (IndexError, TypeError):
        return f"TLS: {type(error).__name__}"
