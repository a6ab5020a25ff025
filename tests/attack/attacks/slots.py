"""Upload slots that are held by who reads slowly or not at all: when does an honest download begin?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.attack.attack import Attack
from tests.attack.crowd import ONE_HOST, Crowd, Manner, hosts
from tests.attack.honest import Downloader
from tests.attack.siege import NotAnswered, Scene, Tally, siege
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import make_file, start_sharer
from tests.integration.watched_node import framed, until

_FILE_BYTES: Final = 64 << 20
_WANTED: Final = 8


def hold(count: int, read_bytes_s: float, *, is_one_host: bool = True, wants: bool = True) -> Callable[[Stage], Scene]:
    """What sets up a sharer and connections that want all of its slots.

    @param read_bytes_s: how much each of them reads.
    @param wants: whether they want chunks, or only hold the slot.
    """

    def set_up(stage: Stage) -> Scene:
        folder, tally = stage.folder(), Tally()
        digest = make_file(folder, _FILE_BYTES)
        victim = start_sharer(stage, folder)
        download = Downloader(victim.port, digest)
        assert until(lambda: is_served(download)), f"the file is not shared:\n{victim.log()}"
        chunks = b"".join(framed("want", chunk=chunk) for chunk in range(_WANTED)) if wants else b""
        hello = framed("fetch", digest=digest) + framed("queue")
        manners = [
            Manner(
                host=host,
                # A want that comes before the slot is ignored, so it is said again and again.
                hello=lambda key: hello,
                more=lambda: chunks,
                requests=1,
                every_s=0.5,
                read_bytes_s=read_bytes_s,
            )
            for host in ([ONE_HOST] * count if is_one_host else hosts(count))
        ]
        return Scene(
            victim=victim,
            ask=download,
            pause_s=0.1,
            questions=3,
            assaults=[Crowd(victim.port, manners, tally)],
            tally=tally,
        )

    return set_up


def is_served(download: Downloader) -> bool:
    """Whether a download begins."""
    try:
        download()
    except NotAnswered:
        return False
    return True


BOUNDS: Final = Bounds(wait_s=2.0)
ATTACKS: Final = [
    Attack(
        name="slots-read-slowly",
        role="sharer",
        tries="one host with 8 connections that read 4 KB a second each wants all upload slots",
        carry_out=siege(hold(8, 4096)),
        bounds=BOUNDS,
        is_short=True,
    ),
    Attack(
        name="slots-unread",
        role="sharer",
        tries="one host with 64 connections that read nothing wants all upload slots",
        carry_out=siege(hold(64, 0)),
        bounds=BOUNDS,
    ),
    Attack(
        name="slots-many-hosts",
        role="sharer",
        tries="40 hosts with one connection each that reads 4 KB a second want all upload slots",
        carry_out=siege(hold(40, 4096, is_one_host=False)),
        # Somebody who has forty machines gets forty shares of one; an honest asker still has its turn.
        bounds=Bounds(wait_s=10.0),
    ),
    Attack(
        name="slots-unwanted",
        role="sharer",
        tries="one host with 64 connections gets slots, and wants nothing",
        carry_out=siege(hold(64, 4096, wants=False)),
        bounds=BOUNDS,
    ),
]
