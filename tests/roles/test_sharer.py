"""The sharer: offers a folder, serves it, and fetches into it."""

from __future__ import annotations

import contextlib
import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.configured import context_of
from tests.files.cases import MIB, file_of
from tests.roles.files_cases import FilesCase, MemoryCatalogue
from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.memory import manifest_of
from twisted_bazaar.files.sharing.folder import Folder
from twisted_bazaar.roles import sharer
from twisted_bazaar.roles.discovery.flood import FloodMethod
from twisted_bazaar.roles.discovery.index import IndexMethod
from twisted_bazaar.roles.discovery.method import DiscoveryMethod
from twisted_bazaar.roles.rates import parse_rate
from twisted_bazaar.roles.sharer import OPTIONS, Sharer, make_role
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource, FoundFile, SharedFile

SMALL = file_of(3000)
LARGE = file_of(3 * MIB + 5)


def shared(name: str, content: bytes) -> SharedFile:
    """A file as it is offered."""
    manifest = manifest_of(content)
    return SharedFile(name, manifest.size, manifest.digest)


class SharerTestCase(FilesCase):
    """A folder on the disk, shared by a node on a simulated machine."""

    def setUp(self) -> None:
        """Have an empty folder."""
        super().setUp()
        self.others = MemoryCatalogue()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name, "shared")
        self.folder.mkdir()

    def share(self, **options: Any) -> Sharer:
        """Share it."""
        sharer = Sharer(self.catalogue, self.folder, watched=False, **options)
        self.node = self.network.add_node(sharer)
        self.catalogue.clock = self.node.clock
        return sharer

    def write(self, name: str, content: bytes) -> SharedFile:
        """Put a file into the folder; returns how it is offered."""
        Path(self.folder, name).write_bytes(content)
        return shared(name, content)

    def ask(self, sharer: Sharer, command: str, **wishes: Any) -> Any:
        """Ask as the operator does."""
        return self.result(_asked(sharer.commands[command], wishes))

    def until_offered(self, *files: SharedFile) -> None:
        """Let time pass until exactly these are offered."""
        self.until(lambda: self.catalogue.published == {file.name: file for file in files})

    def source(self) -> FileSource:
        """The sharer, as others find it."""
        return FileSource(1, self.node.key.public, Address(*self.network.where(self.node)))


async def _asked(command: Any, wishes: Any) -> Any:
    return await command(wishes)


class SharingTests(SharerTestCase):
    """What is in the folder is offered."""

    def test_offered(self) -> None:
        """Files are offered when they have stopped changing, and no more when they are gone; both are told."""
        one, other = self.write("a", SMALL), self.write("b", b"")
        self.share()
        self.until_offered(one, other)
        Path(self.folder, "a").unlink()
        self.until_offered(other)
        told = [(event, details["name"]) for _, event, details in self.network.events if "name" in details]
        self.assertEqual(sorted(told[:2]) + told[2:], [("shared", "a"), ("shared", "b"), ("withdrawn", "a")])

    def test_replaced(self) -> None:
        """A file that has become another is offered as what it is now."""
        self.write("a", SMALL)
        self.share()
        self.until_offered(shared("a", SMALL))
        self.write("a", LARGE)
        self.until_offered(shared("a", LARGE))

    def test_fetched(self) -> None:
        """Whoever asks gets a file, verified; the load is told to the catalogue."""
        file = self.write("a", LARGE)
        self.share()
        self.until_offered(file)
        found = self.others.add("a", LARGE, self.source())
        self.begin(self.fetcher(self.others), found)
        self.until(lambda: self.ended)
        self.assertEqual(self.parts[0].content(), LARGE)
        self.assertEqual(self.catalogue.loads[:1], [1])
        self.until(lambda: self.catalogue.loads[-1] == 0)
        self.until(lambda: self.network.events_of("uploaded"))
        [told] = self.network.events_of("uploaded")
        self.assertEqual((told["name"], told["bytes"], told["digest"]), ("a", len(LARGE), file.digest))

    def test_changed_while_served(self) -> None:
        """A file that changes while it is served ends that with a clear error, and is offered as what it is now."""
        file = self.write("a", LARGE)
        self.share(rate=MIB)
        self.until_offered(file)
        found = self.others.add("a", LARGE, self.source())
        self.begin(self.fetcher(self.others), found, give_up_s=5.0)
        self.until(lambda: self.parts and len(self.parts[0].holdings))
        now = self.write("a", SMALL)
        self.until(lambda: self.ended)
        [source] = self.ended[0].status().sources
        self.assertIn("changed", source.why or "")
        self.assertEqual([event for _, event, _ in self.network.events if event == "changed"], ["changed"])
        self.until(lambda: self.catalogue.published.get("a") == now)

    def test_folder_gone(self) -> None:
        """A folder that disappears is told, and nothing is offered; when it is back, so is what is in it."""
        file = self.write("a", SMALL)
        self.share()
        self.until_offered(file)
        away = self.folder.with_name("away")
        self.folder.rename(away)
        self.until_offered()
        self.until(lambda: self.network.events_of("folder_gone"))
        away.rename(self.folder)
        self.until_offered(file)
        self.until(lambda: self.network.events_of("folder_back"))

    def test_many(self) -> None:
        """Many files at once are told in one line each in the journal."""
        for number in range(20):
            self.write(f"file-{number}", bytes([number]))
        self.share()
        self.until(lambda: len(self.catalogue.published) == 20)
        self.assertEqual(len(self.network.events_of("shared")), 20)
        self.assertEqual(sum(each["count"] for each in self.network.events_of("shared_many")), 20)

    def test_very_many(self) -> None:
        """What is known of very many files is none of the collector's business, whose rounds would hold up the rest."""
        self.patch(sharer, "_FILES_SPARED", 3)
        self.addCleanup(gc.unfreeze)
        before = gc.get_freeze_count()
        self.share()
        self.until_offered(self.write("a", SMALL))
        self.assertEqual(gc.get_freeze_count(), before)
        self.until_offered(*(self.write(name, SMALL) for name in ("a", "b", "c")))
        self.assertGreater(gc.get_freeze_count(), before)


