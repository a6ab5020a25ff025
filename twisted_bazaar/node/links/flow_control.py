"""Flow control of a link as a table: whether it is read from, and whether its frames wait. Sans-IO.

Backpressure goes both ways through it: who sends more than its share in a turn is not read from until its turn has
come, and who does not read its answers is not read from until it has (compare RFC 9293, 3.8.6: a window that is not
opened). So a link never holds more than two reads and one frame, whatever the other end sends.

A plain table instead of a machine object for each link, as in L{life<twisted_bazaar.node.links.states>}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, ClassVar, Final


class Flow(Enum):
    """The state of the flow of a link: what is done with the bytes that come.

    Reading: they are read, and their frames taken at once. Queued: frames wait for the turn of this link, and one
    more read is kept beside them; most bursts are over by then, and to pause the socket would cost more than they do.
    Paused: frames wait for the turn of this link, and nothing is read. Stalled: the other end does not read what it
    is answered, so nothing of it is read or taken. Ended: they are read, to see the end, and dropped.
    """

    READING = "reading"
    QUEUED = "queued"
    PAUSED = "paused"
    STALLED = "stalled"
    ENDED = "ended"

    # Members are alone of their kind, and theirs is the fastest hash there is.
    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


class FlowEvent(Enum):
    """An event in the flow of a link.

    Left over: there is more than may be taken in this turn. Arrived: bytes came while others wait. Taken: no whole
    frame is left. Behind: too much is unsent to the other end. Ended: nothing is taken any more.
    """

    LEFT_OVER = "left over"
    ARRIVED = "arrived"
    TAKEN = "taken"
    BEHIND = "behind"
    ENDED = "ended"

    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


NEXT_FLOW: Final[Mapping[tuple[Flow, FlowEvent], Flow]] = {
    (Flow.READING, FlowEvent.LEFT_OVER): Flow.QUEUED,
    (Flow.READING, FlowEvent.BEHIND): Flow.STALLED,
    (Flow.READING, FlowEvent.ENDED): Flow.ENDED,
    (Flow.QUEUED, FlowEvent.LEFT_OVER): Flow.QUEUED,
    (Flow.QUEUED, FlowEvent.ARRIVED): Flow.PAUSED,
    (Flow.QUEUED, FlowEvent.TAKEN): Flow.READING,
    (Flow.QUEUED, FlowEvent.BEHIND): Flow.STALLED,
    (Flow.QUEUED, FlowEvent.ENDED): Flow.ENDED,
    (Flow.PAUSED, FlowEvent.LEFT_OVER): Flow.PAUSED,
    (Flow.PAUSED, FlowEvent.TAKEN): Flow.READING,
    (Flow.PAUSED, FlowEvent.BEHIND): Flow.STALLED,
    (Flow.PAUSED, FlowEvent.ENDED): Flow.ENDED,
    # Everything has been sent again, or it is let in: what waited before it stalled waits for its turn.
    (Flow.STALLED, FlowEvent.LEFT_OVER): Flow.PAUSED,
    (Flow.STALLED, FlowEvent.TAKEN): Flow.READING,
    (Flow.STALLED, FlowEvent.ENDED): Flow.ENDED,
}
"""Where an event leads from a state. Whatever does not stand here changes nothing."""

READ_FROM: Final = frozenset({Flow.READING, Flow.QUEUED, Flow.ENDED})
"""The states in which the socket is read from."""

IN_QUEUE: Final = frozenset({Flow.QUEUED, Flow.PAUSED})
"""The states in which the link waits for its turn."""
