"""The promise about links: both ends know of them, or neither does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.faults import fault_kind
from twisted_bazaar.sim.invariants.check import Check


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

    def on_start(self, member: Member) -> None:
        """Links to what ran there before may still be known."""
        self._disturbed[member.name] = self.now

    def on_stop(self, member: Member) -> None:
        """Links to it may be known a moment longer."""
        self._disturbed[member.name] = self.now

    def on_death(self, member: Member) -> None:
        """Links to it are known until its silence is noticed."""
        self._disturbed[member.name] = self.now

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """A fault makes links one-sided, until silence is noticed."""
        if event == "fault":
            if fault_kind(details["fault"]).nature.cuts:
                self._cut_off[frozenset(details["nodes"])] = self.now if details["what"] == "ends" else float("inf")
            else:
                for name in details["nodes"]:
                    until = self.now if details["what"] == "ends" else float("inf")
                    self._disturbed[name] = until

    def on_second(self) -> None:
        """Compare what every two nodes say of each other."""
        one_sided: dict[tuple[str, int, str, int], float] = {}
        linked = {
            member.name: {self.cluster.name_of(peer) for peer in member.node.peers()}
            for member in self.cluster.running()
            if member.node is not None and member is not self.cluster.tracker
        }
        for name, others in linked.items():
            for other in others:
                if name in linked.get(other, ()):
                    self.expect(True, "")
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
