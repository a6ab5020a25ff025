"""The service of one node: runs it for as long as a process lives, or until one of its roles is done."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from twisted_bazaar.console import Console
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.interfaces import IRegistrar, IRole
from twisted_bazaar.journal import Journal, entering_all, id_keeper, open_events
from twisted_bazaar.node.node import Node
from twisted_bazaar.plugin import declare_messages, load_roles
from twisted_bazaar.security.known_keys import KnownKeys
from twisted_bazaar.security.links.link_security import InTheClear, LinkSecurity, Sealed
from twisted_bazaar.security.noise.node_handshake import NoiseHandshakes
from twisted_bazaar.security.tls.tls_session import tls_sessions
from twisted_bazaar.service.config import NodeConfig
from twisted_bazaar.service.process import exit_with, expect_many_objects
from twisted_bazaar.state import SOCKET
from twisted_bazaar.system.log_lines import LEAVING, STOPPED
from twisted_bazaar.system.open_files import file_limit
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import NO_ID

# Who hands out ids to everybody, and has room for fewer, is told.
_FEW_FOR_ALL: Final = 64
# Where there is room for more, nobody but who runs a tracker needs to know.
_FEW: Final = 1_000


class NodeService(Service):
    """Runs one node for as long as the process lives, or until one of its roles is done.

    @param reactor: what the node runs on.
    @param config: its configuration.
    @param roles: what the node carries.
    @param journals: who else is told of everything worth telling.
    @ivar config: the same.
    @ivar roles: the same.
    @ivar node: the node.
    @ivar on_exit: called with an exit status when the process is to end; may be changed before it starts.
    @ivar log_observer: gets all that is logged, if twistd runs this service; None for what twistd has itself.
    """

    log: Final = Logger()

    def __init__(
        self,
        reactor: Any,
        config: NodeConfig,
        roles: Sequence[IRole],
        on_exit: Callable[[int], object],
        *journals: Journal,
    ) -> None:
        self._reactor = reactor
        self.config = config
        self.roles = roles
        self.node: Node = build_node(config, roles, reactor, *journals)
        self._console = Console(roles, self._status)
        self._started_at: float | None = None
        self.on_exit: Callable[[int], object] = on_exit
        self.log_observer: ILogObserver | None = None
        self._is_open = False

    def setServiceParent(self, parent: Any) -> None:
        """Become part of an application, which twistd asks for an observer when it begins to log."""
        if self.log_observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.log_observer)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Start the node; if that is impossible, say why and end the process."""
        super().startService()
        starting = Deferred.fromCoroutine(self.open())
        starting.addErrback(self._cannot_start)
        for role in self.roles:
            if role.finished is not None:
                role.finished.addCallback(self.on_exit)

    def stopService(self) -> Deferred[None]:
        """Leave politely; fires when every socket is closed."""
        super().stopService()
        stopped: Deferred[None] = self._console.close().addCallback(lambda _: self._stop_node())
        return stopped.addCallback(self._tell_stopped)

    def stop_now(self) -> None:
        """Leave at once: what roles are still doing is left undone."""
        self.node.stop_now()

    async def open(self) -> None:
        """Start the node, for those who want to know how that goes; L{stopService} ends it all the same.

        @raise UsageError: the roles, or the socket for commands, cannot be.
        @raise CannotListenError: the endpoint is taken or not this machine's.
        """
        config = self.config
        if config.state is not None:
            socket = config.state.path / SOCKET
            try:
                self._console.listen(self._reactor, socket)
            except (CannotListenError, OSError) as error:
                raise UsageError(f"the control socket {socket} cannot be opened: {error}") from None
        self._started_at = self._reactor.seconds()
        await self.node.start(config.listen, config.advertised, config.udp)
        if config.state is not None:
            config.state.note_start()
        self._is_open = True
        if config.is_plain:
            self.log.warn("connections are in the open: whoever sees them reads them, and no key is proven (--plain)")
        elif config.state is None and getattr(config.listen, "_port", None):
            # Where any port will do, nobody looks for it by an address that was typed.
            self.log.warn(
                "its key is another at each start (--ephemeral): who has met it at this address refuses it after the "
                "next one; --name or --state keeps the key"
            )
        if config.listen is not None:
            self._tell_room()

    def _tell_room(self) -> None:
        """Tell how many connections there is room for, where that is few or everybody links to the node.

        And whether it is fewer than there may be links.
        """
        limits = self.config.limits
        if limits.max_connections < _FEW or any(IRegistrar.providedBy(role) for role in self.roles):
            self.log.info(
                "room for {connections} connections ({files} open files)",
                connections=limits.max_connections,
                files=file_limit(),
            )
        if limits.max_connections < limits.max_links:
            self.log.warn(
                "room for fewer connections than the {links} links that this node may have: let it open more files "
                "(ulimit -n), or choose --max-links",
                links=limits.max_links,
            )
        elif limits.max_connections == limits.max_links < _FEW_FOR_ALL:
            self.log.warn(
                "room for few connections, at a node that everybody links to: let it open more files (ulimit -n)"
            )

    def _stop_node(self) -> Deferred[None]:
        if self._is_open:
            self.log.info(LEAVING)
        return self.node.stop()

    def _tell_stopped(self, result: None) -> None:
        self.log.info(STOPPED)

    def _where(self) -> str | None:
        """Where others reach it; None for nowhere."""
        host, port = self.node.advertised
        if not port:
            return None
        return f"port {port}" if host is None else str(Address(host, port))

    def _status(self) -> dict[str, Any]:
        """What the node says to C{bazaar status}."""
        node = self.node
        return {
            "id": node.id,
            "address": self._where(),
            "started_at": self._started_at,
            "key": node.key.public,
            "bazaar": node.bazaar,
            "udp": node.udp_port,
            "sealed": node.is_sealed,
            "held_bytes": node.held_bytes,
            "links": [{"id": peer.id, "key": peer.key, "address": str(peer.address)} for peer in node.peers()],
        }

    def _cannot_start(self, failure: Failure) -> None:
        if failure.check(UsageError):
            self.log.error("{reason}", reason=failure.getErrorMessage())
        elif failure.check(CannotListenError, OSError):
            self.log.error(
                "cannot listen: {reason}; choose another --listen{udp}",
                reason=failure.getErrorMessage().rstrip("."),
                udp="" if self.config.udp is None else " or --udp",
            )
        else:
            self.log.failure("the node could not start", failure)
        self.on_exit(ExitStatus.NO)


