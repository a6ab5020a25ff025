"""One set of tests for all kinds of session: who is proven, what comes out, what somebody on the way can do."""

from __future__ import annotations

import contextlib

from twisted.trial.unittest import SynchronousTestCase

from tests import slow
from tests.security.sealed_pair import ACCEPTER, DIALLER, MALLORY, SealedPair, Tamper, untouched
from twisted_bazaar.errors import InTheOpen, Unproven
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.links.session import SessionMaker

WORDS = b"two boxes of apples, please"


class SessionCases(SynchronousTestCase):
    """What each kind of session holds to."""

    # Between the bytes that are changed where not each is.
    step = 97

    def sessions(self, key: KeyPair) -> SessionMaker:
        """What makes the sessions of a node."""
        raise NotImplementedError

    def pair(self, there: Tamper = untouched, back: Tamper = untouched) -> SealedPair:
        """Both ends of a connection."""
        return SealedPair(self.sessions(DIALLER)(True), self.sessions(ACCEPTER)(False), there, back)

    def test_proven(self) -> None:
        """Each end knows the other's key, and what one says comes out at the other, whatever its length."""
        both = self.pair()
        both.run()
        self.assertEqual(both.keys, (ACCEPTER.public, DIALLER.public))
        for words in (WORDS, b"", bytes(300_000), b"x"):
            both.say("dialler", words)
            both.say("accepter", words[::-1])
        self.assertEqual(both.came["accepter"], WORDS + bytes(300_000) + b"x")
        self.assertEqual(both.came["dialler"], WORDS[::-1] + bytes(300_000) + b"x")

    def test_pieces(self) -> None:
        """It does not matter in what pieces the bytes come."""
        sent: list[bytes] = []
        for size in (1, 7, 1_000):
            both = self.pair()
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
        both = self.pair()
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
        both = self.pair()
        both.run()
        self.assertFalse(both.ends["accepter"].is_ended)
        both.ends["dialler"].end()
        both.run()
        self.assertTrue(both.ends["accepter"].is_ended)

    def test_end_before_the_handshake(self) -> None:
        """An end that has proven nothing yet has nothing to say when it goes."""
        session = self.sessions(DIALLER)(False)
        session.end()
        self.assertEqual(session.outgoing(), b"")

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
        both = self.pair()
        both.run()
        both.say("dialler", WORDS)
        both.say("accepter", WORDS)
        for end, seen in both.carried.items():
            for at in range(0, len(seen), step):
                flip = Flip(at)
                self.assert_harmless(self.pair(flip, untouched) if end == "dialler" else self.pair(untouched, flip))
                self.assertTrue(flip.is_done)

    def test_flips(self) -> None:
        """Whichever byte of a handshake or of what follows is changed, nothing false comes of it."""
        self.flip_each(self.step)

    @slow
    def test_every_flip(self) -> None:
        """The same for every single byte."""
        self.flip_each(1)

    def test_netstring(self) -> None:
        """Who speaks in the open is told apart by the first byte, and heard no further."""
        for words in (b'52:{"type":"thisisme"},', b"GET / HTTP/1.1\r\n", b"\x00" * 40):
            with self.assertRaises(InTheOpen):
                self.sessions(ACCEPTER)(False).receive(words)

    def test_replay(self) -> None:
        """What one connection carried says nothing on another, and nothing a second time on its own."""
        recorded = self.pair()
        recorded.run()
        recorded.say("dialler", WORDS)
        session = self.sessions(ACCEPTER)(False)
        with contextlib.suppress(Unproven):
            self.assertEqual(session.receive(recorded.carried["dialler"]), b"")
        self.assertIsNone(session.proven_key)
        both = self.pair()
        both.run()
        both.ends["dialler"].send(WORDS)
        sealed = both.ends["dialler"].outgoing()
        self.assertEqual(both.ends["accepter"].receive(sealed), WORDS)
        with self.assertRaises(Unproven):
            both.ends["accepter"].receive(sealed)

    def test_cut(self) -> None:
        """A cut is no end, wherever it comes: who is cut off has not heard that nothing more comes."""
        both = self.pair()
        both.run()
        both.ends["dialler"].send(WORDS)
        both.ends["dialler"].end()
        sealed = both.ends["dialler"].outgoing()
        for length in range(len(sealed)):
            other = self.pair()
            other.run()
            other.ends["dialler"].send(WORDS)
            other.ends["dialler"].end()
            came = other.ends["accepter"].receive(other.ends["dialler"].outgoing()[:length])
            self.assertTrue(WORDS.startswith(came))
            self.assertFalse(other.ends["accepter"].is_ended)

    def test_man_in_the_middle(self) -> None:
        """Who sits between with a key of his own is seen by it at both ends."""
        left = SealedPair(self.sessions(DIALLER)(True), self.sessions(MALLORY)(False))
        right = SealedPair(self.sessions(MALLORY)(True), self.sessions(ACCEPTER)(False))
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
