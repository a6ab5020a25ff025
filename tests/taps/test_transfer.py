"""How a node's command line says how files are transferred over datagrams."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.configured import OPTIONS
from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.udp import Transfer
from twisted_bazaar.files.window import Settings
from twisted_bazaar.files.window.log import HEADING
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.role import Role
from twisted_bazaar.service.config import read_transfer
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.taps import node


class Classic(Role):
    """A role of a ring as in a classroom."""

    is_stop_and_wait = True


class ReadTests(SynchronousTestCase):
    """What options mean."""

    def read(self, limits: Limits | None = None, **options: Any) -> Transfer:
        """What these mean."""
        roles = [Classic()] if options.pop("classic", False) else []
        return read_transfer(OptionValues.of(OPTIONS, **options), roles, limits or Limits(), 0, takes_datagrams=True)

    def refusal(self, limits: Limits | None = None, **options: Any) -> str:
        """Why these cannot be."""
        with self.assertRaises(UsageError) as caught:
            self.read(limits, **options)
        return str(caught.exception)

    def test_nothing(self) -> None:
        """Without options all is as usual."""
        self.assertEqual(self.read(), Transfer())

    def test_all(self) -> None:
        """Each option has its setting."""
        transfer = self.read(transfer="udp", window="7", mss="1000", drop="0.25")
        self.assertEqual(transfer, Transfer(Settings(window=7, mss=1000, drop=0.25), True))
        self.assertEqual(self.read(transfer="tcp"), Transfer())

    def test_classic(self) -> None:
        """As in a classroom, files come by datagrams, one at a time, unless something else is said."""
        self.assertEqual(self.read(classic=True), Transfer(Settings(window=1), True))
        self.assertEqual(self.read(classic=True, window="9", transfer="tcp"), Transfer(Settings(window=9)))

    def test_small_datagrams(self) -> None:
        """Where datagrams are to be short, so are segments."""
        self.assertEqual(self.read(Limits(datagram_bytes=600)).settings.mss, 545)
        self.assertEqual(self.read(Limits(datagram_bytes=20)).settings.mss, 1)
        self.assertEqual(self.read(Limits(datagram_bytes=9000)).settings.mss, Settings().mss)
        self.assertEqual(self.read(Limits(datagram_bytes=9000), mss="8945").settings.mss, 8945)

    def test_refusals(self) -> None:
        """Each mistake is refused with what may be written."""
        for options, text in (
            ({"transfer": "ftp"}, "--transfer 'ftp': write tcp or udp"),
            ({"window": "0"}, "--window '0': takes a whole number from 1 to 65,536"),
            ({"window": "x"}, "--window 'x': takes a whole number from 1 to 65,536"),
            ({"window": "65537"}, "--window '65537': takes a whole number from 1 to 65,536"),
            ({"mss": "-1"}, "--mss '-1': takes a whole number from 1 to 1,145"),
            ({"mss": "99999"}, "--mss '99999': takes a whole number from 1 to 1,145"),
            ({"drop": "1"}, "--drop '1': takes a share such as 0.1; 0 or more, and less than 1"),
            ({"drop": "nan"}, "--drop 'nan': takes a share such as 0.1; 0 or more, and less than 1"),
            ({"drop": "-0.1"}, "--drop '-0.1': takes a share such as 0.1; 0 or more, and less than 1"),
            (
                {"mss": "1146"},
                "--mss 1146: a segment would have 1,201 bytes, and a datagram has 1,200 at most; write 1,145 or less, "
                "or add --limit datagram-bytes=1201",
            ),
            ({"transfer_log": "/nowhere/at/all"}, "--transfer-log '/nowhere/at/all': No such file or directory"),
            ({"transfer_log": "\0"}, "--transfer-log '\\x00': embedded null byte"),
        ):
            self.assertEqual(self.refusal(**options), text)

    def test_log(self) -> None:
        """The log is there at once, and goes on after what it had."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "log")
            path.write_text("before\n")
            log = self.read(transfer_log=str(path)).log
            assert log is not None
            log.watcher(("10.0.0.1", 9))("snd", 1.5, 0, 10, 0)
            lines = path.read_text().splitlines()
        self.assertEqual(lines[:2], ["before", f"{HEADING}  with"])
        self.assertEqual(lines[2].split(), ["snd", "1.500000", "0", "10", "0", "10.0.0.1:9"])


class NodeTests(SynchronousTestCase):
    """Where the options may stand."""

    def start(self, *words: str, environment: Mapping[str, str] = MappingProxyType({})) -> Any:
        """Make a node's service."""
        options = node.Options()
        options.environment = dict(environment)
        options.parseOptions(["--ephemeral", "--role", "seller", "--stock", "apple", *words])
        return node.makeService(options, MemoryReactorClock())

    def test_taken(self) -> None:
        """A node that takes datagrams takes them; --limit counts."""
        words = ("--transfer", "udp", "--mss", "1500", "--limit", "datagram-bytes=2000")
        built = self.start("--udp", "0", *words)
        self.assertEqual(built.node.streams_first, True)
        self.assertEqual(built.node.datagrams.streams.longest_bytes, 1555)

    def test_without_datagrams(self) -> None:
        """A node that takes none is told what to add."""
        for words in (("--transfer", "udp"), ("--window", "1"), ("--drop", "0.1")):
            with self.assertRaises(SystemExit) as caught:
                self.start(*words)
            self.assertIn(
                f"{words[0]} goes with --udp: add --udp 0 for any port that is free, or leave out {words[0]}",
                str(caught.exception),
            )

    def test_classic_elsewhere(self) -> None:
        """That a file says classic, for several nodes, means nothing to a node that is on no ring."""
        below = {"BAZAAR_CLASSIC": "yes", "BAZAAR_UDP": "0"}
        for words, is_first in (((), False), (("--via", "ring"), True)):
            built = self.start(*words, environment=below)
            settings = built.node.datagrams.streams.streams._settings
            self.assertEqual((built.node.streams_first, settings.window == 1), (is_first, is_first))

    def test_log_is_closed(self) -> None:
        """When the node stops its log is closed, and what comes too late is written nowhere."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "log")
            built = self.start("--udp", "0", "--transfer-log", str(path))
            streams = built.node.datagrams.streams
            watcher = streams._log.watcher(("10.0.0.1", 9))
            file = streams._log._file
            self.successResultOf(streams.stop())
            self.assertTrue(file.closed)
            watcher("snd", 1.5, 0, 10, 0)
            self.assertEqual(len(path.read_text().splitlines()), 1)

    def test_refused(self) -> None:
        """What cannot be ends the process with a line."""
        with self.assertRaises(SystemExit) as caught:
            self.start("--udp", "0", "--window", "0")
        self.assertIn("--window '0'", str(caught.exception))
