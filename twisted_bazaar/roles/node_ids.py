"""The ids that a node hands out which others are registered with: a tracker, an index server.

A node that comes back is known by its key, or by the id it says it had, so that one who lost its memory learns its
nodes again from their greetings.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.values.addresses import Peer

LIMITS: Final[Mapping[str, Any]] = {"max_links": 100_000, "max_greeting": 4_096}
"""Limits of a node to which everybody links: thousands may greet at once when it comes back."""
MANY_OBJECTS: Final = 200_000
_ID_BITS: Final = 31
_REMEMBERED: Final = 16_384
_REMEMBERED_S: Final = 3600.0
_SPARE: Final = 64


class NodeIds:
    """Ids, and whose they are.

    @param rng: the source of new ones.
    @ivar holders: who is linked now, by id.
    @ivar joined_at: since when, in seconds; a node that is linked anew meanwhile has been there all the time.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.holders: dict[int, Peer] = {}
        self.joined_at: dict[int, float] = {}
        self._ids: dict[str, int] = {}
        self._gone: FairTable[str, int] = FairTable(_REMEMBERED, _REMEMBERED_S)
        # Whose each of these was. What is no longer true is let go of now and then: a second table would take as much
        # as the first.
        self._kept_for: dict[int, str] = {}

    def assign_id(self, key: str, claimed: int, now: float) -> int:
        """The id of the node that just greeted: its old one if it had one and it is free."""
        remembered = self._ids.get(key) or self._gone.get(key, now)
        for node_id in (remembered, claimed):
            if node_id is not None and 0 < node_id < 1 << _ID_BITS and self._is_free(node_id, key, now):
                return node_id
        while True:
            node_id = self._rng.getrandbits(_ID_BITS)
            if node_id and self._is_free(node_id, key, now):
                return node_id

    def id_taken(self, peer: Peer, now: float) -> None:
        """A node uses its id."""
        self.holders[peer.id] = peer
        self.joined_at.setdefault(peer.id, now)
        self._ids[peer.key] = peer.id

    def id_freed(self, peer: Peer, now: float) -> bool:
        """A node has gone; its id is kept for it for a while.

        @return: whether it was there; not so if a newer link of the same node has taken over.
        """
        if self.holders.get(peer.id) != peer:
            return False
        del self.holders[peer.id], self.joined_at[peer.id]
        self._ids.pop(peer.key, None)
        # Not where it says that it is: it could say anything.
        self._gone.put(peer.key, peer.id, peer.network, now)
        self._kept_for[peer.id] = peer.key
        if len(self._kept_for) > 2 * len(self._gone) + _SPARE:
            self._kept_for = {node_id: key for key, node_id in self._gone.items(now)}
        return True

    def _is_free(self, node_id: int, key: str, now: float) -> bool:
        listed = self.holders.get(node_id)
        if listed is not None:
            return listed.key == key
        holder = self._kept_for.get(node_id)
        return holder is None or holder == key or self._gone.get(holder, now) != node_id
