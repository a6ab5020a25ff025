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
class Estimate:
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
        wait_s = trips * self.smoothed_s + 4 * self.deviation_s
        if wait_s <= LEAST_WAIT_S:
            return LEAST_WAIT_S
        return wait_s if wait_s < LONGEST_WAIT_S else LONGEST_WAIT_S


class RoundTrips:
    """What answers take, from each address, and from those that nothing is known of."""

    def __init__(self) -> None:
        # Charged to hosts; one machine may hold a whole classroom.
        self._estimates: FairTable[Address, Estimate] = FairTable(_REMEMBERED, _REMEMBERED_S, shares=2)
        self._usual: Estimate | None = None

    def known(self, address: Address, now: float) -> Estimate | None:
        """What answers from an address take, if any has come."""
        return self._estimates.get(address, now)

    def note(self, address: Address, known: Estimate | None, seconds: float, now: float) -> None:
        """An answer has come after so long; one to a question that was asked only once.

        @param known: what was known when it was asked.
        """
        # Several may have been asked before the first has answered.
        known = known or self._estimates.get(address, now)
        if known is None:
            self._estimates.put(address, Estimate(seconds, seconds / 2), network_of(address.host), now)
        else:
            known.note(seconds)
        if self._usual is None:
            self._usual = Estimate(seconds, seconds / 2)
        else:
            self._usual.note(seconds)

    def wait_s(self, known: Estimate | None) -> float:
        """How long to wait for an answer from somewhere before asking again."""
        if known is not None:
            return known.wait_s(1)
        # The first question to somebody may have to wait for a cookie.
        return FIRST_WAIT_S if self._usual is None else self._usual.wait_s(2)
