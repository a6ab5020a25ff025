"""The stage of a demo, and the time that it takes."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from rich.console import Console
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.terminal.interruption import Interruption
from twisted_bazaar.demo.daemons import DemoFailure, Stage
from twisted_bazaar.demo.narration import Narration


class WaitingTests(SynchronousTestCase):
    """Waiting for what daemons do."""

    def setUp(self) -> None:
        """Have a stage with nobody on it."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.clock = Clock()
        self.stage = Stage(Path(directory.name), Interruption(), self.clock.seconds, self.clock.advance)

    def test_seen(self) -> None:
        """What is waited for is given as soon as it is there."""
        seen = self.stage.wait_for("nothing", lambda: "it" if self.clock.seconds() > 2.0 else None, 5.0)
        self.assertEqual(seen, "it")
        self.assertTrue(2.0 < self.clock.seconds() < 2.1, self.clock.seconds())

    def test_not_in_time(self) -> None:
        """What does not come in time is a failure, which says how long was waited."""
        failure = self.assertRaises(DemoFailure, self.stage.wait_for, "Sam did not sell", lambda: None, 5.0)
        self.assertEqual(str(failure), "Sam did not sell within 5 seconds")
        self.assertTrue(5.0 <= self.clock.seconds() < 5.1, self.clock.seconds())

    def test_seen_at_last(self) -> None:
        """Who could not look for long, as on a machine that is busy, looks once more before giving up."""

        def look() -> str | None:
            self.clock.advance(9.0)
            return "it" if self.clock.seconds() > 10.0 else None

        self.assertEqual(self.stage.wait_for("nothing", look, 5.0), "it")


class NarrationTests(SynchronousTestCase):
    """What a demo says."""

    def test_time(self) -> None:
        """What happens has the time since the beginning beside it."""
        clock, told = Clock(), io.StringIO()
        clock.advance(100.0)
        story = Narration(clock.seconds, Console(file=told, width=60))
        clock.advance(2.5)
        story.tell("Sam sells.")
        self.assertEqual(told.getvalue().split(), ["2.5", "s", "Sam", "sells."])
