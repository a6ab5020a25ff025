"""One direction of a simulated TCP connection: what has been sent and not been read yet.

Bytes keep their order and arrive cut at random places, after the latency and as fast as the bandwidth
of the way allows. A packet that is lost, or sent into a partition, is sent again later, and after a
quarter of an hour no more. What is in flight fills the window until the reader has acknowledged it. What
waits for room in the window, and who reads and writes, is left to L{twisted_bazaar.sim.engine.tcp}.
"""

from __future__ import annotations

from typing import Final

from twisted_bazaar.sim.engine.interfaces import StreamEnd

# What the two kernels hold of one direction, sent and not read yet.
WINDOW_BYTES: Final = 1 << 16
# The end of the stream, and a reset, among what is in flight.
FIN: Final = b""
RESET: Final = None

# As on Linux: sent again after 0.2 s, twice that and so on, and given up after the fifteenth time.
_FIRST_RESEND_S: Final = 0.2
_LONGEST_RESEND_S: Final = 120.0
_GIVEN_UP_S: Final = _FIRST_RESEND_S * 2**15
_FIRST_ACKNOWLEDGED_AGAIN_S: Final = 1.0


class ByteStream:
    """The bytes that one end of a connection has sent to the other.

    @param sender: the end that sends.
    @ivar size_bytes: how much is on the way, or has arrived and is not acknowledged.
    """

    __slots__ = (
        *("_conditions", "_launched_at", "_owed_bytes", "_pieces", "_plain_s"),
        *("_powered", "_resend_s", "_sender", "_version", "size_bytes"),
    )

    def __init__(self, sender: StreamEnd) -> None:
        self._sender = sender
        self._powered = sender.host.outages
        self.size_bytes: int = 0
        # When each piece arrives, and its bytes, FIN or RESET; None, not an empty list, for nothing.
        self._pieces: list[tuple[float, bytes | None]] | None = None
        self._launched_at = -1.0
        self._resend_s = _FIRST_RESEND_S
        # How much was read at the other end and not acknowledged yet.
        self._owed_bytes = 0
        # Of which version of the ways the conditions are; and the latency where nothing else matters, or -1.
        self._version = -1
        self._plain_s = -1.0

    def send_piece(self, data: bytes | None) -> None:
        """Send a piece that fits into the window, the end of the stream, or a reset."""
        sender = self._sender
        host = sender.host
        network = host.network
        timeline = network.timeline
        now = timeline.now
        if self._version != network.ways.version:
            self._look_at_way()
        pieces = self._pieces
        size = len(data) if data else 0
        self.size_bytes += size
        host.bytes_sent += size
        arrives_at = now + self._plain_s if self._plain_s >= 0 else self._delayed(size, now)
        if pieces:
            last_at, last = pieces[-1]
            if last_at > arrives_at:
                arrives_at = last_at
            if data and last and self._launched_at == now:
                # Written in one go, so it travels as one.
                pieces[-1] = (arrives_at, last + data)
                return
            pieces.append((arrives_at, data))
        else:
            self._pieces = [(arrives_at, data)]
            timeline.at(arrives_at, _arrive, self)
        self._launched_at = now

    def recall(self) -> None:
        """Take back what has not left this machine, or was lost and would have to be sent again."""
        pieces, network = self._pieces, self._sender.host.network
        now = network.timeline.now
        if not pieces:
            return
        if pieces[0][0] < now:
            self._pieces = None
            return
        if self._version != network.ways.version:
            self._look_at_way()
        while pieces and pieces[-1][0] >= now + self._conditions.latency_s:
            self.size_bytes -= len(pieces.pop()[1] or b"")

    def recall_this_turn(self) -> None:
        """Take back what the program has written just now and its kernel has not seen yet."""
        pieces = self._pieces
        if pieces and self._launched_at == self._sender.host.network.timeline.now and pieces[-1][1]:
            self.size_bytes -= len(pieces.pop()[1] or b"")

    def drop(self) -> None:
        """Forget it all: nobody will read it."""
        self._pieces = None

    def bytes_read(self, size_bytes: int) -> None:
        """The other end has read some, and says so when somebody waits for it to."""
        sender = self._sender
        reader, network = sender.far, sender.host.network
        assert reader is not None, "who reads is connected"
        if sender.unsent or self._owed_bytes or (network.ways.cuts and not network.reaches(reader.host, sender.host)):
            if not self._owed_bytes:
                acknowledged_at = network.timeline.now + self._conditions.latency_s
                network.timeline.at(acknowledged_at, _acknowledge, (self, _FIRST_ACKNOWLEDGED_AGAIN_S))
            self._owed_bytes += size_bytes
        else:
            self.size_bytes -= size_bytes

    def _look_at_way(self) -> None:
        """See what the way to the other end is like now."""
        sender = self._sender
        assert sender.far is not None, "who sends is connected"
        ways = sender.host.network.ways
        self._version = ways.version
        self._conditions = ways.conditions(sender.host.name, sender.far.host.name)
        self._plain_s = self._conditions.latency_s if self._conditions.are_plain else -1.0

    def _delayed(self, size_bytes: int, now: float) -> float:
        """When a piece arrives over a way that is narrow or loses packets."""
        sender, conditions = self._sender, self._conditions
        assert sender.far is not None, "who sends is connected"
        network = sender.host.network
        start = now
        if conditions.bytes_a_second:
            start = network.ways.passed_at(sender.host.name, sender.far.host.name, size_bytes, now)
        resend_s = _FIRST_RESEND_S
        while conditions.loss and network.rng.random() < conditions.loss and resend_s < _LONGEST_RESEND_S:
            start += resend_s
            resend_s *= 2
        return start + conditions.latency_s

    def _arrive(self) -> None:
        """What comes first is at the other end."""
        sender, pieces = self._sender, self._pieces
        far = sender.far
        if far is None or not pieces:
            return
        target = far.host
        network = target.network
        timeline = network.timeline
        arrives_at, data = pieces[0]
        if arrives_at > timeline.now:
            # More was added to it, or what came before it was taken back.
            timeline.at(arrives_at, _arrive, self)
            return
        if not network.reaches(sender.host, target):
            self._send_again()
            return
        if not far.connected:
            self._find_nobody()
            return
        self._resend_s = _FIRST_RESEND_S
        if data and len(data) > 1 and network.cut_share and network.rng.random() < network.cut_share:
            cut = network.rng.randrange(1, len(data))
            pieces[0] = (arrives_at, data[cut:])
            data = data[:cut]
        else:
            del pieces[0]
        if pieces:
            timeline.at(max(timeline.now, pieces[0][0]), _arrive, self)
        else:
            self._pieces = None
        if data:
            far.receive(data)
        elif data is RESET:
            target.run_when_resumed(far.reset_connection)
        else:
            far.receive_end()

    def _send_again(self) -> None:
        """Something was lost in a partition, or came to a machine without power."""
        sender, pieces = self._sender, self._pieces
        assert pieces, "something was lost"
        self._resend_s *= 2
        if pieces[-1][1] is RESET or self._powered != sender.host.outages or self._resend_s > _GIVEN_UP_S:
            # Nobody sends it again.
            self._pieces = None
            if sender.connected and self._resend_s > _GIVEN_UP_S:
                sender.host.run_when_resumed(sender.lose_connection)
            return
        timeline = sender.host.network.timeline
        timeline.at(timeline.now + min(self._resend_s, _LONGEST_RESEND_S), _arrive, self)

    def _find_nobody(self) -> None:
        """It came to a machine that does not know this connection, which answers with a reset."""
        sender = self._sender
        if not sender.connected:
            self._pieces = None
            return
        timeline = sender.host.network.timeline
        timeline.at(timeline.now + self._conditions.latency_s, _reset_from_afar, self)

    def _be_acknowledged(self, again_s: float) -> None:
        """The sender hears what was read, and has room for more; if the way back is cut it hears later."""
        sender = self._sender
        reader, network = sender.far, sender.host.network
        if reader is None or not sender.connected:
            return
        if network.reaches(reader.host, sender.host):
            self.size_bytes -= self._owed_bytes
            self._owed_bytes = 0
            sender.host.run_when_resumed(sender.pump)
        else:
            again = (self, min(2 * again_s, _LONGEST_RESEND_S))
            network.timeline.at(network.timeline.now + again_s, _acknowledge, again)

    def _be_reset_from_afar(self) -> None:
        """A reset by a machine that does not know the connection arrives, or is lost and caused again."""
        sender = self._sender
        far = sender.far
        if far is None or not sender.connected:
            return
        if sender.host.network.reaches(far.host, sender.host):
            self._pieces = None
            sender.host.run_when_resumed(sender.reset_connection)
        else:
            self._send_again()


# What the timeline calls: a bound method for each of a million events would be an object each.


def _arrive(flight: ByteStream) -> None:
    flight._arrive()


def _acknowledge(what: tuple[ByteStream, float]) -> None:
    flight, again_s = what
    flight._be_acknowledged(again_s)


def _reset_from_afar(flight: ByteStream) -> None:
    flight._be_reset_from_afar()
