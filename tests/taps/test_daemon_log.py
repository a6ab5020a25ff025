"""The lines of a daemon's log: what is in them, what is left out, and where they go."""

from __future__ import annotations

import io
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.application.service import Application
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import FileLogObserver, ILogObserver, LogEvent, Logger, LogPublisher
from twisted.python import log as legacy
from twisted.python.logfile import LogFile
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.system.local_time import local_time
from twisted_bazaar.system.log_lines import words_of
from twisted_bazaar.taps.daemon_log import LogLines, make_observer
from twisted_bazaar.taps.node import NodeOptions, makeService

_AT = 1795617364.0


class Written(LogPublisher):
    """What is logged, as lines.

    @param lines: makes them.
    """

    def __init__(self, lines: LogLines) -> None:
        self.file = io.StringIO()
        super().__init__(FileLogObserver(self.file, lines.format_event))

    def __call__(self, event: LogEvent) -> None:
        """Take an event, at a time that is known."""
        super().__call__({**event, "log_time": _AT})

    def said(self) -> str:
        """All that has been written, without the time, which each line has that begins one."""
        time = f"{local_time(_AT)} "
        lines = self.file.getvalue().splitlines()
        return "\n".join(line.removeprefix(time) if line.startswith(time) else f"|{line}" for line in lines)


def logger(written: Written, namespace: str = "twisted_bazaar.node.node.Node") -> Logger:
    """A logger whose lines are written."""
    return Logger(namespace, observer=written)


class LineTests(SynchronousTestCase):
    """What stands in a line."""

    def test_who(self) -> None:
        """A line says the role; and the name of the node where it has one that is not its role's."""
        for lines, who in (
            (LogLines("seller"), "seller"),
            (LogLines("seller", "shop"), "seller shop"),
            (LogLines("seller", "seller"), "seller"),
        ):
            written = Written(lines)
            logger(written).info("sold {count} apple", count=2)
            self.assertEqual(written.said(), f"{who}: sold 2 apple")

    def test_several_roles(self) -> None:
        """Each role of a node has its own lines; the others are the node's."""
        written = Written(LogLines("node", "both", {"a.buyer": "buyer", "a.seller": "seller"}))
        for namespace in ("a.seller", "a.buyer.Buyer", "a.buyers", "twisted_bazaar.node.node.Node"):
            logger(written, namespace).info("said")
        self.assertEqual(written.said(), "seller both: said\nbuyer both: said\nnode both: said\nnode both: said")

    def test_levels(self) -> None:
        """What is wrong is marked; and words_of finds the words of each line again."""
        written = Written(LogLines("seller", "shop"))
        for tell in (logger(written).info, logger(written).warn, logger(written).error, logger(written).critical):
            tell("the book: full")
        said = "seller shop: the book: full\nseller shop: warning: the book: full"
        self.assertEqual(written.said(), said + "\nseller shop: error: the book: full" * 2)
        words = {words_of(line) for line in written.file.getvalue().splitlines()}
        self.assertEqual(words, {"the book: full"})
        self.assertEqual(words_of("bazaar-node: no such option"), "bazaar-node: no such option")

    def test_failure(self) -> None:
        """A bug has its traceback, indented, so that each line that begins a line has a time."""
        written = Written(LogLines("seller"))
        try:
            raise ZeroDivisionError("a planted fault")
        except ZeroDivisionError:
            logger(written).failure("the order could not be settled")
        first, second, *_, last = written.said().splitlines()
        self.assertEqual(first, "seller: error: the order could not be settled")
        self.assertEqual(second, "|    Traceback (most recent call last):")
        self.assertEqual(last, "|    builtins.ZeroDivisionError: a planted fault")

    def test_words_of_strangers(self) -> None:
        """What a stranger wrote neither moves the cursor nor looks like a line."""
        written = Written(LogLines("seller"))
        logger(written).info("{reason}", reason="\x1b[2Jno\n2026-11-25 14:36:04+00:00 seller: sold 9 apple")
        said = "seller: \N{REPLACEMENT CHARACTER}[2Jno\n|    2026-11-25 14:36:04+00:00 seller: sold 9 apple"
        self.assertEqual(written.said(), said)

    def test_left_out(self) -> None:
        """Twisted's own doings are left out, but not what is wrong there, nor what others tell in the old way."""
        written = Written(LogLines("seller"))
        twisteds = logger(written, "twisted.internet.base")
        twisteds.info("Main loop terminated.")
        twisteds.warn("too slow")
        old = legacy.LogPublisher(observerPublisher=written, publishPublisher=written)
        for text in (
            "_Conversations starting on '/run/seller/control.sock'",
            "LinkFactory starting on 9000",
            "(TCP Port 9000 Closed)",
            "(UNIX Port '/run/seller/control.sock' Closed)",
            "(Port 7 Closed)",
            "somebody's plugin is starting on its own",
        ):
            old.msg(text)
        self.assertEqual(written.said(), "seller: warning: too slow\nseller: somebody's plugin is starting on its own")


class PlaceTests(SynchronousTestCase):
    """Where the lines go."""

    def setUp(self) -> None:
        """Have a directory, and leave the signals as they are."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name, "daemon.log")
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))

    def file_of(self, **options: Any) -> Any:
        """The file of the observer; None if there is no observer."""
        observer = make_observer(options, LogLines("seller"))
        return None if observer is None else vars(observer)["_outFile"]

    def test_foreground(self) -> None:
        """In the foreground they go to the terminal, if nothing else is said."""
        for logfile in (None, "", "-"):
            self.assertIs(self.file_of(nodaemon=1, logfile=logfile), sys.stdout)

    def test_logfile(self) -> None:
        """They go into the file of C{--logfile}, which begins anew at SIGUSR1 if nobody else heeds that."""
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        for nodaemon in (0, 1):
            file = self.file_of(nodaemon=nodaemon, logfile=str(self.path))
            self.addCleanup(file.close)
            self.assertIsInstance(file, LogFile)
            self.assertEqual(file.path, str(self.path))
        self.assertTrue(callable(signal.getsignal(signal.SIGUSR1)))

    def test_unwritable(self) -> None:
        """A file that cannot be written is refused in one line."""
        with self.assertRaises(UsageError) as caught:
            self.file_of(nodaemon=1, logfile=f"{self.path}/no/such.log")
        self.assertEqual(str(caught.exception), f"--logfile '{self.path}/no/such.log': No such file or directory")

    def test_not_asked(self) -> None:
        """Who has asked twistd for another form gets it; a daemon in the background cannot write to the terminal."""
        self.assertIsNone(self.file_of(nodaemon=1, logger="a.b.observer"))
        self.assertIsNone(self.file_of(nodaemon=1, syslog=1))
        self.assertIsNone(self.file_of(nodaemon=0, logfile="-"))
        self.assertIsNone(make_observer(None, LogLines("seller")))

    def test_application(self) -> None:
        """The application that twistd makes of a node has the observer, with the role and the name of the node."""
        options = NodeOptions()
        options.parent = {"nodaemon": 1, "logfile": str(self.path)}
        options.environment = {}
        options.parseOptions(
            ["--role", "buyer", "--want", "pear", "--state", str(self.path.parent / "mine"), "--listen", "none"]
        )
        application = Application("bazaar-node")
        makeService(options, MemoryReactorClock()).setServiceParent(application)
        observer: Any = application.getComponent(ILogObserver)
        logger(observer, Buyer.__module__).info("bought it")
        [line] = self.path.read_text().splitlines()
        self.assertRegex(line, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d buyer mine: bought it$")
