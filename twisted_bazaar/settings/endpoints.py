"""Endpoints and addresses as options write them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

from twisted_bazaar.errors import UsageError
from twisted_bazaar.security.known_keys import split_pin
from twisted_bazaar.security.links.link_security import PinnedEndpoint
from twisted_bazaar.settings.endpoint_faults import client_fault, server_fault
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import check_host

NOWHERE: Final = "none"
# How many connections the system takes before this process does; it may have a bound of its own.
_BACKLOG: Final = 1_024
_LARGEST_PORT: Final = 65_535
# What Twisted raises for what it cannot read; the last three where a library or a file is missing.
_UNREADABLE: Final = (ValueError, TypeError, LookupError, ImportError, NameError, OSError)


class UsualPort(IntEnum):
    """The port where those listen who are asked, if nothing else is said: on this machine only."""

    TRACKER = 9000
    INDEX_SERVER = 9100
    SUPER_PEER = 9200

    @property
    def to_connect(self) -> str:
        """The client endpoint of one on this machine."""
        return f"tcp:127.0.0.1:{self.value}"

    @property
    def to_listen(self) -> str:
        """The server endpoint of one."""
        return f"tcp:{self.value}:interface=127.0.0.1"


UdpPlace = tuple[str, int]
"""The interface, empty for all, and the port; 0 for any that is free."""


def client_endpoint(
    reactor: Any, text: str | None, option: str, such_as: str = UsualPort.TRACKER.to_connect
) -> IStreamClientEndpoint | None:
    """The endpoint to connect to that an option names, with the key pinned there if any; None for nowhere.

    @param such_as: what it may be, for the error.
    @raise UsageError: it is no endpoint.
    """
    if text is None or text == NOWHERE:
        return None
    try:
        text, key = split_pin(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: {error}") from None
    try:
        endpoint: IStreamClientEndpoint = clientFromString(reactor, text)
        _check_port(getattr(endpoint, "_port", 0))
    except _UNREADABLE:
        raise UsageError(f"{option} {text!r}: {client_fault(text, such_as)}") from None
    return endpoint if key is None else PinnedEndpoint(endpoint, key)


def server_endpoint(reactor: Any, text: str) -> IStreamServerEndpoint | None:
    """The endpoint to listen on that C{--listen} names; None for nowhere.

    @raise UsageError: it is no endpoint.
    """
    if text == NOWHERE:
        return None
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, _with_backlog(text))
        _check_port(getattr(endpoint, "_port", 0))
    except _UNREADABLE:
        raise UsageError(f"--listen {text!r}: {server_fault(text)}") from None
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
    if isinstance(port, int) and not 0 <= port <= _LARGEST_PORT:
        raise ValueError(f"{port} is not a port")


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
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _LARGEST_PORT):
        raise UsageError(f"{option} {text!r}: {port!r} is not a port")
    return Address(host, int(port))


def parse_udp(text: str, usual_host: str) -> UdpPlace:
    """Read C{PORT} or C{HOST:PORT}; an IPv6 host stands in brackets.

    @raise UsageError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if colon:
        try:
            check_host(host)
        except ValueError:
            raise UsageError(f"--udp {text!r}: write a port, or HOST:PORT such as 192.0.2.7:9200") from None
    if not (port.isascii() and port.isdigit() and int(port) <= _LARGEST_PORT):
        raise UsageError(f"--udp {text!r}: {port!r} is not a port; write one such as 9200")
    return host if colon else usual_host, int(port)
