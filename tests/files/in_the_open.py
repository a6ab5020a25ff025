"""Connections in the open, for what fetches without a node."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.files.download.happy_eyeballs import ConnectTo
from twisted_bazaar.system.tcp_endpoint import tcp_endpoint
from twisted_bazaar.values.addresses import Address

_PATIENCE_S = 4.0


def in_the_open(reactor: Any) -> ConnectTo:
    """What connects by a reactor, and proves nothing."""

    def connect_to(address: Address, key: str | None = None, timeout_s: float | None = None) -> IStreamClientEndpoint:
        return tcp_endpoint(reactor, address.host, address.port, timeout_s or _PATIENCE_S)

    return connect_to
