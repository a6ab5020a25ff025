"""C{bazaar share}: a sharer in the foreground, for as long as somebody looks at it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Table
from rich.text import Text
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from twisted_bazaar.cli.commands.files.options import SHARE
from twisted_bazaar.cli.node.availability import Reason
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.node.ephemeral_node import EphemeralNode
from twisted_bazaar.cli.node.transfers import SERVING, format_hashing, format_settling, wrapped_words
from twisted_bazaar.cli.terminal.amounts import format_count, format_size
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import OutputConsole, is_narrow, show_line
from twisted_bazaar.cli.terminal.session import Interrupted, run_in_reactor
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import WRONG_OPTION, Ending, ExitStatus
from twisted_bazaar.files.sharing.folder import HashingProgress, HashMemory
from twisted_bazaar.interfaces import ICatalogue
from twisted_bazaar.roles.sharer import Sharer, shared_path
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.state import StateDirectory, state_path
from twisted_bazaar.values.files import SharedFile
from twisted_bazaar.values.joining import JoinObserver

_SHOW_S: Final = 0.25
# Of so many at once each is told.
_TOLD_AT_ONCE: Final = 20
_MOST_UPLOADS_SHOWN: Final = 3
_MOST_LEFT_OUT_SHOWN: Final = 3
# What is left out is looked up once in so many times that the line is moved.
_LOOKED_UP_EVERY: Final = 4
# The path of a socket has to fit in 107 bytes.
_MOST_OF_NAME: Final = 20
_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "It was told to end; the folder is not shared any more."),
    Ending(ExitStatus.NO, "It could not begin, or go on."),
    WRONG_OPTION,
    Ending(ExitStatus.UNREACHED, "What listens at --index or --join is something else, such as a tracker."),
)


@click.command(
    cls=ConfiguredCommand,
    declared=SHARE,
    endings=_ENDINGS,
    example="bazaar share ~/music --listen tcp:9200 --upload-rate 2M",
)
@click.argument("folder", metavar="DIR")
def share(folder: str, options: OptionValues) -> None:
    """Share the files of a folder until Ctrl-C.

    Others find them through the same index server, any super peer, or any member of the ring. Only files directly in
    the folder are shared: no folders in it, no hidden files, no links. A file that changes is shared as it is then.
    With --udp, files are served by UDP datagrams too.
    """
    try:
        path = shared_path(folder, "DIR")
        limits = {"slots": options["upload-slots"], "rate": options["upload-rate"]}
        state = options["state"]
        if options["ephemeral"] and state is not None:
            raise UsageError("--ephemeral keeps nothing: leave out --state")
        node = EphemeralNode.read(options)
        directory = None if options["ephemeral"] else _state_directory(path, state)
    except UsageError as error:
        # Names are for daemons.
        raise UserError(str(error).removeprefix("DIR ").replace("a --name or --state", "a --state")) from None
    sharing = Sharing(path, node, directory, limits, OutputConsole(highlight=False))
    try:
        run_in_reactor(sharing.run)
    except Interrupted:
        click.echo(f"{printable(str(path))} is not shared any more", err=True)


class ShareDisplay:
    """The display of a sharer: lines of what happens, and on a terminal a line that moves below them.

    All of them begin with the folder's name, as several sharers may be in the background of one terminal. A line
    that moves would be in the way there, so there is none.

    @param console: where it is shown.
    @param folder: what people call the folder.
    @ivar lost: fails when nothing can be shown any more.
    """

    def __init__(self, console: Console, folder: str) -> None:
        self._console = console
        self._folder = folder
        self._progress: Progress | None = None
        self._task: Any = None
        self._shown = ""
        self._lately = 0
        self.lost: Deferred[None] = Deferred()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show it for a while."""
        if not self._console.is_terminal or _is_in_background(self._console):
            yield
            return
        column: ProgressColumn = wrapped_words() if is_narrow(self._console) else _BarWhileHashing()
        # It is moved by the reactor, and by no thread.
        with Progress(column, console=self._console, transient=True, auto_refresh=False) as progress:
            self._progress = progress
            self._task = progress.add_task("", total=1, words="", hashes=False)
            yield

    def say(self, line: str) -> None:
        """Say what has happened."""
        try:
            show_line(self._console, printable(f"[{self._folder}] {line}"))
        except OSError as error:
            if not self.lost.called:
                self.lost.errback(error)

    def say_some(self, line: str) -> None:
        """Say one of what may be very many: past some at once they are only counted, in the line that moves.

        L{let_more_be_said} lets as many again be said, bit by bit.
        """
        self._lately += 1
        if self._lately <= _TOLD_AT_ONCE:
            self.say(line)
        elif self._lately == _TOLD_AT_ONCE + 1:
            self.say("... and more")

    @property
    def moves_with_next(self) -> bool:
        """Whether the next of many is said above a line that moves, which is to be right then."""
        return self._progress is not None and self._lately < _TOLD_AT_ONCE

    def let_more_be_said(self) -> None:
        """Forget one of those that were said lately."""
        self._lately = max(0, self._lately - 1)

    def move(self, hashing: HashingProgress, words: str) -> None:
        """Show how it is now, with a bar while files are hashed."""
        hashes, words = hashing.files_left > 0, printable(f"[{self._folder}] {words}")
        if self._progress is not None and (words != self._shown or hashes):
            self._shown = words
            done, whole = hashing.bytes_done, hashing.bytes_total or 1
            self._progress.update(self._task, completed=done, total=whole, words=words, hashes=hashes)
            self._progress.refresh()


