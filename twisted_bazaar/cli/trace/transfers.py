"""The transfers of files in a trace: who fetches what, from whom, and how it ended."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from twisted_bazaar.cli.trace.reader import Line
from twisted_bazaar.cli.trace.summary import Names

_SHORT: Final = 16
_BEGINS: Final = frozenset({"fetching"})
_FAILS: Final = frozenset({"not-fetched", "not_fetched"})
_TOLD: Final = frozenset(
    {
        *_BEGINS,
        *_FAILS,
        "fetched",
        "asked",
        "uploaded",
        "source-found",
        "source-dropped",
        "source-lied",
        "source-believed",
    }
)


def is_about_transfer(line: Line) -> bool:
    """Whether a line tells something of a transfer."""
    return line.event in _TOLD and isinstance(line.digest, str)


class FileNames:
    """Names of files, as far as a trace tells them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, line: Line) -> None:
        """Take note of what a file is called."""
        name = line.file if line.event == "wanted" else line.name
        if isinstance(line.digest, str) and isinstance(name, str):
            self._names[line.digest] = name

    def __getitem__(self, digest: str) -> str:
        return self._names.get(digest, digest[:_SHORT])


class TransferSeen:
    """One download.

    @param first: the line in which it begins.
    @ivar by: who fetches.
    @ivar name: what the file is called.
    @ivar found: how many sources were found.
    @ivar dropped: how many of them were given up, those that had lied among them.
    @ivar lied: how many had lied.
    @ivar outcome: how it ended, in words; None if it did not.
    """

    __slots__ = ("began_s", "by", "digest", "dropped", "found", "lied", "name", "outcome")

    def __init__(self, first: Line, name: str) -> None:
        self.digest: str = str(first.digest)
        self.by: str = str(first.node)
        self.began_s: float = first.time
        self.name: str = name
        self.found: int = 0
        self.dropped: int = 0
        self.lied: int = 0
        self.outcome: str | None = None

    def add_line(self, line: Line) -> None:
        """Note what its node tells of it."""
        took = f"{line.time - self.began_s:.3f} s"
        match line.event:
            case "source-found":
                self.found += 1
            case "source-dropped":
                self.dropped += 1
            case "source-lied":
                self.lied += 1
            case "fetched":
                self.outcome = f"fetched within {took} from {_count(_number_of_sources(line), 'source')}"
            case event if event in _FAILS:
                self.outcome = f"not fetched within {took}: {line.reason}"

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        lied = f", {self.lied} found to lie" if self.lied else ""
        dropped = f"; {self.dropped} of {self.found} given up{lied}" if self.dropped else ""
        return f"{self.outcome or 'it does not end'}{dropped}"


class Transfers:
    """Goes through a trace and notes its transfers.

    @ivar seen: each, the first first.
    """

    def __init__(self) -> None:
        self.seen: list[TransferSeen] = []
        self._names = FileNames()
        self._under_way: dict[tuple[str, str], TransferSeen] = {}

    def add_line(self, line: Line) -> None:
        """Note what a line says of a transfer."""
        self._names.learn(line)
        if not is_about_transfer(line):
            return
        key = (str(line.node), str(line.digest))
        if line.event in _BEGINS:
            self._under_way[key] = TransferSeen(line, self._names[line.digest])
            self.seen.append(self._under_way[key])
        elif key in self._under_way:
            self._under_way[key].add_line(line)


@frozen
class TransferName:
    """By what somebody names a transfer.

    @ivar digest: how the digest of the file begins.
    @ivar node: who fetches it; None for anybody.
    """

    digest: str
    node: str | None = None


class TransferTimeline:
    """Goes through a trace and tells of the transfers of one file.

    @param about: which.
    @ivar digests: the digests that begin so.
    @ivar title: what it is about, in words; empty if there is none.
    @ivar began_s: when it began.
    @ivar passages: when, and what, in the order of time.
    """

    def __init__(self, about: TransferName) -> None:
        self._about = about
        self._names = Names()
        self._files = FileNames()
        self.digests: dict[str, None] = {}
        self.title: str = ""
        self.began_s: float = 0.0
        self.passages: list[tuple[float, str]] = []

    def add_line(self, line: Line) -> None:
        """Keep a line if it belongs here."""
        self._names.learn(line)
        self._files.learn(line)
        if not is_about_transfer(line) or not line.digest.startswith(self._about.digest):
            return
        if self._about.node is not None and line.node != self._about.node:
            return
        self.digests[line.digest] = None
        if not self.title:
            who = "everybody" if self._about.node is None else self._about.node
            self.title = f"Transfers of {self._files[line.digest]} ({line.digest}) by {who}"
            self.began_s = line.time
        self.passages.append((line.time, f"{line.node} {self._in_words(line)}"))

    def _in_words(self, line: Line) -> str:
        source = self._names[line.source] if isinstance(line.source, int) else "a source"
        match line.event:
            case "fetching":
                return f"begins to fetch {self._files[line.digest]}"
            case "source-found":
                return f"finds a source: {source} at {line.host}:{line.port}"
            case "source-believed":
                return f"knows what it is made of: {line.size:,} bytes" if isinstance(line.size, int) else "knows it"
            case "source-dropped":
                return f"gives {source} up: {line.why}"
            case "source-lied":
                return f"finds that {source} lies: {line.lie}"
            case "asked":
                return f"is asked for it from {line.host}"
            case "uploaded":
                sent = f"{line.sent_bytes:,}" if isinstance(line.sent_bytes, int) else "some"
                return f"has sent {sent} bytes of it to {line.host}"
            case "fetched":
                return f"has it{self._parts_of(line)}"
            case _:
                return f"has not got it: {line.reason}"

    def _parts_of(self, line: Line) -> str:
        """How much came from whom."""
        if not isinstance(line.sources, list):
            return f" from {_count(_number_of_sources(line), 'source')}"
        parts = [
            f"{each.get('bytes', 0):,} bytes from {self._names[str(each.get('key', ''))]}"
            for each in line.sources
            if isinstance(each, dict) and isinstance(each.get("bytes", 0), int)
        ]
        return f": {', '.join(parts)}" if parts else ""


def _number_of_sources(line: Line) -> int:
    return len(line.sources) if isinstance(line.sources, list) else int(isinstance(line.sources, int) and line.sources)


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
