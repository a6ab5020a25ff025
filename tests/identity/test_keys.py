"""The key of a node."""

from __future__ import annotations

import random
from hashlib import sha512

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.identity.keys import SEED_BYTES, KeyPair, is_signed_by
from twisted_bazaar.node.control import ThisIsMe
from twisted_bazaar.wire.codec import Codec

bounded = examples(50)

TEST_1024 = (
    "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1"
    "e355f6c50544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d"
    "658675fc6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a"
    "7363c344fe6b199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e"
    "06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc10"
    "3b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed1"
    "85ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d"
    "502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f270"
    "88d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089b"
    "eccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128ba"
    "b27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969b"
    "e3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb7"
    "51fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988d"
    "cda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34df"
    "f7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7"
    "984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e4"
    "88acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac09"
    "43bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5f"
    "b93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f161"
    "0e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380d"
    "b2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8ca"
    "c60c905c15fc910840b94c00a0b9d0"
)
# RFC 8032, section 7.1, tests 1, 2, 3, 1024 and SHA(abc): secret key, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        TEST_1024,
        "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b"
        "5e8fcd4f681e30a6ac00a9704a188a03",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
]
# The encodings of points of small order, canonical and not, after libsodium's list and RFC 7748's warning:
# with such a key one signature holds for many messages.
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
# The order of the base point.
L = 2**252 + 27742317777372353535851937790883648493


class KeyPairTests(SynchronousTestCase):
    """A key pair is made from a secret, and shows only its public half."""

    def test_ed25519(self) -> None:
        """The public half is that of Ed25519, in 64 lower-case hexadecimal digits."""
        pairs = [KeyPair.from_seed(bytes.fromhex(secret)).public for secret, *_ in RFC_8032]
        self.assertEqual(pairs, [public for _, public, *_ in RFC_8032])

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


class SignatureTests(SynchronousTestCase):
    """A signature holds for one message and one key, in one form."""

    key = KeyPair.from_seed(bytes(range(32)))
    message = b"three pears at 120"

    def setUp(self) -> None:
        """Sign."""
        self.signature = self.key.sign(self.message)

    def test_rfc_8032(self) -> None:
        """The signatures of the RFC are made, and hold."""
        for secret, public, message, signature in RFC_8032:
            key = KeyPair.from_seed(bytes.fromhex(secret))
            self.assertEqual((key.public, key.sign(bytes.fromhex(message)).hex()), (public, signature))
            self.assertTrue(is_signed_by(public, bytes.fromhex(message), bytes.fromhex(signature)))

    @bounded
    @given(st.binary(max_size=200), st.binary(min_size=32, max_size=32))
    def test_any(self, message: bytes, seed: bytes) -> None:
        """What a key has signed it has signed, in the same bytes each time; no other has."""
        key = KeyPair.from_seed(seed)
        signature = key.sign(message)
        self.assertEqual((len(signature), key.sign(message)), (64, signature))
        self.assertTrue(is_signed_by(key.public, message, signature))
        self.assertEqual(is_signed_by(self.key.public, message, signature), key == self.key)

    def test_every_bit(self) -> None:
        """With any bit of key, message or signature changed it does not hold."""
        parts = [bytes.fromhex(self.key.public), self.message, self.signature]
        self.assertTrue(is_signed_by(parts[0].hex(), parts[1], parts[2]))
        for which, part in enumerate(parts):
            for position in range(len(part) * 8):
                changed = bytearray(part)
                changed[position // 8] ^= 1 << position % 8
                key, message, signature = [*parts[:which], bytes(changed), *parts[which + 1 :]]
                self.assertFalse(is_signed_by(key.hex(), message, signature), (which, position))

    def test_no_key(self) -> None:
        """What is no public key has signed nothing."""
        public = self.key.public
        for key in ("", public[:-1], public + "0", public[:-2], "g" * 64, " " * 64, "\u0660" * 64, public[:-2] + " 0"):
            self.assertFalse(is_signed_by(key, self.message, self.signature), key)

    def test_no_signature(self) -> None:
        """A signature has 64 bytes: what is longer does not move into the message."""
        for signature in (b"", self.signature[:-1], self.signature + b"t", bytes(64), b"\xff" * 64):
            self.assertFalse(is_signed_by(self.key.public, self.message, signature))
        self.assertFalse(is_signed_by(self.key.public, self.message[1:], self.signature + self.message[:1]))

    def test_secrets(self) -> None:
        """A key has another secret for each purpose, the same every time; another key has others."""
        other = KeyPair.from_seed(b"\1" * 32)
        secrets = [key.secret_for(purpose) for key in (self.key, other) for purpose in ("a", "b")]
        self.assertEqual((len(set(secrets)), self.key.secret_for("a")), (4, secrets[0]))

    def test_small_order(self) -> None:
        """Under a key of small order nothing is signed, though the curve's equation holds for one message in eight."""
        one = bytes.fromhex(SMALL_ORDER[1])
        for point in SMALL_ORDER:
            for sign in (0, 0x80):
                encoded = bytearray.fromhex(point)
                encoded[31] |= sign
                for r in (one, bytes(encoded)):
                    for number in range(16):
                        self.assertFalse(is_signed_by(bytes(encoded).hex(), b"%d" % number, r + bytes(32)), point)

    def test_one_form(self) -> None:
        """The same signature with its second half greater by the order of the curve is another, and refused."""
        half = int.from_bytes(self.signature[32:], "little")
        for times in range(1, 16):
            if half + times * L < 2**256:
                other = self.signature[:32] + (half + times * L).to_bytes(32, "little")
                self.assertFalse(is_signed_by(self.key.public, self.message, other), times)

    def test_small_order_in_the_signature(self) -> None:
        """A signature whose first half is of small order is refused."""
        for point in SMALL_ORDER:
            self.assertFalse(is_signed_by(self.key.public, self.message, bytes.fromhex(point) + self.signature[32:]))
