"""Scans of a shared folder: what there is to be offered, look by look.

A file is ready when its signature has been the same for a while. Until then it may still be written; and a change
after that while, even of the same size, has another time, so a digest taken then is the digest of that signature.
All of this blocks, and belongs into one thread at a time.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from attrs import evolve, frozen
from msgspec import Struct

from twisted_bazaar.files.chunks import Manifest
from twisted_bazaar.files.disk import Signature, opened_folder
from twisted_bazaar.files.messages import LARGEST_FILE_BYTES
from twisted_bazaar.files.sharing.remembered import HashMemory
from twisted_bazaar.wire.files import check_file_name

# The coarsest clock of a file system that is in use counts in two seconds.
SETTLING_S: Final = 2.0
_SECOND_NS: Final = 1_000_000_000


class Sighting(Struct, frozen=True, gc=False):
    """A file as it was seen.

    @ivar name: what it is offered as, in Unicode form NFC.
    @ivar real_name: what the disk calls it.
    """

    name: str
    real_name: str
    signature: Signature


@frozen
class Look:
    """The result of one look into the folder.

    @ivar gone: names that are not what they were; what was known of them is void. This comes before the rest.
    @ivar known: what is ready, and is known already.
    @ivar ready: what is ready to be hashed.
    @ivar left_out: why a name is not offered.
    @ivar settling_s: how long it takes until the next file can be ready; None if none is about to be.
    @ivar fault: why there was nothing to look into.
    @ivar settling: how many are about to be ready, if nobody writes them meanwhile.
    """

    gone: list[str]
    known: list[tuple[Sighting, Manifest]]
    ready: list[Sighting]
    left_out: Mapping[str, str]
    settling_s: float | None = None
    fault: str | None = None
    settling: int = 0


class _Entry(Struct, gc=False):
    """The record of a name.

    @ivar since: when it was first seen like this.
    @ivar is_ready: whether it has been told of.
    """

    seen: Sighting
    since: float
    is_ready: bool = False


class Survey:
    """Compares what is in a folder with what was there at the last look.

    @param path: the folder.
    @param memory: what is known already.
    """

    def __init__(self, path: Path, memory: HashMemory) -> None:
        self._path = path
        self._memory = memory
        self._entries: dict[str, _Entry] = {}

    def scan(self, now: float, doubted: Collection[str] = ()) -> Look:
        """See what has changed.

        @param doubted: names that are no longer what was told of them; they are looked at as if they were new.
        """
        fault = None
        try:
            seen, left_out = list_folder(self._path)
        except OSError as error:
            seen, left_out, fault = {}, {}, f"{self._path}: {error.strerror}"
        for name in doubted:
            self._entries.pop(name, None)
        former, self._entries = self._entries, {}
        gone = [name for name, entry in former.items() if seen.get(name) != entry.seen]
        moved = {former[name].seen.signature: name for name in gone if name not in seen}
        gone += [name for name in doubted if name not in seen]
        look = Look(gone, [], [], left_out, fault=fault)
        soonest, settling = None, 0
        for name, sighting in seen.items():
            entry = former.get(name)
            if entry is None or entry.seen != sighting:
                entry = _Entry(sighting, now)
                manifest = self._recall(sighting, moved)
                if manifest is not None:
                    entry.is_ready = True
                    look.known.append((sighting, manifest))
            left_s = entry.since + SETTLING_S - now
            if not entry.is_ready and left_s <= 0:
                entry.is_ready = True
                look.ready.append(sighting)
            elif not entry.is_ready:
                settling += 1
                soonest = left_s if soonest is None else min(soonest, left_s)
            self._entries[name] = entry
        if fault is None:
            self._memory.tidy(self._entries.keys())
        return evolve(look, settling_s=soonest, settling=settling)

    def _recall(self, sighting: Sighting, moved: Mapping[Signature, str]) -> Manifest | None:
        """The manifest of a file, if it was known before, by this name or by the one that it had until now."""
        signature = sighting.signature
        manifest = self._memory.get(sighting.name, signature)
        former = moved.get(signature)
        # Times of whole seconds come from archives, where two files may share one; inodes are used again.
        if manifest is None and former is not None and signature.mtime_ns % _SECOND_NS:
            manifest = self._memory.get(former, signature)
            if manifest is not None:
                self._memory.put(sighting.name, signature, manifest)
        return manifest


def list_folder(path: Path) -> tuple[dict[str, Sighting], dict[str, str]]:
    """The files of a folder by name, and why others are not among them; hidden ones are not spoken of.

    @raise OSError: it cannot be read.
    """
    seen: dict[str, Sighting] = {}
    left_out: dict[str, str] = {}
    with opened_folder(path) as folder, os.scandir(folder) as entries:
        # The disk's order is nobody's; of two names that are the same to people the first is taken.
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = entry.name
            if name.startswith("."):
                continue
            if not name.isascii():
                name = _composed(name)
            reason = _why_not(entry, name)
            if reason is None and name in seen:
                reason = f"{seen[name].real_name!r} is offered under the same name"
            if reason is not None:
                left_out[os.fsencode(entry.name).decode(errors="replace")] = reason
                continue
            try:
                signature = Signature.of(entry.stat(follow_symlinks=False))
            except OSError:
                # It has gone meanwhile.
                continue
            if signature.size > LARGEST_FILE_BYTES:
                left_out[name] = f"{signature.size} bytes; nobody takes a file of more than {LARGEST_FILE_BYTES}"
                continue
            seen[name] = Sighting(name, entry.name, signature)
    return seen, left_out


def _why_not(entry: os.DirEntry[str], name: str) -> str | None:
    """The reason why something in a folder is not offered; None if it is."""
    if entry.is_symlink():
        return "a link; links are not followed"
    if entry.is_dir(follow_symlinks=False):
        return "a folder; only files directly in the shared one are offered"
    if not entry.is_file(follow_symlinks=False):
        return "not a plain file"
    try:
        check_file_name(name)
    except ValueError as error:
        if any(unicodedata.category(letter) == "Cs" for letter in name):
            return "the name is not UTF-8"
        return str(error).removeprefix("name: ")
    return None


def _composed(name: str) -> str:
    """A name in Unicode form NFC; one that is not text stays as it is, and is refused for it."""
    return unicodedata.normalize("NFC", name)
