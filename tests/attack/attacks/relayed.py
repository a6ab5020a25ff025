"""A neighbour that searches without end at a relay: does anybody else behind that relay get an answer?"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tests.attack.attack import Attack
from tests.attack.crowd import ALL, ONE_HOST, Crowd, Manner
from tests.attack.honest import LinkClient, greeting
from tests.attack.siege import NotAnswered, Scene, Tally, siege
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import start_tracker
from tests.integration.tls_by_hand import Identity
from tests.integration.watched_node import framed

_A_SECOND: Final = 1000
_AT_ONCE: Final = 20
_SELDOM_S: Final = 10.0


def searches_at(count: int, item: str) -> Callable[[Stage], Scene]:
    """What sets up a seller, a relay, an honest buyer, and links that share a thousand searches a second."""

    def set_up(stage: Stage) -> Scene:
        tracker = start_tracker(stage)
        joined = ("--tracker", tracker.endpoint, "--min-links", "0")
        relay = stage.start("bazaar-node", "--role", "relay", "--max-links", "32", *joined)
        relay.wait_for("joined the network")
        seller = stage.start(
            "bazaar-node", "--role", "seller", "--stock", "apple=1000000@120", "--connect", relay.endpoint, *joined
        )
        seller.wait_for("linked|joined the network")
        buyer = LinkClient(
            relay.port,
            False,
            lambda me, number: {"type": "search", "id": number, "item": "apple", "returnPath": [me], "ttl": 2},
            ("reply", ("id",)),
            patience_s=1.0,
        )
        # A seller with two neighbours keeps something back for each, however quiet it is.
        other = LinkClient(
            seller.port,
            False,
            lambda me, number: {"type": "search", "id": number, "item": "pear", "returnPath": [me], "ttl": 1},
            ("nothing", ()),
            patience_s=0.05,
        )
        tally = Tally()
        manners = [_searcher(item, _AT_ONCE * count / _A_SECOND) for _ in range(count)]
        # A buyer that looks again each second when nothing came.
        return Scene(
            victim=relay,
            ask=buyer,
            pause_s=0.2,
            tend=Seldom(other),
            assaults=[Crowd(relay.port, manners, tally)],
            tally=tally,
        )

    return set_up


class Seldom:
    """Asks every ten seconds, and wants no answer."""

    def __init__(self, ask: LinkClient) -> None:
        self._ask = ask
        self._next = 0.0

    def __call__(self) -> None:
        """Ask, if it is time to."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SELDOM_S
            with suppress(NotAnswered):
                self._ask()


def _searcher(item: str, every_s: float) -> Manner:
    identity = Identity()
    me = greeting(False, identity.key)

    def more() -> bytes:
        numbers = (secrets.randbelow(1 << 50) for _ in range(_AT_ONCE))
        about = {"item": item, "returnPath": [me["id"]], "ttl": 7}
        return b"".join(framed("search", id=number, **about) for number in numbers)

    return Manner(
        host=ONE_HOST,
        identity=identity,
        hello=lambda key: framed(**me),
        more=more,
        requests=_AT_ONCE,
        every_s=every_s,
        read_bytes_s=ALL,
    )


BOUNDS: Final = Bounds(wait_s=1.5, share_answered=14 / 15)
ATTACKS: Final = [
    Attack(
        name="starved-over-relay",
        role="relay",
        tries="one neighbour of a relay searches 1,000 times a second for what a seller behind it has",
        carry_out=siege(searches_at(1, "apple")),
        bounds=BOUNDS,
        is_short=True,
    ),
    Attack(
        name="starved-by-nothing",
        role="relay",
        tries="one neighbour of a relay searches 1,000 times a second for what nobody has",
        carry_out=siege(searches_at(1, "nothing")),
        bounds=BOUNDS,
    ),
    Attack(
        name="starved-by-many",
        role="relay",
        tries="twenty links of one host share the same thousand searches a second",
        carry_out=siege(searches_at(20, "apple")),
        bounds=BOUNDS,
    ),
]
