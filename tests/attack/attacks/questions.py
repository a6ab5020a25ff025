"""Questions that cost more to answer than to ask, from peers that do read: do those of others wait?"""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Callable
from typing import Any, Final

from tests.attack.attack import Attack
from tests.attack.attacks.not_reading import Lister
from tests.attack.crowd import ALL, Crowd, Manner, hello, hosts
from tests.attack.honest import link
from tests.attack.siege import Scene, Tally, siege
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import INDEX_SERVER, SUPER_PEER, TRACKER, Kind
from tests.integration.plain_super_peer import gaps
from tests.integration.watched_node import HandPeer, framed

_AT_ONCE: Final = 20
# One letter of three bytes that NFKC makes eighteen letters of.
_LIGATURE: Final = "\ufdfa"


def asking(
    kind: Kind,
    make_question: Callable[[int], bytes],
    *,
    count: int = 50,
    hello_more: Callable[[], bytes] = lambda: b"",
    files: int = 0,
) -> Callable[[Stage], Scene]:
    """What sets up a daemon and peers that ask without a pause, and read every answer.

    @param make_question: the bytes of a question, from its number.
    @param count: how many peers, each of a host of its own.
    @param hello_more: what each says after its greeting.
    @param files: how many files an honest peer lists at an index server.
    """

    def set_up(stage: Stage) -> Scene:
        victim, tally = kind.start(stage), Tally()
        tend = Lister(victim, files).renew if files else lambda: None
        greet_first, numbers = hello(kind.is_numbered), itertools.count(1)
        manners = [
            Manner(
                host=host,
                hello=lambda key: greet_first(key) + hello_more(),
                more=lambda: b"".join(make_question(next(numbers)) for _ in range(_AT_ONCE)),
                requests=_AT_ONCE,
                read_bytes_s=ALL,
            )
            for host in hosts(count)
        ]
        return Scene(
            victim=victim,
            ask=kind.client(victim, 10.0),
            pause_s=kind.pause_s,
            assaults=[Crowd(victim.port, manners, tally)],
            tend=tend,
            tally=tally,
        )

    return set_up


def _fixed(type: str, **keys: Any) -> Callable[[int], bytes]:
    question = framed(type, **keys)
    return lambda number: question


def _relist(number: int) -> bytes:
    """A list of 300 files in place of the last."""
    rng = random.Random(number)
    files = [{"name": f"file {rng.random()}", "size": 1, "digest": rng.randbytes(32).hex()} for _ in range(300)]
    return framed("update", id=number, base=0, mark=number, add=files)


def _replace_table(number: int) -> bytes:
    """A whole table with every second slot that a frame has room for."""
    return framed("table", base=0, version=number, bits=20, on=_SLOTS[number % 2])


_SLOTS: Final = tuple(gaps(range(first, 1 << 20, 26)) for first in (0, 1))
_HAVE: Final = [secrets.randbelow(1 << 31) + 1 for _ in range(256)]


def _registered() -> bytes:
    return framed("register", id=1)


def _nodes(stage: Stage) -> Scene:
    """A tracker with many nodes to choose from, which is asked for one of another kind by many."""
    victim, tally = TRACKER.start(stage), Tally()
    nodes: list[HandPeer] = []
    for port in range(1, 500):
        nodes.append(link(victim.port, True, port))
    question = framed("nodereq", have=_HAVE)
    manners = [
        Manner(host=host, hello=hello(True), more=lambda: question * _AT_ONCE, requests=_AT_ONCE) for host in hosts(50)
    ]
    return Scene(
        victim=victim,
        ask=TRACKER.client(victim),
        assaults=[Crowd(victim.port, manners, tally)],
        tend=lambda: _keep(nodes),
        tally=tally,
    )


def _keep(nodes: list[HandPeer]) -> None:
    """They live as long as this list does."""
    assert nodes, "there are some"


ATTACKS: Final = [
    Attack(
        name="nodereq-tracker",
        role="tracker",
        tries="50 links ask a tracker of 500 nodes for another than 256 of them, without a pause",
        carry_out=siege(_nodes),
    ),
    Attack(
        name="search-read-index",
        role="index server",
        tries="50 peers search 20,000 files for the beginning of a word that all have, and read the answers",
        carry_out=siege(asking(INDEX_SERVER, _fixed("findfiles", id=1, words="song o", most=1000), files=20_000)),
    ),
    Attack(
        name="casefold-index",
        role="index server",
        tries="50 peers search for 255 ligatures, each of which stands for 18 letters",
        carry_out=siege(asking(INDEX_SERVER, _fixed("findfiles", id=1, words=_LIGATURE * 255), files=1000)),
    ),
    Attack(
        name="relist-index",
        role="index server",
        tries="20 peers list 300 new files in place of their last ones, without a pause",
        carry_out=siege(asking(INDEX_SERVER, _relist, count=20)),
        # Lists that were replaced are cleared a little later; all lists together, these too, have so much.
        bounds=Bounds(peak_bytes=256 << 20),
    ),
    Attack(
        name="queries-super",
        role="super peer",
        tries="50 weak peers ask for a word of one letter, which everybody may have, without a pause",
        carry_out=siege(
            asking(
                SUPER_PEER,
                lambda number: framed("query", id=secrets.token_hex(16), words="a"),
                hello_more=_registered,
            )
        ),
    ),
    Attack(
        name="tables-super",
        role="super peer",
        tries="20 weak peers replace tables of 40,000 slots by others, without a pause",
        carry_out=siege(asking(SUPER_PEER, _replace_table, count=20, hello_more=_registered)),
    ),
]
