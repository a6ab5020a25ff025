"""What is remembered of files, whatever becomes of where it is kept."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from tests.files.disk_cases import FolderCase, manifest_of, some_bytes
from twisted_bazaar.files.disk import Signature
from twisted_bazaar.files.sharing import remembered
from twisted_bazaar.files.sharing.remembered import HashMemory
from twisted_bazaar.system.private_files import PrivateDirectory

CONTENTS = {name: some_bytes(size, size) for name, size in (("a", 0), ("b", 5), ("ü", 1_500_000))}
SIGNATURES = {name: Signature(len(content), -5 + n, n) for n, (name, content) in enumerate(CONTENTS.items())}


class MemoryTests(FolderCase):
    """What was hashed is known again, or is hashed again."""

    def setUp(self) -> None:
        """Remember some files."""
        super().setUp()
        self.path = self.folder / "hashes"
        self.memory = self.reopened()
        for name, content in CONTENTS.items():
            self.memory.put(name, SIGNATURES[name], manifest_of(content))
        self.content = self.path.read_bytes()

    def reopened(self) -> HashMemory:
        """What another process remembers."""
        directory = PrivateDirectory.open(self.folder, "--state")
        self.addCleanup(directory.close)
        memory = HashMemory(directory)
        memory.open()
        self.addCleanup(memory.close)
        return memory

    def known(self, memory: HashMemory) -> set[str]:
        """The names that are known; all that is known is right."""
        names = set()
        for name, content in CONTENTS.items():
            manifest = memory.get(name, SIGNATURES[name])
            if manifest is not None:
                self.assertEqual(manifest, manifest_of(content))
                names.add(name)
        self.assertEqual(len(memory), len(names))
        return names

    def test_restart(self) -> None:
        """All is known after a restart."""
        self.assertEqual(self.known(self.reopened()), {*CONTENTS})

    def test_other_file(self) -> None:
        """With another size, time or inode, or by another name, nothing is known."""
        was = SIGNATURES["b"]
        for other in (Signature(6, was.mtime_ns, was.inode), Signature(5, 9, was.inode), Signature(5, was.mtime_ns, 9)):
            self.assertIsNone(self.memory.get("b", other))
        self.assertIsNone(self.memory.get("a", was))

    def test_last_counts(self) -> None:
        """What was found last is what is known."""
        self.memory.put("b", SIGNATURES["ü"], manifest_of(CONTENTS["ü"]))
        again = self.reopened()
        self.assertIsNone(again.get("b", SIGNATURES["b"]))
        self.assertEqual(again.get("b", SIGNATURES["ü"]), manifest_of(CONTENTS["ü"]))

    def test_cut_anywhere(self) -> None:
        """A process may be killed at any byte: what was complete is known, and what is added then is, too."""
        for end in range(len(self.content)):
            self.path.write_bytes(self.content[:end])
            memory = self.reopened()
            known = self.known(memory)
            self.assertEqual(known, {*list(CONTENTS)[: len(known)]})
            memory.put("ü", SIGNATURES["ü"], manifest_of(CONTENTS["ü"]))
            self.assertEqual(self.known(self.reopened()), known | {"ü"})
            memory.close()
        self.path.write_bytes(self.content)
        self.assertEqual(self.known(self.reopened()), {*CONTENTS})

    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        """Any damage costs hashing again; nothing wrong is ever known, and there is no error."""
        content = bytearray(self.content)
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        self.path.write_bytes(content)
        self.known(self.reopened())
        self.path.write_bytes(data.draw(st.binary(max_size=50)))
        self.known(self.reopened())

    def test_cannot_be_kept(self) -> None:
        """Where nothing can be kept, it is remembered as long as the process lives."""
        directory = PrivateDirectory.open(self.folder, "--state")
        (self.folder / "folder").mkdir()
        closed = PrivateDirectory.open(self.folder, "--state")
        closed.close()
        for memory in (HashMemory(directory, "folder"), HashMemory(closed), HashMemory()):
            memory.open()
            memory.put("b", SIGNATURES["b"], manifest_of(CONTENTS["b"]))
            self.assertEqual(self.known(memory), {"b"})
        directory.close()

    def test_link(self) -> None:
        """A link in its place is not followed."""
        secret = self.outside / "secret"
        secret.write_bytes(b"secret")
        self.path.unlink()
        self.path.symlink_to(secret)
        memory = self.reopened()
        memory.put("b", SIGNATURES["b"], manifest_of(CONTENTS["b"]))
        self.assertEqual(secret.read_bytes(), b"secret")

    def test_second_name(self) -> None:
        """A file that has a second name elsewhere is not written to, nor cut off."""
        secret = self.outside / "secret"
        secret.write_bytes(b"secret")
        self.path.unlink()
        self.path.hardlink_to(secret)
        memory = self.reopened()
        memory.put("b", SIGNATURES["b"], manifest_of(CONTENTS["b"]))
        self.assertEqual(secret.read_bytes(), b"secret")

    def test_planted_for_tidying(self) -> None:
        """A link under the name that is used while tidying is not followed."""
        secret = self.outside / "secret"
        secret.write_bytes(b"secret")
        (self.folder / "hashes.new").symlink_to(secret)
        self.patch(remembered, "_TIDY_AFTER_BYTES", 10)
        self.memory.put("b", SIGNATURES["b"], manifest_of(CONTENTS["b"]))
        self.memory.tidy(["b"])
        self.assertEqual(secret.read_bytes(), b"secret")
        self.assertEqual(self.known(self.reopened()), {"b"})

    def test_tidy(self) -> None:
        """What is of no use is thrown out when there is much of it, and only then."""
        self.memory.tidy(["b"])
        self.assertEqual(self.known(self.memory), {*CONTENTS})
        self.patch(remembered, "_TIDY_AFTER_BYTES", 10)
        self.memory.tidy(["b"])
        self.assertEqual(self.known(self.memory), {"b"})
        self.assertEqual(os.listdir(self.folder), ["hashes"])
        self.memory.put("a", SIGNATURES["a"], manifest_of(b""))
        self.assertEqual(self.known(self.reopened()), {"a", "b"})
        self.assertLess(self.path.stat().st_size, len(self.content))
