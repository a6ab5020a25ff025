"""The settings of a scenario on a command line: one option each, read from a file, and written back.

Options are made from the scenario itself, so that none is forgotten; they are read as text and
checked where settings from a file are.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from twisted_bazaar.cli.simulate.option_help import HELP, METAVARS, ONE_OF, SHAPES
from twisted_bazaar.cli.terminal.errors import UserError, open_or_refuse
from twisted_bazaar.cli.terminal.programs import how_to_call
from twisted_bazaar.errors import UsageError
from twisted_bazaar.sim.scenario import AnyScenario, Scenario
from twisted_bazaar.sim.scenario_file import (
    ImpossibleSetting,
    entries_of,
    read_file,
    read_scenario,
    setting_choices,
    setting_takes,
    settings_of,
    usual_settings,
)

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


class _Choice(click.Choice):  # type: ignore[type-arg] # older versions take none
    """One of a few words. Whether it is one of them is checked where settings from a file are."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take it as it is."""
        return str(value)


def scenario_options(cls: type[Scenario]) -> Callable[[_Decorated], _Decorated]:
    """Gives a command one option for every setting of a kind of scenario, and one for a file with them."""

    def decorate(command: _Decorated) -> _Decorated:
        for name, usual in reversed(list(usual_settings(cls).items())):
            command = _option(cls, name, usual)(command)
        words = "A TOML file with settings by these names; options on the command line win over it."
        return click.option("--scenario", "scenario_file", metavar="FILE", help=words)(command)

    return decorate


def _option(cls: type[Scenario], name: str, usual: Any) -> Callable[[_Decorated], _Decorated]:
    """The option for one setting."""
    words = HELP[cls.name][name]
    choices = setting_choices(cls, f"{name}[0]" if name in ONE_OF and name not in SHAPES else name)
    shape = METAVARS.get(name) or {int: "N", float: "X"}.get(type(usual), "TEXT")
    if isinstance(usual, int | float):
        words += f"  [{setting_takes(cls, name)}; {usual:g}]"
    elif name not in ONE_OF:
        words += f"  [{usual}]"
    return click.option(
        f"--{ONE_OF.get(name, name)}",
        name.replace("-", "_"),
        type=_Choice(choices) if choices else str,
        metavar=None if choices else shape,
        multiple=name in ONE_OF,
        help=words,
    )


def settle_scenario(cls: type[AnyScenario], file: str | None, options: Mapping[str, Any]) -> AnyScenario:
    """The scenario that a command line asks for.

    @param file: a file with settings, if one was named.
    @param options: the settings on the command line, by the names of their parameters.
    @raise Refusal: a setting cannot be, or the file cannot be read.
    """
    settings = {} if file is None else _read(file)
    given = _given(cls, options)
    try:
        scenario = read_scenario(cls, {**settings, **given})
    except ImpossibleSetting as error:
        if error.key.partition("[")[0] in given:
            raise UserError(f"--{_option_of(error.key)}: {error.reason}") from None
        raise UserError(f"{file}: {error}" if file is not None else f"--{error}") from None
    for entry in scenario.wanted if cls.wanted_by in given else ():
        # A file may hold what was drawn, and chance does not ask whether anybody has it.
        try:
            scenario.check_there(entry)
        except ValueError as error:
            raise UserError(f"--{ONE_OF[cls.wanted_by]} {error}") from None
    return scenario


def replaying(scenario: Scenario, file: str | None, options: Mapping[str, Any]) -> str:
    """The command that makes exactly this run again, to be copied into a shell.

    What a file says is left to the file; the rest is named.
    """
    cls = type(scenario)
    words = [] if file is None else ["--scenario", file]
    unusual, entries, settings = settings_of(scenario), entries_of(cls), msgspec.to_builtins(scenario)
    named = unusual if file is None else _given(cls, options)
    for name in usual_settings(cls):
        if name in named:
            value = unusual.get(name, settings[name])
            for each in value if isinstance(value, list) else [value]:
                words += [f"--{ONE_OF.get(name, name)}", _written(each) if name in entries else str(each)]
    return f"{how_to_call('bazaar')} simulate {cls.name} {shlex.join(words)}"


def replaying_file(cls: type[Scenario], path: Path) -> str:
    """The command that runs what a file holds, to be copied into a shell."""
    return f"{how_to_call('bazaar')} simulate {cls.name} --scenario {shlex.quote(str(path))}"


def _read(path: str) -> dict[str, Any]:
    with open_or_refuse(path, "rb", "--scenario") as file:
        try:
            return read_file(file.read(), path)
        except OSError as error:
            raise UserError(f"--scenario {path}: {error.strerror}") from None
        except UsageError as error:
            raise UserError(str(error)) from None


def _given(cls: type[Scenario], options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that stand on the command line, as a file would hold them."""
    given: dict[str, Any] = {}
    entries = entries_of(cls)
    for name, usual in usual_settings(cls).items():
        value = options.get(name.replace("-", "_"))
        if name in entries and value:
            given[name] = [_entry(entries[name], name, word) for word in value]
        elif name in ONE_OF and value:
            given[name] = list(value)
        elif value is not None and name not in ONE_OF:
            given[name] = _number(value, type(usual)) if isinstance(usual, int | float) else value
    return given


def _entry(shape: type[msgspec.Struct], setting: str, word: str) -> dict[str, Any]:
    """A table from an option, its parts with colons between.

    @raise Refusal: it has too few parts, or too many.
    """
    fields = msgspec.structs.fields(shape)
    values = word.split(":")
    if not sum(field.required for field in fields) <= len(values) <= len(fields):
        raise UserError(f"--{ONE_OF[setting]}: takes {SHAPES[setting]}, not {word!r}")
    table: dict[str, Any] = dict(zip((field.encode_name for field in fields), values, strict=False))
    for field in fields:
        if field.encode_name in table and isinstance(field.default, int | float):
            table[field.encode_name] = _number(table[field.encode_name], type(field.default))
    if "nodes" in table:
        table["nodes"] = table["nodes"].split(",")
    return table


def _written(table: Mapping[str, Any]) -> str:
    """An option from a table."""
    return ":".join(",".join(value) if isinstance(value, list) else str(value) for value in table.values())


def _number(text: str, kind: type) -> Any:
    """A number, or the text itself if it is none; the check of settings says what it should be."""
    try:
        return kind(text)
    except ValueError:
        return text


def _option_of(key: str) -> str:
    """How the command line names a setting, or a part of one."""
    name, bracket, rest = key.partition("[")
    part = rest.partition(".")[2] if bracket else ""
    return f"{ONE_OF.get(name, name)} {part}".rstrip()
