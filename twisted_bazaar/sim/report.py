"""What came of a run: figures that are counted while it goes on, and the promises that were watched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.sim.cluster import Cluster, Member, Observer
from twisted_bazaar.sim.invariants.check import Check, Violation
from twisted_bazaar.sim.invariants.goods import levels_of, sellers_of
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.message import Message


@frozen
class Kept:
    """How a promise fared.

    @ivar checked: how often it was checked.
    @ivar broken: how often it was found broken; counted up to a few.
    """

    promise: str
    checked: int
    broken: int


@frozen
class Report:
    """The result of a run.

    @ivar virtual_s: how much time went by in the simulation, in seconds.
    @ivar trace_hash: the same for two runs of the same scenario.
    @ivar events: how many things happened.
    @ivar messages: how many were sent, by type.
    @ivar wants: how many purchases were wanted.
    @ivar purchases: how many of them were made.
    @ivar searches: how many times a buyer looked for something.
    @ivar findable: how many of these were for something that a seller had then.
    @ivar found: how many of those found it.
    @ivar hops: links from buyer to seller, the mean of all purchases; None if there were none.
    @ivar seconds_to_buy: from wanting to having, for each purchase, the shortest first.
    @ivar bytes_a_node: sent, the mean.
    """

    seed: int
    virtual_s: float
    trace_hash: str
    events: int
    messages: Mapping[str, int]
    wants: int
    purchases: int
    searches: int
    findable: int
    found: int
    hops: float | None
    seconds_to_buy: Sequence[float]
    bytes_a_node: float
    promises: Sequence[Kept]
    violations: Sequence[Violation]

    @property
    def recall(self) -> float | None:
        """The share of searches for something that was there that found it; None if there were none."""
        return self.found / self.findable if self.findable else None

    @property
    def messages_a_search(self) -> float | None:
        """How many messages one search costs; None if there were none."""
        flooded = self.messages.get("search", 0) + self.messages.get("reply", 0)
        return flooded / self.searches if self.searches else None

    def to_buy(self, share: float) -> float | None:
        """Within how many seconds a share of the purchases was made; None if there were none."""
        times = self.seconds_to_buy
        return times[min(len(times) - 1, int(share * len(times)))] if times else None

    def to_json(self) -> dict[str, Any]:
        """All of it in values that JSON can hold."""
        return {
            "seed": self.seed,
            "virtual_s": self.virtual_s,
            "trace_hash": self.trace_hash,
            "events": self.events,
            "messages": dict(self.messages),
            "wants": self.wants,
            "purchases": self.purchases,
            "searches": self.searches,
            "findable": self.findable,
            "found": self.found,
            "recall": self.recall,
            "messages_a_search": self.messages_a_search,
            "hops": self.hops,
            "seconds_to_buy_p50": self.to_buy(0.5),
            "seconds_to_buy_p99": self.to_buy(0.99),
            "bytes_a_node": self.bytes_a_node,
            "promises": [
                {"promise": kept.promise, "checked": kept.checked, "broken": kept.broken} for kept in self.promises
            ],
            "violations": [{"promise": v.promise, "at_s": v.at_s, "text": v.text} for v in self.violations],
        }


class Figures(Observer):
    """Counts what happens in a market.

    @ivar messages: sent, by type.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._sent: Counter[type[Message]] = Counter()
        self._wanted_at: dict[tuple[str, int, str], list[float]] = {}
        self._to_buy: list[float] = []
        self._hops: list[int] = []
        self._searches = self._findable = self._found = 0
        self._wants = self._purchases = 0

    def sent(self, member: Member, peer: Peer | None, message: Message) -> None:
        """Count a message."""
        self._sent[type(message)] += 1

    def reported(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """Count what a buyer does."""
        now = self._cluster.network.timeline.now
        if event == "wanted":
            self._wanted_at.setdefault((member.name, member.starts, details["item"]), []).append(now)
        elif event == "sought":
            self._searches += 1
            is_there = any(
                level.item == details["item"] and level.in_stock
                for each in self._cluster.running()
                for seller in sellers_of(each)
                for level in levels_of(seller)
            )
            self._findable += is_there or details["offers"] > 0
            self._found += details["offers"] > 0
        elif event == "bought":
            began = self._wanted_at.get((member.name, member.starts, details["item"]))
            if began:
                self._to_buy.append(now - began.pop(0))
            if "route" in details:
                self._hops.append(len(details["route"]) - 1)

    def count_wants(self) -> None:
        """Ask every buyer what it wanted and what it has; to be called while they run."""
        roles = [role for member in self._cluster.running() for role in member.roles]
        wants = [want for role in roles if isinstance(role, Buyer) for want in role.wants]
        self._wants, self._purchases = len(wants), sum(not want.missing for want in wants)

    def report(self, seed: int, trace_hash: str, checks: Sequence[Check]) -> Report:
        """Everything so far."""
        members = self._cluster.members.values()
        violations = [violation for check in checks for violation in check.violations]
        return Report(
            seed=seed,
            virtual_s=self._cluster.network.timeline.now,
            trace_hash=trace_hash,
            events=self._cluster.network.timeline.happened,
            messages={str(cls.__struct_config__.tag): count for cls, count in self._sent.most_common()},
            wants=self._wants,
            purchases=self._purchases,
            searches=self._searches,
            findable=self._findable,
            found=self._found,
            hops=sum(self._hops) / len(self._hops) if self._hops else None,
            seconds_to_buy=sorted(self._to_buy),
            bytes_a_node=sum(member.host.bytes_sent for member in members) / len(members),
            promises=[Kept(check.promise, check.checked, len(check.violations)) for check in checks],
            violations=sorted(violations, key=lambda violation: violation.at_s),
        )
