"""Entries that are kept in the ring, each signed by its owner. Sans-IO.

An entry stands under a space and a name: a small value, a file, or a word that somebody has something. Entries of
several owners under one name live side by side, and of one owner the newest counts. Whoever keeps an entry, or hands
it on, can neither change it nor make one up; an owner deletes by a newer entry that says so, a tombstone.
"""

from __future__ import annotations

import hashlib
import unicodedata
from sys import getsizeof
from typing import Annotated, ClassVar, Final

from attrs import field, frozen
from msgspec import Meta

from twisted_bazaar.errors import Forged, UsageError
from twisted_bazaar.identity.keys import KeyPair, PublicKey
from twisted_bazaar.identity.signed import Statement, read_envelope, seal
from twisted_bazaar.wire.files import Digest, FileName, FileSize, check_file_name
from twisted_bazaar.wire.message import LARGEST_INTEGER

FILES: Final = "file"
VALUES: Final = "value"
VALUE_BYTES: Final = 1_024
LONGEST_NAME: Final = 255
LONGEST_LIFETIME_S: Final = 86_400
# So long a tombstone is kept. Whoever has been away for longer must not offer what it kept.
TOMBSTONE_S: Final = 7 * 86_400
# Of the longest entry: base64 of base64, and what stands round it.
LONGEST_TEXT: Final = 4_096
TAG_BITS: Final = 64
# What a store takes for an entry besides its texts, where nobody else has one under that name or from that host.
_KEPT_BYTES: Final = 2_304
FILE_BYTES: Final = 3_072
"""What it takes besides to get the file of an entry, and to know who told of it."""

Space = Annotated[str, Meta(min_length=1, max_length=16, pattern=r"^[a-z]*\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
Version = Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)]
EntryKey = tuple[str, str, str]
"""Space, name and owner."""


class Kept(Statement, frozen=True):
    """The content of an entry, as its owner states it.

    @ivar version: greater than that of any before; milliseconds of its clock do.
    @ivar deleted: whether there is nothing any more.
    @ivar value: what is kept, if it is no file.
    @ivar digest: of a file.
    @ivar size: of a file.
    @ivar file: what a file is to be called by those who fetch it.
    @ivar lifetime: for how many seconds it is to be believed; 0 for as long as it is not deleted. What is deleted is
        remembered for so long, or for the usual time.
    """

    kind: ClassVar[str] = "ringentry"

    space: Space
    name: Name
    owner: PublicKey
    version: Version
    deleted: bool = False
    value: Annotated[bytes, Meta(max_length=VALUE_BYTES)] = b""
    digest: Digest | None = None
    size: FileSize = 0
    file: FileName | None = None
    lifetime: Annotated[int, Meta(ge=0, le=LONGEST_LIFETIME_S)] = 0

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.file is not None:
            check_file_name(self.file)
        if (self.digest is None) != (self.file is None):
            raise ValueError("a file has a digest and a name")
        if self.deleted and (self.value or self.digest is not None):
            raise ValueError("what is deleted has nothing in it")

    @property
    def signer(self) -> str:
        """Its owner."""
        return self.owner


def check_name(name: str) -> None:
    """Refuse a name that two people could read differently.

    @raise ValueError: it is empty or too long, not in Unicode form NFC, or holds what cannot be printed.
    """
    if not name.isprintable() or not unicodedata.is_normalized("NFC", name):
        raise ValueError("name: not in Unicode form NFC, or something in it cannot be printed")
    if not 0 < len(name.encode()) <= LONGEST_NAME:
        raise ValueError(f"name: {len(name.encode())} bytes; 1 to {LONGEST_NAME} are taken")


@frozen
class Entry:
    """An entry whose signature has been found to hold.

    @ivar kept: what it says.
    @ivar text: its envelope, in ASCII, as it travels.
    @ivar tag: what it is called for short among all that are kept at one identifier, whatever its version.
    """

    kept: Kept
    text: str = field(repr=False)
    tag: int = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "tag", int.from_bytes(self._digest()[: TAG_BITS // 8]))

    @property
    def tag_text(self) -> str:
        """The tag as it stands on the wire."""
        return f"{self.tag:0{TAG_BITS // 4}x}"

    @property
    def weight_bytes(self) -> int:
        """What it takes in the memory of who keeps it, at most: its text, what that says, and what it is found by."""
        kept = self.kept
        file_bytes = 0 if kept.file is None else FILE_BYTES + getsizeof(kept.file)
        return _KEPT_BYTES + len(self.text) + getsizeof(kept.name) + len(kept.value) + file_bytes

    @property
    def fingerprint(self) -> int:
        """A number that tells this version of it from all others."""
        marked = hashlib.sha256(self._digest() + self.kept.version.to_bytes(8)).digest()
        return int.from_bytes(marked[:16])

    def _digest(self) -> bytes:
        return hashlib.sha256("\n".join(self.key).encode()).digest()

    @property
    def key(self) -> EntryKey:
        """What it stands under, and whose it is."""
        return self.kept.space, self.kept.name, self.kept.owner

    @property
    def rank(self) -> tuple[int, bool, str]:
        """Of two of one owner under one name the greater is the newer; no two differ and are alike in this."""
        return self.kept.version, self.kept.deleted, self.text

    @property
    def lifetime_s(self) -> float:
        """How long it is kept after it was made; endless for what is to be kept for good."""
        return self.kept.lifetime or (TOMBSTONE_S if self.kept.deleted else float("inf"))


def read_entry(text: str) -> Entry:
    """Read an entry, and verify it.

    @raise Forged: it is none, or its signature does not hold.
    """
    if len(text) > LONGEST_TEXT or not text.isascii():
        raise Forged(f"ringentry: over {LONGEST_TEXT} characters, or some that are not ASCII")
    written = text.encode()
    envelope = read_envelope(written)
    if envelope.encode() != written:
        # One entry has one text: others could be made without its owner.
        raise Forged("ringentry: it is written in another way than by its owner")
    return Entry(envelope.open(Kept), text)


def sign_entry(key: KeyPair, kept: Kept) -> Entry:
    """Sign an entry.

    @raise UsageError: it is too long for others to take it.
    """
    text = seal(key, kept).encode().decode()
    if len(text) > LONGEST_TEXT:
        raise UsageError(f"{kept.name}: with its value and its name it is too long to be kept")
    return Entry(kept, text)
