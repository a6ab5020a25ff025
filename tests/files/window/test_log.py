"""The transfer log."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.window.log import HEADING, line


class LogTests(SynchronousTestCase):
    """Its lines."""

    def test_columns(self) -> None:
        """What is told stands under its heading, and can be split at blanks."""
        lines = [HEADING, line("snd", 0.25, 0, 1140, 0), line("rcv", 12.5, 1 << 40, 1, (1 << 40) + 1)]
        self.assertEqual({len(each) for each in lines}, {len(HEADING)})
        self.assertEqual(lines[0].split(), ["event", "seconds", "offset", "bytes", "ack"])
        self.assertEqual(lines[1].split(), ["snd", "0.250000", "0", "1140", "0"])
        self.assertEqual(lines[2].split(), ["rcv", "12.500000", "1099511627776", "1", "1099511627777"])
