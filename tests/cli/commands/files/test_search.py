"""C{bazaar search}: what is asked, and how what is found is shown."""

from __future__ import annotations

import io
import sys
from typing import Any

from click.testing import CliRunner
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from tests.files.cases import file_of
from tests.roles.files_cases import FilesCase
from twisted_bazaar.cli.commands.files.search import Asking
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.node.availability import Availability
from twisted_bazaar.cli.node.found import Finds, Search
from twisted_bazaar.roles.discovery.index import IndexMethod
from twisted_bazaar.values.files import FileQuery, FoundFile

SMALL = file_of(3000)


def shown(finds: Finds, **options: Any) -> list[str]:
    """What is printed, without blanks that only align."""
    console = Console(width=110, highlight=False)
    with console.capture() as capture:
        finds.show(console, **options)
    return [" ".join(line.split()) for line in capture.get().splitlines() if line.strip()]


class SearchTests(FilesCase):
    """What is asked."""

    def find(self, wanted: str | None, most: int = 100, **wishes: Any) -> list[str]:
        """The names that are found."""
        finds = self.result(Search.of(wanted, most, **wishes).run(self.catalogue))
        return [file.name for file in finds.files]

    def test_exact_first(self) -> None:
        """A file with exactly the name stands first, then those with its words; none stands twice."""
        for number, name in enumerate(("an apple", "apple", "apples", "pear")):
            self.catalogue.add(name, bytes([number]))
        self.assertEqual(self.find("apple"), ["apple", "an apple", "apples"])
        self.assertEqual(self.find("apple", exact=True), ["apple"])
        self.assertEqual(self.find("apple", most=2), ["apple", "an apple"])

    def test_all(self) -> None:
        """Everything is listed, page by page, up to what is wanted."""
        for number in range(25):
            self.catalogue.add(f"{number:02}", bytes([number]))
        self.catalogue.page = 10
        self.assertEqual(self.find(None), [f"{number:02}" for number in range(25)])
        self.assertEqual(len(self.catalogue.queries), 3)
        self.assertEqual({query.most for query in self.catalogue.queries}, {100})
        self.find(None, most=1_000_000)
        self.assertEqual(self.catalogue.queries[-1].most, 1000)
        finds = self.result(Search.of(None, 12).run(self.catalogue))
        self.assertEqual((len(finds.files), finds.total), (12, 25))

    def test_called_like_a_digest(self) -> None:
        """What looks like a digest may be a name."""
        digest = self.catalogue.add("a", SMALL).digest
        self.catalogue.add(digest, b"sums")
        self.assertEqual(self.find(digest), ["a", digest])
        self.assertEqual(self.find("0" * 64), [])

    def test_digest(self) -> None:
        """A digest is known as one."""
        found = self.catalogue.add("a", SMALL)
        self.assertEqual(self.find(found.digest.upper()), ["a"])
        self.assertEqual(self.find(None, digest=found.digest), ["a"])
        self.assertEqual(self.find(None, digest=found.digest.upper()), ["a"])
        self.assertEqual(self.catalogue.queries[-2:], [FileQuery(digest=found.digest)] * 2)

    def test_unicode(self) -> None:
        """A name is looked for in Unicode form NFC, as which it is offered."""
        self.find("fu\u0308r", exact=True)
        self.assertEqual(self.catalogue.queries[0].name, "f\u00fcr")


