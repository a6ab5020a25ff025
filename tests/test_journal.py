"""The file of events: one JSON line for each, and for each message sent."""

from __future__ import annotations

import io
import json
import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.journal import EventFile, open_events
from twisted_bazaar.node.control import Ping, Stale
from twisted_bazaar.values.addresses import Address, Peer


class EventFileTests(SynchronousTestCase):
    """What stands in it."""

    def test_sent(self) -> None:
        """A message over a link is told with the id of who gets it, one by datagram with its address and its size."""
        file = io.StringIO()
        events = EventFile(file, lambda: 2.5)
        events.trace(Peer(7, "ab" * 32, Address("192.0.2.7", 1)), Ping())
        events.trace(None, Ping())
        events.trace_datagram(Address("2001:db8::1", 9), Stale(was="0" * 16), 42)
        events.enter("sold", {"item": "apple"})
        self.assertEqual(
            [json.loads(line) for line in file.getvalue().splitlines()],
            [
                {"time": 2.5, "event": "sent", "to": 7, "type": "ping"},
                {"time": 2.5, "event": "sent", "to": None, "type": "ping"},
                {
                    "time": 2.5,
                    "event": "datagram",
                    "to": "[2001:db8::1]:9",
                    "bytes": 42,
                    "type": "stale",
                    "was": "0" * 16,
                },
                {"time": 2.5, "event": "sold", "item": "apple"},
            ],
        )

    def test_link_of_somebody_else(self) -> None:
        """A file of events that is a link of somebody else is refused: events would go into another file."""
        if os.geteuid():
            self.skipTest("only root can give links to others")
        with tempfile.TemporaryDirectory() as place:
            secret, path = Path(place) / "secret", Path(place) / "events"
            path.symlink_to(secret)
            os.chown(path, 65_534, -1, follow_symlinks=False)
            error = self.assertRaises(UsageError, open_events, str(path), lambda: 0.0)
            self.assertIn("somebody else has put a symbolic link there", str(error))
            self.assertFalse(secret.exists())
