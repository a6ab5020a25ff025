"""How long to wait for a round trip."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.window.rtt import (
    FIRST_TIMEOUT_S,
    LEAST_TIMEOUT_S,
    LONGEST_DOUBLED_S,
    LONGEST_TIMEOUT_S,
    RoundTrip,
)


class RoundTripTests(SynchronousTestCase):
    """What is waited."""

    def test_nothing_known(self) -> None:
        """Before the first measure, half a second."""
        self.assertEqual(RoundTrip().timeout_s, FIRST_TIMEOUT_S)

    def test_first(self) -> None:
        """After it, three times as long as it took: itself, and four times half of it for variation (RFC 6298, 2.2)."""
        trip = RoundTrip()
        trip.add_sample(0.2)
        self.assertAlmostEqual(trip.timeout_s, 0.6)

    def test_steady(self) -> None:
        """When they all take as long, little more than that; on a LAN never less than the floor."""
        for round_trip_s, timeout_s in ((0.2, 0.21), (0.001, LEAST_TIMEOUT_S)):
            trip = RoundTrip()
            for _ in range(200):
                trip.add_sample(round_trip_s)
            self.assertAlmostEqual(trip.timeout_s, timeout_s, 3)

    def test_backoff(self) -> None:
        """Twice as long each time that nothing comes, up to a limit; as before once something was acknowledged."""
        trip = RoundTrip()
        trip.add_sample(0.2)
        waits = []
        for _ in range(6):
            waits.append(round(trip.timeout_s, 3))
            trip.timed_out()
        self.assertEqual(waits, [0.6, 1.2, *[LONGEST_DOUBLED_S] * 4])
        trip.acknowledged()
        self.assertAlmostEqual(trip.timeout_s, 0.6)

    def test_long_way(self) -> None:
        """A way that takes longer than that limit has its own time, up to a limit of its own."""
        for round_trip_s, timeout_s in ((2.0, 6.0), (20.0, LONGEST_TIMEOUT_S)):
            trip = RoundTrip()
            trip.add_sample(round_trip_s)
            trip.timed_out()
            self.assertEqual(trip.timeout_s, timeout_s)
