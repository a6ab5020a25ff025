"""What a member of a ring tells of the files that others fetch from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted_bazaar.bounded import Ration

if TYPE_CHECKING:
    from twisted_bazaar.roles.ring_peer import RingPeer

# Anybody may ask for a file, over and over.
_TOLD_A_MINUTE: Final = 120


class Sending:
    """Tells of what is sent."""

    def __init__(self, peer: RingPeer) -> None:
        self._peer = peer
        self._ration = Ration(_TOLD_A_MINUTE)

    def begun(self, digest: str, host: str) -> None:
        """Somebody would fetch a file."""
        self._tell("ring-sending", digest, host=host)

    def ended(self, digest: str, host: str, sent_bytes: int) -> None:
        """Somebody has fetched something, and is gone."""
        self._tell("ring-sent", digest, host=host, bytes=sent_bytes)

    def _tell(self, event: str, digest: str, **details: Any) -> None:
        peer = self._peer
        if self._ration.admit(float(peer.node.clock.seconds())) is None:
            return
        entry, offered = peer.kept.entry_of(digest), peer.offered.get(digest)
        name = digest if entry is None else entry.kept.name
        if entry is None and offered is not None:
            name = offered.seen.name
        peer.node.report(event, None, name=name, digest=digest, **details)
