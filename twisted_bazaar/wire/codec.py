"""Between payloads and messages.

Whatever a stranger sends, L{Codec.decode} gives a message or raises a L{WireError} that names the
message, the key and the fault; never anything else. What another reader could take for another message is refused
too: see L{twisted_bazaar.wire.strict_json}. Nearly all that comes is what this package would have written, byte for
byte; to write it again and compare takes a tenth of the time that a closer look takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, Union

import msgspec

from twisted_bazaar.errors import UNREADABLE, MalformedMessage, UnknownMessage, WireError, WrongWay
from twisted_bazaar.wire.message import MESSAGE_TYPES, Message, MessageId, QueryId
from twisted_bazaar.wire.strict_json import RepeatedKey, check_strict, read_leniently, why_unreadable

_PATH_KEYS: Final = ("path", "returnPath")
_AT_KEY: Final = re.compile(r"^(?P<reason>.*?) - at `\$\.?(?P<key>[^`]*)`$", re.DOTALL)
_OWN_WORDS: Final = re.compile(r"^(?P<key>\w+): (?P<reason>.*)$", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<key>\w+)`")
_LONGEST_REASON: Final = 200
_encode: Final = msgspec.json.Encoder().encode


class Codec:
    """Reads and writes the messages of a set of classes.

    @param types: the classes understood; all that are declared when the codec is made, if not given.
    """

    def __init__(self, types: Iterable[type[Message]] | None = None) -> None:
        known = tuple(MESSAGE_TYPES.values() if types is None else types)
        self._names = {cls.__struct_config__.tag for cls in known}
        self._read: Callable[[bytes], Message] = msgspec.json.Decoder(Union[known]).decode
        self.encode: Callable[[object], bytes] = _encode

    def read(self, payload: bytes, ending: bytes | None = None) -> Message:
        """Read one message, for those who need not know what is wrong with one.

        @param ending: the end of the payload, where that is known to hold some keys that no message has, each once,
            and the last brace.
        @raise ValueError: it is none.
        @raise RecursionError: it is nested too deeply.
        """
        message = self._read(payload)
        written = _encode(message)
        if payload != (written if ending is None else written[:-1] + ending):
            check_strict(payload)
        return message

    def decode(self, payload: bytes) -> Message:
        """Read one message.

        @raise WireError: the payload is not one; see its subclasses for which way it fails.
        """
        try:
            return self.read(payload)
        except UNREADABLE as error:
            # msgspec's own errors are ValueErrors.
            raise self._explain(payload, error) from None

    def _explain(self, payload: bytes, error: Exception) -> WireError:
        """Say which message is at fault, with its id and the key at fault, as far as they can be read."""
        fits_none = isinstance(error, msgspec.ValidationError)
        try:
            whole = read_leniently(payload)
        except UNREADABLE as unreadable:
            return MalformedMessage(None, None, _why(payload, unreadable if fits_none else error))
        name = whole.get("type") if isinstance(whole, dict) else None
        if not isinstance(name, str):
            return MalformedMessage(None, "type", "every message is an object with a string `type`")
        number = _id_in(whole)
        if name not in self._names:
            # No text with half of a surrogate pair can be sent back.
            shown = _shorten(name.encode(errors="replace").decode(), 64)
            return UnknownMessage(shown, number) if fits_none else MalformedMessage(None, None, _why(payload, error))
        if isinstance(error, RepeatedKey):
            return MalformedMessage(name, error.key, "this key stands in an object twice", number)
        if not fits_none:
            return MalformedMessage(name, None, _why(payload, error), number)
        key, reason = key_and_reason(str(error))
        at_path = key is not None and key.split("[")[0] in _PATH_KEYS
        return (WrongWay if at_path else MalformedMessage)(name, key, _shorten(reason), number)


@lru_cache(maxsize=64)
def codec_of(types: frozenset[type[Message]]) -> Codec:
    """The codec of some classes. All nodes in a process that understand the same share it, as it takes some memory."""
    return Codec(types)


def _id_in(whole: dict[str, Any]) -> int | str | None:
    """The id of a message at fault, if it is one."""
    try:
        number: int | str = msgspec.convert(whole.get("id"), MessageId | QueryId)
    except msgspec.ValidationError:
        return None
    return number


def _why(payload: bytes, error: Exception) -> str:
    return _shorten(why_unreadable(payload, str(error)))


def key_and_reason(fault: str) -> tuple[str | None, str]:
    """What a decoder's sentence is about: the key, if it is one, and what is wrong with it."""
    if missing := _MISSING.match(fault):
        return missing["key"], "this key is required"
    place = _AT_KEY.match(fault)
    reason, key = (place["reason"], place["key"] or None) if place else (fault, None)
    if key is None and (own := _OWN_WORDS.match(reason)):
        key, reason = own["key"], own["reason"]
    return key, reason[:1].lower() + reason[1:].replace("`", "")


def _shorten(text: str, longest: int = _LONGEST_REASON) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
