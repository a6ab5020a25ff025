"""Floods of datagrams, from many addresses: does a member of a ring, or a super peer, still answer anybody?"""

from __future__ import annotations

import base64
import hashlib
import itertools
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
from nacl.signing import SigningKey

from tests.attack.attack import Attack
from tests.attack.crowd import ONE_HOST, hosts
from tests.attack.honest import RingAsker, ring_card, ring_join
from tests.attack.siege import Scene, Tally, siege
from tests.attack.sprayer import Sprayer
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import RING as SEALED_RING
from tests.attack.victims import SUPER_PEER as SEALED_SUPER_PEER
from tests.attack.victims import Kind, in_the_open
from tests.integration.plain_ring_node import PART, Entry

# These attackers seal nothing, so neither do their victims.
RING, SUPER_PEER = in_the_open(SEALED_RING), in_the_open(SEALED_SUPER_PEER)
# More than a process can read are lost in front of it, whoever sends them; this is about what it does with them.
_A_SECOND: Final = 5000
Make = Callable[[int], dict[str, Any] | bytes]


def _cookie(datagrams: socket.socket) -> str:
    """The cookie of the other end."""
    datagrams.settimeout(0.5)
    for _ in range(20):
        nonce = secrets.token_hex(8)
        datagrams.send(msgspec.json.encode({"type": "knock", "nonce": nonce, "pad": "0" * 24}))
        with suppress(OSError):
            answer = msgspec.json.decode(datagrams.recv(1 << 16))
            if answer["type"] == "cookie" and answer["nonce"] == nonce:
                return str(answer["give"])
    raise AssertionError("no cookie is given")


def spray(kind: Kind, make: Make, places: list[str], *, has_cookie: bool = False) -> Callable[[Stage], Scene]:
    """What sets up a daemon, and who sprays it."""

    def set_up(stage: Stage) -> Scene:
        victim, tally = kind.start(stage), Tally()
        port = victim.datagram_port
        ask: Callable[[], None] = RingAsker(port) if kind is RING else kind.client(victim)
        numbers = itertools.count()

        def meet(datagrams: socket.socket) -> dict[str, str]:
            return {"cookie": _cookie(datagrams)} if has_cookie else {}

        def make_next(cookie: dict[str, str]) -> bytes:
            made = make(next(numbers))
            return made if isinstance(made, bytes) else msgspec.json.encode({**made, **cookie})

        sprayer = Sprayer(port, places, tally, meet, make_next, _A_SECOND)
        return Scene(victim=victim, ask=ask, pause_s=0.05, assaults=[sprayer], tally=tally)

    return set_up


def _knock(number: int) -> dict[str, Any]:
    return {"type": "knock", "nonce": f"{number:016x}", "pad": "0" * 24}


def _join(number: int) -> bytes:
    return ring_join()


def _from_member(type: str, **keys: Any) -> dict[str, Any]:
    """A message of somebody on the ring, with a key of its own."""
    place, card = ring_card(secrets.token_bytes(32))
    return {
        "type": type,
        "source": place,
        "destination": "",
        "stamp": secrets.randbelow(1 << 50),
        "origin": card,
        **keys,
    }


def _ping(number: int) -> dict[str, Any]:
    return _from_member("ringping", next=True)


def _find(number: int) -> dict[str, Any]:
    return _from_member("ringfind", place=secrets.token_hex(8))


def _update(number: int) -> dict[str, Any]:
    _, named = ring_card(secrets.token_bytes(32))
    named[1] = ONE_HOST
    return _from_member("ringupdate", about=named)


_BLOB: Final = secrets.token_bytes(768)


def _entries() -> Callable[[int], dict[str, Any]]:
    """What makes the parts of entries of ever new owners, each as large as it may be."""
    waiting: list[dict[str, Any]] = []

    def make(number: int) -> dict[str, Any]:
        if not waiting:
            value = base64.b64encode(_BLOB).decode()
            text = Entry.sign(SigningKey.generate(), f"name {secrets.token_hex(100)}", value=value).text
            whole = hashlib.sha256(text.encode()).hexdigest()[:32]
            cut = [text[at : at + PART] for at in range(0, len(text), PART)]
            sender = _from_member("ringstore", whole=whole, parts=len(cut))
            waiting.extend({**sender, "part": part, "text": each} for part, each in enumerate(cut))
        return waiting.pop(0)

    return make


def _half_entry(number: int) -> dict[str, Any]:
    """The first of six parts, of which no other ever comes."""
    return _from_member("ringstore", whole=secrets.token_hex(16), part=0, parts=6, text="x" * PART)


def _hello(number: int) -> dict[str, Any]:
    key = secrets.token_hex(32)
    return {"type": "superhello", "id": int(key[:13], 16), "key": key, "version": number, "neighbours": 6}


def _query(number: int) -> dict[str, Any]:
    return {"type": "query", "id": secrets.token_hex(16), "reach": 16, "ttl": 16, "words": "a"}


def _segment(number: int) -> bytes:
    """What begins as a segment of a stream does."""
    return b"\x11" + secrets.token_bytes(64)


ATTACKS: Final = [
    *(
        Attack(
            name=f"udp-{name}-ring",
            role="ring",
            tries=f"250 hosts {what}, 5,000 times a second",
            carry_out=siege(spray(RING, make, hosts(250))),
            # What is asked without a cookie may be lost, and is asked again.
            bounds=Bounds(wait_s=1.0, share_answered=14 / 15),
        )
        for name, make, what in (
            ("knocks", _knock, "ask for cookies"),
            ("joins", _join, "ask how a member stands, as strangers"),
            ("segments", _segment, "send segments of streams that nobody has begun"),
        )
    ),
    *(
        Attack(
            name=f"udp-{name}-ring",
            role="ring",
            tries=f"64 hosts with cookies {what}, 5,000 times a second",
            carry_out=siege(spray(RING, make, hosts(64), has_cookie=True)),
            bounds=Bounds(wait_s=1.0, share_answered=14 / 15),
        )
        for name, make, what in (
            ("pings", _ping, "say under ever new keys that they are the predecessor"),
            ("finds", _find, "look for places"),
            ("updates", _update, "name nodes that there are not"),
            ("half-entries", _half_entry, "send the first of six parts of entries"),
        )
    ),
    Attack(
        name="udp-entries-ring",
        role="ring",
        tries="64 hosts with cookies have the largest entries kept, of ever new owners",
        carry_out=siege(spray(RING, _entries(), hosts(64), has_cookie=True)),
        # The texts of what is kept may take 64 MiB, whoever has sent them.
        bounds=Bounds(wait_s=1.0, share_answered=14 / 15, peak_bytes=100_000_000),
    ),
    *(
        Attack(
            name=f"udp-{name}-super",
            role="super peer",
            tries=f"64 hosts with cookies {what}, 5,000 times a second",
            carry_out=siege(spray(SUPER_PEER, make, hosts(64), has_cookie=True)),
            bounds=bounds,
        )
        for name, make, what, bounds in (
            # A search for what nobody has is over when the neighbours had time to answer: 0.3 s, and then 1.2 s.
            ("hellos", _hello, "would be neighbours under ever new keys", Bounds(wait_s=2.0)),
            ("queries", _query, "ask for whatever there is", Bounds()),
        )
    ),
]
