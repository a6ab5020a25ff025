"""Addresses of nodes, their identity, and the ways between them. Sans-IO."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

import msgspec
from attrs import field, frozen

Route = tuple[int, ...]
"""Ids of nodes, this node first and the one to reach last; two ids are a direct link."""


class Address(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """An address where a node listens.

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


def text_of_endpoint(endpoint: object) -> str:
    """A client endpoint as a command line names it, such as C{tcp:127.0.0.1:9000}."""
    host, port, path = (getattr(endpoint, name, None) for name in ("_host", "_port", "_path"))
    if host is not None and port is not None:
        return f"tcp:{f'[{host}]' if ':' in host else host}:{port}"
    return f"unix:{path}" if path is not None else "an endpoint"


@lru_cache(maxsize=1024)
def _is_local(host: str) -> bool:
    ip = ip_address(host)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_loopback or ip.is_unspecified


@lru_cache(maxsize=1024)
def plain_host(host: str) -> str:
    """A host as it is called everywhere: IPv4 where it is IPv4 in IPv6 clothes."""
    ip = ip_address(host)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return host


@lru_cache(maxsize=1024)
def network_of(host: str) -> str:
    """The network that a host is charged under: one IPv6 address counts as the 2**64 around it."""
    return str(ip_network(f"{host.partition('%')[0]}/64", strict=False)) if ":" in host else host


LEAST_OF_KEY: Final = 8
"""So many hexadecimal digits of its key are shown of a node, and are enough to name it."""


@frozen
class Peer:
    """A node at the other end of an open link.

    @ivar id: its short handle for paths.
    @ivar key: its public key, which is its identity.
    @ivar address: where others can reach it.
    @ivar kind: what it says it is, for those that look for such nodes.
    @ivar udp_port: where on the same host it takes datagrams; 0 if nowhere.
    @ivar seen_host: where its link leads to, whatever it says of itself; empty where it is linked no more.
    """

    id: int
    key: str
    address: Address
    kind: str | None = None
    udp_port: int = 0
    seen_host: str = field(default="", eq=False)

    @property
    def network(self) -> str:
        """The network to which what this peer takes up is charged."""
        return network_of(self.seen_host or self.address.host)

    def is_named(self, name: str) -> bool:
        """Whether a user means it: by its id, or by enough of the beginning of its key."""
        return str(self.id) == name or (len(name) >= LEAST_OF_KEY and self.key.startswith(name))


@frozen
class Origin:
    """The origin of a message.

    @ivar id: the node that sent it first.
    @ivar route: the way back there, as L{INode.send} takes it: it begins with this node and ends with that one.
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
