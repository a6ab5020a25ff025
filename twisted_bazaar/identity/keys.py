"""The Ed25519 key of a node (RFC 8032, by way of PyNaCl).

The public half is the node's identity; the integer that a tracker hands out is only a short handle
for paths. Public keys travel as 64 lower-case hexadecimal digits.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from functools import lru_cache
from typing import Annotated, Final, Self

from attrs import field, frozen
from msgspec import Meta
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey

SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
# As many as an integer on the wire may have.
_ID_DIGITS: Final = 13

PublicKey = Annotated[str, Meta(min_length=64, max_length=64, pattern=r"^[0-9a-f]*\Z")]
"""A public key on the wire."""


@frozen
class KeyPair:
    """A private key and its public half.

    @ivar public: the public key as it stands on the wire.
    """

    _signing_key: SigningKey = field(repr=False)
    public: str

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key pair that belongs to 32 secret bytes.

        @raise ValueError: there are not exactly 32 of them.
        """
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a key seed has {SEED_BYTES} bytes, not {len(seed)}")
        signing_key = SigningKey(seed)
        return cls(signing_key, signing_key.verify_key.encode().hex())

    @classmethod
    def generate(cls, rng: random.Random) -> Self:
        """A new key pair.

        @param rng: the source of its secret; C{random.SystemRandom} wherever the key must be one
            that nobody can guess.
        """
        return cls.from_seed(rng.randbytes(SEED_BYTES))

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes that it follows from."""
        return self._signing_key.encode()

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, 64 bytes; the same every time."""
        return self._signing_key.sign(message).signature

    def secret_for(self, purpose: str) -> bytes:
        """A secret that follows from this key, another for each purpose; the key does not follow from it."""
        return hmac.digest(self._signing_key.encode(), purpose.encode(), hashlib.sha256)


def is_signed_by(public: str, message: bytes, signature: bytes) -> bool:
    """Whether a signature of a message was made with the private half of a public key.

    Never for a key of small order, with which one signature holds for many messages: libsodium refuses
    those, and signatures in any but their one proper form.

    @param public: 64 hexadecimal digits; anything else has signed nothing.
    """
    key = _key_bytes(public)
    if key is None or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, key)
    except BadSignatureError:
        return False
    return True


def own_id(public: str) -> int:
    """The id of a node that nobody gives one: the first 13 hexadecimal digits of its key, at least 1."""
    return max(1, int(public[:_ID_DIGITS], 16))


@lru_cache(maxsize=1024)
def _key_bytes(public: str) -> bytes | None:
    try:
        key = bytes.fromhex(public)
    except ValueError:
        return None
    return key if len(key) == SEED_BYTES and key.hex() == public else None
