"""Scenarios in files: read from TOML, written as TOML, and words for what cannot be.

What is impossible is refused with the name of the setting and what it may be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.option import hint_on_commas
from twisted_bazaar.sim.scenario import AnyScenario, Scenario, setting_names, settings_by_name
from twisted_bazaar.sim.setting_fields import Table, setting_takes, value_at

_AT_KEY: Final = re.compile(r"^(?P<reason>.*) - at `\$\.?(?P<key>[^`]*)`$", re.DOTALL)
_OWN_WORDS: Final = re.compile(r"^(?P<key>[a-z-]+(\[\d+\]\.[a-z-]+)?): (?P<reason>.*)$", re.DOTALL)


class ImpossibleSetting(UsageError):
    """A setting that cannot be.

    @ivar key: its name, as a file has it; empty when it is not one setting.
    @ivar reason: what it may be, and what it is not to be.
    """

    def __init__(self, key: str, reason: str) -> None:
        self.key = key
        self.reason = reason
        super().__init__(f"{key}: {reason}" if key else reason)


def read_scenario(cls: type[AnyScenario], settings: Mapping[str, Any]) -> AnyScenario:
    """Make a scenario from settings by their names.

    @raise ImpossibleSetting: one cannot be; the text names it and what it may be.
    """
    try:
        return msgspec.convert(settings, cls)
    except msgspec.ValidationError as error:
        raise _impossible(cls, str(error), settings) from None


def read_file(text: bytes, source: str) -> dict[str, Any]:
    """The settings in a TOML file.

    @raise UsageError: it is no TOML.
    """
    try:
        settings = msgspec.toml.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{source}: this is no TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{source}: this is nested too deeply for a scenario") from None
    assert isinstance(settings, dict), "a TOML file is a table"
    return settings


def write_file(scenario: Scenario) -> str:
    """A TOML file that holds a scenario: its seed, and every setting that is not the usual one."""
    settings, tables = settings_of(scenario), entries_of(type(scenario))
    lines = [f"{key} = {_toml(value)}" for key, value in settings.items() if key not in tables]
    for key in tables:
        for entry in settings.get(key, ()):
            lines.extend(("", f"[[{key}]]", *(f"{name} = {_toml(value)}" for name, value in entry.items())))
    return "\n".join(lines) + "\n"


def settings_of(scenario: Scenario) -> dict[str, Any]:
    """What makes a scenario when it is read: its seed, and every setting that is not the usual one."""
    usual, settings = usual_settings(type(scenario)), msgspec.to_builtins(scenario)
    unusual = {key: settings[key] for key in usual if key == "seed" or settings[key] != usual[key]}
    for key, entry_cls in entries_of(type(scenario)).items():
        if key in unusual:
            fields = {field.encode_name: field.default for field in msgspec.structs.fields(entry_cls)}
            unusual[key] = [
                {name: value for name, value in entry.items() if value != fields[name]} for entry in unusual[key]
            ]
    return unusual


@cache
def usual_settings(cls: type[Scenario]) -> Mapping[str, Any]:
    """Every setting of a kind of scenario with what it is unless it is given, in their order."""
    return {name: setting.usual for name, setting in settings_by_name(cls).items()}


@cache
def entries_of(cls: type[Scenario]) -> Mapping[str, type[Table]]:
    """The settings of a kind of scenario that are lists of tables, and what these hold."""
    return {name: setting.table for name, setting in settings_by_name(cls).items() if setting.table is not None}


def _impossible(cls: type[Scenario], error: str, settings: Mapping[str, Any]) -> ImpossibleSetting:
    """Say in words of this house what was wrong with settings."""
    place = _AT_KEY.match(error)
    key, reason = (place["key"], place["reason"]) if place else ("", error)
    own = _OWN_WORDS.match(reason)
    if own:
        # What a class checks by itself names the setting.
        return ImpossibleSetting(own["key"], own["reason"])
    for wrong, words in (("unknown field", "there is no setting {}"), ("missing required field", "{} is missing")):
        if wrong in reason:
            entry = entries_of(cls).get(key.partition("[")[0])
            names = ", ".join(setting_names(cls) if entry is None else entry.__struct_encode_fields__)
            return ImpossibleSetting(key, f"{words.format(reason.split('`')[-2])}; the settings are {names}")
    value = value_at(settings, key)
    return ImpossibleSetting(key, f"takes {setting_takes(cls, key)}, not {value!r}{hint_on_commas(value)}")


def _toml(value: object) -> str:
    """A value as TOML writes it; for numbers, strings and lists of them JSON is the same, but for one character."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
