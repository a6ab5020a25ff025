"""Promises of private directories: nobody else can have put anything there that this user writes to, or believes."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.system.private_files import NotOurs, PrivateDirectory, is_group_of_one, open_named

NOBODY: Final = 65_534


class PrivateCase(SynchronousTestCase):
    """A place that belongs to this user."""

    def setUp(self) -> None:
        """Make it, and a file that is not to be touched."""
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(os.path.realpath(place.name))
        self.outside = self.place / "outside"
        self.outside.mkdir()
        self.secret = self.outside / "secret"
        self.secret.write_bytes(b"secret")
        self.secret.chmod(0o644)

    def opened(self, path: Path) -> PrivateDirectory:
        """A directory."""
        directory = PrivateDirectory.open(path, "--state")
        self.addCleanup(directory.close)
        return directory

    def give_away(self, path: Path) -> None:
        """Have something belong to somebody else, which root alone can do."""
        if os.geteuid():
            raise SkipTest("only root can give files to others")
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    def assert_refused(self, path: Path, *fragments: str) -> None:
        """It is refused in one line that says what to do, and nothing is changed."""
        before = self.everything()
        refusal = str(self.assertRaises(UsageError, PrivateDirectory.open, path, "--state"))
        for fragment in (f"--state {path}", "choose another --state", *fragments):
            self.assertIn(fragment, refusal)
        self.assertNotIn("\n", refusal)
        self.assertEqual(self.everything(), before)

    def everything(self) -> list[tuple[Path, int, int]]:
        """All that is in the place, with owners and modes."""
        paths = sorted(self.place.rglob("*"))
        return [(path, path.lstat().st_uid, path.lstat().st_mode) for path in paths]


class DirectoryTests(PrivateCase):
    """Which directories are opened."""

    def test_made(self) -> None:
        """What is not there is made for this user alone, with all above it, whatever the mask of the process is."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.opened(self.place / "a" / "b")
        for path in (self.place / "a", self.place / "a" / "b"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o700)

    def test_own(self) -> None:
        """A directory of this user is opened as it is, whether others may read it or not."""
        for mode in (0o700, 0o750, 0o755):
            self.outside.chmod(mode)
            self.opened(self.outside)
            self.assertEqual(stat.S_IMODE(self.outside.stat().st_mode), mode)

    def test_others_may_write(self) -> None:
        """One that its group, or everybody, may write to is refused; the sticky bit makes it no better."""
        for mode in (0o770, 0o720, 0o777, 0o702, 0o1777):
            self.outside.chmod(mode)
            self.assert_refused(self.outside, f"others may write to it; chmod go-w {self.outside}")

    def test_of_somebody_else(self) -> None:
        """One that belongs to somebody else is refused."""
        if os.geteuid():
            self.assert_refused(Path("/usr"), "it belongs to root")
            return
        self.give_away(self.outside)
        self.assert_refused(self.outside, "it belongs to ", "chown it to ")

    def test_others_may_write_above(self) -> None:
        """One in a directory in which others can put another in its place is refused, whether it is there or not."""
        path = self.outside / "state"
        self.outside.chmod(0o777)
        self.assert_refused(path, f"others may write to {self.outside} above it", f"chmod go-w {self.outside}")
        path.mkdir(0o700)
        self.assert_refused(path, f"others may write to {self.outside} above it")
        self.outside.chmod(0o1777)
        self.opened(path)

    def test_of_somebody_else_above(self) -> None:
        """One in a directory of somebody else is refused."""
        (self.outside / "state").mkdir(0o700)
        self.give_away(self.outside)
        self.assert_refused(
            self.outside / "state",
            f"{self.outside} above it belongs to ",
            "who can put another in its place; choose another --state",
        )

    def test_group_of_one(self) -> None:
        """A group is this user's own if it is called after the user, and is nobody else's first or further group."""

        def user(name: str, number: int, group: int) -> pwd.struct_passwd:
            return pwd.struct_passwd((name, "x", number, group, "", "/", "/bin/sh"))

        def group(name: str, number: int, *members: str) -> grp.struct_group:
            return grp.struct_group((name, "x", number, list(members)))

        ann, bob = user("ann", 1000, 1000), user("bob", 1001, 1001)
        self.assertTrue(is_group_of_one(group("ann", 1000), ann, [ann, bob]))
        self.assertTrue(is_group_of_one(group("ann", 1000, "ann"), ann, [ann, bob]))
        self.assertFalse(is_group_of_one(group("ann", 1000, "bob"), ann, [ann, bob]))
        self.assertFalse(is_group_of_one(group("ann", 1000), ann, [ann, user("bob", 1001, 1000)]))
        self.assertFalse(is_group_of_one(group("staff", 1000), ann, [ann, bob]))
        self.assertFalse(is_group_of_one(group("bob", 1001), ann, [ann, bob]))

    def test_own_link(self) -> None:
        """A link of this user is followed, to a directory that is judged all the same."""
        (self.place / "link").symlink_to("outside")
        self.opened(self.place / "link")
        (self.place / "absolute").symlink_to(self.place / "link")
        self.opened(self.place / "absolute" / "state" / ".." / "state")
        self.assertTrue((self.outside / "state").is_dir())
        self.outside.chmod(0o777)
        self.assert_refused(self.place / "link", "others may write to it")

    def test_link_of_somebody_else(self) -> None:
        """A link that somebody else can turn elsewhere is refused, in the end or on the way."""
        link = self.place / "link"
        link.symlink_to(self.outside)
        self.give_away(link)
        self.assert_refused(link, f"{link} is a symbolic link of ")
        self.assert_refused(link / "state", f"{link} is a symbolic link of ")

    def test_links_in_a_circle(self) -> None:
        """Links that lead to each other end in an error."""
        (self.place / "a").symlink_to("b")
        (self.place / "b").symlink_to("a")
        self.assertRaises(OSError, PrivateDirectory.open, self.place / "a", "--state")

    def test_no_directory(self) -> None:
        """A file is no directory."""
        self.assertRaises(OSError, PrivateDirectory.open, self.secret, "--state")

    def test_moved_away(self) -> None:
        """What is opened in a directory lies there, whatever has its path by now."""
        directory = self.opened(self.place / "state")
        (self.place / "state").rename(self.place / "moved")
        (self.place / "state").symlink_to(self.outside)
        directory.replace("key", b"new")
        self.assertEqual((self.place / "moved" / "key").read_bytes(), b"new")
        self.assertEqual(directory.read("key"), b"new")
        self.assertEqual(os.listdir(self.outside), ["secret"])

    def test_closed(self) -> None:
        """In one that is closed nothing can be opened, where the process stands neither."""
        directory = self.opened(self.place / "state")
        directory.close()
        directory.close()
        self.assertRaises(OSError, directory.replace, "key", b"new")

    def test_subdirectory(self) -> None:
        """A directory in it is made for this user alone; a link, or one that others may write to, is not used."""
        directory = self.opened(self.place / "state")
        path = directory.subdirectory("ring")
        self.assertEqual((path, stat.S_IMODE(path.stat().st_mode)), (self.place / "state" / "ring", 0o700))
        self.assertEqual(directory.subdirectory("ring"), path)
        path.chmod(0o777)
        self.assertRaises(NotOurs, directory.subdirectory, "ring")
        path.rmdir()
        path.symlink_to(self.outside)
        self.assertRaises(NotOurs, directory.subdirectory, "ring")