class _BarWhileHashing(ProgressColumn):
    """The words of a task, and before them a bar as long as there is something to wait for."""

    def __init__(self) -> None:
        self._bar = BarColumn(bar_width=24)
        super().__init__()

    def render(self, task: Task) -> RenderableType:
        """What stands there now."""
        words = Text(task.fields["words"])
        if not task.fields["hashes"]:
            return words
        line = Table.grid(padding=(0, 1))
        line.add_row(self._bar(task), words)
        return line


def _is_in_background(console: Console) -> bool:
    """Whether somebody else has the terminal, such as the shell that began this with an C{&}."""
    try:
        return os.tcgetpgrp(console.file.fileno()) != os.getpgrp()
    except (OSError, ValueError):
        # It is no terminal of this session, and nobody types there.
        return False


class Sharing(JoinObserver):
    """A folder that is shared, and what is said of it.

    @param state: what outlives the process; None for nothing.
    @param limits: how it is served.
    @param console: where it is shown.
    """

    def __init__(
        self,
        path: Path,
        membership: EphemeralNode,
        state: StateDirectory | None,
        limits: Mapping[str, Any],
        console: Console,
    ) -> None:
        self._path = path
        self._membership = membership
        self._state = state
        self._limits = limits
        self._display = ShareDisplay(console, path.name or str(path))
        self._hashing = HashingProgress()
        self._shows = 0
        self._left_out: set[tuple[str, str]] = set()

    async def run(self, reactor: Any) -> None:
        """Share until that is cancelled."""
        joining = self._membership.join(
            reactor,
            self._make_sharer,
            stays=True,
            state=self._state,
            late=self._tell_late,
            observer=self,
            journals=(self.tell,),
        )
        with self._display.shown():
            async with joining as member:
                self._display.say(f"sharing {self._path} by {self._membership.asked}; Ctrl-C ends it")
                showing = LoopingCall(self._show)
                showing.clock = reactor
                showing.start(_SHOW_S)
                try:
                    await member.stay(self._until_lost())
                finally:
                    showing.stop()

    async def _until_lost(self) -> None:
        await self._display.lost

    def _make_sharer(self, catalogue: ICatalogue) -> Sharer:
        memory = HashMemory(None if self._state is None else self._state.files)
        self._sharer = Sharer(catalogue, self._path, memory, self._take_progress, **self._limits)
        return self._sharer

    def _take_progress(self, progress: HashingProgress) -> None:
        self._hashing = progress

    def joined(self, how: str) -> None:
        """Others find it."""
        self._display.say(f"others find it {how}")

    def left(self, whom: str) -> None:
        """One of those by whom others find it is gone."""
        self._display.say(f"the link to {whom} is lost; another takes its place if there is one")

    def tell(self, event: str, details: Mapping[str, Any]) -> None:
        """Say what the node reports, if it is about the folder."""
        name = details.get("name")
        match event:
            case "shared":
                self._say_some(f"shared: {name}, {format_size(details['size'])}")
            case "withdrawn":
                self._say_some(f"no more: {name}")
            case "changed":
                self._display.say("a file was changed while it was fetched; who fetched it has been told")
            case "folder_gone":
                self._display.say(f"nothing is shared: {details['reason']}; it goes on when the folder is back")
            case "folder_back":
                self._display.say(f"the folder {self._path} is back")
            case "uploaded":
                self._display.say_some(f"sent: {format_size(details['bytes'])} of {name} to {details['host']}")

    def _say_some(self, line: str) -> None:
        """Say that there is a file more or less; the line that moves, which stands below that, knows of it."""
        if self._display.moves_with_next:
            self._hashing = self._sharer.folder.hashing
            self._move()
        self._display.say_some(line)

    def _tell_late(self, reason: Reason) -> None:
        self._display.say(self._membership.asked.awaited(reason))

    def _show(self) -> None:
        folder = self._sharer.folder
        if self._shows % _LOOKED_UP_EVERY == 0:
            for line in format_left_out(folder.left_out(), self._left_out):
                self._display.say(line)
        self._shows += 1
        self._display.let_more_be_said()
        self._move()

    def _move(self) -> None:
        """Bring the line that moves up to date."""
        folder = self._sharer.folder
        files = folder.files()
        words = f"{format_count(len(files), 'file')} shared; {self._told_uploads(files)}"
        hashing = self._hashing
        if folder.settling:
            words = f"{format_settling(folder.settling)}; {words}"
        if hashing.files_left:
            words = f"{format_hashing(hashing)}; {words}"
        if folder.fault is not None:
            words = f"nothing is shared: {folder.fault}"
        self._display.move(hashing, words)

    def _told_uploads(self, files: Sequence[SharedFile]) -> str:
        uploads = [each for each in self._sharer.uploads.status() if each.state == SERVING]
        if not uploads:
            return "nobody fetches anything now"
        wanted = {upload.digest for upload in uploads[:_MOST_UPLOADS_SHOWN]}
        names = {file.digest: file.name for file in files if file.digest in wanted}
        told = [
            f"{names.get(upload.digest, upload.digest[:12])} to {upload.host} ({format_size(upload.sent_bytes)})"
            for upload in uploads[:_MOST_UPLOADS_SHOWN]
        ]
        more = len(uploads) - len(told)
        return f"{format_count(len(uploads), 'upload')}: {', '.join(told)}{f' and {more} more' if more else ''}"


