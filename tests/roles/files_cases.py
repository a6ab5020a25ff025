"""What tests of those who fetch and share files begin with: a catalogue in memory, and nodes on simulated machines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.files.cases import Site
from twisted_bazaar.errors import LinkClosed
from twisted_bazaar.files.content import IPart
from twisted_bazaar.files.memory import MemoryContent, MemoryPart, manifest_of
from twisted_bazaar.interfaces import ICatalogue, INode
from twisted_bazaar.roles.fetcher import Fetcher, OpenPart
from twisted_bazaar.roles.fetching import Fetch
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, Page, SharedFile

T = TypeVar("T")


@implementer(ICatalogue)
class MemoryCatalogue:
    """Knows what the test says.

    @ivar found: all files there are.
    @ivar by_digest: who has each.
    @ivar published: what is offered now, by name.
    @ivar words: what was published and withdrawn, in order.
    @ivar loads: how many downloads were said to be served.
    @ivar asked: how often sources were asked for.
    @ivar is_away: whether nobody can be asked.
    """

    def __init__(self) -> None:
        self.found: list[FoundFile] = []
        self.by_digest: dict[str, list[FileSource]] = {}
        self.published: dict[str, SharedFile] = {}
        self.words: list[tuple[list[SharedFile], list[str]]] = []
        self.loads: list[int] = []
        self.asked: list[float] = []
        self.clock: Any = None
        self.queries: list[FileQuery] = []
        self.is_away = False
        self.page = 100

    def publish(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Note it."""
        self.words.append((list(added), list(removed)))
        for name in removed:
            self.published.pop(name, None)
        self.published.update({file.name: file for file in added})

    def set_load(self, downloads: int) -> None:
        """Note it."""
        self.loads.append(downloads)

    def search(self, query: FileQuery) -> Deferred[Page]:
        """What fits."""
        self.queries.append(query)
        if self.is_away:
            return fail(LinkClosed("the index is away"))
        fitting = [
            file
            for file in self.found
            if query.name in (None, file.name)
            and file.digest.startswith(query.digest or "")
            and (query.owner is None or query.owner in map(str, self.owners_of(file)))
            and all(word in file.name.lower() for word in (query.words or "").lower().split())
        ]
        first = int(query.after or 0)
        most = min(query.most, self.page)
        following = str(first + most) if first + most < len(fitting) else None
        return succeed(Page(fitting[first : first + most], len(fitting), following))

    def owners_of(self, file: FoundFile) -> list[int]:
        """The ids of those who have it."""
        return [source.id for source in self.by_digest.get(file.digest, ())]

    def sources(self, digest: str) -> Deferred[Sequence[FileSource]]:
        """Who has it."""
        self.asked.append(self.clock.seconds() if self.clock is not None else 0.0)
        if self.is_away:
            return fail(LinkClosed("the index is away"))
        return succeed(list(self.by_digest.get(digest, ())))

    def add(self, name: str, content: bytes, *sources: FileSource) -> FoundFile:
        """Let there be a file."""
        manifest = manifest_of(content)
        file = FoundFile(name, manifest.size, manifest.digest, len(sources))
        self.found.append(file)
        self.by_digest[manifest.digest] = list(sources)
        return file


class FilesCase(SynchronousTestCase):
    """Simulated machines, and a catalogue that knows what the test says."""

    def setUp(self) -> None:
        """Have a network."""
        self.network = SimulatedNetwork()
        self.catalogue = MemoryCatalogue()
        self.parts: list[MemoryPart] = []
        self.ended: list[Fetch] = []
        self.sites = 0

    def tearDown(self) -> None:
        """Nothing is left."""
        self.network.stop_all()
        # Connections that are cut have a while to close.
        self.network.run(10.0)
        self.assertEqual(self.network.left(), [])

    def site(self, content: bytes, **options: Any) -> Site:
        """A machine that serves a file."""
        self.sites += 1
        return Site(self.network, self.sites, MemoryContent(manifest_of(content), content), **options)

    def fetcher(self, catalogue: MemoryCatalogue | None = None, **options: Any) -> Fetcher:
        """A node that fetches, with parts in memory."""
        catalogue = catalogue or self.catalogue
        role = Fetcher(catalogue, self.open_part, **options)
        self.network.add_node(role)
        catalogue.clock = role.node.clock
        return role

    def open_part(self, node: INode) -> OpenPart:
        """Where files go."""

        async def opened(name: str, digest: str, overwrite: bool) -> IPart:
            known = [part for part in self.parts if part.digest == digest]
            if not known:
                known.append(MemoryPart(digest, reactor=node.clock))
                self.parts.append(known[0])
            return known[0]

        return opened

    def begin(self, fetcher: Fetcher, found: FoundFile, **options: Any) -> Fetch:
        """Begin to fetch."""
        return self.result(fetcher.begin(found, self.ended.append, **options))

    def result(self, doing: Awaitable[T]) -> T:
        """What comes of something, which takes some time."""
        outcome: list[Any] = []
        Deferred.fromCoroutine(_awaited(doing)).addBoth(outcome.append)
        self.network.run_until(lambda: outcome)
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        result: T = outcome[0]
        return result

    def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until something is so."""
        self.network.run_until(condition)


async def _awaited(doing: Awaitable[T]) -> T:
    return await doing
