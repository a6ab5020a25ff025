"""Verification of contacts: a member asks back, once, whoever asks it and is not known.

So who is asked gets to know as many as who asks, and all who have to do with each other need fewer steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted_bazaar.discovery.ring.rpc.messages import RingMessage, RingPing, RingPong
from twisted_bazaar.discovery.ring.rpc.per_host_limit import host_of, per_host_limit
from twisted_bazaar.discovery.ring.rpc.requests import Requests
from twisted_bazaar.discovery.ring.rules.fingers import Fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.settings import Patience
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization
from twisted_bazaar.interfaces import INode

# So often one host is asked back in so long; only once, for who has asked may be gone again.
_MOST_MET: Final = 4
_MET_EACH_S: Final = 60.0
_ONCE: Final = Patience(tries=1)


class ContactVerification:
    """Asks those back that are not known, where there is room for one more that lives.

    @param is_closed: whether nobody is to be met: where there are no fingers.
    @param met: called with a member that has answered, and its answer.
    """

    __slots__ = ("_asked", "_asking", "_fingers", "_is_closed", "_membership", "_node", "_restraint", "_tell")

    def __init__(
        self,
        node: INode,
        asking: Requests,
        membership: Stabilization,
        fingers: Fingers,
        met: Callable[[Contact, RingPong], None],
        *,
        is_closed: bool,
    ) -> None:
        self._node = node
        self._asking = asking
        self._membership = membership
        self._fingers = fingers
        self._tell = met
        self._is_closed = is_closed
        self._restraint = per_host_limit(_MOST_MET, _MET_EACH_S)
        self._asked: set[Contact] = set()

    def meet(self, contact: Contact) -> None:
        """Somebody has asked something.

        A stranger is asked nothing: it may not be where its question says.
        """
        fingers, membership = self._fingers, self._membership
        if contact in fingers or contact in self._asked or self._is_closed or not membership.is_member:
            return
        if contact.id == membership.own.id or membership.is_near(contact) or not fingers.has_room(contact):
            return
        if not self._node.has_shown(contact.address):
            return
        if self._restraint.allow(host_of(contact.address), self._node.clock.seconds()):
            self._asked.add(contact)
            came, failed = partial(self._came, contact), partial(self._failed, contact)
            self._asking.question(contact, RingPing, came, failed, patience=_ONCE)

    def _came(self, contact: Contact, message: RingMessage) -> None:
        """Who is no member only asks, and is of no use to others; nor is who says what cannot be."""
        self._asked.discard(contact)
        if not isinstance(message, RingPong) or message.bits != self._asking.cards.ring.bits or message.same:
            return
        if message.member:
            self._tell(contact, message)

    def _failed(self, contact: Contact, _: Exception) -> None:
        self._asked.discard(contact)
