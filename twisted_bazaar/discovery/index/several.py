"""Tables that have one thing under most keys, and sometimes many. Sans-IO.

A set of its own for each key would take most of a directory's memory.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, MutableMapping
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T", bound=Hashable)


def enter(table: MutableMapping[K, T | set[T]], key: K, thing: T) -> None:
    """Put a thing under a key, beside those that are there."""
    before = table.get(key)
    if before is None:
        table[key] = thing
    elif isinstance(before, set):
        before.add(thing)
    elif before != thing:
        table[key] = {before, thing}


def strike(table: MutableMapping[K, T | set[T]], key: K, thing: T) -> None:
    """Take a thing out from under a key, if it is there."""
    before = table.get(key)
    if not isinstance(before, set):
        if before is not None and before == thing:
            del table[key]
        return
    before.discard(thing)
    if len(before) == 1:
        [table[key]] = before


def all_under(table: MutableMapping[K, T | set[T]], key: K) -> Collection[T]:
    """What is under a key; not to be changed."""
    found = table.get(key)
    if found is None:
        return ()
    return found if isinstance(found, set) else (found,)


def size_under(table: MutableMapping[K, T | set[T]], key: K) -> int:
    """How many there are under a key."""
    return len(all_under(table, key))
