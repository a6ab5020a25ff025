"""The role of a member of a ring that keeps files and small values for others, and has others keep its own.

A file that is stored is fetched by those that are to keep it, from whoever stores it and then from each other, and is
verified by its digest; so is one that is requested, by whoever requests it. So a node that lies or dies costs a try.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rules.identifiers import Ring
from twisted_bazaar.discovery.ring.rules.settings import USUAL, Settings
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.repair import Repair
from twisted_bazaar.discovery.ring.storage.replication import USUAL_REPLICAS
from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import Command, DatagramReceivers, INode, Opening
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.role import Role
from twisted_bazaar.roles.commands.ring import RingCommands
from twisted_bazaar.roles.commands.ring_own import OwnEntries
from twisted_bazaar.roles.rates import parse_bytes
from twisted_bazaar.roles.ring.catalogue import RingCatalogue
from twisted_bazaar.roles.ring.checkpoints import Checkpoints
from twisted_bazaar.roles.ring.entries import EntryMemory
from twisted_bazaar.roles.ring.file_keeper import FileKeeper
from twisted_bazaar.roles.ring.handover import FileHandover
from twisted_bazaar.roles.ring.kept_files import KeptFiles
from twisted_bazaar.roles.ring.kept_folder import KeptFolder
from twisted_bazaar.roles.ring.lifecycle import RingLifecycle
from twisted_bazaar.roles.ring.offered import Offered
from twisted_bazaar.roles.ring.options import RING_OPTIONS, hash_function, read_replicas, read_settings
from twisted_bazaar.roles.ring.transfers import RingTransfers
from twisted_bazaar.roles.ring.upload_events import UploadEvents
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.joining import JoinObserver
from twisted_bazaar.values.needs import UdpNeed
from twisted_bazaar.wire.message import Message

USUAL_KEEP: Final = "1G"
# Besides handing over: to tell the neighbours, and to close what is open.
_CLOSING_S: Final = 5.0
_UDP: Final = UdpNeed(
    no_udp="members of a ring talk to each other by datagrams; write a port, such as 9300",
    no_links="a member of a ring takes links of those who join and fetch; write an endpoint such as tcp:9300",
)


OPTIONS: Final = (
    *RING_OPTIONS,
    Option("ring-id", "The place of this node on the ring, as a number.", "N", shown="as follows from its key"),
    Option(
        "keep-bytes",
        "How many bytes of files it keeps for others, such as 500M or 2G.",
        "BYTES",
        USUAL_KEEP,
        read=parse_bytes,
    ),
)
"""The options of a member of a ring."""
EXAMPLE: Final = "--listen tcp:9300"


class RingPeer(Role):
    """A member of a ring that keeps files: joins the parts that do so.

    @param join: where a member listens, as an endpoint or as the text of one; None to begin a ring.
    @param replicas: on how many nodes everything is besides the one that it belongs to.
    @param keep_bytes: how many bytes of files it keeps for others.
    @param state: where what it keeps outlives the process; None for nowhere.
    @param observer: told how it joins.
    @param options: what else L{RingTransfers} is to know.
    @ivar joined: fires when it is on the ring.
    @ivar finished: fires with 1 if it cannot join, or another keeps its identifier.
    @ivar lifecycle: how it comes and goes.
    @ivar member: its place among the others.
    @ivar dht: what is kept in the ring, besides the content of files.
    @ivar kept: the files that it is to keep.
    @ivar folder: those of them that have come.
    @ivar offered: the files that were stored from here.
    @ivar transfers: what it fetches, and what others fetch from it.
    @ivar operator: what its operator can have done.
    """

    is_self_numbered = True
    needs_neighbours = False
    udp_need: UdpNeed | None = _UDP
    finished: Deferred[int]

    def __init__(
        self,
        join: IStreamClientEndpoint | Address | str | None = None,
        *,
        settings: Settings = USUAL,
        ring_id: int | None = None,
        replicas: int = USUAL_REPLICAS,
        keep_bytes: int = 1 << 30,
        state: StateDirectory | None = None,
        observer: JoinObserver | None = None,
        **options: Any,
    ) -> None:
        self.joined: Deferred[None] = Deferred()
        self.stop_s: float = settings.leaving_s + _CLOSING_S
        self.is_classic: bool = not settings.has_fingers
        self.is_stop_and_wait: bool = self.is_classic
        self.member: RingMember = RingMember(settings, ring_id, observer)
        self.datagrams: DatagramReceivers = self.member.datagrams
        self.folder: KeptFolder = KeptFolder(state)
        self.kept: KeptFiles = KeptFiles(keep_bytes, self.folder)
        identifier_of_name = hash_function(self.member.ring, self.is_classic)
        self.dht: DhtClient = DhtClient(
            self.member, replicas=replicas, files=self.kept, identifier_of_name=identifier_of_name
        )
        repair = Repair(self.member, self.dht)
        self.offered: Offered = Offered()
        self.catalogue: RingCatalogue = RingCatalogue(self.dht, self.kept)
        self._events = UploadEvents(self.kept, self.offered)
        self.transfers: RingTransfers = RingTransfers(
            self.catalogue, self.kept, self.folder, self.offered, self._events, **options
        )
        self._handover = FileHandover(self.dht, repair, self.kept, self.folder, self.transfers)
        self.member.before_leaving(self._handover.hand_over)
        self._keeper = FileKeeper(self.kept, self.folder, self.offered, self.transfers, self.dht)
        self._checkpoints = Checkpoints(self.dht, None if state is None else EntryMemory(state))
        self.lifecycle: RingLifecycle = RingLifecycle(self.dht, repair, join)
        self.finished = self.lifecycle.finished
        self.operator: RingCommands = RingCommands(
            self.dht,
            self.transfers,
            self.catalogue,
            self.kept,
            self.folder,
            self._keeper,
            self.offered,
            OwnEntries(state),
            is_classic=self.is_classic,
        )
        self.commands: Mapping[str, Command] = self.operator.commands

    def start(self, node: INode) -> None:
        """Begin, or join, the ring."""
        super().start(node)
        self.transfers.start(node)
        self.openings: Mapping[type[Message], Opening] = self.transfers.openings
        self._events.start(node)
        self._handover.start(node)
        self.folder.start(node.clock)
        self.lifecycle.start(node, self._on_joined)

    def stop(self) -> Deferred[None]:
        """Hand over what is here, and leave."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self.lifecycle.stop()
        self._keeper.stop()
        await self.transfers.stop()
        await self.folder.stop()
        await gatherResults([self._checkpoints.stop(), self.folder.remove()])

    def _on_joined(self) -> None:
        self._keeper.start(self.node)
        self._checkpoints.start(self.node.clock)
        self.joined.callback(None)


