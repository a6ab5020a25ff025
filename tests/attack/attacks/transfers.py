"""Askers of a sharer that come and go, or ask for much that is small: when does an honest download begin?"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from tests.attack.attack import Attack
from tests.attack.attacks.slots import is_served
from tests.attack.crowd import ALL, ONE_HOST, Crowd, Manner, hosts
from tests.attack.honest import Downloader
from tests.attack.siege import Scene, Tally, siege
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import make_file, start_sharer
from tests.integration.watched_node import framed, until

_FILE_BYTES: Final = 64 << 20


def askers(make: Callable[[str, str], Manner], places: list[str]) -> Callable[[Stage], Scene]:
    """What sets up a sharer of one file, and askers.

    @param make: how an asker behaves, from its host and the digest of the file.
    @param places: the hosts of all of them.
    """

    def set_up(stage: Stage) -> Scene:
        folder, tally = stage.folder(), Tally()
        digest = make_file(folder, _FILE_BYTES)
        victim = start_sharer(stage, folder)
        download = Downloader(victim.port, digest)
        assert until(lambda: is_served(download)), f"the file is not shared:\n{victim.log()}"
        crowd = Crowd(victim.port, [make(host, digest) for host in places], tally)
        return Scene(victim=victim, ask=download, pause_s=0.1, questions=3, assaults=[crowd], tally=tally)

    return set_up


def _does_not_read_digests(host: str, digest: str) -> Manner:
    fetch, pages = framed("fetch", digest=digest), framed("digests", first=0, count=64) * 100
    return Manner(host=host, hello=lambda key: fetch, more=lambda: pages, requests=100, read_bytes_s=0)


def _asks_for_nothing_there(host: str, digest: str) -> Manner:
    return Manner(host=host, hello=lambda key: framed("fetch", digest=secrets.token_hex(32)), comes_back_s=0.0)


def _queues_and_passes(host: str, digest: str) -> Manner:
    fetch, both = framed("fetch", digest=digest), (framed("queue") + framed("pass")) * 100
    return Manner(host=host, hello=lambda key: fetch, more=lambda: both, requests=200, read_bytes_s=ALL)


def _wants_and_goes(host: str, digest: str) -> Manner:
    """Gets the source to read chunks that nobody takes: it goes before they come."""
    wants = b"".join(framed("want", chunk=chunk) for chunk in range(8))
    hello = framed("fetch", digest=digest) + framed("queue") + wants
    return Manner(
        host=host, hello=lambda key: hello, more=lambda: b"0:,", every_s=0.05, read_bytes_s=0, comes_back_s=0.0
    )


BOUNDS: Final = Bounds(wait_s=2.0)
_FROM_ONE: Final = [ONE_HOST] * 30
ATTACKS: Final = [
    Attack(
        name="digests-unread-sharer",
        role="sharer",
        tries="one host asks over 30 connections for pages of digests without a pause, and reads nothing",
        carry_out=siege(askers(_does_not_read_digests, _FROM_ONE)),
        bounds=BOUNDS,
    ),
    Attack(
        name="nofile-sharer",
        role="sharer",
        tries="100 hosts ask for files that are not there, each time over a new connection",
        carry_out=siege(askers(_asks_for_nothing_there, hosts(100))),
        bounds=BOUNDS,
    ),
    Attack(
        name="queue-pass-sharer",
        role="sharer",
        tries="one host queues for a slot and gives it back over 30 connections, without a pause",
        carry_out=siege(askers(_queues_and_passes, _FROM_ONE)),
        bounds=BOUNDS,
    ),
    Attack(
        name="want-and-go-sharer",
        role="sharer",
        tries="one host wants eight chunks over each of 30 connections, goes before they come, and comes again",
        carry_out=siege(askers(_wants_and_goes, _FROM_ONE)),
        bounds=BOUNDS,
    ),
]
