"""A TLS session: who is proven, what comes out, and what somebody on the way can do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests import slow
from tests.security.sealed_pair import ACCEPTER, DIALLER, SealedPair, untouched
from tests.security.test_certificate import certificate_with
from twisted_bazaar.errors import InTheOpen, Unproven
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.certificate import OwnCertificate
from twisted_bazaar.security.tls.contexts import ALPN
from twisted_bazaar.security.tls.tls_session import HANDSHAKE_BYTES, tls_sessions

MALLORY = KeyPair.from_seed(bytes([3]) * 32)
WORDS = b"two boxes of apples, please"


def pair(there: Callable[[bytes], bytes] = untouched, back: Callable[[bytes], bytes] = untouched) -> SealedPair:
    """Both ends of a connection."""
    return SealedPair(tls_sessions(DIALLER)(True), tls_sessions(ACCEPTER)(False), there, back)


class TlsSessionTests(SynchronousTestCase):
    """Two honest ends."""

    def test_proven(self) -> None:
        """Each end knows the other's key, and what one says comes out at the other, whatever its length."""
        both = pair()
        both.run()
        self.assertEqual(both.keys, (ACCEPTER.public, DIALLER.public))
        for words in (WORDS, b"", bytes(300_000), b"x"):
            both.say("dialler", words)
            both.say("accepter", words[::-1])
        self.assertEqual(both.came["accepter"], WORDS + bytes(300_000) + b"x")
        self.assertEqual(both.came["dialler"], WORDS[::-1] + bytes(300_000) + b"x")

    def test_nobody_reads(self) -> None:
        """On the way there is nothing of what they say, and nothing of the dialler's key."""
        both = pair()
        both.run()
        both.say("dialler", WORDS)
        for seen in both.carried.values():
            self.assertNotIn(WORDS, seen)
            self.assertNotIn(bytes.fromhex(DIALLER.public), seen)
            self.assertNotIn(bytes.fromhex(ACCEPTER.public), seen)

    def test_pieces(self) -> None:
        """It does not matter in what pieces the bytes come."""
        sent: list[bytes] = []
        for size in (1, 7, 1_000):
            both = pair()
            while any(waiting := [both.ends[name].outgoing() for name in ("dialler", "accepter")]):
                for sealed, to in zip(waiting, ("accepter", "dialler"), strict=True):
                    for at in range(0, len(sealed), size):
                        self.assertEqual(both.ends[to].receive(sealed[at : at + size]), b"")
            self.assertEqual(both.keys, (ACCEPTER.public, DIALLER.public))
            both.ends["dialler"].send(WORDS)
            sealed = both.ends["dialler"].outgoing()
            came = [both.ends["accepter"].receive(sealed[at : at + size]) for at in range(0, len(sealed), size)]
            sent.append(b"".join(came))
        self.assertEqual(sent, [WORDS] * 3)

    def test_first_words(self) -> None:
        """What comes together with the end of the handshake is not lost, however much it is."""
        both = pair()
        dialler, accepter = both.ends["dialler"], both.ends["accepter"]
        accepter.receive(dialler.outgoing())
        dialler.receive(accepter.outgoing())
        dialler.send(WORDS * 10_000)
        sealed = b""
        while some := dialler.outgoing():
            sealed += some
        self.assertEqual(accepter.receive(sealed), WORDS * 10_000)

    def test_end(self) -> None:
        """Each end says that nothing more comes, so that a cut is told from an end."""
        both = pair()
        both.run()
        self.assertFalse(both.ends["accepter"].is_ended)
        both.ends["dialler"].end()
        both.run()
        self.assertTrue(both.ends["accepter"].is_ended)

    def test_end_before_the_handshake(self) -> None:
        """An end that has proven nothing yet has nothing to say when it goes."""
        session = tls_sessions(DIALLER)(False)
        session.end()
        self.assertEqual(session.outgoing(), b"")


