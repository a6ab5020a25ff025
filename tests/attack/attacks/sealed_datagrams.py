"""Floods of what begins sealed datagrams, from many addresses: does somebody new still get an answer?"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Final

from cryptography.exceptions import InvalidTag
from nacl.signing import SigningKey

from tests.attack.attack import Attack
from tests.attack.crowd import hosts
from tests.attack.honest import ring_card
from tests.attack.siege import NotAnswered, Scene, Tally, siege
from tests.attack.sprayer import AS_FAST_AS_IT_CAN, Sprayer
from tests.attack.stage import LOOPBACK, Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import RING
from tests.integration.noise_by_hand import ANSWER, BEGIN, COOKIE, KNOCK, NO_COOKIE, SPEAKS, Handshake, Keys

_AGAIN_S: Final = 0.5
_PATIENCE_S: Final = 5.0
Make = Callable[[bytes], bytes]
"""Makes a datagram, from the cookie of the address that it goes from."""


class Stranger:
    """Asks a member of a ring how it stands, as somebody new who knows nothing but its address.

    @param port: where the member takes datagrams.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._hosts = itertools.cycle(f"127.200.{number // 250}.{number % 250 + 1}" for number in range(5_000))

    def __call__(self) -> None:
        """Ask, each time from another host.

        @raise NotAnswered: it does not answer, however often it is asked.
        """
        key = SigningKey.generate()
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as datagrams:
            datagrams.bind((next(self._hosts), 0))
            datagrams.connect((LOOPBACK, self._port))
            cookie, theirs = knock(datagrams)
            shaking, question = Keys(key).question(theirs, _join(key), cookie)
            answer = _ask(datagrams, question, lambda data: data[:9] == ANSWER + question[1:9])
            with suppress(InvalidTag):
                if json.loads(shaking.hear_second(answer[9:])[8:])["type"] == "ringpong":
                    return
        raise NotAnswered("ringpong")


def knock(datagrams: socket.socket) -> tuple[bytes, bytes]:
    """The cookie that the other end gives, and its key.

    @raise NotAnswered: it gives none.
    """
    nonce = os.urandom(8)
    given = _ask(datagrams, KNOCK + nonce + bytes(55), lambda data: data[:9] == COOKIE + nonce)
    return given[9:17], given[17:49]


def _ask(datagrams: socket.socket, question: bytes, is_answer: Callable[[bytes], bool]) -> bytes:
    """Send something until it is answered."""
    deadline = time.monotonic() + _PATIENCE_S
    while (now := time.monotonic()) < deadline:
        datagrams.send(question)
        while (left_s := now + _AGAIN_S - time.monotonic()) > 0:
            datagrams.settimeout(left_s)
            with suppress(OSError):
                if is_answer(data := datagrams.recv(1 << 16)):
                    return data
    raise NotAnswered(f"a datagram that begins with {question[0]}")


def _join(key: SigningKey) -> bytes:
    place, card = ring_card(bytes(key.verify_key))
    asked = {"type": "ringjoin", "source": place, "destination": "", "stamp": secrets.randbelow(1 << 50)}
    return json.dumps({**asked, "origin": card}).encode()


def _knocks(key: bytes) -> Make:
    return lambda cookie: KNOCK + os.urandom(8) + bytes(55)


def _some(make: Callable[[], bytes]) -> Iterator[bytes]:
    """Some of these, again and again: who attacks makes them before."""
    return itertools.cycle([make() for _ in range(64)])


def _questions(key: bytes) -> Make:
    """Questions that hold, for each of which the victim has work with keys."""

    def ask() -> bytes:
        own = SigningKey.generate()
        return Keys(own).question(key, _join(own))[1]

    made = _some(ask)

    def make(cookie: bytes) -> bytes:
        question = next(made)
        return question[:1] + os.urandom(8) + cookie + question[17:]

    return make


def _beginnings(key: bytes) -> Make:
    """Beginnings of sessions that hold; nobody ever speaks in one."""

    def begin() -> bytes:
        own = Keys(SigningKey.generate())
        shaking: Handshake = own.asks(key, SPEAKS)
        return shaking.first(own.public + (time.time_ns() // 1000).to_bytes(8, "big"))

    made = _some(begin)
    return lambda cookie: BEGIN + os.urandom(3) + cookie + next(made)


def spray(
    make: Callable[[bytes], Make], places: list[str], *, has_cookie: bool, a_second: float
) -> Callable[[Stage], Scene]:
    """What sets up a member of a ring, and who sprays it."""

    def set_up(stage: Stage) -> Scene:
        victim, tally = RING.start(stage), Tally()
        port = victim.datagram_port
        makers: dict[bytes, Make] = {}

        def meet(datagrams: socket.socket) -> tuple[Make, bytes]:
            if has_cookie or not makers:
                cookie, key = knock(datagrams)
                makers[key] = makers.get(key) or make(key)
            [maker] = makers.values()
            return maker, cookie if has_cookie else NO_COOKIE

        sprayer = Sprayer(port, places, tally, meet, lambda met: met[0](met[1]), a_second)
        return Scene(victim=victim, ask=Stranger(port), pause_s=0.05, assaults=[sprayer], tally=tally)

    return set_up


ATTACKS: Final = [
    Attack(
        name=f"noise-{name}-ring",
        role="ring",
        tries=f"{count:,} hosts {what}; somebody new comes",
        carry_out=siege(spray(make, hosts(count), has_cookie=has_cookie, a_second=a_second)),
        bounds=Bounds(wait_s=1.0, share_answered=14 / 15),
    )
    for name, make, count, has_cookie, a_second, what in (
        ("knocks", _knocks, 1_000, False, AS_FAST_AS_IT_CAN, "ask for cookies, as fast as they can"),
        # More of these, 1,200 bytes each, are lost in front of the process, whoever sends them.
        ("questions", _questions, 1_000, False, 15_000, "ask without a cookie, 15,000 times a second"),
        ("cookies-asks", _questions, 64, True, AS_FAST_AS_IT_CAN, "with cookies ask, as fast as they can"),
        ("beginnings", _beginnings, 64, True, AS_FAST_AS_IT_CAN, "with cookies begin sessions, as fast as they can"),
    )
]
