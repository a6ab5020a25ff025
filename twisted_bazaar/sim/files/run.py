"""A run with files: who has which, who lies about which, and who wants them.

Everybody finds the others through the index server, which gives them their ids as well. Files are made up from
their names. Sharers have theirs from the beginning; what getters have got is on their disks.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import BinaryIO, ClassVar, Final, get_args

from twisted_bazaar.files.chunks import CHUNK_BYTES
from twisted_bazaar.interfaces import ICatalogue, IRole
from twisted_bazaar.roles.discovery.index import IndexMethod
from twisted_bazaar.roles.index_server import IndexServer
from twisted_bazaar.sim.cluster import Member, Programme, limits_of
from twisted_bazaar.sim.files.adversaries import Adversary
from twisted_bazaar.sim.files.library import Library, Original
from twisted_bazaar.sim.files.report import FilesReport, FilesStatistics
from twisted_bazaar.sim.files.scenario import FetchEntry, FilesScenario, Lie
from twisted_bazaar.sim.files.sharing import DiskSharer
from twisted_bazaar.sim.invariants import FILES_CHECKS
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.run import Run
from twisted_bazaar.sim.scenario import Scenario
from twisted_bazaar.values.addresses import Address

# What is drawn above it counts as this: few files are to take most of the time.
_LARGEST_BYTES: Final = 16 * CHUNK_BYTES
_NOBODY: Final = "nobody"
_SOME_PORT: Final = 9000


class FilesRun(Run[FilesScenario, FilesReport]):
    """One run with files.

    @ivar library: the files that there are.
    """

    of: ClassVar[type[Scenario]] = FilesScenario
    moving: ClassVar[Sequence[str]] = ("sharer", "getter")

    def __init__(
        self,
        scenario: FilesScenario,
        trace_file: BinaryIO | None = None,
        checks: Sequence[type[Check]] = FILES_CHECKS,
    ) -> None:
        self.library: Library = Library({f"file-{n + 1}": _draw_size(scenario, n + 1) for n in range(scenario.files)})
        self._asked: dict[str, list[Original]] = {}
        self._held: dict[str, list[Original]] = {}
        super().__init__(scenario, trace_file, checks)

    def _make_statistics(self) -> FilesStatistics:
        return FilesStatistics(self.cluster)

    # Who is there.

    def _build(self) -> None:
        cluster, scenario = self.cluster, self._scenario
        cluster.add_tracker(lambda member: [IndexServer()], name=scenario.hub)
        # It has an address, and never any power.
        nobody = self.network.add_host(_NOBODY)
        nobody.crash()
        limits = limits_of(min_links=0)
        for name in scenario.names()[1:]:
            make_roles, advertised = self._roles_of(name), None
            if name.startswith("liar-") and self._lie_of(name) == "address":
                advertised = Address(nobody.addresses[0], _SOME_PORT)
            cluster.add(name, Programme(make_roles, limits, advertised=advertised))

    def _roles_of(self, name: str) -> Callable[[Member], Sequence[IRole]]:
        kind = name.partition("-")[0]
        if kind == "liar":
            lie, listed = self._lie_of(name), self._listed_by(name)
            return lambda member: _with_index(lambda index: Adversary(index, member.host, lie, listed))
        held = self._held_by(name) if kind == "sharer" else []
        asked = self._asked.setdefault(name, [])
        return lambda member: _with_index(lambda index: DiskSharer(index, member.host, self.library, held, asked))

    def _held_by(self, sharer: str) -> list[Original]:
        """What an honest sharer has; with a sharer more or less the others have nearly the same."""
        if not self._held:
            names = [f"sharer-{n + 1}" for n in range(self._scenario.counts["sharer"])]
            self._held = {name: [] for name in names}
            for title, original in self.library.by_title.items():
                ranked = sorted((self._chance("held", title, name).random(), name) for name in names)
                for _, name in ranked[: self._scenario.copies]:
                    self._held[name].append(original)
        return self._held[sharer]

    def _lie_of(self, liar: str) -> Lie:
        return self._chance("lie", liar).choice(self._scenario.lies or get_args(Lie))

    def _listed_by(self, liar: str) -> list[Original]:
        """What a liar says it has: every other file or so."""
        rng = self._chance("listed", liar)
        return [original for original in self.library.by_title.values() if rng.random() < 0.5]

    # What is wanted.

    def _draw_wanted(self) -> list[FetchEntry]:
        scenario = self._scenario
        getters = [f"getter-{n + 1}" for n in range(scenario.counts["getter"])]
        titles = list(self.library.by_title)
        popularity = list(accumulate((n + 1) ** -scenario.zipf for n in range(len(titles))))
        drawn = []
        for getter in getters:
            rng = self._chance("wants", getter)
            wanted: dict[str, None] = {}
            while len(wanted) < min(scenario.wants, len(titles)):
                wanted[titles[bisect(popularity, rng.uniform(0, popularity[-1]), hi=len(titles) - 1)]] = None
            drawn += [FetchEntry(getter=getter, at=self._draw_instant(rng), file=title) for title in wanted]
        if not drawn:
            return drawn
        # What nobody happens to want is to be had too: somebody wants it once.
        named = {entry.file for entry in drawn}
        for title in (title for title in titles if title not in named):
            rng = self._chance("wanted", title)
            drawn.append(FetchEntry(getter=rng.choice(getters), at=self._draw_instant(rng), file=title))
        return drawn

    def _want(self, entry: FetchEntry) -> None:
        original = self.library.by_title[entry.file]
        self._asked[entry.getter].append(original)
        self.cluster.note("wanted", node=entry.getter, file=entry.file, digest=original.manifest.digest)
        member = self.cluster.members[entry.getter]
        for role in member.roles:
            if member.node is not None and isinstance(role, DiskSharer):
                role.want(original)

    def _with_all_named(self) -> FilesScenario:
        return self._scenario.evolve(wants=0)


def _with_index(make_role: Callable[[ICatalogue], IRole]) -> Sequence[IRole]:
    """A role that finds and is found through an index server, and what its node needs for that."""
    way = IndexMethod()
    catalogue = way.make_catalogue()
    assert catalogue is not None, "an index has one"
    return [*way.roles, make_role(catalogue)]


def _draw_size(scenario: FilesScenario, number: int) -> int:
    """How large a file is, in bytes; with more files or fewer the others stay as they are."""
    rng = random.Random(f"{scenario.seed}/size/{number}")
    return max(1, min(_LARGEST_BYTES, int(scenario.size * CHUNK_BYTES * rng.lognormvariate(0.0, scenario.spread))))
