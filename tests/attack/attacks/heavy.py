"""Frames that are as heavy as a frame may be: long ones, deep ones, and messages that are signed, or say so."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from typing import Any, Final

from nacl.signing import SigningKey

from tests.attack.attack import Attack
from tests.attack.crowd import ALL, Crowd, Manner, hello, hosts
from tests.attack.honest import connect, greet, greeting
from tests.attack.siege import Scene, Tally, siege
from tests.attack.stage import Stage
from tests.attack.victims import SELLER, TRACKER, Kind
from tests.integration.plain_buyer import seal
from tests.integration.tls_by_hand import Identity
from tests.integration.watched_node import framed, netstring

_FRAME_BYTES: Final = 65_536


def heavy(kind: Kind, frame: bytes, count: int = 30) -> Callable[[Stage], Scene]:
    """What sets up a daemon, and links that send it a heavy frame again and again."""

    def set_up(stage: Stage) -> Scene:
        victim, tally = kind.start(stage), Tally()
        manners = [
            Manner(host=host, hello=hello(kind.is_numbered), more=lambda: frame * 4, requests=4, read_bytes_s=ALL)
            for host in hosts(count)
        ]
        crowd = Crowd(victim.port, manners, tally)
        return Scene(victim=victim, ask=kind.client(victim), pause_s=kind.pause_s, assaults=[crowd], tally=tally)

    return set_up


def _filled(start: bytes, filler: bytes, end: bytes) -> bytes:
    """A frame that is as long as it may be."""
    return netstring(start + filler * ((_FRAME_BYTES - len(start) - len(end)) // len(filler)) + end)


# Keys that a message does not have are ignored, whatever stands in them.
LONG: Final = _filled(b'{"type":"ping","x":"', b"\\u00e4", b'"}')
WIDE: Final = _filled(b'{"type":"ping","x":[', b"[],", b"0]}")
DEEP: Final = netstring(b'{"type":"ping","x":' + b"[" * 900 + b"]" * 900 + b"}")


def orders(*, is_signed: bool) -> Callable[[Stage], Scene]:
    """What sets up a seller, and buyers that order on one quote without a pause, each order another.

    @param is_signed: whether the orders are signed as they should be; else their signatures do not hold.
    """

    def set_up(stage: Stage) -> Scene:
        victim, tally = SELLER.start(stage), Tally()
        identity = Identity()
        peer, me = connect(victim.port, identity), greeting(False, identity.key)
        greet(peer, me)
        peer.tell("search", id=1, item="apple", returnPath=[me["id"]], ttl=1)
        reply = peer.hear("reply", id=1)
        assert reply is not None, "the seller has apples"
        peer.socket.close()
        written = [_order(reply["quote"], is_signed=is_signed) for _ in range(2000)]

        def more() -> bytes:
            return b"".join(secrets.choice(written) for _ in range(10))

        manners = [Manner(host=host, hello=hello(False), more=more, requests=10) for host in hosts(20)]
        crowd = Crowd(victim.port, manners, tally)
        return Scene(victim=victim, ask=SELLER.client(victim), pause_s=0.1, assaults=[crowd], tally=tally)

    return set_up


def _order(quote: dict[str, Any], *, is_signed: bool) -> bytes:
    """An order for one apple, as it stands on the wire."""
    key = SigningKey.generate()
    order_id = secrets.token_hex(16)
    buyer = bytes(key.verify_key).hex()
    about = {"bazaar": "bazaar", "buyer": buyer, "id": order_id, "item": "apple", "quantity": 1, "quote": quote}
    order = seal(key, "purchase", about)
    if not is_signed:
        order["signatures"][0]["sig"] = base64.b64encode(secrets.token_bytes(64)).decode()
    return framed("buy", id=int(order_id[:13], 16), order=order)


_SHAPES: Final = (
    ("long", LONG, "a string of 64 KB, all escapes"),
    ("wide", WIDE, "20,000 empty arrays"),
    ("deep", DEEP, "arrays 900 deep"),
)
ATTACKS: Final = [
    *(
        Attack(
            name=f"heavy-{name}-tracker",
            role="tracker",
            tries=f"30 links send pings without a pause, each with {what} in it",
            carry_out=siege(heavy(TRACKER, frame)),
        )
        for name, frame, what in _SHAPES
    ),
    Attack(
        name="orders-seller",
        role="seller",
        tries="20 buyers order apples without a pause, as 2,000 keys",
        carry_out=siege(orders(is_signed=True)),
    ),
    Attack(
        name="forged-orders-seller",
        role="seller",
        tries="20 buyers send orders whose signatures do not hold, without a pause",
        carry_out=siege(orders(is_signed=False)),
    ),
]
