"""C{Noise_IK_25519_AESGCM_SHA256}: the two messages in which both prove their keys. Sans-IO.

After section 5 and the pattern IK of section 7.5 of the specification, revision 34, and nothing else; names are its
own. The initiator knows the responder's static key; its own goes sealed in the first message. That message proves who
has written it, but not when: anybody may say it again. What is said after both messages is secret even from who gets
both static keys later.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final, Protocol

from attrs import define, field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from twisted_bazaar.errors import Unproven
from twisted_bazaar.security.noise.agreement_key import KEY_BYTES, AgreementKey

TAG_BYTES: Final = 16
FIRST_BYTES: Final = KEY_BYTES + KEY_BYTES + TAG_BYTES + TAG_BYTES
"""How much longer a first message is than what it says."""
SECOND_BYTES: Final = KEY_BYTES + TAG_BYTES
"""How much longer a second message is than what it says."""

_NAME: Final = b"Noise_IK_25519_AESGCM_SHA256"
_STATIC_ENDS: Final = KEY_BYTES + KEY_BYTES + TAG_BYTES
_NO_NONCE: Final = bytes(4)


class Seal(Protocol):
    """What seals and opens under one key."""

    def seal(self, number: int, said: bytes, beside: bytes = b"") -> bytes:
        """Seal something.

        @param number: of this message; never twice under one key.
        @param beside: what is not sealed, but proven with it.
        @return: 16 bytes more.
        """

    def open(self, number: int, sealed: bytes, beside: bytes = b"") -> bytes:
        """Open what was sealed.

        @raise Unproven: it was not sealed so.
        """


class Cipher:
    """AES-256-GCM under one key (the specification's C{ENCRYPT} and C{DECRYPT}).

    @param key: 32 bytes.
    """

    __slots__ = ("_aes",)

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    def seal(self, number: int, said: bytes, beside: bytes = b"") -> bytes:
        """Seal something."""
        return self._aes.encrypt(_NO_NONCE + number.to_bytes(8, "big"), said, beside)

    def open(self, number: int, sealed: bytes, beside: bytes = b"") -> bytes:
        """Open what was sealed."""
        try:
            return self._aes.decrypt(_NO_NONCE + number.to_bytes(8, "big"), sealed, beside)
        except InvalidTag:
            raise Unproven("a datagram that was not sealed so") from None


@frozen
class Agreed:
    """What both have when the handshake is done.

    @ivar ours: for what this end says.
    @ivar theirs: for what the other says.
    @ivar digest: of the whole handshake; both have the same, and no other handshake has.
    """

    ours: Seal
    theirs: Seal
    digest: bytes


@define
class _Symmetric:
    """The specification's C{SymmetricState}."""

    digest: bytes = _NAME.ljust(32, b"\0")
    chaining: bytes = field(default=_NAME.ljust(32, b"\0"), repr=False)
    key: bytes = field(default=b"", repr=False)
    number: int = 0

    def mix_hash(self, data: bytes) -> None:
        self.digest = sha256(self.digest + data).digest()

    def mix_key(self, secret: bytes) -> None:
        self.chaining, self.key = _two_keys(self.chaining, secret)
        self.number = 0

    def seal(self, said: bytes) -> bytes:
        sealed = Cipher(self.key).seal(self.number, said, self.digest)
        self.number += 1
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        said = Cipher(self.key).open(self.number, sealed, self.digest)
        self.number += 1
        self.mix_hash(sealed)
        return said

    def split(self) -> tuple[Cipher, Cipher]:
        first, second = _two_keys(self.chaining, b"")
        return Cipher(first), Cipher(second)


def _two_keys(chaining: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """The specification's C{HKDF} with two outputs."""
    extracted = hmac.digest(chaining, secret, "sha256")
    first = hmac.digest(extracted, b"\x01", "sha256")
    return first, hmac.digest(extracted, first + b"\x02", "sha256")


class Initiator:
    """The end that speaks first.

    @param own: its static key.
    @param wanted: the static key of the other, 32 bytes.
    @param prologue: what both know already; they have to agree on it.
    @param ephemeral: a key for this handshake alone; tests of published vectors give theirs.
    """

    def __init__(
        self, own: AgreementKey, wanted: bytes, prologue: bytes = b"", ephemeral: AgreementKey | None = None
    ) -> None:
        self._own = own
        self._wanted = wanted
        self._ephemeral = AgreementKey.fresh() if ephemeral is None else ephemeral
        self._state = _Symmetric()
        self._state.mix_hash(prologue)
        self._state.mix_hash(wanted)

    def first(self, said: bytes) -> bytes:
        """Make the first message.

        @param said: what goes with it; only the other can read it, and anybody may send it again.
        @raise Unproven: nobody owns the other's key.
        """
        state, ephemeral = self._state, self._ephemeral
        state.mix_hash(ephemeral.public)
        state.mix_key(ephemeral.shared_with(self._wanted))
        static = state.seal(self._own.public)
        state.mix_key(self._own.shared_with(self._wanted))
        return ephemeral.public + static + state.seal(said)

    def second(self, message: bytes) -> tuple[bytes, Agreed]:
        """Read the second message; nothing changes if it is not the right one, and another may come.

        @return: what was said with it.
        @raise Unproven: the other has not written it in answer to the first.
        """
        if len(message) < SECOND_BYTES:
            raise Unproven("a second message that is too short")
        state = _copied(self._state)
        theirs = message[:KEY_BYTES]
        state.mix_hash(theirs)
        state.mix_key(self._ephemeral.shared_with(theirs))
        state.mix_key(self._own.shared_with(theirs))
        said = state.open(message[KEY_BYTES:])
        ours, others = state.split()
        return said, Agreed(ours, others, state.digest)


class Responder:
    """The end that answers one first message.

    @param own: its static key.
    @param prologue: what both know already.
    @param ephemeral: a key for this handshake alone; tests of published vectors give theirs.
    """

    def __init__(self, own: AgreementKey, prologue: bytes = b"", ephemeral: AgreementKey | None = None) -> None:
        self._own = own
        # Never one that follows from something else: the same message once more would seal two answers alike.
        self._ephemeral = AgreementKey.fresh() if ephemeral is None else ephemeral
        self._theirs = self._static = b""
        self._state = _Symmetric()
        self._state.mix_hash(prologue)
        self._state.mix_hash(own.public)

    def first(self, message: bytes) -> tuple[bytes, bytes]:
        """Read the first message.

        @return: the static key of who has written it, and what was said with it; both may have been written long ago.
        @raise Unproven: it is for somebody else, or nobody has written it.
        """
        if len(message) < FIRST_BYTES:
            raise Unproven("a first message that is too short")
        state = self._state
        self._theirs = message[:KEY_BYTES]
        state.mix_hash(self._theirs)
        state.mix_key(self._own.shared_with(self._theirs))
        self._static = state.open(message[KEY_BYTES:_STATIC_ENDS])
        state.mix_key(self._own.shared_with(self._static))
        return self._static, state.open(message[_STATIC_ENDS:])

    def second(self, said: bytes) -> tuple[bytes, Agreed]:
        """Make the second message.

        @raise Unproven: the other's key for this handshake is one that nobody owns.
        """
        state, ephemeral = self._state, self._ephemeral
        state.mix_hash(ephemeral.public)
        state.mix_key(ephemeral.shared_with(self._theirs))
        state.mix_key(ephemeral.shared_with(self._static))
        message = ephemeral.public + state.seal(said)
        others, ours = state.split()
        return message, Agreed(ours, others, state.digest)


def _copied(state: _Symmetric) -> _Symmetric:
    return _Symmetric(state.digest, state.chaining, state.key, state.number)
