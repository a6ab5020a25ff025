"""JSON that no two readers can take for different things: I-JSON (RFC 7493), with whole numbers only. Sans-IO.

A decoder into a known structure takes the last of two equal keys, and looks at nothing below the keys that it skips.
Another reader takes the first, or looks. So whatever strangers send is looked at as a whole, unless it is, byte for
byte, what this package would have written itself.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

LARGEST_INTEGER: Final = 2**53
_LONGEST_QUOTED: Final = 64
# A pair, half of one, or anything else that is escaped: so that no backslash counts twice.
_ESCAPES: Final = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)|\\.", re.DOTALL)


class RepeatedKey(ValueError):
    """A key stands in an object twice.

    @ivar key: the key.
    """

    def __init__(self, key: str) -> None:
        self.key: str = key[:_LONGEST_QUOTED]
        super().__init__(f"the key {self.key!r} stands in an object twice")


def check_strict(payload: bytes) -> None:
    """Refuse JSON that two readers could take for two different things, at whatever depth that stands.

    @raise ValueError: it is not JSON in UTF-8, a key stands in an object twice, a number has a fraction or an exponent
        or is beyond 2^53, or a string has half of a surrogate pair.
    @raise RecursionError: it is nested too deeply.
    """
    # For UTF-8 and surrogates, of which json is less strict.
    msgspec.json.decode(payload)
    _decode(payload.decode())


def read_leniently(payload: bytes) -> Any:
    """What a payload that was refused may have been meant as: for an answer that says what was refused.

    Of two equal keys the last counts; None stands for a number that no message has.

    @raise ValueError: it is no JSON at all.
    @raise RecursionError: it is nested too deeply.
    """
    return _decode_leniently(payload.decode())


def why_unreadable(payload: bytes, fault: str) -> str:
    """What is wrong with bytes that are no JSON, in words that help who wrote them.

    @param fault: what the decoder says.
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start}"
    if text.startswith("\N{BYTE ORDER MARK}"):
        return "a byte order mark stands before it"
    if "recursion" in fault:
        return "it is nested too deeply"
    half = next((match[1] for match in _ESCAPES.finditer(text) if match[1]), None)
    return fault if half is None else f"{half} is half of a surrogate pair, and no character"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedKey(next(name for at, name in enumerate(names) if name in names[:at]))
    return found


def _integer(text: str) -> int:
    number = int(text)
    if not -LARGEST_INTEGER <= number <= LARGEST_INTEGER:
        raise ValueError(f"{_quoted(text)} is beyond 2^53")
    return number


def _fraction(text: str) -> Any:
    raise ValueError(f"{_quoted(text)} is no whole number in plain digits")


def _integer_or_none(text: str) -> int | None:
    return int(text) if len(text) <= _LONGEST_QUOTED else None


def _nothing(text: str) -> None:
    """Stands for a number that is not whole."""


def _quoted(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTED else text[: _LONGEST_QUOTED - 1] + "…"


_decode: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_fraction
).decode
_decode_leniently: Final = json.JSONDecoder(
    parse_int=_integer_or_none, parse_float=_nothing, parse_constant=_nothing
).decode
