"""Contact verification: pings a node that has asked something before it is made a finger (BEP 5, good nodes).

So who is asked gets to know as many as who asks, and all who have to do with each other need fewer steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted_bazaar.discovery.ring.rpc.messages import RingMessage, RingPing, RingPong
from twisted_bazaar.discovery.ring.rpc.per_host_limit import host_of, per_host_limit
from twisted_bazaar.discovery.ring.rpc.requests import Requests
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.routing_table import RoutingTable
from twisted_bazaar.discovery.ring.rules.settings import RetryLimits
from twisted_bazaar.interfaces import INode

# So often one host is asked back in so long; only once, for who has asked may be gone again.
_MOST_VERIFIED: Final = 4
_VERIFIED_EACH_S: Final = 60.0
_ONCE: Final = RetryLimits(tries=1)


class ContactVerification:
    """Pings unknown nodes that ask, once each, where the fingers have room for one more.

    @param table: whom this node knows.
    @param verified: called with a member that has answered, and its answer.
    @param is_closed: whether nobody is asked back: where there are no fingers.
    """

    __slots__ = ("_asked", "_fingers", "_is_closed", "_limit", "_node", "_requests", "_stabilization", "_verified")

    def __init__(
        self,
        node: INode,
        requests: Requests,
        table: RoutingTable,
        verified: Callable[[Contact, RingPong], None],
        *,
        is_closed: bool,
    ) -> None:
        self._node = node
        self._requests = requests
        self._stabilization = table.stabilization
        self._fingers = table.fingers
        self._verified = verified
        self._is_closed = is_closed
        self._limit = per_host_limit(_MOST_VERIFIED, _VERIFIED_EACH_S)
        self._asked: set[Contact] = set()

    def verify(self, contact: Contact) -> None:
        """Ask back who has asked something, if it is not known and would be kept.

        A stranger is asked nothing: it may not be where its question says.
        """
        fingers, stabilization = self._fingers, self._stabilization
        if contact in fingers or contact in self._asked or self._is_closed or not stabilization.is_member:
            return
        if contact.id == stabilization.own.id or stabilization.is_near(contact) or not fingers.has_room(contact):
            return
        if not self._node.has_validated(contact.address):
            return
        if self._limit.allow(host_of(contact.address), self._node.clock.seconds()):
            self._asked.add(contact)
            came, failed = partial(self._on_answer, contact), partial(self._on_failure, contact)
            self._requests.question(contact, RingPing, came, failed, retries=_ONCE)

    def _on_answer(self, contact: Contact, message: RingMessage) -> None:
        """Who is no member only asks, and is of no use to others; nor is who says what cannot be."""
        self._asked.discard(contact)
        if not isinstance(message, RingPong) or message.bits != self._requests.cards.ring.bits or message.same:
            return
        if message.member:
            self._verified(contact, message)

    def _on_failure(self, contact: Contact, _: Exception) -> None:
        self._asked.discard(contact)
