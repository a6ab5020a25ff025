"""The status of a member of a ring, for its operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twisted_bazaar.discovery.ring.member.ring_node import RingNode
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.values.addresses import Address


def addresses_of(ring: Ring, contacts: Iterable[Contact]) -> Mapping[str, str]:
    """Where some nodes are, by the identifier that people call each by."""
    return {
        ring.display(contact.id): str(Address(contact.address.host, contact.port or contact.address.port))
        for contact in contacts
    }


def ring_status(member: RingNode) -> dict[str, Any]:
    """The status of a node: whether it is on the ring, and then its identifier and its neighbours."""
    if not member.is_member:
        return {"member": False}
    stabilization, text = member.stabilization, member.ring.display
    before, callers, successors = stabilization.predecessor, member.pinging_predecessors, stabilization.successors
    known = [member.own, *([] if before is None else [before]), *callers, *successors]
    return {
        "member": True,
        "ring_id": text(member.own.id),
        "predecessor": None if before is None else text(before.id),
        "callers": [text(contact.id) for contact in callers],
        "successors": [text(contact.id) for contact in successors],
        "addresses": addresses_of(member.ring, known),
    }
