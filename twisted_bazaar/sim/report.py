"""The report of a run: figures that are counted while it goes on, and the promises that were watched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from attrs import frozen

from twisted_bazaar.sim.cluster import Cluster, Member, Observer
from twisted_bazaar.sim.figures import Comparison, Figure, figures_in_words, figures_to_json
from twisted_bazaar.sim.invariants.check import Check, Violation
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.message import Message


@frozen
class PromiseReport:
    """The verdict on a promise.

    @ivar checked: how often it was checked.
    @ivar broken: how often it was found broken; counted up to a few.
    """

    promise: str
    checked: int
    broken: int


@frozen(kw_only=True)
class Report(ABC):
    """The result of a run; here what every kind of run has.

    @cvar figures: what only this kind of run has.
    @ivar virtual_s: how much time went by in the simulation, in seconds.
    @ivar trace_hash: the same for two runs of the same scenario.
    @ivar events: how many things happened.
    @ivar messages: how many were sent, by type.
    @ivar wants: how many things were wanted.
    @ivar bytes_a_node: sent, the mean.
    """

    figures: ClassVar[Sequence[Figure[Any]]]

    seed: int
    virtual_s: float
    trace_hash: str
    events: int
    messages: Mapping[str, int]
    wants: int
    bytes_a_node: float
    promises: Sequence[PromiseReport]
    violations: Sequence[Violation]

    @property
    @abstractmethod
    def obtained(self) -> int:
        """How many of the things that were wanted were had."""

    @property
    def comparison(self) -> Comparison | None:
        """The parts of the run side by side; None if nothing is compared in this kind of run."""
        return None

    def own_figures(self) -> dict[str, Any]:
        """What only this kind of run has, in values that JSON can hold."""
        return figures_to_json(self.figures, self)

    def to_json(self) -> dict[str, Any]:
        """All of it in values that JSON can hold."""
        return {
            "seed": self.seed,
            "virtual_s": self.virtual_s,
            "trace_hash": self.trace_hash,
            "events": self.events,
            "messages": dict(self.messages),
            "wants": self.wants,
            **self.own_figures(),
            "bytes_a_node": self.bytes_a_node,
            "promises": [
                {"promise": kept.promise, "checked": kept.checked, "broken": kept.broken} for kept in self.promises
            ],
            "violations": [{"promise": v.promise, "at_s": v.at_s, "text": v.text} for v in self.violations],
        }

    def in_words(self, real_s: float) -> list[tuple[str, str]]:
        """All figures that people read, each with its name.

        @param real_s: how long the run took out here, in seconds; 0 if nobody knows.
        """
        return [
            ("seed", str(self.seed)),
            *figures_in_words(self.figures, self),
            ("sent by each node", f"{self.bytes_a_node:,.0f} bytes"),
            ("messages", ", ".join(f"{count:,} {name}" for name, count in self.messages.items()) or "-"),
            ("virtual time", f"{self.virtual_s:,.1f} s" + (f" in {real_s:,.1f} s" if real_s else "")),
            ("trace hash", self.trace_hash),
        ]


AnyReport = TypeVar("AnyReport", bound=Report)


def mean(numbers: Sequence[float]) -> float | None:
    """The mean of some numbers; None if there are none."""
    return sum(numbers) / len(numbers) if numbers else None


def quantile(times: Sequence[float], share: float) -> float | None:
    """The quantile of some times: within how many seconds a share of them was done; None if there are none.

    @param times: the shortest first.
    """
    return times[min(len(times) - 1, int(share * len(times)))] if times else None


class Statistics(Observer, ABC, Generic[AnyReport]):
    """Counts what happens in a run."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._sent: Counter[type[Message]] = Counter()

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """Count a message."""
        self._sent[type(message)] += 1

    @abstractmethod
    def count_wants(self) -> None:
        """Ask everybody what it wanted and what it has; to be called while they run."""

    @abstractmethod
    def make_report(self, seed: int, trace_hash: str, checks: Sequence[Check]) -> AnyReport:
        """Everything so far."""

    def _common_figures(self, seed: int, trace_hash: str, checks: Sequence[Check]) -> dict[str, Any]:
        """What every report has, but for what was wanted."""
        members = self._cluster.members.values()
        violations = [violation for check in checks for violation in check.violations]
        return {
            "seed": seed,
            "virtual_s": self._cluster.network.timeline.now,
            "trace_hash": trace_hash,
            "events": self._cluster.network.timeline.happened,
            "messages": {str(cls.__struct_config__.tag): count for cls, count in self._sent.most_common()},
            "bytes_a_node": sum(member.host.bytes_sent for member in members) / len(members),
            "promises": [PromiseReport(check.promise, check.checked, len(check.violations)) for check in checks],
            "violations": sorted(violations, key=lambda violation: violation.at_s),
        }