class FetchingSharerTests(SharerTestCase):
    """It fetches into its folder."""

    def setUp(self) -> None:
        """Have a file that somebody else serves."""
        super().setUp()
        self.found = self.catalogue.add("b", LARGE, self.site(LARGE, rate=MIB).source)

    def test_get(self) -> None:
        """A file is fetched, is offered in part meanwhile, and then as one of the folder."""
        sharer = self.share()
        row = self.ask(sharer, "files.get", wanted="b")
        self.assertEqual((row["name"], row["state"]), ("b", "under way"))
        self.until(lambda: self.catalogue.published)
        self.assertEqual(self.catalogue.published["b"].is_whole, False)
        self.until_offered(shared("b", LARGE))
        self.until(lambda: not sharer.under_way())
        self.assertEqual(Path(self.folder, "b").read_bytes(), LARGE)
        self.until(lambda: sharer.folder.content(self.found.digest) is not None)
        [row] = self.ask(sharer, "files.status")["downloads"]
        self.assertEqual((row["state"], row["by_source"]), ("done", {"1": len(LARGE)}))
        self.assertEqual((row["protocols"], row["by_protocol"]), (["tcp"], {"tcp": len(LARGE)}))
        self.assertEqual([each["name"] for each in self.network.events_of("fetched")], ["b"])

    def test_get_again(self) -> None:
        """What is in the folder is not fetched once more."""
        self.write("c", LARGE)
        sharer = self.share()
        self.until_offered(shared("c", LARGE))
        with self.assertRaisesRegex(UsageError, "b is in the folder already"):
            self.ask(sharer, "files.get", wanted="b")

    def test_deleted_again(self) -> None:
        """What has come and is deleted, or changed, is served to nobody any more, and is not kept open."""
        sharer = self.share()
        for end in (lambda path: path.unlink(), lambda path: self.write("b", SMALL)):
            self.ask(sharer, "files.get", wanted="b", overwrite=True)
            self.until(lambda: sharer.folder.content(self.found.digest) is not None and not sharer.under_way())
            self.assertIsNotNone(sharer.content(self.found.digest))
            end(self.folder / "b")
            self.until(lambda: sharer.content(self.found.digest) is None)
            self.until(lambda: not open_below(self.folder))

    def test_another_there(self) -> None:
        """Another file of that name is left alone, unless it is to be replaced."""
        self.write("b", SMALL)
        sharer = self.share()
        self.until_offered(shared("b", SMALL))
        with self.assertRaisesRegex(UsageError, "b is another file"):
            self.ask(sharer, "files.get", wanted="b")
        self.ask(sharer, "files.get", wanted="b", overwrite=True)
        self.until(lambda: not sharer.under_way())
        self.until_offered(shared("b", LARGE))

    def test_several(self) -> None:
        """Of several files of one name none is taken; the beginnings of their digests are told."""
        other = self.catalogue.add("b", SMALL)
        with self.assertRaisesRegex(UsageError, f"2 different files are called 'b'.*{other.digest[:16]}"):
            self.ask(self.share(), "files.get", wanted="b")

    def test_cancel(self) -> None:
        """One download is stopped, by its name or the beginning of its digest; what has come is kept."""
        sharer = self.share()
        for wanted in ("b", self.found.digest[:12].upper()):
            self.ask(sharer, "files.get", wanted="b")
            status = sharer.under_way()[0].status
            self.until(lambda status=status: status().held_bytes >= MIB and status().seconds_left is not None)
            [under_way] = self.ask(sharer, "files.status")["downloads"][:1]
            self.assertGreater(under_way["seconds_left"], 0)
            row = self.ask(sharer, "files.cancel", wanted=wanted)
            self.assertEqual((row["name"], row["state"], row["held"] >= MIB), ("b", "stopped", True))
            self.assertEqual((sharer.under_way(), self.catalogue.published), ([], {}))
            with self.assertRaisesRegex(UsageError, f"{wanted} is not being fetched"):
                self.ask(sharer, "files.cancel", wanted=wanted)
        self.assertGreaterEqual(self.ask(sharer, "files.get", wanted="b")["held"], MIB)
        self.until(lambda: not sharer.under_way())

    def test_cancel_several(self) -> None:
        """Where several can be meant none is stopped; each is chosen by its digest."""
        common = self.found.digest[:6]
        other = FoundFile("c", 1, common + "0" * 58, 0)
        self.catalogue.found.append(other)
        sharer = self.share()
        self.ask(sharer, "files.get", wanted="b")
        self.ask(sharer, "files.get", wanted="c")
        with self.assertRaisesRegex(UsageError, f"2 downloads are meant by {common}; choose .*: .*{other.digest[:16]}"):
            self.ask(sharer, "files.cancel", wanted=common)
        self.assertEqual(len(sharer.under_way()), 2)
        with self.assertRaisesRegex(UsageError, "is not being fetched"):
            self.ask(sharer, "files.cancel", wanted=common[:5])
        self.ask(sharer, "files.cancel", wanted=other.digest)
        self.assertEqual([fetch.found.name for fetch in sharer.under_way()], ["b"])

    def test_failed(self) -> None:
        """A download that fails is told, with why, and what is there is offered no more."""
        sharer = self.share()
        self.ask(sharer, "files.get", wanted="b")
        self.until(lambda: self.catalogue.published)
        self.result(_stopped(sharer))
        self.assertEqual(self.catalogue.published, {})

    def test_stop(self) -> None:
        """A sharer that stops leaves a part that is gone on with."""
        sharer = self.share()
        self.ask(sharer, "files.get", wanted="b")
        self.until(lambda: self.catalogue.published)
        self.network.stop(self.node)
        self.network.run(3.0)
        self.assertFalse(Path(self.folder, "b").exists())
        [told] = self.network.events_of("not_fetched")
        self.assertEqual(told["reason"], "it was stopped; the next time it goes on from there")
        sharer = self.share()
        row = self.ask(sharer, "files.get", wanted="b")
        self.assertGreaterEqual(row["held"], MIB)
        self.until(lambda: not sharer.under_way())
        outcome = self.ask(sharer, "files.status")["downloads"][0]
        self.assertGreaterEqual(outcome["resumed"], MIB)


