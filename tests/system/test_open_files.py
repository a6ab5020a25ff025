"""How many connections the files of a process leave room for."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.system.open_files import OpenFiles

PROGRAM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from twisted_bazaar.system.open_files import file_limit, raise_file_limit
held = [open("/dev/null") for _ in range(7)]
room = raise_file_limit()
print(room.limit, room.in_use >= 10, room.limit - room.in_use - room.reserve == room.connections, file_limit())
"""


class OpenFilesTests(SynchronousTestCase):
    """A part is kept, and the rest is for connections."""

    def test_reserve(self) -> None:
        """Of few files 24 are kept, of more a quarter, of very many 256."""
        found = [OpenFiles(limit, 14).reserve for limit in (64, 256, 1024, 1 << 20)]
        self.assertEqual(found, [24, 64, 256, 256])

    def test_connections(self) -> None:
        """What is neither open nor kept is for connections; there is one at least."""
        self.assertEqual([OpenFiles(limit, 14).connections for limit in (1024, 64, 20)], [754, 26, 1])

    def test_of_a_process(self) -> None:
        """What the system lets a process have is asked for, and what is open already is counted."""
        words = [sys.executable, "-c", PROGRAM, "50", "80"]
        told = subprocess.run(words, env=dict(os.environ), capture_output=True, text=True, timeout=60)
        self.assertEqual((told.stdout, told.stderr), ("80 True True 80\n", ""))
