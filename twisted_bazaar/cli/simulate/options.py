"""The settings of a scenario on a command line: one option each, read from a file, and written back.

Options are made from the scenario itself, so that none is forgotten; they are read as text and
checked where settings from a file are.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from twisted_bazaar.cli.terminal.errors import UserError, open_or_refuse
from twisted_bazaar.cli.terminal.programs import how_to_call
from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.option import Option
from twisted_bazaar.sim.scenario import AnyScenario, Scenario, settings_by_name
from twisted_bazaar.sim.scenario_file import ImpossibleSetting, read_file, read_scenario, settings_of
from twisted_bazaar.sim.setting_fields import Setting, Table

SETTINGS: Final = "The scenario"
SCENARIO: Final = "scenario"
_FILE: Final = Option(
    SCENARIO, "A TOML file with settings by these names; options on the command line win over it.", "FILE"
)


def scenario_options(cls: type[Scenario]) -> Sequence[Option]:
    """One option for every setting of a kind of scenario, and one for a file with them."""
    return (_FILE, *map(_option, settings_by_name(cls).values()))


def _option(setting: Setting) -> Option:
    """The option for one setting. Its text is checked where settings from a file are."""
    usual, shown = setting.usual, None
    if isinstance(usual, int | float):
        shown = f"{setting.takes}; {usual:g}"
    elif not setting.is_list:
        shown = f"{usual}"
    words = setting.help
    if setting.choices:
        words = f"{words.removesuffix('.')}: {', '.join(setting.choices)}."
    return Option(
        setting.option,
        words,
        "KIND" if setting.choices else setting.metavar,
        shown=shown,
        is_many=setting.is_list,
        group=SETTINGS,
    )


def settle_scenario(cls: type[AnyScenario], file: str | None, options: Mapping[str, Any]) -> AnyScenario:
    """The scenario that a command line asks for.

    @param file: a file with settings, if one was named.
    @param options: what stands on the command line, by the names of options.
    @raise Refusal: a setting cannot be, or the file cannot be read.
    """
    settings = {} if file is None else _read(file)
    given = _given(cls, options)
    try:
        scenario = read_scenario(cls, {**settings, **given})
    except ImpossibleSetting as error:
        if error.key.partition("[")[0] in given:
            raise UserError(f"--{_option_of(cls, error.key)}: {error.reason}") from None
        raise UserError(f"{file}: {error}" if file is not None else f"--{error}") from None
    for entry in scenario.wanted if cls.wanted_by in given else ():
        # A file may hold what was drawn, and chance does not ask whether anybody has it.
        try:
            scenario.check_there(entry)
        except ValueError as error:
            raise UserError(f"--{settings_by_name(cls)[cls.wanted_by].option} {error}") from None
    return scenario


def replaying(scenario: Scenario, file: str | None, options: Mapping[str, Any]) -> str:
    """The command that makes exactly this run again, to be copied into a shell.

    What a file says is left to the file; the rest is named.
    """
    cls = type(scenario)
    words = [] if file is None else ["--scenario", file]
    unusual, values = settings_of(scenario), msgspec.to_builtins(scenario)
    named = unusual if file is None else _given(cls, options)
    for name, setting in settings_by_name(cls).items():
        if name in named:
            value = unusual.get(name, values[name])
            for each in value if setting.is_list else [value]:
                words += [f"--{setting.option}", str(each) if setting.table is None else _written(each)]
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
    for name, setting in settings_by_name(cls).items():
        value = options.get(setting.option)
        if setting.is_list and value:
            given[name] = [each if setting.table is None else _entry(setting, setting.table, each) for each in value]
        elif value is not None and not setting.is_list:
            given[name] = _number(value, type(setting.usual)) if isinstance(setting.usual, int | float) else value
    return given


def _entry(setting: Setting, table: type[Table], word: str) -> dict[str, Any]:
    """A table from an option, its parts with colons between.

    @raise Refusal: it has too few parts, or too many.
    """
    fields = msgspec.structs.fields(table)
    values = word.split(":")
    if not sum(field.required for field in fields) <= len(values) <= len(fields):
        raise UserError(f"--{setting.option}: takes {table.shape()}, not {word!r}")
    entry: dict[str, Any] = dict(zip((field.encode_name for field in fields), values, strict=False))
    for field in fields:
        if field.encode_name in entry and isinstance(field.default, int | float):
            entry[field.encode_name] = _number(entry[field.encode_name], type(field.default))
    if "nodes" in entry:
        entry["nodes"] = entry["nodes"].split(",")
    return entry


def _written(table: Mapping[str, Any]) -> str:
    """An option from a table."""
    return ":".join(",".join(value) if isinstance(value, list) else str(value) for value in table.values())


def _number(text: str, kind: type) -> Any:
    """A number, or the text itself if it is none; the check of settings says what it should be."""
    try:
        return kind(text)
    except ValueError:
        return text


def _option_of(cls: type[Scenario], key: str) -> str:
    """How the command line names a setting, or a part of one."""
    name, bracket, rest = key.partition("[")
    part = rest.partition(".")[2] if bracket else ""
    return f"{settings_by_name(cls)[name].option} {part}".rstrip()
