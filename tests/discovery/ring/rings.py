"""A ring of nodes that are nothing but their membership, and whatever order of events one likes. Pure.

Each question and each answer is a message on its way; which of them comes next is drawn by chance. A question to a
dead node comes back as a failure; nothing else is lost, unless that is wanted. What nodes look for is found by walking.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from ipaddress import ip_address

from attrs import define, field, frozen

from twisted_bazaar.discovery.ring.rules.actions import Action, Hint, JoinRefused, NodeState, Ping, Report, Seek
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.invariant import faults, flaws
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization
from twisted_bazaar.values.addresses import Address

SMALL = Ring(8)
# A prime, so that machines are as far apart as places are.
_MACHINES = 16_777_213


@lru_cache(maxsize=100_000)
def contact(identifier: int, key: str = "", port: int = 1) -> Contact:
    """A node at a place, on a machine of its own."""
    host = ip_address((10 << 24) + identifier % _MACHINES)
    return Contact(identifier, key or f"{identifier:x}", Address(str(host), port), port)


@frozen
class Question:
    """Asks how the other stands."""

    by: Contact
    to: Contact
    is_member: bool
    comes_next: bool


@frozen
class Answer:
    """How one stood."""

    to: Contact
    standing: NodeState


@frozen
class Failure:
    """One has not answered."""

    to: Contact
    missing: Contact


@frozen
class Said:
    """A hint, a report, or a farewell."""

    to: Contact
    what: Hint | Report | NodeState


Message = Question | Answer | Failure | Said


@define
class World:
    """The nodes, and what is on its way between them.

    @ivar most: how many successors each keeps.
    @ivar make: what the nodes are made of; tests plant faults here.
    @ivar base: nodes that never go.
    @ivar events: how many there have been.
    @ivar loss: the chance that a question to a living node is taken for unanswered.
    """

    rng: random.Random
    most: int
    ring: Ring = SMALL
    make: type[Stabilization] = Stabilization
    base: tuple[Contact, ...] = ()
    nodes: dict[Contact, Stabilization] = field(factory=dict)
    on_the_way: list[Message] = field(factory=list)
    asking: set[tuple[Contact, Contact]] = field(factory=set)
    is_parted: Callable[[Contact, Contact], bool] = lambda one, other: False
    refused: list[tuple[Contact, Contact | None]] = field(factory=list)
    events: int = 0
    now: float = 0.0
    loss: float = 0.0

    # The nodes.

    def make_node(self, node: Contact) -> Stabilization:
        """A node that has not joined."""
        self.nodes[node] = self.make(node, self.ring, self.most, failed=RecentlyFailed(10.0))
        return self.nodes[node]

    def begin(self, identifiers: Sequence[int]) -> None:
        """An ideal ring."""
        order = [contact(identifier) for identifier in sorted(identifiers)]
        for index, node in enumerate(order):
            made = self.make_node(node)
            made.begin()
            length = min(self.most, len(order) - 1)
            made.successors = tuple(order[(index + step) % len(order)] for step in range(1, length + 1))
            made.predecessor = order[index - 1] if len(order) > 1 else None

    def members(self) -> list[NodeState]:
        """How those stand who have joined."""
        return [node.state for node in self.nodes.values() if node.is_member]

    def faults(self) -> list[str]:
        """In what the ring is broken."""
        return list(faults(self.ring, self.members(), self.most, self.base or None))

    def flaws(self) -> list[str]:
        """In what it is not ideal."""
        return list(flaws(self.ring, self.members(), self.most))

    # What can happen.

    def join(self, identifier: int, by: Contact) -> None:
        """A node begins to join."""
        node = contact(identifier)
        self.do(node, self.make_node(node).join(by))

    def may_die(self, node: Contact) -> bool:
        """Whether all keep a living successor without a node, even those that take a list that is on its way."""
        if node in self.base:
            return False
        lists = [made.successors for made in self.nodes.values() if made.own != node and made.is_member]
        for message in self.on_the_way:
            match message:
                case Answer(to=to, standing=standing) if to != node and to in self.nodes:
                    lists.append(self._taken(self.nodes[to], standing))
        living = {each for each, made in self.nodes.items() if made.is_member} - {node}
        return all(any(each in living for each in successors) for successors in lists)

    def _taken(self, made: Stabilization, standing: NodeState) -> tuple[Contact, ...]:
        """The list of one who takes what another has answered, if it takes it."""
        before = made.successors
        if not made.is_member:
            return tuple(each for each in standing.successors if each.id != made.own.id) or (standing.node,)
        kept = before[: before.index(standing.node)] if standing.node in before else ()
        return (*kept, standing.node, *standing.successors)[: self.most]

    def die(self, node: Contact) -> None:
        """A node goes without a word."""
        del self.nodes[node]
        self.asking = {pair for pair in self.asking if pair[0] != node}

    def quit(self, node: Contact) -> None:
        """A node goes, and says so."""
        standing = self.nodes[node].state
        farewells = self.nodes[node].farewell_recipients()
        self.die(node)
        self.on_the_way += [Said(to, standing) for to in farewells]

    def stabilize(self, node: Contact) -> None:
        """A node's round."""
        self.do(node, self.nodes[node].stabilize(self.now))

    def deliver(self, index: int) -> None:
        """A message arrives."""
        last = len(self.on_the_way) - 1
        self.on_the_way[index], self.on_the_way[last] = self.on_the_way[last], self.on_the_way[index]
        message = self.on_the_way.pop()
        node = self.nodes.get(message.to)
        if isinstance(message, Question):
            if node is None or self.is_parted(message.by, message.to) or self.rng.random() < self.loss:
                self.on_the_way.append(Failure(message.by, message.to))
                return
            if message.is_member:
                self.do(message.to, node.on_ping(message.by, self.now, comes_next=message.comes_next))
            self.on_the_way.append(Answer(message.by, node.state))
            return
        if isinstance(message, Answer):
            self.asking.discard((message.to, message.standing.node))
        elif isinstance(message, Failure):
            self.asking.discard((message.to, message.missing))
        if node is None:
            return
        match message:
            case Answer(standing=standing):
                self.do(message.to, node.on_pong(standing, self.now))
            case Failure(missing=missing):
                self.do(message.to, node.on_failure(missing, self.now))
            case Said(what=Hint(about=about)):
                self.do(message.to, node.on_update(about, self.now))
            case Said(what=Report(dead=dead)):
                self.do(message.to, node.on_death_report(dead))
            case Said(what=NodeState() as standing):
                self.do(message.to, node.on_quit(standing, self.now))

    def do(self, node: Contact, steps: Sequence[Action]) -> None:
        """Send what a node wants to be sent."""
        for step in steps:
            match step:
                case Ping(to=to):
                    if (node, to) not in self.asking:
                        self.asking.add((node, to))
                        made = self.nodes[node]
                        self.on_the_way.append(Question(node, to, made.is_member, made.comes_next(to)))
                case Hint(to=to) | Report(to=to):
                    if not self.is_parted(node, to):
                        self.on_the_way.append(Said(to, step))
                case JoinRefused(holder=holder):
                    self.refused.append((node, holder))
                    if not self.nodes[node].is_member:
                        self.die(node)
                        return
                case Seek():
                    self._seek(node, step)

    def _seek(self, node: Contact, sought: Seek) -> None:
        """Look for a place along the ring, from anywhere, as if by a finger; and tell at once."""
        known = [each for each, made in self.nodes.items() if made.is_member and not self.is_parted(node, each)]
        before = self.rng.choice(known)
        for _ in known:
            after = [each for each in self.nodes[before].successors if each in known]
            if not after or self.ring.is_within(before.id, sought.identifier, after[0].id):
                break
            before = after[0]
        self.do(node, self.nodes[node].on_lookup_done(sought, before, after, self.now))

    # How it goes on.

    def step(self) -> None:
        """A message arrives, or a node has its round."""
        self.events += 1
        self.now += self.rng.random() * 0.05
        choice = self.rng.random()
        if self.on_the_way and choice < 0.8:
            self.deliver(self.rng.randrange(len(self.on_the_way)))
        else:
            self.stabilize(self.rng.choice(list(self.nodes)))

    def churn(self, identifiers: int, chance: float = 0.05) -> None:
        """Now and then a node joins, dies or quits."""
        if self.rng.random() >= chance:
            self.step()
            return
        self.events += 1
        members = [node for node, made in self.nodes.items() if made.is_member]
        if self.rng.random() < 0.5:
            identifier = self.rng.randrange(identifiers)
            if contact(identifier) not in self.nodes:
                self.join(identifier, self.rng.choice(members))
            return
        node = self.rng.choice(members)
        if self.may_die(node):
            (self.die if self.rng.random() < 0.7 else self.quit)(node)

    def rounds(self, count: int) -> None:
        """Quiet: every node has its round, and everything arrives, so many times."""
        for _ in range(count):
            self.now += 1.0
            for node in self.rng.sample(list(self.nodes), len(self.nodes)):
                if node in self.nodes:
                    self.stabilize(node)
            self.arrive()

    def arrive(self) -> None:
        """Everything arrives that is on its way, and what comes of it."""
        for _ in range(1_000 * max(1, len(self.nodes))):
            if not self.on_the_way:
                return
            self.events += 1
            self.deliver(self.rng.randrange(len(self.on_the_way)))
        raise AssertionError("questions without end")


def stories(count: int, seed: int = 1) -> Iterator[random.Random]:
    """A source of chance for each of so many stories."""
    for number in range(count):
        yield random.Random(seed * 1_000_003 + number)
