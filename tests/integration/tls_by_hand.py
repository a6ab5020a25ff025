"""TLS between nodes, written from the page on links of the specification: C{ssl} and C{cryptography}.

Nothing of the package is imported here, nor the library by which it seals.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ALPN: Final = "bazaar/2"
# Kinds of content (RFC 8446, 5.1), and a message that has the other end renew its keys too (4.6.3).
HANDSHAKE: Final = 22
DATA: Final = 23
KEY_UPDATE: Final = b"\x18\0\0\1\1"
# Nobody looks at what stands in a certificate besides the key.
_NOBODY: Final = x509.Name([])
_FROM, _UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)
_READ_BYTES: Final = 1 << 16


class Identity:
    """A key, and the certificate that it has signed for itself.

    @param seed: of the key, 32 bytes; None for a new one.
    @ivar key: the public key, 64 hexadecimal digits.
    """

    def __init__(self, seed: bytes | None = None) -> None:
        self._private_key = Ed25519PrivateKey.from_private_bytes(seed or secrets.token_bytes(32))
        self.key: str = self._private_key.public_key().public_bytes_raw().hex()

    @cached_property
    def dialling(self) -> ssl.SSLContext:
        """The settings for connections that it makes."""
        return self._context(ssl.PROTOCOL_TLS_CLIENT)

    @cached_property
    def accepting(self) -> ssl.SSLContext:
        """The settings for connections that it takes.

        C{ssl} can ask for certificates only of authorities that it knows, so no key of who dials is proven here.
        """
        return self._context(ssl.PROTOCOL_TLS_SERVER)

    def _context(self, side: int) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols([ALPN])
        with tempfile.NamedTemporaryFile() as file:
            file.write(self._certificate().public_bytes(Encoding.PEM))
            file.write(self._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def _certificate(self) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(_NOBODY).issuer_name(_NOBODY).serial_number(2)
        builder = builder.public_key(self._private_key.public_key()).not_valid_before(_FROM).not_valid_after(_UNTIL)
        return builder.sign(self._private_key, None)


class TlsEnd:
    """One end of a sealed connection, without a socket: sealed bytes go in and come out.

    @param context: of an L{Identity}.
    @param is_dialler: whether this end has made the connection.
    @ivar is_open: whether the handshake is done, and the other end has shown what it must.
    @ivar is_ended: whether the other end has said that nothing more comes.
    @ivar other_key: the key that the other end has proven, 64 hexadecimal digits, if this end dialled.
    """

    def __init__(self, context: ssl.SSLContext, *, is_dialler: bool = True) -> None:
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._coming, self._going, server_side=not is_dialler)
        self._is_dialler = is_dialler
        self.is_open = False
        self.is_ended = False
        self.other_key: str | None = None
        if is_dialler:
            self._shake_hands()

    def receive(self, sealed: bytes) -> bytes:
        """Take what came; returns what is plain of it.

        @raise ConnectionError: the other end is not what it has to be.
        """
        self._coming.write(sealed)
        if not self.is_open:
            self._shake_hands()
        plain = bytearray()
        while self.is_open and not self.is_ended:
            try:
                data = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as error:
                raise ConnectionAbortedError(str(error)) from None
            self.is_ended = not data
            plain += data
        return bytes(plain)

    def seal(self, plain: bytes) -> None:
        """Seal bytes, which are among the outgoing ones then."""
        if plain:
            self._tls.write(plain)

    def outgoing(self) -> bytes:
        """What is to be sent now; not given twice."""
        return self._going.read()

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise ConnectionAbortedError(str(error)) from None
        if self._tls.selected_alpn_protocol() != ALPN:
            raise ConnectionAbortedError(f"it does not speak {ALPN}")
        if self._is_dialler:
            leaf = x509.load_der_x509_certificate(self._tls.getpeercert(binary_form=True) or b"")
            key = leaf.public_key()
            if not isinstance(key, Ed25519PublicKey):
                raise ConnectionAbortedError("its key is no Ed25519 key")
            self.other_key = key.public_bytes_raw().hex()
        self.is_open = True


class SealedSocket(socket.socket):
    """A blocking socket that seals what is sent and opens what is read; one thread may read while another sends.

    @param connection: a connected socket, which is this one from now on.
    @param identity: whose end this is.
    @param is_dialler: whether this end has made the connection.
    @ivar other_key: the key at the other end, if that took the connection.
    @raise ConnectionError: the handshake has failed.
    """

    def __init__(self, connection: socket.socket, identity: Identity, *, is_dialler: bool = True) -> None:
        timeout_s = connection.gettimeout()
        super().__init__(connection.family, connection.type, connection.proto, connection.detach())
        self.settimeout(timeout_s)
        self._lock = threading.Lock()
        self._unread = b""
        try:
            self._tls = TlsEnd(identity.dialling if is_dialler else identity.accepting, is_dialler=is_dialler)
            while not self._tls.is_open:
                self._send_sealed()
                self._receive()
            self._send_sealed()
        except BaseException:
            self.close()
            raise
        self.other_key = self._tls.other_key

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Seal and send bytes."""
        with self._lock:
            try:
                self._tls.seal(bytes(data))
            except ssl.SSLError as error:
                raise ConnectionAbortedError(str(error)) from None
            self._send_sealed()

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """The bytes that come next; none when the other end is done, or gone."""
        while not self._unread and self._receive():
            pass
        data, self._unread = self._unread[:bufsize], self._unread[bufsize:]
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Read into a buffer."""
        view = memoryview(buffer)
        data = self.recv(nbytes or len(view))
        view[: len(data)] = data
        return len(data)

    @property
    def has_unread(self) -> bool:
        """Whether something has come that was not read, of which the system knows nothing."""
        return bool(self._unread)

    def _receive(self) -> bool:
        """Take some of what comes; returns whether more may come."""
        sealed = super().recv(_READ_BYTES)
        with self._lock:
            if not self._tls.is_open and not sealed:
                raise ConnectionAbortedError("it has ended before the handshake was done")
            self._unread += self._tls.receive(sealed)
        return bool(sealed) and not self._tls.is_ended

    def _send_sealed(self) -> None:
        if sealed := self._tls.outgoing():
            super().sendall(sealed)


class RecordKeys:
    """The keys by which one end seals its records, by AES-256-GCM and SHA-384 (RFC 8446, 5 and 7).

    @param secret: the traffic secret.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = AESGCM(self._expand(b"key", 32))
        self._iv = int.from_bytes(self._expand(b"iv", 12), "big")
        self._number = 0

    def seal(self, content: bytes, kind: int) -> bytes:
        """The next record."""
        head = b"\x17\x03\x03" + (len(content) + 17).to_bytes(2, "big")
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        return head + self._cipher.encrypt(nonce, content + bytes([kind]), head)

    def next(self) -> RecordKeys:
        """The keys after these."""
        return RecordKeys(self._expand(b"traffic upd", len(self._secret)))

    def _expand(self, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        about = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        return hmac.digest(self._secret, about + b"\1", "sha384")[:size]


class KeyLog:
    """Learns from the library by which keys it seals, for who would seal records that it does not.

    @param contexts: for connections that are made.
    """

    def __init__(self, contexts: Iterable[ssl.SSLContext]) -> None:
        self._file = tempfile.NamedTemporaryFile("r")  # noqa: SIM115  # it is closed with this
        for context in contexts:
            context.keylog_filename = self._file.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self._file.close()

    def newest(self) -> RecordKeys:
        """The keys of the one who has dialled last, for its first record after the handshake."""
        [*_, secret] = (line.split()[2] for line in self._file if line.startswith("CLIENT_TRAFFIC_SECRET_0 "))
        return RecordKeys(bytes.fromhex(secret))


def dial(port: int, identity: Identity | None = None, host: str = "127.0.0.1", timeout_s: float = 20.0) -> SealedSocket:
    """A sealed connection to a node.

    @param identity: of who dials; None for somebody new.
    """
    return SealedSocket(socket.create_connection((host, port), timeout_s), identity or Identity())
