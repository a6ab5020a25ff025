"""The key of a node."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.identity.keys import SEED_BYTES, KeyPair
from twisted_bazaar.node.control import ThisIsMe
from twisted_bazaar.wire.codec import Codec

bounded = settings(max_examples=50, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

# RFC 8032, section 7.1, tests 1 to 3: secret key and public key.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    ),
]


class KeyPairTests(SynchronousTestCase):
    """A key pair is made from a secret, and shows only its public half."""

    def test_ed25519(self) -> None:
        """The public half is that of Ed25519, in 64 lower-case hexadecimal digits."""
        pairs = [(secret, KeyPair.from_seed(bytes.fromhex(secret)).public) for secret, _ in RFC_8032]
        self.assertEqual(pairs, RFC_8032)

    @bounded
    @given(st.binary(max_size=64).filter(lambda seed: len(seed) != SEED_BYTES))
    def test_wrong_size(self, seed: bytes) -> None:
        """A secret of any other size than 32 bytes is refused, and not told in the error."""
        with self.assertRaises(ValueError) as caught:
            KeyPair.from_seed(seed)
        self.assertEqual(str(caught.exception), f"a key seed has 32 bytes, not {len(seed)}")

    def test_chance_is_an_argument(self) -> None:
        """A new key depends on the random source that is given, and on nothing else."""
        first, again = (KeyPair.generate(random.Random(5)) for _ in range(2))
        self.assertEqual(first, again)
        rng = random.Random(5)
        keys = [KeyPair.generate(rng).public for _ in range(20)]
        self.assertEqual((keys[0], len(set(keys))), (first.public, 20))

    def test_system_source(self) -> None:
        """The source of the system, which nobody can guess, works as well."""
        rng = random.SystemRandom()
        self.assertNotEqual(KeyPair.generate(rng).public, KeyPair.generate(rng).public)

    @bounded
    @given(st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES))
    def test_secret_stays_inside(self, seed: bytes) -> None:
        """Whoever prints a key pair, or logs it, shows the public half alone."""
        pair = KeyPair.from_seed(seed)
        self.assertEqual(repr(pair), f"KeyPair(public={pair.public!r})")
        self.assertEqual(str(pair), repr(pair))

    @bounded
    @given(st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES))
    def test_travels(self, seed: bytes) -> None:
        """Any public key fits into a greeting."""
        greeting = ThisIsMe(id=1, port=0, key=KeyPair.from_seed(seed).public)
        codec = Codec()
        self.assertEqual(codec.decode(codec.encode(greeting)), greeting)

    def test_frozen(self) -> None:
        """A node's identity does not change."""
        pair = KeyPair.from_seed(bytes(32))
        with self.assertRaises(AttributeError):
            pair.public = "00" * 32  # type: ignore[misc]
