"""A reliable stream of bytes in each direction, over datagrams that get lost, doubled, overtaken, damaged. Sans-IO.

Whoever owns it hands in datagrams and the time, and sends what L{Stream.datagrams} gives. Opening takes three steps:
SYN, its answer, and OPEN, which every segment repeats until something has come back; the end that is called on keeps
nothing before the third. It is closed as a whole: who ends says all that it has still to say, then FIN; who has
heard it all closes too. There is no half-open stream (as one end of TCP may have).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from enum import Enum
from typing import Final

from twisted_bazaar.files.window.receiver import Receiver
from twisted_bazaar.files.window.segment import (
    ACK,
    ASK,
    FIN,
    ID_BYTES,
    NAME_BYTES,
    OPEN,
    RST,
    SYN,
    Segment,
    decode_name,
    encode,
    encode_name,
)
from twisted_bazaar.files.window.sender import Sender
from twisted_bazaar.files.window.sent_segments import Sent
from twisted_bazaar.files.window.settings import Counters, Settings, Watcher

NOBODY: Final = bytes(ID_BYTES)
# How long to wait for the second step, at first and at most.
_FIRST_AGAIN_S: Final = 0.3
_LONGEST_AGAIN_S: Final = 3.0
_OVERDUE: Final = 1e-9


class State(Enum):
    """The state of a stream.

    C{CALLING}: it says SYN. C{OPEN}: it says what is written. C{ENDING}: it has still to say what was written, and
    its end. C{OVER}: it says and hears nothing.
    """

    CALLING = "calling"
    OPEN = "open"
    ENDING = "ending"
    OVER = "over"


class Ended(Enum):
    """The reason why a stream is over."""

    CLOSED = "closed"
    HEARD_ALL = "the other end closed"
    RESET = "the other end reset it"
    REFUSED = "refused"
    ABORTED = "aborted"
    UNANSWERED = "nobody answered"
    STUCK = "nothing was acknowledged"
    SILENT = "the other end fell silent"
    IDLE = "nothing was said for long"


class Stream:
    """One end of a stream.

    @param own_id: what the other end calls it; nobody may guess it.
    @param other: the id of the other end, and the bytes of the stream that a segment to it may have; None to call.
    @ivar state: how far it is.
    @ivar ended: why it is over.
    @ivar other_id: the id of the other end.
    """

    def __init__(
        self,
        settings: Settings,
        own_id: bytes,
        rng: random.Random,
        now: float,
        other: tuple[bytes, int] | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self.settings = settings
        self.own_id = own_id
        self.other_id: bytes = NOBODY
        self.ended: Ended | None = None
        self.counters: Counters = Counters()
        self._rng = rng
        self._watcher = watcher
        self._receiver = Receiver(settings, self.counters, watcher)
        self._sender = self._make_sender(settings.mss, now)
        self._began_at = self._heard_at = self._used_at = now
        self._asked_at = now
        self._say_at: float | None = None
        self._called_at = now
        self._calls = 0
        # Whether the other end may not know yet who this is: then each segment says so.
        self._is_unknown = False
        if other is None:
            self.state: State = State.CALLING
            self._say_at = now
        else:
            self.state = State.OPEN
            self.other_id = other[0]
            self._sender = self._make_sender(min(settings.mss, other[1]), now)
            self._receiver.probe_received(now)

    # What its owner calls.

    @property
    def unsent_bytes(self) -> int:
        """The bytes that were written and never sent."""
        return self._sender.unsent_bytes

    @property
    def sender(self) -> Sender:
        """The sending half, to look at."""
        return self._sender

    def write(self, content: bytes, now: float) -> None:
        """Send bytes."""
        if content and self.state in (State.CALLING, State.OPEN):
            self._used_at = now
            self._sender.write(content, now)

    def read(self, now: float) -> bytes:
        """Take the bytes that have come, in order; until then the other end may send less."""
        pieces = self._receiver.read()
        if not pieces:
            return b""
        self._used_at = now
        self._receiver.made_room(now)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def has_heard_all(self) -> bool:
        """Whether the other end has closed, and all that it said has come."""
        return self._receiver.is_over

    def close(self, now: float) -> None:
        """Send what was written, and then the end."""
        if self.state is State.CALLING:
            self.abort()
        elif self.state is State.OPEN:
            self.state = State.ENDING
            self._sender.finish(now)

    def abort(self) -> bytes | None:
        """End it at once.

        @return: what to send to the other end, if it is known.
        """
        if self.state is State.OVER:
            return None
        is_known = self.other_id != NOBODY
        self._finish(Ended.ABORTED)
        return encode(RST, self.other_id, 0, 0, 0, 0, 0, 0) if is_known else None

    def closing_segment(self, now: float) -> bytes:
        """End it, when all that the other end said has come.

        @return: what to send to the other end now, and again whenever it has not heard it.
        """
        said = self._plain(now, asks=False)
        self._finish(Ended.HEARD_ALL)
        return said

    def receive(self, segment: Segment, now: float) -> None:
        """Take a segment that is for this stream."""
        flags = segment.flags
        if self.state is State.OVER:
            return
        if flags & (SYN | RST):
            self._receive_special(segment, now)
            return
        if self.state is State.CALLING:
            # The answer to SYN was overtaken; this comes again.
            return
        self._heard_at = now
        self._is_unknown = False
        if flags & ACK:
            if not self._sender.acknowledge(segment.ack, segment.ranges, segment.echo, segment.delay, now):
                self.counters.unwanted += 1
                return
            self._sender.may_send_to(segment.ack + segment.window, now)
        payload = segment.payload
        if flags & OPEN:
            payload = payload[NAME_BYTES:]
        if payload or flags & FIN:
            self._receiver.receive(segment.offset, payload, bool(flags & FIN), segment.number, bool(flags & ASK), now)
        elif flags & ASK:
            self._receiver.probe_received(now)
        if self.state is State.ENDING and self._sender.is_done:
            self._finish(Ended.CLOSED)

    def has_bytes(self, segment: Segment) -> bool:
        """Whether a segment carries bytes of the stream."""
        return len(segment.payload) > (NAME_BYTES if segment.flags & (OPEN | SYN) else 0)

    def lose(self, segment: Segment, now: float) -> None:
        """Throw away on purpose a segment that has come."""
        self.counters.dropped += 1
        if self._watcher is not None:
            size = len(segment.payload) - (NAME_BYTES if segment.flags & OPEN else 0)
            self._watcher("lost", now, segment.offset, size, self._receiver.next)

    def datagrams(self, now: float) -> Iterator[bytes]:
        """The datagrams to send now; all of them count as sent."""
        self._check_time(now)
        if self.state is State.OVER:
            return
        if self.state is State.CALLING:
            if self._say_at is not None and now >= self._say_at - _OVERDUE:
                yield self._call(now)
            return
        due = self._receiver.ack_at
        has_gaps = self._receiver.has_gaps
        said = None
        for sent, is_last in self._sender.segments(now):
            if said is None:
                said = self._receiver.acknowledgement(now)
            yield self._segment(sent, is_last, said, now)
        # Segments with bytes of the stream have no room for ranges.
        if due is not None and now >= due - _OVERDUE and (has_gaps or said is None):
            yield self._plain(now, asks=False)
        elif self._asks_now(now):
            yield self._plain(now, asks=True)
        elif said is not None:
            self._asked_at = now

    def next_at(self, now: float) -> float:
        """The time at which to ask for datagrams again if nothing comes."""
        if self.state is State.CALLING:
            return min(self._say_at or now, self._began_at + self.settings.open_s)
        settings, sender = self.settings, self._sender
        at = min(
            max(self._heard_at, self._asked_at) + settings.quiet_s,
            self._heard_at + settings.silence_s,
        )
        if settings.idle_s:
            at = min(at, max(self._used_at, sender.progress_at) + settings.idle_s)
        if sender.awaits_acknowledgement:
            at = min(at, sender.progress_at + settings.stuck_s)
        if self._say_at is not None:
            at = min(at, self._say_at)
        if self._is_unknown:
            at = min(at, self._began_at + settings.open_s)
        if self._receiver.ack_at is not None:
            at = min(at, self._receiver.ack_at)
        sending = sender.next_at(now)
        return at if sending is None else min(at, sending)

    # Inside.

    def _make_sender(self, mss: int, now: float) -> Sender:
        return Sender(self.settings, mss, self._rng, self.counters, self._watcher, now)

    def _receive_special(self, segment: Segment, now: float) -> None:
        if segment.flags & RST:
            self._finish(Ended.REFUSED if self.state is State.CALLING else Ended.RESET)
            return
        name = decode_name(segment.payload)
        if self.state is not State.CALLING or name is None or not segment.flags & ACK:
            return
        self.other_id, mss = name
        unsent = self._sender
        self._sender = self._make_sender(min(self.settings.mss, mss), now)
        self._sender.take_over(unsent, now)
        self._sender.may_send_to(segment.window, now)
        if self._calls == 1:
            # Of several it is not known which was answered.
            self._sender.handshake_done(max(1e-6, now - self._called_at), now)
        self._heard_at = now
        self.state = State.OPEN
        self._is_unknown = True
        self._say_at = now

    def _call(self, now: float) -> bytes:
        self._called_at = now
        self._calls += 1
        self._say_at = now + min(_LONGEST_AGAIN_S, _FIRST_AGAIN_S * 2 ** (self._calls - 1))
        name = encode_name(self.own_id, self.settings.mss)
        return encode(SYN, NOBODY, 0, 0, 0, self.settings.capacity_bytes, 0, 0, name)

    def _segment(self, sent: Sent, is_last: bool, said: tuple[int, int, int, int], now: float) -> bytes:
        flags, payload = ACK, sent.payload
        if sent.end - sent.offset > len(payload):
            flags |= FIN
        if is_last:
            flags |= ASK
        if self._is_unknown:
            flags |= OPEN
            payload = encode_name(self.own_id, self.settings.mss) + payload
            self._say_later(now)
        return encode(flags, self.other_id, sent.offset, sent.number, *said, payload)

    def _plain(self, now: float, *, asks: bool) -> bytes:
        """A segment without bytes of the stream."""
        flags, payload = ACK, b""
        if self._is_unknown:
            flags |= OPEN
            payload = encode_name(self.own_id, self.settings.mss)
            self._say_later(now)
            asks = True
        if asks:
            flags |= ASK
            self._asked_at = now
        self.counters.acks += 1
        ranges = self._receiver.ranges()
        ack, window, echo, delay = self._receiver.acknowledgement(now)
        return encode(flags, self.other_id, 0, 0, ack, window, echo, delay, payload, ranges)

    def _say_later(self, now: float) -> None:
        """Until something comes back, say OPEN again."""
        self._say_at = now + max(_FIRST_AGAIN_S, self._sender.round_trip.timeout_s)

    def _asks_now(self, now: float) -> bool:
        """Whether to ask whether the other end lives, or has room, or has heard who this is."""
        if self._say_at is not None and now >= self._say_at - _OVERDUE:
            self._say_at = None
            return self._is_unknown
        return self._sender.takes_probe(now) or now >= max(self._heard_at, self._asked_at) + self.settings.quiet_s

    def _check_time(self, now: float) -> None:
        settings = self.settings
        if self.state is State.CALLING or self._is_unknown:
            if now >= self._began_at + settings.open_s:
                self._finish(Ended.UNANSWERED)
        elif self._sender.awaits_acknowledgement and now >= self._sender.progress_at + settings.stuck_s:
            self._finish(Ended.STUCK)
        elif now >= self._heard_at + settings.silence_s:
            self._finish(Ended.SILENT)
        elif settings.idle_s and now >= max(self._used_at, self._sender.progress_at) + settings.idle_s:
            self._finish(Ended.IDLE)

    def _finish(self, why: Ended) -> None:
        if self.state is not State.OVER:
            self.state, self.ended = State.OVER, why
