"""How fast to send: the model of a way, on a way made of numbers."""

from __future__ import annotations

import random
from collections import deque

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.window.congestion import Mode, Model

MSS = 1000


class Way:
    """A way for one model: so wide, so long, with room for so many bytes before it.

    @ivar lost, came: how many bytes were lost before it, and came.
    @ivar longest_s: the longest that anything waited before it.
    """

    def __init__(self, rate: float, round_trip_s: float, room: float, loss: float = 0.0) -> None:
        self.model = Model(MSS, random.Random(1))
        self.now = 0.0
        self.lost = self.came = 0
        self.longest_s = 0.0
        self._rate = rate
        self._round_trip_s = round_trip_s
        self._room_s = room / rate
        self._loss = loss
        self._rng = random.Random(2)
        self._free_at = 0.0
        self._in_flight = 0
        self._total, self._total_at = 0, 0.0
        self._first_at = 0.0
        self._release_at = 0.0
        # What comes back, and what is missed: when, when it was sent, and what had come then.
        self._way: deque[tuple[float, float, float, int, float, bool]] = deque()
        self.model.handshake_done(round_trip_s, 0.0)

    def run(self, seconds: float) -> None:
        """Send for so long, as fast as the model says."""
        until = self.now + seconds
        while self.now < until:
            while self._way and self._way[0][0] <= self.now:
                self._return(*self._way.popleft())
            while self._in_flight < self.model.window_bytes and self._release_at <= self.now:
                self._send()
            self.now += 0.0005

    def _send(self) -> None:
        self._release_at = max(self._release_at, self.now - 0.001) + MSS / self.model.rate
        self._in_flight += MSS
        wait_s = max(0.0, self._free_at - self.now)
        is_lost = wait_s > self._room_s or self._rng.random() < self._loss
        if wait_s <= self._room_s:
            self._free_at = self.now + wait_s + MSS / self._rate
            self.longest_s = max(self.longest_s, wait_s)
            wait_s += MSS / self._rate
        back_at = self.now + wait_s + self._round_trip_s
        self._way.append((back_at, self.now, self._first_at, self._total, self._total_at, is_lost))

    def _return(self, at: float, sent_at: float, first_at: float, prior: int, prior_at: float, is_lost: bool) -> None:
        self._in_flight -= MSS
        if is_lost:
            self.lost += MSS
            self.model.on_loss(MSS)
            return
        self.came += MSS
        self._total += MSS
        interval_s = max(sent_at - first_at, at - prior_at)
        self._total_at, self._first_at = at, sent_at
        self.model.on_delivery(self.now, MSS, self._total, prior, interval_s, False, at - sent_at, self._in_flight)


class ModelTests(SynchronousTestCase):
    """One sender."""

    def test_finds_the_rate(self) -> None:
        """In a second it knows how wide the way is, and from then on fills it."""
        way = Way(2e6, 0.02, 1e6)
        way.run(1.0)
        self.assertTrue(1.8e6 < way.model.delivery_rate < 2.2e6, way.model.delivery_rate)
        came = way.came
        way.run(5.0)
        self.assertGreater(way.came - came, 0.9 * 5.0 * 2e6)

    def test_short_queue(self) -> None:
        """Once it knows, what waits before the way is little, however much room there is; nothing gets lost."""
        way = Way(2e6, 0.02, 10e6)
        way.run(1.0)
        way.longest_s = 0.0
        way.run(5.0)
        self.assertEqual((way.lost, way.longest_s < 0.02), (0, True))

    def test_random_losses(self) -> None:
        """One datagram in twenty that gets lost costs little more than one in twenty."""
        way = Way(2e6, 0.02, 1e6, loss=0.05)
        way.run(6.0)
        self.assertGreater(way.came, 0.8 * 6.0 * 2e6)

    def test_hardly_any_room(self) -> None:
        """Where next to nothing fits before the way, not much is lost for long."""
        way = Way(2e6, 0.02, 5e3)
        way.run(2.0)
        came, lost = way.came, way.lost
        way.run(5.0)
        self.assertGreater(way.came - came, 0.8 * 5.0 * 2e6)
        self.assertLess(way.lost - lost, 0.1 * (way.came - came))

    def test_narrower(self) -> None:
        """When the way becomes narrower, the queue that this makes is gone after a few seconds."""
        way = Way(4e6, 0.02, 1e7)
        way.run(2.0)
        way._rate = 1e6
        way.run(4.0)
        way.longest_s = 0.0
        way.run(3.0)
        self.assertLess(way.longest_s, 0.05)

    def test_wider(self) -> None:
        """When it becomes wider, that is found out."""
        way = Way(1e6, 0.02, 1e6)
        way.run(2.0)
        way._rate = 4e6
        way.run(6.0)
        self.assertGreater(way.model.delivery_rate, 3e6)

    def test_empties_now_and_then(self) -> None:
        """Every few seconds it keeps so little under way that the shortest round trip shows, and goes on."""
        way = Way(2e6, 0.02, 1e6)
        modes = []
        for _ in range(12_000):
            way.run(0.0005)
            if not modes or modes[-1] is not way.model.mode:
                modes.append(way.model.mode)
        self.assertEqual(modes[:3], [Mode.STARTUP, Mode.DRAIN, Mode.CRUISE])
        self.assertTrue(0.02 <= way.model.least_s < 0.022, way.model.least_s)

    def test_nothing_measured(self) -> None:
        """When no round trip is measured while the queue is emptied, that is not taken for a queue of others."""
        way = Way(2e6, 0.02, 1e6)
        way.run(6.0)
        model = way.model
        model.mode, model._emptied_at = Mode.EMPTYING, None
        for now in (7.0, 8.0):
            total = model._round_ends_at
            model.on_delivery(now, MSS, total + MSS, total, 0.02, False, None, 0)
        self.assertEqual((model.mode, model._is_contended), (Mode.CRUISE, False))

    def test_timeout(self) -> None:
        """When nothing comes back it sends next to nothing, and as before when something does."""
        way = Way(2e6, 0.02, 1e6)
        way.run(1.0)
        window = way.model.window_bytes
        way.model.timed_out()
        self.assertLess(way.model.window_bytes, window / 4)
        way.run(0.1)
        self.assertGreater(way.model.window_bytes, window / 2)
