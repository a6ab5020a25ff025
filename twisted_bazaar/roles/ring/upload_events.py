"""Events about the files that others fetch from a member of a ring."""

from __future__ import annotations

from typing import Any, Final

from twisted_bazaar.interfaces import INode
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.roles.ring.kept_files import KeptFiles
from twisted_bazaar.roles.ring.offered import Offered

# Anybody may ask for a file, over and over.
_TOLD_A_MINUTE: Final = 120


class UploadEvents:
    """Reports uploads, at most so many a minute.

    @param kept: the files that are kept for others.
    @param offered: those that were stored from here.
    """

    def __init__(self, kept: KeptFiles, offered: Offered) -> None:
        self._kept = kept
        self._offered = offered
        self._limit: RateLimit = RateLimit.a_minute(_TOLD_A_MINUTE)

    def start(self, node: INode) -> None:
        """Tell a node's journal from now on."""
        self._node = node

    def upload_begun(self, digest: str, host: str) -> None:
        """Somebody would fetch a file."""
        self._tell("ring-sending", digest, host=host)

    def upload_ended(self, digest: str, host: str, sent_bytes: int) -> None:
        """Somebody has fetched something, and is gone."""
        self._tell("ring-sent", digest, host=host, bytes=sent_bytes)

    def _tell(self, event: str, digest: str, **details: Any) -> None:
        if not self._limit.allow(self._node.clock.seconds()):
            return
        entry, offered = self._kept.entry_of(digest), self._offered.get(digest)
        name = digest if entry is None else entry.kept.name
        if entry is None and offered is not None:
            name = offered.seen.name
        self._node.report(event, None, name=name, digest=digest, **details)
