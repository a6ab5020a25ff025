"""Commands in a reactor: what becomes of what they do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError
from twisted_bazaar.cli.terminal.interruption import Interruption
from twisted_bazaar.cli.terminal.session import Interrupted, Running, Work
from twisted_bazaar.errors import LinkClosed, UsageError


class RunningTests(SynchronousTestCase):
    """Some work is done while the reactor runs."""

    def setUp(self) -> None:
        """Have a reactor that has just begun."""
        self.reactor = MemoryReactorClock()
        self.reactor.running = True
        self.cleaned = False

    def begin(self, work: Callable[[Any], Work[Any]], interruption: Interruption | None = None) -> Running:
        """Begin."""
        running = Running(self.reactor, interruption or Interruption(), work)
        running.begin()
        return running

    async def wait(self, reactor: Any) -> int:
        """Wait for somebody, and put things in order at the end."""
        try:
            self.waiting: Deferred[int] = Deferred()
            return await self.waiting
        finally:
            self.cleaned = True

    async def fail_at_once(self, reactor: Any) -> None:
        """Do something impossible."""
        raise self.error

    def test_done(self) -> None:
        """What comes of it is given, and the reactor stops; nothing goes on."""
        running = self.begin(self.wait)
        self.assertFalse(self.reactor.hasStopped)
        self.waiting.callback(7)
        self.assertEqual((running.result(), self.reactor.hasStopped), (7, True))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_failed(self) -> None:
        """What was impossible is refused, what was not so is denied, and our own faults stay what they are."""
        for error, expected in (
            (UsageError("no"), UserError),
            (LinkClosed("gone"), NegativeAnswer),
            (KeyError("x"), KeyError),
        ):
            self.error: Exception = error
            self.assertRaises(expected, self.begin(self.fail_at_once).result)

    def test_interrupted(self) -> None:
        """A signal cancels what is waited for, and things are put in order first."""
        with Interruption() as interruption:
            running = self.begin(self.wait, interruption)
            os.kill(os.getpid(), signal.SIGTERM)
            self.reactor.advance(0.2)
        self.assertEqual((self.cleaned, self.reactor.hasStopped), (True, True))
        self.assertEqual(self.assertRaises(Interrupted, running.result).status, 143)

    def test_interrupted_late(self) -> None:
        """What was done all the same when a signal came counts."""

        async def stubborn(reactor: Any) -> int:
            try:
                await self.wait(reactor)
            finally:
                return 5  # noqa: B012 # that is what it is about

        with Interruption() as interruption:
            running = self.begin(stubborn, interruption)
            os.kill(os.getpid(), signal.SIGINT)
            self.reactor.advance(0.2)
        self.assertEqual(running.result(), 5)
