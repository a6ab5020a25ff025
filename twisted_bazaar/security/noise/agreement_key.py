"""The X25519 key of a node (RFC 7748), which follows from its Ed25519 key.

So whoever knows the key of a node can seal something for it, and a node has no second key to show or to lose.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from nacl.bindings import (
    crypto_sign_ed25519_pk_to_curve25519,
    crypto_sign_ed25519_sk_to_curve25519,
    crypto_sign_seed_keypair,
)

from twisted_bazaar.errors import Unproven
from twisted_bazaar.identity.keys import KeyPair

KEY_BYTES: Final = 32


@frozen
class AgreementKey:
    """A private X25519 key with its public half.

    @ivar public: 32 bytes.
    """

    _private: X25519PrivateKey = field(repr=False)
    public: bytes

    @classmethod
    def from_bytes(cls, secret: bytes) -> AgreementKey:
        """The key that belongs to 32 secret bytes."""
        private = X25519PrivateKey.from_private_bytes(secret)
        return cls(private, private.public_key().public_bytes_raw())

    @classmethod
    def of(cls, key: KeyPair) -> AgreementKey:
        """The key of a node."""
        _, secret = crypto_sign_seed_keypair(key.seed)
        return cls.from_bytes(crypto_sign_ed25519_sk_to_curve25519(secret))

    @classmethod
    def fresh(cls) -> AgreementKey:
        """A key that has not been used and will not be used again."""
        private = X25519PrivateKey.generate()
        return cls(private, private.public_key().public_bytes_raw())

    def shared_with(self, public: bytes) -> bytes:
        """The secret that both have, of 32 bytes.

        @raise Unproven: the other key is one that nobody owns, so that anybody knows the secret.
        """
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            raise Unproven("a key that nobody owns") from None


@lru_cache(maxsize=4096)
def agreement_key_of(key: str) -> bytes:
    """The public X25519 key of a node.

    @param key: its key, in 64 hexadecimal digits.
    @return: 32 bytes.
    @raise Unproven: nobody owns it.
    """
    try:
        return bytes(crypto_sign_ed25519_pk_to_curve25519(bytes.fromhex(key)))
    except (ValueError, RuntimeError):
        raise Unproven("a key that nobody owns") from None
