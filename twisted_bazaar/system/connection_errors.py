"""Connection errors in words: why a connection could not be made, as operators know it from other programs."""

from __future__ import annotations

from twisted.internet.error import TimeoutError as NoAnswerInTime


def reason_of(error: BaseException) -> str:
    """Why a connection could not be made: what the operating system says, without what Twisted puts around it."""
    if isinstance(error, NoAnswerInTime) and error.osError is None:
        return "no answer in time"
    said = error.args if getattr(error, "osError", None) is not None else ()
    return str(said[0] if said and said[0] else error).rstrip(".")
