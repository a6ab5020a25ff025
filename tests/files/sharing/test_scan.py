"""Looks into a folder: what is in it to be offered, and when."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from unittest import SkipTest

from tests.files.disk_cases import FolderCase, manifest_of
from twisted_bazaar.files.disk import Signature
from twisted_bazaar.files.messages import LARGEST_FILE_BYTES
from twisted_bazaar.files.sharing.remembered import HashMemory
from twisted_bazaar.files.sharing.scan import SETTLING_S, Look, Sighting, Survey, list_folder


class SurveyTests(FolderCase):
    """A file is ready when it has not changed for a while."""

    def setUp(self) -> None:
        """A survey of the folder."""
        super().setUp()
        self.memory = HashMemory()
        self.survey = Survey(self.folder, self.memory)

    def look(self, now: float, *doubted: str) -> Look:
        """Look."""
        return self.survey.scan(now, doubted)

    def names_ready(self, now: float, *doubted: str) -> list[str]:
        """What is ready to be hashed with this look."""
        return [seen.name for seen in self.look(now, *doubted).ready]

    def remember(self, name: str, content: bytes = b"content") -> None:
        """Have a file's content known as it is."""
        self.memory.put(name, Signature.of((self.folder / name).stat()), manifest_of(content))

    def test_settled(self) -> None:
        """A file is ready when two looks far enough apart have seen the same; once."""
        self.put("a")
        look = self.look(0.0)
        self.assertEqual((look.settling_s, look.settling), (SETTLING_S, 1))
        self.assertEqual(self.names_ready(SETTLING_S - 0.1), [])
        path = self.folder / "a"
        look = self.look(SETTLING_S)
        self.assertEqual(look, Look([], [], [Sighting("a", "a", Signature.of(path.stat()))], {}))
        self.assertEqual(self.look(99.0), Look([], [], [], {}))

    def test_growing(self) -> None:
        """While a file grows it is never ready, however old it is."""
        for n in range(10):
            self.put("a", b"x" * n)
            self.assertEqual(self.names_ready(n * SETTLING_S), [])
        self.assertEqual(self.names_ready(10 * SETTLING_S), ["a"])

    def test_changed(self) -> None:
        """A file that was ready and is another now is gone, and ready again later."""
        self.put("a")
        self.look(0.0)
        self.look(5.0)
        self.put("a", b"changed", at_s=1_000_000_005)
        self.assertEqual(self.look(6.0), Look(["a"], [], [], {}, SETTLING_S, settling=1))
        self.assertEqual(self.names_ready(6.0 + SETTLING_S), ["a"])

    def test_doubted(self) -> None:
        """A file that was found to be another is looked at as if it were new; one that is not there is gone."""
        self.put("a")
        self.look(0.0)
        self.look(5.0)
        self.assertEqual(self.look(6.0, "a"), Look([], [], [], {}, SETTLING_S, settling=1))
        self.assertEqual(self.names_ready(6.0 + SETTLING_S), ["a"])
        (self.folder / "a").unlink()
        self.assertEqual(self.look(20.0, "a").gone, ["a"])

    def test_remembered(self) -> None:
        """What is known is ready at the first look."""
        self.put("a")
        self.put("b")
        self.remember("a")
        look = self.look(0.0)
        self.assertEqual([(seen.name, manifest) for seen, manifest in look.known], [("a", manifest_of(b"content"))])

    def test_renamed(self) -> None:
        """A file that has moved to another name is known by it."""
        self.put("a", at_s=1_000_000_000.5)
        self.remember("a")
        self.look(0.0)
        (self.folder / "a").rename(self.folder / "b")
        look = self.look(1.0)
        self.assertEqual((look.gone, [seen.name for seen, _ in look.known]), (["a"], ["b"]))
        self.assertIsNotNone(self.memory.get("b", look.known[0][0].signature))

    def test_not_renamed(self) -> None:
        """A file with the time of a whole second, as out of an archive, may be another in the place of the first."""
        self.put("a")
        self.remember("a")
        self.look(0.0)
        (self.folder / "a").rename(self.folder / "b")
        self.assertEqual(self.look(1.0).known, [])

    def test_linked(self) -> None:
        """A second name of a file that is still there is not known because of the first."""
        self.put("a", at_s=1_000_000_000.5)
        self.remember("a")
        self.look(0.0)
        os.link(self.folder / "a", self.folder / "b")
        self.assertEqual(self.look(1.0).known, [])

    def test_folder_gone(self) -> None:
        """When the folder goes, all is gone, and why is said; when it comes back, all is known again."""
        self.put("a")
        self.remember("a")
        self.look(0.0)
        self.folder.rename(self.root / "moved")
        look = self.look(1.0)
        self.assertEqual((look.gone, look.fault), (["a"], f"{self.folder}: No such file or directory"))
        (self.root / "moved").rename(self.folder)
        look = self.look(2.0)
        self.assertEqual(([seen.name for seen, _ in look.known], look.fault), (["a"], None))

    def test_folder_replaced(self) -> None:
        """A link in the place of the folder is not followed."""
        (self.outside / "a").write_bytes(b"secret")
        self.folder.rmdir()
        self.folder.symlink_to(self.outside)
        look = self.look(0.0)
        self.assertEqual(look, Look([], [], [], {}, None, f"{self.folder}: Not a directory"))


