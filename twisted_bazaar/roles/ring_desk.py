"""What the operator of a node can ask of its member of a ring: store, request, delete, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.entry import FILES, LONGEST_NAME, VALUE_BYTES, VALUES
from twisted_bazaar.discovery.ring.identifiers import Contact
from twisted_bazaar.discovery.ring.keeping import Holding
from twisted_bazaar.errors import AlreadyThere, TransferFailed, UsageError
from twisted_bazaar.files.download.part import PartFile
from twisted_bazaar.interfaces import Command
from twisted_bazaar.roles.fetching import Fetch, NotFound, read_beginning
from twisted_bazaar.roles.requests import read_request
from twisted_bazaar.roles.ring_files import copy_into, offer_blocking
from twisted_bazaar.values.files import FoundFile

if TYPE_CHECKING:
    from twisted_bazaar.roles.ring_peer import RingPeer

_Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
# The longest that those who are to keep a file may take to get it while nothing of it goes out.
_STALLED_S: Final = 20.0
_LOOK_S: Final = 0.1
_GIVE_UP_S: Final = 20.0
_MOST_OFFERED: Final = 64


class _Store(msgspec.Struct, frozen=True):
    """A file to be kept in the ring.

    @ivar path: where it is.
    @ivar name: what it is to be found by; as it is called if empty.
    """

    path: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(max_length=LONGEST_NAME)] = ""


class _Request(msgspec.Struct, frozen=True):
    """A file that is wanted.

    @ivar folder: where it is to be put.
    @ivar digest: how its digest begins, if there are several of its name.
    """

    name: _Name
    folder: str = "."
    digest: Annotated[str, Meta(max_length=64)] = ""
    overwrite: bool = False


class _Named(msgspec.Struct, frozen=True):
    """Something by its name."""

    name: _Name


class _Put(msgspec.Struct, frozen=True):
    """A small value to be kept in the ring."""

    name: _Name
    value: Annotated[str, Meta(max_length=VALUE_BYTES)]


class RingDesk:
    """Answers the operator.

    @ivar commands: by name, what can be asked.
    """

    def __init__(self, peer: RingPeer) -> None:
        self._peer = peer
        self.commands: Mapping[str, Command] = {
            "status": self._status,
            "ring.store": lambda request: self.store(**_read(request, _Store)),
            "ring.request": lambda request: self.request(**_read(request, _Request)),
            "ring.delete": lambda request: self.delete(**_read(request, _Named)),
            "ring.find": lambda request: self.find(**_read(request, _Named)),
            "ring.put": lambda request: self.put(**_read(request, _Put)),
            "ring.get": lambda request: self.get(**_read(request, _Named)),
        }

    def store(self, path: str, name: str = "") -> Deferred[dict[str, Any]]:
        """Have a file kept; fires when those that keep it have all of it.

        @param name: what it is to be found by; as it is called if empty.
        @raise UsageError: it has a name that cannot be.
        @raise StorageError: it cannot be read.
        @raise TransferFailed: nobody has come to have all of it.
        """
        return Deferred.fromCoroutine(self._store(Path(path).absolute(), name))

    def request(self, name: str, folder: str = ".", digest: str = "", overwrite: bool = False) -> Deferred[Any]:
        """Fetch a file; fires when it is whole and in its place.

        @param digest: how its digest begins, to choose among several.
        @raise NotFound: nobody has it.
        @raise UsageError: there are several, or it must not be put there.
        @raise TransferFailed: those who have it do not serve it.
        """
        return Deferred.fromCoroutine(self._request(name, Path(folder).absolute(), digest, overwrite))

    def delete(self, name: str) -> Deferred[dict[str, Any]]:
        """Have a file and a value kept no longer that this node has stored under a name."""
        return Deferred.fromCoroutine(self._delete(name))

    def find(self, name: str) -> Deferred[list[dict[str, Any]]]:
        """All files of a name, the newest first."""
        return self._holdings(name).addCallback(lambda holdings: [_row(holding) for holding in holdings])

    def put(self, name: str, value: str) -> Deferred[dict[str, Any]]:
        """Have a small text kept, in place of what this node had put there before."""
        self._check()
        putting = self._peer.keeping.put(VALUES, name, value.encode())
        return putting.addCallback(lambda stored: {"name": name, "copies": len(stored.keepers)})

    def get(self, name: str) -> Deferred[list[dict[str, Any]]]:
        """All small texts of a name, the newest first."""
        self._check()

        def rows(holdings: Sequence[Holding]) -> list[dict[str, Any]]:
            kept = [holding.entry.kept for holding in holdings]
            return [{"value": each.value.decode(errors="replace"), "owner": each.owner} for each in kept]

        return self._peer.keeping.get(VALUES, name).addCallback(rows)

    # Storing.

    async def _store(self, path: Path, name: str) -> dict[str, Any]:
        self._check()
        peer = self._peer
        reactor: Any = peer.node.clock
        content = await deferToThreadPool(reactor, reactor.getThreadPool(), offer_blocking, reactor, path)
        manifest, name = content.manifest, name or content.seen.name
        peer.offered.pop(manifest.digest, None)
        peer.offered[manifest.digest] = content
        while len(peer.offered) > _MOST_OFFERED:
            peer.offered.pop(next(iter(peer.offered)))
        whole = dict[Contact, None]()
        end = peer.keeping.watch_whole(manifest.digest, lambda contact: whole.setdefault(contact, None))
        try:
            about: dict[str, Any] = {"digest": manifest.digest, "size": manifest.size, "file": content.seen.name}
            stored = await peer.keeping.put(FILES, name, **about)
            whole |= {copy.at: None for copy in stored.copies if copy.is_kept and copy.is_whole}
            await self._until_whole(whole, stored.keepers)
        finally:
            end()
        keepers = [contact for contact in stored.keepers if contact in whole]
        if not keepers:
            raise TransferFailed(f"{name} was not fetched by any of those that are to keep it")
        peer.node.report("ring-stored", "{name} is kept by {copies} nodes", name=name, copies=len(keepers))
        return {"name": name, "digest": manifest.digest, "size": manifest.size, "copies": _places(peer, keepers)}

    async def _until_whole(self, whole: Mapping[Contact, None], keepers: Sequence[Contact]) -> None:
        """Wait until those that are to keep a file have all of it, or nothing of it goes out any more."""
        uploads = self._peer.uploads
        moved = (uploads.sent_bytes, len(whole))
        stalled_s = 0.0
        while not whole.keys() >= set(keepers) and stalled_s < _STALLED_S:
            await deferLater(self._peer.node.clock, _LOOK_S, lambda: None)
            now = (uploads.sent_bytes, len(whole))
            stalled_s = stalled_s + _LOOK_S if now == moved else 0.0
            moved = now

    # Requesting.

    async def _request(self, name: str, folder: Path, digest: str, overwrite: bool) -> dict[str, Any]:
        beginning = read_beginning(digest)
        holdings = [each for each in await self._holdings(name) if (each.entry.kept.digest or "").startswith(beginning)]
        contents = {holding.entry.kept.digest: holding for holding in reversed(holdings)}
        if not contents:
            raise NotFound(f"nobody has stored a file as {name!r}")
        if len(contents) > 1 and not self._peer.is_classic:
            rows = ", ".join(f"{each.entry.kept.file} {(each.entry.kept.digest or '')[:16]}" for each in holdings)
            raise UsageError(
                f"{len(contents)} different files are stored as {name!r}; choose one by its digest: {rows}"
            )
        kept = holdings[0].entry.kept
        assert kept.digest is not None, "it is about a file"
        assert kept.file is not None, "it is about a file"
        row = {"name": name, "file": kept.file, "path": str(folder / kept.file), "size": kept.size}
        row["digest"], row["owner"] = kept.digest, kept.owner
        peer = self._peer
        try:
            here = peer.whole_content(kept.digest)
            if here is not None:
                part = await PartFile.open(peer.node.clock, folder, kept.file, kept.digest, overwrite=overwrite)
                await copy_into(peer.node.clock, here, part)
                await part.close()
                return {**row, "sources": {}}
            return {**row, "sources": await self._fetch(name, folder, kept.file, kept.digest, kept.size, overwrite)}
        except AlreadyThere:
            return {**row, "sources": {}}

    async def _fetch(self, name: str, folder: Path, file: str, digest: str, size: int, overwrite: bool) -> Any:
        peer = self._peer
        ended: Deferred[Fetch] = Deferred()
        peer.target = folder
        peer.ring_catalogue.names[digest] = name
        try:
            await peer.begin(
                FoundFile(file, size, digest, 1), ended.callback, overwrite=overwrite, give_up_s=_GIVE_UP_S
            )
            outcome = (await ended).outcome
        finally:
            peer.ring_catalogue.names.pop(digest, None)
        if isinstance(outcome, Failure):
            outcome.raiseException()
        assert outcome is not None, "it has ended"
        peer.node.report("ring-fetched", "{file} has come, {size} bytes", file=file, size=size, name=name)
        return {str(source.id): sent for source, sent in outcome.by_source.items()}

    # The rest.

    async def _delete(self, name: str) -> dict[str, Any]:
        self._check()
        peer, deleted = self._peer, 0
        for space in (FILES, VALUES):
            for holding in await peer.keeping.get(space, name, peer.keeping.replicas + 1):
                if holding.entry.kept.owner == peer.node.key.public:
                    await peer.keeping.delete(space, name)
                    peer.offered.pop(holding.entry.kept.digest or "", None)
                    deleted += 1
        if not deleted:
            raise UsageError(f"nothing that this node has stored is called {name!r}; only its owner deletes it")
        peer.node.report("ring-deleted", "{name} is deleted", name=name)
        return {"name": name, "deleted": deleted}

    def _status(self, request: Mapping[str, Any]) -> Deferred[dict[str, Any]]:
        peer = self._peer
        status: dict[str, Any] = {"role": "ring_peer", "member": peer.member.is_member}
        if peer.member.is_member:
            membership, text = peer.member.membership, peer.member.ring.text
            before = membership.predecessor
            status["ring_id"] = text(peer.member.own.id)
            status["predecessor"] = None if before is None else text(before.id)
            status["successors"] = [text(contact.id) for contact in membership.successors]
        store, kept = peer.keeping.store, peer.kept
        status |= {"entries": len(store), "files": len(kept), "bytes": kept.size_bytes, "keep_bytes": kept.limit_bytes}
        return succeed(status)

    def _holdings(self, name: str) -> Deferred[Sequence[Holding]]:
        self._check()
        return self._peer.keeping.get(FILES, name, self._peer.keeping.replicas + 1)

    def _check(self) -> None:
        if not self._peer.member.is_member:
            raise UsageError("this node is not on the ring yet; try again when it has joined")


def _read(request: Mapping[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    return msgspec.structs.asdict(read_request(request, kind))


def _row(holding: Holding) -> dict[str, Any]:
    kept = holding.entry.kept
    row = {"name": kept.name, "file": kept.file, "size": kept.size, "digest": kept.digest, "owner": kept.owner}
    return {**row, "sources": len(holding.sources)}


def _places(peer: RingPeer, contacts: Sequence[Contact]) -> list[str]:
    return [peer.member.ring.text(contact.id) for contact in contacts]
