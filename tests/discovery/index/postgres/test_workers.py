"""A worker: one thing at a time, by host and then by owner."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.index.messages import Busy
from twisted_bazaar.discovery.index.postgres.workers import Worker
from twisted_bazaar.discovery.index.scheduling.fair_queue import CREDIT_S, MOST_WAITING
from twisted_bazaar.errors import LinkClosed


class WorkerTests(SynchronousTestCase):
    """Works that each take a while."""

    def setUp(self) -> None:
        """Nothing is done yet."""
        self.clock = Clock()
        self.worker = Worker(self.clock)
        self.at_work: list[tuple[str, Deferred[str]]] = []
        self.done: list[str] = []

    def do(self, owner: str, host: str | None = None, name: str = "") -> Deferred[str]:
        """Have something be done."""
        return self.worker.submit(owner, self.beginning(name or owner), host)

    def beginning(self, name: str) -> Callable[[], Deferred[str]]:
        """What begins something."""

        def begin() -> Deferred[str]:
            self.at_work.append((name, Deferred()))
            return self.at_work[-1][1]

        return begin

    def finish(self, took_s: float = 0.01) -> str:
        """What is at work is done after a while; returns what it was."""
        [(name, working)] = self.at_work
        self.at_work.clear()
        self.clock.advance(took_s)
        self.done.append(name)
        working.callback(name)
        return name

    def test_one_at_a_time(self) -> None:
        """Owners take turns, and what each wants is done in its order, one thing at a time."""
        works = [self.do("a", name="a1"), self.do("a", name="a2"), self.do("b")]
        for _ in range(3):
            self.finish()
        self.assertEqual(self.done, ["a1", "b", "a2"])
        self.assertEqual([self.successResultOf(work) for work in works], ["a1", "a2", "b"])

    def test_by_host(self) -> None:
        """A host has its share of the time, however many owners it has and however long its works take."""
        for number in range(50):
            for _ in range(20):
                self.do(f"many {number}", "a host", "many")
        for _ in range(60):
            self.do("one", "another", "one")
        spent = {"many": 0.0, "one": 0.0}
        for _ in range(70):
            took_s = 0.05 if self.at_work[0][0] == "many" else 0.01
            spent[self.finish(took_s)] += took_s
        self.assertLess(abs(spent["many"] - spent["one"]), CREDIT_S + 0.1)

    def test_charged_when_nothing_waits(self) -> None:
        """Who asks one long thing after the other, and never two at a time, has its share too and no more."""
        for _ in range(60):
            self.do("one", "another", "one")
        self.do("long")
        long_s = 0.0
        for _ in range(60):
            name = self.at_work[0][0]
            took_s = 1.0 if name == "long" else 0.1
            long_s += took_s if name == "long" else 0.0
            self.finish(took_s)
            if name == "long":
                self.do("long")
        self.assertLess(long_s, 6.0 + CREDIT_S + 1.0)

    def test_busy(self) -> None:
        """Who wants too much at once is told; others are not concerned."""
        for _ in range(MOST_WAITING + 1):
            self.do("a")
        self.failureResultOf(self.do("a"), Busy)
        self.assertNoResult(self.do("b"))

    def test_faults(self) -> None:
        """What fails fails alone, also before it has begun."""

        def broken() -> Deferred[str]:
            raise ValueError("no")

        self.failureResultOf(self.worker.submit("a", broken), ValueError)
        self.failureResultOf(self.worker.submit("a", lambda: fail(ValueError("no"))), ValueError)
        self.assertEqual(self.successResultOf(self.worker.submit("a", lambda: succeed("a"))), "a")

    def test_many_at_once(self) -> None:
        """However many things wait that are done at once, none is done within another."""
        self.do("first")
        works = [self.worker.submit(number, lambda: succeed("")) for number in range(5_000)]
        self.finish()
        self.assertTrue(all(work.called for work in works))

    def test_gone(self) -> None:
        """What waits of an owner that has gone is not begun; what it wants later is."""
        waiting = [self.do("a"), self.do("a"), self.do("b")]
        self.worker.forget("a")
        self.worker.forget("never there")
        again = self.do("a", name="again")
        for _ in range(3):
            self.finish()
        self.assertNoResult(waiting[1])
        self.assertEqual((self.done[0], sorted(self.done[1:])), ("a", ["again", "b"]))
        self.assertEqual(self.successResultOf(again), "again")

    def test_stopped(self) -> None:
        """When it stops, who waits is told, and what has begun is waited for."""
        works = [self.do("a"), self.do("a"), self.do("b")]
        stopping = self.worker.stop()
        for work in (*works[1:], self.do("c")):
            self.failureResultOf(work, LinkClosed)
        self.assertNoResult(stopping)
        self.finish()
        self.assertEqual((self.successResultOf(works[0]), self.successResultOf(stopping)), ("a", None))
        self.assertEqual(self.at_work, [])
