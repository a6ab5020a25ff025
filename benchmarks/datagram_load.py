"""Two pairs of nodes in one process that exchange datagrams over loopback: one in the open, one sealed.

With each line on its standard input, C{exchange KIND COUNT}, one node of a pair asks the other so often, some at once,
and is answered each time. It prints the processor seconds that it took, for both nodes.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any, Final

from twisted.internet import reactor, stdio
from twisted.internet.defer import Deferred
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from benchmarks.links_load import say
from benchmarks.processes import LOOPBACK
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.security.links.link_security import InTheClear, LinkSecurity, Sealed
from twisted_bazaar.security.noise.node_handshake import NoiseHandshakes
from twisted_bazaar.security.tls.tls_session import tls_sessions
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import Message, MessageId, Text

KINDS: Final = ("plain", "sealed")
# As long as the ping of a ring and its answer are, taken together.
_TEXT: Final = "x" * 200
_AT_ONCE: Final = 8
_PATIENCE_S: Final = 10.0

_CLOCK: Final[Any] = reactor


class Ask(Message, tag="bench-ask"):
    """Asks for an answer."""

    id: MessageId
    text: Text = ""


class Answer(Message, tag="bench-answer"):
    """The answer."""

    id: MessageId
    text: Text = ""


class Answering(Role):
    """Answers, and asks again until enough was answered."""

    def __init__(self) -> None:
        self.datagrams = {Ask: self._asked, Answer: self._answered}
        self._left = self._awaited = 0
        self._to: tuple[Address, str] | None = None
        self._done: Deferred[None] | None = None

    def start(self, node: Any) -> None:
        """Keep the node."""
        self.node = node

    def exchange(self, to: Address, key: str, count: int) -> Deferred[None]:
        """Ask somebody so often; fires when all is answered."""
        self._to, self._left, self._done = (to, key), count, Deferred()
        self._awaited = count
        for _ in range(_AT_ONCE):
            self._ask()
        return self._done.addTimeout(_PATIENCE_S, _CLOCK)

    def _ask(self) -> None:
        assert self._to is not None, "it is known"
        address, key = self._to
        self._left -= 1
        self.node.send_datagram(Ask(id=self._left, text=_TEXT), [address], [key])

    def _asked(self, ask: Ask, address: Address, key: str | None) -> None:
        self.node.send_datagram(Answer(id=ask.id, text=_TEXT), [address], [key])

    def _answered(self, answer: Answer, address: Address, key: str | None) -> None:
        self._awaited -= 1
        if self._left > 0:
            self._ask()
        elif not self._awaited and self._done is not None:
            done, self._done = self._done, None
            done.callback(None)


class Pair:
    """Two nodes."""

    def __init__(self, kind: str) -> None:
        self.roles = Answering(), Answering()
        self.nodes = [self._node(role, kind) for role in self.roles]

    async def exchange(self, count: int) -> float:
        """Ask so often; returns the processor seconds."""
        began = time.process_time()
        other = self.nodes[1]
        await self.roles[0].exchange(Address(LOOPBACK, other.udp_port), other.key.public, count)
        return time.process_time() - began

    @staticmethod
    def _node(role: Role, kind: str) -> Node:
        key = KeyPair.from_seed(os.urandom(32))
        security: LinkSecurity = InTheClear()
        if kind == "sealed":
            security = Sealed(_CLOCK, tls_sessions(key), handshakes=NoiseHandshakes(key, _CLOCK.seconds))
        # As fast as it goes, where a node takes no more than so many of one other.
        limits = Limits(datagrams_a_second=1e9)
        return Node(_CLOCK, random.Random(1), key, [role], limits=limits, security=security)


class Orders(LineOnlyReceiver):
    """Does what it is told on standard input."""

    delimiter = b"\n"

    def __init__(self, pairs: dict[str, Pair]) -> None:
        self._pairs = pairs

    def lineReceived(self, line: bytes) -> None:
        """Do one thing."""
        _, kind, count = line.decode().split()
        doing = Deferred.fromCoroutine(self._pairs[kind].exchange(int(count)))
        doing.addCallbacks(lambda used: say(used=used), _fail)

    def connectionLost(self, reason: object = None) -> None:
        """The benchmark is over."""
        os._exit(0)


def _fail(failure: Failure) -> None:
    say(error=failure.getErrorMessage() or failure.type.__name__)


async def _run() -> None:
    pairs = {kind: Pair(kind) for kind in KINDS}
    for pair in pairs.values():
        for node in pair.nodes:
            await node.start(None, udp=(LOOPBACK, 0))
    stdio.StandardIO(Orders(pairs))
    say(there=[])


if __name__ == "__main__":
    Deferred.fromCoroutine(_run()).addErrback(_fail)
    _CLOCK.run()
