"""Events of a member of a ring, for the journal and the log.

What strangers can bring about is told so often in a minute and no more. In a classroom each step is told, from the
two design papers: which pings come, who has answered one, and whom a question is sent on to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.interfaces import INode
from twisted_bazaar.rate_limit import RateLimit

_CHANGES_A_MINUTE: Final = 120
_CALLS_A_MINUTE: Final = 120


class RingEvents:
    """Reports the events of one member, at most so many a minute.

    @param tells_all: whether each step is told.
    """

    def __init__(self, node: INode, ring: Ring, *, tells_all: bool) -> None:
        self._node = node
        self._ring = ring
        self._tells_all = tells_all
        # So that who calls much does not hide what becomes of neighbours.
        self._changes = RateLimit.a_minute(_CHANGES_A_MINUTE)
        self._calls = RateLimit.a_minute(_CALLS_A_MINUTE)

    def neighbour_failed(self, contact: Contact) -> None:
        """A neighbour does not answer: C{ring-dead}."""
        self._tell("ring-dead", "node {id} at {host} port {port} does not answer, and is taken for dead", contact)

    def neighbour_left(self, contact: Contact) -> None:
        """A neighbour goes."""
        self._tell("ring-left", "node {id} at {host} port {port} leaves", contact)

    def predecessor_changed(self, contact: Contact) -> None:
        """There is another predecessor."""
        self._tell("ring-predecessor", "node {id} at {host} port {port} is the predecessor", contact)

    def successor_changed(self, contact: Contact) -> None:
        """There is another first successor."""
        self._tell("ring-successor", "node {id} at {host} port {port} is the successor", contact)

    def successors_changed(self, contacts: Sequence[Contact]) -> None:
        """The successors are not what they were."""
        if self._tells_all and self._changes.allow(self._now()):
            self._node.report("ring-successors", "the successors are {ids}", ids=self._called(contacts))

    def ping_received(self, contact: Contact) -> None:
        """A member has asked how this one stands."""
        self._call("ring-pinged", "a ping request came from node {id}", contact)

    def pong_received(self, contact: Contact) -> None:
        """A member has said how it stands."""
        self._call("ring-ponged", "a ping response came from node {id}", contact)

    def lookup_answered(self, identifier: int, by: Contact, answer: LookupReply) -> None:
        """Somebody looks up an identifier, and has been answered."""
        if not self._tells_all or not self._calls.allow(self._now()):
            return
        nearer = [*answer.after[:1], *answer.before]
        details = {"place": self._ring.display(identifier), "by": self._ring.display(by.id)}
        if answer.node in answer.after[:1]:
            self._node.report("ring-here", "node {by} looks for place {place}, which is here", **details)
        elif nearer:
            to = self._ring.display(nearer[0].id)
            sentence = "node {by} looks for place {place}, which is not here; sent on to node {to}"
            self._node.report("ring-sent-on", sentence, to=to, **details)

    # Inside.

    def _tell(self, event: str, sentence: str, contact: Contact) -> None:
        if self._changes.allow(self._now()):
            self._report(event, sentence, contact)

    def _call(self, event: str, sentence: str, contact: Contact) -> None:
        if self._tells_all and self._calls.allow(self._now()):
            self._report(event, sentence, contact)

    def _report(self, event: str, sentence: str, contact: Contact) -> None:
        where = contact.address
        self._node.report(event, sentence, id=self._ring.display(contact.id), host=where.host, port=where.port)

    def _called(self, contacts: Sequence[Contact]) -> str:
        return ", ".join(self._ring.display(contact.id) for contact in contacts) or "nobody"

    def _now(self) -> float:
        return float(self._node.clock.seconds())
