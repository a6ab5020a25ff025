"""A shared folder on a real disk, with real threads and the system's own events."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import pytest_twisted
from twisted.internet.task import LoopingCall, deferLater

from tests.files.disk_cases import digest_of
from tests.integration.market import reactor
from twisted_bazaar.errors import StorageError
from twisted_bazaar.files.sharing.folder import Folder, HashMemory
from twisted_bazaar.values.files import SharedFile

# What is promised; a machine that is shared with others gets as much again.
WITHIN_S: Final = 5.0
LONGEST_S: Final = 2 * WITHIN_S
LONGEST_STALL_S: Final = 0.05
# So long nobody writes to a file before it is offered.
SETTLING_S: Final = 2.0
TICK_S: Final = 0.005
# So often a file that is swapped all the time is read, and found to be another, before that is enough.
READ: Final = 100
REFUSED: Final = 5
LONGEST_RACE_S: Final = 60.0
SECRET: Final = b"secret" * 1000


class Told:
    """What others are told of a folder; the sum of it."""

    def __init__(self) -> None:
        self.files: dict[str, SharedFile] = {}

    def changed(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Take a change."""
        for name in removed:
            del self.files[name]
        self.files.update({file.name: file for file in added})

    def digests(self) -> dict[str, str]:
        """By name."""
        return {name: file.digest for name, file in self.files.items()}


@asynccontextmanager
async def shared(path: Path, *, watched: bool = True) -> AsyncIterator[tuple[Folder, Told]]:
    """A folder that is shared meanwhile."""
    told = Told()
    folder = Folder(reactor, path, HashMemory(), told.changed, watched=watched)
    folder.start()
    try:
        yield folder, told
    finally:
        await folder.stop()


async def come_true(is_true: Callable[[], bool], what: Callable[[], object], longest_s: float = LONGEST_S) -> float:
    """Wait until something is true; returns how long it took."""
    began = reactor.seconds()
    while not is_true():
        assert reactor.seconds() - began < longest_s, what()
        await deferLater(reactor, 0.02, lambda: None)
    return float(reactor.seconds() - began)


@asynccontextmanager
async def stalls_of_reactor() -> AsyncIterator[list[float]]:
    """By how many seconds the reactor is late meanwhile, every few milliseconds.

    Whatever holds it up in this process uses a processor: time that the process did not have is no fault of its own.
    """
    stalls: list[float] = []
    last, used = reactor.seconds(), time.process_time()

    def tick() -> None:
        nonlocal last, used
        late_s = reactor.seconds() - last - TICK_S
        stalls.append(min(late_s, time.process_time() - used))
        last, used = reactor.seconds(), time.process_time()

    ticking = LoopingCall(tick)
    ticking.start(TICK_S)
    try:
        yield stalls
    finally:
        ticking.stop()


