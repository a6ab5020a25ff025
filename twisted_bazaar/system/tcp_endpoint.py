"""An endpoint that connects to an IP address and port."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint


def tcp_endpoint(reactor: Any, host: str, port: int, timeout_s: float) -> IStreamClientEndpoint:
    """What connects to a port of an IP address, of either version.

    @param timeout_s: how long to try.
    """
    kind = TCP6ClientEndpoint if ip_address(host).version == 6 else TCP4ClientEndpoint
    endpoint: IStreamClientEndpoint = kind(reactor, host, port, timeout=timeout_s)
    return endpoint
