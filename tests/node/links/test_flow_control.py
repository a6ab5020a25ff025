"""Flow control: every event in every state, and what a link holds whatever comes over it."""

from __future__ import annotations

from collections import deque
from itertools import product

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.links.flow_control import IN_QUEUE, NEXT_FLOW, READ_FROM, Flow, FlowEvent
from twisted_bazaar.node.links.inbound import Inbound
from twisted_bazaar.node.links.keepalive import LET_IN_S, Due
from twisted_bazaar.node.links.read_budget import ReadBudget
from twisted_bazaar.wire.framing import frame

READ_BYTES = 16 << 10
FRAME_BYTES = 64 << 10


@define(eq=False)
class Owner:
    """A node, as far as the inbound side of a link knows it."""

    clock: Clock = field(factory=Clock)
    limits: Limits = field(factory=lambda: Limits(frames_a_turn=20, frame_bytes=FRAME_BYTES))
    turn: ReadBudget = field(init=False)
    deadlines: list[float] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        """Give it a small budget, so that it is often used up."""
        self.turn = ReadBudget(self.clock, 40, 0.02)

    def deadline_set(self, at: float) -> None:
        """Note it."""
        self.deadlines.append(at)


@define(eq=False)
class Reader:
    """The rest of a link, its transport included: it notes what it is told."""

    host: str = "192.0.2.1"
    is_backed_up: bool = False
    is_read: bool = True
    held_bytes: int = 0
    is_aborted: bool = False
    taken: list[bytes] = field(factory=list)

    @property
    def transport(self) -> Reader:
        """This is it."""
        return self

    def pauseProducing(self) -> None:
        """Read no more."""
        assert self.is_read, "it is paused once"
        self.is_read = False

    def resumeProducing(self) -> None:
        """Read again."""
        assert not self.is_read, "it is resumed once"
        self.is_read = True

    def frame_received(self, payload: bytes) -> None:
        """Keep it."""
        self.taken.append(payload)

    def charge(self, by_bytes: int) -> None:
        """Count them."""
        self.held_bytes += by_bytes

    def abort(self) -> None:
        """Note it."""
        self.is_aborted = True


class TableTests(SynchronousTestCase):
    """What is promised of the states."""

    def test_every_pair(self) -> None:
        """Who is behind is neither read nor taken from, whoever waits is in the queue, and the end is final."""
        for flow, event in product(Flow, FlowEvent):
            after = NEXT_FLOW.get((flow, event), flow)
            with self.subTest(flow=flow, event=event):
                if flow is Flow.ENDED or event is FlowEvent.ENDED:
                    self.assertIs(after, Flow.ENDED)
                elif event is FlowEvent.BEHIND:
                    self.assertIs(after, Flow.STALLED)
                elif event is FlowEvent.LEFT_OVER:
                    self.assertIn(after, IN_QUEUE)
                elif event is FlowEvent.TAKEN:
                    self.assertIs(after, Flow.READING)
                else:
                    # Of bytes that come, nobody but who waits is told; and then no more are read.
                    self.assertIs(after, Flow.PAUSED if flow is Flow.QUEUED else flow)

    def test_nothing_is_read_in_vain(self) -> None:
        """While frames wait, at most one read more is kept; who does not read is not read from."""
        self.assertEqual(READ_FROM, {Flow.READING, Flow.QUEUED, Flow.ENDED})
        self.assertEqual(IN_QUEUE, {Flow.QUEUED, Flow.PAUSED})


class Sender:
    """The other end of a connection: it sends as fast as it is read, in reads of a transport's size.

    @param stream: what it has to say.
    """

    def __init__(self, stream: bytes) -> None:
        self.owner = Owner()
        self.reader = Reader()
        self.inbound = Inbound(self.owner, self.reader)  # type: ignore[arg-type]
        self.inbound.handshake_done()
        self._pieces = deque(stream[at : at + READ_BYTES] for at in range(0, len(stream), READ_BYTES))

    @property
    def has_more(self) -> bool:
        """Whether it has not sent all."""
        return bool(self._pieces)

    def send(self) -> None:
        """Send one piece, if that is read."""
        if self.reader.is_read and self._pieces:
            self.inbound.receive(self._pieces.popleft())

    def next_turn(self) -> None:
        """What a real reactor does: what is called later now is called in the turn that follows."""
        calls, self.owner.clock.calls = self.owner.clock.calls, []
        for call in calls:
            call.called = 1
            call.func(*call.args, **call.kw)


