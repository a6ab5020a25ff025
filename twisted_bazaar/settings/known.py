"""The options of all programs and roles, as a settings file is shared by several of them. Sans-IO."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

from twisted_bazaar.settings.option import Option
from twisted_bazaar.settings.similar import similar_to
from twisted_bazaar.settings.values import Kinds

NODE: Final = "bazaar-node"
TRACKER: Final = "bazaar-tracker"
CONFIG: Final = "config"
ROLE: Final = "role"
NEVER_SET: Final = frozenset({CONFIG, "help", "help-roles", "version"})
"""Options that are for the command line alone."""


def kinds_of(options: Iterable[Option]) -> Kinds:
    """The kinds of the options that a setting can stand for."""
    return {option.name: option.kind for option in options if option.name not in NEVER_SET}


@frozen
class Known:
    """The options of all programs.

    @ivar programs: for each daemon and each command its options.
    @ivar roles: for each role installed the options that it adds to those of a node; None if nobody can tell.
    """

    programs: Mapping[str, Collection[str]]
    roles: Mapping[str, Collection[str] | None]

    @property
    def tables(self) -> set[str]:
        """The tables that a file may have."""
        return {*self.programs, *self.roles}

    @property
    def options(self) -> set[str]:
        """Every option of any program."""
        return set().union(*self.programs.values(), *(each for each in self.roles.values() if each))

    def in_table(self, table: str) -> set[str] | None:
        """The options that a table may hold; None if nobody can tell."""
        if table == NODE:
            return set(self.programs[NODE]).union(*(each for each in self.roles.values() if each))
        options = set(self.programs.get(table, ()))
        if table in self.roles:
            added = self.roles[table]
            if added is None:
                return None
            options.update(added, set(self.programs[NODE]) - {ROLE})
        return options

    def owners_of(self, option: str) -> list[str]:
        """The tables in which an option can stand, those first that have it as their own."""
        own = [name for name, added in self.roles.items() if added and option in added]
        return [*own, *(name for name, options in self.programs.items() if option in options)]

    def meant_tables(self, table: str) -> Sequence[str]:
        """The tables that somebody may have meant who wrote another name."""
        whole = f"bazaar-{table}"
        return [whole] if whole in self.tables else similar_to(table, self.tables)[:1]
