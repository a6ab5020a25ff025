"""The state machine of a link as a table: its stages, and what leads from one to the next. Sans-IO.

A plain table instead of a machine object for each link: a tracker makes one for every node that joins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, ClassVar, Final


class Stage(Enum):
    """The stage of a link."""

    GREETING = "greeting"
    OVERDUE = "overdue"
    OPEN = "open"
    LEAVING = "leaving"
    CLOSING = "closing"
    CLOSED = "closed"

    # Members are alone of their kind, and theirs is the fastest hash there is.
    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


class Event(Enum):
    """An event in the life of a link.

    Greeted: the handshake is done. Late: a time for the handshake is over. Retired: another link takes
    over. Ended: this end closes. Lost: the connection is gone.
    """

    GREETED = "greeted"
    LATE = "late"
    RETIRED = "retired"
    ENDED = "ended"
    LOST = "lost"

    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


NEXT: Final[Mapping[tuple[Stage, Event], Stage]] = {
    (Stage.GREETING, Event.GREETED): Stage.OPEN,
    (Stage.GREETING, Event.LATE): Stage.OVERDUE,
    (Stage.GREETING, Event.ENDED): Stage.CLOSING,
    (Stage.GREETING, Event.LOST): Stage.CLOSED,
    (Stage.OVERDUE, Event.GREETED): Stage.OPEN,
    (Stage.OVERDUE, Event.LATE): Stage.CLOSING,
    (Stage.OVERDUE, Event.ENDED): Stage.CLOSING,
    (Stage.OVERDUE, Event.LOST): Stage.CLOSED,
    (Stage.OPEN, Event.RETIRED): Stage.LEAVING,
    (Stage.OPEN, Event.ENDED): Stage.CLOSING,
    (Stage.OPEN, Event.LOST): Stage.CLOSED,
    (Stage.LEAVING, Event.ENDED): Stage.CLOSING,
    (Stage.LEAVING, Event.LOST): Stage.CLOSED,
    (Stage.CLOSING, Event.LOST): Stage.CLOSED,
}
"""Where an event leads from a stage. Whatever does not stand here changes nothing."""
