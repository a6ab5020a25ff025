"""Contacts that failed and are tried again, so that the halves of a partitioned ring merge. Sans-IO."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final

from attrs import define

from twisted_bazaar.discovery.ring.rules.identifiers import Contact

FIRST_WAIT_S: Final = 4.0
LONGEST_WAIT_S: Final = 300.0
REMEMBERED_S: Final = 7_200.0
_CAP: Final = 64


@define
class _Absence:
    """The state of one that was lost.

    @ivar wait_s: how long it is to be left alone after the next try.
    @ivar due: when that is.
    @ivar until: when it is forgotten.
    """

    wait_s: float
    due: float
    until: float


class ReconnectCandidates:
    """Contacts that failed, each with the time of its next try, which come ever more seldom.

    @param cap: how many are remembered; of the host that has most, the first that was lost is forgotten first.
    """

    __slots__ = ("_absences", "_cap")

    def __init__(self, cap: int = _CAP) -> None:
        self._cap = cap
        self._absences: OrderedDict[Contact, _Absence] = OrderedDict()

    def __len__(self) -> int:
        return len(self._absences)

    def __contains__(self, contact: Contact) -> bool:
        return contact in self._absences

    def add(self, contact: Contact, now: float) -> None:
        """Note that a node does not answer; it may be known to be lost already."""
        if contact in self._absences:
            return
        self._absences[contact] = _Absence(FIRST_WAIT_S, now + FIRST_WAIT_S, now + REMEMBERED_S)
        if len(self._absences) > self._cap:
            # Whoever makes up nodes, and lets them vanish, is not to make others forgotten.
            counts = Counter(contact.address.host for contact in self._absences)
            most = max(counts.values())
            del self._absences[next(each for each in self._absences if counts[each.address.host] == most)]

    def discard(self, contact: Contact) -> bool:
        """Note that a node is there. Whether it had been lost."""
        return bool(self._absences) and self._absences.pop(contact, None) is not None

    def next_due(self, now: float) -> Contact | None:
        """One that may be asked again now, if any; that counts as having been asked."""
        for contact, absence in list(self._absences.items()):
            if absence.until <= now:
                del self._absences[contact]
            elif absence.due <= now:
                absence.wait_s = min(2 * absence.wait_s, LONGEST_WAIT_S)
                absence.due = now + absence.wait_s
                return contact
        return None