class InboundTests(SynchronousTestCase):
    """Whatever comes, all of it is taken in its order, and little is held meanwhile."""

    @given(
        st.lists(st.integers(0, 20_000), max_size=30),
        st.lists(st.sampled_from(["send", "turn", "behind", "caught up"]), max_size=60),
    )
    def test_anything(self, sizes: list[int], steps: list[str]) -> None:
        """No frame is lost or doubled, the socket is read when the table says so, and the count is right."""
        payloads = [b"%06d" % number + bytes(size) for number, size in enumerate(sizes)]
        sender = Sender(b"".join(map(frame, payloads)))
        inbound, reader = sender.inbound, sender.reader
        for step in steps:
            match step:
                case "send":
                    sender.send()
                case "turn":
                    sender.next_turn()
                case "behind":
                    reader.is_backed_up = True
                    inbound.pause()
                case "caught up":
                    reader.is_backed_up = False
                    inbound.resume()
            self.assertEqual(reader.is_read, inbound.flow in READ_FROM)
            self.assertLessEqual(reader.held_bytes, 2 * READ_BYTES + FRAME_BYTES)
        reader.is_backed_up = False
        inbound.resume()
        for _ in range(len(payloads) + 200):
            sender.send()
            sender.next_turn()
        self.assertEqual(reader.taken, payloads)
        self.assertEqual((inbound.flow, reader.held_bytes, reader.is_aborted), (Flow.READING, 0, False))

    def test_small_frames(self) -> None:
        """Small frames that come much faster than they are taken are held in two reads of the socket, for ever."""
        ping = b'{"type":"ping"}'
        sender = Sender(frame(ping) * 50_000)
        most = 0
        while sender.has_more:
            sender.send()
            sender.next_turn()
            most = max(most, sender.reader.held_bytes)
        self.assertLessEqual(most, 2 * READ_BYTES + len(ping))
        self.assertGreater(most, READ_BYTES)

    def test_end(self) -> None:
        """Of who is gone nothing is held, nothing is taken, and it waits for nothing."""
        sender = Sender(frame(b'{"type":"ping"}') * 50_000)
        for _ in range(3):
            sender.send()
        taken = len(sender.reader.taken)
        sender.inbound.close()
        for _ in range(10):
            sender.next_turn()
            sender.send()
        self.assertEqual((sender.reader.held_bytes, sender.reader.is_read), (0, True))
        self.assertEqual(len(sender.reader.taken), taken)

    def test_not_read_while_behind(self) -> None:
        """Who does not read its answers is in no queue, and takes no turn of others."""
        sender = Sender(frame(b'{"type":"ping"}') * 5_000)
        sender.send()
        sender.inbound.pause()
        taken = len(sender.reader.taken)
        for _ in range(10):
            sender.next_turn()
        self.assertEqual((len(sender.reader.taken), sender.owner.clock.getDelayedCalls()), (taken, []))
        self.assertEqual(sender.owner.deadlines[-1], LET_IN_S)

    def test_let_in(self) -> None:
        """Of who does not read its answers something is taken now and then, up to the next answer; then it is cut."""
        sender = Sender(frame(b'{"type":"ping"}') * 5_000)
        inbound, clock = sender.inbound, sender.owner.clock
        sender.send()
        inbound.pause()
        taken, now, due = len(sender.reader.taken), 0.0, Due.NOTHING
        while due is not Due.CUT:
            clock.rightNow = now
            due, now = inbound.check_deadlines(now)
            if due is Due.LET_IN:
                taken = len(sender.reader.taken)
                sender.next_turn()
                self.assertGreater(len(sender.reader.taken), taken)
                inbound.pause()
                taken = len(sender.reader.taken)
            sender.next_turn()
            self.assertEqual(len(sender.reader.taken), taken)
        self.assertEqual(clock.rightNow, sender.owner.limits.silence_s)
