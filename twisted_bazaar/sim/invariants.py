"""The promises of the market, each as something that watches a run and says when it is broken.

Nothing here steers the run: a check sees what nodes send and report, and looks into them now and then.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from attrs import frozen
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.interfaces import Peer, StockLevel
from twisted_bazaar.node.control import Error, Ping, Pong
from twisted_bazaar.node.link import Link
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.sim.cluster import TRACKER, Cluster, Member, Observer
from twisted_bazaar.sim.ledger import DiskLedger
from twisted_bazaar.wire.message import Flooded, Message

_REMEMBERED_S: Final = 60.0
_MOST_TOLD: Final = 20


@frozen
class Violation:
    """A promise that was broken.

    @ivar promise: which.
    @ivar at_s: when, in seconds since the run began.
    @ivar text: how.
    """

    promise: str
    at_s: float
    text: str


class Check(Observer):
    """Watches one promise.

    @cvar promise: what is promised.
    @ivar checked: how often it was checked.
    @ivar violations: each time it was found broken; the first few.
    """

    promise: ClassVar[str]

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.checked = 0
        self.violations: list[Violation] = []

    @property
    def now(self) -> float:
        """The present instant."""
        return self.cluster.network.timeline.now

    def look(self) -> None:
        """Look into the nodes; called once a second."""

    def end(self) -> None:
        """The run is over."""

    def expect(self, is_kept: bool, text: str) -> None:
        """Count one check.

        @param text: what is wrong when it is not kept.
        """
        self.checked += 1
        if not is_kept and len(self.violations) < _MOST_TOLD:
            self.violations.append(Violation(self.promise, self.now, text))


def sellers_of(member: Member) -> Iterator[Seller]:
    """The seller roles that a member carries now."""
    return (role for role in member.roles if member.node is not None and isinstance(role, Seller))


def levels_of(seller: Seller) -> list[StockLevel]:
    """The counts of a seller whose ledger answers at once."""
    levels: list[StockLevel] = []
    seller.ledger.levels().addCallback(levels.extend)
    return levels


class StockAddsUp(Check):
    """Whenever a seller speaks or acts, its books are right."""

    promise = "supplied = in stock + sold, and stock is never negative"

    def sent(self, member: Member, peer: Peer | None, message: Message) -> None:
        """A seller may have told something."""
        self._count(member)

    def reported(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """A seller may have sold something."""
        self._count(member)

    def _count(self, member: Member) -> None:
        for seller in sellers_of(member):
            for level in levels_of(seller):
                is_right = level.supplied == level.in_stock + level.sold and level.in_stock >= 0
                self.expect(is_right, f"{member.name}: {level}")


class SoldOnce(Check):
    """An order is decided once, and what a buyer has seen is on the seller's disk."""

    promise = "one (buyer, order) sells at most once, and a sale that is told is on disk"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._sold: set[tuple[str, int, int]] = set()

    def reported(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """Something was sold, or bought."""
        if event == "sold":
            sale = (member.name, details["buyer"], details["order"])
            self.expect(sale not in self._sold, f"{member.name} sold order {sale[2]} of node {sale[1]} twice")
            self._sold.add(sale)
        elif event == "bought":
            seller = self.cluster.member_with_id(details["seller"])
            for role in () if seller is None else seller.roles:
                if isinstance(role, Seller) and isinstance(role.ledger, DiskLedger):
                    is_there = role.ledger.has_on_disk(member.id, details["order"])
                    self.expect(is_there, f"{member.name} has a yes to order {details['order']} that is not on disk")


class ForwardedOnce(Check):
    """A flood ends."""

    promise = "each node passes a search on once"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._passed: OrderedDict[tuple[str, int, int, int], float] = OrderedDict()
        self._burst: set[int] = set()
        self._burst_of: object = None

    def sent(self, member: Member, peer: Peer | None, message: Message) -> None:
        """A search may have been passed on: to several neighbours, but in one go."""
        if not isinstance(message, Flooded) or peer is None:
            return
        now = self.now
        key = (member.name, member.starts, message.origin, message.id)
        at = self._passed.setdefault(key, now)
        if (key, now) != self._burst_of:
            self._burst_of = (key, now)
            self._burst = set()
        self.expect(
            at == now and peer.id not in self._burst,
            f"{member.name} passed search {message.id} of node {message.origin} on twice",
        )
        self._burst.add(peer.id)
        while self._passed and next(iter(self._passed.values())) < now - _REMEMBERED_S:
            self._passed.popitem(last=False)


class NoLoops(Check):
    """Nothing answers an answer."""

    promise = "pings, replies and errors never loop"

    # What is told of may have been on its way for as long as a pause or a partition lasts.
    _WINDOW_S: ClassVar[float] = 120.0
    _PINGS_UNPROVOKED: ClassVar[int] = 5
    _ERRORS_UNPROVOKED: ClassVar[int] = 5

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._pings: Counter[tuple[str, str]] = Counter()
        self._pongs: Counter[tuple[str, str]] = Counter()
        self._recent_pings: Counter[tuple[str, str]] = Counter()
        self._replies: Counter[tuple[str, int, int]] = Counter()
        self._errors: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._causes_before: Counter[str] = Counter()
        self._window_began = 0.0

    def sent(self, member: Member, peer: Peer | None, message: Message) -> None:
        """Compare what is sent with what can have caused it."""
        if self.now - self._window_began >= self._WINDOW_S:
            self._window_began = self.now
            self._causes_before, self._causes = self._causes, Counter()
            self._errors.clear()
            self._recent_pings.clear()
        if peer is None:
            return
        other = self.cluster.name_of(peer)
        if not isinstance(message, Error | Pong):
            self._causes[other] += 1
        match message:
            case Ping():
                self._ping(member, other)
            case Pong():
                self._pongs[member.name, other] += 1
                caused = self._pongs[member.name, other] <= self._pings[other, member.name]
                self.expect(caused, f"{member.name} sent {other} a pong without a ping")
            case Error() if message.path is None or message.path[0] == member.id:
                self._errors[member.name] += 1
                causes = self._causes[member.name] + self._causes_before[member.name]
                few = self._errors[member.name] <= causes + self._ERRORS_UNPROVOKED
                self.expect(few, f"{member.name} sends more errors than it gets messages")
            case _ if message.wire_name == "reply":
                self._reply(member, message)

    def look(self) -> None:
        """Forget searches of long ago, by and by."""
        if len(self._replies) > 100_000:
            self._replies.clear()

    def _ping(self, member: Member, other: str) -> None:
        self._pings[member.name, other] += 1
        self._recent_pings[member.name, other] += 1
        most = self._PINGS_UNPROVOKED + self._WINDOW_S / member.programme.limits.ping_s
        few = self._recent_pings[member.name, other] <= most
        self.expect(few, f"{member.name} pings {other} without pause")

    def _reply(self, member: Member, reply: Any) -> None:
        if reply.path is None or reply.path[0] == member.id:
            key = (member.name, member.starts, reply.id)
            self._replies[key] += 1
            self.expect(self._replies[key] == 1, f"{member.name} answered search {reply.id} twice")


class TablesAreBounded(Check):
    """No peer makes memory grow without bound."""

    promise = "every table stays under its cap"

    _EVERY_S: ClassVar[float] = 10.0

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._next_at = 0.0

    def look(self) -> None:
        """Look at every table of every node, now and then."""
        if self.now < self._next_at:
            return
        self._next_at = self.now + self._EVERY_S
        for member in self.cluster.running():
            assert member.node is not None, "it runs"
            links = len(member.node.peers())
            self.expect(links <= member.programme.limits.max_links, f"{member.name} has {links} links")
            for name, table in tables_in([member.node, *member.roles]):
                self.expect(len(table) <= table.cap, f"{member.name}: {len(table)} of {table.cap} entries in {name}")


def tables_in(roots: list[object]) -> Iterator[tuple[str, FairTable[Any, Any]]]:
    """Every bounded table that our own objects hold, with its name."""
    met: set[int] = set()
    to_see: list[object] = list(roots)
    while to_see:
        thing = to_see.pop()
        if id(thing) in met or isinstance(thing, Link):
            continue
        met.add(id(thing))
        for name, value in vars(thing).items():
            if isinstance(value, FairTable):
                yield f"{type(thing).__name__}.{name.lstrip('_')}", value
            elif type(value).__module__.startswith("twisted_bazaar.") and hasattr(value, "__dict__"):
                to_see.append(value)


class ReservationsEnd(Check):
    """What was held back for somebody is free again in time."""

    promise = "every reservation ends"

    def look(self) -> None:
        """Ask each seller what it holds back, and for how long."""
        for member in self.cluster.running():
            for seller in sellers_of(member):
                now = member.host.seconds()
                for level in levels_of(seller):
                    seller.shelf.reservations.held_for_others(level.item, -1, now)
                stale = seller.shelf.reservations.oldest_end() < now
                self.expect(not stale, f"{member.name} holds back what it should hold back no longer")


class LinksAgree(Check):
    """Both ends of a link know of it."""

    promise = "a link is known at both ends or at neither, within a round trip"

    _ROUND_TRIPS: ClassVar[float] = 4.0
    _SLACK_S: ClassVar[float] = 2.0
    # A packet that is lost again and again is sent for the last time 51 s later, and it takes two to agree; a
    # partition that has healed is noticed up to two minutes later.
    _SLACK_WITH_LOSS_S: ClassVar[float] = 120.0

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._one_sided: dict[tuple[str, int, str, int], float] = {}
        self._disturbed: dict[str, float] = defaultdict(lambda: float("-inf"))
        self._cut_off: dict[frozenset[str], float] = {}

    def started(self, member: Member) -> None:
        """Links to what ran there before may still be known."""
        self._disturbed[member.name] = self.now

    def stopped(self, member: Member) -> None:
        """Links to it may be known a moment longer."""
        self._disturbed[member.name] = self.now

    def ended(self, member: Member) -> None:
        """Links to it are known until its silence is noticed."""
        self._disturbed[member.name] = self.now

    def happened(self, event: str, details: Mapping[str, Any]) -> None:
        """A fault makes links one-sided, until silence is noticed."""
        if event == "fault":
            if details["fault"] in ("partition", "one-way"):
                self._cut_off[frozenset(details["nodes"])] = self.now if details["what"] == "ends" else float("inf")
            else:
                for name in details["nodes"]:
                    until = self.now if details["what"] == "ends" else float("inf")
                    self._disturbed[name] = until

    def look(self) -> None:
        """Compare what every two nodes say of each other."""
        one_sided: dict[tuple[str, int, str, int], float] = {}
        linked = {
            member.name: {self.cluster.name_of(peer) for peer in member.node.peers()}
            for member in self.cluster.running()
            if member.node is not None and member.name != TRACKER
        }
        for name, others in linked.items():
            for other in others:
                if name in linked.get(other, ()):
                    self.checked += 1
                    continue
                key = (name, self.cluster.members[name].starts, other, self.cluster.members[other].starts)
                since = one_sided[key] = self._one_sided.get(key, self.now)
                self.expect(
                    self._is_excused(name, other, since),
                    f"{name} has had a link to {other} since {since:.1f} s, which knows nothing of it",
                )
        self._one_sided = one_sided

    def _is_excused(self, name: str, other: str, since: float) -> bool:
        """Whether a link may have been known at one end only since an instant."""
        way = self.cluster.network.ways.conditions(name, other)
        slack_s = self._SLACK_WITH_LOSS_S if way.loss else self._SLACK_S
        if self.now - since < self._ROUND_TRIPS * 2 * way.latency_s + slack_s:
            return True
        limits = self.cluster.members[name].programme.limits
        patience_s = limits.silence_s + limits.ping_s + limits.grace_s + slack_s
        if self.now - max(self._disturbed[name], self._disturbed[other]) < patience_s:
            return True
        return any(
            (name in side) != (other in side) and self.now - until < patience_s for side, until in self._cut_off.items()
        )


class NothingLeft(Check):
    """A node that has stopped is gone."""

    promise = "no timer and no socket is left when a node has stopped"

    def stopped(self, member: Member) -> None:
        """Look at its machine."""
        host = member.host
        # A connection that nobody has accepted yet is the kernel's.
        accepted = [transport for transport in host.transports if transport.protocol is not None]
        left = [*host.timers, *accepted, *host.ports, *host.udp_ports]
        self.expect(not left, f"{member.name} has stopped and left {left[:5]}")


class NoFaultOfOurs(Check):
    """The code never fails by itself."""

    promise = "no fault of our own is logged"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        globalLogPublisher.addObserver(self._logged)  # type: ignore[arg-type] # any callable will do

    def sent(self, member: Member, peer: Peer | None, message: Message) -> None:
        """One thing more that went well."""
        self.checked += 1

    def end(self) -> None:
        """Listen no more."""
        globalLogPublisher.removeObserver(self._logged)  # type: ignore[arg-type] # as above

    def _logged(self, event: Mapping[str, Any]) -> None:
        if event.get("log_level") is LogLevel.critical:
            failure = event.get("log_failure")
            cause = "" if failure is None else f": {failure.getErrorMessage()}"
            self.expect(False, f"{formatEvent(dict(event))}{cause}")


CHECKS: Final[tuple[type[Check], ...]] = (
    StockAddsUp,
    SoldOnce,
    ForwardedOnce,
    NoLoops,
    TablesAreBounded,
    ReservationsEnd,
    LinksAgree,
    NothingLeft,
    NoFaultOfOurs,
)
