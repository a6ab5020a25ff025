"""The scenario of a ring: who is on it, what is looked for, what is kept, and how many die at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from attrs import evolve
from msgspec import Meta

from twisted_bazaar.discovery.ring.rpc.messages import MOST_SUCCESSORS
from twisted_bazaar.discovery.ring.rules.settings import USUAL, Settings
from twisted_bazaar.sim.scenario import (
    DURATIONS,
    Duration,
    Many,
    Mode,
    Scenario,
    Sessions,
    Share,
    Some,
    WantedEntry,
    is_numbered,
    parse_duration,
)
from twisted_bazaar.sim.scenario import names_in_words as told
from twisted_bazaar.sim.setting_fields import option_help

Phase = Literal["calm", "deaths", "repaired"]
# Each with what it is called where they are compared.
PHASES: Final[Mapping[Phase, str]] = {"calm": "before", "deaths": "when they die", "repaired": "repaired"}

_LONGEST_NAME: Final = 100
_JOINING_NODES_A_SECOND: Final = 20
_QUICKEST_ROUND_S: Final = 0.05
# By share of the time that things go on for: when nobody looks for anything any more before the deaths, when those
# are, and when it is looked again; and how long before the end the last begin.
_CALM_UNTIL: Final = 0.4
_DEATHS_AT: Final = 0.5
_REPAIRED_AT: Final = 0.75
_LAST_S: Final = 10.0
# From when on lookups begin where nodes come and go at a rate: by then it does not show that the ring was right.
_TURNED_OVER_AT: Final = 0.4
_HIGHEST_RATE: Final = 100


class LookupEntry(WantedEntry, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One lookup as a file of settings names it.

    @ivar node: who looks, by name, such as C{node-2}; if it is away then, some other that is there does.
    @ivar at: when, such as C{30s}, counted from when all nodes have been started.
    @ivar key: the name whose identifier is looked for.
    """

    example: ClassVar[str] = "node-2:31s:some-name"

    node: str
    at: Duration
    key: Annotated[str, Meta(min_length=1, max_length=_LONGEST_NAME)]


