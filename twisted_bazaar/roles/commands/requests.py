"""Reading of requests over the control socket."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from twisted_bazaar.errors import UsageError
from twisted_bazaar.wire.codec import key_and_reason

Request = TypeVar("Request", bound=msgspec.Struct)
# What a decoder says of a value that is too large, too long, or of another kind.
_BOUND: Final = re.compile(r"expected (?:int|float) (<=|>=|<|>) (\S+)")
_LENGTH: Final = re.compile(r"expected \w+ of length (<=|>=) (\d+)")
_KIND: Final = re.compile(r"expected ([\w |]+), got (\w+)")
_BOUNDS: Final = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_KINDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_FOUND: Final = {**_KINDS, "float": "a number with a fraction"}


def read_request(request: Mapping[str, Any], kind: type[Request]) -> Request:
    """Read a request strictly.

    @param kind: names the keys that there may be.
    @raise UsageError: it cannot be read; the text says which key is at fault.
    """
    known = kind.__struct_encode_fields__
    for key in request:
        if key not in known:
            raise UsageError(f"there is no key {key!r} here; {_keys(known)}")
    try:
        return msgspec.convert(dict(request), kind)
    except ValueError as error:
        raise UsageError(_in_words(str(error), known)) from None


def _keys(known: tuple[str, ...]) -> str:
    """Which there are."""
    if not known:
        return "none is taken"
    return f"the key is {known[0]}" if len(known) == 1 else f"the keys are {', '.join(known)}"


def _in_words(text: str, known: tuple[str, ...]) -> str:
    """What was wrong, for people."""
    key, reason = key_and_reason(text)
    if "missing required field" in text:
        return f"{key} is missing; {_keys(known)}"
    if bound := _BOUND.fullmatch(reason):
        reason = f"takes {_BOUNDS[bound[1]]} {bound[2]}"
    elif length := _LENGTH.fullmatch(reason):
        unit = "character" if " str " in reason else "entry"
        reason = f"takes {_BOUNDS[length[1]]} {_count(int(length[2]), unit)}"
    elif wrong := _KIND.fullmatch(reason):
        wanted = " or ".join(_KINDS.get(word, word) for word in wrong[1].split(" | "))
        reason = f"takes {wanted}, not {_FOUND.get(wrong[2], wrong[2])}"
    return reason if key is None else f"{key}: {reason}"


def _count(number: int, unit: str) -> str:
    units = {"character": "characters", "entry": "entries"}
    return f"{number:,} {unit if number == 1 else units[unit]}"
