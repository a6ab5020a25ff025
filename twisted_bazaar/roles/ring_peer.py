"""A member of a ring: keeps files and small values for others, and has others keep its own.

A file that is stored is fetched by those that are to keep it, from whoever stores it and then from each other, and is
verified by its digest; so is one that is requested, by whoever requests it. So a node that lies or dies costs a try.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred, gatherResults, succeed
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python import usage
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.discovery.ring.entry import Entry
from twisted_bazaar.discovery.ring.identifiers import LARGEST_NUMBER, LEAST_BITS, MOST_BITS, Contact, Ring
from twisted_bazaar.discovery.ring.keeping import Keeping
from twisted_bazaar.discovery.ring.member import RingMember
from twisted_bazaar.discovery.ring.messages import MOST_SUCCESSORS
from twisted_bazaar.discovery.ring.repair import Repair
from twisted_bazaar.discovery.ring.replicas import USUAL_REPLICAS
from twisted_bazaar.discovery.ring.settings import CLASSIC, USUAL, Settings
from twisted_bazaar.errors import AlreadyThere, LinkClosed, PeerError, UsageError
from twisted_bazaar.files.content import IContent, IPart
from twisted_bazaar.files.download.part import PartFile
from twisted_bazaar.files.sharing.folder import Folder, HashMemory
from twisted_bazaar.files.sharing.shared import SharedContent
from twisted_bazaar.interfaces import IErrand, INode, IOperable, ISelfNumbered
from twisted_bazaar.roles.fetcher import Fetcher, OpenPart
from twisted_bazaar.roles.fetching import Fetch
from twisted_bazaar.roles.goods import parse_count
from twisted_bazaar.roles.rates import parse_bytes
from twisted_bazaar.roles.ring_catalogue import RingCatalogue
from twisted_bazaar.roles.ring_desk import RingDesk
from twisted_bazaar.roles.ring_entries import EntryMemory
from twisted_bazaar.roles.ring_files import KeptFiles, KeptPart, copy_into, make_folder
from twisted_bazaar.state import STATE, StateDirectory
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FoundFile

T = TypeVar("T")
KEPT_FOLDER: Final = "ring"
HASHES_FILE: Final = "ring-hashes"
USUAL_KEEP: Final = "1G"
_GIVE_UP_S: Final = 30.0
_SAVE_S: Final = 5.0
# The disk has other things to do.
_SAVED_A_SECOND: Final = 1 << 20
_NUMBER_DIGITS: Final = len(str(LARGEST_NUMBER))


class Options(usage.Options):
    """The options of a member of a ring."""

    optParameters = [
        [
            "join",
            None,
            None,
            "Where a member of the ring listens, such as tcp:127.0.0.1:9300; a new ring if not given.",
        ],
        ["bits", None, None, "The ring has 2 to the power of this many places: 64 if not given, 8 with --classic."],
        ["ring-id", None, None, "The place of this node; as follows from its key if not given."],
        ["successors", None, None, "How many nodes after itself it knows: 8 if not given, 2 with --classic."],
        [
            "replicas",
            None,
            None,
            "On how many nodes all is besides the one it belongs to: 3 if not given, 2 if classic.",
        ],
        ["keep-bytes", None, USUAL_KEEP, "How many bytes of files it keeps for others, such as 500M or 2G."],
    ]
    optFlags = [["classic", None, "A ring as in a classroom: two successors, no shortcuts, files called by numbers."]]


@implementer(IOperable, ISelfNumbered, IErrand)
class RingPeer(Fetcher):
    """A member of a ring that keeps files.

    @param join: where a member listens, as an endpoint or as the text of one; None to begin a ring.
    @param replicas: on how many nodes everything is besides the one that it belongs to.
    @param keep_bytes: how many bytes of files it keeps for others.
    @param state: where what it keeps outlives the process; None for nowhere.
    @ivar finished: fires with 1 if it cannot join.
    @ivar member: its place among the others.
    @ivar keeping: what is kept, besides the content of files.
    @ivar kept: the files that it keeps.
    """

    def __init__(
        self,
        join: IStreamClientEndpoint | Address | str | None = None,
        *,
        settings: Settings = USUAL,
        ring_id: int | None = None,
        replicas: int = USUAL_REPLICAS,
        keep_bytes: int = 1 << 30,
        state: StateDirectory | None = None,
        **options: Any,
    ) -> None:
        self.ring_catalogue = RingCatalogue()
        super().__init__(self.ring_catalogue, self._opener, **options)
        self.finished: Deferred[int] = Deferred()
        self.is_classic = not settings.has_fingers
        self.member = RingMember(settings, ring_id)
        self._borrowed: Path | None = None
        if state is None:
            self._borrowed = Path(tempfile.mkdtemp(prefix="bazaar-ring-"))
        folder = self._borrowed or make_folder((state.path if state else Path()) / KEPT_FOLDER)
        self.kept = KeptFiles(
            folder, keep_bytes, self._has_whole, self._get_kept, self._drop_kept, lambda *told: self._tell_whole(*told)
        )
        self.keeping = Keeping(
            self.member,
            replicas=replicas,
            files=self.kept,
            place_of=partial(place_of, self.member.ring, self.is_classic),
        )
        self.ring_catalogue.keeping, self.ring_catalogue.kept = self.keeping, self.kept
        self.repair = Repair(self.keeping)
        self.member.before_leaving(self._hand_over)
        self.datagrams = self.member.datagrams
        self.offered: dict[str, SharedContent] = {}
        self.target = Path()
        self._join = join
        self._memory = HashMemory(None if state is None else state.path / HASHES_FILE)
        self._saving: IDelayedCall | None = None
        self._saved = -1
        self._entries = None if state is None else EntryMemory(state)
        self.desk = RingDesk(self)
        self.commands = self.desk.commands

    def start(self, node: INode) -> None:
        """Begin, or join, the ring."""
        super().start(node)
        self.folder = Folder(node.clock, self.kept.folder, self._memory, lambda added, removed: None, watched=False)
        self.folder.start()
        self.keeping.start(node)
        self.repair.start(node)
        join = clientFromString(node.clock, self._join) if isinstance(self._join, str) else self._join
        joining = self.member.start(node, join).addCallbacks(self._joined, self._refused)
        joining.addErrback(lambda failure: self.log.failure("the ring was not joined", failure))

    def stop(self) -> Deferred[None]:
        """Hand over what is here, and leave."""
        leaving = self.member.stop().addCallback(lambda _: self.repair.stop())
        leaving.addErrback(lambda failure: self.log.failure("the ring was not left as it should be", failure))
        leaving.addCallback(lambda _: self.kept.stop())
        leaving.addCallback(lambda _: super(RingPeer, self).stop()).addCallback(lambda _: self.folder.stop())
        return leaving.addCallback(lambda _: self._close_state())

    def _joined(self, _: object) -> None:
        self.kept.start(self.node.clock)
        if self._entries is not None:
            recalling = Deferred.fromCoroutine(self._recall(self._entries))
            recalling.addErrback(lambda failure: self.log.failure("what was kept could not be read", failure))
            recalling.addCallback(lambda _: self._save_later())
        if not self.joined.called:
            self.joined.callback(None)

    def _refused(self, failure: Failure) -> None:
        if failure.check(LinkClosed):
            return
        failure.trap(UsageError)
        self.node.report("ring-refused", "this node cannot join: {why}", why=failure.getErrorMessage())
        self.finished.callback(1)

    # What is served.

    def content(self, digest: str) -> IContent | None:
        """What there is of a file: kept, about to be kept, or stored from here."""
        return self.folder.content(digest) or self.offered.get(digest) or super().content(digest)

    def whole_content(self, digest: str) -> IContent | None:
        """All of a file, if it is here to be kept."""
        finished = self._finished.get(digest)
        is_kept = finished is not None and finished.found.name == digest
        return self.folder.content(digest) or (super().content(digest) if is_kept else None)

    def completed(self, fetch: Fetch) -> Deferred[None]:
        """A file has come; one that is to be kept is served from now on."""
        return super().completed(fetch).addCallback(lambda _: self._adopt(fetch.part) if _is_kept(fetch) else None)

    def _adopt(self, part: IPart) -> Deferred[None]:
        assert isinstance(part, PartFile), "it was opened here"
        assert part.signature is not None, "it is whole"
        assert part.manifest is not None, "it is whole"
        return self.folder.adopt(part.digest, part.signature, part.manifest)

    def _opener(self, node: INode) -> OpenPart:
        """Opens the place for a file: what is called by its digest is kept for others."""

        async def open_part(name: str, digest: str, overwrite: bool) -> IPart:
            entry = self.kept.entry_of(digest)
            if name != digest or entry is None:
                return await PartFile.open(node.clock, self.target, name, digest, overwrite=overwrite)
            part = await KeptPart.open(node.clock, self.kept.folder, digest, digest, overwrite=True)
            part.sizes = self.kept.sizes_of(digest)
            return part

        return open_part

    # What is kept.

    def _has_whole(self, digest: str) -> bool:
        return self.whole_content(digest) is not None

    def _tell_whole(self, contact: Contact, digest: str) -> None:
        self.keeping.tell_whole(contact, digest)

    async def _get_kept(self, entry: Entry) -> None:
        """Get a file that is to be kept."""
        digest = entry.kept.digest
        assert digest is not None, "it is about a file"
        try:
            here = self.offered.get(digest)
            if here is not None:
                part = await KeptPart.open(self.node.clock, self.kept.folder, digest, digest, overwrite=True)
                part.sizes = self.kept.sizes_of(digest)
                await copy_into(self.node.clock, here, part)
                await part.close()
                await self._adopt(part)
            else:
                ended: Deferred[Fetch] = Deferred()
                found = FoundFile(digest, entry.kept.size, digest, 1)
                await self.begin(found, ended.callback, overwrite=True, give_up_s=_GIVE_UP_S)
                await ended
        except AlreadyThere:
            await self.folder.refresh()
        if self._has_whole(digest):
            self.keeping.is_whole(self.member.own, digest)
            self.node.report("ring-keeps", "keeping {name}, {size} bytes", name=entry.kept.name, size=entry.kept.size)

    def _drop_kept(self, digest: str) -> Deferred[None]:
        """A file is to be kept no longer."""
        for fetch in self.under_way():
            if fetch.found.digest == digest and _is_kept(fetch):
                ending: Deferred[None] = Deferred()
                self._awaited[fetch] = ending
                fetch.stop().addErrback(lambda failure: self.log.failure("a download was not stopped", failure))
                return ending
        return self.close_finished(lambda fetch: fetch.found.digest == digest and _is_kept(fetch))

    def _hand_over(self) -> Deferred[None]:
        """See that whoever follows has the files that belong here."""
        entries = [entry for digest in self.kept.digests() if (entry := self.kept.entry_of(digest)) is not None]
        entries = [entry for entry in entries if self.repair.is_own(entry)]
        followers = self.member.membership.successors[:1]
        return Deferred.fromCoroutine(self._hand_over_files(entries, followers))

    async def _hand_over_files(self, entries: Sequence[Entry], followers: Sequence[Contact]) -> None:
        for contact in followers:
            for entry in entries:
                try:
                    await self._hand_over_file(entry, contact)
                except (PeerError, CancelledError):
                    # There are others who have it, if there were any.
                    self.node.report("ring-not-handed-over", None, name=entry.kept.name)
                    return

    async def _hand_over_file(self, entry: Entry, contact: Contact) -> None:
        digest = entry.kept.digest or ""
        whole: Deferred[None] = Deferred()

        def told(by: Contact) -> None:
            if by == contact and not whole.called:
                whole.callback(None)

        end = self.keeping.watch_whole(digest, told)
        try:
            copy = await self.keeping.send(contact, entry)
            if copy.is_kept and not copy.is_whole and self._has_whole(digest):
                await whole
        finally:
            end()

    # What outlives the process.

    async def _recall(self, memory: EntryMemory) -> None:
        """Keep again what was kept when this node ran last."""
        for entries in await self._in_thread(partial(memory.recall, self.node.clock.seconds())):
            for entry, left_s in entries:
                self.keeping.take(entry, None, left_s)
            # Others are to have their turn.
            await deferLater(self.node.clock, 0, lambda: None)

    def _save_later(self) -> None:
        if not self._is_stopped:
            wait_s = max(_SAVE_S, self.keeping.store.size_bytes / _SAVED_A_SECOND)
            self._saving = self.node.clock.callLater(wait_s, self._save_soon)

    def _save_soon(self) -> None:
        self._saving = None
        saving = self._save()
        saving.addErrback(lambda failure: self.log.failure("what is kept could not be written down", failure))
        saving.addCallback(lambda _: self._save_later())

    def _save(self) -> Deferred[None]:
        store, now = self.keeping.store, self.node.clock.seconds()
        if self._entries is None or self._saved == store.changes:
            return succeed(None)
        self._saved = store.changes
        return self._in_thread(partial(self._entries.keep, [(each, store.left_s(each, now)) for each in store], now))

    def _close_state(self) -> Deferred[None]:
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        ending = [self._save()]
        if self._borrowed is not None:
            ending.append(self._in_thread(partial(shutil.rmtree, self._borrowed, True)))
        return gatherResults(ending).addCallback(lambda _: None)

    def _in_thread(self, work: Callable[[], T]) -> Deferred[T]:
        reactor: Any = self.node.clock
        return deferToThreadPool(reactor, reactor.getThreadPool(), work)


def _is_kept(fetch: Fetch) -> bool:
    """Whether a file is fetched to be kept for others."""
    return fetch.found.name == fetch.found.digest


def place_of(ring: Ring, is_classic: bool, name: str) -> int:
    """Where what has a name belongs; in a classroom a number of four digits is its place."""
    if is_classic and name.isascii() and name.isdigit() and len(name) <= _NUMBER_DIGITS:
        return ring.classroom_key(int(name))
    return ring.key_of(name)


def make_role(options: Mapping[str, Any]) -> RingPeer:
    """Make a member of a ring from its options.

    @raise UsageError: one of them cannot be read.
    """
    settings = read_settings(options)
    join: str | None = options.get("join")
    if join is not None:
        check_endpoint(join)
    text = options.get("ring-id")
    ring_id = None
    if text is not None:
        ring_id = parse_count(text, "--ring-id", text, 0) if len(text) <= 16 else -1
        if not 0 <= ring_id < 1 << settings.bits:
            raise UsageError(f"--ring-id {text}: places on this ring go from 0 to {(1 << settings.bits) - 1}")
    return RingPeer(
        join,
        settings=settings,
        ring_id=ring_id,
        replicas=_number(options, "replicas", str(min(USUAL_REPLICAS, settings.successors)), 0, settings.successors),
        keep_bytes=parse_bytes(options.get("keep-bytes") or USUAL_KEEP, "--keep-bytes"),
        state=options.get(STATE),
    )


def read_settings(options: Mapping[str, Any]) -> Settings:
    """How a node is to live on its ring.

    @raise UsageError: it cannot.
    """
    settings = CLASSIC if options.get("classic") else USUAL
    return evolve(
        settings,
        bits=_number(options, "bits", str(settings.bits), LEAST_BITS, MOST_BITS),
        successors=_number(options, "successors", str(settings.successors), 1, MOST_SUCCESSORS),
    )


def check_endpoint(text: str) -> None:
    """Refuse what is no endpoint.

    @raise UsageError: it is none.
    """
    try:
        clientFromString(None, text)
    except (ValueError, TypeError, IndexError, KeyError):
        raise UsageError(f"--join {text!r}: write where a member listens, such as tcp:127.0.0.1:9300") from None


def _number(options: Mapping[str, Any], name: str, usual: str, least: int, most: int) -> int:
    text = options.get(name) or usual
    number = parse_count(text, f"--{name}", text, least)
    if number > most:
        raise UsageError(f"--{name} {text!r}: takes {least} to {most}")
    return number
