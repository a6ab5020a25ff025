"""A lesson: the peers, the table above them, and the prompt, until the teacher ends it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from attrs import frozen
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


@frozen
class Lesson:
    """One call of the command.

    @ivar folder: where the files of the peers go.
    """

    folder: Path

    async def work(self, reactor: Any) -> int:
        """Run the lesson; returns the exit status.

        @raise BazaarError: a peer does not come on the ring at the beginning.
        """
        prompt = Prompt(_PROMPT)
        states = EphemeralDirectory()
        remove_leftovers()
        states.open()
        room = Room(reactor, self.folder, Path(states), prompt.say)
        screen = Screen(_write) if prompt.is_seen else None

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
                prompt.say,
                reactor,
                strict=screen is None,
            )
            return await words.run(prompt, reactor)
        finally:
            if looking.running:
                looking.stop()
                await seen
            await room.close()
            if screen is not None:
                screen.end()
            states.close()


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
