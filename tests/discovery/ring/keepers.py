"""A ring of nodes that are nothing but what they keep. Pure.

Everybody knows its neighbours at once and rightly, or as late as a test wants; what is compared is compared at once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from attrs import define, field

from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.storage.anti_entropy import AntiEntropy, compare
from twisted_bazaar.discovery.ring.storage.compared_ranges import UNCLAIMED_S
from twisted_bazaar.discovery.ring.storage.entry import Entry, Kept
from twisted_bazaar.discovery.ring.storage.replication import Replication
from twisted_bazaar.discovery.ring.storage.store import Outcome, Store
from twisted_bazaar.values.addresses import Address

SMALL = Ring(8)


def identifier_of(name: str) -> int:
    """Where a name belongs: names of numbers at that place."""
    return int(name) % SMALL.size if name.isdigit() else SMALL.key_of(name)


def entry(name: str = "7", owner: int = 1, version: int = 1, *, space: str = "value", **said: object) -> Entry:
    """An entry that nobody has signed."""
    kept = Kept(space=space, name=name, owner=f"{owner:064x}", version=version, **said)  # type: ignore[arg-type]
    return Entry(kept, f"{kept}")


def contact(identifier: int) -> Contact:
    """A node at a place."""
    return Contact(identifier, f"{identifier:x}", Address("10.0.0.1", 1), 1)


@define
class Keeper:
    """One node."""

    store: Store
    replication: Replication


@define
class Keepers:
    """A ring.

    @ivar replicas: on how many nodes besides the first everything is to be.
    @ivar stored: the newest of each owner under each name, as it was stored.
    """

    rng: random.Random
    replicas: int = 3
    make: type[Replication] = Replication
    nodes: dict[Contact, Keeper] = field(factory=dict)
    stored: dict[tuple[str, str, str], Entry] = field(factory=dict)
    now: float = 0.0
    asked: int = 0

    def join(self, identifier: int) -> None:
        """A node comes."""
        if contact(identifier) not in self.nodes:
            store = Store(identifier_of)
            keeper = Keeper(store, self.make(contact(identifier), SMALL, store, self.rng, self.replicas))
            self.nodes[contact(identifier)] = keeper

    def holders(self, identifier: int) -> list[Contact]:
        """Who is to have what belongs to a place."""
        order = sorted(self.nodes, key=lambda node: SMALL.distance(identifier, node.id))
        return order[: self.replicas + 1]

    def die(self, identifier: int) -> bool:
        """A node goes without a word, unless it has the last of something. Whether it has gone."""
        node = contact(identifier)
        if node not in self.nodes or len(self.nodes) == 1:
            return False
        others = [keeper.store for each, keeper in self.nodes.items() if each != node]
        for each in self.nodes[node].store:
            if self.stored[each.key].rank == each.rank and not any(
                (kept := store.get(each.key, self.now)) is not None and kept.rank == each.rank for store in others
            ):
                return False
        del self.nodes[node]
        return True

    def quit(self, identifier: int) -> None:
        """A node goes, when those that follow have what it has."""
        node = contact(identifier)
        if node not in self.nodes or len(self.nodes) == 1:
            return
        self.look(node)
        keeper = self.nodes[node]
        keeper.replication.sync_all_now()
        for other in dict.fromkeys((*keeper.replication.followers, *self.neighbours(node)[0])):
            self.sync(node, other)
        del self.nodes[node]

    def put(self, one: Entry) -> None:
        """Somebody stores an entry, or deletes one."""
        self.stored[one.key] = max(one, self.stored.get(one.key, one), key=lambda each: each.rank)
        for node in self.holders(identifier_of(one.kept.name)):
            self.nodes[node].store.put(one, self.now)

    def neighbours(self, node: Contact) -> tuple[list[Contact], list[Contact]]:
        """The predecessor of a node, and its successors."""
        after = sorted((each for each in self.nodes if each != node), key=lambda each: SMALL.distance(node.id, each.id))
        return after[-1:], after

    def look(self, node: Contact) -> None:
        """A node learns who its neighbours are."""
        before, after = self.neighbours(node)
        self.nodes[node].replication.on_neighbours(before[0] if before else None, after, self.now)

    def sync(self, node: Contact, other: Contact) -> None:
        """A node compares with another what it is to compare."""
        keeper, far = self.nodes[node], self.nodes.get(other)
        syncs = keeper.replication.syncs_with(other)
        if far is None:
            keeper.replication.on_sync_failed(other, self.now)
            return
        for sync in syncs:
            comparison = AntiEntropy(keeper.store, sync.span, is_mutual=sync.is_own)
            if sync.is_own:
                far.replication.on_range_compared(node, sync.span, self.now)
            while not comparison.is_over:
                self.asked += 1
                span, total = comparison.next_span()
                comparison.on_compared(compare(far.store, span, total))
            self.send(node, other, comparison.to_send)
            self.move(far.store, keeper.store, comparison.to_fetch)
            if comparison.to_fetch:
                keeper.replication.on_entry_received(other, self.now)
        keeper.replication.on_synced(other, self.now)

    def send(self, node: Contact, other: Contact, positions: Iterable[int]) -> None:
        """A node has another keep entries, and that one notes what is new to it."""
        store, far = self.nodes[node].store, self.nodes[other]
        for position in positions:
            before = far.store.entry_at(position)
            self.move(store, far.store, [position])
            if far.store.entry_at(position) != before:
                far.replication.on_handoff(position, node, self.now)

    def move(self, one: Store, other: Store, positions: Iterable[int]) -> None:
        """Entries go from one node to another."""
        for position in positions:
            moved = one.entry_at(position)
            assert moved is not None
            other.put(moved, self.now, left_s=one.ttl_s(moved, self.now))

    def give_back(self, node: Contact, entries: Sequence[Entry]) -> None:
        """A node gives away what belongs to others."""
        store = self.nodes[node].store
        for each in entries:
            holders = self.holders(identifier_of(each.kept.name))
            first = next((holder for holder in holders if holder != node), None)
            if first is not None:
                far = self.nodes[first]
                outcome = far.store.put(each, self.now, left_s=store.ttl_s(each, self.now))
                if outcome is Outcome.KEPT:
                    far.replication.on_handoff(far.store.position_of(each), node, self.now)
                if outcome is not Outcome.FULL and node not in holders:
                    store.drop(each.key)

    def step(self, node: Contact) -> None:
        """A node does what it has to do now."""
        if node not in self.nodes:
            return
        self.look(node)
        replication = self.nodes[node].replication
        other = replication.next_neighbour(self.now)
        if other is not None:
            self.sync(node, other)
        unclaimed = replication.next_misplaced(self.now)
        if unclaimed is not None:
            self.give_back(node, [unclaimed])

    def rest(self, seconds: float = 4 * UNCLAIMED_S) -> None:
        """Quiet: everybody does what it has to do for so long."""
        until = self.now + seconds
        while self.now < until:
            self.now += min(10.0, seconds / 10)
            for node in list(self.nodes):
                for _ in range(5):
                    self.step(node)

    def flaws(self) -> list[str]:
        """What is not where it is to be, or where it is not to be."""
        flaws = list[str]()
        for key, newest in self.stored.items():
            holders = self.holders(identifier_of(newest.kept.name))
            for node, keeper in self.nodes.items():
                kept = keeper.store.get(key, self.now)
                if node in holders and (kept is None or kept.rank != newest.rank):
                    flaws.append(f"{node.id:x} has {kept} and not {newest}")
                elif node not in holders and kept is not None:
                    flaws.append(f"{node.id:x} has {kept}, which does not belong there")
        return flaws