def format_left_out(left_out: Mapping[str, str], told: set[tuple[str, str]]) -> Iterator[str]:
    """What is left out of what is shared, and why: a line for each reason, in short.

    @param left_out: by name, why it is not offered.
    @param told: names and reasons that were told before; those that are told now are added.
    """
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        if (name, reason) not in told:
            told.add((name, reason))
            by_reason.setdefault(reason.partition(";")[0], []).append(name)
    for reason, names in by_reason.items():
        more = len(names) - _MOST_LEFT_OUT_SHOWN
        shown = ", ".join(names[:_MOST_LEFT_OUT_SHOWN])
        yield f"left out ({reason}): {shown}{f' and {more} more' if more > 0 else ''}"


def _state_directory(folder: Path, state: str | None) -> StateDirectory:
    """What outlives the process; each folder has its own, so that several can be shared at once.

    @raise UsageError: it cannot be used.
    """
    if state is None:
        return StateDirectory(state_path(name_of_sharer(folder)), ["sharer"])
    if not state:
        raise UsageError("--state: write a directory")
    return StateDirectory(Path(state), ["sharer"])


def name_of_sharer(folder: Path) -> str:
    """What to call the sharer of a folder where others run: by what people call the folder, and no two alike."""
    spoken = re.sub("[^A-Za-z0-9_-]+", "-", folder.name).strip("-")[:_MOST_OF_NAME]
    return "-".join(filter(None, ("share", spoken, hashlib.sha256(os.fsencode(folder)).hexdigest()[:6])))
