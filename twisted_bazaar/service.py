"""The service that runs one node, built from the options of a command line."""

from __future__ import annotations

import atexit
import gc
import os
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve, fields_dict
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.console import Console
from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.udp import Transfer
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.interfaces import IDiscoveryMethod, IErrand, IRegistrar, IRole, ISelfNumbered
from twisted_bazaar.journal import Journal, entering_all, id_keeper, open_events
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.node import Node
from twisted_bazaar.plugin import TRANSFER, WAY, declare_messages, load_roles
from twisted_bazaar.state import SOCKET, STATE, StateDirectory
from twisted_bazaar.system.open_files import file_limit, raise_file_limit
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.goods import BAZAAR, check_item_name
from twisted_bazaar.wire.message import NO_ID, check_host

CANNOT_START: Final = 1
MOST_DIRECT_LINKS: Final = 256
# Who hands out ids to everybody, and has room for fewer, is told.
_FEW_FOR_ALL: Final = 64
FIND_OUT_SOON: Final[Mapping[str, Any]] = {"ping_s": 2.5, "silence_s": 7.5}
"""The limits of those who must find out soon that somebody has died: weak peers and super peers."""
_ID_GIVERS: Final = {
    "tracker": "a tracker; start one with bazaar-tracker",
    "index": "its index server; start one with bazaar-node --role index_server",
}
_ALLOCATIONS_TO_COLLECT: Final = 200_000
# How many connections the system takes before this process does; it may have a bound of its own.
_BACKLOG: Final = 1_024


class NodeService(Service):
    """Runs one node for as long as the process lives, or until one of its roles is done.

    @param reactor: what the node runs on.
    @param node: the node.
    @param endpoint: where it listens; None for nowhere.
    @param advertised: where others reach it, when that is somewhere else.
    @param roles: what the node carries.
    @param socket: where its operator can ask it things; None for nowhere.
    @param exit_with: called with an exit status when the process is to end.
    @param udp: the interface and the port where it takes datagrams; None for nowhere.
    """

    log: Final = Logger()

    def __init__(
        self,
        reactor: Any,
        node: Node,
        endpoint: IStreamServerEndpoint | None,
        advertised: Address | None,
        roles: Sequence[IRole],
        socket: Path | None,
        exit_with: Callable[[int], None],
        udp: tuple[str, int] | None = None,
    ) -> None:
        self._reactor = reactor
        self._node = node
        self._endpoint = endpoint
        self._advertised = advertised
        self._roles = roles
        self._socket = socket
        self._console = Console(roles, self._status)
        self._exit_with = exit_with
        self._udp = udp

    def startService(self) -> None:
        """Start the node; if that is impossible, say why and end the process."""
        super().startService()
        starting = Deferred.fromCoroutine(self.open())
        starting.addErrback(self._cannot_start)
        for role in self._roles:
            if IErrand.providedBy(role):
                role.finished.addCallback(self._exit_with)

    def stopService(self) -> Deferred[None]:
        """Leave politely; fires when every socket is closed."""
        super().stopService()
        return self._console.close().addCallback(lambda _: self._node.stop())

    def hurry(self) -> None:
        """Leave at once: what roles are still doing is left undone."""
        self._node.hurry()

    async def open(self) -> None:
        """Start the node, for those who want to know how that goes; L{stopService} ends it all the same.

        @raise UsageError: the roles, or the socket for commands, cannot be.
        @raise CannotListenError: the endpoint is taken or not this machine's.
        """
        if self._socket is not None:
            try:
                self._console.listen(self._reactor, self._socket)
            except (CannotListenError, OSError) as error:
                raise UsageError(f"no socket for commands at {self._socket}: {error}") from None
        await self._node.start(self._endpoint, self._advertised, self._udp)
        if self._endpoint is not None:
            self._tell_room()

    def _tell_room(self) -> None:
        """Tell how many connections there is room for, and whether that is fewer than there may be links."""
        limits = self._node.limits
        self.log.info(
            "connections from others: room for {connections}, as this process may open {files} files",
            connections=limits.max_connections,
            files=file_limit(),
        )
        if limits.max_connections < limits.max_links:
            self.log.warn(
                "fewer than the {links} links it may have: let it open more files (ulimit -n), or choose --max-links",
                links=limits.max_links,
            )
        elif limits.max_connections == limits.max_links < _FEW_FOR_ALL:
            self.log.warn("that is few for a node that everybody links to: let it open more files (ulimit -n)")

    def _status(self) -> dict[str, Any]:
        """What the node says to C{bazaar status}."""
        node = self._node
        return {
            "id": node.id,
            "key": node.key.public,
            "bazaar": node.bazaar,
            "udp": node.udp_port,
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
                udp="" if self._udp is None else " or --udp",
            )
        else:
            self.log.failure("the node could not start", failure)
        self._exit_with(CANNOT_START)


