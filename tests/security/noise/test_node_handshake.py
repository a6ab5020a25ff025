"""Handshakes that name the nodes that they are from."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.security.noise.test_handshake import ANSWERS, ASKS
from twisted_bazaar.errors import Unproven
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.noise.handshake import Initiator
from twisted_bazaar.security.noise.node_handshake import NoiseHandshakes

ADA, BOB = (KeyPair.from_seed(bytes(range(n, n + 32))) for n in (0, 32))


class NodeHandshakeTests(SynchronousTestCase):
    """Whose they are."""

    def setUp(self) -> None:
        """Make those of two nodes."""
        self.ada, self.bob = (NoiseHandshakes(key, lambda: 1_000.0) for key in (ADA, BOB))

    def test_named(self) -> None:
        """Who is asked knows who asks, and both have the same keys then."""
        begun = self.ada.begin(BOB.public, b"a purpose")
        heard = self.bob.hear(begun.first(b"who?"), b"a purpose")
        self.assertEqual((heard.key, heard.said), (ADA.public, b"who?"))
        second, theirs = heard.reply(b"me")
        said, ours = begun.second(second)
        self.assertEqual(said, b"me")
        self.assertEqual(theirs.theirs.open(0, ours.ours.seal(0, b"apple")), b"apple")

    def test_another_name(self) -> None:
        """Nobody can ask under the name of somebody else, nor under none."""
        for name in (bytes.fromhex(BOB.public), bytes(32), b"short"):
            message = Initiator(ASKS, ANSWERS.public, b"a purpose").first(name)
            with self.assertRaises(Unproven):
                self.bob.hear(message, b"a purpose")

    def test_purpose(self) -> None:
        """What was said for one purpose is nothing for another."""
        with self.assertRaises(Unproven):
            self.bob.hear(self.ada.begin(BOB.public, b"a purpose").first(b""), b"another")

    def test_numbers(self) -> None:
        """Each number is greater than the one before, also after a restart."""
        numbers = [self.ada.next_number() for _ in range(1_000)]
        numbers.append(NoiseHandshakes(ADA, lambda: 1_001.0).next_number())
        self.assertEqual(numbers, sorted(set(numbers)))
