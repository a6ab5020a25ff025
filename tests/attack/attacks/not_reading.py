"""Peers that ask an index server for much, and do not read it: what does it cost the others?"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Final

from tests.attack.attack import Attack
from tests.attack.crowd import Crowd, Manner, hello, hosts
from tests.attack.honest import link
from tests.attack.siege import Scene, Tally, siege
from tests.attack.stage import Stage, Victim
from tests.attack.verdict import Bounds
from tests.attack.victims import INDEX_SERVER, start_index_server
from tests.integration.watched_node import framed

_FILES: Final = 20_000
_A_PART: Final = 400
_RENEW_S: Final = 5.0


class Lister:
    """An honest peer of an index server that lists many files, and keeps its lease."""

    def __init__(self, victim: Victim, count: int) -> None:
        self._peer = link(victim.port, True, 4000)
        self._renewed = time.monotonic()
        self._mark = 0
        for part in _parts(count):
            self._peer.tell("update", id=1, base=self._mark, mark=self._mark + 1, add=part)
            self._mark += 1
            assert self._peer.hear("listed", mark=self._mark) is not None, "a list is taken"

    def renew(self) -> None:
        """Say that the list is still right, if it is time to."""
        if time.monotonic() > self._renewed + _RENEW_S:
            self._peer.tell("renew", id=2, mark=self._mark)
            self._renewed = time.monotonic()


def _parts(count: int) -> Iterator[list[dict[str, object]]]:
    names = ["wanted", *(f"song {i} of {secrets.token_hex(4)}" for i in range(count - 1))]
    for first in range(0, count, _A_PART):
        some = names[first : first + _A_PART]
        yield [{"name": name, "size": 1000, "digest": secrets.token_hex(32)} for name in some]


def ask_much(asks: dict[str, object], read_bytes_s: float = 0, count: int = 50) -> Callable[[Stage], Scene]:
    """What sets up peers that ask again and again."""

    def set_up(stage: Stage) -> Scene:
        victim, tally = start_index_server(stage), Tally()
        lister = Lister(victim, _FILES)
        question = framed("findfiles", id=1, most=1000, **asks)
        manners = [
            Manner(
                host=host,
                hello=hello(True),
                more=lambda: question * 20,
                requests=20,
                read_bytes_s=read_bytes_s,
            )
            for host in hosts(count)
        ]
        return Scene(
            victim=victim,
            ask=INDEX_SERVER.client(victim, 10.0),
            assaults=[Crowd(victim.port, manners, tally)],
            tend=lister.renew,
            tally=tally,
        )

    return set_up


ATTACKS: Final = [
    Attack(
        name="list-unread",
        role="index server",
        tries="50 peers ask for all of 20,000 files again and again, and read nothing",
        carry_out=siege(ask_much({})),
        bounds=Bounds(again_bytes=5_000_000),
        is_short=True,
    ),
    Attack(
        name="search-unread",
        role="index server",
        tries="50 peers search 20,000 files for a word that all have, and read nothing",
        carry_out=siege(ask_much({"words": "song of"})),
    ),
    Attack(
        name="search-slowly-read",
        role="index server",
        tries="50 peers search 20,000 files for the beginning of a word that all have, and read 20 KB/s",
        carry_out=siege(ask_much({"words": "so"}, 20_000)),
    ),
]
