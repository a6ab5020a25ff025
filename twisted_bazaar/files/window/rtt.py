"""Round-trip time: how long one takes, and how long to wait for one (RFC 6298). Sans-IO.

RFC 6298, with a floor of some hundredths of a second in place of a whole second, which on a LAN is a thousand round
trips. Each measure belongs to one transmission, not to bytes that may have been sent twice, so Karn's rule is not
needed.
"""

from __future__ import annotations

from typing import Final

_SMOOTHING: Final = 1 / 8
_VARIATION: Final = 1 / 4
FIRST_TIMEOUT_S: Final = 0.5
LEAST_TIMEOUT_S: Final = 0.04
LONGEST_TIMEOUT_S: Final = 8.0
# Where three of ten are lost each way, one segment is lost ten times in a row now and then; waiting twice as long each
# time would by then have taken longer than people wait for a source.
LONGEST_DOUBLED_S: Final = 2.0
# The least that is waited beyond the mean: timers of a reactor and the end of its turn are not more exact.
_GRANULARITY_S: Final = 0.01


class RoundTrip:
    """An estimate of round trips.

    @ivar smoothed_s: their mean of late; None before the first.
    @ivar latest_s: the last one.
    @ivar least_s: the shortest of all.
    """

    def __init__(self) -> None:
        self.smoothed_s: float | None = None
        self.latest_s: float = 0.0
        self.least_s: float = float("inf")
        self._variation_s = 0.0
        self._backoff = 1

    def add_sample(self, round_trip_s: float) -> None:
        """Take one measure."""
        self.latest_s = round_trip_s
        if round_trip_s < self.least_s:
            self.least_s = round_trip_s
        if self.smoothed_s is None:
            self.smoothed_s, self._variation_s = round_trip_s, round_trip_s / 2
        else:
            off_s = round_trip_s - self.smoothed_s
            self._variation_s += _VARIATION * (abs(off_s) - self._variation_s)
            self.smoothed_s += _SMOOTHING * off_s

    @property
    def timeout_s(self) -> float:
        """The time to wait for an acknowledgement, longer each time that nothing came."""
        if self.smoothed_s is None:
            once_s = FIRST_TIMEOUT_S
        else:
            once_s = max(LEAST_TIMEOUT_S, self.smoothed_s + max(_GRANULARITY_S, 4 * self._variation_s))
        return min(LONGEST_TIMEOUT_S, max(once_s, min(LONGEST_DOUBLED_S, once_s * self._backoff)))

    def timed_out(self) -> None:
        """Nothing came in time."""
        if self.timeout_s < LONGEST_DOUBLED_S:
            self._backoff *= 2

    def acknowledged(self) -> None:
        """Something new was acknowledged."""
        self._backoff = 1