class ListingTests(FolderCase):
    """What of a folder is offered, by which name, and why the rest is not."""

    def names(self) -> tuple[dict[str, str], dict[str, str]]:
        """The names on the disk by those that are offered; and what is left out."""
        seen, left_out = list_folder(self.folder)
        return {name: sighting.real_name for name, sighting in seen.items()}, left_out

    def test_plain_files_only(self) -> None:
        """Links, folders, pipes are left out, and it is said why."""
        self.put("a")
        (self.folder / "link").symlink_to("a")
        (self.folder / "away").symlink_to(self.outside)
        (self.folder / "sub").mkdir()
        os.mkfifo(self.folder / "pipe")
        link = "a link; links are not followed"
        names, left_out = self.names()
        self.assertEqual(names, {"a": "a"})
        self.assertEqual(
            left_out,
            {
                "link": link,
                "away": link,
                "sub": "a folder; only files directly in the shared one are offered",
                "pipe": "not a plain file",
            },
        )

    def test_too_large(self) -> None:
        """A file that nobody would take is not hashed for hours, and it is said why."""
        for name, size in (("largest", LARGEST_FILE_BYTES), ("larger", LARGEST_FILE_BYTES + 1)):
            try:
                os.truncate(self.put(name), size)
            except OSError:
                raise SkipTest("this disk has no files of that size") from None
        seen, left_out = list_folder(self.folder)
        self.assertEqual((list(seen), list(left_out)), (["largest"], ["larger"]))
        self.assertIn("bytes; nobody takes", left_out["larger"])

    def test_hidden(self) -> None:
        """Hidden files, such as those of downloads under way, are not spoken of."""
        self.put(".a.01234567.part")
        self.put(".profile")
        self.assertEqual(self.names(), ({}, {}))

    def test_unsafe(self) -> None:
        """Names that could be read in two ways are left out."""
        names = ["a\nb", "gpj.\u202eexe", "back\\slash", "bell\a"]
        for name in names:
            self.put(name)
        Path(os.fsdecode(os.fsencode(self.folder) + b"/\xff\xfe")).write_bytes(b"")
        offered, left_out = self.names()
        self.assertEqual(offered, {})
        self.assertEqual({*left_out}, {*names, "\ufffd\ufffd"})
        self.assertEqual(left_out["back\\slash"], "a separator in the name")
        self.assertEqual(left_out["\ufffd\ufffd"], "the name is not UTF-8")

    def test_composed(self) -> None:
        """A name in another Unicode form is offered in form NFC, and known by its own."""
        apart = unicodedata.normalize("NFD", "Äpfel")
        self.put(apart)
        self.assertEqual(self.names(), ({"Äpfel": apart}, {}))

    def test_same_to_people(self) -> None:
        """Of two names that are one in form NFC the first is offered, whichever the disk names first."""
        apart = unicodedata.normalize("NFD", "Äpfel")
        for order in ((apart, "Äpfel"), ("Äpfel", apart)):
            for name in order:
                self.put(name)
            self.assertEqual(self.names(), ({"Äpfel": apart}, {"Äpfel": f"{apart!r} is offered under the same name"}))
            for name in order:
                (self.folder / name).unlink()

    def test_case(self) -> None:
        """Names that differ in case are different, as on the disk."""
        self.put("a")
        self.put("A")
        self.assertEqual({*self.names()[0]}, {"a", "A"})

    def test_empty(self) -> None:
        """An empty file is a file."""
        self.put("empty", b"")
        self.assertEqual(self.names(), ({"empty": "empty"}, {}))
