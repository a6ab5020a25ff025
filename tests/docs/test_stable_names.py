"""Names that people and their programs have written down stay what they are: events, options, commands, messages.

They stand in C{stable_names.json}, one after the other; a new one is added there, and none is taken away or written in
another way. Whatever has changed, C{python -m tests.docs.test_stable_names} writes the file anew, to be looked at.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click
from twisted.trial.unittest import SynchronousTestCase

from tests.docs.pages import ROOT
from twisted_bazaar.cli.main import main
from twisted_bazaar.plugin import declare_messages, known_roles, load_roles
from twisted_bazaar.settings.known import kinds_of
from twisted_bazaar.taps import node, tracker
from twisted_bazaar.wire.message import MESSAGE_TYPES

_FILE: Final = Path(__file__).with_name("stable_names.json")
# Who is told of an event: a node, or something that tells one.
_TELLERS: Final = frozenset({"report", "_report", "_tell", "enter", "_enter"})


def events() -> Iterator[str]:
    """The names of all events that the package reports."""
    for path in (ROOT / "twisted_bazaar").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match call:
                case ast.Call(func=ast.Attribute(attr=teller), args=[ast.Constant(value=str(name)), *_]) if (
                    teller in _TELLERS
                ):
                    yield name


def commands(group: click.Group, words: Sequence[str] = ()) -> Iterator[tuple[str, list[str]]]:
    """Each command with its options."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, "it is listed"
        options = [text for each in command.params for text in (*each.opts, *each.secondary_opts)]
        yield " ".join((*words, name)), sorted(text for text in options if text.startswith("-"))
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))


def names() -> Mapping[str, object]:
    """All names as they are now."""
    declare_messages()
    load_roles()
    return {
        "events": sorted(set(events())),
        # Tests declare some of their own.
        "messages": sorted(n for n, each in MESSAGE_TYPES.items() if each.__module__.startswith("twisted_bazaar.")),
        "options of bazaar-node": sorted(kinds_of(node.Options().declared)),
        "options of bazaar-tracker": sorted(kinds_of(tracker.Options.declared)),
        "options of roles": {plugin.name: sorted(kinds_of(plugin.options())) for plugin in known_roles()},
        "options of commands": dict(sorted(commands(main))),
    }


class StableNameTests(SynchronousTestCase):
    """They are what they were."""

    maxDiff = None

    def test_names(self) -> None:
        """Each name that there was is there, and each that there is stands in the list."""
        before, now = json.loads(_FILE.read_text(encoding="utf-8")), names()
        self.assertEqual(sorted(before), sorted(now))
        for kind, known in before.items():
            self.assertEqual(known, now[kind], f"{kind}: see {_FILE.name}")


if __name__ == "__main__":
    _FILE.write_text(json.dumps(names(), indent=1) + "\n", encoding="utf-8")
