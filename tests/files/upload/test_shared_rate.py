"""Promises of the limit on the rate: every host gets a fair share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.upload.shared_rate import SharedRate


class PaceTests(SynchronousTestCase):
    """So many bytes a second, and the same for all."""

    def send(self, rate: int, hosts: Sequence[str], seconds: int) -> tuple[list[int], Clock]:
        """Let some send as much as they may.

        @param hosts: where each of them sends to.
        @return: what each has sent.
        """
        clock = Clock()
        pace = SharedRate(clock, rate)
        sent: Counter[int] = Counter()
        size = pace.piece_bytes(1 << 19)

        def go(number: int) -> None:
            sent[number] += size
            ask(number)

        def ask(number: int) -> None:
            while pace.acquire(size, hosts[number], ready[number]):
                sent[number] += size

        ready = [lambda number=number: go(number) for number in range(len(hosts))]
        for number in range(len(hosts)):
            ask(number)
        for _ in range(seconds * 20):
            clock.advance(0.05)
        for host, each in zip(hosts, ready, strict=True):
            pace.forget(host, each)
        return [sent[number] for number in range(len(hosts))], clock

    def test_rate(self) -> None:
        """Over time it is what was asked for, and each has the same share."""
        for rate in (5_000, 300_000, 20 << 20):
            for hosts in ("abcde", "aaaaa"):
                sent, clock = self.send(rate, hosts, 20)
                self.assertLess(abs(sum(sent) / (20 * rate) - 1), 0.03)
                self.assertLess(max(sent), 1.1 * min(sent) + (1 << 19))
                self.assertEqual(clock.getDelayedCalls(), [])

    def test_shares_by_host(self) -> None:
        """A host with many connections gets no more than one with a single one."""
        sent, _ = self.send(300_000, "x" * 9 + "y", 20)
        self.assertLess(abs(sum(sent[:9]) / sent[9] - 1), 0.1)

    def test_idle_time_is_no_credit(self) -> None:
        """Who was silent for long may not send it all at once."""
        clock = Clock()
        pace = SharedRate(clock, 1000)
        clock.advance(1000)
        taken = 0
        while pace.acquire(100, "x", lambda: None):
            taken += 100
        self.assertLessEqual(taken, 300)

    def test_no_limit(self) -> None:
        """Without a rate nobody waits."""
        pace = SharedRate(Clock(), None)
        self.assertTrue(all(pace.acquire(1 << 19, "x", lambda: None) for _ in range(1000)))
        self.assertEqual(pace.piece_bytes(77), 77)
