"""Ending early, by signals that are really sent."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.terminal import interruption
from twisted_bazaar.cli.terminal.interruption import Interruption


class InterruptionTests(SynchronousTestCase):
    """Somebody presses Ctrl-C."""

    def test_asked_for(self) -> None:
        """A signal does nothing until it is asked for, and then gives the status that a shell has for it."""
        with Interruption() as session:
            session.check()
            os.kill(os.getpid(), signal.SIGINT)
            error = self.assertRaises(SystemExit, session.check)
        self.assertEqual(error.code, 130)

    def test_undone(self) -> None:
        """Afterwards signals do what they did before."""
        before = signal.getsignal(signal.SIGINT)
        with Interruption():
            self.assertNotEqual(signal.getsignal(signal.SIGINT), before)
        self.assertEqual(signal.getsignal(signal.SIGINT), before)

    def test_handled(self) -> None:
        """Ctrl-C that somebody deals with ends nothing; another signal does, and Ctrl-C that nobody deals with."""
        answers = [True, True, False]
        with Interruption(handled=lambda at: answers.pop(0)) as session:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                session.check()
            os.kill(os.getpid(), signal.SIGINT)
            self.assertEqual(self.assertRaises(SystemExit, session.check).code, 130)
        with Interruption(handled=lambda at: True) as session:
            os.kill(os.getpid(), signal.SIGTERM)
            self.assertEqual(self.assertRaises(SystemExit, session.check).code, 143)

    def test_held_down(self) -> None:
        """A key that is held down ends no program that deals with it; one that deals with nothing for long ends."""
        ended: list[int] = []
        now = [100.0]
        self.patch(os, "_exit", ended.append)
        self.patch(interruption, "time", SimpleNamespace(monotonic=lambda: now[0]))
        with Interruption(insists=True, handled=lambda at: True):
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGINT)
            self.assertEqual(ended, [])
            now[0] += 2.5
            os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual(ended, [130])

    def test_second(self) -> None:
        """A second signal ends the process only where that is asked for."""
        ended: list[int] = []
        self.patch(os, "_exit", ended.append)
        for insists in (False, True):
            with Interruption(insists=insists):
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(ended, [143])
