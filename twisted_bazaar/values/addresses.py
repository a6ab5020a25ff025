"""Where nodes are, who they are, and the ways between them. Sans-IO."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from attrs import frozen

Route = tuple[int, ...]
"""Ids of nodes, this node first and the one to reach last; two ids are a direct link."""


@frozen
class Address:
    """Where a node listens.

    @ivar host: an IP address.
    @ivar port: a TCP port; 0 when the node takes no connections.
    """

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether it leads back to the machine of whoever reads it."""
        return _is_local(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@lru_cache(maxsize=1024)
def _is_local(host: str) -> bool:
    ip = ip_address(host)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_loopback or ip.is_unspecified


@frozen
class Peer:
    """A node at the other end of an open link.

    @ivar id: its short handle for paths.
    @ivar key: its public key, which is its identity.
    @ivar address: where others can reach it.
    """

    id: int
    key: str
    address: Address


@frozen
class Origin:
    """Where a message came from.

    @ivar id: the node that sent it first.
    @ivar route: the way back there from this node.
    """

    id: int
    route: Route

    @property
    def is_direct(self) -> bool:
        """Whether it came over a link of its own."""
        return len(self.route) == 2


@frozen
class Whereabouts:
    """A node that somebody has named.

    @ivar address: where it takes links.
    @ivar udp_port: where on the same host it takes datagrams; 0 if nowhere, or if that is not known.
    """

    id: int
    address: Address
    udp_port: int = 0
