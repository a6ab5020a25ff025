"""Tables that have one thing under most keys, and sometimes many. Sans-IO.

A table of its own for each key would take most of a directory's memory. Several are in the order in which they came:
that of a set depends on where its members lie in memory, and no two runs would give the same answers.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, MutableMapping
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T", bound=Hashable)


def enter(table: MutableMapping[K, T | dict[T, None]], key: K, thing: T) -> None:
    """Put a thing under a key, beside those that are there."""
    before = table.get(key)
    if before is None:
        table[key] = thing
    elif isinstance(before, dict):
        before[thing] = None
    elif before != thing:
        table[key] = {before: None, thing: None}


def strike(table: MutableMapping[K, T | dict[T, None]], key: K, thing: T) -> None:
    """Take a thing out from under a key, if it is there."""
    before = table.get(key)
    if not isinstance(before, dict):
        if before is not None and before == thing:
            del table[key]
        return
    before.pop(thing, None)
    if len(before) == 1:
        [table[key]] = before


def all_under(table: MutableMapping[K, T | dict[T, None]], key: K) -> Collection[T]:
    """What is under a key; not to be changed."""
    found = table.get(key)
    if found is None:
        return ()
    return found if isinstance(found, dict) else (found,)


def size_under(table: MutableMapping[K, T | dict[T, None]], key: K) -> int:
    """How many there are under a key."""
    return len(all_under(table, key))
