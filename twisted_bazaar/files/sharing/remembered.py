"""A cache of hashed files, kept so that nothing is hashed twice.

An entry holds for a name with one signature. The file is only ever added to: each record has its own checksum, and
reading ends at the first that is not right. So whatever becomes of it costs hashing again, and never gives a wrong
digest. All of this blocks, and belongs into threads.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import threading
from collections.abc import Collection, Iterator
from typing import Final

from msgspec import Struct
from twisted.logger import Logger

from twisted_bazaar.files.chunks import DIGEST_BYTES, Manifest
from twisted_bazaar.files.disk import Signature, pwrite_full
from twisted_bazaar.system.private_files import PrivateDirectory

HASHES_FILE: Final = "hashes"

_MAGIC: Final = b"bazaar hashes 1\n"
_LENGTH: Final = struct.Struct(">I")
# Size, time, inode, bytes of the name; the digest, the name and the chunk digests follow.
_HEAD: Final = struct.Struct(">QqQH")
_CHECKSUM_BYTES: Final = 16
# So much may be added before what has become useless is thrown out, whatever else is there.
_TIDY_AFTER_BYTES: Final = 1 << 20


class _Entry(Struct, frozen=True, gc=False):
    """The record of one name."""

    signature: Signature
    manifest: Manifest


class HashMemory:
    """Remembers manifests.

    @param directory: where its file is; None to remember only as long as this process lives.
    @param name: the file; it is made if it is not there.
    """

    log: Final = Logger()

    def __init__(self, directory: PrivateDirectory | None = None, name: str = HASHES_FILE) -> None:
        self._directory = directory
        self._name = name
        self._file: int | None = None
        self._entries: dict[str, _Entry] = {}
        self._end = self._added = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def open(self) -> None:
        """Read what is there. What cannot be read or written is done without."""
        if self._directory is None:
            return
        with self._lock:
            try:
                self._file = self._directory.open_file(self._name, os.O_RDWR | os.O_CREAT, is_written=True)
                self._load(self._file)
            except OSError as error:
                self._give_up(error)

    def close(self) -> None:
        """Write no more."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def get(self, name: str, signature: Signature) -> Manifest | None:
        """The manifest of a file, if it was known by this name and is what it was."""
        entry = self._entries.get(name)
        return entry.manifest if entry is not None and entry.signature == signature else None

    def put(self, name: str, signature: Signature, manifest: Manifest) -> None:
        """Remember what a file is made of."""
        with self._lock:
            self._entries[name] = entry = _Entry(signature, manifest)
            if self._file is not None:
                self._append(self._file, _record(name, entry))

    def tidy(self, names: Collection[str]) -> None:
        """Forget, once it is worth it, what is known of other names than these."""
        with self._lock:
            if self._added <= max(_TIDY_AFTER_BYTES, self._end // 2):
                return
            self._entries = {name: entry for name, entry in self._entries.items() if name in names}
            self._added = 0
            if self._file is not None:
                try:
                    self._rewrite()
                except OSError as error:
                    self._give_up(error)

    def _load(self, file: int) -> None:
        with os.fdopen(os.dup(file), "rb") as stream:
            content = stream.read()
        self._end, records = 0, 0
        if content.startswith(_MAGIC):
            self._end = len(_MAGIC)
            for name, entry, end in _records(content, self._end):
                self._entries[name], self._end = entry, end
                records += 1
        # What follows is damaged, or was being written when the process ended.
        os.ftruncate(file, self._end)
        if not self._end:
            pwrite_full(file, _MAGIC, 0)
            self._end = len(_MAGIC)
        self._added = self._end if records > 2 * len(self._entries) else 0

    def _append(self, file: int, record: bytes) -> None:
        try:
            pwrite_full(file, record, self._end)
        except OSError as error:
            self._give_up(error)
            return
        self._end += len(record)
        self._added += len(record)

    def _rewrite(self) -> None:
        """Have a file of what is known now; who is killed meanwhile leaves the old one."""
        assert self._directory is not None, "it has a file"
        assert self._file is not None, "it is open"
        new = f"{self._name}.new"
        file = self._directory.make(new)
        try:
            end = len(_MAGIC)
            pwrite_full(file, _MAGIC, 0)
            for name, entry in self._entries.items():
                record = _record(name, entry)
                pwrite_full(file, record, end)
                end += len(record)
            os.fsync(file)
            self._directory.rename(new, self._name)
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self._end = file, end

    def _give_up(self, error: OSError) -> None:
        """Go on without the file: a record behind a damaged one would never be read."""
        assert self._directory is not None, "it has a file"
        path = self._directory.path / self._name
        self.log.warn("{path}: {reason}; files are hashed again after a restart", path=path, reason=error.strerror)
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._end)
            os.close(self._file)
            self._file = None


def _record(name: str, entry: _Entry) -> bytes:
    """An entry as it stands in the file."""
    encoded, of, manifest = name.encode(), entry.signature, entry.manifest
    head = _HEAD.pack(of.size, of.mtime_ns, of.inode, len(encoded))
    body = b"".join((head, bytes.fromhex(manifest.digest), encoded, manifest.chunk_digests))
    return _LENGTH.pack(len(body)) + body + _checksum(body)


def _records(content: bytes, at: int) -> Iterator[tuple[str, _Entry, int]]:
    """Each name and entry, and where its record ends, up to the first that is not right."""
    while at + _LENGTH.size <= len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        body = content[at + _LENGTH.size : at + _LENGTH.size + length]
        at += _LENGTH.size + length + _CHECKSUM_BYTES
        if at > len(content) or content[at - _CHECKSUM_BYTES : at] != _checksum(body):
            return
        try:
            yield *_read(body), at
        except (ValueError, struct.error):
            return


def _read(body: bytes) -> tuple[str, _Entry]:
    """The name and entry that L{_record} wrote."""
    size, mtime_ns, inode, name_bytes = _HEAD.unpack_from(body)
    name_at = _HEAD.size + DIGEST_BYTES
    digests_at = name_at + name_bytes
    manifest = Manifest(body[_HEAD.size : name_at].hex(), size, body[digests_at:])
    return body[name_at:digests_at].decode(), _Entry(Signature(size, mtime_ns, inode), manifest)


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM_BYTES).digest()
