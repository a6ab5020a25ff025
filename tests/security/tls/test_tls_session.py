"""A TLS session."""

from __future__ import annotations

import contextlib
import random

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.security import session_cases
from tests.security.sealed_pair import ACCEPTER, DIALLER, MALLORY, SealedPair
from tests.security.test_certificate import certificate_with
from twisted_bazaar.errors import Unproven
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.certificate import OwnCertificate
from twisted_bazaar.security.links.session import SessionMaker
from twisted_bazaar.security.tls.contexts import ALPN
from twisted_bazaar.security.tls.tls_session import HANDSHAKE_BYTES, tls_sessions


class TlsSessionTests(session_cases.SessionCases):
    """What each kind of session holds to, by TLS."""

    def sessions(self, key: KeyPair) -> SessionMaker:
        """What makes the sessions of a node."""
        return tls_sessions(key)

    def test_nobody_reads(self) -> None:
        """On the way there is nothing of what they say, and nothing of whose keys they are."""
        both = self.pair()
        both.run()
        both.say("dialler", session_cases.WORDS)
        for seen in both.carried.values():
            self.assertNotIn(session_cases.WORDS, seen)
            self.assertNotIn(bytes.fromhex(DIALLER.public), seen)
            self.assertNotIn(bytes.fromhex(ACCEPTER.public), seen)

    def test_after_the_end(self) -> None:
        """What comes after the end is not read, with it or later, and this end can still say its own."""
        both = self.pair()
        both.run()
        dialler, accepter = both.ends["dialler"], both.ends["accepter"]
        dialler.send(session_cases.WORDS)
        dialler.end()
        self.assertEqual(accepter.receive(dialler.outgoing() + bytes(1_000)), session_cases.WORDS)
        self.assertTrue(accepter.is_ended)
        self.assertEqual(accepter.receive(bytes(1_000)), b"")
        accepter.end()
        self.assertNotEqual(accepter.outgoing(), b"")

    def test_more_than_the_scratch_memory(self) -> None:
        """More comes out at once than is opened in one piece, whatever the ends of records."""
        both = self.pair()
        both.run()
        dialler, accepter = both.ends["dialler"], both.ends["accepter"]
        words = random.Random(1).randbytes(700_001)
        sealed = b""
        for at in range(0, len(words), 50_000):
            dialler.send(memoryview(words)[at : at + 50_000])
            sealed += dialler.outgoing()
        self.assertEqual(accepter.receive(sealed[:600_000]) + accepter.receive(sealed[600_000:]), words)


class ImposterTests(SynchronousTestCase):
    """Ends that are not what they should be."""

    def assert_refused(self, both: SealedPair, why: str) -> None:
        """The accepter refuses, proves nothing and lets nothing out."""
        with self.assertRaisesRegex(Unproven, why):
            both.run()
        self.assertEqual((both.ends["accepter"].proven_key, both.came["accepter"]), (None, b""))

    def test_no_certificate(self) -> None:
        """Who shows no certificate is nobody."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_alpn_protos([ALPN])
        self.assert_refused(self.dial(context), "certificate")

    def dial(self, context: SSL.Context) -> SealedPair:
        """Dial by bare OpenSSL, which judges nothing."""
        return SealedPair(Careless(context), tls_sessions(ACCEPTER)(False))

    def context(self, key: KeyPair = MALLORY) -> SSL.Context:
        """Settings that judge nothing, with a certificate of one's own."""
        own = OwnCertificate.of(key)
        context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate(own.certificate)
        context.use_privatekey(own.private_key)
        context.set_alpn_protos([ALPN])
        return context

    def test_other_words(self) -> None:
        """Who does not say that it speaks this protocol, or says another, gets nothing of it."""
        for protos in ([], [b"bazaar/1"], [b"h2", b"http/1.1"]):
            context = SSL.Context(SSL.TLS_METHOD)
            own = OwnCertificate.of(MALLORY)
            context.use_certificate(own.certificate)
            context.use_privatekey(own.private_key)
            if protos:
                context.set_alpn_protos(protos)
            self.assert_refused(self.dial(context), "speak")

    def test_older_tls(self) -> None:
        """Nothing before TLS 1.3 is spoken."""
        context = self.context()
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        self.assert_refused(self.dial(context), "TLS")

    def test_other_key(self) -> None:
        """A certificate with another kind of key proves nothing."""
        key = ec.generate_private_key(ec.SECP256R1())
        context = self.context()
        context.use_certificate(certificate_with(key.public_key()))
        context.use_privatekey(key)
        self.assert_refused(self.dial(context), "TLS")

    def test_stolen_certificate(self) -> None:
        """Somebody's certificate above one's own leaf proves one's own key alone."""
        context = self.context()
        context.add_extra_chain_cert(OwnCertificate.of(DIALLER).certificate)
        both = self.dial(context)
        both.run()
        self.assertEqual(both.keys[1], MALLORY.public)

    def test_certificate_without_its_key(self) -> None:
        """Somebody's certificate with a key of one's own does not even begin."""
        context = self.context()
        context.use_certificate(OwnCertificate.of(DIALLER).certificate)
        with self.assertRaises(SSL.Error):
            context.check_privatekey()

    def test_long_certificate(self) -> None:
        """Nobody makes a node read more than a handshake needs before it has proven a key."""
        context = self.context()
        for _ in range(40):
            context.add_extra_chain_cert(certificate_with(Ed25519PrivateKey.generate().public_key()))
        self.assert_refused(self.dial(context), f"no handshake in {HANDSHAKE_BYTES} bytes")

    def test_endless_handshake(self) -> None:
        """A handshake that never ends is cut, in whatever pieces it comes."""
        session = tls_sessions(ACCEPTER)(False)
        # A handshake message of 60,000 bytes is announced.
        record = b"\x16\x03\x01\x40\x00\x01\x00\xea\x60" + bytes(0x4000 - 4)
        with self.assertRaises(Unproven):
            for at in range(0, len(record), 100):
                self.assertEqual(session.receive(record[at : at + 100]), b"")


class Careless:
    """A session by bare OpenSSL, which judges nothing."""

    is_ended = False

    def __init__(self, context: SSL.Context) -> None:
        self._ssl = SSL.Connection(context, None)
        self._ssl.set_connect_state()
        self.proven_key: str | None = None

    def begin(self) -> None:
        """Greet."""
        with contextlib.suppress(SSL.WantReadError):
            self._ssl.do_handshake()

    def receive(self, sealed: bytes) -> bytes:
        """Go on, and heed no refusal."""
        self._ssl.bio_write(sealed)
        with contextlib.suppress(SSL.Error):
            self._ssl.do_handshake()
        return b""

    def send(self, plain: bytes) -> None:
        """Seal something."""
        self._ssl.sendall(plain)

    def outgoing(self) -> bytes:
        """What is to be sent."""
        try:
            return self._ssl.bio_read(1 << 17)
        except SSL.Error:
            return b""

    def end(self) -> None:
        """Go without a word."""
