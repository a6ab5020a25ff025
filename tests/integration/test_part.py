"""Downloads on a real disk: killed anywhere, and with somebody meddling."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, DeferredList

from tests.files.disk_cases import manifest_of, pieces_of, some_bytes
from tests.integration.market import reactor
from twisted_bazaar.errors import AlreadyThere, BazaarError, UsageError
from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest
from twisted_bazaar.files.download.part_file import hidden_names
from twisted_bazaar.files.download.resumable_file import ResumableFile

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PIECE_COUNT: Final = 24
AT_ONCE: Final = 4
KILLS: Final = 12
LONGEST_S: Final = 30.0


@cache
def content() -> bytes:
    """What is in the file, made when it is first needed."""
    return some_bytes(PIECE_COUNT * CHUNK_BYTES)


def pieces() -> list[memoryview]:
    """Its chunks."""
    return pieces_of(memoryview(content()))


@cache
def manifest() -> Manifest:
    """What its chunks have to be."""
    return manifest_of(content())


@pytest.fixture(scope="module", autouse=True)
def _kept_no_longer() -> Iterator[None]:
    """Let go of what is in the file after the last test."""
    yield
    content.cache_clear()


async def fetch(folder: Path, *, tell: bool = False) -> ResumableFile:
    """Fetch what is missing, a few chunks at once."""
    part = await ResumableFile.open(reactor, folder, "a", manifest().digest)
    try:
        await part.set_manifest(manifest())
        missing = iter(list(part.holdings.missing()))

        async def write() -> None:
            for chunk in missing:
                assert await part.write(chunk, pieces()[chunk])
                if tell:
                    os.write(1, b"%d\n" % chunk)

        writing = [Deferred.fromCoroutine(write()) for _ in range(AT_ONCE)]
        await DeferredList(writing, consumeErrors=True)
        await part.finish()
    finally:
        await part.close()
    return part


@pytest_twisted.ensureDeferred
@pytest.mark.slow
async def test_killed_again_and_again(tmp_path: Path) -> None:
    """Whenever a process is killed, every chunk that was written is there, and the file becomes whole."""
    rng = random.Random(7)
    told: set[int] = set()
    for _ in range(KILLS):
        process = subprocess.Popen(
            (sys.executable, "-m", "tests.integration.killed_fetch", str(tmp_path)), stdout=subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None, "it is a pipe"
        lines = [process.stdout.readline() for _ in range(rng.randrange(4))]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.stdout.close()
        assert process.wait(LONGEST_S) in (0, -signal.SIGKILL)
        told.update(int(line) for line in lines if line.endswith(b"\n"))
        if (tmp_path / "a").exists():
            break
        assert len(told) < PIECE_COUNT
        part = await ResumableFile.open(reactor, tmp_path, "a", manifest().digest)
        assert {*part.holdings} >= told
        await part.close()
    assert told, "no process came to write anything"
    if not (tmp_path / "a").exists():
        await fetch(tmp_path)
    assert (tmp_path / "a").read_bytes() == content()
    try:
        await ResumableFile.open(reactor, tmp_path, "a", manifest().digest)
    except AlreadyThere:
        assert os.listdir(tmp_path) == ["a"]


@pytest_twisted.ensureDeferred
async def test_two_processes(tmp_path: Path) -> None:
    """While another process is at a download, it is refused; when that is dead it is not."""
    with subprocess.Popen(
        (sys.executable, "-m", "tests.integration.killed_fetch", str(tmp_path), "slowly"),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None, "it is a pipe"
        try:
            assert process.stdout.readline()
            with pytest.raises(UsageError, match="another process is fetching it"):
                await ResumableFile.open(reactor, tmp_path, "a", manifest().digest)
        finally:
            process.kill()
            process.wait(LONGEST_S)
    assert (await fetch(tmp_path)).resumed_bytes > 0


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_races(tmp_path: Path) -> None:
    """While somebody swaps what is hidden, the target and the folder for links, nothing outside ever changes."""
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    secret = outside / "secret"
    secret.write_bytes(b"secret")
    os.utime(secret, (1, 1))
    ended = threading.Event()

    def swap() -> None:
        rng = random.Random(3)
        while not ended.is_set():
            name = rng.choice(("a", *hidden_names("a", manifest().digest)))
            plant = rng.choice((Path.symlink_to, Path.hardlink_to))
            try:
                if rng.random() < 0.5:
                    (folder / name).unlink()
                plant(folder / name, secret)
                ended.wait(rng.random() / 500)
                if rng.random() < 0.8:
                    (folder / name).unlink()
            except OSError:
                pass

    swapping = threading.Thread(target=swap)
    swapping.start()
    outcomes: set[str] = set()
    try:
        began = reactor.seconds()
        while reactor.seconds() - began < 5.0:
            try:
                part = await fetch(folder)
                outcomes.add("fetched")
                assert part.signature is not None
            except AlreadyThere:
                outcomes.add("there")
            except BazaarError as error:
                outcomes.add(type(error).__name__)
            assert secret.read_bytes() == b"secret"
    finally:
        ended.set()
        swapping.join()
    assert {"UsageError", "StorageError"} <= outcomes, outcomes
    assert (os.listdir(outside), secret.read_bytes(), secret.stat().st_mtime) == (["secret"], b"secret", 1)
