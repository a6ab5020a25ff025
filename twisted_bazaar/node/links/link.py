"""A link: one connection to another node, from the first byte to the last.

The link frames, decodes, greets, keeps itself alive and closes itself; who the other end may be, and
what its messages mean, is its owner's to say. The one who dialled greets first with C{thisisme}; the
other answers with its own, a tracker with C{thisisyou}, or either with an C{error}.

A link sets no timer: it names its next deadline, and the node's L{watch<twisted_bazaar.node.links.deadlines>}
asks it again then. So an idle link costs nothing and a busy one costs no timer per message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.errors import (
    AlreadyLinked,
    InTheOpen,
    LinkClosed,
    MalformedMessage,
    NoSlots,
    NotGreeted,
    NotNumbered,
    PeerError,
    UnknownMessage,
    Unproven,
    WireError,
)
from twisted_bazaar.node.control import Disconnect, Ping, Pong, ThisIsMe, ThisIsYou
from twisted_bazaar.node.links.inbound import Inbound
from twisted_bazaar.node.links.interfaces import LinkOwner
from twisted_bazaar.node.links.keepalive import NEVER, Due
from twisted_bazaar.node.links.states import NEXT, Event, Stage
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.system.unsent import keep_little_unsent
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.framing import frame
from twisted_bazaar.wire.message import MESSAGE_TYPES, Message

# What a transport reads at once, and what it holds unsent before it asks for a pause. Beside small messages that
# many need no more, and a node has very many links.
_TRANSPORT_BYTES: Final = 16 << 10
_USUAL_TRANSPORT_BYTES: Final = 64 << 10
_BEHIND_BYTES: Final = 64 << 10
# What the system keeps unsent for a link besides what is on its way: else it takes megabytes for who does not read.
_UNSENT_IN_KERNEL_BYTES: Final = 64 << 10
# An unsent frame weighs so much more than its bytes: it is an object of its own until it is on its way.
_UNSENT_FRAME_BYTES: Final = 64
_NEVER_ANSWERED: Final = frozenset({"error", "pong", "dc"})
_ABOUT_THE_LINK: Final = frozenset({Ping, Pong, Disconnect, ThisIsMe, ThisIsYou})


@implementer(IPushProducer)
class Link(TwistedProtocol):
    """One connection.

    @param owner: the node it belongs to.
    @ivar dialled: whether this end made the connection.
    @ivar to_tracker: whether the other end is meant to be a tracker.
    @ivar host: where the connection leads to; empty until it is made, if this end makes it.
    @ivar held_bytes: what it holds: read and not taken, or unsent.
    @ivar is_named: whether it leads to a neighbour that the user named.
    @ivar stage: how far it has come.
    @ivar peer: who the other end is; None until it is known.
    @ivar opened: on a dialled link, fires with the peer when the handshake is done, or fails with a
        L{PeerError}.
    """

    transport: Any

    _since = 0.0
    _refusals: RateLimit | None = None
    _backlog_bytes = 0
    _has_repeated_greeting = False
    is_named = False
    held_bytes = 0

    def __init__(self, owner: LinkOwner[Link], *, dialled: bool, to_tracker: bool = False, host: str = "") -> None:
        self._owner = owner
        self.host: str = host
        self.dialled = dialled
        self.to_tracker = to_tracker
        self.peer: Peer | None = None
        self.opened: Deferred[Peer] | None = Deferred() if dialled else None
        self._inbound = Inbound(owner, self)
        self._receive: Callable[[Message], None] | None = self._receive_greeting
        self._deadline: Callable[[float], float] = self._greeting_deadline
        self.stage: Stage = Stage.GREETING

    def __repr__(self) -> str:
        return f"<link to {self.host or 'an address that is being dialled'}, {self.stage.value}>"

    # What the transport calls.

    def connectionMade(self) -> None:
        """Begin the handshake."""
        self._since = self._inbound.silence.last_heard = self._owner.clock.seconds()
        if not self.host:
            self.host = str(getattr(self.transport.getPeer(), "host", ""))
        self.transport.bufferSize = _TRANSPORT_BYTES
        if not self._owner.is_tracker:
            # A tracker only answers, one thing at a time: there is nothing to delay.
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        if self.dialled:
            self.send(self._owner.greeting())
        self._owner.deadline_set(self._since + self._owner.limits.handshake_s)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes from the other end."""
        self._inbound.receive(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if isinstance(reason.value, Unproven):
            self.fail_opening(reason.value)
        self._happen(Event.LOST)

    # What the transport calls while it has more to send than the other end takes.

    def pauseProducing(self) -> None:
        """Unsent bytes are piling up; the transport says so at each write while they do."""
        if not self._backlog_bytes:
            self._back_up(_TRANSPORT_BYTES)

    def resumeProducing(self) -> None:
        """Everything has been sent."""
        self._back_up(-self._backlog_bytes)
        self._inbound.resume()

    def stopProducing(self) -> None:
        """The connection is ending; the transport says so by C{connectionLost} as well."""

    # What the node calls.

    @property
    def proven_key(self) -> str | None:
        """The key that the other end has proven; None where connections are not sealed."""
        key: str | None = getattr(self.transport, "proven_key", None)
        return key

    @property
    def is_congested(self) -> bool:
        """Whether so much is unsent that nothing should be passed on to this link."""
        return self._backlog_bytes > self._owner.limits.stop_forwarding_bytes

    @property
    def is_behind(self) -> bool:
        """Whether the other end does not read what it is sent: nothing that takes work is to be made for it now."""
        return self._backlog_bytes > _BEHIND_BYTES

    def send(self, message: Message) -> None:
        """Send one message."""
        if self.to_tracker and type(message) not in _ABOUT_THE_LINK:
            self._inbound.note_asked()
        if self._owner.trace is not None:
            self._owner.trace(self.peer, message)
        self.write(frame(self._owner.codec.encode(message)))

    def write(self, data: bytes) -> None:
        """Send complete frames.

        Bytes are counted from when the transport first had to wait until it has sent everything, so
        the backlog is never underestimated.
        """
        if self._backlog_bytes:
            self._back_up(len(data) + _UNSENT_FRAME_BYTES)
            if self._backlog_bytes > self._owner.limits.abort_bytes:
                self.abort()
            if not self._backlog_bytes:
                # It was cut off.
                return
            if self._backlog_bytes > self._owner.limits.stop_reading_bytes:
                self._inbound.pause()
        self.transport.write(data)

    def close(self, farewell: Message | None = None) -> None:
        """Send one last message, if given, and close; cut off if that takes longer than the grace."""
        if farewell is not None and self._receive is not None:
            self.send(farewell)
        self._happen(Event.ENDED)

    def retire(self) -> None:
        """Give way to another link to the same node.

        What the other end has sent before it knows is still taken; it closes when it hears C{dc}.
        """
        self._happen(Event.RETIRED)

    def abort(self) -> None:
        """Cut the connection now, dropping whatever is unsent."""
        self._happen(Event.ENDED)
        self.transport.abortConnection()
        self._back_up(-self._backlog_bytes)

    def check(self, now: float) -> float:
        """Do what is due by the clock.

        @return: the time of the next deadline.
        """
        return self._deadline(now)

    # What the inbound side calls.

    @property
    def is_backed_up(self) -> bool:
        """Whether more is unsent than a transport takes."""
        return self._backlog_bytes > 0

    def charge(self, by_bytes: int) -> None:
        """Count so many bytes more that are held for this connection; fewer, if negative."""
        self._owner.link_bytes.charge(self, by_bytes)

    def frame_received(self, payload: bytes) -> None:
        """Take one message."""
        try:
            message = self._owner.codec.decode(payload)
        except WireError as error:
            self._refuse(error)
        else:
            if self._receive is not None:
                self._receive(message)

    def _refuse(self, error: WireError) -> None:
        """Say what was wrong with a message, unless this happens too often."""
        if self._refusals is None:
            self._refusals = RateLimit.a_minute(self._owner.limits.refusals_a_minute)
        name = error.message if isinstance(error, MalformedMessage | UnknownMessage) else None
        if not self._refusals.allow(self._inbound.silence.last_heard):
            if not isinstance(error, UnknownMessage):
                self.close(Error(code=error.code, info="too many malformed messages"))
        elif name not in _NEVER_ANSWERED:
            self.send(Error.telling(error, name))
            asked = MESSAGE_TYPES.get(name or "")
            if asked is not None and asked.ended_by is not None and isinstance(error.about_id, str):
                self.send(asked.ended_by(id=error.about_id))

    def _back_up(self, by_bytes: int) -> None:
        """Count so many bytes more that are unsent."""
        if by_bytes:
            self._backlog_bytes += by_bytes
            self.charge(by_bytes)

    # Messages.

    def _receive_greeting(self, message: Message) -> None:
        match message:
            case ThisIsMe() | ThisIsYou():
                self._welcome(message)
            case Error(code=NotGreeted.code) if self.dialled and not self._has_repeated_greeting:
                self._has_repeated_greeting = True
                self.send(self._owner.greeting())
            case Error():
                self.fail_opening(_refusal_in(message))
                self.close()
            case Disconnect():
                self.close()
            case Ping():
                self.send(Pong())
            case Pong():
                pass
            case _ if not self.dialled and self._owner.is_opening(message):
                self._hand_over(message)
            case _:
                self._refuse(
                    MalformedMessage(
                        message.wire_name, None, "a greeting must come first", getattr(message, "id", None)
                    )
                )

    def _hand_over(self, opening: Message) -> None:
        """Leave the connection to what this message begins, with all that has come after it."""
        successor = self._owner.find_opening(self, opening)
        if successor is None:
            self.close(Error.telling(NoSlots("nothing is taken here now"), opening))
            return
        rest = self._inbound.detach()
        self.transport.unregisterProducer()
        # For this end the connection is over.
        self._happen(Event.LOST)
        self.transport.bufferSize = _USUAL_TRANSPORT_BYTES
        self.transport.protocol = successor
        successor.makeConnection(self.transport)
        if rest:
            successor.dataReceived(rest)

    def _welcome(self, greeting: ThisIsMe | ThisIsYou) -> None:
        try:
            self.peer, answer = self._owner.welcome(self, greeting)
        except PeerError as error:
            self.fail_opening(error)
            known = isinstance(error, LinkClosed)
            who = error.node_id if isinstance(error, AlreadyLinked) else None
            self.close(Disconnect() if known else Error.telling(error, hop=who))
            return
        if answer is not None:
            self.send(answer)
        self._happen(Event.GREETED)

    def _receive_open(self, message: Message) -> None:
        if type(message) not in _ABOUT_THE_LINK:
            self._owner.message_received(self, message)
            return
        match message:
            case Ping():
                self.send(Pong())
            case Pong() | ThisIsYou():
                pass
            case Disconnect():
                self.close()
            case ThisIsMe():
                # The answer to a `notim` that crossed the first greeting.
                if self.peer is None or message.key != self.peer.key:
                    self.close(Error(code=PeerError.code, info="a link cannot change its owner"))

    # The life of a link: what is done on the way into each stage.

    def _happen(self, event: Event) -> None:
        stage = NEXT.get((self.stage, event))
        if stage is not None:
            self.stage = stage
            _BEGIN[stage](self)

    def _begin_open(self) -> None:
        self._inbound.handshake_done()
        keep_little_unsent(self.transport, _UNSENT_IN_KERNEL_BYTES)
        self._receive = self._receive_open
        self._deadline = self._open_deadline
        # Perhaps sooner than the greeting would have been late.
        self._owner.deadline_set(self._owner.clock.seconds() + self._owner.limits.ping_s)
        self._owner.link_opened(self)
        if self.opened is not None and self.peer is not None and not self.opened.called:
            self.opened.callback(self.peer)

    def _warn(self) -> None:
        self._deadline = self._overdue_deadline
        late = NotNumbered if self.to_tracker else NotGreeted
        self.send(Error(code=late.code, info=f"nothing was heard for {self._owner.limits.handshake_s:g} s"))

    def _begin_leave(self) -> None:
        self._since = self._owner.clock.seconds()
        self._deadline = self._leaving_deadline
        self._owner.deadline_set(self._since + self._owner.limits.grace_s)
        self.send(Disconnect())

    def _begin_close(self) -> None:
        self._stop_taking()
        self._since = self._owner.clock.seconds()
        self._deadline = self._closing_deadline
        self._owner.link_closed(self)
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._owner.deadline_set(self._since + self._owner.limits.grace_s)

    def _end(self) -> None:
        self._stop_taking()
        self._back_up(-self._backlog_bytes)
        self._deadline = _no_deadline
        self._owner.link_lost(self)
        self.fail_opening(LinkClosed("the connection closed before the handshake was done"))

    def _stop_taking(self) -> None:
        self._receive = None
        self._inbound.close()

    def fail_opening(self, error: PeerError) -> None:
        """Say why it did not open, to whoever has dialled it and waits for that."""
        if self.opened is not None and not self.opened.called:
            self.opened.errback(error)

    # Deadlines: do what is due, return when to look again.

    def _greeting_deadline(self, now: float) -> float:
        warn_at = self._since + self._owner.limits.handshake_s
        if now < warn_at:
            return warn_at
        self._happen(Event.LATE)
        return self._deadline(now)

    def _overdue_deadline(self, now: float) -> float:
        cut_at = self._since + self._owner.limits.handshake_s + self._owner.limits.grace_s
        if now < cut_at:
            return cut_at
        self._happen(Event.LATE)
        return self._deadline(now)

    def _open_deadline(self, now: float) -> float:
        due, look_at = self._inbound.check_deadlines(now)
        match due:
            case Due.CUT:
                self.abort()
                return now + self._owner.limits.grace_s
            case Due.PING:
                self.send(Ping())
        return look_at

    def _leaving_deadline(self, now: float) -> float:
        close_at = self._since + self._owner.limits.grace_s
        if now < close_at:
            return close_at
        self._happen(Event.ENDED)
        return self._deadline(now)

    def _closing_deadline(self, now: float) -> float:
        abort_at = self._since + self._owner.limits.grace_s
        if now < abort_at:
            return abort_at
        self.transport.abortConnection()
        return NEVER


def _no_deadline(now: float) -> float:
    return NEVER


_BEGIN: Final[Mapping[Stage, Callable[[Link], None]]] = {
    Stage.OVERDUE: Link._warn,
    Stage.OPEN: Link._begin_open,
    Stage.LEAVING: Link._begin_leave,
    Stage.CLOSING: Link._begin_close,
    Stage.CLOSED: Link._end,
}


def _refusal_in(error: Error) -> PeerError:
    """Why the other end does not want this node, as far as it makes a difference here."""
    # The code is for programs; where nothing else is said, it is better than nothing.
    reason = error.reason or f"{error.code!r}"
    match error.code:
        case AlreadyLinked.code:
            return AlreadyLinked(reason, error.hop)
        case NoSlots.code:
            return NoSlots(reason)
        case InTheOpen.code:
            # What to do is said by this node, and not by a stranger.
            return InTheOpen(
                "it seals its connections, and this node speaks in the open; leave out --plain, or start both with it"
            )
    return LinkClosed(reason)