class _Screen(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


class AskingTests(SynchronousTestCase):
    """Whom a search asks."""

    def asked(self, stream: io.StringIO, *hows: str) -> str:
        """What is said when each of these has taken the node."""
        self.patch(sys, "stderr", stream)
        asked = IndexMethod.asked
        assert asked is not None
        asking = Asking(Availability(["tcp:127.0.0.1:9100"], asked))
        for how in hows:
            asking.joined(how)
        return stream.getvalue()

    def test_seen(self) -> None:
        """Somebody who waits reads who is asked, once; a pipe is told nothing."""
        peers = [f"by the super peer at 127.0.0.1:{port}" for port in (9200, 9201)]
        self.assertEqual(self.asked(_Screen(), *peers), "asking the super peer at 127.0.0.1:9200\n")
        self.assertEqual(self.asked(io.StringIO(), *peers), "")

    def test_index_server(self) -> None:
        """An index server is named by where it was asked for, not by what it calls this node."""
        self.assertEqual(self.asked(_Screen(), "at node 7"), "asking the index server at tcp:127.0.0.1:9100\n")


class FindsTests(FilesCase):
    """How it is shown."""

    def test_table(self) -> None:
        """Each has its size, how many have it, and the beginning of its digest; two of one name are said to be two."""
        files = [
            FoundFile("a", 3 << 20, "12" * 32, 2, 1),
            FoundFile("a", 1, "34" * 32, 1),
            FoundFile("b", 0, "5" * 64, 0),
        ]
        self.assertEqual(
            shown(Finds(files, 7), numbered=True)[:1] + shown(Finds(files, 7))[2:],
            [
                "name size sources digest",
                "a 3.00 MiB 2 + 1 in part 121212121212",
                "a 1 byte 1 343434343434",
                "b 0 bytes 0 555555555555",
                "2 different files are called a.",
                "3 of 7 are shown; --most N shows more.",
            ],
        )

    def test_at_the_prompt(self) -> None:
        """Where there are no options, none is named."""
        told = shown(Finds([FoundFile("b", 0, "5" * 64, 1)], 7), numbered=True)
        self.assertEqual(told[-1], "1 of 7 are shown; query NAME finds others.")

    def test_strangers(self) -> None:
        """What strangers have named so cannot move the cursor, or be taken for markup."""
        [line] = shown(Finds([FoundFile("[red]\x1b[31mx\u202e", 1, "0" * 64, 1)], 1))[2:]
        self.assertEqual(line, "[red]\N{REPLACEMENT CHARACTER}[31mx\N{REPLACEMENT CHARACTER} 1 byte 1 000000000000")


class NarrowTests(FilesCase):
    """Where there are few columns."""

    def test_names(self) -> None:
        """Each name stands in a line of its own, whole, with what is known of the file below."""
        file = io.StringIO()
        name = "a name that is longer than forty columns.txt"
        files = [FoundFile(name, 3000, "a" * 64, 1), FoundFile("b", 0, "b" * 64, 1, 2)]
        console = Console(file=file, width=40)
        Finds(files, 2).show(console, numbered=True)
        Finds(files, 3).show(console)
        self.assertEqual(
            file.getvalue().splitlines(),
            [
                f"1 {name}",
                "    2.93 KiB, 1 source, aaaaaaaaaaaa",
                "2 b",
                "    0 bytes, 1 source + 2 in part, bbbbbbbbbbbb",
                name,
                "  2.93 KiB, 1 source, aaaaaaaaaaaa",
                "b",
                "  0 bytes, 1 source + 2 in part, bbbbbbbbbbbb",
                "2 of 3 are shown; --most N shows more.",
            ],
        )


class RefusedTests(FilesCase):
    """What cannot be asked."""

    def test_refused(self) -> None:
        """One thing is to be looked for, and the rest fits it."""
        for words, expected in (
            ((), "write a NAME, or --digest DIGEST, or --all"),
            (("a", "--all"), "write a NAME, or --digest DIGEST, or --all"),
            (("",), "NAME: write the name of a file, or a word of it; --all lists everything"),
            (("\udcff",), r"NAME: '\udcff' is not UTF-8"),
            (
                ("--digest", "12"),
                "--digest: takes a whole digest, 64 hexadecimal digits; bazaar search --json shows them",
            ),
            (("--all", "--exact"), "--exact goes with a NAME"),
            (("a", "--most", "0"), "--most '0': takes a whole number from 1 to 1,000,000"),
        ):
            result = CliRunner().invoke(main, ["search", *words], prog_name="bazaar")
            self.assertEqual((result.exit_code, result.stdout), (2, ""), result.output)
            self.assertEqual(result.stderr, f"bazaar search: {expected}\n")
