"""A multimap: tables that have one thing under most keys, and sometimes many. Sans-IO.

A table of its own for each key would take most of a directory's memory: a few things are a tuple, only many are a dict.
They are in the order in which they came: that of a set depends on where its members lie in memory, and no two runs
would give the same answers.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, MutableMapping
from typing import Final, TypeVar

K = TypeVar("K")
T = TypeVar("T", bound=Hashable)

# A tuple of so many is quickly made anew, and takes a third of a dict.
_FEW: Final = 8


def enter(table: MutableMapping[K, T | tuple[T, ...] | dict[T, None]], key: K, thing: T) -> None:
    """Put a thing under a key, beside those that are there.

    @param thing: neither a tuple nor a dict.
    """
    before = table.get(key)
    if before is None:
        table[key] = thing
    elif isinstance(before, dict):
        before[thing] = None
    elif isinstance(before, tuple):
        if thing not in before:
            table[key] = (*before, thing) if len(before) < _FEW else dict.fromkeys((*before, thing))
    elif before != thing:
        table[key] = (before, thing)


def strike(table: MutableMapping[K, T | tuple[T, ...] | dict[T, None]], key: K, thing: T) -> None:
    """Take a thing out from under a key, if it is there."""
    before = table.get(key)
    if isinstance(before, dict):
        before.pop(thing, None)
        if len(before) < _FEW:
            table[key] = tuple(before)
    elif isinstance(before, tuple):
        left = tuple(each for each in before if each != thing)
        table[key] = left if len(left) > 1 else left[0]
    elif before is not None and before == thing:
        del table[key]


def all_under(table: MutableMapping[K, T | tuple[T, ...] | dict[T, None]], key: K) -> Collection[T]:
    """What is under a key; not to be changed."""
    found = table.get(key)
    if found is None:
        return ()
    return found if isinstance(found, tuple | dict) else (found,)


def size_under(table: MutableMapping[K, T | tuple[T, ...] | dict[T, None]], key: K) -> int:
    """How many there are under a key."""
    return len(all_under(table, key))
