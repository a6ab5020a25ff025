"""Words that are typed below the table of the classroom."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.classroom.room import place_of
from twisted_bazaar.cli.classroom.run import broken_at_blanks
from twisted_bazaar.cli.classroom.words import RoomPrompt
from twisted_bazaar.errors import UsageError


class NotedRoom:
    """A room that notes what it is to do."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.has_pings = False
        self.coming: Deferred[None] = Deferred()

    def type_at(self, place: int, line: str) -> None:
        if place == 99:
            raise UsageError("there is no peer 99")
        self.done.append(("type", place, line))

    async def kill(self, place: int) -> None:
        self.done.append(("kill", place))

    async def leave(self, place: int) -> None:
        self.done.append(("leave", place))

    async def join(self, place: int | None, by: int | None) -> None:
        self.done.append(("join", place, by))
        if place == 77:
            await self.coming
        if place == 99:
            raise UsageError("peer 99 is there already")

    async def finish(self) -> None:
        self.done.append(("finish",))
        if ("type", 8, "request 7") in self.done:
            raise UsageError("not all was done that was typed at peer 8")

    async def look(self) -> None:
        self.done.append(("look",))

    async def until_whole(self) -> None:
        self.done.append(("until whole",))


class NotedPrompt:
    """A prompt at which some lines are typed, and then none for ever."""

    def __init__(self, *lines: str) -> None:
        self.lines = [*lines]

    def opened(self, reactor: object) -> AbstractContextManager[None]:
        return nullcontext()

    def ask(self) -> Deferred[str]:
        return succeed(self.lines.pop(0)) if self.lines else Deferred()


class WordTests(SynchronousTestCase):
    """A teacher types."""

    def setUp(self) -> None:
        """Have a room."""
        self.room, self.said, self.clock = NotedRoom(), list[str](), Clock()

    def words(self, *, strict: bool = False) -> RoomPrompt:
        """What understands them."""
        room: Any = self.room
        return RoomPrompt(room, lambda: ["a table"], self.said.append, self.clock, strict=strict)

    def tell(self, words: RoomPrompt, *lines: str | None) -> int | None:
        """Type some lines; returns the exit status, if the last ends it."""
        status: int | None = None
        for line in lines:
            doing = Deferred.fromCoroutine(words.run_line(line))
            self.clock.pump([1.0] * 5)
            status = self.successResultOf(doing)
        return status

    def test_peers(self) -> None:
        """Peers are killed, leave and join by their places; a line that begins with a number is typed at that peer."""
        self.tell(
            self.words(), "kill 3", "leave 4", "join", "join 230", "join 230 12", "3 store 2012", "wait", "wait 5"
        )
        self.assertEqual(
            self.room.done,
            [
                ("kill", 3),
                ("leave", 4),
                ("join", None, None),
                ("join", 230, None),
                ("join", 230, 12),
                ("type", 3, "store 2012"),
                ("until whole",),
            ],
        )
        self.assertEqual(self.said, ["peer 3 is dead; it has told nobody"])

    def test_end_of_a_file(self) -> None:
        """At the end of a file all peers do first what was typed at them; one that could not is in the status."""
        self.assertEqual(self.tell(self.words(strict=True), "8 request 2012", None), 0)
        self.assertEqual(self.room.done, [("type", 8, "request 2012"), ("finish",)])
        self.assertEqual(self.tell(self.words(strict=True), "8 request 7", None), 1)
        self.assertEqual(self.said, ["not all was done that was typed at peer 8"])
        self.room.done.clear()
        self.assertEqual(self.tell(self.words(), "8 request 2012", None), 0)
        self.assertEqual(self.room.done, [("type", 8, "request 2012")])

    def test_join_takes_long(self) -> None:
        """Before a terminal other words can be typed while a peer joins; a pipe waits for it. What fails is said."""
        words = self.words()
        self.tell(words, "join 77", "kill 3", "join 99")
        self.assertEqual(self.said, ["peer 3 is dead; it has told nobody", "peer 99 is there already"])
        self.room.coming.errback(UsageError("peer 77 has not come on the ring"))
        self.assertEqual(self.said[2:], ["peer 77 has not come on the ring"])
        self.room.coming = Deferred()
        words = self.words(strict=True)
        doing = Deferred.fromCoroutine(words.run_line("join 77"))
        self.assertNoResult(doing)
        self.room.coming.callback(None)
        self.successResultOf(doing)
        self.assertEqual(words.status, 0)

    def test_interrupted(self) -> None:
        """Ctrl-C stops what is waited for; on an empty line it ends the lesson, as quit does."""
        prompt: Any = NotedPrompt("join 77")
        words = self.words(strict=True)
        running = Deferred.fromCoroutine(words.run_until_interrupted(prompt, self.clock))
        words.on_interrupt()
        self.assertNoResult(running)
        words.on_interrupt()
        self.assertEqual(self.successResultOf(running), 0)

    def test_long_lines(self) -> None:
        """A line is broken at blanks, where a terminal is too narrow for it."""
        self.assertEqual(broken_at_blanks("peer 1: a b", 11), ["peer 1: a b"])
        self.assertEqual(broken_at_blanks("  peer 1: abc defg", 12), ["  peer 1:", "    abc defg"])

    def test_which_peer(self) -> None:
        """Who names no peer is told how."""
        self.tell(self.words(), "kill", "leave")
        self.assertEqual(
            self.said,
            ["kill PEER: say which peer, such as kill 3", "leave PEER: say which peer, such as leave 4"],
        )

    def test_table_and_pings(self) -> None:
        """The table is said once more; pings are told, or not."""
        self.tell(self.words(), "table", "pings", "pings off", "pings on")
        self.assertEqual(self.said, ["a table", "pings are told", "pings are not told", "pings are told"])
        self.assertTrue(self.room.has_pings)

    def test_wrong(self) -> None:
        """What cannot be is said, and the lesson goes on; of a pipe it is in the exit status."""
        wrong = ("kill", "kill x", "join 1 2 3", "8", "99 status", "wait 100000", "peer", "nothing")
        for strict in (False, True):
            self.said.clear()
            self.assertEqual(self.tell(self.words(strict=strict), *wrong, "quit"), int(strict))
            self.assertEqual(len(self.said), len(wrong), self.said)
        self.assertEqual(self.room.done, [])
        self.assertEqual(self.tell(self.words(strict=True), "kill 3", None), 0)

    def test_places(self) -> None:
        """A place is a number of some digits."""
        self.assertEqual(place_of("230"), 230)
        for text in ("", "-1", "x", "1.5", "\u0661", "1234567"):
            self.assertRaises(UsageError, place_of, text)

    def test_help(self) -> None:
        """Each word is explained, and can be completed."""
        words = self.words()
        self.tell(words, "help")
        self.assertEqual(len(self.said), 9)
        self.assertIn("kill ", words.completions())
        self.assertNotIn("PEER ", words.completions())
