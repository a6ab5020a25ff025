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
from twisted_bazaar.security.tls.record_ends import RecordEnds
from twisted_bazaar.security.tls.records import Records, Scratch

HANDSHAKE_BYTES: Final = 8 << 10
"""So much of what the other end sends is looked at before it has proven its key; ours send some 2.5 KiB."""

# The first byte of each record with which a handshake begins, and of an alert (RFC 8446, 5.1).
_FIRST: Final = b"\x16\x15"
# A record that carries nothing costs as much as a short message, and is counted by nobody else: new keys, tickets, or
# nothing at all. Some libraries send a few; keys have to be new after 2^24 records.
EMPTY_RECORDS: Final = 8
"""So many may come at once."""
BYTES_FOR_ONE_MORE: Final = 1 << 20
"""For so many plain bytes one more such record may come."""
# More than come at once from who sends much, and few of those that carry nothing.
_RECORDS_AT_ONCE: Final = 24


class TlsSession:
    """One end of a connection by TLS.

    @param context: of this node, for this side.
    @param scratch: of this node.
    @param is_dialler: whether this end made the connection.
    """

    def __init__(self, context: SSL.Context, scratch: Scratch, *, is_dialler: bool) -> None:
        self._ssl = SSL.Connection(context, None)
        self._records = Records(self._ssl, scratch)
        self._is_dialler = is_dialler
        self._seen_bytes = 0
        self._ends = RecordEnds()
        self._empty_records = self._plain_bytes = 0
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
        before = b""
        if self.proven_key is None:
            sealed = self._receive_handshake(sealed)
            if self.proven_key is None:
                return b""
            # With the end of the handshake more may have come.
            before = self._open(b"")
        return before + self._open(sealed) if sealed else before

    def send(self, plain: bytes | memoryview) -> None:
        """Seal bytes for the other end; only once it has proven its key.

        @raise Unproven: the connection has failed.
        """
        assert self.proven_key is not None, "nothing is sent to who has not proven a key"
        try:
            self._records.seal(plain)
        except SSL.Error as error:
            raise Unproven(_reason_of(error)) from None

    def outgoing(self) -> bytes:
        """What is to be sent now, and is forgotten here; empty for nothing."""
        sealed: list[bytes] = []
        self._records.drain(lambda some: sealed.append(bytes(some)))
        return b"".join(sealed)

    def drain(self, send: Callable[[bytes | memoryview], object]) -> None:
        """Have all of that sent, by something that keeps none of it without copying it."""
        self._records.drain(send)

    def end(self) -> None:
        """Say that nothing more comes from this end."""
        # OpenSSL has nothing to say where the handshake is not over, or has failed.
        with suppress(SSL.Error):
            self._ssl.shutdown()

    def _receive_handshake(self, sealed: bytes) -> bytes:
        """Take what came before the other end has proven its key; returns what was not looked at yet."""
        if not self._seen_bytes and sealed[0] not in _FIRST:
            raise InTheOpen("no TLS: what came first was no handshake")
        while sealed and self.proven_key is None:
            most = HANDSHAKE_BYTES - self._seen_bytes
            if not most:
                raise Unproven(f"no handshake in {HANDSHAKE_BYTES} bytes")
            # A record at a time: what comes with the end of the handshake is none of it.
            size, _ = self._ends.cut(memoryview(sealed), most, 1)
            self._seen_bytes += size
            self._ssl.bio_write(sealed[:size])
            sealed = sealed[size:]
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

    def _open(self, sealed: bytes) -> bytes:
        """Open all records that are whole."""
        if self.is_ended:
            return b""
        plain: list[bytes] = []
        rest = memoryview(sealed)
        try:
            while True:
                size, ended = self._ends.cut(rest, len(rest), _RECORDS_AT_ONCE)
                opened, read, self.is_ended = self._records.open(rest[:size])
                plain.append(opened)
                rest = rest[size:]
                if self.is_ended:
                    break
                self._empty_records += max(0, ended - read)
                self._plain_bytes += len(opened)
                if self._empty_records > EMPTY_RECORDS + self._plain_bytes // BYTES_FOR_ONE_MORE:
                    raise Unproven("too many records that carry nothing")
                if not rest:
                    break
        except SSL.Error as error:
            raise Unproven(_reason_of(error)) from None
        return plain[0] if len(plain) == 1 else b"".join(plain)


def tls_sessions(key: KeyPair) -> Callable[[bool], Session]:
    """What makes the sessions of a node with a key; its argument says whether this end dialled."""
    contexts, scratch = TlsContexts.of(key), Scratch()

    def make(is_dialler: bool) -> Session:
        return TlsSession(contexts.dialling if is_dialler else contexts.accepting, scratch, is_dialler=is_dialler)

    return make


def _reason_of(error: SSL.Error) -> str:
    """In the words of OpenSSL."""
    try:
        return "TLS: " + str(error.args[0][-1][-1])
    except (IndexError, TypeError):
        return f"TLS: {type(error).__name__}"
