"""A stand-in for TLS in simulations: it proves keys and numbers what it seals, and hides nothing.

What OpenSSL does cannot be repeated from a seed, so a simulated connection has this session instead, behind the same
transport. Both ends sign the nonces of both. From then on each frame bears a tag over its number and content, made
with a secret of the connection; the tag, and every nonce that is used with a secret, are looked at: a nonce that
comes twice would be the end of a real cipher.

On the way stand frames: a kind, the length in 4 bytes, then a hello (key, nonce), a signature, or a tag with content.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Final

from twisted_bazaar.errors import InTheOpen, Unproven
from twisted_bazaar.identity.keys import SIGNATURE_BYTES, KeyPair, is_signed_by
from twisted_bazaar.security.links.session import Session, SessionMaker

# The kind of a frame, as in TLS, and its length.
_HANDSHAKE, _CONTENT, _END = b"\x16", b"\x17", b"\x15"
_HEAD_BYTES: Final = 5
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 16
_TAG_BYTES: Final = 8
_HELLO_BYTES: Final = _KEY_BYTES + _NONCE_BYTES
_MOST_BYTES: Final = 1 << 24


class UsedNonces:
    """Every nonce that was used with a secret.

    @ivar count: how many there were.
    """

    def __init__(self) -> None:
        self._next: dict[bytes, int] = {}
        self.count: int = 0

    def use(self, secret: bytes, number: int) -> None:
        """Use one; the nonces of a secret go up one by one.

        @raise AssertionError: it was used before.
        """
        expected = self._next.get(secret, 0)
        assert number == expected, f"nonce {number} of a secret, where {expected} is the next"
        self._next[secret] = expected + 1
        self.count += 1


class StandInSession:
    """One end of a connection.

    @param key: the key that this end proves.
    @param nonces: keeps what was used.
    """

    def __init__(self, key: KeyPair, rng: random.Random, nonces: UsedNonces, *, is_dialler: bool) -> None:
        self._key = key
        self._nonces = nonces
        self._is_dialler = is_dialler
        self._hello = bytes.fromhex(key.public) + rng.randbytes(_NONCE_BYTES)
        self._other_hello = b""
        self._transcript = b""
        self._out: list[bytes] = []
        self._unread = b""
        self._sent = self._taken = 0
        self._secrets = (b"", b"")
        self.proven_key: str | None = None
        self.is_ended: bool = False

    def begin(self) -> None:
        """Begin, with a greeting of its own if this end dialled."""
        if self._is_dialler:
            self._frame(_HANDSHAKE, self._hello)

    def receive(self, sealed: bytes) -> bytes:
        """Take what came; returns what is plain of it, so far."""
        self._unread += sealed
        if self.proven_key is None and self._unread[:1] not in (b"", _HANDSHAKE):
            raise InTheOpen("what came first was no handshake")
        plain: list[bytes] = []
        while not self.is_ended and (frame := self._next_frame()) is not None:
            if self.proven_key is not None:
                self._open(*frame, plain)
            elif not self._other_hello:
                self._greeted(frame[1])
            else:
                self._prove(frame[1])
        return b"".join(plain)

    def send(self, plain: bytes | memoryview) -> None:
        """Seal bytes for the other end."""
        self._seal(_CONTENT, bytes(plain))

    def outgoing(self) -> bytes:
        """What is to be sent now."""
        out, self._out = self._out, []
        return b"".join(out)

    def drain(self, send: Callable[[bytes | memoryview], object]) -> None:
        """Have all of that sent."""
        while sealed := self.outgoing():
            send(sealed)

    def end(self) -> None:
        """Say that nothing more comes from this end."""
        if self.proven_key is not None:
            self._seal(_END, b"")

    def _seal(self, kind: bytes, content: bytes) -> None:
        secret = self._secrets[0]
        self._nonces.use(secret, self._sent)
        self._frame(kind, _tag(secret, self._sent, kind + content) + content)
        self._sent += 1

    def _frame(self, kind: bytes, content: bytes) -> None:
        self._out.append(kind + len(content).to_bytes(_HEAD_BYTES - 1) + content)

    def _next_frame(self) -> tuple[bytes, bytes] | None:
        """The kind and the content of the next frame, if all of it is there."""
        if len(self._unread) < _HEAD_BYTES:
            return None
        end = _HEAD_BYTES + int.from_bytes(self._unread[1:_HEAD_BYTES])
        if end > _MOST_BYTES:
            raise Unproven("a frame that is too long")
        if end > len(self._unread):
            return None
        kind, content = self._unread[:1], self._unread[_HEAD_BYTES:end]
        self._unread = self._unread[end:]
        return kind, content

    def _greeted(self, frame: bytes) -> None:
        """The other end has greeted, and may have signed already."""
        hello, signature = frame[:_HELLO_BYTES], frame[_HELLO_BYTES:]
        if len(hello) != _HELLO_BYTES:
            raise Unproven("it has no key")
        self._other_hello = hello
        self._transcript = self._hello + hello if self._is_dialler else hello + self._hello
        signed = self._key.sign(self._signed(self._is_dialler))
        if self._is_dialler:
            self._prove(signature)
            self._frame(_HANDSHAKE, signed)
        else:
            self._frame(_HANDSHAKE, self._hello + signed)

    def _prove(self, signature: bytes) -> None:
        public = self._other_hello[:_KEY_BYTES].hex()
        if len(signature) != SIGNATURE_BYTES or not is_signed_by(public, self._signed(not self._is_dialler), signature):
            raise Unproven("the signature of its key does not hold")
        there, back = (hashlib.blake2b(self._transcript + way, digest_size=16).digest() for way in (b"there", b"back"))
        self._secrets = (there, back) if self._is_dialler else (back, there)
        self.proven_key = public

    def _signed(self, by_dialler: bool) -> bytes:
        return self._transcript + bytes([by_dialler])

    def _open(self, kind: bytes, sealed: bytes, plain: list[bytes]) -> None:
        tag, content = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        if tag != _tag(self._secrets[1], self._taken, kind + content):
            raise Unproven("somebody has changed what it sent")
        self._taken += 1
        if kind == _END:
            self.is_ended = True
        else:
            plain.append(content)


def stand_in_sessions(key: KeyPair, rng: random.Random, nonces: UsedNonces) -> SessionMaker:
    """What makes the sessions of a simulated node with a key."""

    def make(is_dialler: bool) -> Session:
        return StandInSession(key, rng, nonces, is_dialler=is_dialler)

    return make


def _tag(secret: bytes, number: int, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_TAG_BYTES, key=secret, salt=number.to_bytes(16)).digest()
