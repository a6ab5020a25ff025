"""Values of options, each with the place where it was written. Sans-IO."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import frozen

# Greedy: a password may hold any character, also those that end it elsewhere.
_IN_ADDRESS: Final = re.compile(r"(://[^\s:/@]*):\S*@")
_BY_NAME: Final = re.compile(r"(?i)\b(\w*(?:passw|secret|token)\w*\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)")
_SECRET: Final = re.compile(r"(?i)passw|passphrase|secret|token")
_OPTION: Final = re.compile(r"--([A-Za-z][\w-]*)")
_STARS: Final = "***"

Value = bool | str | tuple[str, ...]
"""Of an option that is switched on or off, that takes one text, and that may be given several times."""


class Kind(Enum):
    """The kind of value that an option takes."""

    FLAG = "flag"
    ONE = "one"
    MANY = "many"


Kinds = Mapping[str, Kind]
"""The options of a program by name, without dashes in front."""


class Place(Enum):
    """A layer in which a value can be written, the lowest first."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    OPTION = "option"


@frozen
class Source:
    """The place where a value was written.

    @ivar name: the path of the file, or the variable; empty for the other layers.
    @ivar table: the table of the file; empty for its top.
    """

    place: Place
    name: str = ""
    table: str = ""

    def __str__(self) -> str:
        if self.place is Place.OPTION:
            return "command line"
        return (self.name or self.place.value) + (f" [{self.table}]" if self.table else "")


DEFAULT: Final = Source(Place.DEFAULT)
TYPED: Final = Source(Place.OPTION)


@frozen
class Setting:
    """The value of an option, and where it was written; None where it has no value."""

    value: Value | None
    source: Source


Settings = Mapping[str, Setting]


def merged(*layers: Settings) -> dict[str, Setting]:
    """The settings in force: of each option the value of the highest layer, whole.

    A list in a higher layer stands instead of one in a lower, and is not added to it.

    @param layers: the lowest first.
    """
    return {name: setting for layer in layers for name, setting in layer.items()}


def as_words(settings: Settings) -> list[str]:
    """The words of a command line that say the same."""
    words = []
    for name, setting in settings.items():
        match setting.value:
            case True:
                words.append(f"--{name}")
            case str(text):
                words.append(f"--{name}={text}")
            case tuple(texts):
                words.extend(f"--{name}={text}" for text in texts)
    return words


def with_sources(text: str, settings: Settings) -> str:
    """The text of an error about options, with where those were written that are not on the command line.

    @param text: it names options as C{--name}.
    """
    names = [name for name in dict.fromkeys(_OPTION.findall(text)) if name in settings]
    return "; ".join([text, *(f"--{name} is from {settings[name].source}" for name in names)])


def without_secrets(name: str, text: str) -> str:
    """The value of an option as it may be shown: without passwords.

    @param name: of the option.
    """
    if _SECRET.search(name):
        return _STARS
    return _BY_NAME.sub(rf"\1{_STARS}", _IN_ADDRESS.sub(rf"\1:{_STARS}@", text))
