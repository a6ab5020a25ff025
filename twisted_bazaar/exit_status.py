"""Exit statuses: the numbers with which commands and daemons end, declared once.

Each command, and each role that ends by itself, says as L{Ending}s with which of them it ends and what each means for
it. Help and the table in the README are made from that. Sans-IO.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Self

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
    WRONG_USE = 2, "An option or an argument is wrong, or no running node could be asked."
    NOT_FOUND = 3, "Nobody has it."
    SOLD_OUT = 4, "It is sold out, or lent out."
    UNFINISHED = 5, "There is no answer yet, or it has begun and not ended: the same command goes on with it."
    TOO_DEAR = 6, "Somebody has it, for more than was to be paid."
    UNREACHED = 7, "No tracker, index server, super peer or ring was reached, or what answers there is none."


@frozen
class Ending:
    """A way in which a command, or a role, ends.

    @ivar meaning: what the status means here, in a sentence; what it means everywhere if not given.
    """

    status: ExitStatus
    meaning: str = field(default=Factory(lambda self: self.status.meaning, takes_self=True))


WRONG_OPTION: Final = Ending(ExitStatus.WRONG_USE, "An option or an argument is wrong.")
"""The ending of a command that asks no running node."""


def status_of_signal(number: int) -> int:
    """What a shell calls the status of a process that a signal has ended.

    @param number: of the signal.
    """
    return 128 + number
