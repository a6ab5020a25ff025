"""Rate limits of what each peer may ask of an index server. Sans-IO."""

from __future__ import annotations

from typing import Final

from attrs import define

QUESTIONS_A_SECOND: Final = 100.0
QUESTIONS_AT_ONCE: Final = 500.0


@define
class _Allowance:
    left: float
    at: float


class RateLimits:
    """Token buckets, one for each peer: so much at once, and then so much a second."""

    def __init__(self) -> None:
        self._allowances: dict[str, _Allowance] = {}

    def admit(self, key: str, now: float) -> bool:
        """Whether one more question is answered."""
        allowance = self._allowances.get(key)
        if allowance is None:
            allowance = self._allowances[key] = _Allowance(QUESTIONS_AT_ONCE, now)
        earned = max(0.0, now - allowance.at) * QUESTIONS_A_SECOND
        allowance.left, allowance.at = min(QUESTIONS_AT_ONCE, allowance.left + earned), now
        if allowance.left < 1:
            return False
        allowance.left -= 1
        return True

    def forget(self, key: str) -> None:
        """Somebody has gone."""
        self._allowances.pop(key, None)
