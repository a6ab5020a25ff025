"""The options of all programs and roles, as a settings file is shared by several of them. Sans-IO."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from attrs import frozen

NODE: Final = "bazaar-node"
TRACKER: Final = "bazaar-tracker"
CONFIG: Final = "config"
ROLE: Final = "role"
NEVER_SET: Final = frozenset({CONFIG, "help", "help-roles", "version"})
"""Options that are for the command line alone."""

_JOINING: Final = frozenset({"via", "index", "super", "join", "bits"})
_SERVING: Final = frozenset({"listen", "advertise", "udp", "transfer", "window", "mss", "drop", "transfer-log"})
COMMANDS: Final[Mapping[str, frozenset[str]]] = {
    "bazaar-get": frozenset({"output", "as", "digest", "from", "overwrite", "timeout", "upload-slots", "json"})
    | _JOINING
    | _SERVING,
    "bazaar-search": frozenset({"exact", "digest", "all", "most", "json"}) | _JOINING,
    "bazaar-share": frozenset({"upload-slots", "upload-rate", "state", "ephemeral"}) | _JOINING | _SERVING,
    "bazaar-shell": frozenset({"output"}) | _JOINING | _SERVING,
}
"""The options of each C{bazaar} command that takes settings. Daemons that share a file with it have to know them."""


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

    def meant_table(self, table: str) -> str | None:
        """The table that somebody may have meant who wrote another name."""
        whole = f"bazaar-{table}"
        return whole if whole in self.tables else nearest(table, self.tables)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that somebody may have meant who wrote another; None if there is none like it."""
    found = get_close_matches(name.lower().replace("_", "-"), sorted(names), n=1)
    return found[0] if found else None
