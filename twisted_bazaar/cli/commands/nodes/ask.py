"""C{bazaar ask}: asks a running node for anything that its roles answer, also those that are not of this package."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
import msgspec
from attrs import evolve
from rich import box
from rich.console import Console
from rich.table import Table

from twisted_bazaar.cli.commands.options import JSON
from twisted_bazaar.cli.control.client import ASKING, WHICH_NODE, chosen_node
from twisted_bazaar.cli.terminal.command import PlainCommand
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import console_for_results, show_figures, show_line, show_table
from twisted_bazaar.errors import UNREADABLE
from twisted_bazaar.settings.option import OptionValues

_LIST: Final = "commands"
_OPTIONS: Final = (
    evolve(JSON, help="Print a JSON list with an answer for each role that knows the command, most often one."),
    *WHICH_NODE,
)


@click.command(cls=PlainCommand, declared=_OPTIONS, endings=ASKING, example="bazaar ask order id=74a0d106")
@click.argument("command", metavar="[COMMAND]", default=_LIST)
@click.argument("values", metavar="[KEY=VALUE]...", nargs=-1)
def ask(command: str, values: Sequence[str], options: OptionValues) -> None:
    """Ask a running node for anything that one of its roles answers.

    Without COMMAND it lists what can be asked. A VALUE is a number, true, false, null or other JSON if it can be read
    so, else text: quantity=3 is a number, item=apple is text, and so is 'id="12"'.
    """
    wishes = dict(_wish(text) for text in values)
    node = chosen_node(options, command, f"node that knows {command!r}")
    answers = node.ask_for(command, wishes)
    if options["json"]:
        click.echo(json.dumps(answers))
        return
    console = console_for_results()
    for answer in answers:
        _show(console, answer)


def _wish(text: str) -> tuple[str, Any]:
    """A key and its value.

    @raise UserError: it is not written so, or the key is none that a role could be given.
    """
    key, equals, value = text.partition("=")
    if not equals or not key or key == "command":
        raise UserError(f"{text!r}: write KEY=VALUE, such as item=apple")
    try:
        return key, msgspec.json.decode(value)
    except UNREADABLE:
        return key, value


def _show(console: Console, answer: Any) -> None:
    """Print an answer: rows as a table, what has names below each other, other things in a line each."""
    match answer:
        case [first, *rest] if isinstance(first, dict) and all(isinstance(each, dict) for each in rest):
            _show_rows(console, answer)
        case [*lines]:
            for line in lines:
                show_line(console, _in_words(line))
        case {**told}:
            show_figures(console, *((printable(str(what)), _in_words(figure)) for what, figure in told.items()))
        case _:
            show_line(console, _in_words(answer))


def _show_rows(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for name in columns:
        is_number = all(isinstance(row.get(name), int | float) for row in rows)
        table.add_column(printable(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_in_words(row.get(name)) for name in columns))
    show_table(console, table)


def _in_words(value: Any) -> str:
    """A value in a line; text as it is, but for what would move the cursor."""
    if value is None:
        return "-"
    return printable(value if isinstance(value, str) else msgspec.json.encode(value).decode())
