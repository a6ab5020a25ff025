"""C{bazaar search}: who has what."""

from __future__ import annotations

import json
from typing import Any, Final

import attrs
import click

from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.node.ephemeral_node import EphemeralNode, fetching_nothing
from twisted_bazaar.cli.node.found import Finds, Search
from twisted_bazaar.cli.node.join_options import finds_files
from twisted_bazaar.cli.terminal.errors import UserError, whole_number, whole_text
from twisted_bazaar.cli.terminal.results import console_for_results
from twisted_bazaar.cli.terminal.session import NOT_FOUND, ending_when_interrupted, run_in_reactor
from twisted_bazaar.roles.fetching import is_digest

_USUAL_MOST: Final = 100
_MOST: Final = 1_000_000


@click.command(cls=ConfiguredCommand)
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--exact", is_flag=True, help="Only files with exactly this name.")
@click.option("--digest", metavar="DIGEST", help="Files with this content: SHA-256, 64 hexadecimal digits.")
@click.option("--all", "everything", is_flag=True, help="All files there are.")
@click.option(
    "--most",
    type=whole_number("--most", 1, _MOST),
    default=_USUAL_MOST,
    metavar="N",
    help=f"Show no more than these.  [{_USUAL_MOST}]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, an object for each file.")
@finds_files
def search(
    name: str | None,
    exact: bool,
    digest: str | None,
    everything: bool,
    most: int,
    as_json: bool,
    membership: EphemeralNode,
) -> None:
    """Look for files.

    A file with exactly this NAME stands first; then those that have all its words, the last of which may be only
    begun. Files of one name with different contents are different files, and have different digests.

    Ends with status 0 when something was found, with 3 when nothing was.
    """
    _check(name, exact, digest, everything, membership)
    wanted = Search.of(name, most, exact=exact, digest=digest)

    async def work(reactor: Any) -> Finds:
        async with membership.join(reactor, fetching_nothing, listens=False) as member:
            return await wanted.run(member.fetcher.catalogue)

    with ending_when_interrupted():
        finds = run_in_reactor(work)
    if as_json:
        click.echo(json.dumps([attrs.asdict(file) for file in finds.files]))
    elif finds.files:
        finds.show(console_for_results())
    else:
        hint = "; bazaar search --all lists what there is" if membership.lists_everything and not everything else ""
        click.echo(f"nothing was found{hint}", err=True)
    raise SystemExit(0 if finds.files else NOT_FOUND)


def _check(name: str | None, exact: bool, digest: str | None, everything: bool, membership: EphemeralNode) -> None:
    """Refuse what cannot be looked for.

    @raise Refusal: it cannot.
    """
    if (name is not None) + (digest is not None) + everything != 1:
        raise UserError("write a NAME, or --digest DIGEST, or --all")
    if name == "":
        raise UserError("NAME: write the name of a file, or a word of it; --all lists everything")
    if digest is not None and not is_digest(digest):
        raise UserError("--digest: takes a whole digest, 64 hexadecimal digits; bazaar search --json shows them")
    if exact and name is None:
        raise UserError("--exact goes with a NAME")
    if everything and not membership.lists_everything:
        asked = "a ring has" if membership.via == "ring" else "super peers have"
        raise UserError(f"--all goes with --via index: {asked} no list of everything; write a NAME, or a word of it")
    if name is not None:
        whole_text(name, "NAME")
