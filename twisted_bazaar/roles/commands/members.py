"""A command over the control socket of a tracker or an index server: who is in the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from heapq import nlargest
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from twisted.internet.defer import Deferred, succeed

from twisted_bazaar.interfaces import Command
from twisted_bazaar.roles.commands.requests import read_request
from twisted_bazaar.roles.node_ids import NodeIds

_MOST_LISTED: Final = 1000


class _List(msgspec.Struct, frozen=True):
    """A list of members.

    @ivar most: no more than these, those that joined last.
    """

    most: Annotated[int, Meta(ge=1, le=_MOST_LISTED)] = _MOST_LISTED


def members_commands(node_ids: NodeIds, role: str) -> Mapping[str, Command]:
    """What the operator of a registrar can ask about its members.

    @param node_ids: who they are.
    @param role: what the registrar is.
    """

    def tell_status(request: Mapping[str, Any]) -> Deferred[Any]:
        return succeed({"role": role, "members": len(node_ids.holders)})

    def list_members(request: Mapping[str, Any]) -> Deferred[Any]:
        asked = read_request(request, _List)
        holders, joined_at = node_ids.holders, node_ids.joined_at
        latest = nlargest(asked.most, holders, key=lambda node_id: joined_at[node_id])
        return succeed(
            {
                "total": len(holders),
                "by_kind": dict(Counter(peer.kind or "" for peer in holders.values()).most_common()),
                "members": [
                    {
                        "id": peer.id,
                        "kind": peer.kind,
                        "address": str(peer.address) if peer.address.port else None,
                        "key": peer.key,
                        "joined_at": joined_at[peer.id],
                    }
                    for peer in map(holders.__getitem__, latest)
                ],
            }
        )

    return {"status": tell_status, "members": list_members}
