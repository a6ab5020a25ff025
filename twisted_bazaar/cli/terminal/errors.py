"""Errors of commands: each is said in one line and ends the process with a status of its own."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, ClassVar

import click

from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.exit_status import ExitStatus, status_of_signal


class UserError(click.ClickException):
    """The user asked for something impossible; the text says what, and what would be possible."""

    exit_code: ClassVar[int] = ExitStatus.WRONG_USE

    def __init__(self, message: str) -> None:
        super().__init__(message)
        context = click.get_current_context(silent=True)
        self._command = "bazaar" if context is None else context.command_path

    def show(self, file: IO[Any] | None = None) -> None:
        """Say it."""
        words = printable(" ".join(self.message.split()))
        click.echo(f"{self._command}: {words}", file=file, err=file is None)


class NegativeAnswer(UserError):
    """A negative answer: what was asked for was possible, and is not so; the text says why.

    @param status: with what the process ends, if not as its class says.
    """

    exit_code: ClassVar[int] = ExitStatus.NO

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.exit_code = status  # type: ignore[misc] # click reads it from what is raised


class Unreached(NegativeAnswer):
    """Nobody was reached of those who could be asked; the text says who, and what to do."""

    exit_code: ClassVar[int] = ExitStatus.UNREACHED


def whole_text(text: str, what: str) -> str:
    """Something that is said to others as it was typed.

    @param what: what the command line calls it.
    @raise Refusal: it is no text, or none at all.
    """
    if not text:
        raise UserError(f"{what}: there is nothing in it")
    try:
        text.encode()
    except UnicodeEncodeError:
        # Names on a disk can be any bytes; on the wire they are text.
        raise UserError(f"{what}: {text!r} is not UTF-8") from None
    return text


@contextmanager
def output_or_refuse() -> Iterator[None]:
    """Say no when what is printed cannot be written, as on a disk that is full; all of it is written at the end.

    Nothing is said when the reader has closed a pipe: it knows. It is no failure of the command, and what was to come
    then is not done. So the process ends with what a shell has for the signal by which other programs end then.

    @raise Refusal: it could not be written.
    @raise SystemExit: the reader has closed the pipe.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        raise SystemExit(status_of_signal(signal.SIGPIPE)) from None
    except OSError as error:
        if error.filename is not None:
            # It is about a file, and not about what is printed.
            raise
        _forget_output()
        raise UserError(f"the output cannot be written: {error.strerror}") from None


def _forget_output() -> None:
    """Let nothing more be written, or Python would try again at its end, and say so in lines of its own."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def open_or_refuse(path: str, mode: str, option: str) -> IO[bytes]:
    """Open a file that the command line names.

    @param option: what names it, for the error; empty for an argument.
    @raise Refusal: it cannot be opened.
    """
    try:
        return open(path, mode)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{option} {path}: {reason}".lstrip()) from None
