"""The promises about messages: a flood ends, and nothing answers an answer."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any, ClassVar, Final

from twisted_bazaar.discovery.index.client.quote_messages import Quotation
from twisted_bazaar.node.control import Ping, Pong
from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Flooded, Message

_REMEMBERED_S: Final = 60.0


class ForwardedOnce(Check):
    """A flood ends."""

    promise = "each node passes a search on once"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._passed: OrderedDict[tuple[str, int, int, int], float] = OrderedDict()
        self._burst: set[int] = set()
        self._burst_of: object = None

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
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

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
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
            case Quotation():
                self._quotation(member, message)
            case _ if message.wire_name == "reply":
                self._reply(member, message)

    def on_second(self) -> None:
        """Forget searches of long ago, by and by."""
        if len(self._replies) > 100_000:
            self._replies.clear()

    def _ping(self, member: Member, other: str) -> None:
        self._pings[member.name, other] += 1
        self._recent_pings[member.name, other] += 1
        most = self._PINGS_UNPROVOKED + self._WINDOW_S / member.programme.limits.ping_s
        few = self._recent_pings[member.name, other] <= most
        self.expect(few, f"{member.name} pings {other} without pause")

    def _quotation(self, member: Member, quotation: Quotation) -> None:
        key = (member.name, member.starts, quotation.id)
        self._replies[key] += 1
        self.expect(self._replies[key] == 1, f"{member.name} answered inquiry {quotation.id} twice")

    def _reply(self, member: Member, reply: Any) -> None:
        if reply.path is None or reply.path[0] == member.id:
            key = (member.name, member.starts, reply.id)
            self._replies[key] += 1
            self.expect(self._replies[key] == 1, f"{member.name} answered search {reply.id} twice")
