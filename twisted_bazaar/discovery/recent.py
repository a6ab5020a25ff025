"""A cache of what was found for the last questions, from which their later pages come. Sans-IO."""

from __future__ import annotations

from collections.abc import Hashable, Sized
from typing import Final, Generic, TypeVar

from twisted_bazaar.bounded import FairTable

_QUESTIONS: Final = 16
_KEPT_S: Final = 120.0

F = TypeVar("F", bound=Sized)


class Recent(Generic[F]):
    """Keeps findings for a while: those of so many questions, and no more hits of all than one question may bring.

    Strangers decide how much is found, and a hit may take kilobytes.

    @param most: how many hits are kept in all, but for those of the last question.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._findings: FairTable[Hashable, F] = FairTable(_QUESTIONS, _KEPT_S, shares=1)

    def __len__(self) -> int:
        """The number of hits that are kept."""
        return sum(len(findings) for _, findings in self._findings.items(float("-inf")))

    def get(self, question: Hashable, now: float) -> F | None:
        """The findings of a question, if they are still kept."""
        return self._findings.get(question, now)

    def put(self, question: Hashable, findings: F, now: float) -> None:
        """Keep what was found for a question; what was found longest ago goes for it."""
        self._findings.put(question, findings, None, now)
        kept = len(self)
        for oldest, others in self._findings.items(float("-inf")):
            if kept <= self._most or oldest == question:
                break
            kept -= len(others)
            self._findings.discard(oldest)
