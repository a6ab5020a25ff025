"""Limits and places that follow from a node's roles: room for leaves, no neighbours, a socket for datagrams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.roles.super_peer import LEAVES
from twisted_bazaar.service import (
    FIND_OUT_SOON,
    MOST_DIRECT_LINKS,
    expect_many_objects,
    server_endpoint,
)
from twisted_bazaar.taps.finding import MAY_LEAD
from twisted_bazaar.values.needs import UdpNeed
from twisted_bazaar.wire.message import check_host

UdpPlace = tuple[str, int]
"""The interface, empty for all, and the port; 0 for any that is free."""

# Other super peers, and weak peers that are told who has room.
_OTHER_LINKS: Final = 64
_LARGEST_PORT: Final = 65_535
# Weak peers come and go, and each leaves some garbage: with more at once the reactor would feel it.
_ALLOCATIONS_TO_COLLECT: Final = 20_000


def make_room_for_leaves(options: Mapping[str, Any]) -> dict[str, Any]:
    """Let weak peers link to this node; what the user has chosen stays.

    @param options: those of a super peer, or of one that may become it.
    @return: the options, and what follows from that.
    """
    expect_many_objects(_ALLOCATIONS_TO_COLLECT)
    most = int(options.get("leaves") or LEAVES) + _OTHER_LINKS
    # When a super peer dies, all of its weak peers may come here at once.
    limits = [f"max-greeting={most}", *(f"{name.replace('_', '-')}={value:g}" for name, value in FIND_OUT_SOON.items())]
    settings = {**options, "limit": [*limits, *options.get("limit", ())]}
    if settings["max-links"] is None:
        settings["max-links"] = str(most + (MOST_DIRECT_LINKS if options[MAY_LEAD] else 0))
    return settings


def without_neighbours(options: Mapping[str, Any], roles: Sequence[IRole]) -> dict[str, Any]:
    """Let a node look for no neighbours if none of its roles asks any; what the user has chosen stays.

    @return: the options, and what follows from that.
    """
    settings = dict(options)
    if not any(role.needs_neighbours for role in roles):
        if settings["min-links"] is None:
            settings["min-links"] = "0"
        if settings["max-links"] is None:
            # Each is to one node, for a while.
            settings["max-links"] = str(MOST_DIRECT_LINKS)
    return settings


def udp_place(options: Mapping[str, Any], roles: Sequence[IRole], reactor: Any) -> UdpPlace | None:
    """Where a node takes datagrams; None for nowhere.

    If nothing is said, it takes them where one of its roles needs it to.

    @raise UsageError: it needs a place and has none, or what is said is none.
    """
    text: str | None = options["udp"]
    needs: list[UdpNeed] = [role.udp_need for role in roles if role.udp_need is not None]
    for need in needs:
        if need.no_links is not None and options["listen"] == "none":
            raise UsageError(f"--listen none: {need.no_links}")
        if text == "none":
            raise UsageError(f"--udp none: {need.no_udp}")
    if text == "none":
        return None
    interface, port = _place_of_links(options["listen"], reactor, is_needed=text is None and bool(needs))
    if text is not None:
        return _read(text, interface)
    if not needs:
        return None
    return interface, port if any(need.beside_links for need in needs) else 0


def _place_of_links(listen: str, reactor: Any, *, is_needed: bool) -> UdpPlace:
    """The interface and the port of an endpoint, as far as it has any.

    @param is_needed: whether datagrams are to be taken there too.
    @raise UsageError: they are, and it has no port.
    """
    endpoint = server_endpoint(reactor, listen)
    if endpoint is not None and is_needed and not isinstance(getattr(endpoint, "_port", None), int):
        raise UsageError(f"--listen {listen!r}: no datagrams come there; say where, with --udp such as 127.0.0.1:9200")
    interface, port = getattr(endpoint, "_interface", ""), getattr(endpoint, "_port", 0)
    return interface if isinstance(interface, str) else "", port if isinstance(port, int) else 0


def _read(text: str, usual_host: str) -> UdpPlace:
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
