"""The part file of a download with its journal, hidden beside the target, from which it resumes (fast resume).

Everything is done by name in one folder that is held open, and by descriptors of files that were found to be plain,
ours, and known by one name only; so a link that somebody puts there leads nowhere. The part file is locked; the lock
is the kernel's, and ends with the process however that ends.

The journal has the manifest only. Which chunks are there is read from the part file itself: a chunk counts if its
bytes fit, whatever the process or the machine died of, and if somebody else wrote there, too.
All of this blocks, and belongs into threads.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from msgspec import DecodeError, ValidationError, json

from twisted_bazaar.errors import AlreadyThere, StorageError, UsageError
from twisted_bazaar.files.chunks import CHUNK_BYTES, DIGEST_BYTES, Manifest
from twisted_bazaar.files.disk import Signature, open_file, open_folder, opened_file, pread_full, pwrite_full
from twisted_bazaar.files.messages import LARGEST_COUNT
from twisted_bazaar.wire.files import LONGEST_NAME_BYTES, check_file_name

_PART: Final = ".part"
_JOURNAL: Final = ".journal"
_DIGITS: Final = 8
_CHECKSUM_BYTES: Final = 16
_BLOCK_BYTES: Final = 512
_LARGEST_JOURNAL_BYTES: Final = LARGEST_COUNT * DIGEST_BYTES + 1024
# Chunks.
_SYNCED_AT_ONCE: Final = 128
_MORE_LOOKS: Final = 3
_TRIES: Final = 5
# What a file system says that has no hard links.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def hidden_names(name: str, digest: str) -> tuple[str, str]:
    """The names of the part file and the journal of a download."""
    room = LONGEST_NAME_BYTES - len(f"..{digest[:_DIGITS]}{_JOURNAL}")
    stem = f".{name.encode()[:room].decode(errors='ignore')}.{digest[:_DIGITS]}"
    return stem + _PART, stem + _JOURNAL


def no_room(path: Path, needed: int, free: int) -> StorageError:
    """The error for a file that does not fit on the disk."""
    return StorageError(f"{path}: {needed:,} bytes more are needed, and {free:,} are free there")


def _is_alone(status: os.stat_result, inode: int) -> bool:
    """Whether a file is that one, ours, and known by this name only."""
    return (status.st_ino, status.st_nlink, status.st_uid) == (inode, 1, os.geteuid())


class PartFile:
    """One download's place on the disk.

    @param directory: where the file is to be.
    @param name: what it is to be called.
    @param overwrite: whether another file of that name may be replaced.
    @raise AlreadyThere: it is there already, the very same.
    @raise UsageError: it cannot be put there; the text says what to do.
    @raise StorageError: the disk fails.
    """

    def __init__(self, directory: Path, name: str, digest: str, *, overwrite: bool = False) -> None:
        try:
            check_file_name(name)
        except ValueError as error:
            raise UsageError(f"{str(error).removeprefix('name: ')}; choose another name, with --as") from None
        if name.startswith("."):
            raise UsageError(f"{name}: a hidden file would be made; choose another name, with --as")
        self.path: Path = directory / name
        self.digest = digest
        self._name = name
        self._overwrite = overwrite
        self._part_name, self._journal_name = hidden_names(name, digest)
        self._journal: int | None = None
        self._unsynced = 0
        try:
            # Links are followed here, where the user has named them, and nowhere below.
            self._folder = open_folder(Path(os.path.realpath(directory)))
        except OSError as error:
            raise UsageError(f"{directory}: {error.strerror}; choose another folder with -o") from None
        try:
            self._part = self._take_part()
        except BaseException:
            os.close(self._folder)
            raise
        try:
            self._check_target()
            self._journal = self._open_own(self._journal_name)
        except BaseException as error:
            if isinstance(error, AlreadyThere):
                self.remove()
            elif not os.fstat(self._part).st_size:
                self._unlink(self._part_name)
            self.close()
            raise

    def close(self) -> None:
        """Close the files; what is in them stays."""
        for descriptor in (self._part, self._journal, self._folder):
            if descriptor is not None:
                os.close(descriptor)

    def remove(self) -> None:
        """Remove what is hidden."""
        for name in (self._part_name, self._journal_name):
            self._unlink(name)

    def remove_unused(self) -> None:
        """Remove what is hidden if there never was anything in it."""
        if not os.fstat(self._part).st_blocks:
            self.remove()

    def read_manifest(self) -> Manifest | None:
        """The manifest that was noted; None if none was, or it is damaged.

        @raise StorageError: the journal cannot be read.
        """
        assert self._journal is not None, "it is open"
        with self.told():
            size = os.fstat(self._journal).st_size
            if size > _LARGEST_JOURNAL_BYTES:
                # None of ours.
                return None
            content = pread_full(self._journal, size, 0)
        body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
        if checksum != _checksum(body):
            return None
        head, _, digests = body.partition(b"\n")
        try:
            digest, size = json.decode(head, type=tuple[str, int])
            manifest = Manifest(digest, size, digests)
        except (DecodeError, ValidationError, ValueError):
            return None
        return manifest if digest == self.digest else None

    def write_manifest(self, manifest: Manifest) -> None:
        """Note a manifest, in place of any before.

        @raise StorageError: it cannot be written.
        """
        assert self._journal is not None, "it is open"
        body = json.encode((manifest.digest, manifest.size)) + b"\n" + manifest.chunk_digests
        with self.told():
            os.ftruncate(self._journal, 0)
            pwrite_full(self._journal, body + _checksum(body), 0)

    def check_room(self, size: int) -> None:
        """See whether a file of this size fits on the disk, with what is there of it already.

        @raise StorageError: it does not.
        """
        with self.told():
            status, system = os.fstat(self._part), os.fstatvfs(self._part)
        needed = size - status.st_blocks * _BLOCK_BYTES
        free = system.f_bavail * system.f_frsize
        if needed > free:
            raise no_room(self.path, needed, free)

    def make_room(self, size: int) -> None:
        """Give the part file the size of the whole. No blocks are taken yet: where the disk cannot do that by itself,
        it would mean to write everything twice.

        @raise StorageError: there can be no such file here.
        """
        self.check_room(size)
        with self.told():
            # What lies behind the end may be right by another manifest.
            if os.fstat(self._part).st_size < size:
                os.ftruncate(self._part, size)

    def held_chunks(self, manifest: Manifest, go_on: Callable[[], bool] = lambda: True) -> list[int]:
        """The chunks that are there.

        @param go_on: whether the answer is still of use.
        @raise StorageError: the part file cannot be read.
        """
        held: list[int] = []
        buffer = memoryview(bytearray(CHUNK_BYTES))
        chunk = 0
        with self.told():
            while chunk < manifest.count and go_on():
                chunk = max(chunk, self._next_bytes(chunk * CHUNK_BYTES) // CHUNK_BYTES)
                if chunk >= manifest.count:
                    break
                content = buffer[: manifest.size_of(chunk)]
                if os.preadv(self._part, [content], chunk * CHUNK_BYTES) == len(content) and manifest.fits(
                    chunk, content
                ):
                    held.append(chunk)
                chunk += 1
        return held

    def write(self, chunk: int, content: bytes | bytearray | memoryview) -> None:
        """Write a chunk in its place.

        @raise StorageError: it cannot be written.
        """
        with self.told():
            pwrite_full(self._part, content, chunk * CHUNK_BYTES)
            self._see_that_it_is_there()
            self._unsynced += 1
            if self._unsynced >= _SYNCED_AT_ONCE:
                # Or all of it would have to be waited for in the end.
                self._unsynced = 0
                os.fdatasync(self._part)

    def read(self, chunk: int, size: int) -> bytes:
        """Read a chunk.

        @raise StorageError: it cannot be read.
        """
        with self.told():
            content = pread_full(self._part, size, chunk * CHUNK_BYTES)
        if len(content) != size:
            raise self._cut_off()
        return content

    def read_into(self, chunk: int, room: memoryview) -> None:
        """Read a chunk that has the size of the room.

        @raise StorageError: it cannot be read.
        """
        with self.told():
            size = os.preadv(self._part, [room], chunk * CHUNK_BYTES)
        if size != len(room):
            raise self._cut_off()

    def move_into_place(self, size: int) -> Signature:
        """Make the part file the target; returns what it is known by from now on.

        @raise StorageError: it cannot be; then the part file is still there.
        """
        with self.told():
            self._see_that_it_is_there()
            if self._inode_of(self._part_name) != os.fstat(self._part).st_ino:
                raise self._meddled_with()
            os.ftruncate(self._part, size)
            os.fsync(self._part)
            try:
                self._put_in_place()
            except FileExistsError:
                raise StorageError(f"{self.path}: another file has come there; --overwrite replaces it") from None
            if self._inode_of(self._name) != os.fstat(self._part).st_ino:
                raise self._meddled_with()
            self.remove()
            if self._journal is not None:
                os.close(self._journal)
                self._journal = None
            os.fsync(self._folder)
            return Signature.of(os.fstat(self._part))

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Turn an error of the system into one that the user is told."""
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror}") from error

    def _put_in_place(self) -> None:
        """Give the part file the target's name, without replacing a file that came there meanwhile."""
        folder = self._folder
        if not self._overwrite:
            try:
                self._link()
                return
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
            # Who finds this name from now on finds it taken.
            os.close(os.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=folder))
        try:
            os.replace(self._part_name, self._name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            if not self._overwrite:
                # Nothing stands under the name of a file but the file.
                self._unlink(self._name)
            raise

    def _link(self) -> None:
        """Give the very file that is open the target's name."""
        try:
            os.link(f"/proc/self/fd/{self._part}", self._name, dst_dir_fd=self._folder)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EXDEV):
                raise
            names = (self._part_name, self._name)
            os.link(*names, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)

    def _take_part(self) -> int:
        """Open the part file and lock it."""
        while True:
            part = self._open_own(self._part_name)
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(part)
                raise UsageError(f"{self.path}: another process is fetching it; wait for that, or stop it") from None
            except OSError:
                # There are disks without locks.
                pass
            # Who had the lock before may have put the file in its place, and it is another's now.
            if self._inode_of(self._part_name) == os.fstat(part).st_ino:
                return part
            os.close(part)

    def _open_own(self, name: str) -> int:
        """Open a hidden file of ours for writing; make it if there is none.

        @raise UsageError: what is there is not ours.
        """
        hidden = self.path.with_name(name)
        for _ in range(_TRIES):
            file = self._open_hidden(hidden)
            status = self._status_of(name)
            # Asked by name and at once: a file that is known by this name only lies here. Asked of what is open, it
            # could be one from elsewhere, of which somebody has just removed a second name here.
            if status is not None and status.st_ino == os.fstat(file).st_ino:
                # The system looks up the name before it counts the names: one look could fall in between, not several.
                looks = [status, *(self._status_of(name) for _ in range(_MORE_LOOKS))]
                if all(each is not None and _is_alone(each, status.st_ino) for each in looks):
                    return file
                os.close(file)
                if status.st_nlink != 2 or status.st_ino != self._inode_of(self._name):
                    break
                # A process ended in the middle of giving it its place.
                self._unlink(name)
            else:
                # Another process has just finished with it.
                os.close(file)
        raise UsageError(f"{hidden} is in the way: it belongs to something else; remove it")

    def _open_hidden(self, hidden: Path) -> int:
        """Open a hidden file, whosever it is.

        @raise UsageError: it is no file.
        """
        try:
            return open_file(self._folder, hidden.name, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO):
                raise UsageError(f"{hidden} is in the way: not a plain file; remove it") from None
            raise UsageError(f"{hidden}: {error.strerror}; choose another folder with -o") from None

    def _check_target(self) -> None:
        """See whether the target's name is free, or what has it."""
        try:
            status = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISREG(status.st_mode):
            # What cannot be read is not what is wanted, as far as anybody can tell.
            with contextlib.suppress(OSError), opened_file(self._folder, self._name) as file:
                with os.fdopen(os.dup(file), "rb") as stream:
                    is_same = hashlib.file_digest(stream, "sha256").hexdigest() == self.digest
                if is_same:
                    raise AlreadyThere(f"{self.path} is there already, whole")
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{self.path} is a folder; choose another name, with --as")
        if not self._overwrite:
            raise UsageError(f"{self.path} is another file; --overwrite replaces it, --as gives this one another name")

    def _see_that_it_is_there(self) -> None:
        """Bytes can be written for ever into a file that has no name any more.

        @raise StorageError: it has none.
        """
        if not os.fstat(self._part).st_nlink:
            raise StorageError(f"{self.path.with_name(self._part_name)} has been removed")

    def _meddled_with(self) -> StorageError:
        return StorageError(f"{self.path}: somebody is changing files there")

    def _cut_off(self) -> StorageError:
        return StorageError(f"{self.path}: somebody has cut off what was fetched")

    def _next_bytes(self, offset: int) -> int:
        """The offset of the next bytes that were ever written."""
        try:
            return os.lseek(self._part, offset, os.SEEK_DATA)
        except OSError as error:
            # Nothing more; or the system does not tell.
            return 1 << 62 if error.errno == errno.ENXIO else offset

    def _inode_of(self, name: str) -> int | None:
        status = self._status_of(name)
        return None if status is None else status.st_ino

    def _status_of(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder)


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM_BYTES).digest()
