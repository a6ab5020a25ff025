"""A line-oriented command interpreter, as Python's C{cmd.Cmd}: lines begin with a word, which has an action.

Lines are typed at a prompt or come from a pipe or a file. Empty ones, and those that begin with a C{#}, do nothing.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.cli.terminal.prompt import Prompt
from twisted_bazaar.errors import BazaarError, UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.settings.similar import did_you_mean

# Where there are fewer, what a word means stands below it.
_LEAST_COLUMNS: Final = 60
_NAME_COLUMNS: Final = 24


@frozen
class Word:
    """One of the words that are understood.

    @ivar takes: what follows it.
    @ivar action: a method of the interpreter: does it, given what follows it; returns an exit status to end, or None.
    @ivar also: other words for the same, which help does not name.
    """

    name: str
    takes: str
    meaning: str
    action: Callable[[Any, str], Awaitable[int | None]]
    also: tuple[str, ...] = ()


class Interpreter:
    """Understands what is typed. What goes wrong is said, and the next line is taken.

    @param words: those that are understood, in the order of the help; the last one ends.
    @param say: takes a line for the user.
    @ivar status: what has become of all lines so far, as an exit status.
    @ivar previous: the word of the line before this one; None if that had none.
    """

    def __init__(self, words: Sequence[Word], say: Callable[[str], object]) -> None:
        self.status: int = ExitStatus.DONE
        self.previous: Word | None = None
        self._words = words
        self._say = say
        self._doing: Deferred[int | None] | None = None
        self._is_interrupted = False
        self._by_name = {name: word for word in words for name in (word.name, *word.also)}

    async def run(self, prompt: Prompt, reactor: Any) -> int:
        """Take lines until one ends it, or there are no more; returns the exit status."""
        prompt.completions = self.completions
        with prompt.opened(reactor):
            status = None
            while status is None:
                status = await self._run_until_interrupted(await prompt.ask())
        return status

    def interrupt(self) -> bool:
        """Stop what a line is about to do, as Ctrl-C asks for; returns whether anything was."""
        doing = self._doing
        if doing is None or doing.called:
            return False
        self._is_interrupted = True
        doing.cancel()
        return True

    async def _run_until_interrupted(self, line: str | None) -> int | None:
        self._is_interrupted = False
        self._doing = Deferred.fromCoroutine(self.run_line(line))
        try:
            return await self._doing
        except CancelledError:
            # Else the whole session is to end.
            if not self._is_interrupted:
                raise
        finally:
            self._doing = None
        return None

    async def run_line(self, line: str | None) -> int | None:
        """Do what a line says; None is the end of all lines.

        @return: an exit status if that was the last; None to go on.
        """
        if line is None:
            return await self.run_end()
        name, _, rest = line.strip().partition(" ")
        if not name or name.startswith("#"):
            return None
        word = self._by_name.get(name.lower())
        try:
            if word is None:
                raise UsageError(self._hint(name))
            return await word.action(self, rest.strip())
        except BazaarError as error:
            self.status = ExitStatus.NO
            self._say(str(error))
        finally:
            self.previous = word
        return None

    async def run_end(self) -> int | None:
        """There are no more lines: do what the last word does."""
        last = self._words[-1]
        status = await last.action(self, "")
        self.previous = last
        return status

    def completions(self) -> list[str]:
        """The beginnings of all lines that can be typed."""
        return [word.name + " " * bool(word.takes) for word in self._words]

    async def show_help(self, rest: str) -> None:
        """Say what each word means."""
        columns = shutil.get_terminal_size().columns
        names = [f"{word.name} {word.takes}".strip() for word in self._words]
        # Where it does not all fit, what is left over at the names is for what they mean.
        fits = all(_NAME_COLUMNS + 4 + len(word.meaning) <= columns for word in self._words)
        width = _NAME_COLUMNS if fits else max(map(len, names))
        for name, word in zip(names, self._words, strict=True):
            if columns >= _LEAST_COLUMNS:
                beginnings = [f"  {name:{width}}  ", " " * (width + 4)]
                for line in textwrap.wrap(
                    word.meaning, columns, initial_indent=beginnings[0], subsequent_indent=beginnings[1]
                ):
                    self._say(line)
                continue
            self._say(name)
            for line in textwrap.wrap(word.meaning, max(20, columns - 3)):
                self._say(f"  {line}")

    def _hint(self, name: str) -> str:
        """What is said of a word that there is not: it names one that is like it, or all."""
        words = f"; the words are {', '.join(each.name for each in self._words)}"
        return f"there is no {name!r}{did_you_mean(name, self._by_name) or words}"


HELP: Final = Word("help", "", "these words", Interpreter.show_help, ("?",))


async def fires_within(event: Deferred[Any], within_s: float, clock: IReactorTime) -> bool:
    """Wait for something that others wait for too; returns whether it has come in time."""
    if event.called:
        return True
    seen: Deferred[bool] = Deferred()

    def fire(result: Any) -> Any:
        if not seen.called:
            seen.callback(True)
        return result

    event.addCallback(fire)
    return await seen.addTimeout(within_s, clock, lambda result, timeout: False)


def unquoted(text: str) -> str:
    """A name as it is typed: with or without quotes around it; blanks in it need none."""
    if text[:1] in "\"'" and text[-1:] == text[:1] and len(text) > 1:
        return text[1:-1]
    return text
