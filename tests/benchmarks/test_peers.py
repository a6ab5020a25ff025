"""What the benchmarks are held against, and how it is installed."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.peers import PEERS, Peer


class InstalledTests(SynchronousTestCase):
    """What is there, and what is not."""

    def test_there(self) -> None:
        """A peer that needs nothing, or what every machine has, is installed."""
        self.assertTrue(Peer("one").is_installed())
        self.assertTrue(Peer("shell", programs=("sh",), python=(("twisted", "Twisted"),)).is_installed())

    def test_missing(self) -> None:
        """One that lacks a program, a module or something else is not."""
        self.assertFalse(Peer("one", programs=("sh", "no-such-program")).is_installed())
        self.assertFalse(Peer("one", python=(("no_such_module", "no-such-module"),)).is_installed())
        self.assertFalse(Peer("one", is_ready=lambda: False).is_installed())

    def test_commands(self) -> None:
        """Debian's packages are installed by apt-get, Python's into this environment."""
        peer = Peer("one", debian=("a", "b"), python=(("c", "c>=1"),))
        apt, pip = peer.install_command.split(" && ")
        self.assertEqual(apt, "apt-get install --yes --no-install-recommends a b")
        self.assertEqual(pip, f"{sys.executable} -m pip install --quiet --disable-pip-version-check 'c>=1'")

    def test_all(self) -> None:
        """Each peer that may be missing has a command that installs it."""
        self.assertEqual([peer.name for peer in PEERS if peer.programs + peer.python and not peer.install_command], [])
