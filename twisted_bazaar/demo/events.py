"""The events of a demo, read from the files that its daemons write with C{--events}.

Each line is a JSON object with C{time} and C{event}. Beside what the roles tell (sold, bought, missed,
stock), there is C{joined} with the id that the tracker gave, and a line C{sent} for every message,
with the id of the receiver in C{to} and the message's own keys.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, frozen

from twisted_bazaar.errors import UNREADABLE


@frozen
class Event:
    """One line of one daemon.

    @ivar teller: the name of the daemon.
    @ivar kind: what happened, in one word.
    @ivar details: the rest of the line.
    """

    teller: str
    kind: str
    details: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.details[key]


@define
class _Source:
    """A file that grows.

    @ivar rest: the beginning of a line that is not complete yet.
    """

    teller: str
    path: Path
    position: int = 0
    rest: bytes = b""

    def new_events(self) -> list[Event]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.position)
            data = file.read()
        self.position += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [self._read(line) for line in lines]

    def _read(self, line: bytes) -> Event:
        try:
            details = json.loads(line)
        except UNREADABLE:
            # A full disk cuts lines short.
            return Event(self.teller, "unreadable", {})
        return Event(self.teller, details.pop("event"), details)


class Events:
    """The events of all daemons of a demo, and who is who among them."""

    def __init__(self) -> None:
        self._sources: list[_Source] = []
        self._events: list[Event] = []
        self._ids: dict[str, int] = {}

    def follow(self, teller: str, path: Path) -> None:
        """Read what a daemon writes to a file, which need not be there yet."""
        self._sources.append(_Source(teller, path))

    def refresh(self) -> None:
        """Read what has been written since the last time."""
        for source in self._sources:
            for event in source.new_events():
                self._events.append(event)
                if event.kind == "joined":
                    self._ids[event.teller] = event["id"]

    def find(self, kind: str, teller: str | None = None, **details: Any) -> list[Event]:
        """The events of a kind, by one daemon or all, whose details have these values; the oldest first."""
        return [
            event
            for event in self._events
            if event.kind == kind
            and teller in (None, event.teller)
            and all(event.details.get(key) == value for key, value in details.items())
        ]

    def first(self, kind: str, teller: str | None = None, **details: Any) -> Event | None:
        """The oldest event that L{find} would give."""
        return next(iter(self.find(kind, teller, **details)), None)

    def id_of(self, name: str) -> int | None:
        """The id of a daemon; None until it has one."""
        return self._ids.get(name)

    def path_of(self, route: Iterable[int]) -> tuple[str, ...]:
        """The names of the nodes on a route."""
        names = {node_id: name for name, node_id in self._ids.items()}
        return tuple(names.get(node_id, f"node {node_id}") for node_id in route)

    def messages(self, *ids: int) -> Counter[str]:
        """How many messages were sent over all links, by type.

        @param ids: of the searches to count, and the handles of the orders; everything when none is given.
        """
        return Counter(event["type"] for event in self.find("sent") if not ids or event.details.get("id") in ids)
