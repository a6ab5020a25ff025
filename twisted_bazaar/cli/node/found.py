"""Search results, and how they are shown."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from attrs import evolve, frozen
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from twisted.internet.defer import Deferred, FirstError, gatherResults

from twisted_bazaar.cli.terminal.amounts import format_count, format_size
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import is_narrow, show_line, show_named, show_table
from twisted_bazaar.interfaces import ICatalogue
from twisted_bazaar.roles.fetching import is_digest
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, Page

SHOWN_OF_DIGEST = 12
# As many as there can be at once: an index answers only so many questions.
_PAGE = 1000


@frozen
class Search:
    """A search: what is looked for.

    @ivar queries: asked one after another; what the first finds stands first.
    @ivar most: no more than these are wanted.
    """

    queries: Sequence[FileQuery]
    most: int

    @classmethod
    def of(cls, wanted: str | None, most: int, *, exact: bool = False, digest: str | None = None) -> Search:
        """What a user means: the exact name before names with these words in them.

        @param wanted: a name, words of one, or a digest; None for everything.
        """
        if digest is None and wanted is not None and is_digest(wanted):
            # Files may be called after the digest of something, too.
            return cls([FileQuery(digest=wanted.lower()), FileQuery(name=wanted)], most)
        if digest is not None:
            return cls([FileQuery(digest=digest.lower())], most)
        if wanted is None:
            return cls([FileQuery()], most)
        name = unicodedata.normalize("NFC", wanted)
        return cls([FileQuery(name=name)] if exact else [FileQuery(name=name), FileQuery(words=name)], most)

    async def run(self, catalogue: ICatalogue) -> Finds:
        """Ask, page by page.

        @raise PeerError: nobody can be asked, or who is asked says no.
        """
        found: dict[tuple[str, str], FoundFile] = {}
        total = 0
        queries = [evolve(query, most=min(_PAGE, self.most)) for query in self.queries]
        for query, page in zip(queries, await _all_of([*map(catalogue.search, queries)]), strict=True):
            while True:
                for file in page.files:
                    found.setdefault((file.name, file.digest), file)
                if page.next is None or not page.files or len(found) >= self.most:
                    break
                page = await catalogue.search(evolve(query, after=page.next))
            # What has the name has its words too.
            total = max(page.total, total)
        return Finds(list(found.values())[: self.most], max(total, len(found)))


@frozen
class Finds:
    """The results of a search.

    @ivar total: how many there are in all.
    """

    files: Sequence[FoundFile]
    total: int

    def show(self, console: Console, *, numbered: bool = False) -> None:
        """Print it.

        @param numbered: whether each has a number to be called by.
        """
        if is_narrow(console):
            for number, file in enumerate(self.files, 1):
                words = f"{format_size(file.size)}, {format_sources(file)}, {file.digest[:SHOWN_OF_DIGEST]}"
                show_named(console, printable(file.name), printable(words), number if numbered else None)
        else:
            self._show_table(console, numbered=numbered)
        names = Counter(file.name for file in self.files)
        for name in [name for name, count in names.items() if count > 1]:
            show_line(console, f"{names[name]} different files are called {printable(name)}.")
        if self.total > len(self.files):
            # Numbers are for the prompt, where there are no options.
            more = "query NAME finds others" if numbered else "--most N shows more"
            show_line(console, f"{len(self.files):,} of {self.total:,} are shown; {more}.")

    def _show_table(self, console: Console, *, numbered: bool) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        if numbered:
            table.add_column("", justify="right")
        table.add_column("name", overflow="fold")
        table.add_column("size", justify="right", no_wrap=True)
        table.add_column("sources", justify="right", no_wrap=True)
        table.add_column("digest", no_wrap=True)
        for number, file in enumerate(self.files, 1):
            sources = f"{file.sources} + {file.partial} in part" if file.partial else str(file.sources)
            words = (printable(file.name), format_size(file.size), sources, file.digest[:SHOWN_OF_DIGEST])
            table.add_row(*([str(number)] if numbered else []), *map(Text, words))
        show_table(console, table)


async def _all_of(pages: Sequence[Deferred[Page]]) -> Sequence[Page]:
    """Wait for answers together, since super peers take a while for each.

    @raise PeerError: nobody can be asked, or who is asked says no.
    """
    try:
        return await gatherResults(pages, consumeErrors=True)
    except FirstError as error:
        error.subFailure.raiseException()


def format_sources(file: FoundFile) -> str:
    """How many have a file, and how many have some of it."""
    whole = format_count(file.sources, "source")
    return f"{whole} + {file.partial} in part" if file.partial else whole


def is_named(source: FileSource, nodes: Sequence[str]) -> bool:
    """Whether a node is one of those that a user names, by its id or its key; anybody if there are none."""
    return not nodes or any(str(source.id) == word or source.key.startswith(word.lower()) for word in nodes)
