"""C{bazaar get}: what it fetches, says and refuses."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from rich.console import Console
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.joined import FakeMembership
from tests.files.cases import MIB, file_of
from tests.roles.files_cases import FilesCase
from twisted_bazaar.cli.commands.files.get import Getting, Missing, Resumable, Wish, get
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.node.configured import settings_in_force
from twisted_bazaar.cli.node.transfers import format_receipt, json_of_receipt
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.errors import AlreadyThere, UsageError

SMALL = file_of(3000)
LARGE = file_of(4 * MIB + 5)


class GetCase(FilesCase):
    """A directory, and files that others have."""

    def setUp(self) -> None:
        """Have an empty directory."""
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.errors = io.StringIO()

    def getting(self, wanted: str, *, terminal: bool = False, say: Any = None, **wish: Any) -> Getting:
        """The command, as it is about to begin."""
        console = Console(file=self.errors, force_terminal=terminal, width=100)
        membership: Any = FakeMembership(self)
        return Getting(Wish(wanted, self.directory, **wish), membership, console, say or self.say)

    def say(self, line: str) -> None:
        """Keep a line."""
        self.errors.write(line + "\n")

    def get(self, wanted: str, **wish: Any) -> list[str]:
        """Fetch something; returns what is told of it at the end."""
        getting = self.getting(wanted, **wish)
        found, receipt = self.result(getting.work(self.network.host()))
        self.assertEqual((self.directory / found.name), getting.path)
        self.assertEqual(json_of_receipt(found, receipt, "x")["resumed"], receipt.resumed_bytes)
        return list(format_receipt(found, receipt))


class GettingTests(GetCase):
    """A file is fetched."""

    def test_done(self) -> None:
        """A file comes from all who have it, and it is told what came from whom."""
        sites = [self.site(LARGE, rate=MIB) for _ in range(2)]
        self.catalogue.add("a", LARGE, *(site.source for site in sites))
        told = self.get("a")
        self.assertRegex(told[0], r"^a: 4\.00 MiB in .*, verified$")
        self.assertEqual(len(told), 3)
        for line in told[1:]:
            self.assertRegex(line, r"^  [\d.]+ [KM]iB from node [12] at 10\.0\.0\.\d+:\d+, key [0-9a-f]{8}$")
        self.assertEqual((self.directory / "a").read_bytes(), LARGE)
        self.assertEqual(self.errors.getvalue(), "a: 4.00 MiB, 2 sources\n")

    def test_bar(self) -> None:
        """On a terminal a bar shows how far it is, at which rate, from how many, and how long it takes."""
        self.catalogue.add("a", LARGE, self.site(LARGE, rate=MIB).source)
        self.result(self.getting("a", terminal=True).work(self.network.host()))
        self.assertRegex(self.errors.getvalue(), r"\d+% of 4\.00 MiB, .*/s, 1 source, .* left")

    def test_not_found(self) -> None:
        """What nobody has is not found."""
        with self.assertRaisesRegex(Missing, "nobody has a file called 'a'"):
            self.get("a")
        self.assertEqual(Missing.exit_code, 3)

    def test_nobody_looks_on(self) -> None:
        """Where nothing can be said any more, the file comes all the same."""
        self.catalogue.add("a", LARGE, self.site(LARGE).source)
        getting = self.getting("a", say=_fail)
        self.result(getting.work(self.network.host()))
        self.assertEqual((self.directory / "a").read_bytes(), LARGE)

    def test_several(self) -> None:
        """Several files of one name are named with their digests, of which one is chosen."""
        one = self.catalogue.add("a", SMALL, self.site(SMALL).source)
        other = self.catalogue.add("a", LARGE, self.site(LARGE).source)
        with self.assertRaisesRegex(UserError, f"choose one.*{one.digest[:12]} .*; {other.digest[:12]} "):
            self.get("a")
        self.get("a", beginning=other.digest[:4])
        self.assertEqual((self.directory / "a").read_bytes(), LARGE)

    def test_from(self) -> None:
        """It comes from the node that is named, by its id or the beginning of its key; who has it not is told."""
        sites = [self.site(SMALL), self.site(SMALL)]
        self.catalogue.add("a", SMALL, *(site.source for site in sites))
        self.assertIn("from node 2 ", self.get("a", sources=["2"])[1])
        (self.directory / "a").unlink()
        self.assertIn("from node 1 ", self.get("a", sources=[sites[0].source.key[:10].upper()])[1])
        with self.assertRaisesRegex(Missing, "--from 77: it has not got it; who has: 1 .*, 2 "):
            self.get("a", sources=["77"])

    def test_source_dies(self) -> None:
        """A source that is given up is told when that happens, and at the end."""
        sites = [self.site(LARGE, rate=MIB), self.site(LARGE, rate=MIB)]
        self.catalogue.add("a", LARGE, *(site.source for site in sites))
        doing = self.start(self.getting("a"))
        self.network.run(1.5)
        self.network.kill(sites[0].node)
        self.until(lambda: doing.called)
        _, receipt = self.successResultOf(doing)
        self.assertIn("node 1 at 10.0.0.1:9001 is asked no more: ", self.errors.getvalue())
        self.assertEqual([source.id for source in receipt.dropped], [1])

    def test_nobody_left(self) -> None:
        """When nobody is left it can be gone on with; the next time it is, and it is told how much was there."""
        site = self.site(LARGE, rate=MIB)
        found = self.catalogue.add("a", LARGE, site.source)
        doing = self.start(self.getting("a", timeout_s=3.0))
        self.network.run(2.5)
        self.network.kill(site.node)
        self.until(lambda: doing.called)
        failure = self.failureResultOf(doing, Resumable)
        self.assertRegex(
            failure.value.message,
            r"^nobody has served it for 3 s; .* of 4\.00 MiB are kept, and the same command goes on from there$",
        )
        self.assertEqual(Resumable.exit_code, 5)
        self.catalogue.by_digest[found.digest] = [self.site(LARGE).source]
        self.assertRegex(self.get("a")[0], r"verified; .* were there before$")
        self.assertIn("of it are here already; going on from there", self.errors.getvalue())

    def test_interrupted(self) -> None:
        """Who interrupts it is told what is kept; no part of the command goes on."""
        self.catalogue.add("a", LARGE, self.site(LARGE, rate=MIB).source)
        getting = self.getting("a")
        doing = self.start(getting)
        self.network.run(2.5)
        ended: list[Any] = []
        doing.addErrback(ended.append)
        doing.cancel()
        self.until(lambda: ended)
        self.assertTrue(ended[0].check(CancelledError))
        self.assertRegex(getting.kept("interrupted"), r"^interrupted; .* of 4\.00 MiB are kept, and the same command")
        self.assertEqual(getting_nothing(self), "interrupted; nothing was fetched yet")

    def test_already_there(self) -> None:
        """The very same file is not fetched again; another of its name is left alone unless it may be replaced."""
        self.catalogue.add("a", SMALL, self.site(SMALL).source)
        self.get("a")
        self.assertRaises(AlreadyThere, self.get, "a")
        (self.directory / "a").write_bytes(b"mine")
        with self.assertRaisesRegex(UsageError, "another file; --overwrite replaces it"):
            self.get("a")
        self.assertEqual((self.directory / "a").read_bytes(), b"mine")
        self.get("a", overwrite=True)
        self.assertEqual((self.directory / "a").read_bytes(), SMALL)

    def start(self, getting: Getting) -> Deferred[Any]:
        """Begin, and look on."""
        return Deferred.fromCoroutine(getting.work(self.network.host()))


def _fail(line: str) -> None:
    """Say something where the disk is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def getting_nothing(case: GetCase) -> str:
    """What is said by one that has not begun."""
    return case.getting("a").kept("interrupted")


