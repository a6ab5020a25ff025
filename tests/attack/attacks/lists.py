"""Made-up lists: what do the heaviest entries weigh that a stranger can list?"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from tests.attack.attack import Attack
from tests.attack.honest import link
from tests.attack.siege import NotAnswered, Scene, Tally, siege
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import INDEX_SERVER, SUPER_PEER, Kind
from tests.integration.watched_node import framed

_FRAME_BYTES: Final = 60_000
_UNDER_WAY: Final = 4
# What all lists may take, of which a peer has half and a host five eighths.
_INDEX_BYTES: Final = 256 << 20
_SUPER_BYTES: Final = 128 << 20
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def made_up_files(rng: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Files with names of 32 words that nobody else has."""
    for number in itertools.count():
        words = " ".join("".join(rng.choices(_LETTERS, k=6)) for _ in range(32))
        yield "add", {"name": words, "size": number, "digest": rng.randbytes(32).hex()}


def made_up_goods(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Goods with names as long as they may be."""
    while True:
        yield "offer", rng.randbytes(64).hex()


Entries = Callable[[random.Random], Iterator[tuple[str, Any]]]


class Fabricator:
    """Lists made-up entries, as one peer after the other, each as many as it may.

    @param port: of the daemon.
    @param kind: of the daemon.
    @param entries: makes them.
    @param at_once: how many peers list at a time, one after the other.
    @param most: how many entries each lists.
    """

    def __init__(self, port: int, kind: Kind, entries: Entries, at_once: int, most: int, tally: Tally) -> None:
        self._port = port
        self._kind = kind
        self._entries = entries
        self._at_once = at_once
        self._most = most
        self._tally = tally

    def __call__(self, deadline: float) -> None:
        """Do it until then. The peers stay until the end, so that nothing of theirs is forgotten."""
        rng = random.Random()
        lists = [_List(self._port, self._kind, self._entries(rng), self._most) for _ in range(self._at_once)]
        for each in lists:
            Tally.add(self._tally.connections, 1)
            while time.monotonic() < deadline and each.tell_more(deadline, self._tally):
                pass
        while time.monotonic() < deadline:
            time.sleep(0.05)


class _List:
    """The list of one peer."""

    def __init__(self, port: int, kind: Kind, entries: Iterator[tuple[str, Any]], most: int) -> None:
        self._peer = link(port, kind.is_numbered, 4000)
        kind.prepare(self._peer)
        self._entries = entries
        self._left = most
        self._mark = 0
        self._under_way = 0

    def leave(self) -> None:
        """Go without a word; the list may be kept for a while."""
        self._peer.socket.close()

    def tell_more(self, deadline: float, tally: Tally) -> bool:
        """Tell another part, when there is an answer to an earlier one; returns whether it is worth going on."""
        part: dict[str, list[Any]] = {}
        size, count = 0, 0
        while size < _FRAME_BYTES and count < min(1000, self._left):
            key, entry = next(self._entries)
            part.setdefault(key, []).append(entry)
            size += len(msgspec.json.encode(entry)) + 1
            count += 1
        frame = framed("update", id=1, base=self._mark, mark=self._mark + 1, **part)
        if not count or not self._peer.write(frame):
            return False
        self._left -= count
        self._mark += 1
        self._under_way += 1
        Tally.add(tally.sent_bytes, len(frame))
        Tally.add(tally.requests, count)
        while self._under_way >= _UNDER_WAY:
            message = self._peer.read(deadline)
            if message is None or message["type"] == "error":
                return False
            self._under_way -= message["type"] == "listed"
        return True


def make_up(kind: Kind, entries: Entries, at_once: int, most: int = 100_000) -> Callable[[Stage], Scene]:
    """What sets up one who lists made-up entries."""

    def set_up(stage: Stage) -> Scene:
        victim, tally = kind.start(stage), Tally()
        fabricator = Fabricator(victim.port, kind, entries, at_once, most, tally)
        return Scene(victim=victim, ask=kind.client(victim), assaults=[fabricator], tally=tally)

    return set_up


class Churner:
    """Lists files, leaves, and comes back as somebody else, so that each list is kept for a while."""

    def __init__(self, port: int, kind: Kind, tally: Tally) -> None:
        self._port = port
        self._kind = kind
        self._tally = tally

    def __call__(self, deadline: float) -> None:
        """Do it until then."""
        rng = random.Random()
        while time.monotonic() < deadline:
            try:
                each = _List(self._port, self._kind, made_up_files(rng), 1_000)
            except NotAnswered:
                continue
            Tally.add(self._tally.connections, 1)
            while time.monotonic() < deadline and each.tell_more(deadline, self._tally):
                pass
            each.leave()


def _churn(stage: Stage) -> Scene:
    victim, tally = INDEX_SERVER.start(stage), Tally()
    churner = Churner(victim.port, INDEX_SERVER, tally)
    return Scene(victim=victim, ask=INDEX_SERVER.client(victim), assaults=[churner], tally=tally)


ATTACKS: Final = [
    *(
        Attack(
            name=f"made-up-files-{word}",
            role=kind.name,
            tries="one peer lists 100,000 files of 32 made-up words each",
            carry_out=siege(make_up(kind, made_up_files, 1)),
            bounds=Bounds(peak_bytes=all_bytes // 2),
            is_short=True,
        )
        for kind, word, all_bytes in ((INDEX_SERVER, "index", _INDEX_BYTES), (SUPER_PEER, "super", _SUPER_BYTES))
    ),
    *(
        Attack(
            name=f"made-up-goods-{word}",
            role=kind.name,
            tries="ten peers list 100,000 made-up goods each, with names of 128 characters",
            carry_out=siege(make_up(kind, made_up_goods, 10)),
            bounds=Bounds(peak_bytes=all_bytes * 5 // 8),
            is_short=kind is INDEX_SERVER,
        )
        for kind, word, all_bytes in ((INDEX_SERVER, "index", _INDEX_BYTES), (SUPER_PEER, "super", _SUPER_BYTES))
    ),
    Attack(
        name="lists-left-index",
        role="index server",
        tries="peer after peer lists 1,000 made-up files and leaves, so that all lists are kept for its return",
        carry_out=siege(_churn),
        # What has been let go of and is not cleared yet comes to what a host may have.
        bounds=Bounds(peak_bytes=_INDEX_BYTES * 3 // 4),
    ),
]
