"""The source manager of a download: which sources are let in, connected to, or dropped for better ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted_bazaar.files.download.source import CONNECTED, Source, SourceOwner, State
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource

# Sources that anybody can name: those that are of any use, and those that were.
_MOST_LIVE: Final = 1_000
_MOST_EVER: Final = 2_000
# Who has nothing, or lets wait, for so long stands back for somebody who was never asked; one of them every so often.
_IDLE_S: Final = 10.0
_WAITED_S: Final = 60.0
_ONE_EVERY_S: Final = 2.0


class SourceManager:
    """Knows all sources, and is connected to as many as is wanted at once.

    @param owner: what they tell what they say.
    @param digest: of the file.
    @param own_key: the key of this node, which is no source.
    @param tell: called with an event and details.
    @ivar sources: all there ever were.
    """

    def __init__(
        self,
        reactor: Any,
        owner: SourceOwner,
        digest: str,
        own_key: str | None,
        tell: Callable[[str, Mapping[str, Any]], object],
    ) -> None:
        self.sources: dict[FileSource, Source] = {}
        self._reactor = reactor
        self._owner = owner
        self._digest = digest
        self._own_key = own_key
        self._tell = tell
        self._known: set[tuple[str, Address, int]] = set()
        self._liars: set[str] = set()
        self._made_room_at = float("-inf")

    def add(self, origins: Sequence[FileSource]) -> None:
        """Take these in; those that are known are left out, as are those that were dropped."""
        live = sum(each.state is not State.DROPPED for each in self.sources.values())
        for origin in origins:
            mark = (origin.key, origin.address, 0 if origin.address.port else origin.udp)
            if live >= _MOST_LIVE or len(self.sources) >= _MOST_EVER:
                return
            if (
                mark in self._known
                or origin.key in self._liars
                or (origin.key and origin.key == self._own_key)
                or self._owner.ways_in.endpoint_for(origin) is None
            ):
                continue
            live += 1
            self._known.add(mark)
            self.sources[origin] = Source(self._reactor, self._owner, origin, self._digest)
            self._tell("found", about(origin))

    def ban(self, source: Source, lie: str) -> None:
        """Somebody has lied, and is never asked again, wherever it may be found."""
        self._liars.add(source.origin.key)
        self._tell("lied", {**about(source.origin), "lie": lie})
        source.drop(lie)

    def connect(self) -> None:
        """Connect to as many as is wanted at once, to those first that have the whole and little to do."""
        now = self._reactor.seconds()
        connected = sum(each.state in CONNECTED or each.state is State.CONNECTING for each in self.sources.values())
        free = max(0, self._owner.limits.most_connections - connected)
        waiting = [
            each
            for each in self.sources.values()
            if each.state is State.NEW or (each.state is State.RESTING and each.rests_until <= now)
        ]
        for source in waiting[:free]:
            source.connect()
        if any(each.state is State.NEW for each in waiting[free:]):
            self._make_room(now)

    def _make_room(self, now: float) -> None:
        """Drop a source that is of no use: sixteen like it could keep out the only one that has the file.

        Of those that let wait, it is the one that has for the shortest time: the others are nearer to their turn.
        """
        if now - self._made_room_at < _ONE_EVERY_S:
            return
        idle = [each for each in self._since(State.IDLE) if now - each.since >= _IDLE_S]
        waiting = [each for each in self._since(State.WAITING) if now - each.since >= _WAITED_S]
        if idle or waiting:
            self._made_room_at = now
            (idle[0] if idle else waiting[-1]).back_off("others are asked first")

    def _since(self, state: State) -> list[Source]:
        """Those in a state, who has been in it for longest first."""
        return sorted((each for each in self.sources.values() if each.state is state), key=lambda each: each.since)


def about(origin: FileSource) -> dict[str, Any]:
    """A source, as events speak of it."""
    return {"node": origin.id, "host": origin.address.host, "port": origin.address.port or origin.udp}
