"""The files that one call of C{bazaar get} means, fetched one after another by one node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, ClassVar, Final

import click
from attrs import evolve, frozen
from rich.console import Console

from twisted_bazaar.cli.node.ephemeral_node import EphemeralNode, Member
from twisted_bazaar.cli.node.getting import Getting, Missing, Wish
from twisted_bazaar.cli.node.patterns import is_matching, is_pattern, words_of_pattern
from twisted_bazaar.cli.terminal.amounts import format_count, format_size
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.errors import AlreadyThere, BazaarError, UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.files.download.swarm import Receipt
from twisted_bazaar.interfaces import ICatalogue
from twisted_bazaar.roles.fetcher import Fetcher, parts_in
from twisted_bazaar.values.files import FileQuery, FoundFile

_PAGE: Final = 1000
# Of several files that have not come, the status tells the first of these that is true of one.
_WORST_FIRST: Final = (ExitStatus.NO, ExitStatus.WRONG_USE, ExitStatus.UNFINISHED, ExitStatus.NOT_FOUND)


class SomeMissing(NegativeAnswer):
    """Not all files have come; each has been told of."""

    exit_code: ClassVar[int] = ExitStatus.NO

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.exit_code = status  # type: ignore[misc] # of each its own


@frozen
class Fetched:
    """A file that has come.

    @ivar path: where it is.
    @ivar receipt: what came from whom; it has taken no time if it was there before.
    """

    found: FoundFile
    receipt: Receipt
    path: str


class Batch:
    """Fetches all files that are meant.

    @param wanted: names, digests and patterns.
    @param wish: how each is fetched.
    @param all_from: a node of which all files are meant that match; of any if there is none.
    @param console: where a bar is shown, if it is a terminal.
    @param tell: told of each that has come.
    @ivar fetched: those that have come so far.
    @ivar is_list: whether there may be several.
    """

    def __init__(
        self,
        wanted: Sequence[str],
        wish: Wish,
        membership: EphemeralNode,
        console: Console,
        tell: Callable[[Fetched], object],
        *,
        all_from: str | None = None,
    ) -> None:
        self._wanted = wanted
        self._wish = wish
        self._membership = membership
        self._console = console
        self._tell = tell
        self._all_from = all_from
        # What goes wrong with the only thing that is meant is the end of it.
        self._is_single = len(wanted) <= 1
        self.is_list: bool = len(wanted) != 1 or all_from is not None
        self._getting: Getting | None = None
        self._meant = 0
        self._not_found: list[str] = []
        self._errors: list[BazaarError | UserError] = []
        self.fetched: list[Fetched] = []

    async def work(self, reactor: Any) -> None:
        """Join the others, find the files, and fetch one after another.

        @raise UserError: one that was meant alone has not come; the status says why.
        @raise SomeMissing: some of several have not come.
        """
        wish = self._wish
        async with self._membership.join(
            reactor, lambda catalogue: Fetcher(catalogue, parts_in(wish.directory), slots=wish.slots)
        ) as member:
            meant = [each async for each in self._choose(member)]
            self._meant = len(meant)
            self._is_single = self._is_single and len(meant) == 1 and not self._errors
            if len(meant) > 1:
                if wish.name is not None:
                    raise UserError(f"--as goes with one file, and {len(meant)} are meant")
                size = sum(found.size for found in meant)
                say(f"{format_count(len(meant), 'file')}, {format_size(size)}")
            for found in meant:
                await self._fetch(reactor, member, found)
        self._judge()

    def kept(self, why: str) -> str:
        """What is there, and what can be gone on with."""
        if self._getting is None:
            return f"{why}; nothing was fetched yet"
        begun = self._getting.kept(why)
        return begun if self._meant <= 1 else f"{begun}; {len(self.fetched)} of {self._meant} files are there"

    async def _choose(self, member: Member) -> AsyncIterator[FoundFile]:
        """Each file that is meant, once."""
        meant: dict[tuple[str, str], None] = {}
        for wanted in self._wanted or ["*"]:
            try:
                for found in await self._meant_by(wanted, member):
                    if (found.name, found.digest) not in meant:
                        meant[found.name, found.digest] = None
                        yield found
            except (BazaarError, UserError) as error:
                if self._is_single:
                    raise
                self._failed(str(error), error)
                self._not_found.append(wanted)

    async def _meant_by(self, wanted: str, member: Member) -> Sequence[FoundFile]:
        """The files that a name, a digest or a pattern means.

        @raise Missing: nobody has one.
        """
        catalogue = member.fetcher.catalogue
        if self._all_from is None:
            # Brackets and stars can be in the name of a file, too.
            if not is_pattern(wanted) or (await catalogue.search(FileQuery(name=wanted, most=1))).files:
                getting = Getting(evolve(self._wish, wanted=wanted), self._membership, self._console)
                return [await getting.choose(member)]
            self.is_list = True
            words = words_of_pattern(wanted)
            if not words and not self._membership.lists_everything:
                raise UserError(f"{wanted}: write a pattern with a whole word in it, or the beginning of one")
        else:
            words = ""
        found = await _all_of(catalogue, FileQuery(words=words or None, owner=self._all_from))
        beginning = self._wish.beginning
        matching = [file for file in found if is_matching(file.name, wanted) and file.digest.startswith(beginning)]
        if not matching:
            if self._all_from is None:
                raise Missing(f"nobody has a file like {wanted!r}")
            what = f"no file like {wanted!r}" if self._wanted else "no file, or is not there"
            raise Missing(f"node {self._all_from} has {what}")
        return list(self._each_once(matching))

    def _each_once(self, files: Sequence[FoundFile]) -> Sequence[FoundFile]:
        """Without those of one name and several contents: only one of them could be put there."""
        by_name: dict[str, dict[str, FoundFile]] = {}
        for file in files:
            by_name.setdefault(file.name, {}).setdefault(file.digest, file)
        for name, contents in by_name.items():
            if len(contents) > 1:
                digests = ", ".join(digest[:12] for digest in contents)
                why = f"{len(contents)} different files are called {name!r}; get one by its digest: {digests}"
                self._failed(why, UserError(why))
        return [file for contents in by_name.values() if len(contents) == 1 for file in contents.values()]

    async def _fetch(self, reactor: Any, member: Member, found: FoundFile) -> None:
        wish = self._wish if self._all_from is None else evolve(self._wish, sources=[self._all_from])
        getting = self._getting = Getting(wish, self._membership, self._console)
        try:
            found, receipt = await getting.fetch(reactor, member, found)
        except AlreadyThere:
            receipt = Receipt(found.digest, found.size, {}, {}, found.size, 0.0)
        except (BazaarError, UserError) as error:
            if self._is_single:
                raise
            self._failed(f"{found.name}: {error}", error)
            return
        self.fetched.append(Fetched(found, receipt, str(getting.path)))
        self._tell(self.fetched[-1])

    def _failed(self, why: str, error: BazaarError | UserError) -> None:
        """One of several does not come: the others do."""
        self._errors.append(error)
        say(printable(why))

    def _judge(self) -> None:
        if self._errors:
            statuses = {_status_of(error) for error in self._errors}
            worst = next(status for status in _WORST_FIRST if status in statuses)
            asked_for, come = self._meant + len(self._not_found), len(self.fetched)
            named = ", ".join(printable(repr(each)) for each in self._not_found)
            missing = f"; not found: {named}" if named else ""
            has = "has" if come == 1 else "have"
            raise SomeMissing(f"{come} of {asked_for} asked for {has} come{missing}", worst)


def say(line: str) -> None:
    """Say something that is not the result."""
    click.echo(line, err=True)


def _status_of(error: BazaarError | UserError) -> ExitStatus:
    if isinstance(error, UserError):
        return next(status for status in ExitStatus if status == error.exit_code)
    return ExitStatus.WRONG_USE if isinstance(error, UsageError) else ExitStatus.NO


async def _all_of(catalogue: ICatalogue, query: FileQuery) -> Sequence[FoundFile]:
    """All files that a query finds, page by page."""
    files: list[FoundFile] = []
    page = await catalogue.search(evolve(query, most=_PAGE))
    while True:
        files += page.files
        if page.next is None or not page.files:
            return files
        page = await catalogue.search(evolve(query, most=_PAGE, after=page.next))
