"""C{bazaar ring store} and its like: what a running member of a ring is asked to do."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from attrs import evolve
from rich import box
from rich.table import Table
from rich.text import Text

from twisted_bazaar.cli.commands.files.get import directory_for_files
from twisted_bazaar.cli.commands.options import DIGEST, JSON, OUTPUT, OVERWRITE
from twisted_bazaar.cli.control.client import ASKING, NO_NODE, WHICH_NODE, NotThere, RunningNode, chosen_node
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.node.getting import Missing, Resumable
from twisted_bazaar.cli.ring.places import names_of
from twisted_bazaar.cli.ring.rows import (
    Deleted,
    Fetched,
    Found,
    Own,
    Put,
    Standing,
    Stored,
    Value,
    format_deleted,
    format_fetched,
    format_found,
    format_own,
    format_put,
    format_stored,
    standing_figures,
)
from twisted_bazaar.cli.ring.watched import TransferRow, Watched, rows_with_bar
from twisted_bazaar.cli.terminal.amounts import format_size
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError, whole_text
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import console_for_results, show_figures, show_line, show_table
from twisted_bazaar.exit_status import Ending, ExitStatus, status_of_signal
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.state import written_path

_MEMBER: Final = "member of a ring"
# Files go as fast as they go, in a classroom a segment at a time; who has no patience interrupts it.
_FILE_S: Final = 24 * 3600.0
# Of a page: each name is looked for.
_LIST_S: Final = 120.0
# Times need some columns.
_WIDE: Final = 70
_WITH_NODE: Final = (JSON, *WHICH_NODE)
_FINDING: Final = (*ASKING, Ending(ExitStatus.NOT_FOUND, "There is nothing under this name."))


_STORE: Final = (Option("as", "The name by which others find it.", "NAME", shown="as it is called"), *_WITH_NODE)
_STORING: Final = (
    Ending(ExitStatus.DONE, "The nodes that keep it have all of it."),
    Ending(ExitStatus.NO, "It could not be stored."),
    NO_NODE,
)


@click.command(
    cls=ConfiguredCommand, declared=_STORE, endings=_STORING, example="bazaar ring store paper.pdf --as 2012"
)
@click.argument("file", metavar="FILE")
def store(file: str, options: OptionValues) -> None:
    """Store a file in the ring.

    The node reads the file where it is. The command ends when the nodes that keep it have all of it.
    """
    path = written_path(Path(whole_text(file, "FILE")), "FILE").absolute()
    if not path.is_file():
        raise UserError(f"FILE {file}: " + ("this is no file" if path.exists() else "there is no such file"))
    called = options["as"]
    wishes = {} if called is None else {"name": whole_text(called, "--as")}
    node = _chosen(options, "ring.store")
    watched = Watched("store", path)
    with telling_that_it_goes_on():
        rows = rows_with_bar(node, "ring.store", Stored, watched, within_s=_FILE_S, path=str(path), **wishes)
    names = {} if options["json"] else names_of(row.addresses for row in rows)
    _show(rows, [line for row in rows for line in format_stored(row, names)], options["json"])


_REQUEST: Final = (
    evolve(OUTPUT, help="Where the file goes."),
    Option("as", "What to call it there.", "FILE", shown="as it was called when it was stored"),
    DIGEST,
    OVERWRITE,
    *_WITH_NODE,
)
_REQUESTING: Final = (
    Ending(ExitStatus.DONE, "The file is there."),
    Ending(ExitStatus.NO, "It could not be fetched."),
    NO_NODE,
    Ending(ExitStatus.NOT_FOUND, "Nobody has stored it."),
    Ending(ExitStatus.UNFINISHED, "It was interrupted. What has come is kept; the same command goes on from there."),
)


@click.command(
    cls=ConfiguredCommand, declared=_REQUEST, endings=_REQUESTING, example="bazaar ring request 2012 -o papers"
)
@click.argument("wanted", metavar="NAME")
def request(wanted: str, options: OptionValues) -> None:
    """Fetch a file out of the ring.

    The node fetches it, checks it, and puts it into the directory of --output. Ctrl-C ends that; what has come by then
    is kept, and the same command goes on from there.
    """
    whole_text(wanted, "NAME")
    called = options["as"]
    wishes = {} if called is None else {"file": whole_text(called, "--as")}
    folder = directory_for_files(options["output"])
    node = _chosen(options, "ring.request")
    _find_or_refuse(node, wanted)
    wishes |= {"name": wanted, "folder": str(folder), "digest": options["digest"]}
    watched = Watched("request", folder, wanted)
    wishes |= {"overwrite": options["overwrite"]}
    try:
        rows = rows_with_bar(node, "ring.request", Fetched, watched, within_s=_FILE_S, **wishes)
    except KeyboardInterrupt:
        raise Resumable(f"interrupted; {_end_request(node, watched)}") from None
    with _too_late_to_interrupt():
        _show(rows, [line for row in rows for line in (format_fetched(row), row.path)], options["json"])


@click.command(cls=ConfiguredCommand, declared=_WITH_NODE, endings=ASKING, example="bazaar ring delete 2012")
@click.argument("wanted", metavar="NAME")
def delete(wanted: str, options: OptionValues) -> None:
    """Delete what this node has stored, or put, under a name."""
    whole_text(wanted, "NAME")
    rows = _chosen(options, "ring.delete").rows("ring.delete", Deleted, name=wanted)
    _show(rows, [format_deleted(row) for row in rows], options["json"])


@click.command(cls=ConfiguredCommand, declared=_WITH_NODE, endings=_FINDING, example="bazaar ring find 2012")
@click.argument("wanted", metavar="NAME")
def find(wanted: str, options: OptionValues) -> None:
    """Show which files are stored under a name."""
    whole_text(wanted, "NAME")
    rows = _find_or_refuse(_chosen(options, "ring.find"), wanted)
    _show(rows, list(format_found(rows)), options["json"])


@click.command(cls=ConfiguredCommand, declared=_WITH_NODE, endings=ASKING, example="bazaar ring put colour green")
@click.argument("wanted", metavar="NAME")
@click.argument("value", metavar="VALUE")
def put(wanted: str, value: str, options: OptionValues) -> None:
    """Put a small text under a name, in place of what this node had put there before."""
    whole_text(wanted, "NAME")
    whole_text(value, "VALUE")
    rows = _chosen(options, "ring.put").rows("ring.put", Put, name=wanted, value=value)
    _show(rows, [format_put(row) for row in rows], options["json"])


@click.command(cls=ConfiguredCommand, declared=_WITH_NODE, endings=_FINDING, example="bazaar ring get colour")
@click.argument("wanted", metavar="NAME")
def get(wanted: str, options: OptionValues) -> None:
    """Show the small texts under a name, the newest first."""
    whole_text(wanted, "NAME")
    rows = _chosen(options, "ring.get").rows("ring.get", Value, name=wanted)
    if not rows:
        raise Missing(f"nobody has put anything there as {wanted!r}")
    _show(rows, [row.value for row in rows], options["json"])


@click.command(
    cls=ConfiguredCommand, declared=_WITH_NODE, endings=ASKING, example="bazaar ring status --name ring_peer"
)
def status(options: OptionValues) -> None:
    """Show the place of a node on its ring, its neighbours, and what it keeps."""
    node = _chosen(options, "ring.status")
    if options["json"]:
        click.echo(json.dumps(node.rows("ring.status", dict[str, Any])))
        return
    rows = node.rows("ring.status", Standing)
    names = names_of(row.addresses for row in rows)
    for row in rows:
        figures = standing_figures(row, names)
        show_figures(console_for_results(), *((what, _printable_lines(figure)) for what, figure in figures))


@click.command(
    "list", cls=ConfiguredCommand, declared=_WITH_NODE, endings=ASKING, example="bazaar ring list --name ring_peer"
)
def list_(options: OptionValues) -> None:
    """List what was stored and put from a node, and how many copies there are of each now."""
    node = _chosen(options, "ring.list")
    rows = list(_all_own(node))
    if options["json"]:
        click.echo(json.dumps(msgspec.to_builtins(rows)))
        return
    console = console_for_results()
    if not rows:
        show_line(console, "nothing was stored or put from this node; bazaar ring store FILE changes that")
        return
    is_wide = console.width >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", overflow="fold")
    for heading in ("kind", "size", "copies", "stored at")[: None if is_wide else -1]:
        table.add_column(heading, justify="right" if heading == "size" else "left", no_wrap=True)
    for row in rows:
        cells = format_own(row)
        table.add_row(*(Text(printable(cell)) for cell in (cells if is_wide else cells[:-1])))
    show_table(console, table)
    if not all(row.copies for row in rows):
        show_line(console, "NONE: it is lost, unless a node that kept it comes back")


COMMANDS: Final = (store, request, delete, find, put, get, list_, status)


@contextmanager
def telling_that_it_goes_on() -> Iterator[None]:
    """Say, when somebody does not wait for it any more, that a node does what it was asked all the same."""
    try:
        yield
    except KeyboardInterrupt:
        context = click.get_current_context(silent=True)
        command = "" if context is None else f"{context.command_path}: "
        click.echo(f"{command}interrupted; the node goes on; ask again to wait for it", err=True)
        raise SystemExit(status_of_signal(signal.SIGINT)) from None


@contextmanager
def _too_late_to_interrupt() -> Iterator[None]:
    """Let Ctrl-C be: the file is there, and only this is still to be told."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _chosen(options: OptionValues, command: str) -> RunningNode:
    return chosen_node(options, command, _MEMBER)


