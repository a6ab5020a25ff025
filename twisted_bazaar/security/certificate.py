"""The certificate of a node: its own Ed25519 key, signed by itself (RFC 5280, RFC 8410).

No authority stands behind it. It carries the key, and TLS proves that who shows it has the private half; whose key
that is, is for others to know. It follows from the key alone, so a node shows the same one for ever.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID
from nacl.bindings import crypto_sign_ed25519_pk_to_curve25519

from twisted_bazaar.errors import Unproven
from twisted_bazaar.identity.keys import KeyPair

_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "twisted_bazaar")])
# Nobody's clock decides: it never begins to hold, and has no end (RFC 5280, 4.1.2.5).
_FROM: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNTIL: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_SERIAL: Final = 1


@frozen
class OwnCertificate:
    """A certificate with the private key that belongs to it."""

    certificate: x509.Certificate
    private_key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def of(cls, key: KeyPair) -> OwnCertificate:
        """The certificate of a node with a key."""
        private_key = Ed25519PrivateKey.from_private_bytes(key.seed)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_NAME)
            .issuer_name(_NAME)
            .public_key(private_key.public_key())
            .serial_number(_SERIAL)
            .not_valid_before(_FROM)
            .not_valid_after(_UNTIL)
            .sign(private_key, None)
        )
        return cls(certificate, private_key)


def key_in(certificate: x509.Certificate) -> str:
    """The key of the node that a certificate belongs to; nothing else in it is looked at.

    TLS has to have proven that its bearer has the private half.

    @return: 64 hexadecimal digits.
    @raise Unproven: its key is of another kind, or one that nobody owns: under a key of small order OpenSSL takes
        signatures that anybody can write.
    """
    public_key = certificate.public_key()
    if not isinstance(public_key, Ed25519PublicKey):
        raise Unproven("its certificate has no Ed25519 key")
    raw = public_key.public_bytes_raw()
    try:
        crypto_sign_ed25519_pk_to_curve25519(raw)
    except RuntimeError:
        raise Unproven("its certificate has a key that nobody owns") from None
    return raw.hex()
