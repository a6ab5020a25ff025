"""A process that fetches a file into a folder, tells of each chunk, and is killed meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from tests.integration.test_part import fetch, manifest, pieces
from twisted_bazaar.files.download.resumable_file import ResumableFile


async def run(reactor: Any, folder: Path, is_slow: bool) -> None:
    """Fetch it; slowly means one chunk, and no more."""
    if not is_slow:
        await fetch(folder, tell=True)
        return
    part = await ResumableFile.open(reactor, folder, "a", manifest().digest)
    await part.set_manifest(manifest())
    assert await part.write(0, pieces()[0])
    sys.stdout.write("0\n")
    sys.stdout.flush()
    await Deferred()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(run(reactor, Path(sys.argv[1]), len(sys.argv) > 2)))
