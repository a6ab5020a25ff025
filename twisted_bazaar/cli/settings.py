"""The settings of a scenario on a command line: one option each, read from a file, and written back.

Options are made from the scenario itself, so that none is forgotten; they are read as text and
checked where settings from a file are.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec
from attrs import frozen

from twisted_bazaar.cli.programs import how_to_call
from twisted_bazaar.cli.refusal import Refusal, open_or_refuse
from twisted_bazaar.errors import UsageError
from twisted_bazaar.sim.scenario import FaultEntry, PurchaseEntry, Scenario, told_items
from twisted_bazaar.sim.scenario_file import (
    ImpossibleSetting,
    read_file,
    read_scenario,
    setting_choices,
    setting_takes,
    settings_of,
)

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

_FAULT: Final = "KIND:AT:FOR:NODE,NODE or KIND:AT:FOR:NODE,NODE:STRENGTH, such as pause:30s:10s:seller-1"
_PURCHASE: Final = "BUYER:AT:ITEM or BUYER:AT:ITEM:QUANTITY, such as buyer-2:31s:item-4:3"
HELP: Final[Mapping[str, str]] = {
    "nodes": "How many nodes there are, buyers and sellers among them; the tracker comes on top.",
    "sellers": "How many of them sell.",
    "buyers": "How many of them buy.",
    "seed": "Decides everything that chance decides: the same seed is the same run.",
    "for": "How long faults, churn and wants go on.",
    "settle": "How long after that every want that can be met may take.",
    "mode": "With liveness faults end, and every want is to be met then; with safety they never do.",
    "loss": "The share of packets that get lost.",
    "churn": "The share of relays and sellers that leave in a minute, half of them without a word.",
    "sessions": "How long they stay: exponential or weibull:SHAPE; the mean follows from --churn.",
    "degree": "How many links each node wants at least.",
    "max-links": "How many links it takes at most.",
    "latency": "Between two hosts: 20ms, uniform:5ms:80ms or lognormal:20ms:0.5 (median and sigma).",
    "bandwidth": "Bytes a second from each host to each other.",
    "items": "How many kinds of goods there are.",
    "stock": "How many pieces of an item a seller has.",
    "kinds": "How many kinds of goods a seller has.",
    "wants": "How many purchases each buyer makes, spread over the run.",
    "faults-a-minute": "How many faults begin in a minute, on average.",
    "fault-kinds": "A kind of fault to draw; may be given several times. All kinds if not given.",
    "faults": f"A fault that is sure to happen, {_FAULT}; may be given several times.",
    "purchases": f"Something that is sure to be wanted, {_PURCHASE}; may be given several times.",
}
_METAVARS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("for", "settle"), "TIME"),
    "faults": "FAULT",
    "purchases": "PURCHASE",
}


@frozen
class _Entry:
    """A setting that holds tables, each of which is one option.

    @ivar parts: the keys of a table, as an option has them, with colons between.
    @ivar least: how many of them there have to be.
    @ivar takes: the same in words.
    """

    shape: type[msgspec.Struct]
    parts: Sequence[str]
    least: int
    takes: str

    def read(self, option: str, word: str) -> dict[str, Any]:
        """A table from an option.

        @raise Refusal: it has too few parts, or too many.
        """
        values = word.split(":")
        if not self.least <= len(values) <= len(self.parts):
            raise Refusal(f"--{option}: takes {self.takes}, not {word!r}")
        table: dict[str, Any] = dict(zip(self.parts, values, strict=False))
        for field in msgspec.structs.fields(self.shape):
            if field.encode_name in table and isinstance(field.default, int | float):
                table[field.encode_name] = _number(table[field.encode_name], type(field.default))
        if "nodes" in table:
            table["nodes"] = table["nodes"].split(",")
        return table

    def write(self, table: Mapping[str, Any]) -> str:
        """An option from a table."""
        values = [",".join(value) if isinstance(value, list) else str(value) for value in table.values()]
        return ":".join(values)


# Settings that are lists, and what the option for one entry is called.
_ONE_OF: Final[Mapping[str, str]] = {"fault-kinds": "fault-kind", "faults": "fault", "purchases": "purchase"}
_ENTRIES: Final[Mapping[str, _Entry]] = {
    "faults": _Entry(FaultEntry, FaultEntry.__struct_encode_fields__, 4, _FAULT),
    "purchases": _Entry(PurchaseEntry, PurchaseEntry.__struct_encode_fields__, 3, _PURCHASE),
}


class _Choice(click.Choice):  # type: ignore[type-arg] # older versions take none
    """One of a few words. Whether it is one of them is checked where settings from a file are."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take it as it is."""
        return str(value)


