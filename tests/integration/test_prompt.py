"""A prompt at a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.integration.daemons import LONGEST_S

PROGRAM: Final = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted_bazaar.cli.terminal.history import History
from twisted_bazaar.cli.terminal.prompt import Prompt

async def ask() -> None:
    prompt = Prompt("> ", History(Path(sys.argv[1]), "typed"))
    if sys.argv[2:]:
        prompt.interrupted = lambda: prompt.say("interrupted")
    with prompt.opened(reactor):
        line = ""
        while line != "end":
            line = await prompt.ask()
            prompt.say(f"got {line!r}")
    reactor.stop()

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(ask()))
reactor.run()
"""


Dialogue = Sequence[tuple[bytes, bytes]]


def hold(dialogue: Dialogue, *arguments: str | os.PathLike[str]) -> int:
    """Type at a prompt, and see each answer before the next is typed; returns the exit status."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    before = termios.tcgetattr(theirs)
    try:
        deadline = time.monotonic() + LONGEST_S
        for typed, answer in dialogue:
            os.write(ours, typed)
            shown = b""
            while answer not in shown or not shown.endswith(b"> "):
                assert select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0], shown
                shown += os.read(ours, 4096)
        os.write(ours, b"end\n")
        status = process.wait(LONGEST_S)
        assert termios.tcgetattr(theirs) == before
        return status
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def test_goes_on_after_the_end(tmp_path: Path) -> None:
    """Ctrl-D is told as the end of all lines; if that ends nothing, more lines can be typed."""
    dialogue = ((b"", b"> "), (b"one\n", b"got 'one'"), (b"\x04", b"got None"), (b"two\n", b"got 'two'"))
    assert hold(dialogue, tmp_path) == 0


def test_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C clears the line; on an empty one it is told, and the prompt goes on. The terminal is as it was then."""
    dialogue = (
        (b"", b"> "),
        (b"half a line\x03", b"^C"),
        (b"one\n", b"got 'one'"),
        (b"\x03", b"interrupted"),
        (b"two\n", b"got 'two'"),
    )
    assert hold(dialogue, tmp_path, "interruptible") == 0


def test_history(tmp_path: Path) -> None:
    """What was typed in one session is called again in the next by the arrow; what was cleared is not."""
    hold(((b"", b"> "), (b"one\n", b"got 'one'"), (b"half\x03", b"^C")), tmp_path, "interruptible")
    # The end is the latest.
    up = b"\x1b[A"
    assert hold(((b"", b"> "), (up + up + b"\n", b"got 'one'")), tmp_path, "interruptible") == 0
    assert (tmp_path / "typed").read_text() == "one\nend\none\nend\n"
