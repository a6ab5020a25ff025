"""Reading of requests over the control socket."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from twisted_bazaar.errors import UsageError

Request = TypeVar("Request", bound=msgspec.Struct)
# What a decoder says of a text of the wrong length.
_LENGTH: Final = re.compile(r"Expected `str` of length (<=|>=) (\d+) - at `\$\.(\w+)`")


def read_request(request: Mapping[str, Any], kind: type[Request]) -> Request:
    """Read a request strictly.

    @raise UsageError: it cannot be read; the text says which key is at fault.
    """
    try:
        return msgspec.convert(dict(request), kind)
    except ValueError as error:
        raise UsageError(_in_words(str(error))) from None


def _in_words(text: str) -> str:
    length = _LENGTH.fullmatch(text)
    if length is None:
        return text
    bound, count, key = length.groups()
    what = f"a {key} has at {'most' if bound == '<=' else 'least'} {int(count):,} character"
    return what if count == "1" else f"{what}s"
