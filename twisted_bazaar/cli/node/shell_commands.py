"""The commands that can be typed at the prompt of C{bazaar shell}."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from twisted_bazaar.cli.node.found import SHOWN_OF_DIGEST, Finds, Search, format_sources, is_named
from twisted_bazaar.cli.node.transfers import format_receipt, format_source, format_status
from twisted_bazaar.cli.terminal.amounts import format_count, format_size
from twisted_bazaar.cli.terminal.interpreter import HELP, Interpreter, Word, fires_within, unquoted
from twisted_bazaar.cli.terminal.results import console_for_results
from twisted_bazaar.discovery.index.messages import Busy
from twisted_bazaar.errors import AlreadyThere, BazaarError, UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.files.download.swarm import Receipt
from twisted_bazaar.roles.commands.files import meant_by
from twisted_bazaar.roles.fetcher import Fetcher
from twisted_bazaar.roles.fetching import Fetch, SeveralFound, choose
from twisted_bazaar.values.files import FoundFile

_MOST: Final = 100
_JOIN_S: Final = 10.0
_BUSY_S: Final = 1.0
_MOST_TRIES: Final = 10
# Who types gets what is typed; of a pipe nobody knows how long it is.
_MOST_FROM_A_PIPE: Final = 32

_Answer = TypeVar("_Answer")


class ShellCommands(Interpreter):
    """Understands what is typed at the prompt of C{bazaar shell}.

    @param fetcher: finds and fetches.
    @param directory: where files go.
    @param say: takes a line for the user.
    @param patient: whether the end of what is typed is to wait for downloads, as at the end of a pipe.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        directory: Path,
        say: Callable[[str], object],
        reactor: Any,
        *,
        patient: bool,
    ) -> None:
        super().__init__(WORDS, say)
        self._fetcher = fetcher
        self._directory = directory
        self._reactor = reactor
        self._patient = patient
        self._shown: Sequence[FoundFile] = ()
        self._choice: tuple[FoundFile, Sequence[str]] | None = None
        self._waiting: list[Deferred[None]] = []

    async def run_end(self) -> int | None:
        """There are no more lines: at the end of a pipe, wait for all downloads."""
        if self._patient:
            await self._wait("")
        return await super().run_end()

    def completions(self) -> list[str]:
        """The beginnings of all lines that can be typed, and to fetch what was shown, and to stop that."""
        names = [fetch.found.name for fetch in self._fetcher.under_way()]
        return [
            *super().completions(),
            *(f"get {file.name}" for file in self._shown),
            *(f"cancel {name}" for name in names),
        ]

    def show_left(self) -> bool:
        """Say what is left; returns whether anything is."""
        left = self._fetcher.under_way()
        if left:
            self._say(f"{format_count(len(left), 'download')} left: the same get goes on from there")
        return bool(left)

    async def _query(self, rest: str) -> None:
        if not rest:
            raise UsageError("query what? write query NAME, or list for all there is")
        await self._show(Search.of(unquoted(rest), _MOST))

    async def _list(self, rest: str) -> None:
        await self._show(Search.of(unquoted(rest) if rest else None, _MOST))

    async def _show(self, wanted: Search) -> None:
        await self._wait_for_index()
        finds = await self._ask_while_busy(lambda: wanted.run(self._fetcher.catalogue))
        self._shown = finds.files
        self._choice = None
        if not finds.files:
            self._say("nothing was found")
            return
        for line in _lines_of(finds):
            self._say(line)

    async def _choose(self, rest: str) -> None:
        number, *nodes = rest.split() or [""]
        found = self._numbered(number)
        if found is None:
            raise UsageError("choose what? query first, and then write choose and a number of what is shown")
        sources = await self._ask_while_busy(lambda: self._fetcher.catalogue.sources(found.digest))
        for source in sources:
            load = f"; serves {format_count(source.load, 'download')}" if source.load else ""
            self._say(f"  {format_source(source)}{'' if source.is_whole else ', in part'}{load}")
        if not any(is_named(source, nodes) for source in sources):
            raise UsageError(f"{' or '.join(nodes)} has not got it" if sources else f"nobody has {found.name} now")
        self._choice = found, nodes
        self._say(f"get fetches {found.name}" + (f" from {' or '.join(nodes)}" if nodes else ""))

    async def _get(self, rest: str) -> None:
        if not rest and self._choice is None:
            raise UsageError("get what? write get NAME, or query first and then get NUMBER")
        await self._wait_for_index()
        while self._patient and len(self._fetcher.under_way()) >= _MOST_FROM_A_PIPE:
            await self._next_end()
        numbered = [self._numbered(word) for word in rest.split()]
        if len(numbered) > 1 and None not in numbered:
            for found in filter(None, numbered):
                await self._begin(found, ())
            return
        await self._begin(*(self._choice if self._choice and not rest else (await self._chosen(unquoted(rest)), ())))

    async def _begin(self, found: FoundFile, nodes: Sequence[str]) -> None:
        """Begin to fetch a file.

        @param nodes: from whom it may come; from anybody if there are none.
        """
        try:
            fetch = await self._fetcher.begin(found, self._show_end, accept=lambda source: is_named(source, nodes))
        except AlreadyThere:
            self._say(f"{found.name} is here already, whole")
            return
        held = fetch.status().held_bytes
        before = f"; {format_size(held)} are here already" if held else ""
        self._say(f"fetching {found.name}, {format_size(found.size)}, {format_sources(found)}{before}")

    async def _chosen(self, wanted: str) -> FoundFile:
        numbered = self._numbered(wanted)
        if numbered is not None:
            return numbered
        try:
            return await self._ask_while_busy(lambda: choose(self._fetcher.catalogue, wanted))
        except SeveralFound as several:
            self._shown = several.files
            for line in _lines_of(Finds(several.files, len(several.files))):
                self._say(line)
            raise UsageError("which of them? write get and its number") from None

    def _numbered(self, number: str) -> FoundFile | None:
        """The file with a number in what was shown last."""
        if number.isascii() and number.isdigit() and 0 < int(number) <= len(self._shown):
            return self._shown[int(number) - 1]
        return None

    async def _cancel(self, rest: str) -> None:
        under_way = self._fetcher.under_way()
        if not under_way:
            raise UsageError("nothing is being fetched")
        if rest == "all":
            for fetch in under_way:
                await self._stop(fetch)
            return
        if not rest and len(under_way) > 1:
            raise UsageError(f"{format_count(len(under_way), 'download')} under way: write cancel NAME, or cancel all")
        numbered = self._numbered(rest)
        wanted = unquoted(rest) if numbered is None else numbered.digest
        await self._stop(meant_by(wanted, under_way) if rest else under_way[0])

    async def _stop(self, fetch: Fetch) -> None:
        """Stop a download, and say what is kept of it."""
        await self._fetcher.cancel(fetch)
        status = fetch.status()
        if isinstance(fetch.outcome, Receipt):
            # It was quicker, and its end has been told.
            return
        kept = f"{format_size(status.held_bytes)} of {format_size(status.size or fetch.found.size)} are kept"
        goes_on = f"{kept}, and get goes on from there" if status.held_bytes else "nothing had come yet"
        self._say(f"{fetch.found.name} is stopped: {goes_on}")

    def on_interrupt(self) -> None:
        """Ctrl-C, and nothing that was typed is to be cleared: stop what is waited for, or the one download."""
        has_stopped = self.interrupt()
        under_way = self._fetcher.under_way()
        if len(under_way) == 1:
            stopping = Deferred.fromCoroutine(self._stop(under_way[0]))
            stopping.addErrback(lambda failure: self._say(f"it is not stopped: {failure.getErrorMessage()}"))
        elif under_way:
            self._say(f"{len(under_way)} downloads go on: cancel NAME stops one, cancel all stops all")
        elif not has_stopped:
            self._say("nothing is being fetched; exit ends this")

    async def _show_status(self, rest: str) -> None:
        fetches = self._fetcher.under_way()
        for fetch in fetches:
            self._say(f"{fetch.found.name}: {format_status(fetch.status())}")
        if not fetches:
            self._say("no downloads under way")
        for upload in self._fetcher.uploads.status():
            self._say(
                f"{upload.host} fetches {upload.digest[:SHOWN_OF_DIGEST]} from here: {upload.state}, "
                f"{format_size(upload.sent_bytes)} sent"
            )

    async def _wait(self, rest: str) -> None:
        while self._fetcher.under_way():
            await self._next_end()

    async def _exit(self, rest: str) -> int | None:
        left = self._fetcher.under_way()
        is_first = self.previous is None or self.previous.name != "exit"
        if left and not self._patient and is_first:
            count = format_count(len(left), "download")
            self._say(f"{count} under way: wait lets them end; exit again leaves them to be gone on with")
            return None
        if self.show_left():
            return ExitStatus.UNFINISHED
        return self.status if self._patient else ExitStatus.DONE

    def _show_end(self, fetch: Fetch) -> None:
        outcome = fetch.outcome
        if isinstance(outcome, Receipt):
            for line in format_receipt(fetch.found, outcome, tells_tcp=self._fetcher.node.streams_first):
                self._say(line)
            self._say(f"{self._directory / fetch.found.name}")
        elif outcome is not None and outcome.check(BazaarError):
            self.status: int = ExitStatus.NO
            self._say(f"{fetch.found.name} was not fetched: {outcome.getErrorMessage()}")
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _next_end(self) -> Deferred[None]:
        """Wait for a download to come to its end."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    async def _ask_while_busy(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """What an index answers; while it has been asked too much, as from a pipe, it is asked again after a moment."""
        for _ in range(_MOST_TRIES):
            try:
                return await ask()
            except Busy:
                await deferLater(self._reactor, _BUSY_S)
        return await ask()

    async def _wait_for_index(self) -> None:
        """Wait a moment for the index; if it is not there then, who asks it is told so."""
        await fires_within(self._fetcher.joined, _JOIN_S, self._reactor)


WORDS: Final = (
    Word(
        "query",
        "NAME",
        "look for files with this name, or these words in it",
        ShellCommands._query,
        ("search", "find"),
    ),
    Word("list", "", "all files that there are", ShellCommands._list, ("ls",)),
    Word(
        "choose",
        "NUMBER [NODE...]",
        "who has a file of those shown; get alone fetches it",
        ShellCommands._choose,
    ),
    Word(
        "get",
        "NAME|DIGEST|NUMBER",
        "fetch a file, or several by their numbers above",
        ShellCommands._get,
    ),
    Word(
        "cancel",
        "[NAME|DIGEST|all]",
        "stop a download; what has come of it is kept",
        ShellCommands._cancel,
        ("stop",),
    ),
    Word("status", "", "how downloads are, and what others fetch from here", ShellCommands._show_status),
    Word("wait", "", "until all downloads are done", ShellCommands._wait),
    HELP,
    Word(
        "exit",
        "",
        "end; get goes on with what is left another time",
        ShellCommands._exit,
        ("quit", "bye"),
    ),
)


def _lines_of(finds: Finds) -> list[str]:
    """What was found, with numbers, as lines."""
    console = console_for_results()
    if console.is_terminal:
        # Its lines go above what is being typed, so they are made here as for a pipe.
        console = Console(file=io.StringIO(), width=console.width, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        finds.show(console, numbered=True)
    return capture.get().splitlines()
