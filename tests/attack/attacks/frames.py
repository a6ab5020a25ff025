"""Small frames, sent faster than they are taken: do they fill memory, and does anybody else still get an answer?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.attack.attack import Attack
from tests.attack.crowd import ALL, Crowd, Manner, hello, hosts
from tests.attack.siege import Scene, Tally, siege
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import INDEX_SERVER, KINDS, PLAIN_TRACKER, SELLER, SUPER_PEER, TRACKER, Kind
from tests.integration.watched_node import framed

_FRAMES: Final = 4000
BOUNDS: Final = Bounds(again_bytes=5_000_000)


def flood(kind: Kind, count: int, frame: bytes, read_bytes_s: float) -> Callable[[Stage], Scene]:
    """Links that write a frame as fast as they can.

    @param count: how many, each from a host of its own.
    @param frame: that frame.
    @param read_bytes_s: how much of the answers each reads.
    """
    frames = frame * _FRAMES

    def set_up(stage: Stage) -> Scene:
        victim, tally = kind.start(stage), Tally()
        manners = [
            Manner(
                host=host,
                hello=hello(kind.is_numbered),
                more=lambda: frames,
                requests=_FRAMES,
                read_bytes_s=read_bytes_s,
            )
            for host in hosts(count)
        ]
        crowd = Crowd(victim.port, manners, tally, is_sealed=kind.is_sealed)
        return Scene(victim=victim, ask=kind.client(victim), pause_s=kind.pause_s, assaults=[crowd], tally=tally)

    return set_up


PING: Final = framed("ping")
# Never answered, so nothing is ever unsent.
PONG: Final = framed("pong")
# Of a newer version of the protocol: answered ten times a minute.
UNKNOWN: Final = framed("new")
_WORDS: Final = {kind.name: kind.name.replace(" ", "-") for kind in KINDS}

ATTACKS: Final = [
    *(
        Attack(
            name=f"pings-{_WORDS[kind.name]}",
            role=kind.name,
            tries="50 links send ping as fast as they can, and read no answer",
            carry_out=siege(flood(kind, 50, PING, 0)),
            bounds=BOUNDS,
            is_short=kind is not SUPER_PEER,
        )
        for kind in KINDS
    ),
    Attack(
        name="pings-plain-tracker",
        role=PLAIN_TRACKER.name,
        tries="50 links in the open send ping as fast as they can, and read no answer",
        carry_out=siege(flood(PLAIN_TRACKER, 50, PING, 0)),
        bounds=BOUNDS,
    ),
    *(
        Attack(
            name=f"pings-read-{_WORDS[kind.name]}",
            role=kind.name,
            tries="50 links send ping as fast as they can, and read every answer",
            carry_out=siege(flood(kind, 50, PING, ALL)),
        )
        for kind in (TRACKER, SELLER)
    ),
    *(
        Attack(
            name=f"pings-1-{_WORDS[kind.name]}",
            role=kind.name,
            tries="one link sends ping as fast as it can, and reads every answer",
            carry_out=siege(flood(kind, 1, PING, ALL)),
        )
        for kind in (TRACKER, SELLER)
    ),
    Attack(
        name="pongs-tracker",
        role="tracker",
        tries="50 links send pong, which nobody answers, as fast as they can",
        carry_out=siege(flood(TRACKER, 50, PONG, 0)),
    ),
    Attack(
        name="unknown-seller",
        role="seller",
        tries="50 links send frames of an unknown type as fast as they can",
        carry_out=siege(flood(SELLER, 50, UNKNOWN, 0)),
    ),
    Attack(
        name="renew-index-server",
        role="index server",
        tries="50 links renew an empty list as fast as they can, and read every answer",
        carry_out=siege(flood(INDEX_SERVER, 50, framed("renew", id=1), ALL)),
    ),
]
