"""A multimap: a table that has one thing under most keys, and sometimes many. Sans-IO.

A table of its own for each key would take most of a directory's memory: a few things are a tuple, only many are a dict.
They are in the order in which they came: that of a set depends on where its members lie in memory, and no two runs
would give the same answers.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound=Hashable)

# A tuple of so many is quickly made anew, and takes a third of a dict.
_FEW: Final = 8


class Multimap(Generic[K, T]):
    """Things under keys; a thing is neither a tuple nor a dict.

    @param parts: into how many dicts the keys are divided, a power of two. A dict that grows is written anew as a
        whole, which takes 60 ms with a million keys, and both are in memory meanwhile; with many parts only one of
        them is at a time.
    """

    __slots__ = ("_mask", "_parts")

    def __init__(self, parts: int = 1) -> None:
        self._parts: tuple[dict[K, T | tuple[T, ...] | dict[T, None]], ...] = tuple({} for _ in range(parts))
        self._mask = parts - 1

    def __len__(self) -> int:
        """The number of keys."""
        return sum(map(len, self._parts))

    def __contains__(self, key: K) -> bool:
        return key in self._parts[hash(key) & self._mask]

    def add(self, key: K, thing: T) -> bool:
        """Put a thing under a key, beside those that are there; returns whether it is the first."""
        table = self._parts[hash(key) & self._mask]
        before = table.get(key)
        if before is None:
            table[key] = thing
            return True
        if isinstance(before, dict):
            before[thing] = None
        elif isinstance(before, tuple):
            if thing not in before:
                table[key] = (*before, thing) if len(before) < _FEW else dict.fromkeys((*before, thing))
        elif before != thing:
            table[key] = (before, thing)
        return False

    def discard(self, key: K, thing: T) -> bool:
        """Take a thing out from under a key, if it is there; returns whether it was the last."""
        table = self._parts[hash(key) & self._mask]
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
            return True
        return False

    def has(self, key: K, thing: T) -> bool:
        """Whether a thing is under a key."""
        found = self._parts[hash(key) & self._mask].get(key)
        return thing in found if isinstance(found, dict | tuple) else found is not None and found == thing

    def under(self, key: K) -> Collection[T]:
        """The things under a key; not to be changed."""
        found = self._parts[hash(key) & self._mask].get(key)
        if found is None:
            return ()
        return found if isinstance(found, tuple | dict) else (found,)
