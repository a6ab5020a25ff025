"""The ids that a node hands out which others are registered with: a tracker, an index server.

A node that comes back is known by its key, or by the id it says it had, so that one who lost its memory learns its
nodes again from their greetings.
"""

from __future__ import annotations

import random
from typing import Final

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.values.addresses import Peer

_ID_BITS: Final = 31
# Each takes 1.4 KB, with its key in two tables.
_REMEMBERED: Final = 16_384
_REMEMBERED_S: Final = 3600.0


class Numbers:
    """Ids, and whose they are.

    @param rng: the source of new ones.
    @ivar holders: who is linked now, by id.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.holders: dict[int, Peer] = {}
        self._ids: dict[str, int] = {}
        self._gone: FairTable[str, int] = FairTable(_REMEMBERED, _REMEMBERED_S)
        self._kept_for: FairTable[int, str] = FairTable(_REMEMBERED, _REMEMBERED_S)

    def number(self, key: str, claimed: int, now: float) -> int:
        """The id of the node that just greeted: its old one if it had one and it is free."""
        remembered = self._ids.get(key) or self._gone.get(key, now)
        for node_id in (remembered, claimed):
            if node_id is not None and 0 < node_id < 1 << _ID_BITS and self._is_free(node_id, key, now):
                return node_id
        while True:
            node_id = self._rng.getrandbits(_ID_BITS)
            if node_id and self._is_free(node_id, key, now):
                return node_id

    def joined(self, peer: Peer) -> None:
        """A node uses its id."""
        self.holders[peer.id] = peer
        self._ids[peer.key] = peer.id

    def left(self, peer: Peer, now: float) -> bool:
        """A node has gone; its id is kept for it for a while.

        @return: whether it was there; not so if a newer link of the same node has taken over.
        """
        if self.holders.get(peer.id) != peer:
            return False
        del self.holders[peer.id]
        self._ids.pop(peer.key, None)
        # Not where it says that it is: it could say anything.
        host = peer.network
        self._gone.put(peer.key, peer.id, host, now)
        self._kept_for.put(peer.id, peer.key, host, now)
        return True

    def _is_free(self, node_id: int, key: str, now: float) -> bool:
        listed = self.holders.get(node_id)
        holder = listed.key if listed is not None else self._kept_for.get(node_id, now)
        return holder is None or holder == key
