"""The page of options has each option of each program and role, as it is declared.

Whatever has changed, C{python -m tests.docs.test_options_page} writes the page anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.docs.pages import ROOT
from twisted_bazaar.cli.commands.tables import COMMANDS
from twisted_bazaar.plugin import known_roles
from twisted_bazaar.settings.environment import variable_of
from twisted_bazaar.settings.help import grouped
from twisted_bazaar.settings.known import NEVER_SET
from twisted_bazaar.settings.option import Option
from twisted_bazaar.taps import node, tracker

PAGE: Final = ROOT / "docs/options.md"
_HEAD: Final = """\
# Options

Each option of the daemons, of the commands that are nodes for a while, and of those that ask a node that runs. They can
stand on the command line, in a [settings file](howto/settings.md) and in the environment; `--help` shows the same.
A command that has others under it, such as `bazaar ring`, stands here with the options of all of them.

"""


def options() -> Mapping[str, Sequence[Option]]:
    """The options of each program and role, by the heading of the page."""
    every_node = node.Options().declared
    roles = {f"`--role {plugin.name}`": plugin.options() for plugin in known_roles() if _is_ours(plugin)}
    own = {role: [each for each in added if each.name not in _names(every_node)] for role, added in roles.items()}
    for plugin in known_roles():
        # It stands with every node, with another default.
        if _is_ours(plugin) and plugin.listen() is not None:
            own[f"`--role {plugin.name}`"].append(evolve(node.listen_option([plugin]), group=""))
    return {
        "`bazaar-tracker`": tracker.Options.declared,
        "`bazaar-node`": every_node,
        **{role: added for role, added in own.items() if added},
        **{f"`{name.replace('-', ' ')}`": declared for name, declared in COMMANDS.items()},
    }


def _is_ours(plugin: object) -> bool:
    return str(getattr(plugin, "module", "")).startswith("twisted_bazaar.")


def _names(declared: Sequence[Option]) -> set[str]:
    return {option.name for option in declared}


def lines() -> Iterator[str]:
    """The page."""
    yield _HEAD
    for heading, declared in options().items():
        yield f"## {heading}\n\n"
        for group, members in grouped(declared).items():
            yield f"### {group}\n\n" if len(grouped(declared)) > 1 else ""
            yield "| Option | Variable | What it does |\n|---|---|---|\n"
            for option in members:
                yield f"| {_typed(option)} | {_variable(option)} | {_told(option)} |\n"
            yield "\n"


def _typed(option: Option) -> str:
    metavar = f" {option.metavar}" if option.metavar else ""
    words = [f"`--{option.name}{metavar}`".replace("|", "\\|")]
    return ", ".join([*words, *([f"`-{option.short}`"] if option.short else ())])


def _variable(option: Option) -> str:
    return "" if option.name in NEVER_SET else f"`{variable_of(option.name)}`"


def _told(option: Option) -> str:
    return option.described.replace("|", "\\|")


def text() -> str:
    """The whole page."""
    return "".join(lines()).rstrip("\n") + "\n"


class OptionsPageTests(SynchronousTestCase):
    """The page is what the declarations say."""

    maxDiff = None

    def test_page(self) -> None:
        """It is as it would be written now."""
        self.assertEqual(PAGE.read_text(encoding="utf-8"), text(), "python -m tests.docs.test_options_page writes it")


if __name__ == "__main__":
    Path(PAGE).write_text(text(), encoding="utf-8")
