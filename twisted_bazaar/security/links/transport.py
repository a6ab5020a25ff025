"""A sealed transport: to the protocol above it the connection itself, to the connection a protocol.

It does what a transport of Twisted does, and nothing more: writes and reads, pauses either way, ends politely or at
once. What is written before the other end has proven its key waits; nothing that comes is handed up until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.errors import InTheOpen, NothingProven, Unproven
from twisted_bazaar.security.links.flusher import Flusher
from twisted_bazaar.security.links.opening_budget import OpeningBudget, OpeningBudgets
from twisted_bazaar.security.links.outlet import Outlet, outlet_through
from twisted_bazaar.security.links.session import Session
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import network_of

Judge = Callable[[str], None]
"""Raises L{Unproven} if a key that was proven is not the one that has to be here."""

_CLOSED_UNPROVEN: Final = (
    "it closed the connection before it had proven a key; if it speaks in the open, as with --plain, start both so, or "
    "neither"
)
# Beyond this it is sealed at once, and not at the end of the turn: it would only wait, and twice in memory.
_GATHERED_BYTES: Final = 64 << 10
# What is sealed at once: two records. OpenSSL keeps as much memory for each connection as it ever had in it, and more
# than this is no faster.
_PIECE_BYTES: Final = 32 << 10
# So little is opened whosever turn it is: some dozens of records at most.
_SMALL_BYTES: Final = 1 << 10
# A certificate and a signature are longer; who is only asked to begin again (RFC 8446, 4.1.4) has cost nothing yet.
_PROOF_BYTES: Final = 256


@implementer(ITCPTransport, IPushProducer)
class SealedTransport(Protocol):
    """One connection, sealed.

    @param session: seals it.
    @param protocol: what it carries.
    @param flusher: sends at the end of a turn.
    @param judge: judges the key that the other end has proven.
    @param refusal: what is said in the open to who speaks in the open.
    @param budgets: what comes is opened within these.
    @param is_dialler: whether this end made the connection: whom a node dials is of its own choosing.
    @ivar protocol: what it carries; may be replaced at any time.
    @ivar proven_key: the key that the other end has proven, 64 hexadecimal digits; None until it has.
    """

    log: Final = limited_logger(__name__)
    transport: Any
    _outlet: Outlet

    def __init__(
        self,
        session: Session,
        protocol: Any,
        flusher: Flusher,
        judge: Judge,
        refusal: Callable[[], bytes],
        budgets: OpeningBudgets,
        *,
        is_dialler: bool,
    ) -> None:
        self._session = session
        self.protocol: Any = protocol
        self._flusher = flusher
        self._judge = judge
        self._refusal = refusal
        self._budgets = budgets
        self._is_dialler = is_dialler
        # What has come and waits for its turn, and in which budget.
        self._unopened: list[bytes] = []
        self._waits_in: OpeningBudget | None = None
        self._is_answered = False
        self._is_paused = False
        self.proven_key: str | None = None
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._has_producer = False
        self.disconnecting: bool = False
        self._failed: Unproven | None = None

    # What the connection calls.

    def connectionMade(self) -> None:
        """Begin to prove; the protocol above may write already."""
        self._outlet = outlet_through(self.transport, self._flusher.clock)
        self._session.begin()
        self._send_sealed()
        self.protocol.makeConnection(self)

    def dataReceived(self, data: bytes) -> None:
        """Open what came, and hand it up, when it has its turn."""
        if self._waits_in is None:
            if self.proven_key is not None:
                # It costs more to ask than to open it.
                if len(data) <= _SMALL_BYTES:
                    self._open(data)
                    return
            elif self._is_dialler:
                self._open(data)
                return
            elif self.disconnecting:
                return
        self._unopened.append(data)
        if self._waits_in is None:
            budget = self._budget
            if budget.take(self):
                self._waits_in = budget
                self.transport.pauseProducing()

    @property
    def host(self) -> str:
        """The network that it leads to: it has its turn among those of all others."""
        return network_of(str(getattr(self.transport.getPeer(), "host", "")))

    def open(self) -> None:
        """Open what has come: it has its turn."""
        if self._waits_in is not None:
            self._waits_in = None
            if not self._is_paused:
                self.transport.resumeProducing()
        sealed, self._unopened = b"".join(self._unopened), []
        try:
            self._open(sealed)
        except Exception:
            self.log.failure("what came from {where} could not be handled", where=self.transport.getPeer())
            self.abortConnection()

    def _open(self, data: bytes) -> None:
        if self._failed is not None:
            return
        try:
            plain = self._session.receive(data)
            if self.proven_key is None and self._session.proven_key is not None:
                self._judge(self._session.proven_key)
                self.proven_key = self._session.proven_key
                # What the protocol has written meanwhile goes with the end of the handshake.
                self.flush()
        except Unproven as error:
            self._fail(error)
            return
        if not plain:
            if self.proven_key is None:
                self._answer()
            self._send_sealed()
            return
        self._flusher.begin()
        try:
            self.protocol.dataReceived(plain)
        finally:
            self._flusher.flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; a cut is told from an end."""
        if self._waits_in is not None and self.proven_key is not None and not self.disconnecting:
            # It has come before the end.
            self._waits_in.dequeue(self)
            self.open()
        # Nothing may wait to be sent any more, whoever still writes.
        self.connected = 0
        self._forget_unsent()
        self._outlet.close()
        self._stop_waiting()
        if self._failed is not None:
            reason = Failure(self._failed)
        elif self.proven_key is None and not self.disconnecting:
            reason = Failure(NothingProven(_CLOSED_UNPROVEN))
        elif reason.check(ConnectionDone) and self._is_cut:
            reason = Failure(ConnectionLost("it was cut before the other end said that nothing more comes"))
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)

    # What the protocol calls.

    def write(self, data: bytes) -> None:
        """Send bytes at the end of this turn, with whatever else is written until then."""
        if self.disconnecting or not self.connected:
            return
        if not self._unsent:
            self._flusher.enqueue(self)
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if self._unsent_bytes >= _GATHERED_BYTES:
            self.flush()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send some bytes after each other."""
        for each in data:
            self.write(each)

    def loseConnection(self) -> None:
        """End once everything is sent, and whoever produces has ended."""
        self.disconnecting = True
        if not self._has_producer:
            self._end()

    def abortConnection(self) -> None:
        """Cut the connection, and drop what is unsent."""
        self.disconnecting = True
        self._forget_unsent()
        self._stop_waiting()
        self.transport.abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have the connection tell who produces when it has more to send than the other end takes."""
        self._has_producer = True
        self._outlet.register(producer, is_streaming=streaming)

    def unregisterProducer(self) -> None:
        """Nobody produces any more."""
        self._has_producer = False
        self._outlet.unregister()
        if self.disconnecting:
            self._end()

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        self._is_paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on, as soon as it has its turn."""
        self._is_paused = False
        if self._waits_in is None:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Read nothing any more."""
        self.loseConnection()

    def loseWriteConnection(self) -> None:
        """Nothing here ends one way alone."""
        self.loseConnection()

    def getPeer(self) -> Any:
        """Where it leads to."""
        return self.transport.getPeer()

    def getHost(self) -> Any:
        """Where this end of it is."""
        return self.transport.getHost()

    def getTcpNoDelay(self) -> bool:
        """Whether small packets go at once."""
        return bool(self.transport.getTcpNoDelay())

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Say whether small packets go at once."""
        self.transport.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:
        """Whether the system asks now and then if the other end is there."""
        return bool(self.transport.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Say whether the system asks now and then if the other end is there."""
        self.transport.setTcpKeepAlive(enabled)

    # What some ask for that not every connection has; those have an AttributeError here too.

    @property
    def bufferSize(self) -> int:
        """What is read at once, and held unsent before the connection asks for a pause; bytes."""
        return int(self.transport.bufferSize)

    @bufferSize.setter
    def bufferSize(self, size_bytes: int) -> None:
        self.transport.bufferSize = size_bytes

    @property
    def SEND_LIMIT(self) -> int:
        """What is given to the system at once; bytes."""
        return int(self.transport.SEND_LIMIT)

    @SEND_LIMIT.setter
    def SEND_LIMIT(self, size_bytes: int) -> None:
        self.transport.SEND_LIMIT = size_bytes

    @property
    def getHandle(self) -> Any:
        """Gives the socket."""
        return self.transport.getHandle

    # What the flusher calls.

    def flush(self) -> None:
        """Seal and send what was written, as soon as the other end has proven its key."""
        if self.proven_key is not None and self._unsent:
            unsent = self._unsent
            self._forget_unsent()
            try:
                for plain in _pieces(unsent):
                    self._session.send(plain)
                    self._send_sealed()
            except Unproven as error:
                # It fails alone: others wait to be sent in the same turn.
                self._fail(error)
                return
        self._send_sealed()

    # Inside.

    @property
    def _is_cut(self) -> bool:
        """Whether it ends though neither end has said so."""
        return self.proven_key is not None and not self.disconnecting and not self._session.is_ended

    def _send_sealed(self) -> None:
        self._session.drain(self._outlet.write)

    @property
    def _budget(self) -> OpeningBudget:
        """The one within which what comes is opened."""
        if self.proven_key is not None:
            return self._budgets.proven
        return self._budgets.answered if self._is_answered else self._budgets.strangers

    def _answer(self) -> None:
        """Say what there is to say before anything is proven, and note whether that was this end's own proof."""
        sealed = self._session.outgoing()
        if sealed:
            self._is_answered = self._is_answered or len(sealed) > _PROOF_BYTES
            self._outlet.write(sealed)

    def _stop_waiting(self) -> None:
        """It gets no turn any more."""
        self._unopened = []
        if self._waits_in is not None:
            self._waits_in.dequeue(self)
            self._waits_in = None

    def _forget_unsent(self) -> None:
        if self._unsent:
            self._unsent = []
            self._unsent_bytes = 0
            self._flusher.dequeue(self)

    def _end(self) -> None:
        self.flush()
        self._session.end()
        self._send_sealed()
        self.transport.loseConnection()

    def _fail(self, error: Unproven) -> None:
        """The other end is not who it has to be, or nobody knows who speaks: tell it, and hear no more."""
        # Where it was raised leads back here, and what is gone would stay until garbage is collected.
        error.__traceback__ = error.__context__ = None
        self._failed = error
        self._forget_unsent()
        self.disconnecting = True
        if isinstance(error, InTheOpen):
            self._outlet.write(self._refusal())
        self._send_sealed()
        self.transport.loseConnection()


def _pieces(unsent: Sequence[bytes]) -> Iterator[bytes | memoryview]:
    """Put together what is small, and divide what is large: more memory at once costs more than the cipher."""
    together: list[bytes | memoryview] = []
    size = 0
    for each in unsent:
        if len(each) <= _PIECE_BYTES - size:
            together.append(each)
            size += len(each)
            continue
        if together:
            yield b"".join(together)
        view = memoryview(each)
        for at in range(0, len(each), _PIECE_BYTES):
            piece = view[at : at + _PIECE_BYTES]
            if len(piece) == _PIECE_BYTES:
                yield piece
        together = [piece] if len(piece) < _PIECE_BYTES else []
        size = len(piece) % _PIECE_BYTES
    if together:
        yield b"".join(together)
