"""A lesson: the peers, the table above them, and the prompt, until the teacher ends it."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from twisted_bazaar.cli.classroom.room import Room
from twisted_bazaar.cli.classroom.screen import Screen
from twisted_bazaar.cli.classroom.table import table_lines
from twisted_bazaar.cli.classroom.words import RoomPrompt
from twisted_bazaar.cli.terminal.prompt import Prompt
from twisted_bazaar.system.ephemeral import EphemeralDirectory, remove_leftovers

_PROMPT: Final = "classroom> "
_LOOK_EVERY_S: Final = 1.0
_PIPE_COLUMNS: Final = 80


@define
class Lesson:
    """One call of the command.

    @ivar folder: where the files of the peers go.
    """

    folder: Path
    _prompt: Prompt | None = field(default=None, init=False)

    async def work(self, reactor: Any) -> int:
        """Run the lesson; returns the exit status.

        @raise BazaarError: a peer does not come on the ring at the beginning.
        """
        prompt = self._prompt = Prompt(_PROMPT)
        states = EphemeralDirectory()
        remove_leftovers()
        states.open()
        screen = Screen(_write) if prompt.is_seen else None

        def say(line: str) -> None:
            for part in [line] if screen is None else broken_at_blanks(line, screen.columns):
                prompt.say(part)

        room = Room(reactor, self.folder, Path(states), say)

        def draw() -> None:
            if screen is not None and screen.draw(table_lines(room.views(), screen.columns, is_coloured=True)):
                # All else is gone from the window, what is being typed too.
                prompt.say("eight peers on a ring; help tells the words")

        def look() -> Deferred[None]:
            return Deferred.fromCoroutine(room.look()).addCallback(lambda _: draw())

        looking = LoopingCall(look)
        looking.clock = reactor
        try:
            draw()
            if screen is None:
                prompt.say("eight peers on a ring; help tells the words")
            seen = looking.start(_LOOK_EVERY_S)
            await room.open()
            words = RoomPrompt(
                room,
                lambda: table_lines(room.views(), _PIPE_COLUMNS if screen is None else screen.columns),
                say,
                reactor,
                strict=screen is None,
            )
            if screen is not None:
                prompt.interrupted = words.on_interrupt
            return await words.run_until_interrupted(prompt, reactor)
        finally:
            if looking.running:
                looking.stop()
                await seen
            await room.close()
            if screen is not None:
                screen.end()
            states.close()

    def interrupt(self, at: float) -> bool:
        """Ctrl-C while no line is typed; returns whether the prompt is there for it.

        @param at: when it came.
        """
        return self._prompt is not None and self._prompt.interrupt(at)


def broken_at_blanks(line: str, columns: int) -> list[str]:
    """A line as several, where it is too long for a terminal; the first one's indent stays."""
    if len(line) <= columns:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line.strip(),
        columns,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
