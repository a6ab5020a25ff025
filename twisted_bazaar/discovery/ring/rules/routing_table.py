"""The routing state of a Chord node: its neighbours, its fingers, and the contacts that failed lately. Sans-IO."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from twisted_bazaar.discovery.ring.rules.fingers import Fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply, reply_for
from twisted_bazaar.discovery.ring.rules.owner_estimate import OwnerEstimate
from twisted_bazaar.discovery.ring.rules.pinging_predecessors import PingingPredecessors
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.settings import Settings
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization

# Lists go from one node to the one before it in each round, when the first has noticed who is dead.
_ROUNDS_TO_NOTICE: Final = 2
# A caller that has been silent for so many rounds calls no longer.
_CALLING_ROUNDS: Final = 2.5


@frozen
class RoutingTable:
    """The routing table of one node.

    @ivar stabilization: its successors and its predecessor.
    @ivar fingers: whom it knows farther away.
    @ivar failed: who has not answered lately.
    @ivar owners: of all these, who probably keeps what stands at an identifier.
    @ivar callers: who pings it over and over.
    """

    ring: Ring
    stabilization: Stabilization
    fingers: Fingers
    failed: RecentlyFailed
    owners: OwnerEstimate
    callers: PingingPredecessors

    @classmethod
    def empty(cls, own: Contact, ring: Ring, settings: Settings) -> RoutingTable:
        """The table of a node that knows nobody yet.

        @param own: that node.
        """
        failed = RecentlyFailed()
        fingers = Fingers(own.id, ring, failed=failed)
        stabilization = Stabilization(
            own,
            ring,
            settings.successors,
            failed=failed,
            asks=settings.asks,
            silence_s=settings.silence_s,
            lists_s=settings.round_s * (settings.successors + _ROUNDS_TO_NOTICE),
        )
        owners = OwnerEstimate(ring, stabilization, fingers, failed)
        callers = PingingPredecessors(own.id, ring, settings.asks, _CALLING_ROUNDS * settings.round_s)
        return cls(ring, stabilization, fingers, failed, owners, callers)

    def reply(self, identifier: int, now: float, *most: int) -> LookupReply:
        """What this node says about an identifier, by what it knows.

        @param most: how many contacts before the identifier it names; as many as go to others if not given.
        """
        return reply_for(identifier, self.ring, self.stabilization, self.fingers, self.failed, now, *most)
