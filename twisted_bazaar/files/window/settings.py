"""Settings of a stream over datagrams, and what is counted and told of it. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen
from attrs.validators import and_, ge, instance_of, le, lt

from twisted_bazaar.files.window.segment import MOST_OVERHEAD_BYTES

LARGEST_WINDOW: Final = 65_536
LARGEST_MSS: Final = 65_507 - MOST_OVERHEAD_BYTES
DEFAULT_MSS: Final = 1_140
"""With all that is added less than the 1,200 bytes of a datagram that get through everywhere."""

Watcher = Callable[[str, float, int, int, int], object]
"""Called for the transfer log: what, when, offset, bytes, offset up to which all has come.

C{snd}: bytes were sent for the first time; C{rtx}: again; C{drop}: they were thrown away on purpose in place of
either. C{ack}: some were acknowledged by the other end, the offset being the one it has all before. C{rcv}: bytes came;
C{lost}: they came, and were thrown away on purpose.
"""


def _in(least: float, most: float) -> object:
    return and_(ge(least), le(most))


@frozen(kw_only=True)
class Settings:
    """The settings of a stream.

    @ivar window: how many full segments may be under way; 1 is stop-and-wait.
    @ivar kept: how many are kept here that nobody has taken; None for as many.
    @ivar mss: how many bytes of the stream a segment has at most.
    @ivar drop: the share of segments with bytes of the stream that are thrown away on purpose: in place of being sent,
        and of those that come.
    @ivar open_s: how long to try to open.
    @ivar stuck_s: without progress for so long, though there is something to send, it has ended.
    @ivar quiet_s: silence after which the other end is asked whether it lives.
    @ivar silence_s: silence after which it is taken for dead.
    @ivar idle_s: without a byte either way for so long it has ended; 0 for never.
    """

    window: int = field(default=1024, validator=[instance_of(int), _in(1, LARGEST_WINDOW)])  # type: ignore[list-item]
    kept: int | None = None
    mss: int = field(default=DEFAULT_MSS, validator=[instance_of(int), _in(1, LARGEST_MSS)])  # type: ignore[list-item]
    drop: float = field(default=0.0, validator=and_(ge(0.0), lt(1.0)))
    open_s: float = 10.0
    stuck_s: float = 20.0
    quiet_s: float = 15.0
    silence_s: float = 40.0
    idle_s: float = 300.0

    @property
    def most_kept(self) -> int:
        """The number of full segments that are kept here while nobody takes them."""
        return self.window if self.kept is None else self.kept

    @property
    def capacity_bytes(self) -> int:
        """The bytes that are kept here while nobody takes them."""
        return self.most_kept * self.mss


@define
class Counters:
    """Counts of what has happened on a stream, in segments.

    @ivar sent: with bytes of the stream, for the first time.
    @ivar resent: again.
    @ivar dropped: how many of these two, and of those that came, were thrown away on purpose.
    @ivar acks: without bytes of the stream.
    @ivar received: with bytes that were new.
    @ivar duplicates: with bytes that had come before.
    @ivar unwanted: beyond the window, or otherwise against the rules.
    @ivar timeouts: how often nothing was acknowledged in time.
    @ivar needless: sent again though the first copy has come.
    """

    sent: int = 0
    resent: int = 0
    dropped: int = 0
    acks: int = 0
    received: int = 0
    duplicates: int = 0
    unwanted: int = 0
    timeouts: int = 0
    needless: int = 0
