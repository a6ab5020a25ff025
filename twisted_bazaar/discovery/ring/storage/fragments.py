"""Fragmentation and reassembly: texts of entries in parts that fit into datagrams. Sans-IO."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from typing import Final

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.ring.storage.messages import PART_CHARS

_MOST_UNDER_WAY: Final = 1_024
_PATIENCE_S: Final = 15.0


def fragment(text: str) -> Sequence[str]:
    """A text in parts, each short enough for a datagram."""
    return [text[start : start + PART_CHARS] for start in range(0, len(text), PART_CHARS)] or [""]


def name_of(text: str) -> str:
    """By what the parts of a text are known."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Assembly:
    """The reassembly buffer: texts of which some parts have come."""

    def __init__(self) -> None:
        self._parts: FairTable[Hashable, dict[int, str]] = FairTable(_MOST_UNDER_WAY, _PATIENCE_S)

    def add(self, name: str, part: int, parts: int, text: str, sender: Hashable, host: str, now: float) -> str | None:
        """Take a part.

        @param sender: whose text it is: parts of others are others.
        @param host: whom to charge.
        @return: the text, when all have come; only if it is what its name says.
        """
        if parts == 1:
            return text if name_of(text) == name else None
        key = (sender, name, parts)
        have = self._parts.get(key, now)
        if have is None:
            have = {}
            self._parts.put(key, have, host, now)
        have[part] = text
        if len(have) < parts:
            return None
        whole = "".join(have[index] for index in sorted(have))
        return whole if name_of(whole) == name else None

    def has_all(self, name: str, parts: int, sender: Hashable, now: float) -> bool:
        """Whether as many parts have come from a sender as there are. If that gave no text, one of them is wrong."""
        return parts == 1 or len(self._parts.get((sender, name, parts), now) or ()) == parts
