"""What has come over one connection and is yet to be taken: frames, the turns in which they are taken, and pauses.

Nothing is read from who waits for its turn, nor from who does not read what it is answered. What a frame means is the
link's affair.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from twisted.logger import Logger

from twisted_bazaar.errors import FrameError
from twisted_bazaar.node.owner import LinkOwner
from twisted_bazaar.node.silence import NEVER, Silence
from twisted_bazaar.wire.framing import FrameSplitter

# A stranger has one thing to say, and there may be many of them.
_FRAMES_OF_A_STRANGER: Final = 20


class Reader(Protocol):
    """Takes what is read."""

    transport: Any

    def frame_received(self, payload: bytes) -> None:
        """A whole frame has come."""

    def abort(self) -> None:
        """What comes are no frames, or one was our undoing."""


class Intake:
    """What is read from one connection.

    @ivar silence: how long nothing has been heard, and why.
    @ivar is_slow: whether the other end is behind with reading its answers; each frame more may be one too many.
    """

    log = Logger()

    def __init__(self, owner: LinkOwner, reader: Reader) -> None:
        self.silence = Silence(0.0)
        self.is_slow = False
        self._owner = owner
        self._reader = reader
        self._splitter = FrameSplitter(owner.limits.greeting_frame_bytes)
        self._is_over = False
        self._is_paused = False
        # The size limit changes with the handshake, so until then frames come one by one.
        self._is_open = False

    def open(self) -> None:
        """The handshake is done: more may come at once, and longer frames."""
        self._is_open = True
        self._splitter.limit = self._owner.limits.frame_bytes

    def end(self) -> None:
        """Take no more."""
        self._is_over = True

    def leave(self) -> bytes:
        """Leave the connection to somebody else; returns what has come and was not taken."""
        return self._splitter.leave()

    def receive(self, data: bytes) -> None:
        """Take bytes from the other end."""
        if self._is_over:
            return
        silence = self.silence
        silence.last_heard = now = self._owner.clock.seconds()
        if silence.is_unheard or silence.stalled_since != NEVER:
            # More than one piece of who waits for its turn. To pause for less would cost more than it saves.
            self._pause()
            self._splitter.receive(data)
            return
        payload = self._splitter.whole_frame(data)
        if payload is not None and self._owner.turn.admit(now):
            self._reader.frame_received(payload)
        else:
            self._splitter.receive(data)
            self._drain(now, self._owner.limits.frames_a_turn if self._is_open else _FRAMES_OF_A_STRANGER)

    def stall(self) -> None:
        """Take nothing more from who does not read the answers there are."""
        if self._is_over or self.silence.is_stalled:
            return
        self.silence.stalled_since = now = self._owner.clock.seconds()
        self._pause()
        self._owner.deadline_set(now + self._owner.limits.silence_s)

    def go_on(self) -> None:
        """All answers have been sent: go on where it stalled, if it did."""
        silence = self.silence
        if not silence.is_stalled:
            return
        silence.stalled_since = NEVER
        if self._is_over or silence.is_unheard:
            return
        silence.listen_again(self._owner.clock.seconds())
        if self._has_more:
            self._wait()
        else:
            self._resume()

    def read_on(self, now: float, most: int) -> None:
        """It is the turn of this one."""
        self.silence.is_unheard = False
        if self._is_over or self.silence.is_stalled:
            return
        self.silence.listen_again(now)
        try:
            self._resume()
            self._drain(now, min(most, self._owner.limits.frames_a_turn))
        except Exception:
            self.log.failure("a frame from {where} was not handled", where=self._reader.transport.getPeer())
            self._reader.abort()

    @property
    def _has_more(self) -> bool:
        return self._splitter.has_bytes or self._splitter.has_failed

    def _drain(self, now: float, most: int) -> None:
        """Hand on what has arrived, as far as this turn of the reactor allows, and wait for the next with the rest."""
        clock, turn, splitter = self._owner.clock, self._owner.turn, self._splitter
        finished_one = False
        try:
            while most > 0 and not self.silence.is_stalled:
                granted = turn.grant(now, most if self._is_open and not self.is_slow else 1)
                if not granted:
                    break
                frames = splitter.take(granted)
                if len(frames) < granted:
                    turn.give_back(granted - len(frames))
                for payload in frames:
                    if self._is_over:
                        return
                    self._reader.frame_received(payload)
                if self._is_over:
                    return
                finished_one = finished_one or bool(frames)
                if not self._has_more:
                    break
                most -= granted
                now = clock.seconds()
        except FrameError:
            self._reader.abort()
            return
        if self._has_more:
            self._wait()
        elif finished_one or splitter.unfinished:
            self._time_unfinished_frame(finished_one)

    def _wait(self) -> None:
        """Take no more until it is the turn of this one; who stalls asks for one when it can go on."""
        if not self.silence.is_stalled:
            self.silence.is_unheard = True
            self._owner.turn.wait(self)

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self._reader.transport.pauseProducing()

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._reader.transport.resumeProducing()

    def _time_unfinished_frame(self, finished_one: bool) -> None:
        silence = self.silence
        if not self._splitter.unfinished:
            silence.unfinished_since = NEVER
        elif finished_one or silence.unfinished_since == NEVER:
            silence.unfinished_since = silence.last_heard
            self._owner.deadline_set(silence.last_heard + self._owner.limits.frame_s)
