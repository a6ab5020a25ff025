"""Those who come and go, or stay and say nothing more: is there room for anybody else, and what do they weigh?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.attack.attack import Attack
from tests.attack.crowd import ONE_HOST, Crowd, Manner, hello, hosts
from tests.attack.siege import Scene, Tally, siege
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import INDEX_SERVER, PLAIN_TRACKER, SELLER, SUPER_PEER, TRACKER, Kind
from tests.integration.watched_node import framed

_FRAME_BYTES: Final = 65_536
# All but the last byte of the longest frame, with its head.
_UNFINISHED: Final = b"%d:" % _FRAME_BYTES + b'{"type":"ping","x":"' + b"x" * (_FRAME_BYTES - 22)


def crowd(
    kind: Kind, make_manners: Callable[[Kind], list[Manner]], *, is_newcomer: bool, connects_s: float = 0.0
) -> Callable[[Stage], Scene]:
    """What sets up a daemon and a crowd.

    @param is_newcomer: whether the honest client comes anew each time, rather than keeping its link.
    @param connects_s: from one new connection of the crowd to the next.
    """

    def set_up(stage: Stage) -> Scene:
        victim, tally = kind.start(stage), Tally()
        return Scene(
            victim=victim,
            ask=kind.newcomer(victim) if is_newcomer else kind.client(victim),
            pause_s=0.1 if is_newcomer else kind.pause_s,
            assaults=[Crowd(victim.port, make_manners(kind), tally, connects_s, is_sealed=kind.is_sealed)],
            tally=tally,
        )

    return set_up


def _greet_and_go(kind: Kind) -> list[Manner]:
    """Each greets as somebody new each time, and goes."""
    greet = hello(kind.is_numbered)
    return [
        Manner(host=host, hello=lambda key: greet(key) + framed("dc"), comes_back_s=0.0, requests=1)
        for host in hosts(100)
    ]


def _half_greetings(kind: Kind) -> list[Manner]:
    """Each says its greeting a byte at a time."""
    return [
        Manner(host=host, hello=lambda key: b"200:", more=lambda: b" ", every_s=0.5, comes_back_s=0.0)
        for host in hosts(500)
    ]


def _links_of_one_host(kind: Kind) -> list[Manner]:
    """As many links as there are, all of one host, each of somebody else."""
    return [Manner(host=ONE_HOST, hello=hello(kind.is_numbered), comes_back_s=0.1) for _ in range(500)]


def _unfinished_frames(kind: Kind) -> list[Manner]:
    """Each leaves the longest frame unfinished."""
    greet = hello(kind.is_numbered)
    return [Manner(host=host, hello=lambda key: greet(key) + _UNFINISHED, comes_back_s=0.1) for host in hosts(2000)]


def _quiet_links(kind: Kind) -> list[Manner]:
    """Each greets, and says nothing more."""
    return [Manner(host=host, hello=hello(kind.is_numbered), comes_back_s=0.1) for host in hosts(4000)]


# A host gets in when another has many: what it waits for is at most this.
IN: Final = Bounds(wait_s=2.0)
ATTACKS: Final = [
    *(
        Attack(
            name=f"come-and-go-{kind.name.replace(' ', '-')}",
            role=kind.name,
            tries="100 hosts greet under a new key each time and go, as fast as they can",
            carry_out=siege(crowd(kind, _greet_and_go, is_newcomer=False)),
        )
        for kind in (TRACKER, INDEX_SERVER, SELLER)
    ),
    *(
        Attack(
            name=f"half-greetings-{kind.name}",
            role=kind.name,
            tries="500 hosts each say their greeting a byte at a time, and come again when cut off",
            carry_out=siege(crowd(kind, _half_greetings, is_newcomer=True)),
            bounds=IN,
        )
        for kind in (TRACKER, SELLER)
    ),
    *(
        Attack(
            name=f"one-host-{kind.name.replace(' ', '-')}",
            role=kind.name,
            tries="one host makes 500 links under as many keys, and keeps them; somebody else comes",
            carry_out=siege(crowd(kind, _links_of_one_host, is_newcomer=True)),
            bounds=IN,
        )
        for kind in (SELLER, SUPER_PEER)
    ),
    Attack(
        name="unfinished-tracker",
        role="tracker",
        tries="2,000 links each send all but the end of a frame of 64 KB",
        carry_out=siege(crowd(TRACKER, _unfinished_frames, is_newcomer=False, connects_s=0.001)),
        # What all links may hold, some 16 kB for each of them, and for TLS 44 kB: a buffer that keeps the size of the
        # largest piece that was in it, 22 kB; one that is given back when no record is half there, 16 kB; its state.
        bounds=Bounds(peak_bytes=(32 << 20) + 2_000 * (16_000 + 44_000)),
        is_short=True,
    ),
    Attack(
        name="unfinished-plain-tracker",
        role=PLAIN_TRACKER.name,
        tries="2,000 links in the open each send all but the end of a frame of 64 KB",
        carry_out=siege(crowd(PLAIN_TRACKER, _unfinished_frames, is_newcomer=False, connects_s=0.001)),
        bounds=Bounds(peak_bytes=(32 << 20) + 2_000 * 16_000),
    ),
    Attack(
        name="half-greetings-plain",
        role=PLAIN_TRACKER.name,
        tries="500 hosts each say their greeting in the open a byte at a time, and come again when cut off",
        carry_out=siege(crowd(PLAIN_TRACKER, _half_greetings, is_newcomer=True)),
        bounds=IN,
    ),
    Attack(
        name="quiet-links-tracker",
        role="tracker",
        tries="4,000 links greet and say nothing more",
        carry_out=siege(crowd(TRACKER, _quiet_links, is_newcomer=False, connects_s=0.001)),
    ),
]
