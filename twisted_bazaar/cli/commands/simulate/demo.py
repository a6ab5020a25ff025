"""C{bazaar demo}: a market of real processes on this machine, two of which are killed in the middle of a sale."""

from __future__ import annotations

from typing import Final

import click

from twisted_bazaar.cli.terminal.command import PlainCommand
from twisted_bazaar.demo.command import run_demo
from twisted_bazaar.exit_status import WRONG_OPTION, Ending, ExitStatus

_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "Everything that it promises has happened."),
    Ending(ExitStatus.NO, "Something that it promises has not happened."),
    WRONG_OPTION,
)


@click.command(cls=PlainCommand, endings=_ENDINGS, example="bazaar demo")
def demo() -> None:
    """Watch a market trade on this machine, and survive a crash.

    The demo starts a tracker, relays, sellers and buyers as processes on loopback, kills two of them, and stops all of
    them at the end. It takes about ten seconds, writes only to a temporary directory, and opens nothing to other
    machines.
    """
    raise SystemExit(run_demo())
