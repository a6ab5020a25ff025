"""Asking a member of a ring for what takes long: with a bar on a terminal, and an end when somebody interrupts it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import click
import msgspec
from attrs import frozen
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from twisted_bazaar.cli.control.client import NotThere, RunningNode
from twisted_bazaar.cli.terminal.amounts import format_count, format_rate, format_size, format_time
from twisted_bazaar.cli.terminal.errors import NegativeAnswer
from twisted_bazaar.cli.terminal.printable import printable

_SHOWN_EVERY_S: Final = 0.25
_TOLD_WITHIN_S: Final = 2.0
_LATE_S: Final = 0.2
_PUT_S: Final = 3.0
_WIDEST_NAME: Final = 24
_WIDE: Final = 70

_Row = TypeVar("_Row")


class TransferRow(msgspec.Struct, frozen=True):
    """A file that is being stored or requested, as a member tells it.

    @ivar kind: C{store} or C{request}.
    @ivar path: where it is, or is to be.
    @ivar bytes: how much of it is there; of one that is stored, of all its copies together.
    @ivar copies: how many of those that are to keep it have all of it, of C{wanted}.
    @ivar sources: from how many it comes now.
    """

    kind: str
    path: str
    name: str
    size: int
    bytes: int
    copies: int = 0
    wanted: int = 0
    rate: float = 0.0
    seconds_left: float | None = None
    sources: int = 0


def format_transfer(row: TransferRow | None, kind: str) -> str:
    """How far a transfer is, in words.

    @param row: None if the member does not tell of it yet.
    """
    if kind == "store":
        if row is None or not row.wanted:
            return "looking for those that are to keep it" if row is not None and row.size else "reading it"
        return f"{row.copies} of {format_count(row.wanted, 'copy', 'copies')}"
    if row is None:
        return "looking for sources"
    share = row.bytes / row.size if row.size else 1.0
    parts = [f"{share:.0%} of {format_size(row.size)}"]
    if row.rate >= 1:
        parts.append(format_rate(row.rate))
    if row.sources:
        parts.append(format_count(row.sources, "source"))
    if row.seconds_left is not None:
        parts.append(f"{format_time(row.seconds_left)} left")
    return ", ".join(parts)


@frozen
class Watched:
    """The identity of one transfer of a member, by which its progress is looked up.

    @ivar kind: C{store} or C{request}.
    @ivar path: where the file is that is stored; of a request the directory in which it is to be.
    @ivar name: by what name it is requested; nothing for one that is stored.
    """

    kind: str
    path: Path
    name: str = ""

    def is_it(self, row: TransferRow) -> bool:
        """Whether a member tells of this one."""
        if row.kind != self.kind:
            return False
        if self.kind == "store":
            return Path(row.path) == self.path
        return row.name == self.name and Path(row.path).parent == self.path

    def row_of(self, node: RunningNode) -> TransferRow | None:
        """How far it is; None if the member does not know of it, or does not tell."""
        try:
            rows = node.rows("ring.transfers", TransferRow, within_s=_TOLD_WITHIN_S)
        except (NotThere, NegativeAnswer):
            return None
        return next(filter(self.is_it, rows), None)


def rows_with_bar(node: RunningNode, command: str, row: type[_Row], watched: Watched, **wishes: Any) -> list[_Row]:
    """Ask a member for something, and show on a terminal how far it is.

    @param watched: the transfer that this begins.
    @raise NotThere: there is no answer.
    @raise Denial: the node says no.
    @raise KeyboardInterrupt: somebody does not wait any more.
    """
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        return node.rows(command, row, **wishes)
    asking = _Asking(lambda: node.rows(command, row, **wishes))
    columns = (
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(bar_width=24 if console.width >= _WIDE else 8),
        TextColumn("{task.fields[words]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        name = printable(watched.name or watched.path.name)
        short = name if len(name) <= _WIDEST_NAME else name[: _WIDEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
        task = progress.add_task("", total=None, name=short, words=format_transfer(None, watched.kind))
        try:
            while not asking.is_over(_SHOWN_EVERY_S):
                told = watched.row_of(node)
                times = told.wanted if told is not None and told.kind == "store" else 1
                total = None if told is None else told.size * times or None
                held = 0 if told is None else told.bytes
                progress.update(task, completed=held, total=total, words=format_transfer(told, watched.kind))
                progress.refresh()
        except KeyboardInterrupt:
            # What has its answer by now was interrupted too late; and what a node keeps itself is no transfer, and is
            # put in its place at once.
            is_transfer = watched.kind == "store" or watched.row_of(node) is not None
            if not asking.is_over(_LATE_S if is_transfer else _PUT_S):
                raise
    return asking.result()


class _Asking(Generic[_Row]):
    """Something that blocks, done in a thread: an interruption does not wait for it."""

    def __init__(self, ask: Callable[[], list[_Row]]) -> None:
        self._ask = ask
        # What goes wrong is said by the command that was called.
        self._context = click.get_current_context(silent=True)
        self._result: list[_Row] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def is_over(self, within_s: float) -> bool:
        """Whether it is done, after so many seconds at most."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def result(self) -> list[_Row]:
        """What came of it."""
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            if self._context is None:
                self._result = self._ask()
            else:
                with self._context.scope(cleanup=False):
                    self._result = self._ask()
        except BaseException as error:
            self._error = error
