"""Promises of ephemeral directories: there when they are needed, and gone afterwards, however the process ended."""

from __future__ import annotations

import gc
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.system.ephemeral import EphemeralDirectory, remove_leftovers

_HOLD = """
import sys
from pathlib import Path
from twisted_bazaar.system.ephemeral import EphemeralDirectory
directory = EphemeralDirectory(Path(sys.argv[1]))
directory.open()
(Path(directory) / "file").write_bytes(b"x")
print(Path(directory).name, flush=True)
sys.stdin.read()
"""


class EphemeralTests(SynchronousTestCase):
    """Directories among the temporary ones."""

    def setUp(self) -> None:
        """Have a place for temporary files."""
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)

    def other_process(self) -> tuple[subprocess.Popen[str], Path]:
        """Another process with a directory of its own."""
        words = [sys.executable, "-c", _HOLD, str(self.place)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None, "it is a pipe"
        return process, self.place / process.stdout.readline().strip()

    def test_life(self) -> None:
        """There is nothing before it is opened, then a directory for this user alone, and nothing afterwards."""
        directory = EphemeralDirectory(self.place)
        directory.close()
        self.assertEqual(os.listdir(self.place), [])
        directory.open()
        path = Path(directory)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o700)
        (path / "file").write_bytes(b"x")
        directory.close()
        directory.close()
        self.assertEqual(os.listdir(self.place), [])

    def test_forgotten(self) -> None:
        """One that nobody has closed is gone with the object."""
        directory = EphemeralDirectory(self.place)
        directory.open()
        del directory
        gc.collect()
        self.assertEqual(os.listdir(self.place), [])

    def test_no_place(self) -> None:
        """Where none can be made, that is said in a line."""
        directory = EphemeralDirectory(self.place / "nowhere")
        refusal = str(self.assertRaises(UsageError, directory.open))
        self.assertIn("no directory can be made in", refusal)

    def test_ended(self) -> None:
        """A process that ends by itself leaves nothing, though nobody has closed it."""
        process, path = self.other_process()
        self.assertTrue(path.is_dir())
        process.communicate()
        self.assertEqual((process.returncode, os.listdir(self.place)), (0, []))

    def test_killed(self) -> None:
        """What a killed process has left is removed by the next; what a living one has is not, nor anything else."""
        killed, left = self.other_process()
        _, living = self.other_process()
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        others = [self.place / name for name in ("other", "bazaar-ephemeral-file")]
        others[0].mkdir()
        others[1].write_bytes(b"")
        link = self.place / "bazaar-ephemeral-link"
        link.symlink_to(others[0])
        own = EphemeralDirectory(self.place)
        own.open()
        self.assertTrue(left.is_dir())
        self.assertEqual(remove_leftovers(self.place), 1)
        self.assertEqual(sorted(self.place.iterdir()), sorted([living, Path(own), *others, link]))
        own.close()

    def test_of_somebody_else(self) -> None:
        """What belongs to another user stays."""
        left = self.place / "bazaar-ephemeral-x"
        left.mkdir()
        if os.geteuid():
            self.assertEqual(remove_leftovers(self.place), 1)
            return
        os.chown(left, 65_534, -1)
        self.assertEqual((remove_leftovers(self.place), left.is_dir()), (0, True))