async def _stopped(sharer: Sharer) -> None:
    for fetch in sharer.under_way():
        stopped: Deferred[None] = fetch.stop()
        await stopped


def open_below(folder: Path) -> list[str]:
    """The files of a folder that this process has open, deleted ones too."""
    paths = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            paths.append(os.readlink(f"/proc/self/fd/{number}"))
    return [path for path in paths if path.startswith(f"{folder}{os.sep}")]


@contextlib.contextmanager
def unlisted(folder: Folder) -> Iterator[None]:
    """Let a folder not be asked what is in it."""
    folder.files = list  # type: ignore[method-assign]
    yield
    del folder.__dict__["files"]


class DeskTests(SharerTestCase):
    """What the operator asks."""

    def test_list(self) -> None:
        """The files are listed by name, page by page."""
        files = [self.write(name, SMALL) for name in ("a", "b", "c")]
        sharer = self.share()
        self.until_offered(*files)
        self.assertEqual([row["name"] for row in self.ask(sharer, "files.list")], ["a", "b", "c"])
        self.assertEqual([row["name"] for row in self.ask(sharer, "files.list", after="a", most=1)], ["b"])

    def test_list_in_one_order(self) -> None:
        """The files are put in order for the first page; those that follow go on from there."""
        sharer = self.share()
        self.until_offered(*(self.write(name, SMALL) for name in ("a", "b", "c")))
        names = [row["name"] for row in self.ask(sharer, "files.list", most=1)]
        with unlisted(sharer.folder):
            names += [row["name"] for row in self.ask(sharer, "files.list", after="a", most=1)]
            names += [row["name"] for row in self.ask(sharer, "files.list", after="b", most=2)]
        self.assertEqual(names, ["a", "b", "c"])
        self.assertEqual([row["name"] for row in self.ask(sharer, "files.list", after="c")], [])
        self.assertEqual([row["name"] for row in self.ask(sharer, "files.list")], names)

    def test_status(self) -> None:
        """What is left out is told with its reason, and what is served."""
        file = self.write("a", LARGE)
        Path(self.folder, "sub").mkdir()
        sharer = self.share(rate=MIB)
        self.until_offered(file)
        self.begin(self.fetcher(self.others), self.others.add("a", LARGE, self.source()))
        self.until(lambda: sharer.uploads.status())
        told = self.ask(sharer, "files.status")
        self.assertEqual((told["files"], told["fault"], list(told["left_out"])), (1, None, ["sub"]))
        self.assertEqual([upload["digest"] for upload in told["uploads"]], [file.digest])
        self.assertEqual(self.ask(sharer, "status")["files"], 1)

    def test_search(self) -> None:
        """The network is searched."""
        found = self.catalogue.add("a", SMALL)
        page = self.ask(self.share(), "files.search", words="a")
        self.assertEqual((page["total"], page["files"][0]["digest"]), (1, found.digest))

    def test_nonsense(self) -> None:
        """What cannot be read is refused."""
        sharer = self.share()
        for command, wishes in (("files.get", {}), ("files.get", {"wanted": ""}), ("files.list", {"most": 0})):
            self.assertRaises(UsageError, self.ask, sharer, command, **wishes)


