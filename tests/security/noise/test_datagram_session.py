"""What is sealed after a handshake."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from tests.security.noise.test_handshake import ANSWERS, ASKS, flipped
from twisted_bazaar.errors import Unproven
from twisted_bazaar.security.noise import datagram_session
from twisted_bazaar.security.noise.datagram_session import GRACE_S, RENEW_S, SEALED_BYTES, DatagramSession
from twisted_bazaar.security.noise.handshake import Initiator, Responder
from twisted_bazaar.security.noise.replay_window import WINDOW, ReplayWindow


def two_ends() -> tuple[DatagramSession, DatagramSession]:
    """Both ends of a session that begins at 0."""
    asks, answers = Initiator(ASKS, ANSWERS.public), Responder(ANSWERS)
    answers.first(asks.first(b""))
    second, of_responder = answers.second(b"")
    return DatagramSession(asks.second(second)[1], 0.0), DatagramSession(of_responder, 0.0)


class WindowTests(SynchronousTestCase):
    """Which numbers count."""

    def test_like_a_set(self) -> None:
        """A number counts if it has not come and is within the window, however they come."""
        rng = random.Random(7)
        window, came, highest = ReplayWindow(), set(), -1
        for _ in range(20_000):
            number = max(
                0, highest + rng.choice((1, 1, 1, -3, -WINDOW + 1, -WINDOW, -5 * WINDOW, 40, WINDOW, WINDOW - 1))
            )
            number = rng.choice((number, max(0, number - rng.randrange(2 * WINDOW))))
            is_new = number not in came and number > highest - WINDOW
            self.assertEqual(window.is_new(number), is_new, (number, highest))
            if is_new:
                window.mark(number)
                came.add(number)
                highest = max(highest, number)

    def test_far_ahead(self) -> None:
        """The greatest number there is costs no more than any."""
        window = ReplayWindow()
        window.mark(3)
        window.mark((1 << 64) - 1)
        self.assertFalse(window.is_new(3))
        self.assertTrue(window.is_new((1 << 64) - 2))


class SessionTests(SynchronousTestCase):
    """What goes over."""

    def setUp(self) -> None:
        """Agree."""
        self.ada, self.bob = two_ends()

    def test_both_ways(self) -> None:
        """Either end opens what the other has sealed, in any order, and not its own."""
        for ours, theirs in ((self.ada, self.bob), (self.bob, self.ada)):
            sealed = [ours.seal(b"%d" % n, 0.0) for n in range(100)]
            self.assertEqual(len(sealed[0]), 1 + SEALED_BYTES)
            with self.assertRaises(Unproven):
                ours.open(sealed[0], 0.0)
            random.Random(1).shuffle(sealed)
            self.assertEqual({theirs.open(each, 0.0) for each in sealed}, {b"%d" % n for n in range(100)})

    def test_again(self) -> None:
        """Nothing counts twice, however late it comes."""
        sealed = [self.ada.seal(b"apple", 0.0) for _ in range(WINDOW + 10)]
        for each in sealed:
            self.bob.open(each, 0.0)
        for each in sealed:
            with self.assertRaises(Unproven):
                self.bob.open(each, 0.0)

    def test_flipped(self) -> None:
        """A datagram of which any byte was changed is nobody's, and takes the place of none."""
        sealed = self.ada.seal(b"apple", 0.0)
        for changed in (*flipped(sealed), *(sealed[:n] for n in range(len(sealed)))):
            with self.assertRaises(Unproven):
                self.bob.open(changed, 0.0)
        self.assertEqual(self.bob.open(sealed, 0.0), b"apple")

    def test_other_session(self) -> None:
        """Nothing of another session is opened."""
        _, later = two_ends()
        with self.assertRaises(Unproven):
            later.open(self.ada.seal(b"apple", 0.0), 0.0)

    def test_ends(self) -> None:
        """The next is due after two minutes; what is under way is opened for ten seconds more, and then nothing."""
        late = self.ada.seal(b"late", RENEW_S - 1)
        too_late = self.ada.seal(b"too late", RENEW_S - 1)
        self.assertFalse(self.bob.is_due(RENEW_S - 1))
        self.assertTrue(self.bob.is_due(RENEW_S))
        self.assertEqual(self.bob.open(late, RENEW_S + GRACE_S - 1), b"late")
        with self.assertRaises(Unproven):
            self.bob.open(too_late, RENEW_S + GRACE_S)
        with self.assertRaises(Unproven):
            self.ada.seal(b"never", RENEW_S + GRACE_S)

    def test_most(self) -> None:
        """No key seals more than so many datagrams, and the next session is due long before."""
        self.patch(datagram_session, "MOST_SEALED", 10)
        for _ in range(5):
            self.assertFalse(self.ada.is_due(0.0))
            self.ada.seal(b"", 0.0)
        self.assertTrue(self.ada.is_due(0.0))
        for _ in range(5):
            self.ada.seal(b"", 0.0)
        with self.assertRaises(Unproven):
            self.ada.seal(b"", 0.0)
