"""Words that are typed, and what they do."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.terminal import interpreter
from twisted_bazaar.cli.terminal.interpreter import HELP, Interpreter, Word, fires_within, unquoted
from twisted_bazaar.cli.terminal.prompt import Prompt
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import ExitStatus


class Parrot(Interpreter):
    """Says what it is told to."""

    def __init__(self) -> None:
        self.said: list[str] = []
        super().__init__(WORDS, self.said.append)

    async def _repeat(self, rest: str) -> None:
        if not rest:
            raise UsageError("say what?")
        if rest == "for ever":
            await Deferred()
        self._say(unquoted(rest))

    async def _end(self, rest: str) -> int | None:
        before = "" if self.previous is None else self.previous.name
        self._say(f"after {before}")
        return self.status if before == "end" else None


WORDS = (
    Word("say", "TEXT", "it is said again", Parrot._repeat, ("tell",)),
    HELP,
    Word("end", "", "asked twice, it ends", Parrot._end, ("bye",)),
)


class InterpreterTests(SynchronousTestCase):
    """One loop for all prompts."""

    def setUp(self) -> None:
        """Have somebody to talk to."""
        self.parrot = Parrot()

    def tell(self, *lines: str | None) -> list[int | None]:
        """Type some lines; returns what comes of each."""
        return [self.successResultOf(Deferred.fromCoroutine(self.parrot.run_line(line))) for line in lines]

    def test_words(self) -> None:
        """A line does what its first word says, in any case, by each of its names; others do nothing."""
        self.assertEqual(self.tell("say a b", " TELL  'c d' ", "", "  ", "# say e"), [None] * 5)
        self.assertEqual(self.parrot.said, ["a b", "c d"])

    def test_hints(self) -> None:
        """A word that there is not gets one that is like it, also one that help does not name, or all."""
        self.tell("sai a", "byee", "xyzzy")
        self.assertEqual(
            self.parrot.said,
            [
                "there is no 'sai'; did you mean say?",
                "there is no 'byee'; did you mean bye?",
                "there is no 'xyzzy'; the words are say, help, end",
            ],
        )

    def test_help(self) -> None:
        """Help has each word with what follows it and what it means."""
        self.tell("?")
        self.assertEqual(
            self.parrot.said,
            [
                "  say TEXT                  it is said again",
                "  help                      these words",
                "  end                       asked twice, it ends",
            ],
        )

    def test_completions(self) -> None:
        """Words can be completed, with a blank where something follows."""
        self.assertEqual(self.parrot.completions(), ["say ", "help", "end"])

    def test_status(self) -> None:
        """What goes wrong is said, and in the status from then on."""
        self.assertEqual(self.tell("end", "end"), [None, ExitStatus.DONE])
        self.assertEqual(self.tell("say", "end", "bye"), [None, None, ExitStatus.NO])
        self.assertEqual(self.parrot.said, ["after ", "after end", "say what?", "after say", "after end"])

    def test_end(self) -> None:
        """The end of all lines is the last word; a line without a word does not come between two, a wrong word does."""
        self.assertEqual(self.tell("end", "xyzzy", None), [None, None, None])
        self.assertEqual(self.tell("", "# say a", None), [None, None, ExitStatus.NO])


class _Lines(Prompt):
    """Lines that a test types; those that are not typed yet are waited for."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self.lines = list(lines)

    def opened(self, reactor: Any) -> Any:
        return nullcontext()

    def ask(self) -> Deferred[str | None]:
        return succeed(self.lines.pop(0)) if self.lines else Deferred()


class InterruptTests(SynchronousTestCase):
    """Ctrl-C while a line is about to do something."""

    def test_goes_on(self) -> None:
        """What the line does is stopped, and the next line is taken; nothing else is stopped by it."""
        parrot = Parrot()
        self.assertFalse(parrot.interrupt())
        running = Deferred.fromCoroutine(parrot.run(_Lines("tell for ever", "help"), None))
        self.assertEqual(parrot.said, [])
        self.assertEqual((parrot.interrupt(), parrot.interrupt()), (True, False))
        self.assertEqual((len(parrot.said), parrot.status), (3, ExitStatus.DONE))
        self.assertNoResult(running)

    def test_ends(self) -> None:
        """What ends the whole session ends it also while a line does something."""
        running = Deferred.fromCoroutine(Parrot().run(_Lines("tell for ever", "help"), None))
        running.cancel()
        self.failureResultOf(running, CancelledError)

    def test_narrow(self) -> None:
        """Where there are few columns, what a word means stands below it."""
        self.patch(interpreter, "shutil", SimpleNamespace(get_terminal_size=lambda: SimpleNamespace(columns=40)))
        parrot = Parrot()
        self.successResultOf(Deferred.fromCoroutine(parrot.run_line("help")))
        self.assertEqual(parrot.said[:3], ["say TEXT", "  it is said again", "help"])

    def test_broken(self) -> None:
        """Where not all fits beside the names, they take less, and what is too long still goes on below itself."""
        self.patch(interpreter, "shutil", SimpleNamespace(get_terminal_size=lambda: SimpleNamespace(columns=60)))
        said = list[str]()
        words = [interpreter.Word("one", "", "a " * 30 + "b", Parrot.show_help), interpreter.HELP]
        self.successResultOf(Deferred.fromCoroutine(Interpreter(words, said.append).run_line("help")))
        self.assertEqual(said, ["  one   " + "a " * 25 + "a", " " * 8 + "a a a a b", "  help  these words"])


class WaitingTests(SynchronousTestCase):
    """Waiting for what others wait for too."""

    def setUp(self) -> None:
        """Have something to wait for."""
        self.clock = Clock()
        self.event: Deferred[str] = Deferred()

    def wait(self) -> Deferred[bool]:
        """Wait for five seconds."""
        return Deferred.fromCoroutine(fires_within(self.event, 5.0, self.clock))

    def test_in_time(self) -> None:
        """What comes in time has come, and others get what it brings."""
        waiting = self.wait()
        self.clock.advance(4.0)
        self.event.callback("news")
        self.assertEqual((self.successResultOf(waiting), self.successResultOf(self.event)), (True, "news"))
        self.assertTrue(self.successResultOf(self.wait()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self) -> None:
        """What comes late comes to others all the same."""
        waiting = self.wait()
        self.clock.advance(5.0)
        self.assertFalse(self.successResultOf(waiting))
        self.event.callback("news")
        self.assertEqual(self.successResultOf(self.event), "news")