class OptionsTests(SynchronousTestCase):
    """A sharer from its options."""

    def made(self, discovery: DiscoveryMethod | None = None, **options: Any) -> Sharer:
        """What they make."""
        values = OptionValues.of(OPTIONS, **{"folder": tempfile.gettempdir(), **options})
        return make_role(values, context_of(discovery or IndexMethod()))

    def refused(self, discovery: DiscoveryMethod | None = None, **options: Any) -> str:
        """Why they are refused."""
        with self.assertRaises(UsageError) as caught:
            self.made(discovery, **options)
        return str(caught.exception)

    def test_made(self) -> None:
        """A folder, slots and a rate are all it takes."""
        self.assertIsInstance(self.made(upload_slots="2", upload_rate="2M"), Sharer)

    def test_flood(self) -> None:
        """By flooding no files are found; it is said what to write."""
        self.assertIn("write --via index --index tcp:HOST:PORT", self.refused(FloodMethod()))

    def test_folder(self) -> None:
        """The folder must be there: a slip of the pen would share nothing."""
        self.assertIn("write the folder", self.refused(folder=None))
        self.assertIn("there is no such folder; make it first", self.refused(folder="/nowhere/at/all"))
        self.assertIn("this is no folder", self.refused(folder=__file__))
        self.assertIn("there is no such folder", self.refused(folder="a\0b"))
        self.assertIn("--folder ~no one: there is no user", self.refused(folder="~no one"))

    def test_nowhere(self) -> None:
        """Who stands in a folder that has been removed is told so."""
        self.addCleanup(os.chdir, os.getcwd())
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
        self.assertIn("No such file or directory", self.refused(folder="."))

    def test_numbers(self) -> None:
        """Slots and rates that are none are refused, and rates at which nobody would wait."""
        for slots in ("0", "-1", "x", "1001", "٣"):
            self.assertIn("--upload-slots", self.refused(upload_slots=slots))
        for rate in ("0", "-1", "x", "2X", "", "1e9", "0.0001", "15K", "16383"):
            self.assertIn("--upload-rate", self.refused(upload_rate=rate))

    def test_rates(self) -> None:
        """Rates are bytes a second; K, M and G are 1,024 each time."""
        rates = {"16384": 16_384, "500K": 512_000, "2M": 2 << 20, "1.5MiB/s": 3 << 19, "1g": 1 << 30, " 20 kB ": 20_480}
        self.assertEqual({text: parse_rate(text, "--rate") for text in rates}, rates)
