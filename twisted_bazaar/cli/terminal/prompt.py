"""A prompt: lines from a terminal or a pipe, without holding up the reactor.

They are read in a thread of their own, one whenever it is asked for one. What is said meanwhile goes above the
line that is being typed.

A signal cannot reach the thread, nor change the line that is typed there. So where somebody wants to know of Ctrl-C
(L{Prompt.interrupted}), the terminal sends none while a line is typed: readline takes the key, and ends the line with
a mark in it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import click
from twisted.internet.defer import Deferred

from twisted_bazaar.cli.terminal.history import History
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.errors import UsageError

_PROMPT: Final = "bazaar> "
_READ_BYTES: Final = 1 << 16
_LONGEST_LINE: Final = 1 << 16
# What Ctrl-C puts into a line: the character that it is.
_MARK: Final = "\x03"
_MARKS_LINE: Final = r'"\C-c": "\C-v\C-c\C-m"'
_ABOVE: Final = "\r\x1b[K"


class Prompt:
    """Asks for lines.

    @param words: what it asks with.
    @param history: the lines of earlier sessions; None for those of this one.
    @ivar interrupted: called for Ctrl-C on an empty line; one with something in it is cleared. If there is nothing to
        call, Ctrl-C is the signal that it is elsewhere.
    @ivar completions: called for the lines that there are to complete what is typed with; in a thread.
    @ivar is_seen: whether somebody sits before a terminal.
    """

    def __init__(self, words: str = _PROMPT, history: History | None = None) -> None:
        self._words = words
        self._history = history
        self.interrupted: Callable[[], object] | None = None
        self._takes_key = False
        # Since when the terminal sends no signal for it.
        self._takes_key_since: float | None = None
        self.is_seen: bool = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
        self.completions: Callable[[], Sequence[str]] = list
        self._reactor: Any = None
        self._wanted = threading.Semaphore(0)
        self._asked: Deferred[str | None] | None = None
        # Whether the words stand there, and a line is being typed after them; it changes in the thread.
        self._is_shown = False
        self._showing = threading.Lock()
        # Whether somebody else says when it does.
        self._is_told = False
        self._is_left = False
        self._rest = b""
        self._is_over = False
        self._lost: OSError | None = None

    @contextlib.contextmanager
    def opened(self, reactor: Any) -> Iterator[None]:
        """Be ready to ask; the terminal is afterwards as it was."""
        self._reactor = reactor
        with _kept_terminal() if self.is_seen else contextlib.nullcontext():
            if self.is_seen:
                self._let_edit()
            # It may wait for a line for ever, so the process is not to wait for it.
            threading.Thread(target=self._read, daemon=True).start()
            try:
                yield
            finally:
                self._leave()
                if self._history is not None and (fault := self._history.save()) is not None:
                    self.say(f"what was typed is not kept for the next time: {fault}")

    def ask(self) -> Deferred[str | None]:
        """The next line; None when there is none any more.

        @raise OSError: nothing can be said any more.
        """
        asked: Deferred[str | None] = Deferred()
        if self._lost is not None:
            asked.errback(self._lost)
            return asked
        self._asked = asked
        self._wanted.release()
        return asked

    def say(self, line: str) -> None:
        """Say something, whether a line is being typed or not."""
        try:
            with self._showing:
                if self._is_shown:
                    click.echo(f"{_ABOVE}{printable(line)}\n{self._words}{_typed()}", nl=False)
                else:
                    click.echo(printable(line))
        except OSError as error:
            self._lost = error
            self._give(None, error)

    def took_key_at(self, at: float) -> bool:
        """Whether Ctrl-C was a key at some time, so that a signal that came then was sent by somebody else.

        @param at: by C{time.monotonic}.
        """
        since = self._takes_key_since
        return since is not None and at > since

    def interrupt(self, at: float) -> bool:
        """Ctrl-C while no line is typed; returns whether somebody here deals with it.

        @param at: when it came, by C{time.monotonic}.
        """
        if self.interrupted is None or not self.is_seen or self.took_key_at(at):
            return False
        self.interrupted()
        return True

    def _let_edit(self) -> None:
        """Let what is typed be edited, completed and called again, where that is known here."""
        try:
            import readline
        except ImportError:
            return

        def complete(typed: str, number: int) -> str | None:
            fitting = [line for line in self.completions() if line.startswith(typed)]
            return fitting[number] if number < len(fitting) else None

        readline.set_completer(complete)
        # Names may have any character in them.
        readline.set_completer_delims("\n")
        readline.parse_and_bind("tab: complete")
        self._load_history(readline)
        if "libedit" in (readline.__doc__ or "") or not hasattr(readline, "set_pre_input_hook"):
            return
        # What is said meanwhile goes before the words or above them, but not between.
        readline.set_startup_hook(self._begin_to_show)
        readline.set_pre_input_hook(self._end_to_show)
        self._is_told = True
        if self.interrupted is not None:
            readline.parse_and_bind(_MARKS_LINE)
            self._takes_key = True

    def _load_history(self, readline: Any) -> None:
        """Let what was typed in earlier sessions be called again."""
        readline.set_auto_history(False)
        if self._history is None:
            return
        try:
            lines = self._history.load()
        except (UsageError, OSError) as error:
            self.say(f"what was typed earlier cannot be called again: {getattr(error, 'strerror', None) or error}")
            self._history = None
            return
        for line in lines:
            readline.add_history(line)

    def _remember(self, line: str) -> None:
        """In the thread: let a line be called again."""
        readline = sys.modules.get("readline")
        if readline is not None and line.strip() and (self._history is None or self._history.add(line)):
            readline.add_history(line)

    def _begin_to_show(self) -> None:
        """In the thread: the words are about to be shown."""
        self._showing.acquire()

    def _end_to_show(self) -> None:
        """In the thread: they are shown."""
        self._is_shown = True
        self._showing.release()

    def _leave(self) -> None:
        """Ask no more: what is said from now on stands below what was typed."""
        with self._showing:
            was_shown, self._is_shown = self._is_shown, False
            self._is_left = True
        if was_shown:
            with contextlib.suppress(OSError):
                click.echo(_ABOVE, nl=False)

    def _give(self, line: str | None, error: OSError | None = None) -> None:
        """Hand over a line."""
        asked, self._asked = self._asked, None
        if asked is not None and not asked.called:
            if error is not None:
                asked.errback(error)
            else:
                asked.callback(line)

    def _read(self) -> None:
        """In a thread: read a line whenever one is wanted; whoever types goes on after Ctrl-D, if that ends nothing."""
        line: str | None
        while True:
            self._wanted.acquire()
            try:
                line = self._typed_line() if self.is_seen else self._next_line()
            except (EOFError, OSError, ValueError):
                line = None
                if self.is_seen:
                    os.write(1, b"\n")
            self._reactor.callFromThread(self._give, line)

    def _typed_line(self) -> str:
        """A line that is typed.

        @raise EOFError: there is none any more.
        """
        if self._is_left:
            raise EOFError
        try:
            if self._is_told:
                return self._edited_line()
            self._begin_to_show()
            try:
                click.echo(self._words, nl=False)
            finally:
                self._end_to_show()
            line = input()
            self._remember(line)
            return line
        finally:
            self._is_shown = False

    def _edited_line(self) -> str:
        """A line that is typed with readline; of those that end with Ctrl-C, none."""
        while True:
            with _unsent_interrupts() if self._takes_key else contextlib.nullcontext():
                self._takes_key_since = time.monotonic() if self._takes_key else None
                try:
                    line = input(self._words)
                finally:
                    self._takes_key_since = None
            if _MARK not in line:
                self._remember(line)
                return line
            self._is_shown = False
            if not line.replace(_MARK, "").strip() and self.interrupted is not None:
                self._reactor.callFromThread(self.interrupted)

    def _next_line(self) -> str | None:
        """A line of a pipe, read without Python's own buffer: that cannot be let go of while a thread reads."""
        while b"\n" not in self._rest and not self._is_over and len(self._rest) < _LONGEST_LINE:
            read = os.read(0, _READ_BYTES)
            self._is_over = not read
            self._rest += read
        if not self._rest:
            return None
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")


def _typed() -> str:
    """What has been typed of a line that is not at its end."""
    readline = sys.modules.get("readline")
    return readline.get_line_buffer() if readline is not None else ""


@contextlib.contextmanager
def _unsent_interrupts() -> Iterator[None]:
    """Have the terminal hand over Ctrl-C as a character, and send no signal for it."""
    import termios

    before = termios.tcgetattr(0)
    changed = [*before[:6], list(before[6])]
    changed[6][termios.VINTR] = os.fpathconf(0, "PC_VDISABLE").to_bytes(1)
    termios.tcsetattr(0, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _kept_terminal() -> Iterator[None]:
    """Leave the terminal as it was: who is interrupted in the middle of a line leaves it without an echo."""
    import termios

    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
