"""How results are printed, on terminals of any width and into a pipe."""

from __future__ import annotations

import io

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.terminal.results import show_sentence

WORDS = "the buyer 0123456789abcdef ordered 2 apple on that offer"


class SentenceTests(SynchronousTestCase):
    """What is to be read."""

    def shown(self, *, terminal: bool) -> list[str]:
        """The lines at 40 columns, without blanks at their ends."""
        file = io.StringIO()
        show_sentence(Console(file=file, width=40, force_terminal=terminal, no_color=True), WORDS, start="  2. ")
        return [line.rstrip() for line in file.getvalue().splitlines()]

    def test_terminal(self) -> None:
        """On a terminal it is parted between words, and goes on below the text."""
        self.assertEqual(
            self.shown(terminal=True), ["  2. the buyer 0123456789abcdef ordered", "     2 apple on that offer"]
        )

    def test_pipe(self) -> None:
        """Into a pipe it stays in one line."""
        self.assertEqual(self.shown(terminal=False), [f"  2. {WORDS}"])
