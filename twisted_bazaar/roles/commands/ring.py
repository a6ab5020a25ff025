"""Commands over the control socket of a member of a ring: store, request, delete, status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.rules.identifiers import Contact, is_number
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient, Holding
from twisted_bazaar.discovery.ring.storage.entry import FILES, LONGEST_NAME, VALUE_BYTES, VALUES, Kept
from twisted_bazaar.errors import AlreadyThere, FileChanged, TransferFailed, UsageError
from twisted_bazaar.files.download.resumable_file import ResumableFile
from twisted_bazaar.interfaces import Command
from twisted_bazaar.roles.commands.requests import read_request
from twisted_bazaar.roles.commands.ring_own import OwnEntries, OwnEntry
from twisted_bazaar.roles.commands.ring_progress import StoreProgress
from twisted_bazaar.roles.fetcher import parts_in
from twisted_bazaar.roles.fetching import Fetch, NotFound, read_beginning
from twisted_bazaar.roles.ring.catalogue import RingCatalogue
from twisted_bazaar.roles.ring.file_keeper import FileKeeper
from twisted_bazaar.roles.ring.kept_files import KeptFiles
from twisted_bazaar.roles.ring.kept_folder import KeptFolder, KeptPart
from twisted_bazaar.roles.ring.local_files import copy_into, offer_blocking
from twisted_bazaar.roles.ring.offered import Offered
from twisted_bazaar.roles.ring.status import addresses_of, ring_status
from twisted_bazaar.roles.ring.transfers import RingTransfers
from twisted_bazaar.system.sizes import Size, format_size
from twisted_bazaar.values.files import FoundFile
from twisted_bazaar.wire.files import check_file_name

_Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
# The longest that those who are to keep a file may take to get it while nothing of it goes out.
_STALLED_S: Final = 20.0
_GIVE_UP_S: Final = 20.0
_MOST_LISTED: Final = 100
# Of all that is kept for others, so many names are in the status.
_MOST_NAMED: Final = 20
_MOST_LOOKED_AT: Final = 200


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
    @ivar file: what it is to be called there; as it was called when it was stored if empty.
    @ivar digest: how its digest begins, if there are several of its name.
    """

    name: _Name
    folder: str = "."
    file: str = ""
    digest: Annotated[str, Meta(max_length=64)] = ""
    overwrite: bool = False


class _Named(msgspec.Struct, frozen=True):
    """Something by its name."""

    name: _Name


class _Put(msgspec.Struct, frozen=True):
    """A small value to be kept in the ring."""

    name: _Name
    value: Annotated[str, Meta(max_length=VALUE_BYTES)]


class _List(msgspec.Struct, frozen=True):
    """A page of what was stored and put from here.

    @ivar after: the C{after} of the last row of the page before; empty for the first page.
    @ivar most: how many rows at most.
    """

    after: str = ""
    most: Annotated[int, Meta(ge=1, le=_MOST_LISTED)] = _MOST_LISTED


class _Cancel(msgspec.Struct, frozen=True):
    """A request that is to end.

    @ivar path: where the file was to be.
    """

    path: Annotated[str, Meta(min_length=1)]


