"""The scenario of a network of super peers: who is there, what there is, and what is looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta

from twisted_bazaar.discovery.superpeer.messages import MOST_RESULTS
from twisted_bazaar.sim.scenario import (
    Duration,
    Many,
    Mode,
    Scenario,
    Sessions,
    Share,
    Some,
    WantedEntry,
    is_numbered,
    names_in_words,
    parse_duration,
)
from twisted_bazaar.sim.setting_fields import option_help
from twisted_bazaar.wire.message import LARGEST_TTL

Phase = Literal["flood", "routing", "dynamic"]
# Each with what it is called where they are compared.
PHASES: Final[Mapping[Phase, str]] = {
    "flood": "plain flood",
    "routing": "query routing",
    "dynamic": "and dynamic querying",
}

_LONGEST_WORDS: Final = 200
_JOINING_NODES_A_SECOND: Final = 20_000
_SUPER_PEERS_FIRST_S: Final = 2.0
# A phase ends quietly, so that what is still under way does not count for the next.
_QUIET_S: Final = 12.0
_LOUD_SHARE: Final = 0.5


class AskEntry(WantedEntry, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One question as a file of settings names it.

    @ivar asker: who asks, by name, such as C{weak-peer-2}; if it is away then, the next one that is there does.
    @ivar at: when, such as C{30s}, counted from when all nodes have been started.
    @ivar words: what for; as in every search by words, the last may be the beginning of one.
    """

    example: ClassVar[str] = "'weak-peer-2:31s:some words'"

    asker: str
    at: Duration
    words: Annotated[str, Meta(min_length=1, max_length=_LONGEST_WORDS)]


class SuperPeerScenario(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """All settings of one network of super peers.

    Of the usual settings, session lengths are those that Stutzbach and Rejaie, "Understanding Churn in Peer-to-Peer
    Networks" (IMC 2006), fitted to one of the swarms they measured: Weibull, of shape 0.59 and a mean of 64 minutes,
    of which C{churn} is the inverse. They found churn in Gnutella to be much like it.

    @ivar ping: three times that silent, and a node is taken for dead.
    """

    name: ClassVar[str] = "superpeer"
    hub: ClassVar[str | None] = None
    peopled_by: ClassVar[Sequence[str]] = ("super-peers",)
    fewest: ClassVar[Mapping[str, int]] = {"weak-peer": 1, "super-peer": 1}
    wanted_by: ClassVar[str] = "asks"

    nodes: Annotated[Some, option_help("How many nodes there are, super peers and weak peers.")] = 21_000
    super_peers: Annotated[Some, option_help("How many of them are super peers.")] = 1000
    for_: Annotated[
        Duration,
        option_help("How long faults, churn and questions go on, in all kinds of search together."),
    ] = "90s"
    settle: Annotated[Duration, option_help("How long after --for the network may take to be in order.")] = "30s"
    mode: Annotated[
        Mode,
        option_help("Whether faults end, and everything has to be found then, or faults never end."),
    ] = "liveness"
    churn: Annotated[Share, option_help("The share of nodes that leave in a minute, half of them without a word.")] = (
        0.0155
    )
    sessions: Sessions = "weibull:0.59"
    degree: Annotated[int, Meta(ge=1, le=64), option_help("How many neighbours each super peer is given.")] = 6
    leaves: Annotated[int, Meta(ge=1, le=10_000), option_help("How many weak peers (leaves) a super peer takes.")] = 300
    may_lead: Annotated[
        Share, option_help("The share of weak peers that become super peers when there are too few.")
    ] = 0.0
    ttl: Annotated[
        int,
        Meta(ge=1, le=LARGEST_TTL),
        option_help("Over how many links between super peers a search goes."),
    ] = 4
    results: Annotated[int, Meta(ge=1, le=MOST_RESULTS), option_help("How many hits are enough for one search.")] = 50
    ping: Annotated[
        Duration,
        option_help("After how long a silence a neighbour is pinged; daemons take 2.5s."),
    ] = "30s"
    files: Annotated[Some, option_help("How many titles there are.")] = 50_000
    shared: Annotated[int, Meta(ge=1, le=1000), option_help("How many of them a weak peer has on average.")] = 15
    zipf: Annotated[
        float,
        Meta(ge=0, le=4),
        option_help("How much more popular the first title is: the n-th is had and wanted 1/n to the power of this."),
    ] = 1.0
    phases: Annotated[
        list[Phase],
        option_help("A kind of search to compare, in place of all kinds.", each="phase"),
    ] = []
    queries: Annotated[Many, option_help("How many questions are asked in each kind of search, the same ones.")] = 100
    asks: Annotated[
        list[AskEntry],
        option_help("A question that is sure to be asked, {shape}.", each="ask"),
    ] = []

    def __post_init__(self) -> None:
        if self.super_peers >= self.nodes:
            least = self.super_peers + 1
            many = f"{self.super_peers} super peers and a weak one"
            raise ValueError(f"nodes: {many} need at least {least}, not {self.nodes}")
        if not self.ping_s:
            raise ValueError(f"ping: takes a time above 0, not {self.ping!r}")
        super().__post_init__()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many nodes there are of each kind."""
        return {"super-peer": self.super_peers, "weak-peer": self.nodes - self.super_peers}

    @property
    def sizes(self) -> Sequence[tuple[int, str]]:
        """How large it is."""
        counts = self.counts
        return (counts["super-peer"], "super peer"), (counts["weak-peer"], "weak peer"), (self.files, "title")

    @property
    def in_words(self) -> str:
        """What is simulated, in a line."""
        return f"{super().in_words}, degree {self.degree}, ttl {self.ttl}"

    def with_counts(self, counts: Mapping[str, int]) -> dict[str, Any]:
        """The settings to change for so many nodes of each kind."""
        return {"nodes": sum(counts.values()), "super_peers": counts["super-peer"]}

    @property
    def many_drawn(self) -> Sequence[tuple[str, float]]:
        """By setting, how much of a run is drawn because of it."""
        asked = ("queries", float(self.queries * len(self.drawn_phases)))
        held = ("shared", float(self.shared * self.counts["weak-peer"]))
        return asked, held, *super().many_drawn

    @property
    def joining_s(self) -> float:
        """Within how many seconds all nodes are started, the super peers first."""
        return _SUPER_PEERS_FIRST_S + self.nodes / _JOINING_NODES_A_SECOND

    @property
    def super_peers_joining_s(self) -> float:
        """Within how many seconds the super peers are started."""
        return _SUPER_PEERS_FIRST_S

    @property
    def ping_s(self) -> float:
        """After how long a silence a link is looked after, in seconds."""
        return parse_duration(self.ping, "ping")

    @property
    def drawn_phases(self) -> Sequence[Phase]:
        """The kinds of search that are compared, in their order."""
        return self.phases or list(PHASES)

    @property
    def phase_s(self) -> float:
        """How long each of them is used, in seconds."""
        return self.for_s / len(self.drawn_phases)

    @property
    def asking_s(self) -> float:
        """How long of that questions are asked, in seconds."""
        return max(self.phase_s * _LOUD_SHARE, self.phase_s - _QUIET_S)

    def check_wanted(self, entry: AskEntry) -> None:
        """Refuse a question that cannot be."""
        weak_peers = self.counts["weak-peer"]
        if not is_numbered("weak-peer", entry.asker, weak_peers):
            raise ValueError(f"asker: takes {names_in_words('weak-peer', weak_peers)}, not {entry.asker!r}")
