"""C{bazaar classroom}: eight peers of a ring in one window, with a table of the ring for the projector."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from attrs import evolve

from twisted_bazaar.cli.commands.options import OUTPUT
from twisted_bazaar.cli.terminal.command import PlainCommand
from twisted_bazaar.cli.terminal.session import ending_when_interrupted, run_in_reactor
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import WRONG_OPTION, Ending, ExitStatus
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.state import written_path

_OPTIONS: Final = (
    evolve(OUTPUT, help="Where the files of the peers go, a directory for each.", default="room", shown=None),
)
_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "The lesson is over."),
    Ending(ExitStatus.NO, "A peer could not begin or join, or something went wrong with a word."),
    WRONG_OPTION,
)


@click.command(cls=PlainCommand, declared=_OPTIONS, endings=_ENDINGS, example="bazaar classroom")
def classroom(options: OptionValues) -> None:
    """Watch eight peers of a ring in one window, and let them come, leave and die.

    Each peer is a bazaar ring --classic of its own, as a process on this machine. A table at the top shows who is whose
    predecessor and successor, and what each keeps; below it stands what they say. Type kill 3, leave 4, join 230 or
    3 store 2012; help tells the words, and docs/howto/classroom.md the lesson.
    """
    from twisted_bazaar.cli.classroom.run import Lesson

    folder = written_path(Path(options["output"]), "--output").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output {folder}: {error.strerror}") from None
    with ending_when_interrupted():
        lesson = Lesson(folder)
        status = run_in_reactor(lesson.work, lesson.interrupt)
    raise SystemExit(status)
