"""C{bazaar share}: what it shows and refuses."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from rich.console import Console
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.joined import FakeMembership
from tests.files.cases import MIB, file_of
from tests.roles.files_cases import FilesCase, MemoryCatalogue
from twisted_bazaar.cli.commands.files.share import Sharing, name_of_sharer
from twisted_bazaar.cli.main import main
from twisted_bazaar.files.sharing.hashing import HashingProgress
from twisted_bazaar.roles.sharer import Sharer
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource

LARGE = file_of(3 * MIB)


class _Unwatched(Sharing):
    """Without a thread that watches the disk: simulated time goes on without it."""

    def _make_sharer(self, catalogue: Any) -> Sharer:
        self._limits = {**self._limits, "watched": False}
        return super()._make_sharer(catalogue)


class _Full(io.StringIO):
    """A disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class SharingTests(FilesCase):
    """A folder is shared."""

    def setUp(self) -> None:
        """Have a folder with a file in it."""
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name)
        (self.folder / "a.txt").write_bytes(LARGE)
        self.file: io.StringIO = io.StringIO()

    def begin(self, *, terminal: bool = False, rate: int | None = None) -> Sharing:
        """Begin to share it."""
        membership: Any = FakeMembership(self)
        console = Console(file=self.file, force_terminal=terminal, width=110)
        limits = {"slots": 4, "rate": rate}
        sharing = _Unwatched(self.folder, membership, None, limits, console)
        self.ended: list[Any] = []
        self.doing = Deferred.fromCoroutine(sharing.run(self.network.host())).addBoth(self.ended.append)
        return sharing

    def end(self) -> None:
        """Interrupt it."""
        self.doing.cancel()
        self.until(lambda: self.ended)

    def told(self) -> list[str]:
        """The lines that were shown, each after the name of the folder."""
        begins = f"[{self.folder.name}] "
        lines = self.file.getvalue().splitlines()
        self.assertEqual([line for line in lines if not line.startswith(begins)], [])
        return [line.removeprefix(begins) for line in lines]

    def test_shown(self) -> None:
        """Where it is shared, what is shared, and that it ends with Ctrl-C."""
        sharing = self.begin()
        self.until(lambda: self.catalogue.published)
        sharing.joined("at node 7")
        sharing.tell("shared", {"name": "a\x1b.txt", "size": 3 * MIB})
        sharing.tell("withdrawn", {"name": "b"})
        sharing.tell("sold", {"name": "b"})
        self.end()
        self.assertEqual(
            self.told(),
            [
                f"sharing {self.folder} by the index at tcp:127.0.0.1:9100; Ctrl-C ends it",
                "others find it at node 7",
                "shared: a\N{REPLACEMENT CHARACTER}.txt, 3.00 MiB",
                "no more: b",
            ],
        )

    def test_left_out(self) -> None:
        """What is left out is told once, with why, in short; of many only some are named."""
        for name in ("one", "two", "six", "ten"):
            Path(self.folder, name).mkdir()
        Path(self.folder, "link").symlink_to("a.txt")
        self.begin()
        self.until(lambda: self.catalogue.published)
        self.network.run(5.0)
        Path(self.folder, "seven").mkdir()
        self.network.run(5.0)
        self.end()
        self.assertEqual(
            [line for line in self.told() if line.startswith("left out")],
            ["left out (a link): link", "left out (a folder): one, six, ten and 1 more", "left out (a folder): seven"],
        )

    def test_super_peers(self) -> None:
        """Super peers that come and go are told."""
        sharing = self.begin()
        sharing.joined("by the super peer at 10.0.0.2:9200")
        sharing.left("super peer 7")
        self.end()
        self.assertEqual(
            self.told()[1:],
            [
                "others find it by the super peer at 10.0.0.2:9200",
                "the link to super peer 7 is lost; another takes its place if there is one",
            ],
        )

    def test_many(self) -> None:
        """Of very many at once only some are named."""
        sharing = self.begin()
        for number in range(1000):
            sharing.tell("shared", {"name": str(number), "size": 1})
        self.assertEqual(len(self.file.getvalue().splitlines()), 22)
        self.end()

    def test_uploads(self) -> None:
        """On a terminal a line tells what is fetched by whom."""
        self.begin(terminal=True, rate=MIB)
        self.until(lambda: "1 file shared; nobody fetches anything now" in self.file.getvalue())
        [node] = self.network.nodes
        others = MemoryCatalogue()
        source = FileSource(1, node.key.public, Address(*self.network.where(node)))
        self.super_begin(others, source)
        self.until(lambda: "1 upload: a.txt to 10.0.0." in self.file.getvalue())
        self.until(lambda: self.parts and self.parts[0].is_finished)
        self.end()

    def test_new(self) -> None:
        """A file that is new is not shared before it stays as it is; when it is, the line that moves knows it."""
        sharing = self.begin(terminal=True)
        new = "1 new file is shared when unchanged for 2 s; 0 files shared; nobody fetches anything now"
        self.until(lambda: new in self.file.getvalue())
        self.until(lambda: self.catalogue.published)
        self.assertNotIn("1 file shared", self.file.getvalue())
        sharing.tell("shared", {"name": "a.txt", "size": 3 * MIB})
        below = self.file.getvalue().partition("shared: a.txt, 3.00 MiB")[2]
        self.assertIn("1 file shared; nobody fetches anything now", below)
        self.assertNotIn("0 files shared", below)
        self.end()

    def test_nothing_shared(self) -> None:
        """There is a bar while files are hashed, and none where nothing is, or is left, to be done."""
        (self.folder / "a.txt").unlink()
        sharing = self.begin(terminal=True)
        self.until(lambda: "0 files shared; nobody fetches anything now" in self.file.getvalue())
        self.assertNotIn("\N{BOX DRAWINGS HEAVY HORIZONTAL}", self.file.getvalue())
        sharing._take_progress(HashingProgress(1, 3 * MIB, MIB))
        self.until(lambda: "hashing 1 file" in self.file.getvalue())
        self.assertIn("\N{BOX DRAWINGS HEAVY HORIZONTAL}", self.file.getvalue())
        self.end()

    def super_begin(self, others: MemoryCatalogue, source: FileSource) -> None:
        """Let somebody fetch it."""
        super().begin(self.fetcher(others), others.add("a.txt", LARGE, source))

    def test_full_output(self) -> None:
        """When nothing can be shown any more, it ends."""
        self.file = _Full()
        self.begin()
        self.until(lambda: self.ended)
        self.assertTrue(self.ended[0].check(OSError))


