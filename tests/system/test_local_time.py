"""The form in which people read a time."""

from __future__ import annotations

import os
import time
from datetime import datetime

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.system.local_time import local_time


class LocalTimeTests(SynchronousTestCase):
    """A time tells its zone."""

    def test_zones(self) -> None:
        """It is that of the zone of this machine, whole seconds, with the offset; read back it is the same instant."""
        before = os.environ.get("TZ")

        def restore() -> None:
            if before is None:
                del os.environ["TZ"]
            else:
                os.environ["TZ"] = before
            time.tzset()

        self.addCleanup(restore)
        for zone, written in (
            ("UTC0", "2026-11-25 14:36:04+00:00"),
            ("XST-1", "2026-11-25 15:36:04+01:00"),
            ("XST3:30", "2026-11-25 11:06:04-03:30"),
        ):
            os.environ["TZ"] = zone
            time.tzset()
            self.assertEqual(local_time(1795617364.7), written)
            self.assertEqual(datetime.fromisoformat(written).timestamp(), 1795617364.0)