def make_role(options: OptionValues, context: RoleContext, observer: JoinObserver | None = None) -> RingPeer:
    """Make a member of a ring from its options.

    @param observer: told how it joins.
    @raise UsageError: one of them cannot be read.
    """
    settings = read_settings(options)
    text: str | None = options["ring-id"]
    ring_id = None if text is None else read_place(text, settings.bits)
    return RingPeer(
        options["join"],
        settings=settings,
        ring_id=ring_id,
        replicas=read_replicas(options, settings),
        keep_bytes=options.get("keep-bytes") or parse_bytes(USUAL_KEEP, "--keep-bytes"),
        state=context.state,
        observer=observer,
    )


def read_place(text: str, bits: int) -> int:
    """Read an identifier on a ring: a number, or hexadecimal digits, as large rings write them; C{0x} may be before
    these.

    Digits that could be both are a number unless C{0x} is before them.

    @raise UsageError: it is none.
    """
    ring = Ring(bits)
    largest = ring.size - 1
    is_marked = text.startswith("0x")
    is_hexadecimal = is_marked or not (ring.is_classic or text.isdigit())
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
            if ring.is_classic
            else f"are written as {ring.digits} hexadecimal digits, with 0x or without"
        )
        raise UsageError(f"--ring-id {text}: places on this ring go from 0 to {largest}, or {others}")
    return number
