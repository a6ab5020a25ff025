"""How fast streams are, and how they share a narrow way."""

from __future__ import annotations

from tests.files.udp.cases import Drain, Ends, Pouring, Socket, StreamsTestCase
from twisted_bazaar.files.udp import StreamLimits
from twisted_bazaar.files.window import Settings
from twisted_bazaar.sim.engine.network_conditions import Conditions

ROUND_TRIP_S = 0.02


class RateTests(StreamsTestCase):
    """One stream."""

    def rate(self, size: int, conditions: Conditions, settings: Settings | None = None) -> float:
        """Bytes a second of a transfer, the opening included."""
        self.make(conditions)
        near, far = self.sockets(settings, limits=StreamLimits(kept=1024))
        ends = Ends(lambda: Drain(self.b.seconds))
        far.streams.listen(ends)
        pouring = Pouring(size)
        near.streams.connect(far.where, Ends(lambda: pouring))
        self.network.timeline.run_until(600.0, lambda: ends.made and ends.made[0].reason is not None)
        self.assertEqual(ends.made[0].size, size)
        return size / float(ends.made[0].ended_at)

    def gain(self, loss: float) -> float:
        """How much faster the usual window is than stop-and-wait."""
        conditions = Conditions(latency_s=ROUND_TRIP_S / 2, loss=loss)
        return self.rate(4 << 20, conditions) / self.rate(100_000, conditions, Settings(window=1))

    def test_window(self) -> None:
        """The usual window is many times as fast as stop-and-wait."""
        self.assertGreater(self.gain(0.0), 10)

    def test_loss(self) -> None:
        """And is so where one datagram in twenty gets lost."""
        self.assertGreater(self.gain(0.05), 10)

    def test_narrow_way(self) -> None:
        """A way is used as far as it goes, whether datagrams get lost at random or not."""
        for loss, share in ((0.0, 0.9), (0.05, 0.8)):
            rate = self.rate(4 << 20, Conditions(latency_s=0.02, bytes_a_second=1e6, loss=loss))
            self.assertGreater(rate, share * 1e6 * (1 - loss) * 1140 / 1185)

    def test_reordering(self) -> None:
        """Datagrams that overtake each other do not slow it down much, nor are they sent again for that."""
        conditions = Conditions(latency_s=0.01, bytes_a_second=2e6, reordering=0.1)
        self.assertGreater(self.rate(4 << 20, conditions), 1e6)

    def test_long_way(self) -> None:
        """A round trip of half a second, with losses."""
        conditions = Conditions(latency_s=0.25, bytes_a_second=1e6, loss=0.02)
        self.assertGreater(self.rate(8 << 20, conditions), 3e5)

    def test_very_narrow_way(self) -> None:
        """Where one segment takes longer than the shortest round trip, few are sent twice."""
        self.assertGreater(self.rate(100_000, Conditions(latency_s=0.01, bytes_a_second=20_000)), 15_000)


class SharingTests(StreamsTestCase):
    """Several streams over one narrow way."""

    def share(
        self, starts: list[float], seconds: float, since: float, width: float = 500e3, loss: float = 0.0
    ) -> list[float]:
        """How many bytes a second each gets.

        @param starts: when each begins.
        @param since: from when on it is measured.
        """
        self.make(Conditions(latency_s=0.01))
        self.network.ways.change("a", "b", Conditions(latency_s=0.01, bytes_a_second=width, loss=loss))
        near, far = Socket(self.a), Socket(self.b)
        ends = Ends(lambda: Drain(self.b.seconds))
        far.streams.listen(ends)
        for start in starts:
            self.a.callLater(start, near.streams.connect, far.where, Ends(lambda: Pouring(1 << 40)))
        self.longest_queue_s = 0.0
        before: dict[Drain, int] = {}
        while self.network.timeline.now < seconds:
            self.run_for(0.05)
            now = self.network.timeline.now
            if now > since:
                before = before or {each: each.size for each in ends.made}
                self.longest_queue_s = max(self.longest_queue_s, self.network.ways.passed_at("a", "b", 0, now) - now)
        return [(each.size - before.get(each, 0)) / (seconds - since) for each in ends.made]

    def assert_fair(self, rates: list[float], width: float, index: float = 0.9) -> None:
        """The way is used, no stream has twice as much as another, and Jain's index is near 1."""
        self.assertGreater(sum(rates), 0.85 * width)
        self.assertLess(max(rates), 2 * min(rates), rates)
        self.assertGreater(sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates)), index)

    def test_two_at_once(self) -> None:
        """Two streams that begin together get within 2:1 of each other from the first seconds on."""
        self.assert_fair(self.share([0.0, 0.05], 6.0, 1.0), 500e3)

    def test_newcomer(self) -> None:
        """A stream that finds the way full gets its share within a few seconds."""
        self.assert_fair(self.share([0.0, 3.0], 12.0, 6.0), 500e3)

    def test_losses(self) -> None:
        """The same where one datagram in twenty gets lost."""
        self.assert_fair(self.share([0.0, 3.0], 12.0, 6.0, loss=0.05), 475e3)

    def test_four(self) -> None:
        """Four streams, each of which finds those before it, and a short queue once they know each other."""
        rates = self.share([0.0, 1.0, 2.0, 3.0], 14.0, 7.0)
        self.assertGreater(sum(rates), 0.85 * 500e3)
        self.assertGreater(sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates)), 0.85, rates)
        self.assertLess(self.longest_queue_s, 5 * ROUND_TRIP_S)

    def test_queue(self) -> None:
        """The queue before the narrow way stays a few round trips long, however much there is to send."""
        self.share([0.0], 6.0, 1.0)
        self.assertLess(self.longest_queue_s, 3 * ROUND_TRIP_S)
        self.share([0.0, 0.05], 6.0, 2.0)
        self.assertLess(self.longest_queue_s, 5 * ROUND_TRIP_S)
