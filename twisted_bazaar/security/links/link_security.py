"""The security of a node's connections: sealed, or in the open. What listens and what connects goes through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from zope.interface import implementer

from twisted_bazaar.errors import InTheOpen, PeerError, Unproven
from twisted_bazaar.security.links.flusher import Flusher
from twisted_bazaar.security.links.opening_budget import OpeningBudgets
from twisted_bazaar.security.links.session import SessionMaker
from twisted_bazaar.security.links.transport import Judge, SealedTransport
from twisted_bazaar.security.noise.node_handshake import Handshakes
from twisted_bazaar.values.addresses import text_of_endpoint
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.framing import frame

_SEALED_HERE: Final = (
    "connections are sealed here, by TLS 1.3, and this one is in the open; leave out --plain, or start both with it"
)

JudgeAt = Callable[[str, str | None], Judge]
"""Gives what judges the key at an address that somebody has typed; the second is the key that is pinned there."""


@implementer(IStreamClientEndpoint)
class EndpointAround:
    """An endpoint around another: it is called by the same name, and the same key has to be there.

    @ivar key: the key that alone may be there, 64 hexadecimal digits; None for any.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, key: str | None = None) -> None:
        self._endpoint = endpoint
        self.key: str | None = endpoint.key if key is None and isinstance(endpoint, EndpointAround) else key
        # What it is called by.
        self._host, self._port = getattr(endpoint, "_host", None), getattr(endpoint, "_port", None)
        self._path = getattr(endpoint, "_path", None)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Connect."""
        return self._endpoint.connect(protocolFactory)

    def link_failed(self, error: PeerError) -> None:
        """Hear why no link was made, although somebody is there or would be."""


class PinnedEndpoint(EndpointAround):
    """An endpoint at which one key alone may be.

    @param key: that key, 64 hexadecimal digits.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, key: str) -> None:
        super().__init__(endpoint, key)


class LinkSecurity(Protocol):
    """How the connections of a node are secured."""

    @property
    def is_sealed(self) -> bool:
        """Whether they are sealed, and keys proven."""

    @property
    def handshakes(self) -> Handshakes | None:
        """What seals its datagrams; None if they go in the open."""

    def seal_server(self, endpoint: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """What listens where an endpoint does."""

    def seal_client(self, endpoint: IStreamClientEndpoint, key: str | None) -> IStreamClientEndpoint:
        """What connects to where an endpoint does.

        @param key: the one that has to be proven there; None for any.
        """

    def seal_named(self, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
        """What connects to where an endpoint does that somebody has typed.

        @raise Unproven: whoever is there could not prove the key that is pinned.
        """


class InTheClear:
    """Nothing is sealed and no key proven: for teaching, and for netcat."""

    is_sealed: Final = False
    handshakes: Final = None

    def seal_server(self, endpoint: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """The same endpoint."""
        return endpoint

    def seal_client(self, endpoint: IStreamClientEndpoint, key: str | None) -> IStreamClientEndpoint:
        """The same endpoint."""
        return endpoint

    def seal_named(self, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
        """The same endpoint.

        @raise Unproven: a key is pinned there, which nobody could prove.
        """
        if isinstance(endpoint, EndpointAround) and endpoint.key is not None:
            raise Unproven("no key is proven in the open; leave out --plain, or the # and what follows it")
        return endpoint


class Sealed:
    """Every connection is sealed.

    @param clock: says when a turn ends.
    @param sessions: makes the session of each.
    @param handshakes: what seals datagrams; None to leave them in the open.
    @param judge_at: gives what judges the key at an address that somebody has typed, and the key pinned there if any;
        None for anybody, but for pinned ones.
    """

    is_sealed: Final = True

    def __init__(
        self,
        clock: IReactorTime,
        sessions: SessionMaker,
        judge_at: JudgeAt | None = None,
        handshakes: Handshakes | None = None,
    ) -> None:
        self.handshakes = handshakes
        self._sessions = sessions
        self._flusher = Flusher(clock)
        self._budgets = OpeningBudgets.of(clock)
        self._judge_at = judge_at or _pinned_only

    def seal_server(self, endpoint: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """What listens where an endpoint does."""
        return _SealedServerEndpoint(self, endpoint)

    def seal_client(self, endpoint: IStreamClientEndpoint, key: str | None) -> IStreamClientEndpoint:
        """What connects to where an endpoint does."""
        return _SealedClientEndpoint(self, endpoint, anybody if key is None else only(key))

    def seal_named(self, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
        """What connects to where an endpoint does that somebody has typed."""
        pinned = endpoint.key if isinstance(endpoint, EndpointAround) else None
        where = text_of_endpoint(endpoint)
        # Endpoints without a name of their own are all called alike, so nothing is remembered of them.
        judge_at = self._judge_at if ":" in where else _pinned_only
        return _SealedClientEndpoint(self, endpoint, judge_at(where, pinned))

    def seal(self, protocol: IProtocol, judge: Judge, *, is_dialler: bool) -> SealedTransport:
        """What carries a protocol over a connection."""
        session = self._sessions(is_dialler)
        within = (self._flusher, judge, self._refusal, self._budgets)
        return SealedTransport(session, protocol, *within, is_dialler=is_dialler)

    def _refusal(self) -> bytes:
        """What is said to who speaks in the open."""
        return frame(Codec().encode(Error(code=InTheOpen.code, info=_SEALED_HERE)))


def anybody(key: str) -> None:
    """Judge a key where any is welcome."""


def _pinned_only(where: str, pinned: str | None) -> Judge:
    return anybody if pinned is None else only(pinned)


def only(wanted: str) -> Judge:
    """Judge a key where one alone is wanted."""

    def judge(key: str) -> None:
        if key != wanted:
            raise Unproven(f"it has the key {key[:16]}, and not {wanted[:16]}")

    return judge


class _SealedFactory(Factory):
    noisy = False

    def __init__(self, security: Sealed, factory: IProtocolFactory, judge: Judge, *, is_dialler: bool) -> None:
        self._security = security
        self._factory = factory
        self._judge = judge
        self._is_dialler = is_dialler

    def doStart(self) -> None:
        self._factory.doStart()

    def doStop(self) -> None:
        self._factory.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        protocol = self._factory.buildProtocol(addr)
        return None if protocol is None else self._security.seal(protocol, self._judge, is_dialler=self._is_dialler)


@implementer(IStreamServerEndpoint)
class _SealedServerEndpoint:
    def __init__(self, security: Sealed, endpoint: IStreamServerEndpoint) -> None:
        self._security = security
        self._endpoint = endpoint

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return self._endpoint.listen(_SealedFactory(self._security, protocolFactory, anybody, is_dialler=False))


@implementer(IStreamClientEndpoint)
class _SealedClientEndpoint:
    def __init__(self, security: Sealed, endpoint: IStreamClientEndpoint, judge: Judge) -> None:
        self._security = security
        self._endpoint = endpoint
        self._judge = judge

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        sealed = _SealedFactory(self._security, protocolFactory, self._judge, is_dialler=True)
        connecting: Deferred[Any] = self._endpoint.connect(sealed)
        return connecting.addCallback(_protocol_over)


def _protocol_over(transport: SealedTransport) -> Any:
    return transport.protocol
