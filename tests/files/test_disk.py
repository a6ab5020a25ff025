"""Opening files of a folder, and nothing else."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.files.disk_cases import FolderCase
from twisted_bazaar.files.disk import (
    Signature,
    is_being_written,
    open_file,
    opened_file,
    opened_folder,
    pread_full,
    pwrite_full,
    signature_of,
)


class OpeningTests(FolderCase):
    """What is opened is a plain file in the folder."""

    def read(self, name: str) -> bytes:
        """What is in a file."""
        with opened_folder(self.folder) as folder, opened_file(folder, name) as file:
            return pread_full(file, 100, 0)

    def test_plain(self) -> None:
        """A plain file is read."""
        self.put("a", b"apple")
        self.assertEqual(self.read("a"), b"apple")

    def test_links(self) -> None:
        """A link is not followed, wherever it leads: out of the folder, or to a file in it."""
        self.put("a")
        (self.outside / "secret").write_bytes(b"secret")
        for target in (self.outside / "secret", Path("a"), Path("nowhere"), Path("/dev/zero")):
            (self.folder / "link").symlink_to(target)
            with self.assertRaises(OSError):
                self.read("link")
            (self.folder / "link").unlink()

    def test_no_files(self) -> None:
        """A pipe is not waited for; folders and sockets are not opened."""
        os.mkfifo(self.folder / "pipe")
        (self.folder / "sub").mkdir()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.fspath(self.folder / "socket"))
            for name in ("pipe", "sub", "socket"):
                with opened_folder(self.folder) as folder, self.assertRaises(OSError):
                    open_file(folder, name)

    def test_paths(self) -> None:
        """A name that is a path is not opened, even if it leads to a file of the folder."""
        self.put("a")
        (self.folder / "sub").mkdir()
        for name in ("../folder/a", "./a", "sub/../a", os.fspath(self.folder / "a"), "..", ".", ""):
            with self.assertRaises(OSError):
                self.read(name)

    def test_folder_is_link(self) -> None:
        """A link in the place of the folder is not followed."""
        self.folder.rename(self.root / "moved")
        self.folder.symlink_to(self.root / "moved")
        with self.assertRaises(OSError), opened_folder(self.folder):
            pass

    @given(
        st.text(st.characters(codec="utf-8") | st.sampled_from("/.\\\0"), max_size=12)
        | st.lists(st.sampled_from(("..", ".", "folder", "outside", "a")), max_size=3).map(
            lambda way: "/".join(("..", *way))
        )
    )
    def test_any_name(self, name: str) -> None:
        """Whatever the name, what is made lies in the folder."""
        before = {path: path.lstat().st_mtime_ns for path in (self.root, self.outside)}
        with opened_folder(self.folder) as folder:
            try:
                os.close(open_file(folder, name, os.O_RDWR | os.O_CREAT))
            except (OSError, ValueError):
                self.assertEqual(os.listdir(self.folder), [])
            else:
                self.assertEqual(os.listdir(self.folder), [name])
                os.unlink(name, dir_fd=folder)
        self.assertEqual({path: path.lstat().st_mtime_ns for path in before}, before)

    def test_no_descriptor_left(self) -> None:
        """What is refused is closed again."""
        os.mkfifo(self.folder / "pipe")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            with self.assertRaises(OSError):
                self.read("pipe")
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class StateTests(FolderCase):
    """What is known of an open file."""

    def test_signature(self) -> None:
        """Another size, another time or another file is another signature."""
        path = self.put("a", b"12345")
        before = Signature.of(path.stat())
        self.put("a", b"123456")
        self.assertNotEqual(Signature.of(path.stat()), before)
        self.put("a", b"54321", at_s=1_000_000_001)
        self.assertNotEqual(Signature.of(path.stat()), before)
        self.put("b", b"54321").replace(path)
        self.assertNotEqual(Signature.of(path.stat()), before)

    def test_being_written(self) -> None:
        """A file that somebody has open for writing is known; one that is only read is not meant."""
        path = self.put("a")
        with opened_folder(self.folder) as folder, opened_file(folder, "a") as file:
            self.assertFalse(is_being_written(file))
            with path.open("rb"):
                self.assertFalse(is_being_written(file))
            with path.open("r+b"):
                self.assertTrue(is_being_written(file))
            self.assertFalse(is_being_written(file))

    def test_whole_reads_and_writes(self) -> None:
        """All is written, and what is read ends early only where the file does."""
        self.put("a", b"")
        with opened_folder(self.folder) as folder:
            file = open_file(folder, "a", os.O_RDWR)
            pwrite_full(file, memoryview(b"apples"), 2)
            self.assertEqual(pread_full(file, 100, 0), b"\0\0apples")
            self.assertEqual(pread_full(file, 3, 2), b"app")
            self.assertEqual(signature_of(file).size, 8)
            os.close(file)
