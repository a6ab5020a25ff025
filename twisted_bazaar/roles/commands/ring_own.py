"""The list of what a node has stored and put in a ring, kept in its state directory from one process to the next.

The entries themselves are on other nodes, and only by chance on this one: without the list their owner would have to
remember each name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from twisted.internet.defer import Deferred, DeferredLock, gatherResults, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.entry import FILES, LONGEST_NAME
from twisted_bazaar.errors import LinkClosed
from twisted_bazaar.roles.ring.status import addresses_of
from twisted_bazaar.state import StateDirectory

OWN_FILE: Final = "ring-own"
# Whoever stores more than that has a list of its own; the oldest go first.
_MOST: Final = 10_000
_LOOKED_FOR_AT_ONCE: Final = 8


class OwnEntry(msgspec.Struct, frozen=True):
    """Something that was stored or put from here.

    @ivar space: of files or of small texts.
    @ivar name: what it is found by.
    @ivar time: when that was, in seconds since 1970.
    @ivar file: what a file was called; None for a small text, which has no digest either.
    @ivar size: in bytes.
    """

    space: Annotated[str, Meta(max_length=16)]
    name: Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
    time: float
    size: int
    file: str | None = None
    digest: str | None = None


class OwnEntries:
    """What was stored and put from here, the latest of each name.

    @param state: where the list is kept; None for nowhere. Reading it blocks.
    """

    log: Final = Logger()

    def __init__(self, state: StateDirectory | None) -> None:
        self._state = state
        self._entries: dict[tuple[str, str], OwnEntry] = {}
        # Two threads would write one file.
        self._lock = DeferredLock()
        self._is_written = True
        for entry in _read("" if state is None else state.recall(OWN_FILE) or ""):
            self._entries[entry.space, entry.name] = entry

    def __len__(self) -> int:
        return len(self._entries)

    def has(self, space: str, name: str) -> bool:
        """Whether something was stored or put from here under a name."""
        return (space, name) in self._entries

    async def rows(self, dht: DhtClient, owner: str, after: str, most: int) -> Sequence[Mapping[str, Any]]:
        """A page of them, by name, each with those nodes that say now that they keep it.

        @param owner: the public key of this node.
        @param after: the C{after} of the last row that is known already; empty for none.
        @param most: how many rows at most.
        """
        page = sorted((each for each in self._entries.values() if _place(each) > after), key=_place)[:most]
        rows: dict[str, Mapping[str, Any]] = {}
        left = iter(page)

        async def look_for_each() -> None:
            for entry in left:
                rows[_place(entry)] = await _row(dht, owner, entry)

        await gatherResults([Deferred.fromCoroutine(look_for_each()) for _ in range(_LOOKED_FOR_AT_ONCE)])
        return [rows[_place(each)] for each in page]

    def add(self, entry: OwnEntry, reactor: Any) -> Deferred[None]:
        """Note what was stored, in place of what had its name; fires when that is written, and never fails."""
        self._entries.pop((entry.space, entry.name), None)
        self._entries[entry.space, entry.name] = entry
        while len(self._entries) > _MOST:
            del self._entries[next(iter(self._entries))]
        return self._write(reactor)

    def remove(self, space: str, name: str, reactor: Any) -> Deferred[None]:
        """Note that something is kept no longer; fires when that is written, and never fails."""
        if self._entries.pop((space, name), None) is None:
            return succeed(None)
        return self._write(reactor)

    def _write(self, reactor: Any) -> Deferred[None]:
        self._is_written = False
        return self._lock.run(self._write_now, reactor)

    def _write_now(self, reactor: Any) -> Deferred[None]:
        state = self._state
        if state is None or self._is_written:
            return succeed(None)
        self._is_written = True
        text = "\n".join(msgspec.json.encode(each).decode() for each in self._entries.values())
        writing: Deferred[None] = deferToThreadPool(reactor, reactor.getThreadPool(), state.keep, OWN_FILE, text)
        return writing.addErrback(self._on_failure)

    def _on_failure(self, failure: Failure) -> None:
        self._is_written = False
        self.log.failure("the list of what was stored from here could not be written", failure)


async def _row(dht: DhtClient, owner: str, entry: OwnEntry) -> Mapping[str, Any]:
    wanted, ring = dht.replicas + 1, dht.member.ring
    try:
        holdings = await dht.get(entry.space, entry.name, wanted)
    except LinkClosed:
        holdings = ()
    own = [holding for holding in holdings if holding.entry.kept.owner == owner]
    kept = [contact for each in own for contact in (each.sources if entry.space == FILES else each.keepers)]
    return {
        "name": entry.name,
        "kind": "file" if entry.space == FILES else "text",
        "size": entry.size,
        "digest": entry.digest,
        "file": entry.file,
        "time": entry.time,
        "copies": [ring.display(contact.id) for contact in kept],
        "wanted": wanted,
        "addresses": addresses_of(ring, kept),
        "after": _place(entry),
    }


def _place(entry: OwnEntry) -> str:
    """The place of an entry in the list: by its name, and of one name by its kind."""
    # No name has this character, as it cannot be printed.
    return f"{entry.name}\0{entry.space}"


def _read(text: str) -> Iterator[OwnEntry]:
    for line in text.splitlines()[-_MOST:]:
        try:
            yield msgspec.json.decode(line, type=OwnEntry)
        except ValueError:
            # Half a line, or of another version: the entry is in the ring all the same.
            continue
