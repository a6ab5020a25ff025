"""The status of a member of a ring, for its operator."""

from __future__ import annotations

from typing import Any

from twisted_bazaar.discovery.ring.member.ring_node import RingNode


def ring_status(member: RingNode) -> dict[str, Any]:
    """The status of a node: whether it is on the ring, and then its identifier and its neighbours."""
    if not member.is_member:
        return {"member": False}
    stabilization, text = member.stabilization, member.ring.display
    before = stabilization.predecessor
    return {
        "member": True,
        "ring_id": text(member.own.id),
        "predecessor": None if before is None else text(before.id),
        "callers": [text(contact.id) for contact in member.pinging_predecessors],
        "successors": [text(contact.id) for contact in stabilization.successors],
    }