class RingScenario(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """All settings of one ring.

    Session lengths are those that Stutzbach and Rejaie, "Understanding Churn in Peer-to-Peer Networks" (IMC 2006),
    measured, as for super peers; their C{churn} is 0.0155.

    @ivar begin: C{placed} is as in the paper on Chord; those that have C{joined} did so by those that were there.
    @ivar rate: both by a Poisson process, as in the paper on Chord. It goes without C{dead} and C{churn}.
    """

    name: ClassVar[str] = "ring"
    hub: ClassVar[str | None] = None
    peopled_by: ClassVar[Sequence[str]] = ()
    fewest: ClassVar[Mapping[str, int]] = {"node": 1}
    wanted_by: ClassVar[str] = "seeks"

    nodes: Annotated[Some, option_help("How many nodes there are.")] = 1000
    for_: Annotated[
        Duration,
        option_help(
            "How long faults and churn go on. Half way nodes die; after three quarters places are looked for again."
        ),
    ] = "60s"
    settle: Annotated[
        Duration,
        option_help("How long after --for the ring may take to be right, with the nodes that have come back."),
    ] = "60s"
    mode: Annotated[
        Mode,
        option_help("Whether faults end, and the ring has to be right then, or faults never end."),
    ] = "liveness"
    churn: Annotated[Share, option_help("The share of nodes that leave in a minute, half of them without a word.")] = (
        0.0
    )
    sessions: Sessions = "weibull:0.59"
    begin: Annotated[
        Literal["placed", "joined"],
        option_help("Whether nodes have joined one by one, or are placed in a ring that is right already."),
    ] = "placed"
    successors: Annotated[
        int,
        Meta(ge=1, le=MOST_SUCCESSORS),
        option_help("How many nodes after itself each knows."),
    ] = USUAL.successors
    replicas: Annotated[
        int,
        Meta(ge=0, le=MOST_SUCCESSORS),
        option_help("On how many nodes a value is besides the one that it belongs to."),
    ] = 3
    round: Annotated[
        Duration,
        option_help("The time from one round of stabilization to the next."),
    ] = "500ms"
    rate: Annotated[
        float,
        Meta(ge=0, le=_HIGHEST_RATE),
        option_help("With --dead 0: how many new nodes join in a second, and how many die for good."),
    ] = 0.0
    dead: Annotated[
        float,
        Meta(ge=0, le=0.9),
        option_help("The share of nodes that die at once, half way."),
    ] = 0.3
    lookups: Annotated[
        Many,
        option_help("How many lookups are made before nodes die, as many when they do, and as many afterwards."),
    ] = 1000
    values: Annotated[
        Many,
        option_help("How many values are kept, and asked for when nodes have died and in the end."),
    ] = 100
    seeks: Annotated[
        list[LookupEntry],
        option_help("A lookup that is sure to be made, {shape}.", each="seek"),
    ] = []

    def __post_init__(self) -> None:
        if self.round_s < _QUICKEST_ROUND_S:
            raise ValueError(f"round: takes {DURATIONS}, at least {_QUICKEST_ROUND_S:g}s, not {self.round!r}")
        if self.replicas > self.successors:
            raise ValueError(f"replicas: takes as many as there are successors, {self.successors}, not {self.replicas}")
        if self.rate and (self.dead or self.churn):
            other = "dead" if self.dead else "churn"
            raise ValueError(f"rate: goes with {other} 0, not {getattr(self, other):g}")
        super().__post_init__()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many nodes there are."""
        return {"node": self.nodes}

    @property
    def sizes(self) -> Sequence[tuple[int, str]]:
        """How large it is."""
        return (self.nodes, "node"), (self.successors, "successor")

    @property
    def in_words(self) -> str:
        """What is simulated, in a line."""
        return f"{super().in_words}, {self.begin}, a round in {self.round}"

    def with_counts(self, counts: Mapping[str, int]) -> dict[str, Any]:
        """The settings to change for so many nodes."""
        return {"nodes": counts["node"]}

    @property
    def many_drawn(self) -> Sequence[tuple[str, float]]:
        """By setting, how much of a run is drawn because of it."""
        lookups, joins = float(self.lookups * len(self.phases)), self.rate * self.for_s
        return ("lookups", lookups), ("rate", joins), *super().many_drawn

    @property
    def joining_s(self) -> float:
        """Within how many seconds all nodes are started; at once when they are placed."""
        return 0.0 if self.begin == "placed" else self.nodes / _JOINING_NODES_A_SECOND

    @property
    def round_s(self) -> float:
        """The time between two rounds, in seconds."""
        return parse_duration(self.round, "round")

    @property
    def settings(self) -> Settings:
        """How nodes live on this ring."""
        silence_s = USUAL.silence_s * self.round_s / USUAL.round_s
        return evolve(USUAL, successors=self.successors, round_s=self.round_s, silence_s=silence_s)

    @property
    def phases(self) -> Sequence[Phase]:
        """What there is to be told apart."""
        return list(PHASES) if self.dead else ["calm"]

    @property
    def deaths_s(self) -> float:
        """When nodes die, in seconds."""
        return self.for_s * _DEATHS_AT

    def looking(self, phase: Phase) -> tuple[float, float]:
        """From when to when lookups begin in a phase, in seconds."""
        last_s = max(self.for_s - _LAST_S, self.for_s * _REPAIRED_AT)
        if phase == "deaths":
            return self.deaths_s, self.deaths_s
        if phase == "repaired":
            return self.for_s * _REPAIRED_AT, last_s
        if self.rate:
            return self.for_s * _TURNED_OVER_AT, last_s
        return 0.0, self.for_s * _CALM_UNTIL if self.dead else last_s

    def phase_at(self, at_s: float) -> Phase:
        """In which phase an instant is."""
        if not self.dead or at_s < self.deaths_s:
            return "calm"
        return "deaths" if at_s < self.looking("repaired")[0] else "repaired"

    def check_wanted(self, entry: LookupEntry) -> None:
        """Refuse a lookup that cannot be."""
        if not is_numbered("node", entry.node, self.nodes):
            raise ValueError(f"node: takes {told('node', self.nodes)}, not {entry.node!r}")
