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
from twisted_bazaar.cli.commands.files.get import get
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.node import batch
from twisted_bazaar.cli.node.batch import Batch, SomeMissing
from twisted_bazaar.cli.node.configured import settings_in_force
from twisted_bazaar.cli.node.getting import Getting, Missing, Resumable, Wish
from twisted_bazaar.cli.node.transfers import format_receipt, json_of_receipt
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.errors import AlreadyThere, UsageError
from twisted_bazaar.values.files import FileSource

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


class BatchTests(GetCase):
    """Several files by one call."""

    def batch(self, *wanted: str, all_from: str | None = None, lists_everything: bool = True, **wish: Any) -> Batch:
        """The command, as it is about to begin; what it says besides its results is kept."""
        self.said: list[str] = []
        self.patch(batch, "say", self.said.append)
        membership: Any = FakeMembership(self)
        membership.lists_everything = lists_everything
        console = Console(file=self.errors, width=100)
        self.told: list[str] = []
        return Batch(
            wanted,
            Wish("", self.directory, **wish),
            membership,
            console,
            lambda fetched: self.told.append(fetched.found.name),
            all_from=all_from,
        )

    def get_all(self, *wanted: str, **how: Any) -> list[str]:
        """Fetch; returns what is in the directory then."""
        self.result(self.batch(*wanted, **how).work(self.network.host()))
        return sorted(path.name for path in self.directory.iterdir())

    def add(self, *names: str) -> list[FileSource]:
        """Let there be files, each with a content and a source of its own."""
        sources = []
        for number, name in enumerate(names):
            content = SMALL + bytes([number])
            sources.append(self.site(content).source)
            self.catalogue.add(name, content, sources[-1])
        return sources

    def test_names(self) -> None:
        """Several names are fetched one after another, each once, and each is told of."""
        self.add("a", "b", "c")
        self.assertEqual(self.get_all("a", "c", "a"), ["a", "c"])
        self.assertEqual((self.told, self.said), (["a", "c"], ["2 files, 5.86 KiB"]))

    def test_patterns(self) -> None:
        """A pattern means all names that match; they are looked for by a word, where it has one."""
        self.add("one song.mp3", "two song.mp3", "song.txt")
        self.catalogue.page = 1
        self.assertEqual(self.get_all("*song.mp3", lists_everything=False), ["one song.mp3", "two song.mp3"])
        self.assertTrue(all(query.words == "mp3" for query in self.catalogue.queries if query.name is None))
        self.assertEqual(len(self.get_all("*")), 3)
        with self.assertRaisesRegex(UserError, "write a pattern with a whole word in it"):
            self.get_all("*", lists_everything=False)

    def test_called_like_a_pattern(self) -> None:
        """A file that is called like a pattern is meant by it alone, and what nobody has may be a pattern."""
        self.add("a [1].txt", "a 1.txt")
        self.assertEqual(self.get_all("a [1].txt"), ["a [1].txt"])
        self.assertEqual(self.get_all("a [12].txt"), ["a 1.txt", "a [1].txt"])
        with self.assertRaisesRegex(Missing, "nobody has a file like 'b\\*'"):
            self.get_all("b*")

    def test_some_missing(self) -> None:
        """What cannot be had keeps nothing else from coming; the status is that of the worst."""
        self.add("a", "b")
        self.catalogue.add("two", SMALL)
        self.catalogue.add("two", LARGE)
        with self.assertRaisesRegex(SomeMissing, "^2 of 3 asked for have come; not found: 'none'$") as caught:
            self.get_all("a", "none", "b")
        self.assertEqual((caught.exception.exit_code, self.told), (3, ["a", "b"]))
        self.assertEqual(self.said[0], "nobody has a file called 'none'")
        with self.assertRaises(SomeMissing) as caught:
            self.get_all("none", "t*", "a")
        self.assertEqual(caught.exception.exit_code, 2)
        self.assertIn("2 different files are called 'two'; get one by its digest: ", self.said[1])
        (self.directory / "b").write_bytes(b"mine")
        with self.assertRaises(SomeMissing) as caught:
            self.get_all("b", "a", "none")
        self.assertEqual(caught.exception.exit_code, 2)
        self.assertIn("another file; --overwrite replaces it", self.said[-1])

    def test_alone(self) -> None:
        """What is meant alone fails as it always does, in one line."""
        with self.assertRaisesRegex(Missing, "nobody has a file called 'a'"):
            self.get_all("a")
        self.assertEqual(self.said, [])

    def test_all_from(self) -> None:
        """All files of one node come from it alone, or those that match."""
        sources = self.add("a.txt", "b.txt")
        twin = SMALL + bytes([0])
        self.catalogue.add("c.txt", twin, sources[0], self.site(twin).source)
        self.assertEqual(self.get_all("b*", all_from="2"), ["b.txt"])
        self.assertEqual(self.get_all(all_from="1"), ["a.txt", "b.txt", "c.txt"])
        with self.assertRaisesRegex(Missing, "node 9 has no file, or is not there"):
            self.get_all(all_from="9")
        with self.assertRaisesRegex(Missing, "node 2 has no file like 'x\\*'"):
            self.get_all("x*", all_from="2")

    def test_one_name_for_several(self) -> None:
        """Several files cannot be called by one name."""
        self.add("a", "b")
        with self.assertRaisesRegex(UserError, "--as goes with one file, and 2 are meant"):
            self.get_all("*", name="c")
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_kept(self) -> None:
        """Who interrupts it is told how many files are there."""
        self.catalogue.add("a", SMALL, self.site(SMALL).source)
        self.catalogue.add("b", LARGE, self.site(LARGE, rate=MIB).source)
        fetching = self.batch("a", "b")
        self.assertEqual(fetching.kept("interrupted"), "interrupted; nothing was fetched yet")
        doing = Deferred.fromCoroutine(fetching.work(self.network.host()))
        self.network.run(2.5)
        ended: list[Any] = []
        doing.addErrback(ended.append)
        doing.cancel()
        self.until(lambda: ended)
        self.assertRegex(fetching.kept("interrupted"), r"^interrupted; .* are kept, .*; 1 of 2 files are there$")


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
            (("a", "b", "--as", "c"), "bazaar get: --as goes with one NAME"),
            (("a", "b", "--digest", "ab"), "bazaar get: --digest goes with one NAME"),
            (("--all-from", "7", "--from", "8"), "bazaar get: --all-from and --from: give one of them"),
            (("--all-from", ""), "bazaar get: --all-from: there is nothing in it"),
            (
                ("--all-from", "7", "--via", "superpeer"),
                "bazaar get: --all-from goes with --via index: a super peer has no list of what a node has",
            ),
            (("a", "--upload-slots", "0"), "bazaar get: --upload-slots '0': takes a whole number from 1 to 1,000"),
        ):
            self.assertEqual(self.refused(*words), expected)
