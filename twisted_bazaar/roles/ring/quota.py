"""The quota for files of others on a node of a ring: bytes reserved by owner and by host. Sans-IO.

What an owner says about the size of a file is all that it may take, and it is only said: room is reserved for what may
never come. So no owner has more than half, of what has not come yet no host has more than a quarter or one file, and
room for what cannot be got is given back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Final, TypeVar

from attrs import frozen

T = TypeVar("T", bound=Hashable)

# No owner takes more than this part of what there is.
OWNERS: Final = 2
# Of what has not come no host takes more than this part, unless by a single file.
HOSTS: Final = 4


@frozen
class _Taken:
    """The room of one file.

    @ivar owner: who is charged for it.
    @ivar host: on whose word it is kept while it has not come; None when it has, or for what is from here.
    """

    owner: str
    size: int
    host: Hashable | None


class Quota:
    """Reserves bytes for files, at most so many for one owner and for one host.

    @param limit_bytes: how many bytes all files may have.
    @ivar size_bytes: how many they have, with those to come.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes: int = 0
        self._taken: dict[str, _Taken] = {}
        self._owned: Counter[str] = Counter()
        self._awaited: Counter[Hashable] = Counter()

    def __contains__(self, digest: str) -> bool:
        return digest in self._taken

    def fits(self, digest: str, owner: str, size: int, host: Hashable | None) -> bool:
        """Whether there is room for a file.

        @param size: how long it is, in bytes, as its owner says.
        @param host: on whose word; None for what is from here.
        """
        taken = self._taken.get(digest)
        if taken is not None and size <= taken.size:
            return True
        more = size - (0 if taken is None else taken.size)
        if self.size_bytes + more > self.limit_bytes or self._owned[owner] + size > self.limit_bytes // OWNERS:
            return False
        awaited = 0 if host is None else self._awaited[host]
        return not awaited or awaited + more <= self.limit_bytes // HOSTS

    def reserve(self, digest: str, owner: str, size: int, host: Hashable | None) -> None:
        """Charge for a file, in place of who was charged for it."""
        self.release(digest)
        self._taken[digest] = _Taken(owner, size, host)
        self.size_bytes += size
        self._owned[owner] += size
        if host is not None:
            self._awaited[host] += size

    def confirm(self, digest: str) -> None:
        """A file is here: its room is used."""
        taken = self._taken.get(digest)
        if taken is not None:
            self.reserve(digest, taken.owner, taken.size, None)

    def release(self, digest: str) -> None:
        """A file needs no room, now or any more."""
        taken = self._taken.pop(digest, None)
        if taken is None:
            return
        self.size_bytes -= taken.size
        _subtract(self._owned, taken.owner, taken.size)
        if taken.host is not None:
            _subtract(self._awaited, taken.host, taken.size)


def _subtract(counter: Counter[T], name: T, size: int) -> None:
    counter[name] -= size
    if not counter[name]:
        del counter[name]
