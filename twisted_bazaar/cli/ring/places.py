"""Names of the machines behind places on a ring: those of the user's own nodes, and those that the system knows."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from twisted_bazaar.cli.control.client import NotThere, nodes_of_user
from twisted_bazaar.cli.terminal.errors import NegativeAnswer

# Names are worth no more than that.
_OWN_NODE_S: Final = 0.5
_LOOKED_UP_S: Final = 1.0

Addresses = Mapping[str, str]
"""Where nodes are, C{host:port}, by their places."""


class _Own(msgspec.Struct, frozen=True):
    """The ring status of one own node: its place, and the addresses of the members that it knows."""

    ring_id: str = ""
    addresses: Addresses = {}


def place_lines(places: Iterable[str], addresses: Addresses, names: Mapping[str, str]) -> Iterator[str]:
    """Lines for places, each with its name and its address as far as these are known.

    @param names: by address, as L{names_of} gives them.
    """
    for place in places:
        address = addresses.get(place, "")
        where = ", ".join(part for part in (names.get(address, ""), address) if part)
        yield f"{place}  {where}".rstrip()


def names_of(
    addresses: Iterable[Addresses],
    look_up: Callable[[str], Sequence[Any]] = socket.gethostbyaddr,
    clock: Callable[[], float] = time.monotonic,
) -> Mapping[str, str]:
    """Names for addresses: of a node of this user, and else of its machine. Those that have none are left out.

    @param look_up: gives the name of a host first; raises OSError for one that has none.
    """
    wanted = {address: place for each in addresses for place, address in each.items()}
    if not wanted:
        return {}
    names = {address: name for address, name in _own_nodes() if address in wanted}
    hosts = {address: address.rpartition(":")[0].strip("[]") for address in wanted if address not in names}
    machines = _machines({host for host in hosts.values() if not _is_here(host)}, look_up, clock)
    return {**names, **{address: machines[host] for address, host in hosts.items() if host in machines}}


def _own_nodes() -> Iterator[tuple[str, str]]:
    """The address of each node of this user that is on a ring, and its name."""
    for node in nodes_of_user():
        try:
            rows = node.rows("ring.status", _Own, within_s=_OWN_NODE_S)
        except (NotThere, NegativeAnswer):
            continue
        for row in rows:
            if row.ring_id in row.addresses:
                yield row.addresses[row.ring_id], node.name


def _machines(
    hosts: set[str], look_up: Callable[[str], Sequence[Any]], clock: Callable[[], float]
) -> Mapping[str, str]:
    """The names of machines, of those for which one comes in time."""
    names: dict[str, str] = {}

    def find(host: str) -> None:
        try:
            names[host] = str(look_up(host)[0])
        except OSError:
            # It has none.
            return

    finding = [threading.Thread(target=find, args=(host,), daemon=True) for host in sorted(hosts)]
    deadline = clock() + _LOOKED_UP_S
    for thread in finding:
        thread.start()
    for thread in finding:
        thread.join(max(0.0, deadline - clock()))
    return dict(names)


def _is_here(host: str) -> bool:
    """Whether a host is this machine, or is no address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
