"""Printing of results: tables, figures and lines, also into a pipe."""

from __future__ import annotations

import errno
import os
from collections.abc import Container, Sequence
from typing import Final, NoReturn

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_WIDEST: Final = 110
_LEAST_FOLDED: Final = 10
_BETWEEN: Final = 3
_NOTHING: Final = "-"
_NARROWEST_TABLE: Final = 60


class OutputConsole(Console):
    """A console that tells its caller when the reader has closed the pipe, where rich would end the process."""

    def on_broken_pipe(self) -> NoReturn:
        """Let it be dealt with where everything is that cannot be written."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def console_for_results() -> Console:
    """What results are printed to; what goes into a pipe is as wide as it needs to be."""
    console = OutputConsole(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, _WIDEST) if console.is_terminal else _WIDEST
    return console


def is_narrow(console: Console) -> bool:
    """Whether there are too few columns for tables with names in them: each name then has a line of its own."""
    return console.width < _NARROWEST_TABLE


def show_named(console: Console, name: str, words: str, number: int | None = None) -> None:
    """Print a name in a line of its own, which can be copied, and below it what there is to say about it."""
    start = "" if number is None else f"{number} "
    show_line(console, f"{start}{name}")
    show_line(console, f"{' ' * len(start)}  {words}", style="dim")


def show_rows(
    console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]], folding: Container[str]
) -> None:
    """Print rows as a table; where there are too few columns for it, each row in lines of its own.

    @param headings: of the columns; the first column says what a row is about.
    @param rows: the cells of each; columns of numbers stand on the right.
    @param folding: the headings of columns whose cells may go over several lines.
    """
    columns = list(zip(headings, zip(*rows, strict=True), strict=True))
    widths = [max(map(cell_len, (heading, *cells))) for heading, cells in columns]
    least = [
        min(width, _LEAST_FOLDED) if heading in folding else width
        for heading, width in zip(headings, widths, strict=True)
    ]
    if sum(least) + _BETWEEN * len(least) > console.width:
        for name, *cells in rows:
            pairs = zip(headings[1:], cells, strict=True)
            told = ", ".join(f"{heading} {cell}" for heading, cell in pairs if cell != _NOTHING)
            console.print(Text(name))
            console.print(Padding(Text(told, style="dim"), (0, 0, 0, 2)))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, column in columns:
        numbers = [cell.replace(",", "").isdigit() for cell in column if cell != _NOTHING]
        table.add_column(
            heading,
            justify="right" if numbers and all(numbers) else "left",
            no_wrap=heading not in folding,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    show_table(console, table)


def show_table(console: Console, table: Table) -> None:
    """Print a table; what goes into a pipe has no blanks at the ends of its lines."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        show_line(console, line.rstrip())


def show_figures(console: Console, *figures: tuple[str, str]) -> None:
    """Print what was found out, each below the other with its name."""
    # Without a box: where only ASCII can be printed, the blanks of one would become lines.
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for what, figure in figures:
        table.add_row(what, Text(figure))
    show_line(console, "")
    show_table(console, table)
    show_line(console, "")


def show_line(console: Console, text: str, style: str = "") -> None:
    """Print something that is to stay in one line, so that it can be copied."""
    console.print(Text(text, style=style), soft_wrap=True)


def show_sentence(console: Console, text: str, style: str = "", start: str = "") -> None:
    """Print something that is to be read: on a terminal it is parted between words; into a pipe it stays in one line.

    @param start: what stands before it; further lines begin below the text.
    """
    if not console.is_terminal:
        show_line(console, start + text, style)
        return
    if not start:
        console.print(Text(text, style=style))
        return
    grid = Table.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(start, style=style), Text(text, style=style))
    console.print(grid)