def build_service(
    options: Mapping[str, Any], roles: Sequence[IRole], reactor: Any, udp: tuple[str, int] | None = None
) -> NodeService:
    """Build the service of one node.

    @param options: what the options common to all nodes were given.
    @param udp: the interface and the port where it takes datagrams; None for nowhere.
    @raise UsageError: an option cannot be read; the text says which and why.
    """
    registrar = _registrar_of(options, roles)
    if options.get("advertise") and options["listen"] == "none":
        raise UsageError("--advertise goes with --listen; a node that does not listen cannot be reached")
    state: StateDirectory | None = options.get(STATE)
    node = build_node(options, roles, reactor, client_endpoint(reactor, options.get(registrar), f"--{registrar}"))
    return NodeService(
        reactor,
        node,
        server_endpoint(reactor, options["listen"]),
        parse_address(options["advertise"], "--advertise") if options.get("advertise") else None,
        roles,
        None if state is None else state.path / SOCKET,
        lambda status: exit_with(reactor, status),
        udp,
    )


def build_node(
    options: Mapping[str, Any],
    roles: Sequence[IRole],
    reactor: Any,
    tracker: IStreamClientEndpoint | None,
    *told: Journal,
) -> Node:
    """Build a node.

    @param options: what the options common to all nodes were given.
    @param tracker: who gives it its id; None if nobody does.
    @param told: who else is told of everything worth telling.
    @raise UsageError: an option cannot be read; the text says which and why.
    """
    declare_messages()
    load_roles()
    limits = parse_limits(usual_limits(options.get(WAY)), options)
    # Before more files are opened: who hands out ids may have as many links as there were found to be connections.
    limits = evolve(limits, max_connections=min(limits.max_connections, raise_file_limit().connections))
    events = open_events(options.get("events"), reactor.seconds)
    state: StateDirectory | None = options.get(STATE)
    transfer: Transfer = options.get(TRANSFER) or Transfer()
    rng = random.SystemRandom()
    journals: list[Journal] = [*told, *([events.enter] if events else [])]
    if state is not None:
        journals.append(id_keeper(state))
    return Node(
        reactor,
        rng,
        KeyPair.generate(rng) if state is None else state.key(rng),
        roles,
        former_id=NO_ID if state is None else state.former_id,
        bazaar=parse_bazaar(options.get("bazaar") or BAZAAR),
        limits=limits,
        tracker=tracker,
        neighbours=[_present(client_endpoint(reactor, text, "--connect")) for text in options.get("connect", ())],
        journal=entering_all(journals),
        trace=events.trace if events else None,
        datagram_trace=events.trace_datagram if events else None,
        make_streams=transfer.streams,
        streams_first=transfer.comes_first,
    )


def _registrar_of(options: Mapping[str, Any], roles: Sequence[IRole]) -> str:
    """The name of the option that says who gives a node its id.

    @raise UsageError: nobody does.
    """
    way: IDiscoveryMethod | None = options.get(WAY)
    registrar = (None if way is None else way.registrar) or "tracker"
    if any(IRegistrar.providedBy(role) for role in roles):
        if way is not None and not way.needs_links:
            raise UsageError(f"--via {way.name}: who hands out ids has nobody to ask; run two nodes")
    elif options.get(registrar) == "none" and not any(ISelfNumbered.providedBy(role) for role in roles):
        raise UsageError(f"--{registrar} none: a node gets its id from {_ID_GIVERS[registrar]}")
    return registrar


def usual_limits(way: IDiscoveryMethod | None) -> Limits:
    """The limits of a node whose user names none."""
    if way is None or way.needs_links:
        return Limits()
    # No search comes by its links: each is to one node, for a while.
    limits = Limits(min_links=0, max_links=MOST_DIRECT_LINKS)
    return evolve(limits, **FIND_OUT_SOON) if way.registrar is None else limits


def exit_with(reactor: Any, status: int) -> None:
    """Stop the reactor and give the process an exit status.

    twistd always exits with 0 and offers no other way, so the status is set when the interpreter
    has done everything else.
    """

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    if status:
        atexit.register(leave)
    reactor.callWhenRunning(_stop_once, reactor)


