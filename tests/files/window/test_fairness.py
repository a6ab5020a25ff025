"""How streams share a narrow way with each other and with TCP, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.files.window.bottleneck import Bottleneck, Narrow, Reno, Selfish, jain

RATE = 1e6


def shares(
    way: Narrow, starts: Sequence[float], until: float = 20.0, others: Sequence[Callable[[int], Any] | None] = ()
) -> list[float]:
    """What part of the way each sender gets in the second half of a run.

    @param starts: when each begins.
    @param others: the congestion responses of the last of them; None for that of streams.
    """
    narrow = Bottleneck(way)
    responses = [None] * (len(starts) - len(others)) + list(others)
    for start, response in zip(starts, responses, strict=True):
        narrow.add(start, make_model=response)
    return [rate / way.rate for rate in narrow.measure(until / 2, until)]


class SharingTests(SynchronousTestCase):
    """Streams of this kind alone."""

    def assert_fair(self, parts: Sequence[float], index: float = 0.9) -> None:
        """The way is used, and Jain's index is near 1."""
        self.assertGreater(sum(parts), 0.8)
        self.assertGreater(jain(parts), index, parts)

    def test_equals(self) -> None:
        """Two, four and eight that begin together share a way of 50 ms, with little and with much room before it."""
        for count in (2, 4, 8):
            for room in (0.5, 1.0, 4.0):
                self.assert_fair(shares(Narrow(RATE, 0.05, room), [0.01 * i for i in range(count)]))

    def test_long_ways(self) -> None:
        """So do two and four on ways of 100 and 200 ms, in each ten seconds after the first ten."""
        for round_trip_s in (0.1, 0.2):
            for count, room, seed in ((2, 1.0, 1), (4, 0.5, 2), (4, 1.0, 1), (4, 4.0, 3)):
                narrow = Bottleneck(Narrow(RATE, round_trip_s, room), seed)
                for number in range(count):
                    narrow.add(0.01 * number)
                for since in (10.0, 20.0):
                    self.assert_fair([rate / RATE for rate in narrow.measure(since, since + 10.0)], 0.92)

    def test_newcomer(self) -> None:
        """One that comes ten seconds late has a third of the way, at least, ten seconds later."""
        for room in (0.5, 1.0, 4.0):
            narrow = Bottleneck(Narrow(RATE, 0.05, room))
            narrow.add(0.0)
            narrow.add(10.0)
            self.assertGreater(narrow.measure(19.0, 22.0)[1], RATE / 3)

    def test_round_trips(self) -> None:
        """One whose round trip is four times as long has a share, and leaves one."""
        for room in (1.0, 4.0):
            narrow = Bottleneck(Narrow(RATE, 0.02, room))
            narrow.add(0.0)
            narrow.add(1.0, longer=4.0)
            rates = narrow.measure(10.0, 20.0)
            self.assertGreater(jain(rates), 0.8, rates)

    def test_random_losses(self) -> None:
        """Where one datagram in twenty gets lost they use the way, and share it."""
        self.assert_fair(shares(Narrow(RATE, 0.02, 1.0, 0.05), [0.0, 1.0]))

    def test_selfish_is_seen(self) -> None:
        """One that heeds nothing takes the way from the others: the measure can tell."""
        parts = shares(Narrow(RATE, 0.05, 1.0), [0.0, 0.5], others=[Selfish])
        self.assertLess(jain(parts), 0.7, parts)
        with self.assertRaises(self.failureException):
            self.assert_fair(parts)


class TcpTests(SynchronousTestCase):
    """Beside a sender that halves its window for each loss."""

    def assert_both_live(self, parts: Sequence[float]) -> None:
        """Either has a fifth of what is carried, at least."""
        self.assertGreater(min(parts), 0.2 * sum(parts), parts)

    def test_beside_tcp(self) -> None:
        """Neither starves the other, with room for one round trip before the way and for two."""
        for room in (1.0, 2.0):
            self.assert_both_live(shares(Narrow(RATE, 0.05, room), [0.0, 0.5], 40.0, [Reno]))

    def test_selfish_is_seen(self) -> None:
        """One that heeds nothing starves it: the measure can tell."""
        with self.assertRaises(self.failureException):
            narrow = Bottleneck(Narrow(RATE, 0.05, 1.0))
            narrow.add(0.0, make_model=Reno)
            narrow.add(0.5, make_model=Selfish)
            self.assert_both_live(narrow.measure(10.0, 20.0))
