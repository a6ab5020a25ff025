"""C{bazaar search}: who has what."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import attrs
import click

from twisted_bazaar.cli.commands.files.options import SEARCH
from twisted_bazaar.cli.node.availability import Availability
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.node.ephemeral_node import EphemeralNode, fetching_nothing
from twisted_bazaar.cli.node.found import Finds, Search
from twisted_bazaar.cli.terminal.errors import whole_text
from twisted_bazaar.cli.terminal.results import console_for_results
from twisted_bazaar.cli.terminal.session import ending_when_interrupted, run_in_reactor
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import WRONG_OPTION, Ending, ExitStatus
from twisted_bazaar.plugin import loaded_methods
from twisted_bazaar.roles.discovery.method import DiscoveryMethod
from twisted_bazaar.roles.fetching import is_digest
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.values.joining import JoinObserver

_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "Something was found."),
    WRONG_OPTION,
    Ending(ExitStatus.NOT_FOUND, "Nothing was found."),
    Ending(ExitStatus.UNREACHED),
)


@click.command(cls=ConfiguredCommand, declared=SEARCH, endings=_ENDINGS, example="bazaar search 'some words of a name'")
@click.argument("name", metavar="[NAME]", required=False)
def search(name: str | None, options: OptionValues) -> None:
    """Find files by name, by words or by digest.

    A file with exactly this NAME stands first. Then come those whose names have all of its words; the last word may
    be the beginning of one. Files of one name with different contents are different files, and have different
    digests.
    """
    node = EphemeralNode.read(options)
    _check(name, options, node.method)
    wanted = Search.of(name, options["most"], exact=options["exact"], digest=options["digest"])

    async def work(reactor: Any) -> Finds:
        async with node.join(reactor, fetching_nothing, listens=False, observer=Asking(node.asked)) as member:
            return await wanted.run(member.fetcher.catalogue)

    with ending_when_interrupted():
        finds = run_in_reactor(work)
    if options["json"]:
        click.echo(json.dumps([attrs.asdict(file) for file in finds.files]))
    elif finds.files:
        finds.show(console_for_results())
    else:
        can_list = node.method.lists_everything and not options["all"]
        hint = "; bazaar search --all lists what there is" if can_list else ""
        click.echo(f"nothing was found{hint}", err=True)
    raise SystemExit(ExitStatus.DONE if finds.files else ExitStatus.NOT_FOUND)


class Asking(JoinObserver):
    """Says whom the search asks, to somebody who looks."""

    def __init__(self, asked: Availability) -> None:
        self._asked = asked
        self._is_silent = not sys.stderr.isatty()

    def joined(self, how: str) -> None:
        """Say it of the first that can be asked, and of no other."""
        if not self._is_silent:
            self._is_silent = True
            # An index server tells only where this node is found.
            whom = (
                how.removeprefix("by ")
                if how.startswith("by ")
                else f"the {self._asked.asked.name} at {', '.join(self._asked.places)}"
            )
            click.echo(f"asking {whom}", err=True)


def _check(name: str | None, options: OptionValues, method: type[DiscoveryMethod]) -> None:
    """Refuse what cannot be looked for.

    @raise UsageError: it cannot.
    """
    digest, everything = options["digest"], options["all"]
    if (name is not None) + (digest is not None) + everything != 1:
        raise UsageError("write a NAME, or --digest DIGEST, or --all")
    if name == "":
        raise UsageError("NAME: write the name of a file, or a word of it; --all lists everything")
    if digest is not None and not is_digest(digest):
        raise UsageError("--digest: takes a whole digest, 64 hexadecimal digits; bazaar search --json shows them")
    if options["exact"] and name is None:
        raise UsageError("--exact goes with a NAME")
    if everything and not method.lists_everything:
        listing = " or ".join(each.name for each in loaded_methods() if each.lists_everything)
        asked = method.asked.whole if method.asked is not None else method.name
        raise UsageError(
            f"--all goes with --via {listing}: {asked} has no list of everything; write a NAME, or a word of it"
        )
    if name is not None:
        whole_text(name, "NAME")
