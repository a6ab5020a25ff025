"""The nodes of this user: those that run, and those that have left a state directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from twisted_bazaar.cli.control.client import NotThere, RunningNode, directories_of_user
from twisted_bazaar.cli.terminal.errors import NegativeAnswer
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import console_for_results, show_rows
from twisted_bazaar.state import last_start
from twisted_bazaar.system.local_time import local_time

RUNNING: Final = "running"
STOPPED: Final = "stopped"
SILENT: Final = "silent"


@frozen
class OwnNode:
    """A node of this user.

    @ivar roles: what it does, by the names of its roles.
    @ivar state: C{running}, C{stopped}, or C{silent} if it is there and does not answer.
    @ivar address: where others reach it; None for nowhere, or if that is not known.
    @ivar links: how many nodes it is linked to; None if that is not known.
    @ivar since: when it was started last, in seconds since 1970.
    """

    name: str
    roles: Sequence[str]
    state: str
    address: str | None = None
    links: int | None = None
    since: float | None = None

    @classmethod
    def look(cls, directory: Path) -> OwnNode | None:
        """See what a state directory tells of its node; None if it is no such directory."""
        started = last_start(directory)
        node = RunningNode(directory.name, directory)
        if not node.runs():
            return None if started is None else cls(directory.name, started[0], STOPPED, since=started[1])
        roles, since = started or ([], None)
        try:
            own: dict[str, Any]
            own, *_ = node.rows("status", dict[str, Any])
        except (NotThere, NegativeAnswer, ValueError):
            return cls(directory.name, roles, SILENT, since=since)
        links = own.get("links")
        return cls(
            directory.name,
            roles,
            RUNNING,
            own.get("address"),
            len(links) if isinstance(links, list) else None,
            own.get("started_at") or since,
        )

    def row(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)

    def words(self) -> Iterator[str]:
        """The same for people."""
        yield printable(self.name)
        yield printable(" ".join(self.roles)) or "-"
        yield self.state
        yield printable(self.address or "-")
        yield "-" if self.links is None else str(self.links)
        yield "-" if self.since is None else local_time(self.since)


def own_nodes() -> Iterator[OwnNode]:
    """All of them, in the order of their names."""
    for directory in directories_of_user():
        node = OwnNode.look(directory)
        if node is not None:
            yield node


def show_nodes(nodes: Sequence[OwnNode], *, with_state: bool) -> None:
    """Print a row for each.

    @param with_state: whether to tell which of them run.
    """
    headings = ["name", "role", "state", "address", "links", "started"]
    rows = [list(node.words()) for node in nodes]
    if not with_state:
        place = headings.index("state")
        for row in (headings, *rows):
            del row[place]
    show_rows(console_for_results(), headings, rows, ("name", "role", "started"))
