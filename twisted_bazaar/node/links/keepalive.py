"""Keepalive: how long the other end of an open link may be silent, unfinished, or not read. Sans-IO.

Silence counts only while somebody listens: neither while the link is not read from, nor while the whole
process stood still. Who owes an answer may be silent for less long, and is asked halfway whether it lives.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import define

from twisted_bazaar.node.limits import Limits

NEVER: Final = float("inf")
LET_IN_S: Final = 5.0
"""How often something is taken from who does not read its answers: else two could wait for each other."""
_NOTHING_ASKED: Final = float("-inf")
# A look that comes so late shows that this process stood still.
_LATE_S: Final = 1.0


class Due(Enum):
    """The next action of keepalive."""

    NOTHING = "nothing"
    PING = "ping"
    LET_IN = "let in"
    CUT = "cut"


@define(eq=False)
class Keepalive:
    """The times of one link.

    @ivar last_heard: when bytes came.
    @ivar unfinished_since: when a frame began whose end has not come.
    @ivar stalled_since: since when the other end has not read what it was sent.
    """

    last_heard: float
    unfinished_since: float = NEVER
    stalled_since: float = NEVER
    _asked_at: float = _NOTHING_ASKED
    _last_ping: float = 0.0
    _last_let_in: float = 0.0
    _look_at: float = NEVER

    @property
    def is_stalled(self) -> bool:
        """Whether the other end does not read what it was sent."""
        return self.stalled_since != NEVER

    def note_asked(self, now: float) -> None:
        """Note that something was sent to which an answer comes; whatever comes next shows that the other end lives."""
        if self._asked_at < self.last_heard:
            self._asked_at = now

    def reset_silence(self, now: float) -> None:
        """Restart the clock of silence: what was sent while nobody read it is not late."""
        self.last_heard = now
        if self._asked_at != _NOTHING_ASKED:
            self._asked_at = now
        if self.unfinished_since != NEVER:
            self.unfinished_since = now

    def check_deadlines(self, now: float, limits: Limits, *, is_listening: bool = True) -> tuple[Due, float]:
        """The action that is due, and when to look again.

        @param is_listening: whether what the other end sends is taken now; else it waits, and is not silent.
        """
        if now > self._look_at + _LATE_S:
            self._skip(now - self._look_at)
            # What has come meanwhile is to be read before anybody judges.
            due, self._look_at = Due.NOTHING, now + _LATE_S
        else:
            due, self._look_at = self._judge(now, limits, is_listening=is_listening)
        return due, self._look_at

    def _judge(self, now: float, limits: Limits, *, is_listening: bool) -> tuple[Due, float]:
        if self.is_stalled:
            cut_at = self.stalled_since + limits.silence_s
            let_in_at = max(self.stalled_since, self._last_let_in) + LET_IN_S
            if now >= cut_at:
                return Due.CUT, NEVER
            if now < let_in_at:
                return Due.NOTHING, min(cut_at, let_in_at)
            self._last_let_in = now
            return Due.LET_IN, min(cut_at, now + LET_IN_S)
        if not is_listening:
            return Due.NOTHING, now + limits.ping_s
        cut_at = min(self.last_heard + limits.silence_s, self.unfinished_since + limits.frame_s)
        ping_at = max(self.last_heard, self._last_ping) + limits.ping_s
        if self._asked_at >= self.last_heard:
            cut_at = min(cut_at, self._asked_at + limits.answer_s)
            if self._last_ping <= self._asked_at:
                ping_at = min(ping_at, self._asked_at + limits.answer_s / 2)
        if now >= cut_at:
            return Due.CUT, NEVER
        if now < ping_at:
            return Due.NOTHING, min(cut_at, ping_at)
        self._last_ping = now
        return Due.PING, min(cut_at, now + limits.ping_s)

    def _skip(self, time_s: float) -> None:
        """Leave out a time in which nobody looked or listened here."""
        self.last_heard += time_s
        self._asked_at += time_s
        self.unfinished_since += time_s
        self.stalled_since += time_s
