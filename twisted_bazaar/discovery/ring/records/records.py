"""Records in a ring about who has what: a file, files with a word in their names, goods. Sans-IO.

Each of these is an entry of whoever has it, in a space of its own, so nobody can say it in the name of another. Where
an owner is, no record says: that is looked up on the ring itself, where the owner has an identifier by its key. So a
record can neither send anybody to the address of somebody else, nor name a node that is gone.

What a record says of a file is what its owner says. Whoever fetches the file has its digest, and believes nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, TypeVar

import msgspec
from attrs import frozen
from msgspec import Meta

from twisted_bazaar.discovery.index.words import words_of
from twisted_bazaar.discovery.ring.storage.entry import VALUE_BYTES
from twisted_bazaar.errors import UNREADABLE
from twisted_bazaar.values.files import SharedFile
from twisted_bazaar.wire.files import Digest, FileName, FileSize, check_file_name
from twisted_bazaar.wire.strict_json import check_strict

PROVIDERS: Final = "provider"
WORDS: Final = "word"
SELLERS: Final = "seller"
# A word that more files of one owner have tells nothing: they are found by their other words.
MOST_PAGES: Final = 16
# The name of an entry has 255 bytes, and the number of the page has to go behind the word.
_LONGEST_WORD_BYTES: Final = 240

_Value = TypeVar("_Value")
RecordKey = tuple[str, str]
"""Space and name."""


class Provided(msgspec.Struct, frozen=True):
    """A file that the owner of the record has.

    @ivar whole: whether all of it.
    """

    name: FileName
    size: FileSize
    whole: bool = True


class Worded(msgspec.Struct, frozen=True, array_like=True):
    """A file of a page."""

    name: FileName
    size: FileSize
    digest: Digest
    whole: bool = True


class WordPage(msgspec.Struct, frozen=True):
    """Files of one owner that have a word in their names.

    @ivar pages: on the first page, how many there are.
    """

    files: Annotated[tuple[Worded, ...], Meta(max_length=64)] = ()
    pages: Annotated[int, Meta(ge=1, le=MOST_PAGES)] = 1


@frozen
class ReadPage:
    """A page that somebody else has written, as far as it can be.

    @ivar pages: how many there are.
    """

    files: Sequence[SharedFile]
    pages: int


_provided: Final = msgspec.json.Decoder(Provided)
_page: Final = msgspec.json.Decoder(WordPage)


def provider_key(digest: str) -> RecordKey:
    """Where who has a file says so."""
    return PROVIDERS, digest


def word_key(word: str, page: int = 0) -> RecordKey:
    """Where an owner's files with a word stand. No such name is a number, which would have another identifier in
    classrooms.

    @param page: counted from 0.
    """
    return WORDS, f"{word} {page}"


def seller_key(bazaar: str, item: str) -> RecordKey:
    """Where who sells an item in a bazaar says so. The name of an item may be longer than that of an entry."""
    return SELLERS, hashlib.sha256(f"{bazaar}\n{item}".encode()).hexdigest()


def words_for(name: str) -> list[str]:
    """The words under which a file is listed; one that has none has its whole name in place of that."""
    return listed_as(words_of(name) or [hashlib.sha256(name.encode()).hexdigest()])


def listed_as(words: Iterable[str]) -> list[str]:
    """How words stand in the names of records, each once: as much of each as there is room for."""
    return list(dict.fromkeys(map(_fitting, words)))


def write_provided(file: SharedFile) -> bytes:
    """The value of the record that somebody has a file."""
    return msgspec.json.encode(Provided(file.name, file.size, file.is_whole))


def write_page(files: Iterable[SharedFile], pages: int = 1) -> bytes:
    """The value of a page."""
    return msgspec.json.encode(WordPage(tuple(map(_worded, files)), pages))


def size_on_page(file: SharedFile) -> int:
    """How many bytes a file takes on a page."""
    return len(msgspec.json.encode(_worded(file))) + 1


ROOM_ON_PAGE: Final = VALUE_BYTES - len(msgspec.json.encode(WordPage((), MOST_PAGES)))
"""How many bytes all files on a page may take."""


def read_provided(digest: str, value: bytes) -> SharedFile | None:
    """The file that somebody says it has; None if it says nothing that could be."""
    try:
        provided = _read(_provided, value)
        check_file_name(provided.name)
    except UNREADABLE:
        # It may be nested more deeply than anybody reads.
        return None
    return SharedFile(provided.name, provided.size, digest, provided.whole)


def read_page(value: bytes) -> ReadPage:
    """What stands on a page; files that cannot be are left out."""
    try:
        page = _read(_page, value)
    except UNREADABLE:
        return ReadPage((), 1)
    return ReadPage([_shared(file) for file in page.files if _is_name(file.name)], page.pages)


def _read(decoder: msgspec.json.Decoder[_Value], value: bytes) -> _Value:
    """Read what its owner may have written as it likes, but so that all read the same."""
    found = decoder.decode(value)
    check_strict(value)
    return found


def _worded(file: SharedFile) -> Worded:
    return Worded(file.name, file.size, file.digest, file.is_whole)


def _shared(file: Worded) -> SharedFile:
    return SharedFile(file.name, file.size, file.digest, file.whole)


def _is_name(name: str) -> bool:
    try:
        check_file_name(name)
    except ValueError:
        return False
    return True


def _fitting(word: str) -> str:
    """As much of a word as there is room for; whoever reads looks at the whole names."""
    return (
        word
        if len(word.encode()) <= _LONGEST_WORD_BYTES
        else word.encode()[:_LONGEST_WORD_BYTES].decode(errors="ignore")
    )
