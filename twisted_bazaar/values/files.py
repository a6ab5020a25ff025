"""Files as those speak of them who find and those who obtain them. Sans-IO."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from twisted_bazaar.values.addresses import Address

_DIGITS: Final = 64
BEGINNING_DIGITS: Final = 12
"""As many hexadecimal digits of a digest are shown, and are enough to look for it."""

_BEGINNING: Final = re.compile("[0-9a-f]{12,64}")


def is_beginning(digest: str) -> bool:
    """Whether it is a digest, or as much of the beginning of one as can be looked for."""
    return _BEGINNING.fullmatch(digest) is not None


def is_beginning_only(digest: str | None) -> bool:
    """Whether it is such a beginning, and not the whole."""
    return digest is not None and len(digest) < _DIGITS and is_beginning(digest)


@frozen
class SharedFile:
    """A file that somebody offers to others.

    @ivar name: what it is called there; see L{twisted_bazaar.wire.files.check_file_name}.
    @ivar size: in bytes.
    @ivar digest: SHA-256 over the whole, 64 hexadecimal digits; it is what the file is known by.
    @ivar is_whole: whether all of it is there; what is being fetched is offered meanwhile.
    """

    name: str
    size: int
    digest: str
    is_whole: bool = True


@frozen
class FoundFile:
    """A file that somebody in the network has. Two of one name and different content are two files.

    @ivar sources: how many have the whole of it.
    @ivar partial: how many are fetching it, and have some of it.
    """

    name: str
    size: int
    digest: str
    sources: int
    partial: int = 0


@frozen
class Page:
    """Some of the files that were found.

    @ivar total: how many there are in all.
    @ivar next: what to ask for the following ones with; None when there are none.
    """

    files: Sequence[FoundFile]
    total: int
    next: str | None = None


@frozen
class FileSource:
    """Somebody who has a file, or some of it.

    @ivar id: its node's id.
    @ivar key: its node's public key.
    @ivar address: where it takes connections.
    @ivar load: how many downloads it serves, as far as is known.
    @ivar udp: where, at the same host, it takes datagrams; 0 for nowhere.
    """

    id: int
    key: str
    address: Address
    is_whole: bool = True
    load: int = 0
    udp: int = 0


@frozen
class FileQuery:
    """A query for files. What is not given does not matter.

    @ivar name: the exact name.
    @ivar words: words that the name has, without regard to case; the last may be the beginning of one.
    @ivar digest: the content, by its digest or the first digits of that, L{BEGINNING_DIGITS} or more.
    @ivar after: what the page before gave as C{next}.
    @ivar most: no more than these at once.
    @ivar owner: a node that has it, by its id or the beginning of its key.
    """

    name: str | None = None
    words: str | None = None
    digest: str | None = None
    after: str | None = None
    most: int = 100
    owner: str | None = None
