"""A prompt: lines from a terminal or a pipe, without holding up the reactor.

They are read in a thread of their own, one whenever it is asked for one. What is said meanwhile goes above the
line that is being typed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import click
from twisted.internet.defer import Deferred

from twisted_bazaar.cli.terminal.printable import printable

_PROMPT: Final = "bazaar> "
_READ_BYTES: Final = 1 << 16
_LONGEST_LINE: Final = 1 << 16
_ABOVE: Final = "\r\x1b[K"


class Prompt:
    """Asks for lines.

    @param words: what it asks with.
    @ivar completions: called for the lines that there are to complete what is typed with; in a thread.
    @ivar is_seen: whether somebody sits before a terminal.
    """

    def __init__(self, words: str = _PROMPT) -> None:
        self._words = words
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
        if "libedit" in (readline.__doc__ or "") or not hasattr(readline, "set_pre_input_hook"):
            return
        # What is said meanwhile goes before the words or above them, but not between.
        readline.set_startup_hook(self._begin_to_show)
        readline.set_pre_input_hook(self._end_to_show)
        self._is_told = True

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
                return input(self._words)
            self._begin_to_show()
            try:
                click.echo(self._words, nl=False)
            finally:
                self._end_to_show()
            return input()
        finally:
            self._is_shown = False

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
def _kept_terminal() -> Iterator[None]:
    """Leave the terminal as it was: who is interrupted in the middle of a line leaves it without an echo."""
    import termios

    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
