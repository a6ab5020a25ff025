"""All commands of a group, and of the groups in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click


def commands_below(group: click.Group, words: Sequence[str] = ()) -> Iterator[tuple[Sequence[str], click.Command]]:
    """Each command, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, "it is listed"
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from commands_below(command, (*words, name))
