"""Differential pongs: a pong leaves out the neighbours if the asker shows the mark under which it has them. Sans-IO.

Each pong has a mark, which says what stands in it; who asks again shows the mark of the last, if that is still kept.
While it is the same, the answer is that all is as before. A mark is made and understood by one node alone, and means
nothing to others. It changes nothing about what is believed: who says that all is as before could say all of it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import partial
from typing import Final

import msgspec
from attrs import evolve

from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import MARK_DIGITS, NO_MARK, RingPong, RingQuit
from twisted_bazaar.discovery.ring.rules.actions import NodeState
from twisted_bazaar.discovery.ring.rules.identifiers import Contact

_encode: Final = msgspec.json.Encoder().encode

Told = tuple[str, NodeState]
"""How a node has said that it stands, with the mark of that."""


class PingState:
    """The pong of one node, and the last pong of each of its neighbours.

    @param cards: how contacts are written; this node does not become another while this is used.
    """

    def __init__(self, cards: ContactEncoder) -> None:
        self._cards = cards
        self._state: NodeState | None = None
        self._mark = NO_MARK
        self._whole: partial[RingPong]
        self._short: partial[RingPong]
        self._told: dict[Contact, Told] = {}

    def pong(self, state: NodeState, known: str = NO_MARK) -> partial[RingPong]:
        """What to answer.

        @param state: how this node stands.
        @param known: the mark of what the asker has been told last.
        """
        if state != self._state:
            self._write(state)
        return self._short if known == self._mark and known != NO_MARK else self._whole

    def last_said(self, contact: Contact) -> Told | None:
        """What a node has said last, if that is kept."""
        return self._told.get(contact)

    def read_pong(self, message: RingPong, sender: Contact, told: Told | None) -> NodeState | None:
        """How one stands that was asked; None if it says that all is as before to who has shown no mark.

        @param told: what was kept of that one when it was asked.
        """
        if not message.same:
            return self.read_state(message, sender, is_member=message.member)
        if told is None or message.member:
            return told and told[1]
        return evolve(told[1], is_member=False)

    def read_state(self, message: RingPong | RingQuit, sender: Contact, *, is_member: bool = True) -> NodeState:
        """How somebody says that it stands."""
        read_all, where = self._cards.read_all, sender.address
        before = () if message.predecessor is None else read_all((message.predecessor,), where)
        return NodeState(sender, before[0] if before else None, read_all(message.successors, where), is_member)

    def keep(self, mark: str, state: NodeState) -> None:
        """Keep what one has said that is asked over and over, until it says something else."""
        if mark == NO_MARK:
            self._told.pop(state.node, None)
        else:
            self._told[state.node] = mark, state

    def keep_only(self, contacts: Collection[Contact | None]) -> None:
        """Forget what all but some have said."""
        self._told = {contact: told for contact, told in self._told.items() if contact in contacts}

    def _write(self, state: NodeState) -> None:
        before = state.predecessor
        lists = {
            "predecessor": None if before is None else self._cards.write(before),
            "successors": self._cards.write_all(state.successors),
        }
        whole = partial(RingPong, bits=self._cards.ring.bits, member=state.is_member)
        # Who is no member is not asked over and over.
        self._mark = hashlib.sha256(_encode(lists)).hexdigest()[:MARK_DIGITS] if state.is_member else NO_MARK
        self._whole = partial(whole, mark=self._mark, **lists)
        self._short = partial(whole, same=True)
        self._state = state
