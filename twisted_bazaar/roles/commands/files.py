"""Commands over the control socket of a sharer: list, get, cancel, search, status."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final

import attrs
import msgspec
from msgspec import Meta
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.sharing.folder import Folder
from twisted_bazaar.interfaces import Command
from twisted_bazaar.roles.commands.requests import read_request
from twisted_bazaar.roles.fetcher import Fetcher
from twisted_bazaar.roles.fetching import Fetch, SeveralFound, choose
from twisted_bazaar.system.sizes import Size
from twisted_bazaar.values.files import FileQuery, FoundFile, Page, SharedFile

# An answer has room for so many names of the longest kind.
_MOST_LISTED: Final = 10_000
_MOST_LEFT_OUT: Final = 1000
_MOST_ENDED: Final = 100
# Less of a digest may be a name that was mistyped.
_LEAST_OF_DIGEST: Final = 6


class _Get(msgspec.Struct, frozen=True):
    """A file to fetch.

    @ivar wanted: its name or digest.
    @ivar digest: how its digest begins, where several files have the name.
    @ivar overwrite: whether a file of its name may be replaced.
    """

    wanted: Annotated[str, Meta(min_length=1, max_length=255)]
    digest: Annotated[str, Meta(max_length=64)] = ""
    overwrite: bool = False


class _Cancel(msgspec.Struct, frozen=True):
    """A download to stop.

    @ivar wanted: the name of its file, or the beginning of its digest.
    """

    wanted: Annotated[str, Meta(min_length=1, max_length=255)]


class _Search(msgspec.Struct, frozen=True):
    """A search; see L{FileQuery}."""

    name: str | None = None
    words: str | None = None
    digest: str | None = None
    after: str | None = None
    most: Annotated[int, Meta(ge=1, le=1000)] = 100


class _List(msgspec.Struct, frozen=True):
    """A list of files, by name.

    @ivar after: only names after this.
    """

    after: str = ""
    most: Annotated[int, Meta(ge=1, le=_MOST_LISTED)] = _MOST_LISTED


class FilesCommands:
    """Answers the operator about the files of a node.

    @param fetcher: what fetches files and serves them.
    @param folder: what it shares.
    @ivar commands: by name, what can be asked.
    """

    def __init__(self, fetcher: Fetcher, folder: Folder) -> None:
        self._fetcher = fetcher
        self._folder = folder
        self._ended: list[Fetch] = []
        self._in_order: list[SharedFile] = []
        self.commands: Mapping[str, Command] = {
            "status": self._tell_status,
            "files.list": self._list,
            "files.status": self._tell_all,
            "files.get": self._get,
            "files.cancel": self._cancel,
            "files.search": self._search,
        }

    def _tell_status(self, request: Mapping[str, Any]) -> Deferred[Any]:
        folder = self._folder
        told = {
            "role": "sharer",
            "folder": str(folder.path),
            "trouble": folder.fault or "none",
            "files": len(folder.files()),
            "left_out": len(folder.left_out()),
            "hashing": folder.hashing.files_left,
            "uploads": len(self._fetcher.uploads.status()),
            "downloads": len(self._fetcher.under_way()),
        }
        return succeed(told)

    def _list(self, request: Mapping[str, Any]) -> Deferred[Any]:
        asked = read_request(request, _List)
        if not (asked.after and self._in_order):
            # For all the pages that follow: to put very many in order holds up those who fetch.
            self._in_order = sorted(self._folder.files(), key=attrgetter("name"))
        first = bisect_right(self._in_order, asked.after, key=attrgetter("name"))
        page = self._in_order[first : first + asked.most]
        if len(page) < asked.most:
            self._in_order = []
        return succeed([attrs.asdict(file) for file in page])

    def _tell_all(self, request: Mapping[str, Any]) -> Deferred[Any]:
        folder = self._folder
        left_out = dict(sorted(folder.left_out().items())[:_MOST_LEFT_OUT])
        told = {
            "folder": str(folder.path),
            "fault": folder.fault,
            "files": len(folder.files()),
            "hashing": attrs.asdict(folder.hashing),
            "settling": folder.settling,
            "left_out": left_out,
            "uploads": [attrs.asdict(upload) for upload in self._fetcher.uploads.status()],
            "downloads": [row_of_fetch(fetch) for fetch in (*self._fetcher.under_way(), *self._ended)],
        }
        return succeed(told)

    def _get(self, request: Mapping[str, Any]) -> Deferred[Any]:
        asked = read_request(request, _Get)
        return Deferred.fromCoroutine(self._begin(asked))

    async def _begin(self, asked: _Get) -> dict[str, Any]:
        """Begin to fetch a file; whoever asks is told that it has begun."""
        try:
            found = await choose(self._fetcher.catalogue, asked.wanted, asked.digest)
        except SeveralFound as several:
            raise UsageError(f"{several}: {', '.join(file.digest[:16] for file in several.files)}") from None
        if self._folder.content(found.digest) is not None:
            raise UsageError(f"{found.name} is in the folder already")
        fetch = await self._fetcher.begin(found, self._note_end, overwrite=asked.overwrite)
        self._fetcher.node.report(
            "fetching",
            "fetching {name}, {size}",
            name=found.name,
            size=Size(found.size),
            digest=found.digest,
        )
        return row_of_fetch(fetch)

    def _cancel(self, request: Mapping[str, Any]) -> Deferred[Any]:
        wanted = read_request(request, _Cancel).wanted
        fetch = meant_by(wanted, self._fetcher.under_way())
        return self._fetcher.cancel(fetch).addCallback(lambda _: row_of_fetch(fetch))

    def _note_end(self, fetch: Fetch) -> None:
        self._ended = [*self._ended[1 - _MOST_ENDED :], fetch]
        node, name, digest = self._fetcher.node, fetch.found.name, fetch.found.digest
        if isinstance(fetch.outcome, Failure):
            reason = _why(fetch.outcome)
            node.report("not_fetched", "{name} was not fetched: {reason}", name=name, digest=digest, reason=reason)
        elif fetch.outcome is not None:
            sources = len(fetch.outcome.by_source)
            sentence = "{name} has come from {sources} source" + "s" * (sources != 1)
            node.report("fetched", sentence, name=name, digest=digest, sources=sources)

    def _search(self, request: Mapping[str, Any]) -> Deferred[Any]:
        asked = read_request(request, _Search)
        searching = self._fetcher.catalogue.search(FileQuery(**msgspec.structs.asdict(asked)))
        return searching.addCallback(_row_of_page)


def meant_by(wanted: str, fetches: Sequence[Fetch]) -> Fetch:
    """The one of several downloads that is meant.

    @param wanted: the name of its file, or the beginning of its digest.
    @raise UsageError: it is none of them, or can be several.
    """
    name = unicodedata.normalize("NFC", wanted)
    meant = [fetch for fetch in fetches if fetch.found.name == name]
    if not meant and len(wanted) >= _LEAST_OF_DIGEST:
        meant = [fetch for fetch in fetches if fetch.found.digest.startswith(wanted.lower())]
    if not meant:
        raise UsageError(f"{wanted} is not being fetched")
    if len(meant) > 1:
        digests = ", ".join(fetch.found.digest[:16] for fetch in meant)
        raise UsageError(f"{len(meant)} downloads are meant by {wanted}; choose one by its digest: {digests}")
    return meant[0]


def row_of_fetch(fetch: Fetch) -> dict[str, Any]:
    """A download as the operator is told of it."""
    row: dict[str, Any] = {"name": fetch.found.name, "size": fetch.found.size, "digest": fetch.found.digest}
    if isinstance(fetch.outcome, Failure):
        state = "stopped" if fetch.outcome.check(CancelledError) else "failed"
        return {**row, "state": state, "reason": _why(fetch.outcome), "held": fetch.status().held_bytes}
    if fetch.outcome is not None:
        sources = {str(source.id): size for source, size in fetch.outcome.by_source.items()}
        by_protocol = fetch.outcome.by_protocol
        return {
            **row,
            "state": "done",
            "by_source": sources,
            "resumed": fetch.outcome.resumed_bytes,
            "protocols": list(by_protocol),
            "by_protocol": by_protocol,
        }
    status = fetch.status()
    return {
        **row,
        "state": "under way",
        "held": status.held_bytes,
        "rate": status.rate,
        "seconds_left": status.seconds_left,
        "sources": [
            {"id": each.source.id, "state": each.state, "bytes": each.bytes, "why": each.why} for each in status.sources
        ],
    }


def _why(failure: Failure) -> str:
    """The reason why a file was not fetched."""
    if failure.check(CancelledError):
        return "it was stopped; the next time it goes on from there"
    return failure.getErrorMessage()


def _row_of_page(page: Page) -> dict[str, Any]:
    files: Sequence[FoundFile] = page.files
    return {"files": [attrs.asdict(file) for file in files], "total": page.total, "next": page.next}
