"""The catalogue of files that are stored in a ring, for those that fetch them."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient, Holding
from twisted_bazaar.discovery.ring.storage.entry import FILES
from twisted_bazaar.errors import LinkClosed
from twisted_bazaar.identity.keys import own_id
from twisted_bazaar.interfaces import ICatalogue
from twisted_bazaar.roles.ring.kept_files import KeptFiles
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileQuery, FileSource, Page, SharedFile


@implementer(ICatalogue)
class RingCatalogue:
    """Finds the sources of files that are stored in the ring.

    @param dht: what is kept in the ring.
    @param kept: the files that this node keeps.
    @ivar names: what is being fetched is called by its digest; by what it was asked for.
    """

    def __init__(self, dht: DhtClient, kept: KeptFiles) -> None:
        self.names: dict[str, str] = {}
        self._dht = dht
        self._kept = kept

    def publish(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Do nothing: this node serves what it has to those whom the ring sends."""

    def set_load(self, downloads: int) -> None:
        """Do nothing: a ring does not choose sources by their load."""

    def search(self, query: FileQuery) -> Deferred[Page]:
        """Nothing is found in this way."""
        return succeed(Page([], 0))

    def sources(self, digest: str) -> Deferred[Sequence[FileSource]]:
        """Find the sources of a file, by the entries about it."""
        known = self._kept.entry_of(digest)
        name = self.names.get(digest) or (None if known is None else known.kept.name)
        hints = self._kept.sources_of(digest)
        if name is None:
            return succeed(_sources(hints))
        asking = self._dht.get(FILES, name, self._dht.replicas + 1)

        def found(holdings: Sequence[Holding]) -> Sequence[FileSource]:
            named = [each.sources for each in holdings if each.entry.kept.digest == digest]
            return _sources([contact for sources in named for contact in sources] + hints)

        def not_found(failure: Failure) -> Sequence[FileSource]:
            failure.trap(LinkClosed)
            return _sources(hints)

        return asking.addCallbacks(found, not_found)


def _sources(contacts: Sequence[Contact]) -> Sequence[FileSource]:
    return [
        FileSource(
            own_id(contact.key), contact.key, Address(contact.address.host, contact.port), udp=contact.address.port
        )
        for contact in dict.fromkeys(contacts)
    ]
