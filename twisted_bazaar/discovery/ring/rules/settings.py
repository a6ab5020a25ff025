"""Settings of a node of a ring: what differs between the usual ring and that of a classroom. Sans-IO."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from twisted_bazaar.discovery.ring.rules.identifiers import CLASSROOM_BITS, USUAL_BITS
from twisted_bazaar.discovery.ring.rules.lookup import ALPHA, MOST_ASKED
from twisted_bazaar.discovery.ring.rules.stabilization import CLASSIC_SUCCESSORS, USUAL_SUCCESSORS


@frozen
class RetryLimits:
    """Numbers of tries before somebody is taken for failed.

    @ivar tries: how often, the first time included.
    @ivar wait_s: for how long each time; None for as long as round trips have shown to be right.
    """

    tries: int = 6
    wait_s: float | None = None


@frozen
class Settings:
    """The settings of a node of a ring.

    @ivar bits: the ring has 2**bits identifiers.
    @ivar successors: how many it keeps.
    @ivar asks: how many of them it asks in each round.
    @ivar round_s: the time from one round to the next, but for some jitter.
    @ivar silence_s: after how much silence of its predecessor it asks that one.
    @ivar pings: how often and how long a neighbour is pinged until it counts as failed.
    @ivar has_fingers: whether it knows more than its neighbours.
    @ivar alpha: how many it asks at the same time when it looks up an identifier.
    @ivar most_asked: how many it asks for one identifier.
    @ivar leaving_s: how long it takes at most to hand over what it keeps before it goes.
    @ivar is_wary: whether no single node is believed who is responsible for an identifier.
    @ivar tells_all: whether it tells each step it takes, for those who look on.
    """

    bits: int = USUAL_BITS
    successors: int = USUAL_SUCCESSORS
    asks: int = 1
    round_s: float = 0.5
    silence_s: float = 0.9
    pings: RetryLimits = RetryLimits()
    has_fingers: bool = True
    alpha: int = ALPHA
    most_asked: int = MOST_ASKED
    is_wary: bool = True
    tells_all: bool = False
    leaving_s: float = 20.0


USUAL: Final = Settings()
CLASSIC: Final = Settings(
    bits=CLASSROOM_BITS,
    successors=CLASSIC_SUCCESSORS,
    asks=CLASSIC_SUCCESSORS,
    round_s=7.0,
    silence_s=14.0,
    pings=RetryLimits(tries=7, wait_s=7.0),
    has_fingers=False,
    alpha=1,
    most_asked=1 << CLASSROOM_BITS,
    is_wary=False,
    tells_all=True,
)
