"""Sizes, as people and programs read them."""

from __future__ import annotations

import json

from twisted.logger import formatEvent
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.system.sizes import Size, format_size


class SizeTests(SynchronousTestCase):
    """A number of bytes."""

    def test_figures(self) -> None:
        """There are three figures, and a unit that leaves no more than that."""
        sizes = {1: "1 byte", 999: "999 bytes", 1000: "0.98 KiB", 20 << 20: "20.0 MiB", 200 << 30: "200 GiB"}
        self.assertEqual({size: format_size(size) for size in sizes}, sizes)

    def test_in_a_sentence(self) -> None:
        """In a line of the log it is for people, and in the journal it is a number."""
        details = {"name": "film.mp4", "size": Size(20 << 20)}
        event = {"log_format": "keeping {name}, {size}", **details}
        self.assertEqual(formatEvent(event), "keeping film.mp4, 20.0 MiB")
        self.assertEqual(json.loads(json.dumps(details)), {"name": "film.mp4", "size": 20_971_520})
