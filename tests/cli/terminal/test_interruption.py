"""Ending early, by signals that are really sent."""

from __future__ import annotations

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.terminal.interruption import Interruption


class InterruptionTests(SynchronousTestCase):
    """Somebody presses Ctrl-C."""

    def test_asked_for(self) -> None:
        """A signal does nothing until it is asked for, and then gives the status that a shell has for it."""
        with Interruption() as interruption:
            interruption.check()
            os.kill(os.getpid(), signal.SIGINT)
            error = self.assertRaises(SystemExit, interruption.check)
        self.assertEqual(error.code, 130)

    def test_undone(self) -> None:
        """Afterwards signals do what they did before."""
        before = signal.getsignal(signal.SIGINT)
        with Interruption():
            self.assertNotEqual(signal.getsignal(signal.SIGINT), before)
        self.assertEqual(signal.getsignal(signal.SIGINT), before)

    def test_second(self) -> None:
        """A second signal ends the process only where that is asked for."""
        ended: list[int] = []
        self.patch(os, "_exit", ended.append)
        for insists in (False, True):
            with Interruption(insists=insists):
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(ended, [143])
