"""The scenario of a market: who is there, what there is, and what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from twisted_bazaar.sim.scenario import (
    Duration,
    Many,
    Mode,
    Scenario,
    Share,
    Some,
    WantedEntry,
    is_numbered,
    names_in_words,
)
from twisted_bazaar.sim.setting_fields import option_help


class PurchaseEntry(WantedEntry, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One purchase as a file names it.

    @ivar buyer: who wants something, by name, such as C{buyer-2}.
    @ivar at: when, such as C{30s}, counted from when all nodes have been started.
    @ivar item: what, by name, such as C{item-4}.
    @ivar quantity: how many.
    """

    example: ClassVar[str] = "buyer-2:31s:item-4:3"

    buyer: str
    at: Duration
    item: str
    quantity: Some = 1


class MarketScenario(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """All settings of one market. The nodes that neither sell nor buy are relays."""

    name: ClassVar[str] = "market"
    hub: ClassVar[str] = "tracker"
    peopled_by: ClassVar[Sequence[str]] = ("sellers", "buyers")
    fewest: ClassVar[Mapping[str, int]] = {"buyer": 1, "relay": 0, "seller": 1}
    wanted_by: ClassVar[str] = "purchases"

    nodes: Annotated[
        Some,
        option_help("How many nodes there are, buyers and sellers among them; the tracker comes on top."),
    ] = 100
    sellers: Annotated[Many, option_help("How many of them sell.")] = 5
    buyers: Annotated[Many, option_help("How many of them buy.")] = 10
    for_: Annotated[Duration, option_help("How long faults, churn and wants go on.")] = "5m"
    settle: Annotated[
        Duration, option_help("How long after --for it may take until every want is met that can be.")
    ] = "2m"
    mode: Annotated[
        Mode,
        option_help("Whether faults end, and every want has to be met then, or faults never end."),
    ] = "liveness"
    churn: Annotated[
        Share,
        option_help("The share of relays and sellers that leave in a minute, half of them without a word."),
    ] = 0.0
    degree: Annotated[int, Meta(ge=1, le=64), option_help("How many links each node wants at least.")] = 3
    max_links: Annotated[int, Meta(ge=1, le=64), option_help("How many links each node takes at most.")] = 8
    items: Annotated[Some, option_help("How many kinds of goods there are.")] = 20
    stock: Annotated[Some, option_help("How many units of an item a seller has.")] = 20
    kinds: Annotated[Some, option_help("How many kinds of goods a seller has.")] = 5
    wants: Annotated[Many, option_help("How many purchases each buyer makes, spread over the run.")] = 5
    purchases: Annotated[
        list[PurchaseEntry],
        option_help("A purchase that is sure to be tried, {shape}.", each="purchase"),
    ] = []

    def __post_init__(self) -> None:
        if self.sellers + self.buyers > self.nodes:
            raise ValueError(
                f"nodes: {self.sellers} sellers and {self.buyers} buyers need at least {self.sellers + self.buyers}, "
                f"not {self.nodes}"
            )
        if self.degree > self.max_links:
            raise ValueError(f"degree: at most max-links, {self.max_links}, not {self.degree}")
        super().__post_init__()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many nodes there are of each kind."""
        relays = self.nodes - self.sellers - self.buyers
        return {"seller": self.sellers, "buyer": self.buyers, "relay": relays}

    @property
    def sizes(self) -> Sequence[tuple[int, str]]:
        """How large it is."""
        return (self.nodes, "node"), (self.sellers, "seller"), (self.buyers, "buyer")

    def with_counts(self, counts: Mapping[str, int]) -> dict[str, Any]:
        """The settings to change for so many nodes of each kind."""
        return {"nodes": max(1, sum(counts.values())), "buyers": counts["buyer"], "sellers": counts["seller"]}

    @property
    def many_drawn(self) -> Sequence[tuple[str, float]]:
        """By setting, how much of a run is drawn because of it."""
        return ("wants", self.wants * self.buyers), *super().many_drawn

    def check_wanted(self, entry: PurchaseEntry) -> None:
        """Refuse a purchase that cannot be."""
        if not is_numbered("item", entry.item, self.items):
            raise ValueError(f"item: takes {names_in_words('item', self.items)}, not {entry.item!r}")
        if not is_numbered("buyer", entry.buyer, self.buyers):
            raise ValueError(f"buyer: takes {names_in_words('buyer', self.buyers)}, not {entry.buyer!r}")

    def check_there(self, entry: PurchaseEntry) -> None:
        """Refuse a purchase of what no seller has."""
        stocked = len(self.stocked_items)
        if not is_numbered("item", entry.item, stocked):
            raise ValueError(f"item: takes what sellers have, {names_in_words('item', stocked)}, not {entry.item!r}")

    @property
    def stocked_items(self) -> Sequence[str]:
        """What some seller has: each begins with its kinds of goods where the one before has ended."""
        return [f"item-{n + 1}" for n in range(min(self.items, self.sellers * self.kinds))]
