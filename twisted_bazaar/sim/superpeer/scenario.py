"""The scenario of a network of super peers: who is there, what there is, and what is looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta

from twisted_bazaar.discovery.superpeer.messages import MOST_RESULTS
from twisted_bazaar.sim.scenario import Many, Scenario, Some, WantedEntry, is_numbered, parse_duration, told_names
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


class AskEntry(WantedEntry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question as a file of settings names it.

    @ivar asker: who asks, by name, such as C{weak-peer-2}; if it is away then, the next one that is there does.
    @ivar at: when, such as C{30s}, counted from when all nodes have been started.
    @ivar words: what for; as in every search by words, the last may be the beginning of one.
    """

    asker: str
    at: str
    words: Annotated[str, Meta(min_length=1, max_length=_LONGEST_WORDS)]

    @property
    def at_s(self) -> float:
        """When, in seconds."""
        return parse_duration(self.at, "at")

    @property
    def who(self) -> str:
        """The asker."""
        return self.asker


class SuperPeerScenario(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """All settings of one network of super peers.

    Of the usual settings, session lengths are those that Stutzbach and Rejaie, "Understanding Churn in Peer-to-Peer
    Networks" (IMC 2006), fitted to one of the swarms they measured: Weibull, of shape 0.59 and a mean of 64 minutes,
    of which C{churn} is the inverse. They found churn in Gnutella to be much like it.

    @ivar super_peers: how many of the nodes are super peers; the rest are weak peers.
    @ivar degree: how many others each super peer is given as neighbours.
    @ivar leaves: how many weak peers a super peer takes.
    @ivar ttl: over how many links between super peers a search goes.
    @ivar results: how many hits are enough.
    @ivar ping: after how long a silence on a link the other end is asked whether it lives; three times that, and it
        is taken for dead.
    @ivar files: how many titles there are.
    @ivar shared: how many of them a weak peer has on average.
    @ivar zipf: how much more popular the first title is: the n-th has, and is wanted, 1/n**zipf as often.
    @ivar phases: which kinds of search to compare, one after the other; all if none is named.
    @ivar queries: how many questions are asked in each of them, the same ones.
    @ivar asks: those that are sure to be asked, besides C{queries}.
    """

    name: ClassVar[str] = "superpeer"
    hub: ClassVar[str | None] = None
    peopled_by: ClassVar[Sequence[str]] = ("super-peers",)
    fewest: ClassVar[Mapping[str, int]] = {"weak-peer": 1, "super-peer": 1}
    wanted_by: ClassVar[str] = "asks"

    nodes: Some = 21_000
    super_peers: Some = 1000
    for_: str = "90s"
    settle: str = "30s"
    churn: Annotated[float, Meta(ge=0, le=1)] = 0.0155
    sessions: str = "weibull:0.59"
    degree: Annotated[int, Meta(ge=1, le=64)] = 6
    leaves: Annotated[int, Meta(ge=1, le=10_000)] = 300
    ttl: Annotated[int, Meta(ge=1, le=LARGEST_TTL)] = 4
    results: Annotated[int, Meta(ge=1, le=MOST_RESULTS)] = 50
    ping: str = "30s"
    files: Some = 50_000
    shared: Annotated[int, Meta(ge=1, le=1000)] = 15
    zipf: Annotated[float, Meta(ge=0, le=4)] = 1.0
    phases: list[Phase] = []
    queries: Many = 100
    asks: list[AskEntry] = []

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
            raise ValueError(f"asker: takes {told_names('weak-peer', weak_peers)}, not {entry.asker!r}")
