"""A settings file: TOML, options of all programs at its top, those of one program or role in a table. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from attrs import frozen

from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.known import CONFIG, Known
from twisted_bazaar.settings.similar import asking_for, did_you_mean
from twisted_bazaar.settings.values import Kind, Kinds, Place, Setting, Source, Value


@frozen
class SettingsFile:
    """The content of a settings file.

    @ivar path: what it is called in what is told of it.
    """

    path: str
    content: Mapping[str, Any]

    @classmethod
    def read(cls, path: str, text: bytes) -> SettingsFile:
        """Read TOML.

        @raise UsageError: it is none.
        """
        try:
            return cls(path, msgspec.toml.decode(text))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: this is no TOML: {error}") from None
        except RecursionError:
            raise UsageError(f"{path}: this is nested too deeply for settings") from None

    def settings(self, kinds: Kinds, tables: Sequence[str]) -> dict[str, Setting]:
        """The settings of some options in this file; all others are left out.

        @param kinds: the options.
        @param tables: which tables count, besides the top; the later wins.
        @raise UsageError: a value is not what the option takes.
        """
        found = {}
        for table in ("", *tables):
            for key, value in self._entries(table).items():
                if key in kinds and not isinstance(value, Mapping):
                    source = Source(Place.FILE, self.path, table)
                    found[key] = Setting(_value(f"{self._where(table)}{key}", kinds[key], value), source)
        return found

    def check(self, known: Known) -> None:
        """Make sure that every name in it means something to some program.

        @raise UsageError: one does not; the text says what may have been meant.
        """
        for key, value in self.content.items():
            if _is_table(value):
                self._check_table(key, value, known)
            elif key not in known.options:
                raise UsageError(f"{self.path}: {_no_option(key, known.options)}")

    def _check_table(self, table: str, value: Any, known: Known) -> None:
        if table not in known.tables:
            hint = asking_for(known.meant_tables(table), "[{}]") or f"; there are {', '.join(sorted(known.tables))}"
            raise UsageError(f"{self.path}: [{table}] is no program or role{hint}")
        if not isinstance(value, Mapping):
            raise UsageError(f"{self.path}: write [{table}], in single brackets, and once")
        allowed = known.in_table(table)
        if allowed is None:
            return
        for key in value:
            if key in allowed:
                continue
            where, owners = self._where(table), known.owners_of(key)
            if owners:
                places = " or ".join(f"[{owner}]" for owner in owners)
                raise UsageError(f"{where}{key} is not an option of it; write it in {places}, or at the top")
            raise UsageError(f"{where}{_no_option(key, allowed)}")

    def _entries(self, table: str) -> Mapping[str, Any]:
        entries = self.content.get(table) if table else self.content
        return entries if isinstance(entries, Mapping) else {}

    def _where(self, table: str) -> str:
        return f"{self.path}: [{table}] " if table else f"{self.path}: "


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(each, Mapping) for each in value))


def _no_option(key: str, options: Iterable[str]) -> str:
    if key == CONFIG:
        return "a settings file cannot name another; leave out config"
    return f"there is no option {key!r}" + (did_you_mean(key, options) or "; see --help for those there are")


def _value(where: str, kind: Kind, value: Any) -> Value:
    """A value as an option takes it.

    @raise UsageError: it does not.
    """
    if kind is Kind.FLAG:
        if isinstance(value, bool):
            return value
        raise UsageError(f"{where}: write true or false, without quotes")
    if kind is Kind.MANY and isinstance(value, list):
        return tuple(_text(where, "texts", each) for each in value)
    text = _text(where, "a text in quotes or a number" + (", or a list of them" if kind is Kind.MANY else ""), value)
    return (text,) if kind is Kind.MANY else text


def _text(where: str, takes: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{where}: takes {takes}, not {_called(value)}")
    if "\0" in str(value):
        raise UsageError(f"{where}: holds a NUL character, which no option can")
    return str(value)


def _called(value: Any) -> str:
    """The kind of a value in words. The value is not shown: it may be a secret."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return "a list"
        case Mapping():
            return "a table"
    return "a date or a time"
