"""The interface of a directory: memory, or a database that several servers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute

from twisted_bazaar.discovery.index.directory.directory import Counts
from twisted_bazaar.discovery.index.messages import File, Update
from twisted_bazaar.interface_bases import Interface
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.files import FileQuery, FileSource, Page


class IDirectory(Interface):
    """The directory of an index server. All of it may fail with L{StorageError}; nothing is changed then."""

    lease_s: float = Attribute("For how long a list is believed without another word, in seconds.")
    most_a_peer: int = Attribute("How many entries one peer may list.")

    def start(reactor: Any) -> None:
        """Begin."""

    def stop() -> Deferred[None]:
        """End; fires when nothing is under way any more."""

    def renew(peer: Peer, mark: int, load: int) -> Deferred[int]:
        """Believe a peer's list for another lease; fires with the mark of what is known of it, 0 for nothing.

        @param mark: of the list that the peer means. One that it left behind with its last link is only believed if
            it is that one.
        @param load: how many downloads it serves.
        """

    def update(peer: Peer, update: Update) -> Deferred[int]:
        """Change a peer's list, if it builds on what is known of it; fires with the mark of what is known then.

        @raise TooMany: it lists too much; nothing is changed.
        """

    def add(peer: Peer, file: File) -> Deferred[int]:
        """List one file; fires with the mark of the list then.

        @raise TooMany: it is one too many.
        """

    def remove(peer: Peer, name: str) -> Deferred[int]:
        """List a file no more; fires with the mark of the list then."""

    def peer_left(peer: Peer) -> Deferred[None]:
        """A peer's link is gone: nothing of it is found any more, unless it is linked to another server.

        Its list is kept for a while, in case it comes back. What it asked for before may never be answered.
        """

    def find(query: FileQuery, asker: Peer) -> Deferred[Page]:
        """Look for files of those who can be named to who asks; see L{twisted_bazaar.discovery.index.directory.pages}.

        @raise PeerError: C{after} of the query was no page's end.
        """

    def sources(digest: str, most: int, asker: Peer) -> Deferred[Sequence[FileSource]]:
        """Find the sources of a file that the asker can reach, the least loaded first."""

    def sellers(bazaar: str, item: str | None, key: str | None, most: int, asker: Peer) -> Deferred[Sequence[Peer]]:
        """Find sellers of an item, or the seller with a key, of those that the asker can reach."""

    def counts() -> Deferred[Counts]:
        """The sizes of the directory."""
