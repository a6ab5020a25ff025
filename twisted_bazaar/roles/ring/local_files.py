"""Files of this machine: hashed, so that they can be stored in a ring, and copied, so that they need not be fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted_bazaar.errors import FileChanged, StorageError
from twisted_bazaar.files.chunks import CHUNK_BYTES
from twisted_bazaar.files.content import IContent
from twisted_bazaar.files.disk import opened_file, opened_folder, signature_of
from twisted_bazaar.files.download.resumable_file import ResumableFile
from twisted_bazaar.files.sharing.hashing import StillChanging, hash_file
from twisted_bazaar.files.sharing.scan import Sighting
from twisted_bazaar.files.sharing.shared import SharedContent


def offer_blocking(reactor: Any, path: Path) -> SharedContent:
    """In a thread: hash a file, so that it can be served as long as it stays what it is.

    @raise StorageError: it cannot be read, or is being written.
    """
    try:
        with opened_folder(path.parent) as folder, opened_file(folder, path.name) as file:
            seen = Sighting(path.name, path.name, signature_of(file))
            manifest = hash_file(file, seen, bytearray(CHUNK_BYTES), lambda size: True)
    except StillChanging:
        raise FileChanged(f"{path} is being written") from None
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from None
    return SharedContent(reactor, path.parent, seen, manifest, lambda seen: None)


async def copy_into(content: IContent, part: ResumableFile) -> None:
    """Make a file of what is on this machine already.

    @raise AlreadyThere: it is there.
    @raise StorageError: it cannot be read or written.
    """
    manifest = content.manifest
    try:
        await part.set_manifest(manifest)
        for chunk in range(manifest.count):
            if not await part.write(chunk, await content.read(chunk)):
                raise FileChanged(f"{part.path.name} is not what it was")
        await part.finish()
    except BaseException:
        await part.close()
        raise
