"""Progress of downloads for people: while they go on, and what came from whom at their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from attrs import evolve
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

from twisted_bazaar.cli.terminal.amounts import format_count, format_rate, format_size, format_time
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import is_narrow, show_line
from twisted_bazaar.files.download.progress import DownloadStatus, Receipt
from twisted_bazaar.files.sharing.folder import HashingProgress
from twisted_bazaar.files.sharing.scan import SETTLING_S
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource, FoundFile

SERVING: Final = "serving"
_OUT: Final = ("dropped", "new", "connecting", "asked")
_WIDEST_NAME: Final = 32


class Display(Protocol):
    """Shows a download as it goes on."""

    def show(self, status: DownloadStatus) -> None:
        """Show how far it is."""

    def note(self, line: str) -> None:
        """Say something about it."""


class Bar:
    """A bar on a terminal.

    @param progress: rich's bar.
    """

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        short = name if len(name) <= _WIDEST_NAME else name[: _WIDEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
        self._task = progress.add_task("", total=None, words="looking for sources", name=printable(short))

    def show(self, status: DownloadStatus) -> None:
        """Move it."""
        self._progress.update(
            self._task, completed=status.held_bytes, total=status.size or None, words=format_status(status)
        )
        self._progress.refresh()

    def note(self, line: str) -> None:
        """Say something above it."""
        show_line(self._progress.console, printable(line))


class Lines:
    """Lines where there is no terminal: only what there is to say, and nothing that moves.

    @param say: takes a line.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._is_alone = False

    def show(self, status: DownloadStatus) -> None:
        """Nothing that moves; that nobody has it any more is said once, until somebody has."""
        was_alone, self._is_alone = self._is_alone, _is_alone(status)
        if self._is_alone and not was_alone:
            self.note(format_alone(status.gives_up_in_s))

    def note(self, line: str) -> None:
        """Say something."""
        self._say(printable(line))


@contextmanager
def bar_for(name: str, console: Console) -> Iterator[Bar]:
    """A bar on a terminal, which is gone at the end."""
    words = TextColumn("{task.fields[words]}", markup=False)
    columns: Sequence[ProgressColumn] = (
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(bar_width=24),
        words,
    )
    if is_narrow(console):
        # The name stands in a line above.
        columns = [wrapped_words()]
    # It is moved by the reactor, and by no thread.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        yield Bar(progress, name)


def wrapped_words() -> TextColumn:
    """The words of a bar where there are few columns: all of them, on several lines."""
    return TextColumn("{task.fields[words]}", markup=False, table_column=Column(no_wrap=False))


def format_status(status: DownloadStatus) -> str:
    """How far a download is, in words."""
    serving = sum(each.state == SERVING for each in status.sources)
    waiting = sum(each.state not in _OUT for each in status.sources) - serving
    known = sum(each.state != "dropped" for each in status.sources)
    parts = []
    if status.size is not None:
        share = status.held_bytes / status.size if status.size else 1.0
        parts.append(f"{share:.0%} of {format_size(status.size)}")
    if status.held_bytes == status.size:
        parts.append("seeing that it is right")
    elif serving or status.rate >= 1:
        if status.rate >= 1:
            parts.append(format_rate(status.rate))
        parts.append(format_count(serving, "source"))
        if status.seconds_left is not None:
            parts.append(f"{format_time(status.seconds_left)} left")
    elif waiting:
        parts.append(f"waiting for a turn at {format_count(waiting, 'source')}")
    elif known:
        parts.append(f"asking {format_count(known, 'source')}")
    else:
        parts.append(format_alone(status.gives_up_in_s) if status.sources else "looking for sources")
    return ", ".join(parts)


def _is_alone(status: DownloadStatus) -> bool:
    """Whether all who had a file are given up."""
    has_all = status.held_bytes == status.size
    return bool(status.sources) and not has_all and all(each.state == "dropped" for each in status.sources)


def format_alone(gives_up_in_s: float | None) -> str:
    """That nobody has a file, and until when others are looked for.

    @param gives_up_in_s: how long from now; None for ever.
    """
    if gives_up_in_s is None:
        return "nobody has it now; asking again until somebody has"
    return f"nobody has it now; asking again for {format_time(gives_up_in_s)}"


def format_settling(files: int) -> str:
    """That new files are not shared yet, and when they are."""
    is_shared = "is" if files == 1 else "are"
    return f"{format_count(files, 'new file')} {is_shared} shared when unchanged for {SETTLING_S:g} s"


def format_hashing(hashing: HashingProgress) -> str:
    """How far hashing is, in words."""
    files = format_count(hashing.files_left, "file")
    return f"hashing {files}, {format_size(hashing.bytes_done)} of {format_size(hashing.bytes_total)}"


def format_event(event: str, details: Mapping[str, Any]) -> str | None:
    """What is worth a line while a download goes on; None for nothing."""
    match event:
        case "dropped":
            return f"{_place(details)} is asked no more: {details.get('why')}"
        case "lied":
            return f"{_place(details)} has lied: {details.get('lie')}"
    return None


def format_receipt(found: FoundFile, receipt: Receipt, *, tells_tcp: bool = False) -> Iterator[str]:
    """What came from whom, a line each.

    @param tells_tcp: whether to tell also what came by TCP, as is usual: it was to come by UDP.
    """
    fresh = sum(receipt.by_source.values())
    rate = f", {format_rate(fresh / receipt.seconds)}" if fresh and receipt.seconds > 0 else ""
    before = f"; {format_size(receipt.resumed_bytes)} were there before" if receipt.resumed_bytes else ""
    yield f"{found.name}: {format_size(receipt.size)} in {format_time(receipt.seconds)}{rate}, verified{before}"
    for source, size in sorted(receipt.by_source.items(), key=lambda entry: -entry[1]):
        protocols = receipt.protocols.get(source, {})
        is_told = tells_tcp or "udp" in protocols
        how = f" by {' and '.join(map(str.upper, sorted(protocols)))}" if protocols and is_told else ""
        # Where it takes datagrams may be another port than where it takes connections.
        if list(protocols) == ["udp"]:
            source = evolve(source, address=Address(source.address.host, source.udp))
        yield f"  {format_size(size)} from node {source.id} at {source.address}{how}, key {source.key[:8]}"
    for source, why in receipt.dropped.items():
        if source not in receipt.by_source:
            yield f"  nothing from {format_source(source)}: {why}"


def json_of_receipt(found: FoundFile, receipt: Receipt, path: str) -> dict[str, Any]:
    """The same for programs."""
    return {
        "name": found.name,
        "path": path,
        "size": receipt.size,
        "digest": receipt.digest,
        "seconds": receipt.seconds,
        "resumed": receipt.resumed_bytes,
        "sources": [
            {
                "id": source.id,
                "key": source.key,
                "address": str(source.address),
                "bytes": receipt.by_source.get(source, 0),
                "dropped": receipt.dropped.get(source),
                "protocols": sorted(receipt.protocols.get(source, {})),
                "by_protocol": dict(receipt.protocols.get(source, {})),
            }
            for source in dict.fromkeys((*receipt.by_source, *receipt.dropped))
        ],
    }


def format_source(source: FileSource) -> str:
    """Who a source is."""
    return f"node {source.id} at {source.address}, key {source.key[:8]}"


def _place(details: Mapping[str, Any]) -> str:
    return f"node {details.get('node')} at {details.get('host')}:{details.get('port')}"


def text_of(line: str) -> Text:
    """A line that cannot move the cursor."""
    return Text(printable(line))
