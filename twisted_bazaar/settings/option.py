"""Options, declared once: command lines, settings files, help and pages are made from that. Sans-IO."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Self

from attrs import field, frozen

from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.values import DEFAULT, TYPED, Kind, Place, Setting, Value

Read = Callable[[str, str], Any]
"""Makes a value of a text; the second is the option as it is typed, C{--name}, for the error. Raises UsageError."""

_REPEATED: Final = "; may be repeated."
_GROUPED: Final = re.compile(r"[0-9]{1,3}(,[0-9]{3})+")


def as_text(text: str, option: str) -> str:
    """A value that is a text."""
    return text


def hint_on_commas(value: object) -> str:
    """What is added to a refusal of a number that was written with commas, as messages write it; empty for all else."""
    is_grouped = isinstance(value, str) and _GROUPED.fullmatch(value) is not None
    return "; write numbers without commas" if is_grouped else ""


def whole_number(least: int, most: int) -> Read:
    """A reader of whole numbers.

    @param least: the smallest that is taken.
    @param most: the largest.
    """

    def read(text: str, option: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most:
            return int(text)
        raise UsageError(f"{option} {text!r}: takes a whole number from {least:,} to {most:,}{hint_on_commas(text)}")

    return read


@frozen
class Option:
    """An option of a program or a role.

    @ivar name: without dashes.
    @ivar help: what it does, in one sentence.
    @ivar metavar: what it takes, such as C{N}; None for one that is only switched on.
    @ivar default: the text that counts where none is given.
    @ivar shown: what help shows for the default, where that is not the text.
    @ivar is_many: whether it may be given several times.
    @ivar short: a letter that may stand for it.
    @ivar group: the heading under which help shows it.
    @ivar read: makes a value of its text.
    """

    name: str
    help: str
    metavar: str | None = None
    default: str | None = None
    shown: str | None = None
    is_many: bool = False
    short: str | None = None
    group: str = ""
    read: Read = field(default=as_text, eq=False)

    @property
    def kind(self) -> Kind:
        """The kind of value that it takes."""
        if self.metavar is None:
            return Kind.FLAG
        return Kind.MANY if self.is_many else Kind.ONE

    @property
    def described(self) -> str:
        """Its help, and what counts where it is not given."""
        text = f"{self.help.removesuffix('.')}{_REPEATED}" if self.is_many else self.help
        shown = self.shown or self.default
        return f"{text} [{shown}]" if shown else text

    @property
    def usual(self) -> Setting:
        """The value where nobody has set one."""
        return Setting(False if self.metavar is None else self.default, DEFAULT)

    def value(self, setting: Setting) -> Any:
        """The value of a setting.

        @return: of a flag a bool; of an option that may be given several times a tuple; else what L{read} makes of
            the text, None if there is none.
        @raise UsageError: it is not what the option takes.
        """
        match setting.value:
            case tuple(texts):
                return tuple(self.read(text, f"--{self.name}") for text in texts)
            case str(text):
                value = self.read(text, f"--{self.name}")
                return (value,) if self.is_many else value
            case None:
                return () if self.is_many else None
        return setting.value


class OptionValues(Mapping[str, Any]):
    """The values of a program's options.

    Each is read when it is asked for: what a file says to several programs may be wrong where nobody heeds it.

    @param options: those that the program has.
    @param settings: by name, where they were written; others have their defaults.
    """

    def __init__(self, options: Iterable[Option], settings: Mapping[str, Setting] | None = None) -> None:
        self.options: dict[str, Option] = {option.name: option for option in options}
        self.settings: dict[str, Setting] = {
            name: (settings or {}).get(name) or each.usual for name, each in self.options.items()
        }

    @classmethod
    def of(cls, options: Iterable[Option], **values: Value | list[str] | None) -> Self:
        """Values as if they had been typed, for tests and for programs that use roles as a library.

        @param values: by name, with C{_} for C{-}; None stands for not given.
        """
        texts = {name.rstrip("_").replace("_", "-"): value for name, value in values.items() if value is not None}
        made = cls(
            options,
            {name: Setting(tuple(text) if isinstance(text, list) else text, TYPED) for name, text in texts.items()},
        )
        unknown = texts.keys() - made.options.keys()
        if unknown:
            raise UsageError(f"there is no option {', '.join(f'--{name}' for name in sorted(unknown))}")
        return made

    def __getitem__(self, name: str) -> Any:
        return self.options[name].value(self.settings[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.options)

    def __len__(self) -> int:
        return len(self.options)

    def __contains__(self, name: object) -> bool:
        return name in self.options

    def changed(self, **values: Value | None) -> OptionValues:
        """The same, with other values of some options.

        @param values: texts, by name, with C{_} for C{-}.
        """
        changes = {name.replace("_", "-"): Setting(value, DEFAULT) for name, value in values.items()}
        return OptionValues(self.options.values(), {**self.settings, **changes})

    def is_given(self, name: str) -> bool:
        """Whether somebody has said something, wherever."""
        return name in self.settings and self.settings[name].source.place is not Place.DEFAULT

    def is_typed(self, name: str) -> bool:
        """Whether it stands on the command line: what a file says is for several programs, not all of one kind."""
        return name in self.settings and self.settings[name].source.place is Place.OPTION

    def is_meant(self, name: str, tables: Iterable[str]) -> bool:
        """Whether it is set for this very node: typed, or in one of these tables of a file."""
        source = self.settings[name].source
        return self.is_typed(name) or (source.place is Place.FILE and source.table in tables)
