"""The scenario of a network that shares files: who is there, what there is, who lies, and what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from twisted_bazaar.sim.scenario import (
    Many,
    Scenario,
    Share,
    Some,
    WantedEntry,
    is_numbered,
    parse_duration,
    told_names,
)

Lie = Literal["bytes", "manifest", "size", "silence", "drip", "address"]


class FetchEntry(WantedEntry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file that somebody is sure to want, as a file of settings names it.

    @ivar getter: who wants it, by name, such as C{getter-2}.
    @ivar at: when, such as C{30s}, counted from when all nodes have been started.
    @ivar file: what, by name, such as C{file-4}.
    """

    getter: str
    at: str
    file: str

    @property
    def at_s(self) -> float:
        """When, in seconds."""
        return parse_duration(self.at, "at")

    @property
    def who(self) -> str:
        """The getter."""
        return self.getter


class FilesScenario(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """All settings of one network that shares files.

    @ivar sharers: how many of the nodes share files from the beginning; the rest are getters.
    @ivar liars: the share of them that lie.
    @ivar lies: in what ways they do, each in one; in all if none is named.
    @ivar files: how many files there are.
    @ivar copies: how many honest sharers have each.
    @ivar size: how large half of the files are at most, in MiB.
    @ivar spread: how far sizes lie apart: the sigma of their log-normal distribution.
    @ivar zipf: how much more popular the first file is: the n-th is wanted 1/n**zipf as often.
    @ivar wants: how many files each getter wants, spread over the run.
    @ivar fetches: those that are sure to be wanted, besides C{wants}.
    """

    name: ClassVar[str] = "files"
    hub: ClassVar[str] = "index"
    peopled_by: ClassVar[Sequence[str]] = ("sharers", "liars")
    fewest: ClassVar[Mapping[str, int]] = {"getter": 1, "liar": 0, "sharer": 1}
    wanted_by: ClassVar[str] = "fetches"

    nodes: Some = 50
    sharers: Many = 10
    liars: Share = 0.0
    lies: list[Lie] = []
    files: Annotated[int, Meta(ge=1, le=10_000)] = 100
    copies: Some = 3
    size: Annotated[float, Meta(ge=0.001, le=64)] = 1.0
    spread: Annotated[float, Meta(ge=0, le=2)] = 0.8
    zipf: Annotated[float, Meta(ge=0, le=4)] = 1.0
    wants: Many = 3
    fetches: list[FetchEntry] = []

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
            raise ValueError(f"file: takes what honest sharers have, {told_names('file', 0)}, not {entry.file!r}")

    def check_wanted(self, entry: FetchEntry) -> None:
        """Refuse a fetch that cannot be."""
        if not is_numbered("file", entry.file, self.files):
            raise ValueError(f"file: takes {told_names('file', self.files)}, not {entry.file!r}")
        getters = self.counts["getter"]
        if not is_numbered("getter", entry.getter, getters):
            raise ValueError(f"getter: takes {told_names('getter', getters)}, not {entry.getter!r}")
