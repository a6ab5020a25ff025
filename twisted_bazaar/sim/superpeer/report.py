"""The report of a network of super peers: what each kind of search found, how soon, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, Final, Literal

import msgspec
from attrs import define, field, frozen

from twisted_bazaar.discovery.superpeer.messages import Query, QueryEnd, QueryHit, Table
from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.figures import Comparison, Figure, figures_side_by_side, figures_to_json
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.report import Report, Statistics, mean, quantile
from twisted_bazaar.sim.superpeer.scenario import PHASES, Phase
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.message import Message

FEW_COPIES: Final = 3
Sort = Literal["all", "popular", "rare"]
# Each with what it is called where searches are compared.
SORTS: Final[Mapping[Sort, str]] = {"all": "all", "popular": "popular files", "rare": "rare files"}

_FIGURES: Final[Sequence[Figure[SuperPeerReport]]] = (
    Figure("met", "searches with a hit", lambda report: f"{report.met:,} of {report.wants:,}"),
    Figure("promoted", "weak peers that became super peers", lambda report: report.promoted_in_words),
    Figure("phases", value=lambda report: [phase.to_json() for phase in report.phases]),
)
_FIGURES_OF_A_PHASE: Final[Sequence[Figure[PhaseReport]]] = (
    Figure("name"),
    Figure("seconds"),
    Figure("bytes_a_node_a_second", "bytes a node a second", "{:,.1f}", lambda phase: phase.bytes_a_second),
    Figure("table_bytes_a_node_a_second", "of these, tables of words", "{:,.1f}", lambda phase: phase.tables_a_second),
    Figure(
        "search_bytes_a_node_a_second",
        "of these, queries and hits",
        "{:,.1f}",
        lambda phase: phase.searches_a_second,
    ),
    Figure("datagrams", value=lambda phase: dict(phase.messages)),
)
_FIGURES_OF_SEARCHES: Final[Sequence[Figure[Searches]]] = (
    Figure("asked", "searches", "{:,}"),
    Figure("messages_a_query", "messages a query", "{:,.1f}", lambda searches: searches.messages),
    Figure("bytes_a_query", value=lambda searches: searches.bytes),
    Figure("recall", "recall", "{:.1%}"),
    Figure("seconds_to_hit_p50", "first hit, half of them", "{:.3f} s", lambda searches: searches.to_hit(0.5)),
    Figure("seconds_to_hit_p99", "first hit, 99 of 100", "{:.3f} s", lambda searches: searches.to_hit(0.99)),
)

_encode = msgspec.json.Encoder().encode


@frozen
class Searches:
    """The results of the searches of one sort in one phase.

    @ivar asked: how many there were.
    @ivar messages: queries, hits and ends among super peers a search; None if there was none.
    @ivar bytes: how many bytes these had, without what carries them.
    @ivar recall: the hits that a search had of those that it could have had, at most as many as it wanted; the mean of
        those that could have any, None if there was none.
    @ivar seconds_to_hit: from asking to the first hit, for each that had one, the shortest first.
    """

    asked: int
    messages: float | None
    bytes: float | None
    recall: float | None
    seconds_to_hit: Sequence[float]

    def to_hit(self, share: float) -> float | None:
        """Within how many seconds a share of them had a hit; None if none had."""
        return quantile(self.seconds_to_hit, share)

    def to_json(self) -> dict[str, Any]:
        """All of it in values that JSON can hold."""
        return figures_to_json(_FIGURES_OF_SEARCHES, self)


@frozen(kw_only=True)
class PhaseReport:
    """The results and the cost of one kind of search.

    @ivar searches: by sort: popular are those for what more peers have than results are wanted, rare those for what
        few have.
    @ivar seconds: how long it was used.
    @ivar bytes_a_second: what a node sent, all that this kind of search needs; the mean.
    @ivar tables_a_second: how many bytes of that were tables of words.
    @ivar searches_a_second: how many were queries, hits and ends among super peers.
    @ivar messages: how many were sent among super peers, by type.
    """

    name: Phase
    searches: Mapping[Sort, Searches]
    seconds: float
    bytes_a_second: float
    tables_a_second: float
    searches_a_second: float
    messages: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """All of it in values that JSON can hold."""
        of_sorts: dict[str, Any] = {sort: searches.to_json() for sort, searches in self.searches.items()}
        return figures_to_json(_FIGURES_OF_A_PHASE, self) | of_sorts


@frozen(kw_only=True)
class SuperPeerReport(Report):
    """The result of a run with super peers.

    @ivar phases: what came of each kind of search.
    @ivar met: how many searches had a hit.
    @ivar promoted: how often a weak peer became a super peer; None if none may.
    """

    figures: ClassVar[Sequence[Figure[Any]]] = _FIGURES

    phases: Sequence[PhaseReport]
    met: int
    promoted: int | None = None

    @property
    def promoted_in_words(self) -> str | None:
        """The same, for people; None if none may."""
        return None if self.promoted is None else f"{self.promoted:,}"

    @property
    def obtained(self) -> int:
        """How many searches had a hit."""
        return self.met

    @property
    def comparison(self) -> Comparison | None:
        """The kinds of search, each figure for all files and for popular and rare ones; None if none began."""
        if not self.phases:
            return None
        of_sorts = [
            figures_side_by_side([figure], [phase.searches[sort] for phase in self.phases], f": {words}")
            for figure in _FIGURES_OF_SEARCHES
            for sort, words in SORTS.items()
        ]
        rows = [*chain.from_iterable(of_sorts), *figures_side_by_side(_FIGURES_OF_A_PHASE, self.phases)]
        return Comparison([PHASES[phase.name] for phase in self.phases], rows)


@define(eq=False)
class _Search:
    """One search, as it goes on.

    @ivar could_have: how many hits it could have.
    """

    phase: Phase
    asker: Member
    words: str
    at: float
    could_have: int
    query_id: str = ""
    messages: int = 0
    bytes: int = 0
    first_s: float | None = None
    hits: set[tuple[str, str]] = field(factory=set)


@define(eq=False)
class _PhaseCount:
    """Counts while one kind of search is used."""

    name: Phase
    began: float
    bytes_before: int
    seconds: float = 0.0
    bytes: int = 0
    table_bytes: int = 0
    datagrams: Counter[type[Message]] = field(factory=Counter)


class SuperPeerStatistics(Statistics[SuperPeerReport]):
    """Counts what happens in a network of super peers.

    @param results: how many hits are enough.
    """

    def __init__(self, cluster: Cluster, results: int) -> None:
        super().__init__(cluster)
        self._results = results
        self._searches: list[_Search] = []
        self._unsent: dict[tuple[str, str], _Search] = {}
        self._by_query: dict[str, _Search] = {}
        self._phases: list[_PhaseCount] = []
        self._present: _PhaseCount | None = None
        self._promoted: int | None = None

    # What the run says.

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """A kind of search begins to be used, or none is used any more; or somebody asks."""
        if event == "may-lead":
            self._promoted = 0
        elif event == "phase":
            self._end_phase()
            name = details["name"]
            if name is not None:
                now = self._cluster.network.timeline.now
                self._present = _PhaseCount(name, now, self._bytes_sent())
                self._phases.append(self._present)
        elif event == "asked" and self._present is not None:
            member, words = self._cluster.members[details["node"]], details["words"]
            now = self._cluster.network.timeline.now
            search = _Search(self._present.name, member, words, now, details["could_have"])
            self._searches.append(search)
            self._unsent[member.name, words] = search

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """A weak peer may have become a super peer."""
        if event == "led" and self._promoted is not None:
            self._promoted += 1

    # What nodes send.

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """Count a message over a link: it may be a question, or an answer to one who has asked."""
        super().on_message(member, peer, message)
        if isinstance(message, Query):
            search = self._unsent.get((member.name, message.words or ""))
            if search is not None:
                search.query_id = message.id
                self._by_query[message.id] = search
        elif isinstance(message, QueryHit):
            self._hit(member, message)
        elif isinstance(message, Table) and self._present is not None:
            self._present.table_bytes += len(_encode(message))

    def on_datagram(self, member: Member, address: Address, message: Message, size_bytes: int) -> None:
        """Count a datagram."""
        self._sent[type(message)] += 1
        present = self._present
        if present is not None:
            present.datagrams[type(message)] += 1
        if isinstance(message, Query | QueryHit | QueryEnd):
            search = self._by_query.get(message.id)
            if search is not None:
                search.messages += 1
                search.bytes += size_bytes
        elif isinstance(message, Table) and present is not None:
            present.table_bytes += size_bytes

    def _hit(self, super_peer: Member, hit: QueryHit) -> None:
        search = self._by_query.get(hit.id)
        if search is None:
            return
        new = {(found.key, file.digest) for found in hit.found for file in found.files if found.key != search.asker.key}
        if new and search.first_s is None:
            network = self._cluster.network
            way = network.ways.conditions(super_peer.host.name, search.asker.host.name)
            search.first_s = network.timeline.now + way.latency_s - search.at
        search.hits |= new

    def _bytes_sent(self) -> int:
        return sum(member.host.bytes_sent for member in self._cluster.members.values())

    def _end_phase(self) -> None:
        present, self._present = self._present, None
        self._unsent.clear()
        if present is not None:
            present.seconds = self._cluster.network.timeline.now - present.began
            present.bytes = self._bytes_sent() - present.bytes_before

    # What came of it.

    def count_wants(self) -> None:
        """Everything has been counted as it happened."""
        self._end_phase()

    def make_report(self, seed: int, trace_hash: str, checks: Sequence[Check]) -> SuperPeerReport:
        """Everything so far."""
        return SuperPeerReport(
            **self._common_figures(seed, trace_hash, checks),
            wants=len(self._searches),
            met=sum(bool(search.hits) for search in self._searches),
            phases=[self._report_of(phase) for phase in self._phases],
            promoted=self._promoted,
        )

    def _report_of(self, phase: _PhaseCount) -> PhaseReport:
        ours = [search for search in self._searches if search.phase == phase.name]
        node_seconds = (len(self._cluster.members) * phase.seconds) or 1.0
        # Tables go on being told while nobody looks at them, so that they are there when they are needed.
        tables = 0 if phase.name == "flood" else phase.table_bytes
        return PhaseReport(
            name=phase.name,
            searches={sort: self._sum_up(ours, self._is_one(sort)) for sort in SORTS},
            seconds=phase.seconds,
            bytes_a_second=(phase.bytes - phase.table_bytes + tables) / node_seconds,
            tables_a_second=tables / node_seconds,
            searches_a_second=sum(search.bytes for search in ours) / node_seconds,
            messages={str(cls.__struct_config__.tag): count for cls, count in phase.datagrams.most_common()},
        )

    def _is_one(self, sort: Sort) -> Callable[[_Search], bool]:
        if sort == "popular":
            return lambda search: search.could_have > self._results
        if sort == "rare":
            return lambda search: search.could_have <= FEW_COPIES
        return lambda search: True

    def _sum_up(self, searches: Sequence[_Search], is_one: Callable[[_Search], bool]) -> Searches:
        ours = [search for search in searches if is_one(search)]
        shares = [
            min(len(search.hits), self._results) / min(search.could_have, self._results)
            for search in ours
            if search.could_have
        ]
        return Searches(
            asked=len(ours),
            messages=mean([search.messages for search in ours]),
            bytes=mean([search.bytes for search in ours]),
            recall=mean([min(1.0, share) for share in shares]),
            seconds_to_hit=sorted(search.first_s for search in ours if search.first_s is not None),
        )
