"""Dispatch of messages to the roles of a node. Two roles of one node may not want the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IRole, Opening
from twisted_bazaar.node.datagrams.cookies import ENVELOPE_KEYS
from twisted_bazaar.node.datagrams.datagram_socket import DatagramClaim
from twisted_bazaar.values.addresses import Origin
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import MESSAGE_TYPES, Message

Claim = Callable[[Any, Origin], None]

T = TypeVar("T")


def claims_of(roles: Sequence[IRole]) -> tuple[dict[type[Message], Claim], list[Claim]]:
    """The role that takes each class of message that comes over a link, and the roles that take errors.

    @raise UsageError: two roles take one class.
    """
    error_claims: list[Claim] = []
    tables: list[tuple[IRole, dict[type[Message], Claim]]] = []
    for role in roles:
        error_claims += [method for cls, method in role.receives.items() if issubclass(cls, Error)]
        tables.append((role, {cls: method for cls, method in role.receives.items() if not issubclass(cls, Error)}))
    return _joined(tables, "both take"), error_claims


def datagram_claims_of(roles: Sequence[IRole]) -> dict[type[Message], DatagramClaim]:
    """The role that takes each class of message that comes by datagram.

    @raise UsageError: two roles take one class, or it cannot come by datagram.
    """
    for role in roles:
        for cls in role.datagrams:
            if issubclass(cls, Error) or ENVELOPE_KEYS.intersection(cls.__struct_encode_fields__):
                raise UsageError(f"{type(role).__name__} takes {cls.__name__}, which cannot go by datagram")
    return _joined([(role, role.datagrams) for role in roles], "both take datagrams of")


def openings_of(roles: Sequence[IRole]) -> dict[type[Message], Opening]:
    """The role that takes over connections that begin with each class of message.

    @raise UsageError: two roles want those that begin with the same.
    """
    openings: dict[type[Message], Opening] = {}
    for role in roles:
        for cls, opening in role.openings.items():
            if cls in openings:
                raise UsageError(f"two roles take connections that begin with {cls.__name__}; run them as two nodes")
            openings[cls] = opening
    return openings


def _joined(tables: Sequence[tuple[IRole, Mapping[type[Message], T]]], both: str) -> dict[type[Message], T]:
    joined: dict[type[Message], T] = {}
    owners: dict[type[Message], IRole] = {}
    for role, table in tables:
        for cls, method in table.items():
            if cls in joined:
                names = sorted(type(each).__name__ for each in (owners[cls], role))
                raise UsageError(f"{names[0]} and {names[1]} {both} {cls.__name__}; run them as two nodes")
            if cls not in MESSAGE_TYPES.values():
                raise UsageError(f"{type(role).__name__} takes {cls.__name__}, which has no wire name")
            joined[cls] = method
            owners[cls] = role
    return joined
