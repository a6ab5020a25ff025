"""The report of a market: what was wanted, searched for, found and bought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import frozen

from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.figures import Figure, write_half_and_nearly_all
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.invariants.goods import levels_of, sellers_of
from twisted_bazaar.sim.report import Report, Statistics, mean, quantile

_FIGURES: Final[Sequence[Figure[MarketReport]]] = (
    Figure("purchases", "wants met", lambda report: f"{report.purchases:,} of {report.wants:,}"),
    Figure("searches", "searches", "{:,}"),
    Figure("findable"),
    Figure("found"),
    Figure("recall", "recall", lambda report: _recall_in_words(report)),
    Figure("messages_a_search", "messages a search", "{:,.1f}"),
    Figure("hops", "hops to the seller", "{:.2f}"),
    Figure(
        "seconds_to_buy_p50",
        "time to buy",
        lambda report: write_half_and_nearly_all(report.to_buy(0.5), report.to_buy(0.99)),
        value=lambda report: report.to_buy(0.5),
    ),
    Figure("seconds_to_buy_p99", value=lambda report: report.to_buy(0.99)),
)


@frozen(kw_only=True)
class MarketReport(Report):
    """The result of a market.

    @ivar purchases: how many of the things that were wanted were bought.
    @ivar searches: how many times a buyer looked for something.
    @ivar findable: how many of these were for something that a seller had then.
    @ivar found: how many of those found it.
    @ivar hops: links from buyer to seller, the mean of all purchases; None if there were none.
    @ivar seconds_to_buy: from wanting to having, for each purchase, the shortest first.
    """

    figures: ClassVar[Sequence[Figure[Any]]] = _FIGURES

    purchases: int
    searches: int
    findable: int
    found: int
    hops: float | None
    seconds_to_buy: Sequence[float]

    @property
    def obtained(self) -> int:
        """How many of the things that were wanted were bought."""
        return self.purchases

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
        return quantile(self.seconds_to_buy, share)


def _recall_in_words(report: MarketReport) -> str | None:
    if report.recall is None:
        return "-"
    return f"{report.recall:.1%} ({report.found:,} of {report.findable:,} searches for what a seller had)"


class MarketStatistics(Statistics[MarketReport]):
    """Counts what happens in a market."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._wanted_at: dict[tuple[str, int, str], list[float]] = {}
        self._to_buy: list[float] = []
        self._hops: list[int] = []
        self._searches = self._findable = self._found = 0
        self._wants = self._purchases = 0

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
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

    def make_report(self, seed: int, trace_hash: str, checks: Sequence[Check]) -> MarketReport:
        """Everything so far."""
        return MarketReport(
            **self._common_figures(seed, trace_hash, checks),
            wants=self._wants,
            purchases=self._purchases,
            searches=self._searches,
            findable=self._findable,
            found=self._found,
            hops=mean(self._hops),
            seconds_to_buy=sorted(self._to_buy),
        )
