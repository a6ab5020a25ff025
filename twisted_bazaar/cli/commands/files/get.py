"""C{bazaar get}: files, from everybody who has them, each whole and verified or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from twisted_bazaar.cli.commands.files.options import GET
from twisted_bazaar.cli.node.batch import Batch, Fetched
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.node.ephemeral_node import EphemeralNode
from twisted_bazaar.cli.node.getting import Resumable, Wish
from twisted_bazaar.cli.node.transfers import format_receipt, json_of_receipt
from twisted_bazaar.cli.terminal.errors import UserError, whole_text
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import console_for_results, show_line, show_sentence
from twisted_bazaar.cli.terminal.session import Interrupted, run_in_reactor
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.roles.fetching import read_beginning
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.state import written_path
from twisted_bazaar.wire.files import check_file_name

_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "The file is there."),
    Ending(ExitStatus.NO, "It failed. Of several files, the status is that of the worst."),
    Ending(ExitStatus.WRONG_USE, "An option is wrong, or several files have this name."),
    Ending(ExitStatus.NOT_FOUND, "Nobody has it."),
    Ending(
        ExitStatus.UNFINISHED,
        "It was interrupted, or nobody is left who has it. The same command goes on from there.",
    ),
    Ending(ExitStatus.UNREACHED),
)


@click.command(
    cls=ConfiguredCommand,
    declared=GET,
    endings=_ENDINGS,
    example="bazaar get song.mp3 --index tcp:192.0.2.1:9100",
)
@click.argument("wanted", metavar="[NAME|DIGEST|PATTERN]...", nargs=-1)
def get(wanted: Sequence[str], options: OptionValues) -> None:
    """Fetch files from everybody who has them.

    A file is meant by its name, by its digest or the beginning that bazaar search shows, or by a pattern such as
    '*.mp3'.

    Each file is checked chunk by chunk. It appears under its name when all of it is there and right. Until then its
    chunks are kept in a hidden file beside it, and served to others who want them. The same command goes on from
    there.
    """
    names = [_whole_name(each) for each in wanted]
    all_from = None if options["all-from"] is None else whole_text(options["all-from"], "--all-from")
    _check(names, all_from, options)
    wish = Wish(
        names[0] if names else "",
        directory_for_files(options["output"]),
        read_beginning(options["digest"]),
        [whole_text(source, "--from") for source in options["from"]],
        options["overwrite"],
        _seconds(options["timeout"]),
        options["upload-slots"],
        None if options["as"] is None else _own_name(options["as"]),
    )
    node = EphemeralNode.read(options)
    if all_from is not None and not node.lists_everything:
        raise UserError(f"--all-from goes with --via index: {node.asked.asked.whole} has no list of what a node has")
    tell = (lambda fetched: None) if options["json"] else partial(_tell, options["transfer"] == "udp")
    batch = Batch(names, wish, node, Console(stderr=True, highlight=False), tell, all_from=all_from)
    try:
        run_in_reactor(batch.work)
    except Interrupted:
        raise Resumable(batch.kept("interrupted")) from None
    finally:
        if options["json"] and (batch.is_list or batch.fetched):
            rows = [json_of_receipt(each.found, each.receipt, each.path) for each in batch.fetched]
            click.echo(json.dumps(rows if batch.is_list else rows[0]))


def _check(names: Sequence[str], all_from: str | None, options: OptionValues) -> None:
    """Refuse what does not go together.

    @raise UserError: something does not.
    """
    if not names and all_from is None:
        raise UserError("Missing argument 'NAME|DIGEST'; see --help")
    if all_from is not None and options["from"]:
        raise UserError("--all-from and --from: give one of them")
    if all_from is None and len(names) == 1:
        return
    for option in ("as", "digest"):
        if options.is_typed(option):
            raise UserError(f"--{option} goes with one NAME")


def _tell(tells_tcp: bool, fetched: Fetched) -> None:
    """Say what has come from whom."""
    console = console_for_results()
    if not fetched.receipt.seconds:
        show_line(console, printable(f"{fetched.path} is there already, whole"))
        return
    for line in format_receipt(fetched.found, fetched.receipt, tells_tcp=tells_tcp):
        words = line.lstrip()
        show_sentence(console, printable(words), start=" " * (len(line) - len(words)))
    show_line(console, printable(fetched.path))


def _whole_name(wanted: str) -> str:
    if not wanted:
        raise UserError("NAME: write the name of a file, or its digest; bazaar search finds names")
    if "/" in wanted:
        raise UserError(f"{wanted}: files have plain names here; -o DIR says where it goes")
    return whole_text(wanted, "NAME")


def _own_name(name: str) -> str:
    """What the user calls a file.

    @raise Refusal: it is no name of a file.
    """
    try:
        check_file_name(name)
    except ValueError as error:
        raise UserError(f"--as: {str(error).removeprefix('name: ')}") from None
    return name


def directory_for_files(text: str) -> Path:
    """Where files are to go.

    @raise Refusal: there is no such directory.
    """
    if not text:
        raise UserError("-o: write a directory; -o . is this one")
    path: Path = _or_refuse(lambda text: written_path(Path(text), "-o"), text)
    try:
        if path.is_dir():
            return path.resolve()
    except (OSError, ValueError) as error:
        raise UserError(f"-o {text}: {getattr(error, 'strerror', None) or error}") from None
    raise UserError(f"-o {text}: " + ("this is no directory" if path.exists() else "there is no such directory"))


def _seconds(text: str) -> float | None:
    if text == "none":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 1e6:
        raise UserError(f"--timeout: takes seconds, or none, not {text!r}")
    return seconds


def _or_refuse(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except UsageError as error:
        raise UserError(str(error)) from None
