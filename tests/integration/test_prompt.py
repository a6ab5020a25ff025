"""A prompt at a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from typing import Final

from tests.integration.daemons import LONGEST_S

PROGRAM: Final = """
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted_bazaar.cli.terminal.prompt import Prompt

async def ask() -> None:
    prompt = Prompt("> ")
    with prompt.opened(reactor):
        line = ""
        while line != "end":
            line = await prompt.ask()
            prompt.say(f"got {line!r}")
    reactor.stop()

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(ask()))
reactor.run()
"""


def test_goes_on_after_the_end() -> None:
    """Ctrl-D is told as the end of all lines; if that ends nothing, more lines can be typed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    try:
        deadline = time.monotonic() + LONGEST_S
        for typed, answer in ((b"", b"> "), (b"one\n", b"got 'one'"), (b"\x04", b"got None"), (b"two\n", b"got 'two'")):
            os.write(ours, typed)
            shown = b""
            while answer not in shown or not shown.endswith(b"> "):
                assert select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0], shown
                shown += os.read(ours, 4096)
        os.write(ours, b"end\n")
        assert process.wait(LONGEST_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