class NameTests(SynchronousTestCase):
    """What a sharer is called, for those who ask it something."""

    def test_names(self) -> None:
        """It is the name of the folder, as far as that can stand in a path, and differs from that of any other."""
        names = [
            name_of_sharer(Path(folder))
            for folder in ("/a/my films", "/b/my films", "/a/" + "é" * 90, "/a/" + "x" * 99, "/", "/a/\udcff..")
        ]
        self.assertEqual(len(set(names)), len(names))
        self.assertRegex(
            " ".join(names), r"^(share-my-films-\w{6} ){2}share-\w{6} share-x{20}-\w{6} share-\w{6} share-\w{6}$"
        )
        self.assertEqual(name_of_sharer(Path("/a/my films")), names[0])


class RefusedTests(FilesCase):
    """What cannot be shared."""

    def test_refused(self) -> None:
        """It is said in one line why."""
        here = tempfile.gettempdir()
        for words, expected in (
            ((), "Missing argument 'DIR'; see --help"),
            (("/nowhere/at/all",), "/nowhere/at/all: there is no such folder; make it first"),
            ((__file__,), f"{__file__}: this is no folder"),
            ((here, "--upload-slots", "many"), "--upload-slots 'many': takes a whole number from 1 to 1,000"),
            (
                (here, "--upload-rate", "fast"),
                "--upload-rate 'fast': write bytes a second, at least 16K, such as 500K or 2M",
            ),
            ((here, "--state", ""), "--state: write a directory"),
            ((here, "--state", "~no one"), "--state ~no one: there is no user 'no one'; a file is ./~no one"),
            (("~no one",), "~no one: there is no user 'no one'; a file is ./~no one"),
            ((here, "--ephemeral", "--state", "x"), "--ephemeral keeps nothing: leave out --state"),
        ):
            result = CliRunner().invoke(main, ["share", *words], prog_name="bazaar")
            self.assertEqual((result.exit_code, result.stdout), (2, ""), result.output)
            self.assertEqual(result.stderr, f"bazaar share: {expected}\n")

    def test_shared_already(self) -> None:
        """A folder that is being shared is not shared once more by the same node; the options named are there."""
        with tempfile.TemporaryDirectory() as directory:
            state = StateDirectory(Path(directory))
            self.addCleanup(state.close)
            result = CliRunner().invoke(main, ["share", directory, "--state", directory], prog_name="bazaar")
        self.assertEqual((result.exit_code, result.stdout), (2, ""), result.output)
        self.assertEqual(
            result.stderr,
            f"bazaar share: another node uses {state.path}; give this one a --state of its own, or --ephemeral\n",
        )