class InForceTests(SynchronousTestCase):
    """What C{bazaar config show} tells of the command."""

    def test_defaults(self) -> None:
        """What goes without saying is told as well."""
        in_force = settings_in_force("bazaar-get", get.declared, None)
        self.assertEqual([in_force[name].value for name in ("timeout", "upload-slots")], ["60", "4"])


class RefusedTests(FilesCase):
    """What cannot be is refused before anybody is asked."""

    def refused(self, *words: str) -> str:
        """Why a command line is refused."""
        result: Result = CliRunner().invoke(main, ["get", *words], prog_name="bazaar")
        self.assertEqual((result.exit_code, result.stdout), (2, ""), result.output)
        [line] = result.stderr.splitlines()
        return line

    def test_refused(self) -> None:
        """Each option says what it takes."""
        for words, expected in (
            ((), "bazaar get: Missing argument 'NAME|DIGEST'; see --help"),
            (("",), "bazaar get: NAME: write the name of a file, or its digest; bazaar search finds names"),
            (("a/b",), "bazaar get: a/b: files have plain names here; -o DIR says where it goes"),
            (("\udcff",), r"bazaar get: NAME: '\udcff' is not UTF-8"),
            (("a", "--from", ""), "bazaar get: --from: there is nothing in it"),
            (("a", "-o", ""), "bazaar get: -o: write a directory; -o . is this one"),
            (("a", "-o", "~no one/x"), "bazaar get: -o ~no one/x: there is no user 'no one'; a file is ./~no one/x"),
            (("a", "-o", "/nowhere/at/all"), "bazaar get: -o /nowhere/at/all: there is no such directory"),
            (("a", "-o", __file__), f"bazaar get: -o {__file__}: this is no directory"),
            (
                ("a", "--digest", "xyz"),
                "bazaar get: 'xyz' is not the beginning of a digest: write up to 64 of the characters 0-9 and a-f",
            ),
            (("a", "--timeout", "soon"), "bazaar get: --timeout: takes seconds, or none, not 'soon'"),
            (("a", "--upload-slots", "0"), "bazaar get: --upload-slots '0': takes a whole number from 1 to 1,000"),
        ):
            self.assertEqual(self.refused(*words), expected)