def nearly_longest(stalls: Sequence[float]) -> float:
    """The longest but for one in a hundred: what the test itself does in between holds the interpreter too."""
    return sorted(stalls)[-len(stalls) // 100]


def on_disk(path: Path) -> dict[str, str]:
    """What should be told."""
    return {file.name: digest_of(file.read_bytes()) for file in path.iterdir() if not file.name.startswith(".")}


async def agree(told: Told, path: Path, longest_s: float = LONGEST_S) -> float:
    """Wait until what others are told is what is on the disk."""
    expected = on_disk(path)
    return await come_true(lambda: told.digests() == expected, lambda: (told.digests(), expected), longest_s)


async def every_change(path: Path, *, watched: bool) -> None:
    """Change a folder in all ways, and see that what is told follows."""
    for n in range(4):
        (path / f"{n}").write_bytes(b"%d" % n)
    async with shared(path, watched=watched) as (folder, told):
        await agree(told, path)
        (path / "1").write_bytes(b"overwritten")
        (path / "2").unlink()
        (path / "3").rename(path / "renamed")
        (path / "empty").touch()
        await agree(told, path)
        with (path / "slow").open("wb", buffering=0) as stream:
            # Longer than a file has to be left alone, in pieces that follow each other sooner than that.
            began = reactor.seconds()
            while reactor.seconds() - began < 1.5 * SETTLING_S:
                written_at = reactor.seconds()
                stream.write(bytes(1000))
                await deferLater(reactor, 0.1 * SETTLING_S, lambda: None)
                await folder.refresh()
                is_left_alone = reactor.seconds() - written_at >= SETTLING_S
                assert is_left_alone or "slow" not in told.files, "half a file is offered"
        await agree(told, path)
        (path / ".new").write_bytes(b"replaced")
        (path / ".new").replace(path / "1")
        await agree(told, path)


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_every_change(tmp_path: Path) -> None:
    """New, overwritten, renamed, deleted and half-written files are right soon."""
    await every_change(tmp_path, watched=True)


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_without_events(tmp_path: Path) -> None:
    """They are, too, when no event ever comes."""
    await every_change(tmp_path, watched=False)


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_events_make_it_fast(tmp_path: Path) -> None:
    """With the system's events a deletion is known long before the next look would be due."""
    async with shared(tmp_path) as (_, told):
        times = []
        for n in range(4):
            (tmp_path / "a").write_bytes(b"%d" % n)
            await agree(told, tmp_path)
            (tmp_path / "a").unlink()
            times.append(await agree(told, tmp_path))
    assert sorted(times)[1] < 0.6, times


@pytest_twisted.ensureDeferred
async def test_folder_comes_and_goes(tmp_path: Path) -> None:
    """A folder that goes takes its files with it; made anew, it is watched anew."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "a").write_bytes(b"a")
    async with shared(path) as (folder, told):
        await agree(told, path)
        (path / "a").unlink()
        path.rmdir()
        await come_true(lambda: not told.files and folder.fault is not None, lambda: folder.fault)
        path.mkdir()
        (path / "b").write_bytes(b"b")
        await agree(told, path)
        assert folder.fault is None
        (path / "b").unlink()
        await agree(told, path)


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_ten_thousand(tmp_path: Path) -> None:
    """Ten thousand files that come, change and go at once are all told of, and the reactor is never held up."""

    def write(path: Path, generation: int) -> None:
        for n in range(10_000):
            (path / f"{n}").write_bytes(b"%d of %d" % (n, generation))

    def change(path: Path) -> None:
        for n in range(0, 10_000, 3):
            (path / f"{n}").unlink()
        for n in range(1, 10_000, 3):
            (path / f"{n}").rename(path / f"r{n}")

    async def do(work: Callable[[], None]) -> None:
        writing = threading.Thread(target=work)
        writing.start()
        await come_true(lambda: not writing.is_alive(), lambda: "it still writes", 60.0)

    async def without_sharing(name: str) -> list[float]:
        """How long the reactor is held up all the same: by the writer's thread, and by others on this machine."""
        alone = tmp_path / name
        alone.mkdir()
        async with stalls_of_reactor() as stalls:
            for work in (lambda: write(alone, 1), lambda: write(alone, 2), lambda: change(alone)):
                await do(work)
                on_disk(alone)
        return stalls

    path = tmp_path / "shared"
    path.mkdir()
    # Before and after: the machine may have been busier meanwhile than it was at first.
    control = await without_sharing("before")
    async with shared(path) as (_, told), stalls_of_reactor() as stalls:
        for work in (lambda: write(path, 1), lambda: write(path, 2), lambda: change(path)):
            await do(work)
            await agree(told, path, 30.0)
    control += await without_sharing("after")
    longest_s = max(LONGEST_STALL_S, 3 * nearly_longest(control))
    assert nearly_longest(stalls) < longest_s, (longest_s, sorted(stalls)[-20:])


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_races(tmp_path: Path) -> None:
    """While somebody swaps files, links and folders all the time, nothing from outside ever comes out."""
    path, outside = tmp_path / "folder", tmp_path / "outside"
    path.mkdir()
    outside.mkdir()
    secret = outside / "a"
    secret.write_bytes(SECRET)
    content = b"public" * 1000
    os.utime(secret, (1, 1))
    ended = threading.Event()
    digest = digest_of(content)
    (path / "a").write_bytes(content)
    os.utime(path / "a", (1, 1))

    def swap() -> None:
        turn = 0
        while not ended.wait(0.01 if turn % 4 else 0.3):
            turn += 1
            (path / "a").rename(path / ".kept")
            if turn % 3:
                (path / "a").symlink_to(secret)
                (path / "a").unlink()
            else:
                (path / "a").mkdir()
                (path / "a").rmdir()
            (path / ".kept").rename(path / "a")
            if not turn % 5:
                path.rename(tmp_path / "kept")
                path.symlink_to(outside)
                path.unlink()
                (tmp_path / "kept").rename(path)

    async with shared(path) as (folder, told):
        await agree(told, path)
        swapping = threading.Thread(target=swap)
        swapping.start()
        read = refused = 0
        try:
            began = reactor.seconds()
            while min(read / READ, refused / REFUSED) < 1 and reactor.seconds() - began < LONGEST_RACE_S:
                served = folder.content(digest)
                assert set(told.digests().values()) <= {digest}, told.digests()
                if served is None:
                    await deferLater(reactor, 0.01, lambda: None)
                    continue
                try:
                    assert await served.read(0) == content
                    read += 1
                except StorageError:
                    refused += 1
        finally:
            ended.set()
            swapping.join()
        await agree(told, path)
    assert (read >= READ, refused >= REFUSED) == (True, True), (read, refused)
    assert (os.listdir(outside), secret.read_bytes(), secret.stat().st_mtime) == (["a"], SECRET, 1)
