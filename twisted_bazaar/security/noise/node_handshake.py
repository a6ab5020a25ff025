"""Handshakes between nodes: Noise IK in which each first message names the node that it is from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import frozen

from twisted_bazaar.errors import Unproven
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.noise.agreement_key import KEY_BYTES, AgreementKey, agreement_key_of
from twisted_bazaar.security.noise.handshake import Agreed, Initiator, Responder


class Begun(Protocol):
    """A handshake that this node has begun."""

    def first(self, said: bytes) -> bytes:
        """The first message, once.

        @raise Unproven: nobody owns the key that is wanted.
        """

    def second(self, message: bytes) -> tuple[bytes, Agreed]:
        """Read the second message: what was said with it, and the keys.

        @raise Unproven: it is not the answer of the node that is wanted; another may come.
        """


@frozen
class Heard:
    """A first message.

    @ivar key: of the node that has written it, perhaps long ago.
    @ivar said: what goes with it.
    @ivar reply: makes the second message with what is said in it, and the keys.
    """

    key: str
    said: bytes
    reply: Callable[[bytes], tuple[bytes, Agreed]]


class Handshakes(Protocol):
    """The handshakes of one node."""

    def begin(self, wanted: str, purpose: bytes) -> Begun:
        """Begin one with the node that has a key.

        @param purpose: what it is for; a message for one purpose is none for another.
        @raise Unproven: nobody owns that key.
        """

    def hear(self, message: bytes, purpose: bytes) -> Heard:
        """Read a first message.

        @raise Unproven: it is not for this node, or nobody has written it.
        """

    def next_number(self) -> int:
        """A number greater than any that this node has had, also before it was started; at most 64 bits."""


class NoiseHandshakes:
    """Those by Noise IK.

    @param key: of the node.
    @param wall_clock: the time of day in seconds, which goes on while the node does not run.
    """

    def __init__(self, key: KeyPair, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._name = bytes.fromhex(key.public)
        self._own = AgreementKey.of(key)
        self._last_number = 0

    def begin(self, wanted: str, purpose: bytes) -> Begun:
        """Begin one with the node that has a key."""
        return _NoiseBegun(self._name, Initiator(self._own, agreement_key_of(wanted), purpose))

    def hear(self, message: bytes, purpose: bytes) -> Heard:
        """Read a first message."""
        responder = Responder(self._own, purpose)
        static, said = responder.first(message)
        key = said[:KEY_BYTES].hex()
        # An X25519 key follows from two Ed25519 keys: so it is named, and the name is proven by what follows from it.
        if agreement_key_of(key) != static:
            raise Unproven("a first message under the name of somebody else")
        return Heard(key, said[KEY_BYTES:], responder.second)

    def next_number(self) -> int:
        """A number greater than any that this node has had, as far as the clock was not set back."""
        self._last_number = max(self._last_number + 1, int(self._wall_clock() * 1_000_000))
        return self._last_number


@frozen
class _NoiseBegun:
    _name: bytes
    _initiator: Initiator

    def first(self, said: bytes) -> bytes:
        return self._initiator.first(self._name + said)

    def second(self, message: bytes) -> tuple[bytes, Agreed]:
        return self._initiator.second(message)