class ImposterTests(SynchronousTestCase):
    """Ends that are not what they should be."""

    def assert_refused(self, both: SealedPair, why: str) -> None:
        """The accepter refuses, proves nothing and lets nothing out."""
        with self.assertRaisesRegex(Unproven, why):
            both.run()
        self.assertEqual((both.ends["accepter"].proven_key, both.came["accepter"]), (None, b""))

    def test_netstring(self) -> None:
        """Who speaks in the open is told apart by the first byte, and heard no further."""
        for words in (b'52:{"type":"thisisme"},', b"GET / HTTP/1.1\r\n", b"\x00" * 40):
            with self.assertRaises(InTheOpen):
                tls_sessions(ACCEPTER)(False).receive(words)

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


class OnTheWayTests(SynchronousTestCase):
    """Somebody between two honest ends."""

    def assert_harmless(self, both: SealedPair, words: bytes = WORDS) -> None:
        """Nobody takes anything for said that was not, or anybody for another."""
        with contextlib.suppress(Unproven, AssertionError):
            both.run()
            both.say("dialler", words)
            both.say("accepter", words)
        self.assertIn(both.keys[0], (None, ACCEPTER.public))
        self.assertIn(both.keys[1], (None, DIALLER.public))
        for came in both.came.values():
            self.assertTrue(words.startswith(came), came)

    def flip_each(self, step: int) -> None:
        """Flip a bit of a byte that one end sends, one after another."""
        both = pair()
        both.run()
        both.say("dialler", WORDS)
        both.say("accepter", WORDS)
        for end, seen in both.carried.items():
            for at in range(0, len(seen), step):
                flip = Flip(at)
                self.assert_harmless(pair(flip, untouched) if end == "dialler" else pair(untouched, flip))
                self.assertTrue(flip.is_done)

    def test_flips(self) -> None:
        """Whichever byte of a handshake or of what follows is changed, nothing false comes of it."""
        self.flip_each(97)

    @slow
    def test_every_flip(self) -> None:
        """The same for every single byte."""
        self.flip_each(1)

    def test_replay(self) -> None:
        """What one connection carried says nothing on another, and nothing a second time on its own."""
        recorded = pair()
        recorded.run()
        recorded.say("dialler", WORDS)
        session = tls_sessions(ACCEPTER)(False)
        with contextlib.suppress(Unproven):
            self.assertEqual(session.receive(recorded.carried["dialler"]), b"")
        self.assertIsNone(session.proven_key)
        both = pair()
        both.run()
        both.ends["dialler"].send(WORDS)
        sealed = both.ends["dialler"].outgoing()
        self.assertEqual(both.ends["accepter"].receive(sealed), WORDS)
        with self.assertRaises(Unproven):
            both.ends["accepter"].receive(sealed)

    def test_cut(self) -> None:
        """A cut is no end, wherever it comes: who is cut off has not heard that nothing more comes."""
        both = pair()
        both.run()
        both.ends["dialler"].send(WORDS)
        both.ends["dialler"].end()
        sealed = both.ends["dialler"].outgoing()
        for length in range(len(sealed)):
            other = pair()
            other.run()
            other.ends["dialler"].send(WORDS)
            other.ends["dialler"].end()
            came = other.ends["accepter"].receive(other.ends["dialler"].outgoing()[:length])
            self.assertTrue(WORDS.startswith(came))
            self.assertFalse(other.ends["accepter"].is_ended)

    def test_man_in_the_middle(self) -> None:
        """Who sits between with a key of his own is seen by it at both ends."""
        left = SealedPair(tls_sessions(DIALLER)(True), tls_sessions(MALLORY)(False))
        right = SealedPair(tls_sessions(MALLORY)(True), tls_sessions(ACCEPTER)(False))
        for each in (left, right):
            each.run()
        self.assertEqual((left.keys[0], right.keys[1]), (MALLORY.public, MALLORY.public))


class Flip:
    """Flips one bit in one byte of a stream."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._gone = 0
        self.is_done = False

    def __call__(self, sealed: bytes) -> bytes:
        """The same with the bit flipped, if it lies in this."""
        at = self._at - self._gone
        self._gone += len(sealed)
        if not 0 <= at < len(sealed):
            return sealed
        self.is_done = True
        return sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]


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
