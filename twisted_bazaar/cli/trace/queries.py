"""The queries among super peers in a trace: what was looked for, who was asked, and what was found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from twisted_bazaar.cli.trace.reader import Line
from twisted_bazaar.cli.trace.summary import Names

_KINDS: Final = frozenset({"query", "queryhit", "queryend"})
_BY_LINK: Final = "sent"
_SHOWN: Final = 8


def is_about_query(line: Line, beginning: str = "") -> bool:
    """Whether a line is a message about a query.

    @param beginning: how the id of the query begins.
    """
    return line.type in _KINDS and isinstance(line.id, str) and line.id.startswith(beginning)


class QuerySeen:
    """One query.

    @param first: the line in which it is sent for the first time.
    @ivar by: who asks.
    @ivar sought: what for, in words.
    @ivar asked: how many super peers a leaf has asked; 0 if a super peer asks itself.
    @ivar passed: how many datagrams it took among super peers.
    @ivar hits: what the asker was told of, each once.
    @ivar first_hit_s: when it was told first.
    """

    __slots__ = ("asked", "began_s", "by", "first_hit_s", "hits", "id", "is_by_leaf", "passed", "sought")

    def __init__(self, first: Line) -> None:
        self.id: str = str(first.id)
        self.by: str = str(first.node)
        self.began_s: float = first.time
        self.sought: str = _sought(first)
        self.is_by_leaf: bool = first.event == _BY_LINK
        self.asked: int = 0
        self.passed: int = 0
        self.hits: set[tuple[str, str]] = set()
        self.first_hit_s: float | None = None

    def add_line(self, line: Line) -> None:
        """Count a message about it."""
        by_link = line.event == _BY_LINK
        if line.type == "query":
            self.asked += by_link
            self.passed += not by_link
        elif line.type == "queryhit" and by_link is self.is_by_leaf:
            self.hits.update(_hits_in(line))
            if self.hits and self.first_hit_s is None:
                self.first_hit_s = line.time

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        cost = f"{self.passed} {'query' if self.passed == 1 else 'queries'} among super peers"
        if self.first_hit_s is None:
            return f"no hit; {cost}"
        count = "1 hit" if len(self.hits) == 1 else f"{len(self.hits)} hits"
        return f"{count}, the first within {self.first_hit_s - self.began_s:.3f} s; {cost}"


class Queries:
    """Goes through a trace and notes its queries.

    @ivar seen: each by its id, the first first.
    """

    def __init__(self) -> None:
        self.seen: dict[str, QuerySeen] = {}

    def add_line(self, line: Line) -> None:
        """Note what a line says of a query."""
        if not is_about_query(line):
            return
        query = self.seen.get(str(line.id))
        if query is None and line.type == "query":
            query = self.seen[str(line.id)] = QuerySeen(line)
        if query is not None:
            query.add_line(line)


class QueryTimeline:
    """Goes through a trace and tells of one query, message by message.

    @param beginning: how its id begins.
    @ivar ids: the ids that begin so.
    @ivar title: what it is about, in words; empty if there is none.
    @ivar began_s: when it began.
    @ivar passages: when, and what, in the order of time.
    """

    def __init__(self, beginning: str) -> None:
        self._beginning = beginning
        self._names = Names()
        self._last: tuple[Any, ...] = ()
        self._receivers: list[str] = []
        self.ids: dict[str, None] = {}
        self.title: str = ""
        self.began_s: float = 0.0
        self.passages: list[tuple[float, str]] = []

    def add_line(self, line: Line) -> None:
        """Keep a line if it belongs here."""
        self._names.learn(line)
        if not is_about_query(line, self._beginning):
            return
        self.ids[str(line.id)] = None
        if not self.title:
            self.title = f"Query {line.id}: {line.node} looks for {_sought(line)}"
            self.began_s = line.time
        by_link = line.event == _BY_LINK
        receiver = self._names[line.to] if by_link else self._names.at(line.to)
        said = _in_words(line)
        together = (line.time, line.node, said)
        if together != self._last:
            self._receivers = []
            self._last = together
            self.passages.append((line.time, ""))
        self._receivers.append(receiver)
        more = len(self._receivers) - _SHOWN
        to = ", ".join(self._receivers[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        self.passages[-1] = (line.time, f"{line.node} -> {to}: {said}")


def _hits_in(line: Line) -> Iterator[tuple[str, str]]:
    """Who has it, and which file."""
    for peer in line.found if isinstance(line.found, list) else ():
        if isinstance(peer, dict):
            files = peer.get("files")
            for file in files if isinstance(files, list) and files else ({},):
                yield str(peer.get("key")), str(file.get("digest")) if isinstance(file, dict) else ""


def _sought(line: Line) -> str:
    """What a query is for, in words."""
    if line.words is not None:
        return f"files by the words {str(line.words)!r}"
    if line.name is not None:
        return f"the file {str(line.name)!r}"
    if line.digest is not None:
        return f"sources of {str(line.digest)[:16]}"
    if line.item:
        return f"sellers of {line.item}"
    return f"the seller with the key {str(line.seller)[:8]}" if line.seller is not None else "something"


def _in_words(line: Line) -> str:
    """What a message says."""
    if line.type == "query":
        return "query" if line.event == _BY_LINK else f"query, reach {line.reach or 0}, ttl {line.ttl}"
    if line.type == "queryend":
        hits = line.hits or 0
        return f"the end, {hits} {'hit' if hits == 1 else 'hits'}" + (", all within reach" if line.reached_all else "")
    count = len(set(_hits_in(line)))
    part = f", part {(line.part or 0) + 1} of {line.parts}" if line.parts else ""
    return f"{count} {'hit' if count == 1 else 'hits'}{part}"
