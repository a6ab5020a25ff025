"""The scenario of a network that shares files: who is there, what there is, who lies, and what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

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

Lie = Literal["bytes", "manifest", "size", "silence", "drip", "address"]


class FetchEntry(WantedEntry, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One file that somebody is sure to want, as a file of settings names it.

    @ivar getter: who wants it, by name, such as C{getter-2}.
    @ivar at: when, such as C{30s}, counted from when all nodes have been started.
    @ivar file: what, by name, such as C{file-4}.
    """

    example: ClassVar[str] = "getter-2:31s:file-4"

    getter: str
    at: Duration
    file: str


class FilesScenario(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """All settings of one network that shares files."""

    name: ClassVar[str] = "files"
    hub: ClassVar[str] = "index"
    peopled_by: ClassVar[Sequence[str]] = ("sharers", "liars")
    fewest: ClassVar[Mapping[str, int]] = {"getter": 1, "liar": 0, "sharer": 1}
    wanted_by: ClassVar[str] = "fetches"

    nodes: Annotated[
        Some, option_help("How many nodes there are, sharers and getters; the index server comes on top.")
    ] = 50
    sharers: Annotated[
        Many, option_help("How many of them share files from the beginning; the others are getters.")
    ] = 10
    liars: Annotated[Share, option_help("The share of sharers that lie.")] = 0.0
    lies: Annotated[
        list[Lie],
        option_help(
            "A way in which liars lie, in place of all ways; each liar keeps to one.",
            each="lie",
        ),
    ] = []
    for_: Annotated[Duration, option_help("How long faults, churn and wants go on.")] = "5m"
    settle: Annotated[
        Duration, option_help("How long after --for it may take until every file is fetched that can be.")
    ] = "2m"
    mode: Annotated[
        Mode,
        option_help("Whether faults end, and every file has to be fetched then, or faults never end."),
    ] = "liveness"
    churn: Annotated[
        Share,
        option_help("The share of honest sharers and getters that leave in a minute, half of them without a word."),
    ] = 0.0
    files: Annotated[int, Meta(ge=1, le=10_000), option_help("How many files there are.")] = 100
    copies: Annotated[Some, option_help("How many honest sharers have each file.")] = 3
    size: Annotated[
        float,
        Meta(ge=0.001, le=64),
        option_help("How large half of the files are at most, in MiB; none is larger than 16."),
    ] = 1.0
    spread: Annotated[
        float,
        Meta(ge=0, le=2),
        option_help("How far the sizes of files lie apart: the sigma of a log-normal distribution."),
    ] = 0.8
    zipf: Annotated[
        float,
        Meta(ge=0, le=4),
        option_help("How much more popular the first file is: the n-th is wanted 1/n to the power of this as often."),
    ] = 1.0
    wants: Annotated[
        Many,
        option_help(
            "How many files each getter wants, spread over the run; what nobody wants then, somebody wants once."
        ),
    ] = 3
    fetches: Annotated[
        list[FetchEntry],
        option_help("A file that is sure to be wanted, {shape}.", each="fetch"),
    ] = []

    def __post_init__(self) -> None:
        if self.sharers > self.nodes:
            raise ValueError(f"nodes: {self.sharers} sharers need at least {self.sharers}, not {self.nodes}")
        super().__post_init__()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many nodes there are of each kind."""
        liars = round(self.liars * self.sharers)
        return {"sharer": self.sharers - liars, "liar": liars, "getter": self.nodes - self.sharers}

    @property
    def sizes(self) -> Sequence[tuple[int, str]]:
        """How large it is."""
        counts = self.counts
        return (self.nodes, "node"), (counts["sharer"], "sharer"), (counts["liar"], "liar"), (self.files, "file")

    def with_counts(self, counts: Mapping[str, int]) -> dict[str, Any]:
        """The settings to change for so many nodes of each kind."""
        sharers = counts["sharer"] + counts["liar"]
        liars = counts["liar"] / sharers if sharers else 0.0
        return {"nodes": max(1, sharers + counts["getter"]), "sharers": sharers, "liars": liars}

    @property
    def many_drawn(self) -> Sequence[tuple[str, float]]:
        """By setting, how much of a run is drawn because of it."""
        return ("wants", self.wants * self.counts["getter"]), *super().many_drawn

    def check_there(self, entry: FetchEntry) -> None:
        """Refuse a fetch of what no honest sharer has."""
        if not self.counts["sharer"]:
            raise ValueError(f"file: takes what honest sharers have, {names_in_words('file', 0)}, not {entry.file!r}")

    def check_wanted(self, entry: FetchEntry) -> None:
        """Refuse a fetch that cannot be."""
        if not is_numbered("file", entry.file, self.files):
            raise ValueError(f"file: takes {names_in_words('file', self.files)}, not {entry.file!r}")
        getters = self.counts["getter"]
        if not is_numbered("getter", entry.getter, getters):
            raise ValueError(f"getter: takes {names_in_words('getter', getters)}, not {entry.getter!r}")
