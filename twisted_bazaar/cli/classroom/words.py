"""The words that a teacher types below the table of the classroom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from twisted_bazaar.cli.classroom.room import Room, place_of
from twisted_bazaar.cli.terminal.interpreter import HELP, Interpreter, Word
from twisted_bazaar.cli.terminal.prompt import Prompt
from twisted_bazaar.errors import BazaarError, UsageError
from twisted_bazaar.exit_status import ExitStatus

_LONGEST_WAIT_S: Final = 3_600


class RoomPrompt(Interpreter):
    """Understands what is typed below the table.

    @param room: the peers.
    @param table: the lines of the table as it is now.
    @param say: takes a line for people.
    @param strict: whether what went wrong is in the exit status, as for a pipe.
    """

    def __init__(
        self,
        room: Room,
        table: Callable[[], list[str]],
        say: Callable[[str], object],
        reactor: Any,
        *,
        strict: bool,
    ) -> None:
        super().__init__(WORDS, say)
        self._room = room
        self._table = table
        self._reactor = reactor
        self._is_strict = strict
        self._running: Deferred[int] | None = None
        self._is_ended = False

    async def run_until_interrupted(self, prompt: Prompt, reactor: Any) -> int:
        """Take lines until one ends it, there are no more, or Ctrl-C ends it, which is a C{quit} then."""
        running = self._running = Deferred.fromCoroutine(self.run(prompt, reactor))
        try:
            return await running
        except CancelledError:
            if not self._is_ended:
                raise
            return ExitStatus.DONE

    def on_interrupt(self) -> None:
        """Ctrl-C, and nothing that was typed is to be cleared: stop what is waited for, or else end the lesson."""
        if not self.interrupt() and self._running is not None:
            self._is_ended = True
            self._running.cancel()

    async def run_line(self, line: str | None) -> int | None:
        """Do what a line says; one that begins with a number is for the prompt of that peer."""
        number, _, rest = (line or "").strip().partition(" ")
        if not number.isdecimal():
            return await super().run_line(line)
        try:
            if not rest.strip():
                raise UsageError(f"what is to be typed at peer {number}? write {number} store 2012, or {number} help")
            self._room.type_at(place_of(number), rest.strip())
        except BazaarError as error:
            self.status: int = ExitStatus.NO
            self._say(str(error))
        return None

    async def run_end(self) -> int | None:
        """There are no more lines: all peers end, in a pipe when they have done what was typed at them."""
        if self._is_strict:
            try:
                await self._room.finish()
            except BazaarError as error:
                self.status = ExitStatus.NO
                self._say(str(error))
        return await super().run_end()

    def completions(self) -> list[str]:
        """The beginnings of all lines that can be typed."""
        return [line for line in super().completions() if not line.startswith(_AT_A_PEER)]

    async def _kill(self, rest: str) -> None:
        if not rest:
            raise UsageError("kill PEER: say which peer, such as kill 3")
        await self._room.kill(place_of(rest))
        self._say(f"peer {rest} is dead; it has told nobody")

    async def _leave(self, rest: str) -> None:
        if not rest:
            raise UsageError("leave PEER: say which peer, such as leave 4")
        await self._room.leave(place_of(rest))

    async def _join(self, rest: str) -> None:
        words = rest.split()
        if len(words) > 2:
            raise UsageError("join where? write join, join PLACE, or join PLACE BY")
        place, by = (*map(place_of, words), None, None)[:2]
        joining = Deferred.fromCoroutine(self._room.join(place, by))
        if self._is_strict:
            await joining
        else:
            # It may take as long as a death takes to be noticed; meanwhile other words can be typed.
            joining.addErrback(self._say_failed)

    def _say_failed(self, failure: Failure) -> None:
        failure.trap(BazaarError)
        self._say(str(failure.value))

    async def _pings(self, rest: str) -> None:
        self._room.has_pings = not self._room.has_pings if rest not in ("on", "off") else rest == "on"
        self._say(f"pings are {'told' if self._room.has_pings else 'not told'}")

    async def _show_table(self, rest: str) -> None:
        await self._room.look()
        for line in self._table():
            self._say(line)

    async def _wait(self, rest: str) -> None:
        if not rest:
            await self._room.until_whole()
            return
        seconds = place_of(rest)
        if seconds > _LONGEST_WAIT_S:
            raise UsageError(f"wait for {_LONGEST_WAIT_S:,} seconds at most")
        await deferLater(self._reactor, seconds, lambda: None)

    async def _at_a_peer(self, rest: str) -> None:
        raise UsageError("write the number of a peer, and what is to be typed there, such as 3 store 2012")

    async def _quit(self, rest: str) -> int:
        return self.status if self._is_strict else ExitStatus.DONE


_AT_A_PEER: Final = "PEER"
WORDS: Final = (
    Word("kill", "PEER", "end a peer at once, as in a power cut: nobody is told", RoomPrompt._kill),
    Word("leave", "PEER", "have a peer leave: it hands over what it keeps", RoomPrompt._leave),
    Word("join", "[PLACE [BY]]", "have another peer join, by peer BY", RoomPrompt._join),
    Word(_AT_A_PEER, "WORDS", "type at the prompt of a peer: 3 store 2012, 8 request 2012", RoomPrompt._at_a_peer),
    Word("pings", "[on|off]", "whether the lines about pings are told", RoomPrompt._pings),
    Word("table", "", "the table once more, among the lines", RoomPrompt._show_table),
    Word("wait", "[SECONDS]", "wait until the ring is whole, or for so long", RoomPrompt._wait),
    HELP,
    Word("quit", "", "end all peers, and the lesson", RoomPrompt._quit, ("exit", "bye")),
)