def expect_many_objects(allocations: int = _ALLOCATIONS_TO_COLLECT) -> None:
    """Spare this process the repeated search for garbage among objects that live as long as their link.

    @param allocations: after so many more than have been let go of it is searched for; what is found at once is to be
        let go of at once, so who has links that come and go takes fewer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(allocations, 20, 20)


def parse_bazaar(name: str) -> str:
    """Read the name of a bazaar.

    @raise UsageError: it is too long, or could be read differently by two people.
    """
    try:
        check_item_name(name)
    except ValueError as error:
        raise UsageError(f"--bazaar {name!r}: {str(error).removeprefix('item: ')}") from None
    if len(name) > 64:
        raise UsageError(f"--bazaar {name!r}: {len(name)} characters; 1 to 64 are taken")
    return name


def parse_limits(limits: Limits, options: Mapping[str, Any]) -> Limits:
    """Change limits as C{--max-links}, C{--min-links} and C{--limit NAME=VALUE} say.

    @raise UsageError: there is no such limit, or the value is not a positive number.
    """
    known = fields_dict(Limits)
    changes = [f"{name}={options[name]}" for name in ("max-links", "min-links") if options.get(name) is not None]
    for text in [*changes, *options.get("limit", ())]:
        name, _, value = text.partition("=")
        attribute = known.get(name.replace("-", "_"))
        if attribute is None:
            names = ", ".join(each.replace("_", "-") for each in known)
            raise UsageError(f"--limit {text!r}: there is no such limit; the limits are {names}")
        least = 0 if name == "min-links" else 1
        try:
            number = float(value) if isinstance(attribute.default, float) else int(value)
        except ValueError:
            number = -1
        if not least <= number <= 2**40:
            option = name if name in ("max-links", "min-links") else f"limit {name}"
            raise UsageError(f"--{option} must be a number of {least} or more, not {value!r}")
        changed: dict[str, Any] = {attribute.name: number}
        limits = evolve(limits, **changed)
    if limits.min_links > limits.max_links:
        limits = evolve(limits, min_links=limits.max_links)
    return limits


def parse_address(text: str, option: str) -> Address:
    """Read C{HOST:PORT}; an IPv6 host stands in brackets.

    @raise UsageError: it is neither.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        check_host(host)
    except ValueError:
        raise UsageError(f"{option} {text!r}: write an IP address and a port, such as 192.0.2.7:9001") from None
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(f"{option} {text!r}: {port!r} is not a port")
    return Address(host, int(port))


def _stop_once(reactor: Any) -> None:
    if reactor.running:
        reactor.stop()


def _present(endpoint: IStreamClientEndpoint | None) -> IStreamClientEndpoint:
    if endpoint is None:
        raise UsageError("--connect needs an endpoint, such as tcp:127.0.0.1:9001")
    return endpoint


def client_endpoint(
    reactor: Any, text: str | None, option: str, such_as: str = "tcp:127.0.0.1:9000"
) -> IStreamClientEndpoint | None:
    """What an option names to connect to; None for nowhere.

    @param such_as: what it may be, for the error.
    @raise UsageError: it is no endpoint.
    """
    if text is None or text == "none":
        return None
    try:
        endpoint: IStreamClientEndpoint = clientFromString(reactor, text)
        _check_port(getattr(endpoint, "_port", 0))
    except (ValueError, TypeError, LookupError):
        raise UsageError(f"{option} {text!r}: not an endpoint; write one such as {such_as}") from None
    return endpoint


def server_endpoint(reactor: Any, text: str) -> IStreamServerEndpoint | None:
    """What C{--listen} names to listen on; None for nowhere.

    @raise UsageError: it is no endpoint.
    """
    if text == "none":
        return None
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, _with_backlog(text))
        _check_port(getattr(endpoint, "_port", 0))
    except (ValueError, TypeError, LookupError):
        raise UsageError(f"--listen {text!r}: not an endpoint; write one such as tcp:9001, or none") from None
    return endpoint


def _with_backlog(text: str) -> str:
    """The same endpoint, with room for many who connect at once.

    Twisted's 50 are soon full, and the system answers who is one too many after a second, then two, then four.
    """
    kind, _, rest = text.partition(":")
    return f"{text}:backlog={_BACKLOG}" if kind in ("tcp", "tcp6") and rest and "backlog=" not in rest else text


def _check_port(port: object) -> None:
    """Refuse what Twisted would only find out when it listens or connects.

    @raise ValueError: it is a number that no port has.
    """
    if isinstance(port, int) and not 0 <= port < 65536:
        raise ValueError(f"{port} is not a port")
