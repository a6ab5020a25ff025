"""C{bazaar config}: which settings are in force, and where each was written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click
from rich import box
from rich.table import Table
from rich.text import Text

from twisted_bazaar.cli.commands.options import JSON
from twisted_bazaar.cli.commands.tables import COMMANDS
from twisted_bazaar.cli.node.configured import settings_in_force
from twisted_bazaar.cli.terminal.command import PlainCommand, PlainGroup
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import console_for_results, show_line, show_table
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.settings.environment import variable_of
from twisted_bazaar.settings.known import CONFIG, NODE, TRACKER
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.settings.values import Place, Setting, Value, without_secrets
from twisted_bazaar.taps import node, tracker
from twisted_bazaar.taps.options import DaemonOptions

_DAEMONS: Final[Mapping[str, Callable[[], DaemonOptions]]] = {NODE: node.Options, TRACKER: tracker.Options}
_PREFIX: Final = "bazaar-"
_PROGRAMS: Final = tuple(name.removeprefix(_PREFIX) for name in (*_DAEMONS, *COMMANDS))


@click.group(cls=PlainGroup)
def config() -> None:
    """Show which settings are in force, and where each was written."""


_OPTIONS: Final = (
    Option("program", f"Whose options to show: {', '.join(_PROGRAMS)}.", "PROGRAM", NODE.removeprefix(_PREFIX)),
    Option("role", "A role of the node.", "ROLE", is_many=True),
    Option("set", "Show only what somebody has set, and not what has its default."),
    Option("config", "The settings file.", "FILE", shown=f"what {variable_of(CONFIG)} names"),
    JSON,
)
_ENDINGS: Final = (
    Ending(ExitStatus.DONE),
    Ending(ExitStatus.WRONG_USE, "An option is wrong, or the program would refuse these settings."),
)


@config.command(
    cls=PlainCommand,
    declared=_OPTIONS,
    endings=_ENDINGS,
    example="bazaar config show --role seller --config bazaar.toml",
)
def show(options: OptionValues) -> None:
    """Show the value of each option, and where it was written.

    The command line wins over the variables that begin with BAZAAR_, those over the settings file, and that over
    the default of the option. Passwords are not shown.
    """
    file, program, roles = options["config"], options["program"], options["role"]
    name = program if program.startswith(_PREFIX) else f"{_PREFIX}{program}"
    if roles and name != NODE:
        raise UserError("--role goes with --program node")
    if name in _DAEMONS:
        words = [] if file is None else [f"--{CONFIG}={file}"]
        daemon = _DAEMONS[name]()
        settings = _of_daemon(daemon, [*words, *(f"--role={role}" for role in roles)])
        declared = daemon.declared
    else:
        settings = _of_command(name, file)
        declared = COMMANDS[name]
    if options["set"]:
        settings = {each: setting for each, setting in settings.items() if setting.source.place is not Place.DEFAULT}
    if options["json"]:
        click.echo(json.dumps([_row(option, setting) for option, setting in sorted(settings.items())]))
    else:
        _show(settings, {option.name: option.shown for option in declared if option.shown})


def _of_daemon(options: DaemonOptions, words: Sequence[str]) -> Mapping[str, Setting]:
    """What a daemon would have in force.

    @raise Refusal: it would not start.
    """
    try:
        options.read_words(words)
    except UsageError as error:
        raise UserError(str(error)) from None
    return options.in_force()


def _of_command(name: str, file: str | None) -> Mapping[str, Setting]:
    """What a command would have in force.

    @raise Refusal: there is no such command, or it would not run.
    """
    if name not in COMMANDS:
        raise UserError(f"--program: takes {', '.join(_PROGRAMS)}, not {name.removeprefix(_PREFIX)!r}")
    return settings_in_force(name, COMMANDS[name], file)


def _show(settings: Mapping[str, Setting], usual: Mapping[str, str]) -> None:
    """Print a row for each setting.

    @param usual: by option, what help shows for the default where that is no value.
    """
    console = console_for_results()
    if not settings:
        show_line(console, f"nothing is set; a settings file would be named by --{CONFIG} or {variable_of(CONFIG)}")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("option", "value", "source"):
        table.add_column(heading, overflow="fold")
    for option, setting in sorted(settings.items()):
        # What somebody has set is what is looked for.
        style = "dim" if setting.source.place is Place.DEFAULT else ""
        value = usual.get(option, "-") if setting.value is None else _told(option, setting.value)
        cells = (option, value, str(setting.source))
        table.add_row(*(Text("\n".join(map(printable, cell.split("\n")))) for cell in cells), style=style)
    show_table(console, table)
    if all(setting.source.place is not Place.FILE for setting in settings.values()):
        show_line(console, f"no settings file sets any of this; --{CONFIG} or {variable_of(CONFIG)} names one")


def _told(option: str, value: Value) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return _quoted(without_secrets(option, value))
        case _:
            return "\n".join(_quoted(without_secrets(option, each)) for each in value)


def _quoted(text: str) -> str:
    """A text, in quotes where it could be taken for something else."""
    return text if text.strip() == text and text not in ("", "-") else f"'{text}'"


def _row(option: str, setting: Setting) -> dict[str, Any]:
    value: Any = setting.value
    if isinstance(value, str):
        value = without_secrets(option, value)
    elif isinstance(value, tuple):
        value = [without_secrets(option, each) for each in value]
    source = setting.source
    return {
        "option": option,
        "value": value,
        "source": source.place.value,
        "where": source.name or None,
        "table": source.table or None,
    }