def _find_or_refuse(node: RunningNode, wanted: str) -> list[Found]:
    """The files under a name.

    @raise Missing: there is none.
    """
    rows = node.rows("ring.find", Found, name=wanted)
    if not rows:
        raise Missing(f"nobody has stored a file as {wanted!r}")
    return rows


def _all_own(node: RunningNode) -> Iterator[Own]:
    """All that was stored and put from a node, asked for page by page."""
    after = ""
    while rows := node.rows("ring.list", Own, within_s=_LIST_S, after=after):
        yield from rows
        after = rows[-1].after


def _end_request(node: RunningNode, watched: Watched) -> str:
    """Have a member end a request; returns what has become of it, in words."""
    row = watched.row_of(node)
    if row is None:
        return "nothing was fetched yet; if the node keeps the file itself, it puts it there all the same"
    try:
        [row] = node.rows("ring.cancel", TransferRow, path=row.path)
    except NotThere:
        return "the node does not answer"
    except NegativeAnswer as answer:
        return f"the node goes on: {answer.message}"
    if not row.bytes:
        return "nothing has come yet"
    return f"{format_size(row.bytes)} of {format_size(row.size)} are kept, and the same command goes on from there"


def _printable_lines(figure: str) -> str:
    return "\n".join(map(printable, figure.split("\n")))


def _show(rows: list[Any], lines: list[str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(rows)))
        return
    console = console_for_results()
    for line in lines:
        show_line(console, printable(line))
