"""A global view of a ring: who is on it, and whose neighbours are not the right ones.

It is told of each change, and looks again at those whom that concerns; so it is right at every event, on a ring of ten
thousand too.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import partial

from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rpc.messages import RingQuit
from twisted_bazaar.discovery.ring.rules.actions import NodeState
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.storage.entry import VALUES
from twisted_bazaar.sim.cluster import Cluster, Member, Observer
from twisted_bazaar.sim.ring.peer import SimulatedPeer
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import Message

Listener = Callable[[Contact], None]


class RingView(Observer):
    """A global view of the ring: who is on it, and in which state.

    @ivar peers: by node, what runs there; in no order.
    @ivar wrong_after: those whose list of successors is not right.
    @ivar wrong_before: those whose predecessor is not.
    """

    def __init__(self) -> None:
        self.peers: dict[Contact, SimulatedPeer] = {}
        self.wrong_after: dict[Contact, None] = {}
        self.wrong_before: dict[Contact, None] = {}
        self._order: list[Contact] = []
        self._identifiers: list[int] = []
        self._at: dict[Member, Contact] = {}
        self._changed: list[Listener] = []
        self._gone: list[Listener] = []

    @classmethod
    def of(cls, cluster: Cluster) -> RingView:
        """The view of the ring in a cluster; all who ask get the same."""
        for observer in cluster.observers:
            if isinstance(observer, RingView):
                return observer
        view = cls()
        cluster.observe(view)
        return view

    def watch(self, changed: Listener, gone: Listener) -> None:
        """Hear of nodes that have come or have other neighbours now, and of those that have gone."""
        self._changed.append(changed)
        self._gone.append(gone)

    def __len__(self) -> int:
        return len(self._order)

    @property
    def ring(self) -> Ring:
        """The circle on which they are; there is somebody."""
        return self._member(self._order[0]).ring

    @property
    def most(self) -> int:
        """How many successors each keeps; there is somebody."""
        return self._member(self._order[0]).settings.successors

    @property
    def is_right(self) -> bool:
        """Whether everybody has exactly the neighbours that it should."""
        return not self.wrong_after and not self.wrong_before

    def holder(self, identifier: int) -> Contact | None:
        """Who is responsible for an identifier; None if nobody is there."""
        return self._order[bisect_left(self._identifiers, identifier) % len(self._order)] if self._order else None

    def holders(self, identifier: int, count: int) -> list[Contact]:
        """Who is, and those after it, so many in all."""
        start = bisect_left(self._identifiers, identifier)
        order = self._order
        return [order[(start + step) % len(order)] for step in range(min(count, len(order)))]

    def before(self, identifier: int, count: int) -> list[Contact]:
        """Those before an identifier, so many, the farthest first."""
        end, order = bisect_left(self._identifiers, identifier), self._order
        count = min(count, len(order))
        return [order[(end - count + step) % len(order)] for step in range(count)]

    def contact_of(self, member: Member) -> Contact | None:
        """Where a node is on the ring; None if it is not."""
        return self._at.get(member)

    def some(self, rng: random.Random) -> Contact | None:
        """Somebody on the ring; None if nobody is."""
        return rng.choice(self._order) if self._order else None

    def state(self, contact: Contact) -> NodeState:
        """How a node stands."""
        stabilization = self._member(contact).stabilization
        return NodeState(contact, stabilization.predecessor, stabilization.successors)

    def states(self) -> list[NodeState]:
        """How all stand, in their order on the ring."""
        return [self.state(contact) for contact in self._order]

    def has(self, contact: Contact, name: str) -> bool:
        """Whether a node has a value under a name."""
        peer = self.peers[contact]
        return bool(peer.dht.store.entries_of(VALUES, name, peer.node.clock.seconds()))

    def is_kept(self, name: str) -> bool:
        """Whether anybody has a value under a name."""
        if not self._order:
            return False
        near = self.holders(self.ring.key_of(name), self.most)
        return any(self.has(contact, name) for contact in (*near, *self._order))

    def claimed_twice(self) -> int:
        """How many nodes claim identifiers that belong to another, who is on the ring too."""
        claiming = 0
        for index, contact in enumerate(self._order):
            before = self._order[index - 1]
            stabilization = self._member(contact).stabilization
            claiming += before != contact and stabilization.is_responsible(before.id)
        return claiming

    # What happens.

    def on_start(self, member: Member) -> None:
        """It is not on the ring yet, and says so when it is."""
        for role in member.roles:
            if isinstance(role, SimulatedPeer):
                role.member.watch(partial(self._note, member, role))

    def on_datagram(self, member: Member, address: Address, message: Message, size_bytes: int) -> None:
        """It may say farewell, and is let go of by whoever hears that."""
        if isinstance(message, RingQuit):
            self._remove(member)

    def on_stop(self, member: Member) -> None:
        """It has gone."""
        self._remove(member)

    def on_death(self, member: Member) -> None:
        """It has died."""
        self._remove(member)

    # Inside.

    def _member(self, contact: Contact) -> RingMember:
        return self.peers[contact].member

    def _note(self, member: Member, peer: SimulatedPeer) -> None:
        """A node has joined, or its neighbours are others than before."""
        if not peer.member.is_member or peer not in member.roles:
            return
        contact = self._at.get(member)
        if contact is None:
            contact = peer.member.own
            self._at[member] = contact
            self.peers[contact] = peer
            index = bisect_left(self._identifiers, contact.id)
            self._identifiers.insert(index, contact.id)
            self._order.insert(index, contact)
            self._look_round(index)
        else:
            self._look_at(bisect_left(self._identifiers, contact.id))
        for changed in self._changed:
            changed(contact)

    def _remove(self, member: Member) -> None:
        contact = self._at.pop(member, None)
        if contact is None:
            return
        index = bisect_left(self._identifiers, contact.id)
        del self._identifiers[index], self._order[index], self.peers[contact]
        self.wrong_after.pop(contact, None)
        self.wrong_before.pop(contact, None)
        if self._order:
            self._look_round(index)
        for gone in self._gone:
            gone(contact)

    def _look_round(self, index: int) -> None:
        """Look at those whom a node concerns that has come, or gone, at an index."""
        count, most = len(self._order), self.most
        near: Iterable[int] = range(index - most - 1, index + 2)
        # On a small ring lists go all the way round.
        for each in range(count) if count <= most + 3 else near:
            self._look_at(each % count)

    def _look_at(self, index: int) -> None:
        order, count = self._order, len(self._order)
        contact = order[index]
        stabilization = self._member(contact).stabilization
        length = min(self.most, count - 1)
        following = tuple(order[(index + step) % count] for step in range(1, length + 1))
        _put(self.wrong_after, contact, stabilization.successors != following)
        before = order[index - 1] if count > 1 else None
        _put(self.wrong_before, contact, stabilization.predecessor != before)


def _put(wrong: dict[Contact, None], contact: Contact, is_wrong: bool) -> None:
    if is_wrong:
        wrong[contact] = None
    else:
        wrong.pop(contact, None)
