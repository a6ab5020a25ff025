"""A member of a ring: keeps files and small values for others, and has others keep its own.

A file that is stored is fetched by those that are to keep it, from whoever stores it and then from each other, and is
verified by its digest; so is one that is requested, by whoever requests it. So a node that lies or dies costs a try.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.settings import USUAL, Settings
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.entry import Entry
from twisted_bazaar.discovery.ring.storage.repair import Repair
from twisted_bazaar.discovery.ring.storage.replication import USUAL_REPLICAS
from twisted_bazaar.errors import AlreadyThere, FileChanged, PeerError, UsageError
from twisted_bazaar.files.content import IContent, IPart
from twisted_bazaar.files.download.resumable_file import ResumableFile
from twisted_bazaar.files.sharing.folder import Folder, HashMemory
from twisted_bazaar.interfaces import (
    IErrand,
    IFloodsNothing,
    IHandsOver,
    INode,
    IOperable,
    ISelfNumbered,
    ITakesDatagrams,
)
from twisted_bazaar.roles.commands.ring import RingCommands
from twisted_bazaar.roles.fetcher import Fetcher, OpenPart
from twisted_bazaar.roles.fetching import Fetch
from twisted_bazaar.roles.rates import parse_bytes
from twisted_bazaar.roles.ring.catalogue import RingCatalogue
from twisted_bazaar.roles.ring.checkpoints import Checkpoints
from twisted_bazaar.roles.ring.entries import EntryMemory
from twisted_bazaar.roles.ring.files import KeptFiles, KeptPart, copy_into
from twisted_bazaar.roles.ring.lifecycle import RingLifecycle
from twisted_bazaar.roles.ring.offered import Offered
from twisted_bazaar.roles.ring.options import RingOptions, check_endpoint, places_of, read_replicas, read_settings
from twisted_bazaar.roles.ring.upload_events import UploadEvents
from twisted_bazaar.state import STATE, StateDirectory
from twisted_bazaar.system.ephemeral import EphemeralDirectory, remove_leftovers
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FoundFile
from twisted_bazaar.values.needs import UdpNeed

KEPT_FOLDER: Final = "ring"
HASHES_FILE: Final = "ring-hashes"
USUAL_KEEP: Final = "1G"
_GIVE_UP_S: Final = 30.0
# Besides handing over: to tell the neighbours, and to close what is open.
_CLOSING_S: Final = 5.0
# What is kept comes and goes by this node alone; somebody may tidy up behind its back.
_LOOKED_EVERY_S: Final = 30.0
_UDP: Final = UdpNeed(
    beside_links=True,
    no_udp="members of a ring talk to each other by datagrams; write a port, such as 9300",
    no_links="a member of a ring takes links of those who join and fetch; write an endpoint such as tcp:9300",
)


class Options(RingOptions):
    """The options of a member of a ring."""

    optParameters = [
        ["ring-id", None, None, "The place of this node; as follows from its key if not given."],
        ["keep-bytes", None, USUAL_KEEP, "How many bytes of files it keeps for others, such as 500M or 2G."],
    ]


@implementer(IOperable, ISelfNumbered, IErrand, IHandsOver, ITakesDatagrams, IFloodsNothing)
class RingPeer(Fetcher):
    """A member of a ring that keeps files.

    @param join: where a member listens, as an endpoint or as the text of one; None to begin a ring.
    @param replicas: on how many nodes everything is besides the one that it belongs to.
    @param keep_bytes: how many bytes of files it keeps for others.
    @param state: where what it keeps outlives the process; None for nowhere.
    @ivar finished: fires with 1 if it cannot join, or another keeps its place.
    @ivar stay: how it comes and goes.
    @ivar member: its place among the others.
    @ivar keeping: what is kept, besides the content of files.
    @ivar kept: the files that it keeps.
    """

    udp_need = _UDP

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
        self.stop_s = settings.leaving_s + _CLOSING_S
        self.is_classic = not settings.has_fingers
        self.member = RingMember(settings, ring_id)
        place = EphemeralDirectory() if state is None else state.folder(KEPT_FOLDER)
        self._ephemeral = place if isinstance(place, EphemeralDirectory) else None
        self.kept = self._kept_in(place, keep_bytes)
        place_of = places_of(self.member.ring, self.is_classic)
        self.keeping = DhtClient(self.member, replicas=replicas, files=self.kept, place_of=place_of)
        self.ring_catalogue.keeping, self.ring_catalogue.kept = self.keeping, self.kept
        self.repair = Repair(self.member, self.keeping)
        self.member.before_leaving(self._hand_over)
        self.datagrams = self.member.datagrams
        self.offered = Offered()
        self.stay = RingLifecycle(self.keeping, self.repair, join)
        self.finished = self.stay.finished
        self._memory = HashMemory(None if state is None else state.files, HASHES_FILE)
        self._checkpoints = Checkpoints(self.keeping, None if state is None else EntryMemory(state))
        self._sending = UploadEvents(self.kept, self.offered)
        self.desk = RingCommands(
            self,
            self.ring_catalogue,
            self.member,
            self.keeping,
            self.kept,
            self.offered,
            self.whole_content,
            is_classic=self.is_classic,
        )
        self.commands = self.desk.commands

    def start(self, node: INode) -> None:
        """Begin, or join, the ring."""
        super().start(node)
        self._sending.start(node)
        if self._ephemeral is not None:
            self._ephemeral.open()
        self.folder = Folder(
            node.clock,
            self.kept.folder,
            self._memory,
            lambda added, removed: None,
            watched=False,
            every_s=_LOOKED_EVERY_S,
        )
        self.folder.start()
        self.stay.start(node, self._joined)

    def stop(self) -> Deferred[None]:
        """Hand over what is here, and leave."""
        leaving = self.stay.stop().addCallback(lambda _: self.kept.stop())
        leaving.addCallback(lambda _: super(RingPeer, self).stop()).addCallback(lambda _: self.folder.stop())
        return leaving.addCallback(lambda _: self._close_state())

    def _joined(self) -> None:
        self.kept.start(self.node.clock)
        self._checkpoints.start(self.node.clock)
        if not self.joined.called:
            self.joined.callback(None)

    def _close_state(self) -> Deferred[None]:
        ending = [self._checkpoints.stop()]
        if self._ephemeral is not None:
            reactor: Any = self.node.clock
            ending.append(deferToThreadPool(reactor, reactor.getThreadPool(), self._ephemeral.close))
        return gatherResults(ending).addCallback(lambda _: None)

    # What is served.

    def opened(self, digest: str, host: str) -> None:
        """Somebody would fetch a file from here."""
        self._sending.begun(digest, host)

    def uploaded(self, digest: str, host: str, sent_bytes: int) -> None:
        """Somebody has fetched something from here, and is gone."""
        self._sending.ended(digest, host, sent_bytes)

    def content(self, digest: str) -> IContent | None:
        """What there is of a file: kept, about to be kept, or stored from here."""
        return self.folder.content(digest) or self.offered.get(digest) or super().content(digest)

    def whole_content(self, digest: str) -> IContent | None:
        """All of a file, if it is here to be kept."""
        finished = self._finished.get(digest)
        is_kept = finished is not None and finished.found.name == digest
        return self.folder.content(digest) or (super().content(digest) if is_kept else None)

    def changed_while_served(self, digest: str) -> None:
        """A file that was stored from here is not what it was any more; whoever keeps it has it still."""
        self.offered.forget(digest)

    def completed(self, fetch: Fetch) -> Deferred[None]:
        """A file has come; one that is to be kept is served from now on."""
        return super().completed(fetch).addCallback(lambda _: self._adopt(fetch.part) if _is_kept(fetch) else None)

    def _adopt(self, part: IPart) -> Deferred[None]:
        assert isinstance(part, ResumableFile), "it was opened here"
        assert part.signature is not None, "it is whole"
        assert part.manifest is not None, "it is whole"
        return self.folder.adopt(part.digest, part.signature, part.manifest)

    def _opener(self, node: INode) -> OpenPart:
        """Opens the place for a file that is kept for others: it is called by its digest."""

        async def open_part(name: str, digest: str, overwrite: bool) -> IPart:
            part = await KeptPart.open(node.clock, self.kept.folder, digest, digest, overwrite=True)
            part.sizes = self.kept.sizes_of(digest)
            part.take_room = partial(self.kept.take_room, digest)
            return part

        return open_part

    # What is kept.

    def _kept_in(self, folder: os.PathLike[str], keep_bytes: int) -> KeptFiles:
        def tell(contact: Contact, digest: str) -> None:
            self.keeping.tell_whole(contact, digest)

        def deleted() -> None:
            self.folder.refresh()

        return KeptFiles(folder, keep_bytes, self._has_whole, self._get_kept, self._drop_kept, deleted, tell)

    def _has_whole(self, digest: str) -> bool:
        return self.whole_content(digest) is not None

    async def _get_kept(self, entry: Entry) -> None:
        """Get a file that is to be kept."""
        digest = entry.kept.digest
        assert digest is not None, "it is about a file"
        try:
            if not await self._copy_offered(digest):
                ended: Deferred[Fetch] = Deferred()
                found = FoundFile(digest, entry.kept.size, digest, 1)
                await self.begin(found, ended.callback, overwrite=True, give_up_s=_GIVE_UP_S)
                await ended
        except AlreadyThere:
            await self.folder.refresh()
        if self._has_whole(digest):
            self.keeping.is_whole(self.member.own, digest)
            self.node.report("ring-keeps", "keeping {name}, {size} bytes", name=entry.kept.name, size=entry.kept.size)

    async def _copy_offered(self, digest: str) -> bool:
        """Make what is to be kept of what was stored from here; False if that is not here, or is not what it was."""
        here = self.offered.get(digest)
        if here is None:
            return False
        part = await KeptPart.open(self.node.clock, self.kept.folder, digest, digest, overwrite=True)
        part.sizes = self.kept.sizes_of(digest)
        try:
            await copy_into(self.node.clock, here, part)
        except FileChanged:
            self.changed_while_served(digest)
            return False
        await part.close()
        await self._adopt(part)
        return True

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
        followers = self.member.stabilization.successors[:1]
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


def _is_kept(fetch: Fetch) -> bool:
    """Whether a file is fetched to be kept for others."""
    return fetch.found.name == fetch.found.digest


def make_role(options: Mapping[str, Any]) -> RingPeer:
    """Make a member of a ring from its options.

    @raise UsageError: one of them cannot be read.
    """
    settings = read_settings(options)
    join: str | None = options.get("join")
    if join is not None:
        check_endpoint(join)
    state: StateDirectory | None = options.get(STATE)
    if state is None:
        # It is going to have a directory of that kind itself.
        remove_leftovers()
    text = options.get("ring-id")
    ring_id = None if text is None else read_place(text, settings.bits)
    return RingPeer(
        join,
        settings=settings,
        ring_id=ring_id,
        replicas=read_replicas(options, settings),
        keep_bytes=parse_bytes(options.get("keep-bytes") or USUAL_KEEP, "--keep-bytes"),
        state=state,
    )


def read_place(text: str, bits: int) -> int:
    """Read a place on a ring: a number, or hexadecimal digits, as large rings write them; C{0x} may be before these.

    Digits that could be both are a number unless C{0x} is before them.

    @raise UsageError: it is none.
    """
    ring = Ring(bits)
    largest = ring.size - 1
    is_marked = text.startswith("0x")
    is_hexadecimal = is_marked or not (ring.is_counted or text.isdigit())
    digits = text.removeprefix("0x")
    longest = ring.digits if is_hexadecimal else len(f"{largest}")
    number = -1
    if digits.isascii() and digits.isalnum() and len(digits) <= longest:
        try:
            number = int(digits, 16 if is_hexadecimal else 10)
        except ValueError:
            number = -1
    is_short = is_hexadecimal and not is_marked and len(digits) < longest
    if is_short or not 0 <= number <= largest:
        others = (
            f"0x{largest:x}"
            if ring.is_counted
            else f"are written as {ring.digits} hexadecimal digits, with 0x or without"
        )
        raise UsageError(f"--ring-id {text}: places on this ring go from 0 to {largest}, or {others}")
    return number
