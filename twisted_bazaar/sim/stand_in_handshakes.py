"""A stand-in for Noise IK in simulations: it proves keys and numbers what it seals, and hides nothing.

Its messages are as long as those that it stands for, and it repeats from a seed what they take from the machine. What
is proven is that both ends know the secret that their two keys have in common. Each number that is used with a secret
is looked at: one that came twice would be the end of the real cipher.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from attrs import field, frozen

from twisted_bazaar.errors import Unproven
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.noise.agreement_key import KEY_BYTES, AgreementKey, agreement_key_of
from twisted_bazaar.security.noise.handshake import FIRST_BYTES, SECOND_BYTES, TAG_BYTES, Agreed
from twisted_bazaar.security.noise.node_handshake import Begun, Heard
from twisted_bazaar.sim.stand_in_session import UsedNonces

_FRESH_BYTES: Final = 32
# What the real messages have that these do not.
_FILL: Final = bytes(FIRST_BYTES + KEY_BYTES - _FRESH_BYTES - KEY_BYTES - TAG_BYTES)
_TAG_ENDS: Final = _FRESH_BYTES + KEY_BYTES + TAG_BYTES


class StandInHandshakes:
    """The handshakes of a simulated node.

    @param nonces: keeps which numbers were used with which secrets.
    @param seconds: the simulated time.
    """

    def __init__(self, key: KeyPair, rng: random.Random, nonces: UsedNonces, seconds: Callable[[], float]) -> None:
        self._name = bytes.fromhex(key.public)
        self._own = AgreementKey.of(key)
        self._rng = rng
        self._nonces = nonces
        self._seconds = seconds
        self._last_number = 0
        self._secret_with = lru_cache(maxsize=None)(self._agree_with)

    def begin(self, wanted: str, purpose: bytes) -> Begun:
        """Begin one with the node that has a key."""
        return _StandInBegun(self, self._secret_with(wanted) + purpose, self._rng.randbytes(_FRESH_BYTES))

    def hear(self, message: bytes, purpose: bytes) -> Heard:
        """Read a first message."""
        if len(message) < FIRST_BYTES + KEY_BYTES:
            raise Unproven("a first message that is too short")
        fresh, name = message[:_FRESH_BYTES], message[_FRESH_BYTES : _FRESH_BYTES + KEY_BYTES]
        secret = self._secret_with(name.hex()) + purpose
        tag, fill = message[_TAG_ENDS - TAG_BYTES : _TAG_ENDS], message[_TAG_ENDS : _TAG_ENDS + len(_FILL)]
        said = message[_TAG_ENDS + len(_FILL) :]
        _check(secret, fresh + name + fill, said, tag)

        def reply(answer: bytes) -> tuple[bytes, Agreed]:
            answered = self._rng.randbytes(_FRESH_BYTES)
            second = answered + _tag(secret, fresh + answered, answer) + answer
            return second, self.agreed(secret, fresh + answered, is_initiator=False)

        return Heard(name.hex(), said, reply)

    def next_number(self) -> int:
        """A number greater than any that this node has had."""
        self._last_number = max(self._last_number + 1, int(self._seconds() * 1_000_000))
        return self._last_number

    def first(self, secret: bytes, fresh: bytes, said: bytes) -> bytes:
        """A first message."""
        return fresh + self._name + _tag(secret, fresh + self._name + _FILL, said) + _FILL + said

    def agreed(self, secret: bytes, fresh: bytes, *, is_initiator: bool) -> Agreed:
        """What both have then."""
        secrets = [hashlib.sha256(secret + fresh + way).digest() for way in (b"there", b"back")]
        ours, theirs = (_StandInSeal(each, self._nonces) for each in (secrets if is_initiator else secrets[::-1]))
        return Agreed(ours, theirs, hashlib.sha256(secret + fresh).digest())

    def _agree_with(self, key: str) -> bytes:
        return self._own.shared_with(agreement_key_of(key))


@frozen
class _StandInBegun:
    _handshakes: StandInHandshakes
    _secret: bytes = field(repr=False)
    _fresh: bytes

    def first(self, said: bytes) -> bytes:
        return self._handshakes.first(self._secret, self._fresh, said)

    def second(self, message: bytes) -> tuple[bytes, Agreed]:
        fresh, said = self._fresh + message[:_FRESH_BYTES], message[SECOND_BYTES:]
        _check(self._secret, fresh, said, message[_FRESH_BYTES:SECOND_BYTES])
        return said, self._handshakes.agreed(self._secret, fresh, is_initiator=True)


@frozen
class _StandInSeal:
    _secret: bytes = field(repr=False)
    _nonces: UsedNonces

    def seal(self, number: int, said: bytes, beside: bytes = b"") -> bytes:
        self._nonces.use(self._secret, number)
        return said + _tag(self._secret, number.to_bytes(8) + beside, said)

    def open(self, number: int, sealed: bytes, beside: bytes = b"") -> bytes:
        said = sealed[:-TAG_BYTES]
        _check(self._secret, number.to_bytes(8) + beside, said, sealed[-TAG_BYTES:])
        return said


def _tag(secret: bytes, beside: bytes, said: bytes) -> bytes:
    return hashlib.blake2b(beside + said, digest_size=TAG_BYTES, key=hashlib.sha256(secret).digest()).digest()


def _check(secret: bytes, beside: bytes, said: bytes, tag: bytes) -> None:
    if not hmac.compare_digest(_tag(secret, beside, said), tag):
        raise Unproven("what was not said so")