def build_service(config: NodeConfig, roles: Sequence[IRole], reactor: Any) -> NodeService:
    """Build the service of a daemon, which ends its process when one of its roles is done."""
    spared = [role.collect_after for role in roles if role.collect_after is not None]
    if spared:
        expect_many_objects(min(spared))
    return NodeService(reactor, config, roles, lambda status: exit_with(reactor, status))


def build_node(config: NodeConfig, roles: Sequence[IRole], reactor: Any, *journals: Journal) -> Node:
    """Build a node.

    @param journals: who else is told of everything worth telling.
    @raise UsageError: the file for events cannot be opened.
    """
    declare_messages()
    load_roles()
    events = open_events(config.events, reactor.seconds)
    state = config.state
    rng = random.SystemRandom()
    key = KeyPair.generate(rng) if state is None else state.key(rng)
    security: LinkSecurity = InTheClear()
    if not config.is_plain:
        security = Sealed(reactor, tls_sessions(key), KnownKeys(state).judge_at, NoiseHandshakes(key, reactor.seconds))
    told = [*journals, *([events.enter] if events else [])]
    if state is not None and not any(IRegistrar.providedBy(role) for role in roles):
        # Who hands out ids reports those of others.
        told.append(id_keeper(state))
    return Node(
        reactor,
        rng,
        key,
        roles,
        former_id=NO_ID if state is None else state.former_id,
        bazaar=config.bazaar,
        limits=config.limits,
        tracker=config.tracker,
        neighbours=config.neighbours,
        journal=entering_all(told),
        trace=events.trace if events else None,
        datagram_trace=events.trace_datagram if events else None,
        make_streams=config.transfer.streams,
        streams_first=config.transfer.comes_first,
        security=security,
    )