def scenario_options(command: _Decorated) -> _Decorated:
    """Give a command one option for every setting, and one for a file with them."""
    for name, usual in reversed(msgspec.to_builtins(Scenario()).items()):
        words, choices = HELP[name], setting_choices("fault-kinds[0]" if name == "fault-kinds" else name)
        shape = _METAVARS.get(name) or {int: "N", float: "X"}.get(type(usual), "TEXT")
        if isinstance(usual, int | float):
            words += f"  [{setting_takes(name)}; {usual:g}]"
        elif name not in _ONE_OF:
            words += f"  [{usual}]"
        command = click.option(
            f"--{_ONE_OF.get(name, name)}",
            name.replace("-", "_"),
            type=_Choice(choices) if choices else str,
            metavar=None if choices else shape,
            multiple=name in _ONE_OF,
            help=words,
        )(command)
    words = "A TOML file with settings by these names; options on the command line win over it."
    return click.option("--scenario", "scenario_file", metavar="FILE", help=words)(command)


def settle_scenario(file: str | None, options: Mapping[str, Any]) -> Scenario:
    """The scenario that a command line asks for.

    @param file: a file with settings, if one was named.
    @param options: the settings on the command line, by the names of their parameters.
    @raise Refusal: a setting cannot be, or the file cannot be read.
    """
    settings = {} if file is None else _read(file)
    given = _given(options)
    try:
        scenario = read_scenario({**settings, **given})
    except ImpossibleSetting as error:
        if error.key.partition("[")[0] in given:
            raise Refusal(f"--{_option_of(error.key)}: {error.reason}") from None
        raise Refusal(f"{file}: {error}" if file is not None else f"--{error}") from None
    for purchase in scenario.purchases if "purchases" in given else ():
        # A file may hold what was drawn, and chance does not ask whether anybody sells it.
        if purchase.item not in scenario.stocked_items:
            had = told_items(scenario.stocked_items)
            raise Refusal(f"--purchase item: takes what sellers have, {had}, not {purchase.item!r}")
    return scenario


def replaying(scenario: Scenario, file: str | None, options: Mapping[str, Any]) -> str:
    """The command that makes exactly this run again, to be copied into a shell.

    What a file says is left to the file; the rest is named.
    """
    words = [] if file is None else ["--scenario", file]
    unusual = settings_of(scenario)
    named = unusual if file is None else _given(options)
    for name, value in {**msgspec.to_builtins(scenario), **unusual}.items():
        if name in named:
            for each in value if isinstance(value, list) else [value]:
                word = _ENTRIES[name].write(each) if name in _ENTRIES else str(each)
                words += [f"--{_ONE_OF.get(name, name)}", word]
    return f"{how_to_call('bazaar')} simulate market {shlex.join(words)}"


def replaying_file(path: Path) -> str:
    """The command that runs what a file holds, to be copied into a shell."""
    return f"{how_to_call('bazaar')} simulate market --scenario {shlex.quote(str(path))}"


def _read(path: str) -> dict[str, Any]:
    with open_or_refuse(path, "rb", "--scenario") as file:
        try:
            return read_file(file.read(), path)
        except OSError as error:
            raise Refusal(f"--scenario {path}: {error.strerror}") from None
        except UsageError as error:
            raise Refusal(str(error)) from None


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that stand on the command line, as a file would hold them."""
    given: dict[str, Any] = {}
    for name, usual in msgspec.to_builtins(Scenario()).items():
        value = options.get(name.replace("-", "_"))
        if name in _ENTRIES and value:
            given[name] = [_ENTRIES[name].read(_ONE_OF[name], word) for word in value]
        elif name in _ONE_OF and value:
            given[name] = list(value)
        elif value is not None and name not in _ONE_OF:
            given[name] = _number(value, type(usual)) if isinstance(usual, int | float) else value
    return given


def _number(text: str, kind: type) -> Any:
    """A number, or the text itself if it is none; the check of settings says what it should be."""
    try:
        return kind(text)
    except ValueError:
        return text


def _option_of(key: str) -> str:
    """How the command line names a setting, or a part of one."""
    name, bracket, rest = key.partition("[")
    return (
        _ONE_OF.get(name, name) if not bracket or name == "fault-kinds" else f"{_ONE_OF[name]} {rest.partition('.')[2]}"
    )
