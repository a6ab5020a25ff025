"""The page on links, held against the code: its certificate, and what it limits."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.trial.unittest import SynchronousTestCase

from tests.docs.pages import SPECIFICATION, blocks, section, table_with
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.security.certificate import OwnCertificate, key_in
from twisted_bazaar.security.tls.contexts import ALPN
from twisted_bazaar.security.tls.tls_session import BYTES_FOR_ONE_MORE, EMPTY_RECORDS, HANDSHAKE_BYTES

PAGE = SPECIFICATION["links.md"]


class LinksPageTests(SynchronousTestCase):
    """What a client by another hand relies on."""

    def test_certificate(self) -> None:
        """The certificate on the page is that of the key that it names."""
        [text] = blocks(section(PAGE, "The certificate"), "text")
        der = bytes.fromhex("".join(text.split()))
        key = KeyPair.from_seed(bytes(range(32)))
        self.assertEqual(OwnCertificate.of(key).certificate.public_bytes(Encoding.DER), der)
        self.assertEqual(key_in(x509.load_der_x509_certificate(der)), key.public)

    def test_name(self) -> None:
        """What is agreed on is called as the page says."""
        self.assertIn(f"`{ALPN.decode()}`", section(PAGE, "The handshake"))

    def test_limits(self) -> None:
        """The limits are those of the code."""
        told = [row["Limit"] for row in table_with(section(PAGE, "Limits"), "What", "Limit")]
        limits = Limits()
        records = f"{EMPTY_RECORDS}, and one more for each {BYTES_FOR_ONE_MORE} bytes that came"
        self.assertEqual(told, [str(HANDSHAKE_BYTES), f"{limits.handshake_s + limits.grace_s:g} s", records])
