"""The Ed25519 key of a node (RFC 8032, by way of PyNaCl).

The public half is the node's identity; the integer that a tracker hands out is only a short handle
for paths. Public keys travel as 64 lower-case hexadecimal digits.
"""

from __future__ import annotations

import random
from typing import Final, Self

from attrs import field, frozen
from nacl.signing import SigningKey

SEED_BYTES: Final = 32


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
