"""Promises of the log: it grows by so much a minute and no more, whoever causes whatever to be logged."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, Logger, LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.system.limited_log import (
    FAILURES,
    LONGEST_VALUE,
    LimitedObserver,
    LogLimits,
    LogRate,
    limited_logger,
)

FEW = LogLimits(burst=8, a_minute=4, host_share=0.5, most_kinds=3, most_hosts=4)


class RateTests(SynchronousTestCase):
    """Which lines are written."""

    def setUp(self) -> None:
        """Have few."""
        self.rate = LogRate(FEW)

    def admitted(self, count: int, kind: object = "left", host: object = None, now: float = 0.0) -> int:
        """How many of so many are."""
        return sum(self.rate.allow(kind, host, now) for _ in range(count))

    def test_burst(self) -> None:
        """So many come at once, then so many a minute for as long as it goes on."""
        self.assertEqual(self.admitted(100), 8)
        self.assertEqual([self.admitted(100, now=60.0 * minute) for minute in (1, 2, 3)], [4, 4, 4])
        self.assertEqual(self.admitted(100, now=3600.0), 8)

    def test_told(self) -> None:
        """The next that is written knows how many were left out."""
        self.admitted(20)
        self.assertEqual((self.rate.allow("left", None, 15.0), self.rate.left_out), (True, 12))
        self.assertEqual((self.rate.allow("left", None, 30.0), self.rate.left_out), (True, 0))

    def test_kinds(self) -> None:
        """Many of one kind leave room for another; kinds past the most are one kind together."""
        self.admitted(100, "left")
        self.assertEqual(self.admitted(100, "joined"), 8)
        self.assertEqual(sum(self.admitted(100, f"made up {n}") for n in range(50)), 16)

    def test_hosts(self) -> None:
        """Many lines about one host leave room for others."""
        self.assertEqual(self.admitted(100, host="192.0.2.1"), 4)
        self.assertEqual(self.admitted(1, host="192.0.2.2"), 1)

    def test_many_hosts(self) -> None:
        """However many hosts are made up, one kind has no more than it may."""
        self.assertEqual(sum(self.admitted(2, host=n) for n in range(1000)), 8)

    def test_clock_set_back(self) -> None:
        """A clock that is set back gives nothing, and one that goes on afterwards gives what it should."""
        self.admitted(8, now=600.0)
        self.assertEqual(self.admitted(8, now=0.0), 0)
        self.assertEqual(self.admitted(8, now=60.0), 4)

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, 1]), st.floats(0.0, 30.0)), max_size=60))
    def test_anything(self, asked: list[tuple[str, int | None, float]]) -> None:
        """Of any history, no kind has more than its burst and what the minutes have brought."""
        rate, now, written = LogRate(FEW), 0.0, {"a": 0, "b": 0, "c": 0}
        for kind, host, later_s in asked:
            now += later_s
            written[kind] += rate.allow(kind, host, now)
        self.assertLessEqual(max(written.values()), FEW.burst + FEW.a_minute * now / 60.0 + 1e-6)


class LoggerTests(SynchronousTestCase):
    """What stands in the log."""

    def setUp(self) -> None:
        """Log into a list."""
        self.events: list[LogEvent] = []
        self.log = Logger("here", observer=LimitedObserver(self.events.append))

    def logged(self) -> list[str]:
        """The lines."""
        lines = [formatEvent(event) for event in self.events]
        self.events.clear()
        return lines

    def later(self, minutes: float) -> None:
        """What is logged from now on is as much later."""
        observer = self.log.observer

        def observe(event: LogEvent) -> None:
            observer({**event, "log_time": event["log_time"] + minutes * 60.0})

        self.log = Logger("here", observer=observe)

    def test_bounded(self) -> None:
        """Of a million lines few are written, and the next says how many were left out."""
        for number in range(10_000):
            self.log.info("node {id} left", id=number)
        lines = self.logged()
        self.assertEqual(lines[0], "node 0 left")
        self.assertLessEqual(len(lines), LogLimits().burst + 30)
        self.later(1.0)
        self.log.info("node {id} left", id=7)
        [line] = self.logged()
        self.assertEqual(line, f"node 7 left ({10_000 - len(lines)} more like it were left out)")

    def test_failures(self) -> None:
        """Tracebacks are held to far fewer."""
        for _ in range(1000):
            self.log.failure("a frame from {where} could not be handled", Failure(ValueError("x")), where="here")
        self.assertLessEqual(len(self.events), FAILURES.burst + 1)

    def test_long_values(self) -> None:
        """What a stranger calls itself is not written out at any length, nor taken for a sentence."""
        self.log.warn("it says {reason}", reason="{id}" * 10_000)
        [line] = self.logged()
        self.assertLess(len(line), LONGEST_VALUE + 20)
        self.assertEqual(line[:20], "it says {id}{id}{id}")

    def test_hosts(self) -> None:
        """A host is known by the words that lines have for it, whatever its port is."""
        details: list[dict[str, Any]] = [{"host": "192.0.2.1"}, {"address": "192.0.2.1:7"}, {"address": "192.0.2.1:8"}]
        for number in range(3000):
            self.log.info("somebody came", **details[number % 3])
        self.assertLessEqual(len(self.logged()), LogLimits().burst * LogLimits().host_share + 10)
        self.log.info("somebody came", host="192.0.2.2")
        self.assertEqual(len(self.logged()), 1)

    def test_shared(self) -> None:
        """Objects of one class have their rate together: as many as there are do not write more."""

        class Link:
            log = limited_logger("links")

        with capturedLogs() as events:
            for _ in range(1000):
                Link().log.info("a link failed")
        of_links = [event for event in events if event["log_format"].startswith("a link failed")]
        self.assertLessEqual(len(of_links), LogLimits().burst + 10)
        self.assertEqual(of_links[0]["log_level"], LogLevel.info)

    def test_default(self) -> None:
        """What goes on for ever writes 30 lines of a kind a minute: some 3 KB."""
        self.assertEqual(evolve(LogLimits(), burst=1), LogLimits(1, 30, 0.25, 256, 1024))
