"""Exit statuses: the numbers with which commands and daemons end, declared once.

Each command, and each role that ends by itself, says as L{Ending}s with which of them it ends and what each means for
it. Help and the table in the README are made from that. Sans-IO.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Self

from attrs import Factory, field, frozen


class ExitStatus(IntEnum):
    """The exit status of a process: the number that scripts read, and what it means wherever it is used.

    @ivar meaning: what it says of every command, in one sentence.
    """

    meaning: str

    def __new__(cls, number: int, meaning: str) -> Self:
        """Make a member of its number and its sentence."""
        status = int.__new__(cls, number)
        status._value_ = number
        status.meaning = meaning
        return status

    DONE = 0, "It is done."
    NO = 1, "The answer is no, or it failed."
    WRONG_USE = 2, "An option or an argument is wrong."
    NOT_FOUND = 3, "Nobody has it."
    SOLD_OUT = 4, "It was found, and is sold out; or nobody could be asked."
    # The same number under another name.
    NOBODY_ASKED = SOLD_OUT
    UNFINISHED = 5, "It has begun and not ended: the same command goes on with it."


@frozen
class Ending:
    """A way in which a command, or a role, ends.

    @ivar meaning: what the status means here, in a sentence; what it means everywhere if not given.
    """

    status: ExitStatus
    meaning: str = field(default=Factory(lambda self: self.status.meaning, takes_self=True))


def status_of_signal(number: int) -> int:
    """What a shell calls the status of a process that a signal has ended.

    @param number: of the signal.
    """
    return 128 + number
