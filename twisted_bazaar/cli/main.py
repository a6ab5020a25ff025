"""The C{bazaar} command line. Each command lives in a module of its own, imported when it is run."""

from __future__ import annotations

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="twisted_bazaar", prog_name="bazaar")
def main() -> None:
    """A peer-to-peer market on Twisted.

    The market itself runs as daemons: see twistd bazaar-tracker --help and twistd bazaar-node --help.
    """


@main.command()
def demo() -> None:
    """Open a market on this machine, watch it trade, and check its books.

    Starts a tracker, relays, sellers and buyers as processes on loopback, and stops them all again.
    It takes about ten seconds, writes only to a temporary directory, and opens nothing to other
    machines. Ends with status 0 when everything it promises has happened, else with 1.
    """
    from twisted_bazaar.cli.demo import run_demo

    raise SystemExit(run_demo())
