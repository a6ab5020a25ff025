"""Promises of the state directory: what outlives a process is this user's alone, whatever others have put there."""

from __future__ import annotations

import os
import random
import stat
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.state import StateDirectory


class StateTests(SynchronousTestCase):
    """A directory of one node."""

    def setUp(self) -> None:
        """Have a place for it, and something that is not to be touched."""
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name) / "state"
        self.place.mkdir(0o700)
        self.secret = Path(place.name) / "secret"
        self.secret.write_bytes(b"secret")
        self.secret.chmod(0o644)
        self.rng = random.Random(1)

    def opened(self) -> StateDirectory:
        """The directory, as a process has it."""
        state = StateDirectory(self.place)
        self.addCleanup(state.close)
        return state

    def refusal(self) -> str:
        """What is said of it."""
        return str(self.assertRaises(UsageError, lambda: self.opened().key(self.rng)))

    def test_again(self) -> None:
        """The next process has the key, the id and the lines that this one had."""
        first = StateDirectory(self.place)
        key = first.key(self.rng)
        self.assertEqual((first.former_id, first.recall("book")), (-1, None))
        first.keep_id(4711)
        first.keep("book", "ledger.sqlite")
        first.close()
        second = self.opened()
        again = second.key(random.Random(2)).public, second.former_id, second.recall("book")
        self.assertEqual(again, (key.public, 4711, "ledger.sqlite"))
        self.assertEqual({path.name for path in self.place.iterdir()}, {"key", "id", "book", "lock"})
        self.assertEqual({stat.S_IMODE(path.stat().st_mode) for path in self.place.iterdir()}, {0o600})

    def test_made_by_hand(self) -> None:
        """A directory that others may read, and a key in it that they may not, are as good."""
        self.place.chmod(0o755)
        self.opened().key(self.rng)

    def test_locked(self) -> None:
        """Another process does not get it meanwhile."""
        self.opened()
        self.assertIn("another node uses", str(self.assertRaises(UsageError, StateDirectory, self.place)))

    def test_planted_new(self) -> None:
        """Links under the names that are written first lead the key, the id and the lines nowhere."""
        for name in ("key.new", "id.new", "book.new"):
            (self.place / name).symlink_to(self.secret)
        state = self.opened()
        state.key(self.rng)
        state.keep_id(1)
        state.keep("book", "x")
        self.assertEqual((self.secret.read_bytes(), stat.S_IMODE(self.secret.stat().st_mode)), (b"secret", 0o644))
        self.assertEqual(stat.S_IMODE((self.place / "key").stat().st_mode), 0o600)

    def test_planted_key(self) -> None:
        """A key that is a link, wherever it leads, is refused; nothing is made there."""
        for target in (self.secret, self.place.parent / "nowhere"):
            (self.place / "key").symlink_to(target)
            self.assertIn("key: it is a symbolic link; put a plain file in its place", self.refusal())
            self.doCleanups()
            self.setUp()
        self.assertFalse((self.place.parent / "nowhere").exists())

    def test_planted_directory(self) -> None:
        """A directory under the name that is written first is named, and not the key."""
        (self.place / "key.new").mkdir()
        self.assertRegex(self.refusal(), rf"^{self.place}/key\.new: .*; remove it$")

    def test_key_of_somebody_else(self) -> None:
        """A key that somebody else has put there, and knows, is refused."""
        if os.geteuid():
            self.skipTest("only root can give files to others")
        (self.place / "key").write_bytes(b"ab" * 32)
        (self.place / "key").chmod(0o600)
        os.chown(self.place / "key", 65_534, -1)
        self.assertIn("key: it belongs to ", self.refusal())

    def test_planted_lock(self) -> None:
        """A lock that is a link is refused, and what it leads to is not made."""
        (self.place / "lock").symlink_to(self.place.parent / "nowhere")
        self.assertIn("lock: it is a symbolic link", self.refusal())
        self.assertFalse((self.place.parent / "nowhere").exists())

    def test_planted_folder(self) -> None:
        """A folder that is a link is refused."""
        (self.place / "ring").symlink_to(self.place.parent)
        state = self.opened()
        self.assertIn("ring: it is not a directory", str(self.assertRaises(UsageError, state.folder, "ring")))