class RingCommands:
    """The commands of a member of a ring that keeps files.

    @param dht: what is kept in the ring.
    @param transfers: fetches files and serves them.
    @param catalogue: finds who has them.
    @param kept: the files that this member keeps for others.
    @param folder: those of them that have come.
    @param keeper: gets the others.
    @param offered: those that were stored from here.
    @param own: the list of what was stored and put from here.
    @param is_classic: whether this is a ring of a classroom.
    @ivar commands: by name, what can be asked.
    """

    def __init__(
        self,
        dht: DhtClient,
        transfers: RingTransfers,
        catalogue: RingCatalogue,
        kept: KeptFiles,
        folder: KeptFolder,
        keeper: FileKeeper,
        offered: Offered,
        own: OwnEntries,
        *,
        is_classic: bool,
    ) -> None:
        self._dht = dht
        self._transfers = transfers
        self._catalogue = catalogue
        self._kept = kept
        self._folder = folder
        self._keeper = keeper
        self._offered = offered
        self._own = own
        self._storing: list[StoreProgress] = []
        self._is_classic = is_classic
        # Who waits for what to be where.
        self._brought: dict[tuple[str, Path], list[Deferred[Any]]] = {}
        # By what name it was asked for.
        self._asked_as: dict[tuple[str, Path], str] = {}
        self.commands: Mapping[str, Command] = {
            "status": lambda request: self.status(),
            "ring.status": lambda request: self.status(),
            "ring.store": lambda request: self.store(**_read(request, _Store)),
            "ring.request": lambda request: self.request(**_read(request, _Request)),
            "ring.delete": lambda request: self.delete(**_read(request, _Named)),
            "ring.find": lambda request: self.find(**_read(request, _Named)),
            "ring.put": lambda request: self.put(**_read(request, _Put)),
            "ring.get": lambda request: self.get(**_read(request, _Named)),
            "ring.list": lambda request: self.list_own(**_read(request, _List)),
            "ring.transfers": lambda request: succeed(self.transfers()),
            "ring.cancel": lambda request: self.cancel(**_read(request, _Cancel)),
        }

    def store(self, path: str, name: str = "") -> Deferred[dict[str, Any]]:
        """Have a file kept; fires when those that keep it have all of it.

        @param name: what it is to be found by; as it is called if empty.
        @raise UsageError: it has a name that cannot be.
        @raise StorageError: it cannot be read.
        @raise TransferFailed: nobody has come to have all of it.
        """
        return Deferred.fromCoroutine(self._store(Path(path).absolute(), name))

    def request(
        self, name: str, folder: str = ".", digest: str = "", overwrite: bool = False, file: str = ""
    ) -> Deferred[Any]:
        """Fetch a file; fires when it is whole and in its place.

        @param digest: how its digest begins, to choose among several.
        @param file: what it is to be called; as it was called when it was stored if empty, and what came for a number
            in a classroom by that number.
        @raise NotFound: nobody has it.
        @raise UsageError: there are several, or it must not be put there.
        @raise TransferFailed: those who have it do not serve it.
        """
        if file:
            try:
                check_file_name(file)
            except ValueError as error:
                raise UsageError(f"{file!r}: {error}") from None
        return Deferred.fromCoroutine(self._request(name, Path(folder).absolute(), digest, overwrite, file))

    def delete(self, name: str) -> Deferred[dict[str, Any]]:
        """Have a file and a value kept no longer that this node has stored under a name."""
        return Deferred.fromCoroutine(self._delete(name))

    def find(self, name: str) -> Deferred[list[dict[str, Any]]]:
        """All files of a name, the newest first."""
        return self._holdings(name).addCallback(lambda holdings: [_row(holding) for holding in holdings])

    def put(self, name: str, value: str) -> Deferred[dict[str, Any]]:
        """Have a small text kept, in place of what this node had put there before."""
        return Deferred.fromCoroutine(self._put(name, value.encode()))

    def get(self, name: str) -> Deferred[list[dict[str, Any]]]:
        """All small texts of a name, the newest first."""
        self._check()

        def rows(holdings: Sequence[Holding]) -> list[dict[str, Any]]:
            kept = [holding.entry.kept for holding in holdings]
            return [{"value": each.value.decode(errors="replace"), "owner": each.owner} for each in kept]

        return self._dht.get(VALUES, name).addCallback(rows)

    def status(self) -> Deferred[dict[str, Any]]:
        """The status of this member, and what it keeps."""
        status = {"role": "ring_peer", **ring_status(self._dht.member)}
        store, kept = self._dht.store, self._kept
        status |= {"entries": len(store), "files": kept.whole, "coming": len(kept) - kept.whole}
        status |= {"bytes": kept.size_bytes, "keep_bytes": kept.limit_bytes}
        names = {entry.kept.name for entry in islice(store, _MOST_LOOKED_AT) if not entry.kept.deleted}
        more = len(names) > _MOST_NAMED or len(store) > _MOST_LOOKED_AT
        status |= {"keeps": sorted(names)[:_MOST_NAMED], "keeps_more": more}
        return succeed(status)

    def list_own(self, after: str = "", most: int = _MOST_LISTED) -> Deferred[Sequence[Mapping[str, Any]]]:
        """A page of what was stored and put from here, by name, and how many nodes say now that they keep each."""
        self._check()
        return Deferred.fromCoroutine(self._own.rows(self._dht, self._transfers.node.key.public, after, most))

    def transfers(self) -> list[dict[str, Any]]:
        """The files that are being stored and requested now, and how far each is."""
        gone_bytes = self._transfers.uploads.gone_bytes
        rows = [each.row(gone_bytes(each.digest) if each.digest else 0) for each in self._storing]
        return [*rows, *(self._request_row(fetch, path) for path, fetch in self._requested())]

    def cancel(self, path: str) -> Deferred[dict[str, Any]]:
        """End a request; what has come stays, to go on with another time.

        @raise UsageError: nothing is requested to that place, or it comes here to be kept as well, or others wait too.
        """
        return Deferred.fromCoroutine(self._cancel(Path(path)))

    # Storing.

    async def _store(self, path: Path, name: str) -> dict[str, Any]:
        self._check()
        storing = StoreProgress(str(path), name or path.name)
        self._storing.append(storing)
        try:
            return await self._store_with(storing, path, name)
        finally:
            self._storing.remove(storing)

    async def _store_with(self, storing: StoreProgress, path: Path, name: str) -> dict[str, Any]:
        reactor: Any = self._transfers.node.clock
        content = await deferToThreadPool(reactor, reactor.getThreadPool(), offer_blocking, reactor, path)
        manifest, name = content.manifest, name or content.seen.name
        self._offered.offer(name, content)
        whole = set[Contact]()
        storing.digest, storing.size, storing.whole = manifest.digest, manifest.size, whole
        end = self._dht.watch_whole(manifest.digest, whole.add)
        try:
            about: dict[str, Any] = {"digest": manifest.digest, "size": manifest.size, "file": content.seen.name}
            stored = await self._dht.put(FILES, name, **about)
            await self._own.add(OwnEntry(FILES, name, reactor.seconds(), **about), reactor)
            storing.keepers = frozenset(stored.keepers)
            whole |= {copy.at for copy in stored.copies if copy.is_kept and copy.is_whole}
            await self._until_whole(manifest.digest, whole, storing.keepers)
        finally:
            end()
        keepers = [contact for contact in stored.keepers if contact in whole]
        if not keepers:
            raise TransferFailed(f"{name} was not fetched by any of those that are to keep it")
        self._transfers.node.report("ring-stored", "{name} is kept by {copies} nodes", name=name, copies=len(keepers))
        row = {"name": name, "digest": manifest.digest, "size": manifest.size, "copies": self._places(keepers)}
        return {**row, "wanted": self._dht.replicas + 1, "addresses": addresses_of(self._dht.member.ring, keepers)}

    async def _until_whole(self, digest: str, whole: Set[Contact], keepers: Set[Contact]) -> None:
        """Wait until those that are to keep a file have all of it, or nothing of it has gone out for a while.

        Who says again that it has it, or is not to keep it at all, neither ends nor prolongs the wait for the others.
        A copy that this node itself makes is waited for as long as its disk takes.

        @param whole: who has said that it has it; grows meanwhile.
        """
        clock = self._transfers.node.clock
        before: tuple[int, int] | None = None
        until_s = 0.0
        while not keepers <= whole:
            moved = (self._transfers.uploads.gone_bytes(digest), len(keepers & whole))
            if moved != before:
                before, until_s = moved, clock.seconds() + _STALLED_S
            left_s = until_s - clock.seconds()
            if left_s <= 0:
                if (copying := self._keeper.being_got(digest)) is not None:
                    await copying
                return
            come: Deferred[None] = Deferred()
            end = self._dht.watch_whole(digest, partial(_fire, come))
            try:
                await come.addTimeout(left_s, clock, onTimeoutCancel=lambda result, timeout_s: None)
            finally:
                end()

    # Requesting.

    async def _request(self, name: str, folder: Path, digest: str, overwrite: bool, file: str) -> dict[str, Any]:
        beginning = read_beginning(digest)
        self._check()
        place = self._dht.member.ring.display(self._dht.store.identifier_of_name(name))
        self._transfers.node.report("ring-requested", "{name} is looked for, at place {place}", name=name, place=place)
        holdings = [each for each in await self._holdings(name) if (each.entry.kept.digest or "").startswith(beginning)]
        contents = {holding.entry.kept.digest: holding for holding in reversed(holdings)}
        if not contents:
            raise NotFound(f"nobody has stored a file as {name!r}")
        if len(contents) > 1 and not self._is_classic:
            rows = "; ".join(_told_apart(each.entry.kept) for each in contents.values())
            raise UsageError(
                f"{len(contents)} different files are stored as {name!r}; choose one by its digest: {rows}"
            )
        kept = holdings[0].entry.kept
        assert kept.digest is not None, "it is about a file"
        assert kept.file is not None, "it is about a file"
        file = file or self._usual_file(name, kept.file)
        row = {"name": name, "file": file, "path": str(folder / file), "size": kept.size}
        row["digest"], row["owner"] = kept.digest, kept.owner
        at = self._places(holdings[0].sources)
        self._transfers.node.report("ring-found", "{name} is at {at}", name=name, at=", ".join(at) or "nobody now")
        return {**row, "sources": await self._bring(name, folder, file, kept.digest, kept.size, overwrite)}

    def _bring(self, name: str, folder: Path, file: str, digest: str, size: int, overwrite: bool) -> Deferred[Any]:
        """Have a file put in its place; who asks for it there while it is on its way waits with the others."""
        place = (digest, folder / file)
        waiting: Deferred[Any] = Deferred()
        others = self._brought.get(place)
        if others is not None:
            others.append(waiting)
            return waiting
        self._brought[place], self._asked_as[place] = [waiting], name

        def tell(result: object) -> None:
            del self._asked_as[place]
            for each in self._brought.pop(place):
                if not each.called:
                    each.callback(result)

        Deferred.fromCoroutine(self._put_in_place(name, folder, file, digest, size, overwrite)).addBoth(tell)
        return waiting

    async def _put_in_place(
        self, name: str, folder: Path, file: str, digest: str, size: int, overwrite: bool
    ) -> Mapping[str, int]:
        try:
            here = self._folder.content(digest)
            if here is None and (getting := self._keeper.being_got(digest)) is not None:
                # It is on its way here to be kept.
                await getting
                here = self._folder.content(digest)
            if here is not None:
                part = await ResumableFile.open(self._transfers.node.clock, folder, file, digest, overwrite=overwrite)
                try:
                    await copy_into(here, part)
                except FileChanged:
                    # It has been handed over meanwhile; whoever keeps it now has the rest of it.
                    pass
                else:
                    await part.close()
                    return {}
            sources: Mapping[str, int] = await self._fetch(name, folder, file, digest, size, overwrite)
            return sources
        except AlreadyThere:
            return {}

    def _usual_file(self, name: str, file: str) -> str:
        """The name for a file that has come: in a classroom, that it was received, its number, and by whom."""
        if not (self._is_classic and is_number(name)):
            return file
        return f"received_file_{name}_{self._dht.member.own.id}{Path(file).suffix}"

    async def _fetch(self, name: str, folder: Path, file: str, digest: str, size: int, overwrite: bool) -> Any:
        if digest in self._catalogue.names:
            raise UsageError(f"{file} is being fetched already, to another place; ask again when it is there")
        ended: Deferred[Fetch] = Deferred()
        self._catalogue.names[digest] = name
        self._transfers.node.report("ring-fetching", None, name=name, file=file, size=size)
        try:
            await self._transfers.begin(
                FoundFile(file, size, digest, 1),
                ended.callback,
                overwrite=overwrite,
                give_up_s=_GIVE_UP_S,
                open_part=parts_in(folder)(self._transfers.node),
            )
            outcome = (await ended).outcome
        finally:
            self._catalogue.names.pop(digest, None)
        if isinstance(outcome, Failure):
            if outcome.check(CancelledError):
                raise TransferFailed(f"{file} is not fetched any more: that was ended")
            outcome.raiseException()
        assert outcome is not None, "it has ended"
        self._transfers.node.report("ring-fetched", "{file} has come, {size}", file=file, size=Size(size), name=name)
        return {str(source.id): sent for source, sent in outcome.by_source.items()}

    def _requested(self) -> list[tuple[Path, Fetch]]:
        """The files that are requested and on their way, each with the place where it is to be."""
        under_way = {fetch.found.digest: fetch for fetch in self._transfers.under_way()}
        return [(path, under_way[digest]) for digest, path in self._brought if digest in under_way]

    async def _cancel(self, path: Path) -> dict[str, Any]:
        fetch = dict(self._requested()).get(path)
        if fetch is None:
            raise UsageError(f"nothing is on its way to {path}")
        if isinstance(fetch.part, KeptPart):
            raise UsageError(f"{path.name} is on its way to this node, which is to keep it for others as well")
        if len(self._brought[fetch.found.digest, path]) > 1:
            raise UsageError(f"somebody else waits for {path.name} too")
        row = self._request_row(fetch, path)
        await self._transfers.cancel(fetch)
        return row

    def _request_row(self, fetch: Fetch, path: Path) -> dict[str, Any]:
        """How far a request is."""
        status = fetch.status()
        return {
            "kind": "request",
            "path": str(path),
            "name": self._asked_as[fetch.found.digest, path],
            "size": fetch.found.size if status.size is None else status.size,
            "bytes": status.held_bytes,
            "rate": status.rate,
            "seconds_left": status.seconds_left,
            "sources": sum(each.state == "serving" for each in status.sources),
        }

    # The rest.

    async def _put(self, name: str, value: bytes) -> dict[str, Any]:
        self._check()
        stored = await self._dht.put(VALUES, name, value)
        clock = self._transfers.node.clock
        await self._own.add(OwnEntry(VALUES, name, clock.seconds(), len(value)), clock)
        return {"name": name, "copies": len(stored.keepers), "wanted": self._dht.replicas + 1}

    async def _delete(self, name: str) -> dict[str, Any]:
        self._check()
        deleted, own, clock = 0, self._transfers.node.key.public, self._transfers.node.clock
        for space in (FILES, VALUES):
            holdings = await self._dht.get(space, name, self._dht.replicas + 1)
            digests = [each.entry.kept.digest or "" for each in holdings if each.entry.kept.owner == own]
            # What nobody keeps any more may come back with a node that is away.
            if digests or self._own.has(space, name):
                await self._dht.delete(space, name)
                await self._own.remove(space, name, clock)
                for digest in digests:
                    self._offered.withdraw(name, digest)
                deleted += 1
        if not deleted:
            raise UsageError(f"nothing that this node has stored is called {name!r}; only its owner deletes it")
        self._transfers.node.report("ring-deleted", "{name} is deleted", name=name)
        return {"name": name, "deleted": deleted}

    def _holdings(self, name: str) -> Deferred[Sequence[Holding]]:
        self._check()
        return self._dht.get(FILES, name, self._dht.replicas + 1)

    def _places(self, contacts: Sequence[Contact]) -> list[str]:
        return [self._dht.member.ring.display(contact.id) for contact in contacts]

    def _check(self) -> None:
        if not self._dht.member.is_member:
            raise UsageError("this node is not on the ring yet; try again when it has joined")


def _told_apart(kept: Kept) -> str:
    return f"{kept.file} {(kept.digest or '')[:16]}, {format_size(kept.size)}, stored by {kept.owner[:12]}"


def _fire(waiting: Deferred[None], _: object) -> None:
    if not waiting.called:
        waiting.callback(None)


def _read(request: Mapping[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    return msgspec.structs.asdict(read_request(request, kind))


def _row(holding: Holding) -> dict[str, Any]:
    kept = holding.entry.kept
    row = {"name": kept.name, "file": kept.file, "size": kept.size, "digest": kept.digest, "owner": kept.owner}
    return {**row, "sources": len(holding.sources)}
