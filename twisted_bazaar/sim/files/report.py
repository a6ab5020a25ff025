"""The report of a run with files: what was fetched, how fast, from whom, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import frozen

from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.figures import Figure, write_half_and_nearly_all
from twisted_bazaar.sim.files.part_files import whole_files
from twisted_bazaar.sim.files.sharing import DiskSharer
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.report import Report, Statistics, quantile
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.message import Message

_FIGURES: Final[Sequence[Figure[FilesReport]]] = (
    Figure(
        "fetched",
        "files fetched",
        lambda report: f"{report.fetched:,} of {report.wants:,}, in {report.attempts:,} downloads",
    ),
    Figure("attempts"),
    Figure(
        "seconds_to_fetch_p50",
        "time to fetch",
        lambda report: write_half_and_nearly_all(report.to_fetch(0.5), report.to_fetch(0.99)),
        value=lambda report: report.to_fetch(0.5),
    ),
    Figure("seconds_to_fetch_p99", value=lambda report: report.to_fetch(0.99)),
    Figure(
        "bytes_by",
        "right bytes",
        lambda report: ", ".join(f"{_mib(size)} by {kind}s" for kind, size in report.bytes_by.items()) or "-",
        value=lambda report: dict(report.bytes_by),
    ),
    Figure("partial_share", "from partial sources", "{:.1%}"),
    Figure("vain_bytes", "in vain", lambda report: _mib(report.vain_bytes)),
    Figure(
        "dropped",
        "sources given up",
        lambda report: f"{report.dropped:,}, {report.liars_found:,} of them found to lie",
    ),
    Figure("liars_found"),
    Figure("index_messages_a_second", "messages to the index", "{:.2f} a node a second, with its answers"),
)


@frozen(kw_only=True)
class FilesReport(Report):
    """The result of a run with files.

    @ivar fetched: how many of the files that were wanted have come.
    @ivar attempts: how many downloads were begun, those that were taken up again included.
    @ivar seconds_to_fetch: from wanting to having, for each file, the shortest first.
    @ivar bytes_by: what came, and was right, by the kind of node that sent it.
    @ivar partial_bytes: how much of it came from sources that had not the whole when they were found.
    @ivar vain_bytes: what getters received beyond that: asked for twice, wrong, broken off, and all that was said.
    @ivar dropped: how often a source was given up.
    @ivar liars_found: how often one was that had lied.
    @ivar index_messages: how many messages went to the index server, and came from it.
    @ivar nodes: how many there are besides the index server.
    """

    figures: ClassVar[Sequence[Figure[Any]]] = _FIGURES

    fetched: int
    attempts: int
    seconds_to_fetch: Sequence[float]
    bytes_by: Mapping[str, int]
    partial_bytes: int
    vain_bytes: int
    dropped: int
    liars_found: int
    index_messages: int
    nodes: int

    @property
    def obtained(self) -> int:
        """How many of the files that were wanted have come."""
        return self.fetched

    @property
    def right_bytes(self) -> int:
        """How much came in all that was right."""
        return sum(self.bytes_by.values())

    @property
    def partial_share(self) -> float | None:
        """The share of it that came from sources that had not the whole; None if nothing came."""
        return self.partial_bytes / self.right_bytes if self.right_bytes else None

    @property
    def index_messages_a_second(self) -> float:
        """Messages to and from the index server a second, for each node."""
        return self.index_messages / self.nodes / self.virtual_s if self.virtual_s else 0.0

    def to_fetch(self, share: float) -> float | None:
        """Within how many seconds a share of the files had come; None if none had."""
        return quantile(self.seconds_to_fetch, share)


class FilesStatistics(Statistics[FilesReport]):
    """Counts what happens in a run with files."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._wanted_at: dict[tuple[str, str], float] = {}
        self._to_fetch: list[float] = []
        self._fetched = self._attempts = self._dropped = self._liars_found = self._partial = self._index_messages = 0
        self._bytes_by: Counter[str] = Counter()

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """Count a message, and whether the index server is at an end of its way."""
        super().on_message(member, peer, message)
        index = self._cluster.tracker
        if index is not None and (member is index or (peer is not None and not peer.key)):
            self._index_messages += 1

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """Note when somebody began to want a file."""
        if event == "wanted":
            self._wanted_at.setdefault((details["node"], details["digest"]), self._cluster.network.timeline.now)

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """Count what a getter does."""
        if event == "fetching":
            self._attempts += 1
        elif event == "source-dropped":
            self._dropped += 1
        elif event == "source-lied":
            self._liars_found += 1
        elif event == "fetched":
            self._to_fetch.append(self._cluster.network.timeline.now - self._wanted_at[member.name, details["digest"]])
            for source in details["sources"]:
                sender = self._cluster.member_with_key(source["key"])
                self._bytes_by["?" if sender is None else sender.name.rpartition("-")[0]] += source["bytes"]
                self._partial += 0 if source["whole"] else source["bytes"]

    def count_wants(self) -> None:
        """See what is on the disks: a getter may have died before it could tell."""
        self._fetched = sum(
            digest in whole_files(self._cluster.members[name].host.disk) for name, digest in self._wanted_at
        )

    def make_report(self, seed: int, trace_hash: str, checks: Sequence[Check]) -> FilesReport:
        """Everything so far."""
        members = self._cluster.members.values()
        getters = [member for member in members if any(isinstance(role, DiskSharer) for role in member.roles)]
        return FilesReport(
            **self._common_figures(seed, trace_hash, checks),
            wants=len(self._wanted_at),
            fetched=self._fetched,
            attempts=self._attempts,
            seconds_to_fetch=sorted(self._to_fetch),
            bytes_by=dict(self._bytes_by.most_common()),
            partial_bytes=self._partial,
            vain_bytes=sum(member.host.bytes_received for member in getters) - sum(map(_right_bytes, getters)),
            dropped=self._dropped,
            liars_found=self._liars_found,
            index_messages=self._index_messages,
            nodes=len(members) - 1,
        )


def _right_bytes(member: Member) -> int:
    """How much of files has come to a member, and is there."""
    disk = member.host.disk
    return sum(len(disk.seen(name)) for name in disk.names() if name.startswith("file/"))


def _mib(size: float) -> str:
    return f"{size / (1 << 20):,.1f} MiB"
