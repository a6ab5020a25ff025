"""One file that a command fetches: found, fetched, and shown as it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, ClassVar, Final

import click
from attrs import evolve, frozen
from rich.console import Console
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from twisted_bazaar.cli.node.ephemeral_node import EphemeralNode, Member
from twisted_bazaar.cli.node.found import SHOWN_OF_DIGEST, format_sources, is_named
from twisted_bazaar.cli.node.transfers import Display, Lines, bar_for, format_event
from twisted_bazaar.cli.terminal.amounts import format_size
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError
from twisted_bazaar.errors import TransferFailed
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.files.download.swarm import Receipt
from twisted_bazaar.roles.fetcher import USUAL_SLOTS, Fetcher, parts_in
from twisted_bazaar.roles.fetching import Fetch, NotFound, SeveralFound, choose
from twisted_bazaar.values.files import FileSource, FoundFile

USUAL_TIMEOUT_S: Final = 60.0
_SHOW_S: Final = 0.2


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
    timeout_s: float | None = USUAL_TIMEOUT_S
    slots: int = USUAL_SLOTS
    name: str | None = None

    def accepts(self, source: FileSource) -> bool:
        """Whether it may come from somebody."""
        return is_named(source, self.sources)


def _say(line: str) -> None:
    """Say something that is not the result."""
    click.echo(line, err=True)


class Getting:
    """One file on its way here.

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
        self.path: Path = wish.directory

    async def work(self, reactor: Any) -> tuple[FoundFile, Receipt]:
        """Join the others for it, find it, fetch it, and show how far that is.

        @raise Missing: nobody has it.
        @raise Resumable: nobody is left who has it.
        @raise AlreadyThere: it was fetched before.
        """
        wish = self._wish
        async with self._membership.join(
            reactor, lambda catalogue: Fetcher(catalogue, parts_in(wish.directory), slots=wish.slots)
        ) as member:
            return await self.fetch(reactor, member, await self.choose(member))

    async def fetch(self, reactor: Any, member: Member, found: FoundFile) -> tuple[FoundFile, Receipt]:
        """The same, of a file that was found, for a node that has joined."""
        found = evolve(found, name=self._wish.name or found.name)
        self.path = self._wish.directory / found.name
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

    async def choose(self, member: Member) -> FoundFile:
        """The file that is meant.

        @raise Missing: nobody has it.
        @raise UserError: it can be several.
        """
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
