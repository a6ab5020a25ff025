"""The stand-in for TLS in simulations."""

from __future__ import annotations

import random

from tests.security import session_cases
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.links.session import SessionMaker
from twisted_bazaar.sim.stand_in_session import UsedNonces, stand_in_sessions


class StandInTests(session_cases.SessionCases):
    """What each kind of session holds to, in a simulation."""

    step = 7

    def setUp(self) -> None:
        """Keep all nonces."""
        self.nonces = UsedNonces()
        self.rng = random.Random(1)

    def sessions(self, key: KeyPair) -> SessionMaker:
        """What makes the sessions of a node."""
        return stand_in_sessions(key, self.rng, self.nonces)

    def test_seed(self) -> None:
        """The same seed makes the same bytes."""
        seen = []
        for _ in range(2):
            self.setUp()
            both = self.pair()
            both.run()
            both.say("dialler", session_cases.WORDS)
            seen.append(both.carried)
        self.assertEqual(*seen)

    def test_nonce_used_twice(self) -> None:
        """A nonce that is used a second time with its secret is noticed, and so is one that was left out."""
        self.nonces.use(b"secret", 0)
        self.nonces.use(b"secret", 1)
        self.nonces.use(b"other", 0)
        for number in (0, 1, 3):
            with self.assertRaises(AssertionError):
                self.nonces.use(b"secret", number)
        self.assertEqual(self.nonces.count, 3)
