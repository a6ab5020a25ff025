"""Sealed datagrams, written from their page of the specification: C{hashlib}, C{hmac}, C{cryptography} and PyNaCl.

Nothing of the package is imported here.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import socket
import time
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.bindings import crypto_sign_ed25519_pk_to_curve25519, crypto_sign_ed25519_sk_to_curve25519
from nacl.signing import SigningKey

KNOCK, COOKIE, QUESTION, ANSWER, BEGIN, READY, SEALED, LOST = (bytes((number,)) for number in range(1, 9))
QUESTION_BYTES: Final = 1_200
NO_COOKIE: Final = bytes(8)
FIRST_BYTES: Final = 32 + 32 + 16 + 16
ASKS: Final = b"bazaar/2 question"
SPEAKS: Final = b"bazaar/2 session"

Address = tuple[str, int]


class Cipher:
    """One direction of a session."""

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    def seal(self, number: int, said: bytes, beside: bytes = b"") -> bytes:
        """Seal something."""
        return self._aes.encrypt(bytes(4) + number.to_bytes(8, "big"), said, beside)

    def open(self, number: int, sealed: bytes, beside: bytes = b"") -> bytes:
        """Open something; raises C{InvalidTag}."""
        return self._aes.decrypt(bytes(4) + number.to_bytes(8, "big"), sealed, beside)


class Handshake:
    """C{Noise_IK_25519_AESGCM_SHA256}, at one end.

    @param own: the static key of this end.
    @param responder: that of the end that answers.
    """

    def __init__(self, own: X25519PrivateKey, responder: bytes, purpose: bytes) -> None:
        self._own = own
        self._responder = responder
        self._ephemeral = X25519PrivateKey.generate()
        self._hash = self._chaining = b"Noise_IK_25519_AESGCM_SHA256".ljust(32, b"\0")
        self._key, self._number = b"", 0
        self._mix_hash(purpose)
        self._mix_hash(responder)

    # As the one who asks.

    def first(self, said: bytes) -> bytes:
        """The first message."""
        message = self._say_ephemeral()
        self._mix_key(_agree(self._ephemeral, self._responder))
        message += self._seal(_public(self._own))
        self._mix_key(_agree(self._own, self._responder))
        return message + self._seal(said)

    def hear_second(self, message: bytes) -> bytes:
        """What the second message says."""
        theirs = self._hear_ephemeral(message)
        self._mix_key(_agree(self._ephemeral, theirs))
        self._mix_key(_agree(self._own, theirs))
        return self._open(message[32:])

    # As the one who answers.

    def hear_first(self, message: bytes) -> tuple[bytes, bytes]:
        """The static key of who asks, and what it says."""
        self._theirs = self._hear_ephemeral(message)
        self._mix_key(_agree(self._own, self._theirs))
        self._static = self._open(message[32:80])
        self._mix_key(_agree(self._own, self._static))
        return self._static, self._open(message[80:])

    def second(self, said: bytes) -> bytes:
        """The second message."""
        message = self._say_ephemeral()
        self._mix_key(_agree(self._ephemeral, self._theirs))
        self._mix_key(_agree(self._ephemeral, self._static))
        return message + self._seal(said)

    def split(self) -> tuple[Cipher, Cipher]:
        """What the one who asked seals by, and what the other does."""
        first, second = _two(self._chaining, b"")
        return Cipher(first), Cipher(second)

    def _say_ephemeral(self) -> bytes:
        ephemeral = _public(self._ephemeral)
        self._mix_hash(ephemeral)
        return ephemeral

    def _hear_ephemeral(self, message: bytes) -> bytes:
        self._mix_hash(message[:32])
        return message[:32]

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _mix_key(self, secret: bytes) -> None:
        self._chaining, self._key = _two(self._chaining, secret)
        self._number = 0

    def _seal(self, said: bytes) -> bytes:
        sealed = Cipher(self._key).seal(self._number, said, self._hash)
        self._number += 1
        self._mix_hash(sealed)
        return sealed

    def _open(self, sealed: bytes) -> bytes:
        said = Cipher(self._key).open(self._number, sealed, self._hash)
        self._number += 1
        self._mix_hash(sealed)
        return said


def _two(chaining: bytes, secret: bytes) -> tuple[bytes, bytes]:
    extracted = hmac.digest(chaining, secret, "sha256")
    first = hmac.digest(extracted, b"\1", "sha256")
    return first, hmac.digest(extracted, first + b"\2", "sha256")


def _agree(own: X25519PrivateKey, theirs: bytes) -> bytes:
    return own.exchange(X25519PublicKey.from_public_bytes(theirs))


def _public(key: X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


class Keys:
    """The key of a node, for its datagrams.

    @ivar public: the Ed25519 key, 32 bytes.
    """

    def __init__(self, key: SigningKey) -> None:
        self.public = bytes(key.verify_key)
        secret = crypto_sign_ed25519_sk_to_curve25519(bytes(key) + self.public)
        self._own = X25519PrivateKey.from_private_bytes(secret)

    def asks(self, key: bytes, purpose: bytes) -> Handshake:
        """Begin a handshake with the node that has a key."""
        return Handshake(self._own, crypto_sign_ed25519_pk_to_curve25519(key), purpose)

    def answers(self, purpose: bytes) -> Handshake:
        """Answer one."""
        return Handshake(self._own, _public(self._own), purpose)

    def question(self, key: bytes, said: bytes, cookie: bytes = NO_COOKIE) -> tuple[Handshake, bytes]:
        """A question to the node that has a key, as it goes, and what its answer completes."""
        shaking = self.asks(key, ASKS)
        payload = self.public + len(said).to_bytes(2, "big") + said
        rest = payload.ljust(QUESTION_BYTES - 17 - FIRST_BYTES, b"\0")
        return shaking, QUESTION + os.urandom(8) + cookie + shaking.first(rest)


class Session:
    """A session, at one end.

    @ivar key: the other's, 32 bytes.
    """

    def __init__(self, key: bytes, index: bytes, ours: Cipher, theirs: Cipher) -> None:
        self.key = key
        self._index, self._ours, self._theirs = index, ours, theirs
        self._next = 0
        self._come: set[int] = set()

    def seal(self, said: bytes) -> bytes:
        """A datagram."""
        number, self._next = self._next, self._next + 1
        return SEALED + self._index + number.to_bytes(8, "big") + self._ours.seal(number, said)

    def open(self, datagram: bytes) -> bytes:
        """What it says; nothing if it has come before."""
        number = int.from_bytes(datagram[4:12], "big")
        said = self._theirs.open(number, datagram[12:])
        if number in self._come:
            return b""
        self._come.add(number)
        return said


class SealedSocket:
    """Speaks with nodes over a UDP socket, in sessions; answers their questions.

    @param answer: is given a question that was asked without a session, and where from; returns the answer.
    """

    def __init__(
        self, datagrams: socket.socket, key: SigningKey, answer: Callable[[bytes, Address], bytes | None]
    ) -> None:
        self._socket = datagrams
        self._keys = Keys(key)
        self._answer = answer
        self._secret = os.urandom(16)
        self._sessions: dict[Address, Session] = {}
        self._opened: dict[bytes, tuple[Address, Session]] = {}
        self._begun: dict[bytes, tuple[Address, bytes, Handshake]] = {}
        self._knocks: dict[bytes, Address] = {}
        self._waiting: dict[Address, list[bytes]] = {}

    def has_session(self, to: Address) -> bool:
        """Whether there is a session with whoever is at an address."""
        return to in self._sessions

    def send(self, said: bytes, to: Address) -> None:
        """Say something to whoever is at an address, when there is a session."""
        session = self._sessions.get(to)
        if session is not None:
            self._write(session.seal(said), to)
            return
        self._waiting.setdefault(to, []).append(said)
        nonce = os.urandom(8)
        self._knocks[nonce] = to
        self._write(KNOCK + nonce + bytes(55), to)

    def take(self, data: bytes, source: Address) -> bytes:
        """What a datagram says to this end; nothing if it is about sessions alone, or is none."""
        with contextlib.suppress(InvalidTag, ValueError):
            kind, rest = data[:1], data[1:]
            if kind == SEALED and rest[:3] in self._opened:
                return self._take_sealed(data, source)
            if kind == KNOCK:
                self._write(COOKIE + rest[:8] + self._cookie(source) + self._keys.public, source)
            elif kind == COOKIE and self._knocks.pop(rest[:8], None) == source:
                self._begin(rest[8:16], rest[16:48], source)
            elif kind == BEGIN and rest[3:11] == self._cookie(source):
                self._begun_by(rest[:3], rest[11:], source)
            elif kind == BEGIN:
                self._write(COOKIE + rest[:3] + bytes(5) + self._cookie(source) + self._keys.public, source)
            elif kind == READY and rest[:3] in self._begun:
                self._ready(rest[:3], rest[3:6], rest[6:], source)
            elif kind == QUESTION:
                self._asked(rest[:8], rest[16:], len(data), source)
            elif kind == LOST:
                self._sessions.pop(source, None)
        return b""

    def _take_sealed(self, data: bytes, source: Address) -> bytes:
        where, session = self._opened[data[1:4]]
        said = session.open(data)
        if self._sessions.get(where) is not session:
            # Who began it has spoken in it.
            self._sessions[where] = session
            self._flush(where)
        return said

    def _begin(self, cookie: bytes, key: bytes, to: Address) -> None:
        index = os.urandom(3)
        shaking = self._keys.asks(key, SPEAKS)
        number = time.time_ns() // 1000
        self._begun[index] = to, key, shaking
        self._write(BEGIN + index + cookie + shaking.first(self._keys.public + number.to_bytes(8, "big")), to)

    def _begun_by(self, theirs: bytes, message: bytes, source: Address) -> None:
        shaking = self._keys.answers(SPEAKS)
        static, said = shaking.hear_first(message)
        if crypto_sign_ed25519_pk_to_curve25519(said[:32]) != static:
            return
        second, index = shaking.second(b""), os.urandom(3)
        of_them, of_us = shaking.split()
        self._opened[index] = source, Session(said[:32], theirs, of_us, of_them)
        self._write(READY + theirs + index + second, source)

    def _ready(self, ours: bytes, theirs: bytes, message: bytes, source: Address) -> None:
        to, key, shaking = self._begun.pop(ours)
        if shaking.hear_second(message) or to != source:
            return
        of_us, of_them = shaking.split()
        session = self._sessions[to] = Session(key, theirs, of_us, of_them)
        self._opened[ours] = to, session
        if not self._flush(to):
            self._write(session.seal(b""), to)

    def _asked(self, nonce: bytes, message: bytes, size: int, source: Address) -> None:
        shaking = self._keys.answers(ASKS)
        _, said = shaking.hear_first(message)
        question = said[34 : 34 + int.from_bytes(said[32:34], "big")]
        answer = self._answer(question, source) or b""
        if 9 + 32 + 16 + 8 + len(answer) > size:
            # It is to be asked in a session.
            answer = b""
        self._write(ANSWER + nonce + shaking.second(self._cookie(source) + answer), source)

    def _flush(self, to: Address) -> bool:
        waiting = self._waiting.pop(to, [])
        for said in waiting:
            self._write(self._sessions[to].seal(said), to)
        return bool(waiting)

    def _cookie(self, address: Address) -> bytes:
        return hashlib.sha256(self._secret + repr(address).encode()).digest()[:8]

    def _write(self, data: bytes, to: Address) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendto(data, to)
