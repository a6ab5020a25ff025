"""The client of the distributed hash table: put, get, delete.

An entry goes to the node to which its name belongs and to some that follow it. How it is got from them is another
matter: L{twisted_bazaar.discovery.ring.storage.read}.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.rpc.hedged_requests import HedgedRequests
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.entry import Entry, Kept, check_name, sign_entry
from twisted_bazaar.discovery.ring.storage.messages import RingRequest
from twisted_bazaar.discovery.ring.storage.read import USUAL_COPIES, Holding, Read
from twisted_bazaar.discovery.ring.storage.replica_server import Copy, Files, ReplicaServer
from twisted_bazaar.errors import LinkClosed, NotNow, PeerError, UsageError
from twisted_bazaar.wire.message import LARGEST_INTEGER

__all__ = ["Copy", "DhtClient", "Files", "Holding", "Stored"]

_TRIES: Final = 3
# Of what is forgotten those tell who keep it, if the clock does not.
_MOST_VERSIONS: Final = 10_000


@frozen
class Stored:
    """The outcome of a put.

    @ivar copies: what each has said, the one to which it belongs first.
    """

    entry: Entry
    copies: Sequence[Copy]

    @property
    def keepers(self) -> Sequence[Contact]:
        """Who has it now."""
        return [copy.at for copy in self.copies if copy.is_kept]


class DhtClient(ReplicaServer):
    """Puts, gets and deletes entries of one owner; keeps those of others as the replica server that it is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The last of what this node has put, by name; the one put longest ago first.
        self._versions: OrderedDict[tuple[str, str], int] = OrderedDict()

    def put(self, space: str, name: str, value: bytes = b"", **said: Any) -> Deferred[Stored]:
        """Have something kept under a name, in place of what this node had kept there before.

        @param said: what else L{Kept} has: of a file its digest, size and name; a lifetime.
        @raise UsageError: the name or the value cannot be.
        @raise NotNow: nobody has room for it.
        @raise LinkClosed: nobody was there to keep it.
        """
        return Deferred.fromCoroutine(self._put(space, name, value=value, **said))

    def delete(self, space: str, name: str, **said: Any) -> Deferred[Stored]:
        """Have what this node has put under a name kept no longer."""
        return Deferred.fromCoroutine(self._put(space, name, deleted=True, **said))

    def get(self, space: str, name: str, copies: int = USUAL_COPIES) -> Deferred[Sequence[Holding]]:
        """What there is under a name: of each owner the newest, and the newest of all first.

        @param copies: how many have to agree. From one something old may come while there is something newer; all
            who are to have it are asked if these know nothing.
        @raise LinkClosed: nobody was there to ask.
        """
        return Deferred.fromCoroutine(Read(self, self._node.clock, space, name, copies).holdings())

    # Putting.

    async def _put(self, space: str, name: str, **said: Any) -> Stored:
        try:
            check_name(name)
        except ValueError as error:
            raise UsageError(str(error)) from None
        version = self._next_version(space, name, 0)
        stored: Stored | None = None
        for _ in range(_TRIES):
            kept = _kept(space=space, name=name, owner=self._node.key.public, version=version, **said)
            entry = sign_entry(self._node.key, kept)
            stored = await self._spread(entry)
            newest = await self._newest_shown(entry, stored.copies)
            if stored.keepers and not newest:
                return stored
            # It was stored by this key before, by a clock that was ahead; or who should have it has gone.
            version = self._next_version(space, name, newest)
        assert stored is not None, "it was tried"
        if stored.keepers:
            return stored
        if any(copy.outcome == "full" for copy in stored.copies):
            raise NotNow(f"nobody who is to keep {name!r} has room for it")
        for copy in stored.copies:
            if copy.outcome == "refused":
                raise PeerError(f"those who are to keep {name!r} refuse it: {copy.reason or 'they do not say why'}")
        raise LinkClosed(f"nobody is there to keep {name!r}")

    async def _newest_shown(self, entry: Entry, copies: Sequence[Copy]) -> int:
        """The newest version of an entry that those can show who say that they have a newer one; 0 for none.

        If they were believed, any of them could make its owner use up all versions there are.
        """
        make = partial(RingRequest, space=entry.kept.space, name=entry.kept.name, tag=entry.tag_text)
        own = self.store.get(entry.key, self._now())
        newest = 0 if own is None or own.rank <= entry.rank else own.kept.version
        claiming = [copy.at for copy in copies if copy.outcome == "older" and copy.at != self.member.own]
        showing = [self.fetch(contact, make).addErrback(_not_shown) for contact in claiming]
        for shown in await gatherResults(showing):
            if shown is not None and shown[0].key == entry.key:
                newest = max(newest, shown[0].kept.version)
        return newest

    async def _spread(self, entry: Entry) -> Stored:
        """Send an entry to all that are to have it; for who takes long, to one more."""
        found = await self.member.lookups.find(self.store.identifier_of(entry), until="late")

        def send(
            contact: Contact,
            on_copy: Callable[[Copy], None],
            on_failure: Callable[[Exception], None],
            late: Callable[[], None],
        ) -> None:
            sent = self.send(contact, entry, late=late)
            sent.addCallbacks(on_copy, lambda failure: on_failure(failure.value))
            sent.addErrback(
                lambda failure: self.log.failure("an entry could not be sent to a node that is to keep it", failure)
            )

        sending = HedgedRequests(found.holders, self.replicas + 1, send)
        await sending.run()
        return Stored(entry, [sending.answers.get(each, Copy(each, "lost")) for each in sending.asked])

    def _next_version(self, space: str, name: str, above: int) -> int:
        known = self.store.get((space, name, self._node.key.public), self._now())
        before = max(above, self._versions.get((space, name), 0), 0 if known is None else known.kept.version)
        version = min(LARGEST_INTEGER, max(int(self._now() * 1000), before + 1))
        self._versions[space, name] = version
        self._versions.move_to_end((space, name))
        if len(self._versions) > _MOST_VERSIONS:
            self._versions.popitem(last=False)
        return version


def _kept(**said: Any) -> Kept:
    """What an owner wants to be kept.

    @raise UsageError: it cannot be.
    """
    try:
        return msgspec.convert(said, Kept, from_attributes=False)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _not_shown(failure: Failure) -> None:
    failure.trap(PeerError)
