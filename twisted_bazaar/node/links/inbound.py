"""The inbound side of a link: splits what is read into frames and takes them, with flow control and backpressure.

Nothing is read from who waits for its turn, nor from who does not read what it is answered. What a frame means is the
link's affair.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from twisted_bazaar.errors import FrameError
from twisted_bazaar.node.links.flow_control import IN_QUEUE, NEXT_FLOW, READ_FROM, Flow, FlowEvent
from twisted_bazaar.node.links.interfaces import LinkOwner
from twisted_bazaar.node.links.keepalive import LET_IN_S, NEVER, Due, Keepalive
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.wire.framing import FrameSplitter

# A stranger has one thing to say, and there may be many of them.
_FRAMES_OF_A_STRANGER: Final = 20


class Reader(Protocol):
    """Takes what is read.

    @ivar host: where the connection leads to.
    @ivar is_backed_up: whether the other end is behind with reading its answers; each frame more may be one too many.
    """

    transport: Any
    host: str

    @property
    def is_backed_up(self) -> bool:
        """Whether more is unsent than a transport takes."""

    def frame_received(self, payload: bytes) -> None:
        """A whole frame has come."""

    def charge(self, by_bytes: int) -> None:
        """So many bytes more are held for this connection; fewer, if negative."""

    def abort(self) -> None:
        """Cut the connection: what came is no frame, or handling one failed."""


class Inbound:
    """The inbound side of one connection.

    @ivar flow: what is done with what comes.
    @ivar host: the one that it is served for.
    @ivar is_greeted: whether the handshake is done.
    @ivar silence: how long nothing has been heard, and why.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, owner: LinkOwner[Any], reader: Reader) -> None:
        self.flow: Flow = Flow.READING
        self.silence: Keepalive = Keepalive(0.0)
        self._owner = owner
        self._reader = reader
        self._splitter = FrameSplitter(owner.limits.greeting_frame_bytes)
        self._held_bytes = 0
        # The size limit changes with the handshake, so until then frames come one by one.
        self.is_greeted: bool = False
        self._at_once = 1
        self._most_in_a_turn = _FRAMES_OF_A_STRANGER

    @property
    def host(self) -> str:
        """The host at the other end: hosts have their turns one after the other."""
        return self._reader.host

    def handshake_done(self) -> None:
        """The handshake is done: more may come at once, and longer frames."""
        # What waits from now on waits among others.
        self._owner.turn.dequeue(self)
        self.is_greeted = True
        self._at_once = self._most_in_a_turn = self._owner.limits.frames_a_turn
        self._splitter.limit = self._owner.limits.frame_bytes

    def close(self) -> None:
        """Take no more, and hold nothing."""
        if self.flow is not Flow.ENDED:
            self._happen(FlowEvent.ENDED)
            self._splitter.detach()
            self._count()
            # Without this circle a link that is gone, and what was unsent on it, goes at once and not at the next
            # collection of garbage, which a node that has many links leaves for long.
            del self._reader

    def detach(self) -> bytes:
        """Leave the connection to somebody else; returns what has come and was not taken."""
        rest = self._splitter.detach()
        self._count()
        return rest

    def receive(self, data: bytes) -> None:
        """Take bytes from the other end."""
        flow = self.flow
        if flow is Flow.ENDED:
            return
        self.silence.last_heard = now = self._owner.clock.seconds()
        if flow is not Flow.READING:
            self._splitter.receive(data)
            self._happen(FlowEvent.ARRIVED)
            self._count()
            return
        payload = self._splitter.whole_frame(data)
        if payload is not None and self._owner.turn.take_one(now):
            self._reader.frame_received(payload)
        else:
            self._splitter.receive(data)
            self._drain(now, self._most_in_a_turn)

    def note_asked(self) -> None:
        """Note that the other end owes an answer."""
        now = self._owner.clock.seconds()
        self.silence.note_asked(now)
        self._owner.deadline_set(now + self._owner.limits.answer_s / 2)

    def pause(self) -> None:
        """Take nothing more from who does not read the answers there are."""
        if self.flow in (Flow.STALLED, Flow.ENDED):
            return
        self._happen(FlowEvent.BEHIND)
        if not self.silence.is_stalled:
            self.silence.stalled_since = now = self._owner.clock.seconds()
            self._owner.deadline_set(now + LET_IN_S)

    def resume(self) -> None:
        """All answers have been sent: go on where it stalled, if it did."""
        if self.silence.is_stalled:
            self.silence.stalled_since = NEVER
            self.silence.reset_silence(self._owner.clock.seconds())
            self._let_in()

    def read_frames(self, now: float, most: int) -> None:
        """Take frames: it is the turn of this link."""
        self.silence.reset_silence(now)
        reader = self._reader
        try:
            self._drain(now, min(most, self._most_in_a_turn))
        except Exception:
            self.log.failure("a frame from {where} could not be handled", where=reader.transport.getPeer())
            reader.abort()

    def check_deadlines(self, now: float) -> tuple[Due, float]:
        """The next action of keepalive that is due, and when to look again."""
        due, look_at = self.silence.check_deadlines(now, self._owner.limits, is_listening=self.flow not in IN_QUEUE)
        if due is Due.LET_IN:
            self._let_in()
        return due, look_at

    def _let_in(self) -> None:
        """Read again what stalled; the next answer that goes behind too many stalls it once more."""
        if self.flow is Flow.STALLED:
            self._happen(FlowEvent.LEFT_OVER if self._has_more else FlowEvent.TAKEN)

    @property
    def _has_more(self) -> bool:
        return self._splitter.has_bytes or self._splitter.has_failed

    def _drain(self, now: float, most: int) -> None:
        """Take the frames that have arrived, as far as this turn of the reactor allows, and wait with the rest."""
        clock, turn, splitter = self._owner.clock, self._owner.turn, self._splitter
        finished_one = False
        try:
            while most > 0:
                granted = turn.take(now, 1 if self._reader.is_backed_up else min(most, self._at_once))
                if not granted:
                    break
                frames = splitter.next_frames(granted)
                if len(frames) < granted:
                    turn.put_back(granted - len(frames))
                for payload in frames:
                    self._reader.frame_received(payload)
                    if self.flow is Flow.ENDED:
                        return
                finished_one = finished_one or bool(frames)
                if not self._has_more or self.flow is Flow.STALLED:
                    break
                most -= granted
                now = clock.seconds()
        except FrameError:
            self._reader.abort()
            return
        if self.flow is not Flow.STALLED:
            self._happen(FlowEvent.LEFT_OVER if self._has_more else FlowEvent.TAKEN)
        if finished_one or splitter.unfinished:
            self._time_unfinished_frame(finished_one)
        self._count()

    def _happen(self, event: FlowEvent) -> None:
        """Move the flow to where an event leads, and adapt the socket and the queue of the turns."""
        before = self.flow
        after = NEXT_FLOW.get((before, event))
        if after is None:
            return
        self.flow = after
        if after in IN_QUEUE:
            self._owner.turn.enqueue(self)
        elif before in IN_QUEUE:
            self._owner.turn.dequeue(self)
        if after in READ_FROM:
            if before not in READ_FROM:
                self._reader.transport.resumeProducing()
        elif before in READ_FROM:
            self._reader.transport.pauseProducing()

    def _count(self) -> None:
        """Say by how much more, or less, is held than was said last."""
        held_bytes = self._splitter.held_bytes
        if held_bytes != self._held_bytes:
            by_bytes, self._held_bytes = held_bytes - self._held_bytes, held_bytes
            self._reader.charge(by_bytes)

    def _time_unfinished_frame(self, finished_one: bool) -> None:
        silence = self.silence
        if not self._splitter.unfinished:
            silence.unfinished_since = NEVER
        elif finished_one or silence.unfinished_since == NEVER:
            silence.unfinished_since = silence.last_heard
            self._owner.deadline_set(silence.last_heard + self._owner.limits.frame_s)