class FileTests(PrivateCase):
    """What is opened in a directory."""

    def setUp(self) -> None:
        """Open one."""
        super().setUp()
        self.directory = self.opened(self.place / "state")
        self.path = self.place / "state" / "key"

    def test_replaced(self) -> None:
        """A file is written whole, for this user alone, and nothing else is left."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        for content in (b"", b"first", b"second"):
            self.directory.replace("key", content)
            self.assertEqual(self.directory.read("key"), content)
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(os.listdir(self.path.parent), ["key"])

    def test_planted(self) -> None:
        """What somebody has planted under any name that is written to leads nowhere: links, pipes, second names."""
        new = self.path.with_name("key.new")
        for plant in (new.symlink_to, new.hardlink_to, self.path.symlink_to, self.path.hardlink_to):
            plant(self.secret)
            self.directory.replace("key", b"private")
            self.assertEqual(self.path.read_bytes(), b"private")
            self.assertEqual(self.secret.read_bytes(), b"secret")
            self.assertEqual(stat.S_IMODE(self.secret.stat().st_mode), 0o644)
            self.path.unlink()
        os.mkfifo(new)
        self.directory.replace("key", b"private")
        self.assertEqual((self.path.read_bytes(), new.exists()), (b"private", False))

    def test_new_is_directory(self) -> None:
        """What has the name that is written first, and cannot be removed, is named."""
        new = self.path.with_name("key.new")
        new.mkdir()
        error = self.assertRaises(NotOurs, self.directory.replace, "key", b"private")
        self.assertEqual(error.filename, str(new))
        self.assertTrue(error.strerror.endswith("; remove it"), error.strerror)

    def test_read_link(self) -> None:
        """A link is not read through, and one that leads nowhere is not taken for no file."""
        for target in (self.secret, self.place / "nowhere"):
            self.path.symlink_to(target)
            error = self.assertRaises(NotOurs, self.directory.read, "key")
            self.assertIn("symbolic link", error.strerror)
            self.assertRaises(NotOurs, self.directory.open_file, "key", os.O_RDWR | os.O_CREAT)
            self.path.unlink()
        self.assertFalse((self.place / "nowhere").exists())

    def test_not_plain(self) -> None:
        """A pipe is no file, and nobody waits for it."""
        os.mkfifo(self.path)
        self.assertRaises(NotOurs, self.directory.read, "key")

    def test_of_somebody_else(self) -> None:
        """A file of somebody else, who knows what is in it, is not believed."""
        self.path.write_bytes(b"known")
        self.give_away(self.path)
        error = self.assertRaises(NotOurs, self.directory.read, "key")
        self.assertIn("it belongs to ", error.strerror)

    def test_second_name(self) -> None:
        """A file that has a second name is read, since nothing comes of that, and not written to in place."""
        self.path.hardlink_to(self.secret)
        self.assertEqual(self.directory.read("key"), b"secret")
        self.assertRaises(NotOurs, self.directory.open_file, "key", os.O_RDWR, is_written=True)


class NamedTests(PrivateCase):
    """Files that a user names for writing, wherever they are."""

    def setUp(self) -> None:
        """Have a directory in which everybody may write, as where temporary files are."""
        super().setUp()
        self.outside.chmod(0o1777)
        self.path = self.outside / "events"

    def write(self) -> None:
        """Write to what was named."""
        with open(self.path, "a", opener=open_named) as file:
            file.write("event\n")

    def test_new(self) -> None:
        """A new file is made, and added to."""
        self.write()
        self.write()
        self.assertEqual(self.path.read_text(), "event\nevent\n")

    def test_own_link(self) -> None:
        """The user's own links are followed, and those of the system."""
        self.path.symlink_to(self.place / "elsewhere")
        self.write()
        self.assertEqual((self.place / "elsewhere").read_text(), "event\n")
        with open("/dev/null", "w", opener=open_named) as file:
            file.write("x")

    def test_link_of_somebody_else(self) -> None:
        """A link of somebody else is not followed: it would have the user write to the user's own files."""
        self.path.symlink_to(self.secret)
        self.give_away(self.path)
        # Linux may see to it by itself where the sticky bit is set.
        self.assertRaises(PermissionError, self.write)
        self.outside.chmod(0o777)
        error = self.assertRaises(NotOurs, self.write)
        self.assertEqual(error.strerror, "somebody else has put a symbolic link there")
        self.assertEqual(self.secret.read_bytes(), b"secret")

    def test_file_of_somebody_else(self) -> None:
        """Where everybody may write, a file that somebody else has put there to read what comes is not used."""
        self.path.write_bytes(b"")
        self.path.chmod(0o666)
        self.give_away(self.path)
        self.assertRaises(PermissionError, self.write)
        self.outside.chmod(0o755)
        self.write()
