"""C{bazaar demo}: a market of real daemons that shows what it promises, and checks that it did.

It is shown: a sale that had to cross two relays, a buyer that finds its seller sold out and goes on to
the next, a seller that arrives after its buyer, a sale that survives that both its ends are killed, with its
receipt; and that in the end the books agree.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

import click

from twisted_bazaar.cli.terminal.interruption import Interruption
from twisted_bazaar.demo.audit import settle_accounts
from twisted_bazaar.demo.daemons import BadLuck, DemoFailure, Stage
from twisted_bazaar.demo.narration import Narration
from twisted_bazaar.demo.scenes import GOODS, Market
from twisted_bazaar.exit_status import ExitStatus

_TRIES: Final = 3
# What a unix socket's address has room for, less the name of a daemon and of its socket.
_LONGEST_DIRECTORY: Final = 80


def run_demo() -> int:
    """Run the demo and tell it.

    @return: the exit status: 0 when everything promised has happened, 1 when not.
    @raise SystemExit: the user interrupted it.
    """
    try:
        story = Narration(time.monotonic)
        story.title("A market without a market place")
        with Interruption() as interruption:
            _run_until_lucky(story, interruption)
    except BrokenPipeError:
        # Whoever read the story has gone; click ends the process quietly.
        raise
    except (DemoFailure, OSError) as failure:
        click.echo(f"\nbazaar demo: {failure}", err=True)
        return ExitStatus.NO
    return ExitStatus.DONE


def _run_until_lucky(story: Narration, interruption: Interruption) -> None:
    """Run the demo, once more if it fails for a reason that may be gone the next time."""
    for _ in range(_TRIES - 1):
        try:
            _run_once(story, interruption, is_last=False)
        except BadLuck as failure:
            story.tell(f"Bad luck: {failure}. Once more from the start.", "bold yellow")
        else:
            return
    _run_once(story, interruption, is_last=True)


def _run_once(story: Narration, interruption: Interruption, *, is_last: bool) -> None:
    """Run the demo in a directory of its own; a failure keeps it, for those who want to look into it."""
    directory = Path(tempfile.mkdtemp(prefix="bazaar-demo-"))
    keeps = False
    try:
        if len(os.fsencode(directory)) > _LONGEST_DIRECTORY:
            raise DemoFailure(f"{directory.parent} has too long a name for sockets in it; set TMPDIR to a shorter one")
        _play(Stage(directory, interruption, time.monotonic, time.sleep), story)
    except DemoFailure as failure:
        if (isinstance(failure, BadLuck) and not is_last) or not any(directory.iterdir()):
            raise
        keeps = True
        raise DemoFailure(f"{failure}.\nWhat each daemon said and did is kept in {directory}") from None
    finally:
        if not keeps:
            shutil.rmtree(directory, ignore_errors=True)


def _play(stage: Stage, story: Narration) -> None:
    """Let the market happen, end its daemons whatever has happened, and look into the books."""
    killed = []
    try:
        Market(stage, story).play()
        story.scene("Closing time")
    finally:
        killed.extend(stage.stop())
    if killed:
        raise DemoFailure(f"{', '.join(killed)} did not stop when asked to, and had to be killed")
    _check_books(stage, story)


def _check_books(stage: Stage, story: Narration) -> None:
    """Show what became of all goods.

    @raise DemoFailure: some are lost, or are there twice.
    """
    chronicle = stage.chronicle
    events = [event for kind in ("stock", "sold", "bought") for event in chronicle.find(kind)]
    supplies = {(goods.seller, goods.item): goods.quantity for goods in GOODS}
    accounts, faults = settle_accounts(supplies, events)
    story.tell("All daemons have stopped, the sellers with a last count of their stock:")
    story.books(accounts)
    if faults:
        raise DemoFailure(f"The books do not agree: {'; '.join(faults)}")
    story.end(
        f"The books agree: what was supplied is in stock or sold, and what was sold was bought. "
        f"{len(stage)} daemons, {chronicle.messages().total()} messages."
    )
