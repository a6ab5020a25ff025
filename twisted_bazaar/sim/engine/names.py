"""Name resolution of simulated machines: there are addresses and C{localhost}, and all other names fail."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

InternetAddress = IPv4Address | IPv6Address

ANY: Final = ("0.0.0.0", "::")
LOOPBACK: Final = ("127.0.0.1", "::1")
_MAPPED: Final = "::ffff:"


def make_address(kind: str, host: str, port: int) -> InternetAddress:
    """An address object.

    @param kind: C{TCP} or C{UDP}.
    @raise ValueError: the host is not an IP address.
    """
    ip = ip_address(LOOPBACK[0] if host == "localhost" else host)
    family = IPv6Address if ip.version == 6 else IPv4Address
    return family(kind, str(ip), port)  # type: ignore[arg-type]


def is_v6(host: str) -> bool:
    """Whether an IP address is one of version 6."""
    return ":" in host


def map_to_v6(address: InternetAddress) -> IPv6Address:
    """What a socket of version 6 shows of an address of version 4."""
    return IPv6Address("TCP", _MAPPED + address.host, address.port)


@implementer(IHostResolution)
class _Resolution:
    """One look-up, done as soon as it began."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Too late."""


@implementer(IHostnameResolver)
class AddressResolver:
    """Finds addresses, and no names."""

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        """Tell the address that the name is, if it is one."""
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        try:
            address = make_address(transportSemantics, hostName, portNumber)
        except ValueError:
            pass
        else:
            if addressTypes is None or type(address) in addressTypes:
                resolutionReceiver.addressResolved(address)
        resolutionReceiver.resolutionComplete()
        return resolution
