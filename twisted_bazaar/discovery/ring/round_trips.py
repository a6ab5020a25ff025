"""How long to wait for answers, by how long they have taken. Sans-IO.

Source: Jacobson and Karels, "Congestion avoidance and control" (SIGCOMM 1988), as in RFC 6298, with a shorter least
wait: who is asked does nothing but answer.
"""

from __future__ import annotations

from typing import Final

from attrs import define

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.values.addresses import Address, network_of

FIRST_WAIT_S: Final = 0.5
LEAST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 2.0
_REMEMBERED: Final = 4_096
_REMEMBERED_S: Final = 600.0


@define
class _Estimate:
    """What answers from somewhere take.

    @ivar smoothed_s: on the whole.
    @ivar deviation_s: how far single ones are from that.
    """

    smoothed_s: float
    deviation_s: float

    def note(self, seconds: float) -> None:
        """Take one more into account."""
        self.deviation_s += (abs(seconds - self.smoothed_s) - self.deviation_s) / 4
        self.smoothed_s += (seconds - self.smoothed_s) / 8

    def wait_s(self, trips: int) -> float:
        """How long to wait for something that takes so many round trips."""
        return min(LONGEST_WAIT_S, max(LEAST_WAIT_S, trips * self.smoothed_s + 4 * self.deviation_s))


class RoundTrips:
    """What answers take, from each address, and from those that nothing is known of."""

    def __init__(self) -> None:
        # Charged to hosts; one machine may hold a whole classroom.
        self._estimates: FairTable[Address, _Estimate] = FairTable(_REMEMBERED, _REMEMBERED_S, shares=2)
        self._usual: _Estimate | None = None

    def note(self, address: Address, seconds: float, now: float) -> None:
        """An answer has come after so long; one to a question that was asked only once."""
        estimate = self._estimates.get(address, now)
        if estimate is None:
            self._estimates.put(address, _Estimate(seconds, seconds / 2), network_of(address.host), now)
        else:
            estimate.note(seconds)
        if self._usual is None:
            self._usual = _Estimate(seconds, seconds / 2)
        else:
            self._usual.note(seconds)

    def wait_s(self, address: Address, now: float) -> float:
        """How long to wait for an answer from an address before asking again."""
        estimate = self._estimates.get(address, now)
        if estimate is not None:
            return estimate.wait_s(1)
        # The first question to somebody waits for its cookie too.
        return FIRST_WAIT_S if self._usual is None else self._usual.wait_s(2)
