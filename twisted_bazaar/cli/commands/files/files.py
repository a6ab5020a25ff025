"""C{bazaar files}: what a running sharer shares, serves and fetches, and what it is to fetch or to stop fetching."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twisted_bazaar.cli.commands.options import DIGEST, JSON, OVERWRITE
from twisted_bazaar.cli.control.client import ASKING, NO_NODE, WHICH_NODE, RunningNode, chosen_node
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.node.found import SHOWN_OF_DIGEST
from twisted_bazaar.cli.node.transfers import format_alone, format_hashing, format_settling
from twisted_bazaar.cli.terminal.amounts import format_count, format_rate, format_size, format_time
from twisted_bazaar.cli.terminal.command import PlainGroup
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, whole_text
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import (
    console_for_results,
    is_narrow,
    show_figures,
    show_line,
    show_named,
    show_table,
)
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.files.sharing.folder import HashingProgress
from twisted_bazaar.settings.option import OptionValues

_SHARER = "sharer"
_MOST_SHOWN = 20
# As many as a node lists at once.
_PAGE = 1000


class _File(msgspec.Struct, frozen=True):
    """A file, as a node tells it."""

    name: str
    size: int
    digest: str


class _Upload(msgspec.Struct, frozen=True):
    """Somebody who fetches."""

    digest: str
    host: str
    state: str
    sent_bytes: int


class _Source(msgspec.Struct, frozen=True):
    """Somebody from whom a file may come."""

    state: str


class _Download(msgspec.Struct, frozen=True):
    """A file that is fetched, or was."""

    name: str
    size: int
    digest: str
    state: str
    held: int = 0
    rate: float = 0.0
    reason: str = ""
    seconds_left: float | None = None
    sources: Sequence[_Source] | None = None
    resumed: int = 0
    by_protocol: Mapping[str, int] = {}


class _Status(msgspec.Struct, frozen=True):
    """The status of a sharer."""

    folder: str
    fault: str | None
    files: int
    left_out: Mapping[str, str]
    uploads: list[_Upload]
    downloads: list[_Download]
    hashing: HashingProgress = HashingProgress()
    settling: int = 0


@click.group(cls=PlainGroup)
def files() -> None:
    """See what a running sharer shares and fetches."""


@files.command(
    "list",
    cls=ConfiguredCommand,
    declared=(JSON, *WHICH_NODE),
    endings=ASKING,
    example="bazaar files list --name sharer",
)
def list_(options: OptionValues) -> None:
    """List the files that the sharer offers."""
    rows = list(_all_of(chosen_node(options, "files.list", _SHARER)))
    if options["json"]:
        click.echo(json.dumps(msgspec.to_builtins(rows)))
        return
    if not rows:
        click.echo("nothing is shared now; bazaar files status says why")
        return
    console = console_for_results()
    if is_narrow(console):
        for row in rows:
            show_named(
                console, printable(row.name), printable(f"{format_size(row.size)}, {row.digest[:SHOWN_OF_DIGEST]}")
            )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("digest", no_wrap=True)
    for row in rows:
        table.add_row(Text(printable(row.name)), format_size(row.size), Text(printable(row.digest[:SHOWN_OF_DIGEST])))
    show_table(console, table)


@files.command(
    cls=ConfiguredCommand, declared=(JSON, *WHICH_NODE), endings=ASKING, example="bazaar files status --json"
)
def status(options: OptionValues) -> None:
    """Show what the sharer serves and fetches, and which files it leaves out."""
    node = chosen_node(options, "files.status", _SHARER)
    if options["json"]:
        click.echo(json.dumps(node.rows("files.status", dict[str, Any])))
        return
    console = console_for_results()
    for told in node.rows("files.status", _Status):
        figures = list(_figures(told))
        if is_narrow(console):
            _show_narrow(console, figures)
        else:
            show_figures(console, *((what, printable(": ".join(figure))) for what, *figure in figures))


@files.command(
    cls=ConfiguredCommand,
    declared=(DIGEST, OVERWRITE, *WHICH_NODE),
    endings=(*ASKING, Ending(ExitStatus.NOT_FOUND), Ending(ExitStatus.UNREACHED)),
    example="bazaar files get song.mp3",
)
@click.argument("wanted", metavar="NAME|DIGEST")
def get(wanted: str, options: OptionValues) -> None:
    """Have the sharer fetch a file into its folder; bazaar files status shows how far it is."""
    whole_text(wanted, "NAME")
    node = chosen_node(options, "files.get", _SHARER)
    digest, overwrite = options["digest"], options["overwrite"]
    for row in node.rows("files.get", _Download, wanted=wanted, digest=digest, overwrite=overwrite):
        show_line(console_for_results(), printable(f"fetching {row.name}, {format_size(row.size)}"))


@files.command(
    cls=ConfiguredCommand,
    declared=WHICH_NODE,
    endings=(Ending(ExitStatus.DONE, "It was stopped."), Ending(ExitStatus.NO, "It was not being fetched."), NO_NODE),
    example="bazaar files cancel song.mp3",
)
@click.argument("wanted", metavar="NAME|DIGEST")
def cancel(wanted: str, options: OptionValues) -> None:
    """Have the sharer stop fetching a file. What has come of it is kept: bazaar files get goes on from there.

    The beginning of its digest is enough.
    """
    whole_text(wanted, "NAME")
    node = chosen_node(options, "files.cancel", _SHARER)
    for row in node.rows("files.cancel", _Download, wanted=wanted):
        if row.state == "done":
            raise NegativeAnswer(f"{row.name} has come already, whole")
        show_line(console_for_results(), printable(f"{row.name}: {_of_download(row)}"))


def _all_of(node: RunningNode) -> Iterator[_File]:
    """All files that a sharer offers, asked for page by page."""
    after = ""
    while rows := node.rows("files.list", _File, after=after, most=_PAGE):
        yield from rows
        if len(rows) < _PAGE:
            return
        after = rows[-1].name


def _show_narrow(console: Console, figures: Sequence[tuple[str, ...]]) -> None:
    """Print figures where there are few columns: names stand in lines of their own."""
    for what, *figure in figures:
        if what:
            show_line(console, what, style="dim")
        for depth, words in enumerate(figure, 1):
            show_line(console, "  " * depth + printable(words))


def _figures(told: _Status) -> Iterator[tuple[str, ...]]:
    """What each figure is, and the figure; of one about a file its name, and what is to be said of that."""
    yield "folder", told.folder
    yield "shared", f"NOTHING: {told.fault}" if told.fault is not None else format_count(told.files, "file")
    if told.settling:
        yield "", format_settling(told.settling)
    if told.hashing.files_left:
        yield "", format_hashing(told.hashing)
    for number, (name, reason) in enumerate(told.left_out.items()):
        if number == _MOST_SHOWN:
            yield "", f"and {len(told.left_out) - _MOST_SHOWN} more"
            break
        yield "" if number else "left out", name, reason
    for number, upload in enumerate(told.uploads[:_MOST_SHOWN]):
        words = f"{upload.digest[:SHOWN_OF_DIGEST]} to {upload.host}, {upload.state}, {format_size(upload.sent_bytes)}"
        yield "" if number else "uploads", words
    for number, download in enumerate(told.downloads[-_MOST_SHOWN:]):
        yield "" if number else "downloads", download.name, _of_download(download)


def _by_protocol(download: _Download) -> str:
    """How much has come; and by which protocol, if any came by another than TCP, as is usual."""
    whole, by_udp = format_size(download.size), download.by_protocol.get("udp", 0)
    if not by_udp:
        return whole
    if by_udp == download.size:
        return f"{whole} by UDP"
    parts = [f"{format_size(by_udp)} by UDP"]
    if by_tcp := download.by_protocol.get("tcp", 0):
        parts.append(f"{format_size(by_tcp)} by TCP")
    if download.resumed:
        parts.append(f"{format_size(download.resumed)} were there before")
    return f"{whole}: {', '.join(parts)}"


def _of_download(download: _Download) -> str:
    match download.state:
        case "failed":
            return f"failed: {download.reason}"
        case "done":
            return f"done, {_by_protocol(download)}"
        case "stopped":
            held = f"{format_size(download.held)} of {format_size(download.size)} are kept"
            return f"stopped; {held if download.held else 'nothing had come yet'}"
    held = f"{format_size(download.held)} of {format_size(download.size)}"
    if download.sources and all(source.state == "dropped" for source in download.sources):
        return f"{held}, {format_alone(None)}"
    left = f", {format_time(download.seconds_left)} left" if download.seconds_left is not None else ""
    return f"{held}, {format_rate(download.rate)}{left}"
