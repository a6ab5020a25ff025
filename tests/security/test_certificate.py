"""The certificate of a node."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from tests.security.sealed_pair import DIALLER
from twisted_bazaar.errors import Unproven
from twisted_bazaar.security.certificate import OwnCertificate, key_in

# All points of small order, in each way in which OpenSSL reads them.
SMALL_ORDER = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)


def certificate_with(public_key: CertificatePublicKeyTypes) -> x509.Certificate:
    """A certificate with any key, signed by another."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anybody")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public_key).serial_number(7)
    builder = builder.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
    return builder.not_valid_after(datetime(2021, 1, 1, tzinfo=UTC)).sign(
        ec.generate_private_key(ec.SECP256R1()), SHA256()
    )


class CertificateTests(SynchronousTestCase):
    """What a certificate says."""

    def test_key(self) -> None:
        """It carries the key of its node, and is the same whenever it is made."""
        own = OwnCertificate.of(DIALLER)
        self.assertEqual(key_in(own.certificate), DIALLER.public)
        again = OwnCertificate.of(DIALLER)
        self.assertEqual(*(each.certificate.public_bytes(Encoding.DER) for each in (own, again)))
        own.certificate.verify_directly_issued_by(own.certificate)

    def test_secret_is_not_shown(self) -> None:
        """Nothing of its secret stands in a log."""
        self.assertNotIn("private", repr(OwnCertificate.of(DIALLER)))

    def test_other_key(self) -> None:
        """Another kind of key is none of a node."""
        with self.assertRaisesRegex(Unproven, "no Ed25519 key"):
            key_in(certificate_with(ec.generate_private_key(ec.SECP256R1()).public_key()))

    def test_dates(self) -> None:
        """Nobody's clock decides: a certificate that has run out proves as much as another."""
        key = Ed25519PrivateKey.generate().public_key()
        self.assertEqual(key_in(certificate_with(key)), key.public_bytes_raw().hex())

    def test_small_order(self) -> None:
        """A key that nobody owns proves nothing: anybody can sign under it."""
        for point in SMALL_ORDER:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(point))
            with self.assertRaisesRegex(Unproven, "nobody owns"):
                key_in(certificate_with(key))
