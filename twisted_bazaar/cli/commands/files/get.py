"""C{bazaar get}: one file, from everybody who has it, whole and verified or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, ClassVar, Final

import click
from attrs import evolve, frozen
from rich.console import Console
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from twisted_bazaar.cli.commands.files.options import GET
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.node.ephemeral_node import EphemeralNode, Member
from twisted_bazaar.cli.node.found import SHOWN_OF_DIGEST, format_sources, is_named
from twisted_bazaar.cli.node.transfers import Display, Lines, bar_for, format_event, format_receipt, json_of_receipt
from twisted_bazaar.cli.terminal.amounts import format_size
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError, whole_text
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import console_for_results, show_line
from twisted_bazaar.cli.terminal.session import Interrupted, run_in_reactor
from twisted_bazaar.errors import AlreadyThere, TransferFailed, UsageError
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.files.download.swarm import Receipt
from twisted_bazaar.roles.fetcher import USUAL_SLOTS, Fetcher, parts_in
from twisted_bazaar.roles.fetching import Fetch, NotFound, SeveralFound, choose, read_beginning
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.state import written_path
from twisted_bazaar.values.files import FileSource, FoundFile
from twisted_bazaar.wire.files import check_file_name

_USUAL_TIMEOUT_S: Final = 60.0
_SHOW_S: Final = 0.2
_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "The file is there."),
    Ending(ExitStatus.NO, "It failed."),
    Ending(ExitStatus.WRONG_USE, "An option is wrong, or several files have this name."),
    Ending(ExitStatus.NOT_FOUND, "Nobody has it."),
    Ending(
        ExitStatus.UNFINISHED,
        "It was interrupted, or nobody is left who has it. The same command goes on from there.",
    ),
    Ending(ExitStatus.UNREACHED),
)


class Missing(NegativeAnswer):
    """Nobody has it."""

    exit_code: ClassVar[int] = ExitStatus.NOT_FOUND


class Resumable(NegativeAnswer):
    """It has not come to its end; what is there is kept."""

    exit_code: ClassVar[int] = ExitStatus.UNFINISHED


@frozen
class Wish:
    """A file to be fetched, and how.

    @ivar wanted: its name or digest.
    @ivar beginning: how its digest begins.
    @ivar directory: where it goes.
    @ivar name: what it is to be called there; what it is called by others if not given.
    @ivar sources: nodes that it may come from; from anybody if there are none.
    @ivar timeout_s: how long to go on without anybody who has it; None for ever.
    """

    wanted: str
    directory: Path
    beginning: str = ""
    sources: Sequence[str] = ()
    overwrite: bool = False
    timeout_s: float | None = _USUAL_TIMEOUT_S
    slots: int = USUAL_SLOTS
    name: str | None = None

    def accepts(self, source: FileSource) -> bool:
        """Whether it may come from somebody."""
        return is_named(source, self.sources)


@click.command(
    cls=ConfiguredCommand,
    declared=GET,
    endings=_ENDINGS,
    example="bazaar get song.mp3 --index tcp:192.0.2.1:9100",
)
@click.argument("wanted", metavar="NAME|DIGEST")
def get(wanted: str, options: OptionValues) -> None:
    """Fetch a file from everybody who has it.

    The file is checked chunk by chunk. It appears under its name when all of it is there and right. Until then its
    chunks are kept in a hidden file beside it, and served to others who want them. The same command goes on from
    there.
    """
    wish = Wish(
        _whole_name(wanted),
        directory_for_files(options["output"]),
        read_beginning(options["digest"]),
        [whole_text(source, "--from") for source in options["from"]],
        options["overwrite"],
        _seconds(options["timeout"]),
        options["upload-slots"],
        None if options["as"] is None else _own_name(options["as"]),
    )
    getting = Getting(wish, EphemeralNode.read(options), Console(stderr=True, highlight=False))
    try:
        found, receipt = run_in_reactor(getting.work_unless_there)
    except Interrupted:
        raise Resumable(getting.kept("interrupted")) from None
    _tell(found, receipt, str(getting.path), options["json"])


def _tell(found: FoundFile, receipt: Receipt, path: str, as_json: bool) -> None:
    """Say what has come from whom."""
    if as_json:
        click.echo(json.dumps(json_of_receipt(found, receipt, path)))
        return
    there = [f"{path} is there already, whole"]
    console = console_for_results()
    for line in (*format_receipt(found, receipt), path) if receipt.seconds else there:
        show_line(console, printable(line))


def _say(line: str) -> None:
    """Say something that is not the result."""
    click.echo(line, err=True)


class Getting:
    """One call of the command.

    @param console: where a bar is shown, if it is a terminal.
    @param say: takes a line for the user where it is none.
    @ivar path: where the file is to be.
    """

    def __init__(
        self, wish: Wish, membership: EphemeralNode, console: Console, say: Callable[[str], object] = _say
    ) -> None:
        self._wish = wish
        self._membership = membership
        self._console = console
        self._say = say
        self._fetch: Fetch | None = None
        self._found: FoundFile | None = None
        self.path: Path = wish.directory

    async def work_unless_there(self, reactor: Any) -> tuple[FoundFile, Receipt]:
        """The same as L{work}; of a file that was fetched before, nothing has come from anybody."""
        try:
            return await self.work(reactor)
        except AlreadyThere:
            assert self._found is not None, "it is there by its name"
            found = self._found
            return found, Receipt(found.digest, found.size, {}, {}, found.size, 0.0)

    async def work(self, reactor: Any) -> tuple[FoundFile, Receipt]:
        """Find it, fetch it, and show how far that is.

        @raise Missing: nobody has it.
        @raise Resumable: nobody is left who has it.
        @raise AlreadyThere: it was fetched before.
        """
        wish = self._wish
        async with self._membership.join(
            reactor, lambda catalogue: Fetcher(catalogue, parts_in(wish.directory), slots=wish.slots)
        ) as member:
            found = await self._choose(member)
            self._found = found = evolve(found, name=wish.name or found.name)
            self.path = wish.directory / found.name
            with self._display(found) as display:
                return await self._get(reactor, member, found, display)

    def kept(self, why: str) -> str:
        """That it can be gone on with, if anything is there."""
        if self._fetch is None:
            return f"{why}; nothing was fetched yet"
        status = self._fetch.status()
        if not status.held_bytes or status.size is None:
            return f"{why}; nothing has come yet"
        kept = f"{format_size(status.held_bytes)} of {format_size(status.size)} are kept"
        return f"{why}; {kept}, and the same command goes on from there"

    async def _choose(self, member: Member) -> FoundFile:
        wish = self._wish
        try:
            found = await choose(member.fetcher.catalogue, wish.wanted, wish.beginning)
        except NotFound as error:
            raise Missing(str(error)) from None
        except SeveralFound as several:
            choices = "; ".join(
                f"{file.digest[:SHOWN_OF_DIGEST]} ({format_size(file.size)}, {format_sources(file)})"
                for file in several.files
            )
            raise UserError(f"{several}, with --digest PREFIX: {choices}") from None
        if wish.sources:
            await self._check_sources(member, found)
        return found

    async def _check_sources(self, member: Member, found: FoundFile) -> None:
        """See that somebody has it whom it may come from.

        @raise Missing: nobody has.
        """
        sources = await member.fetcher.catalogue.sources(found.digest)
        if not any(map(self._wish.accepts, sources)):
            who = ", ".join(f"{source.id} ({source.key[:8]})" for source in sources) or "nobody now"
            raise Missing(f"--from {' or '.join(self._wish.sources)}: it has not got it; who has: {who}")

    async def _get(self, reactor: Any, member: Member, found: FoundFile, display: Display) -> tuple[FoundFile, Receipt]:
        ended: Deferred[Fetch] = Deferred()
        fetch = self._fetch = await member.fetcher.begin(
            found,
            lambda fetch: None if ended.called else ended.callback(fetch),
            overwrite=self._wish.overwrite,
            give_up_s=self._wish.timeout_s,
            accept=self._wish.accepts,
            told=lambda event, details: _note(display, format_event(event, details)),
        )
        _note(display, f"{found.name}: {format_size(found.size)}, {format_sources(found)}")
        if (held := fetch.status().held_bytes) and fetch.outcome is None:
            _note(display, f"{format_size(held)} of it are here already; going on from there")
        showing = LoopingCall(lambda: display.show(fetch.status()))
        showing.clock = reactor
        showing.start(_SHOW_S)
        try:
            await ended
        finally:
            showing.stop()
        outcome = fetch.outcome
        assert outcome is not None, "it has ended"
        if not isinstance(outcome, Receipt):
            if outcome.check(TransferFailed) and fetch.status().held_bytes:
                raise Resumable(self.kept(outcome.getErrorMessage()))
            outcome.raiseException()
        return found, outcome

    def _display(self, found: FoundFile) -> AbstractContextManager[Display]:
        if self._console.is_terminal:
            return bar_for(found.name, self._console)
        return nullcontext(Lines(self._say))


def _note(display: Display, line: str | None) -> None:
    if line is not None:
        # Nobody who looks on is no reason to fetch nothing.
        with suppress(OSError):
            display.note(line)


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
