"""Files as messages speak of them: names, sizes and digests, the same in finding and in obtaining."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final

from msgspec import Meta

from twisted_bazaar.wire.goods import DECEIVING, UNPRINTABLE
from twisted_bazaar.wire.message import LARGEST_INTEGER

LONGEST_NAME_BYTES: Final = 255

FileName = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME_BYTES)]
FileSize = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
# SHA-256 over the whole file, which is what names it.
Digest = Annotated[str, Meta(min_length=64, max_length=64, pattern=r"^[0-9a-f]*\Z")]
# As much of its beginning as can be looked for, or all of it.
DigestBeginning = Annotated[str, Meta(min_length=12, max_length=64, pattern=r"^[0-9a-f]*\Z")]


def check_file_name(name: str) -> None:
    """Refuse a name that could lead out of a folder, or that two people could read differently.

    @raise ValueError: it is empty, `.` or `..`, over 255 bytes of UTF-8, not in Unicode form NFC, or holds a
        separator, a control or a direction character.
    """
    if not name or name in (".", ".."):
        raise ValueError(f"name: {name!r} is no file name")
    if "/" in name or "\\" in name:
        raise ValueError("name: a separator in the name")
    if name.isascii() and name.isprintable() and len(name) <= LONGEST_NAME_BYTES:
        return
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError("name: half a character in the name") from None
    if size > LONGEST_NAME_BYTES:
        raise ValueError(f"name: {size} bytes; at most {LONGEST_NAME_BYTES} are taken")
    if not unicodedata.is_normalized("NFC", name):
        raise ValueError("name: not in Unicode form NFC")
    if any(c in DECEIVING or unicodedata.category(c) in UNPRINTABLE for c in name):
        raise ValueError("name: a control character in the name")
