"""Ranges of a ring that others have compared with this node, and so count on it for. Sans-IO."""

from __future__ import annotations

from collections import Counter
from typing import Final

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.unverified_contacts import host_of
from twisted_bazaar.discovery.ring.storage.anti_entropy import end_of, length_of
from twisted_bazaar.discovery.ring.storage.entry import TAG_BITS
from twisted_bazaar.discovery.ring.storage.store import Span

COMPARE_S: Final = 60.0
UNCLAIMED_S: Final = 4 * COMPARE_S
_MOST_CLAIMS: Final = 64


class ComparedRanges:
    """The ranges that others have compared with one node, for a while."""

    def __init__(self) -> None:
        self._claims: dict[Contact, tuple[Span, float]] = {}

    def note(self, by: Contact, span: Span, now: float) -> Span | None:
        """A node has compared a span.

        @return: what it has claimed until now, and does not any more; None if nothing.
        """
        withdrawn: Span | None = None
        known, noted = self._claims.pop(by, (span, now))
        if noted > now - UNCLAIMED_S and length_of(known) > length_of(span):
            if _is_all(by, span):
                withdrawn = (known[0], span[0]) if known[1] == span[1] else None
            elif noted > now - COMPARE_S / 2:
                # A part of the same comparison.
                span = known
        self._claims[by] = span, now
        if len(self._claims) > _MOST_CLAIMS:
            self._forget_one()
        return withdrawn

    def _forget_one(self) -> None:
        """Forget the oldest of the host that has claimed most: it is that host's loss, and not that of those whose
        replicas are here."""
        hosts = Counter(map(host_of, self._claims))
        [(most, _)] = hosts.most_common(1)
        del self._claims[next(each for each in self._claims if host_of(each) == most)]

    def has(self, position: int, now: float, by: Contact | None = None) -> bool:
        """Whether somebody has asked about a position lately.

        @param by: who; anybody if not given.
        """
        return any(
            when > now - UNCLAIMED_S and 0 < length_of((low, position)) <= length_of((low, high))
            for each, ((low, high), when) in self._claims.items()
            if by in (None, each)
        )


def _is_all(by: Contact, span: Span) -> bool:
    """Whether a span is all that belongs to a node: it goes from some identifier to that node's own."""
    low, high = span
    return high == end_of(by.id) and low == end_of(low >> TAG_BITS)
