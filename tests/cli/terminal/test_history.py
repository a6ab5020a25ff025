"""What was typed in earlier sessions, and who can read it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.terminal.history import History


class HistoryTests(SynchronousTestCase):
    """Lines outlive a session."""

    def setUp(self) -> None:
        """Have a directory that is not there yet."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name, "state")
        self.file = self.directory / "typed"

    def history(self, *lines: str) -> History:
        """A session in which something is typed."""
        history = History(self.directory, "typed")
        for line in lines:
            history.add(line)
        return history

    def test_kept(self) -> None:
        """The next session has the lines of all before, the latest last, also of those that ran at once."""
        self.assertEqual(self.history().load(), [])
        one, other = self.history("a", "b"), self.history("c")
        self.assertEqual((one.save(), other.save()), (None, None))
        self.assertEqual(self.history().load(), ["a", "b", "c"])

    def test_private(self) -> None:
        """Nobody else can read the file, whatever the process lets others do with what it makes."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.history("a").save()
        self.assertEqual((self.file.stat().st_mode & 0o077, self.directory.stat().st_mode & 0o022), (0, 0))

    def test_not_kept(self) -> None:
        """A line that begins with a blank is not kept, nor one that is empty, endless, or the same as before."""
        history = self.history("a", "a", " secret", "", "x" * 1001)
        self.assertEqual(history.save(), None)
        self.assertEqual(self.history().load(), ["a"])

    def test_bounded(self) -> None:
        """There are as many lines as somebody looks through, the latest of all."""
        self.history(*map(str, range(1500))).save()
        self.assertEqual(self.history().load(), [str(number) for number in range(500, 1500)])

    def test_nothing_typed(self) -> None:
        """Who types nothing leaves no file."""
        self.history().save()
        self.assertFalse(self.file.exists())

    def test_not_ours(self) -> None:
        """A file that is a link is not read and not written; why is told."""
        self.directory.mkdir(mode=0o700)
        elsewhere = self.directory / "elsewhere"
        elsewhere.write_text("mine\n")
        self.file.symlink_to(elsewhere)
        self.assertRaises(OSError, self.history().load)
        self.assertIn("symbolic link", self.history("a").save() or "")
        self.assertEqual(elsewhere.read_text(), "mine\n")

    def test_open_directory(self) -> None:
        """A directory to which others may write is refused."""
        self.directory.mkdir()
        self.directory.chmod(0o777)
        self.assertIn("others may write to it", self.history("a").save() or "")

    def test_half_a_character(self) -> None:
        """What cannot be written is told, and ends nothing."""
        self.assertIn("surrogates not allowed", self.history("a\udcff").save() or "")
