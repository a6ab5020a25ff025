"""Silent connections at a daemon that may open few files: is anybody else let in?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.attack.attack import Attack
from tests.attack.crowd import ONE_HOST, Crowd, Manner
from tests.attack.honest import Newcomer
from tests.attack.siege import Scene, Tally, siege
from tests.attack.stage import Stage, Victim
from tests.attack.verdict import Bounds
from tests.attack.victims import start_index_server, start_sharer, start_super_peer, start_tracker

_DESCRIPTORS: Final = 64
_SILENT: Final = 200


def _start_sharer(stage: Stage, **options: int) -> Victim:
    return start_sharer(stage, stage.folder(), **options)


def silence(start: Callable[..., Victim], is_numbered: bool) -> Callable[[Stage], Scene]:
    """What sets up a daemon with few descriptors, and silent connections of one host, which come back when cut off."""

    def set_up(stage: Stage) -> Scene:
        victim, tally = start(stage, descriptors=_DESCRIPTORS), Tally()
        crowd = Crowd(victim.port, [Manner(host=ONE_HOST, comes_back_s=0.05)] * _SILENT, tally)
        return Scene(
            victim=victim,
            ask=Newcomer(victim.port, is_numbered),
            pause_s=0.1,
            questions=3,
            assaults=[crowd],
            tally=tally,
        )

    return set_up


_STARTS: Final = (
    ("tracker", start_tracker, True),
    ("index server", start_index_server, True),
    ("super peer", start_super_peer, False),
    ("sharer", _start_sharer, False),
)
ATTACKS: Final = [
    Attack(
        name=f"descriptors-{role.replace(' ', '-')}",
        role=role,
        tries="one host opens 200 silent connections to a daemon that may open 64 files",
        carry_out=siege(silence(start, is_numbered)),
        bounds=Bounds(wait_s=2.0, log_bytes=16_384),
        is_short=role in ("tracker", "sharer"),
    )
    for role, start, is_numbered in _STARTS
]
