"""Nodes that exchange sealed datagrams over a list: the test is the network, and the clock.

network = SealedNetwork()
ada, bob = network.node("192.0.2.1"), network.node("192.0.2.2")
ada.send(b"hello", bob)
network.run()
assert bob.taken == [(b"hello", ada.where, ada.key.public)]
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from attrs import define, field

from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.datagrams.cookies import Cookies
from twisted_bazaar.node.datagrams.sealed import packets
from twisted_bazaar.node.datagrams.sealed.path import Where
from twisted_bazaar.node.datagrams.sealed.paths import SealedPaths
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.security.noise.node_handshake import NoiseHandshakes

# Whatever one host is answered in a second is not what is tested here.
LIMITS: Final = Limits(strangers_a_second=10_000)


@define
class Datagram:
    """One that is under way."""

    data: bytes
    source: Where
    to: Where


@define(eq=False)
class SealedNode:
    """A node at an address.

    @ivar taken: what came in sessions, and answers: what, where from, whose.
    @ivar asked: the questions of those that have no cookie.
    @ivar answers: what is said to a question.
    """

    network: SealedNetwork
    where: Where
    key: KeyPair
    taken: list[tuple[bytes, Where, str | None]] = field(factory=list)
    asked: list[tuple[bytes, Where, str]] = field(factory=list)
    answers: Callable[[bytes], bytes | None] = lambda said: b"answer to " + said
    counts: Counter[str] = field(factory=Counter)
    paths: SealedPaths = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget everything but the key."""
        self.paths = SealedPaths(
            NoiseHandshakes(self.key, lambda: self.network.now),
            self.key.public,
            Cookies(self.key.seed, LIMITS.cookie_s),
            random.Random(self.where[0]),
            LIMITS,
            write=lambda data, where: self.network.under_way.append(Datagram(data, self.where, where)),
            take=lambda said, path: self.taken.append((said, path.where, path.key)),
            answer=self._answer,
            count=lambda why: self.counts.update([why]),
            watch=lambda: None,
            work=lambda: None,
        )

    def _answer(self, said: bytes, where: Where, key: str, most_bytes: int) -> bytes | None:
        self.asked.append((said, where, key))
        return self.answers(said)

    def send(self, said: bytes, to: SealedNode, *, is_question: bool = False, knows_key: bool = True) -> bool:
        """Send something to another node."""
        key = to.key.public if knows_key else None
        return self.paths.send(said, to.where, key, self.network.now, is_question=is_question)

    @property
    def said_here(self) -> list[bytes]:
        """What was said to it, without where from."""
        return [said for said, *_ in self.taken]


class SealedNetwork:
    """Nodes, and what is under way between them.

    @ivar now: the time.
    @ivar carried: everything that has gone, in its order.
    @ivar is_lost: says of each datagram whether it is lost.
    """

    def __init__(self) -> None:
        self.now = 1_000.0
        self.nodes: dict[Where, SealedNode] = {}
        self.under_way: list[Datagram] = []
        self.carried: list[Datagram] = []
        self.is_lost: Callable[[Datagram], bool] = lambda datagram: False

    def node(self, host: str, key: KeyPair | None = None) -> SealedNode:
        """A new node."""
        where = (host, 4000)
        self.nodes[where] = SealedNode(self, where, key or KeyPair.from_seed(host.encode().ljust(32, b"\1")))
        return self.nodes[where]

    def run(self) -> int:
        """Deliver all that is under way, and what is said to it; returns after how many ways there was nothing more."""
        ways = 0
        while self.under_way:
            ways += 1
            now_under_way, self.under_way = self.under_way, []
            for datagram in now_under_way:
                self.carried.append(datagram)
                if not self.is_lost(datagram):
                    self.deliver(datagram)
        return ways

    def deliver(self, datagram: Datagram) -> None:
        """Let a node have a datagram."""
        to = self.nodes.get(datagram.to)
        if to is not None:
            takes = {packets.SEALED: to.paths.sealed_received, packets.KNOCK: to.paths.knock_received}
            kinds = (kind for kind in takes if datagram.data[:1] == bytes((kind.byte,)))
            kind = next((kind for kind in kinds if len(datagram.data) >= kind.size), None)
            take = to.paths.received if kind is None else takes[kind]
            take(datagram.data, datagram.source, self.now)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with everybody saying again what was not answered."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 0.1)
            for node in self.nodes.values():
                node.paths.say_again(self.now)
            self.run()
