"""Promises of connections that begin with something else than a greeting: a role may take them over."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.raw_peer import connect
from twisted_bazaar.errors import UsageError
from twisted_bazaar.role import Role
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.framing import frame
from twisted_bazaar.wire.message import Message


class Knock(Message, tag="knock-for-a-test"):
    """Begins a connection that is no link."""

    word: str = ""


class Parlour(Protocol):
    """What takes such a connection over."""

    def __init__(self, opening: Message, address: Address) -> None:
        self.opening = opening
        self.address = address
        self.heard = b""
        self.ends: list[Failure] = []

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(frame(b'{"type": "come-in"}'))

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ends.append(reason)


class Host(Role):
    """Takes connections over."""

    def __init__(self, *, takes: bool = True) -> None:
        self.parlours: list[Parlour] = []
        self._takes = takes
        self.openings = {Knock: self._open}

    def _open(self, opening: Any, address: Address) -> IProtocol | None:
        if not self._takes:
            return None
        self.parlours.append(Parlour(opening, address))
        return self.parlours[-1]


class OpeningTests(SynchronousTestCase):
    """A connection is what its first message says."""

    def setUp(self) -> None:
        self.network = SimulatedNetwork()
        self.role = Host()
        self.node = self.network.add_node(self.role)

    def knock(self, *pieces: bytes) -> Any:
        """Connect, and send these pieces, one after another."""
        peer = connect(self.network, self.node)
        for piece in pieces:
            peer.transport.write(piece)
            self.network.run(0.01)
        self.network.run(0.05)
        return peer

    def test_taken_over(self) -> None:
        """The role gets the message and where it comes from, and then all the bytes, in whatever pieces they came."""
        knock = frame(b'{"type": "knock-for-a-test", "word": "x"}')
        rest = b"anything at all, no frames"
        stream = knock + rest
        for cut in (0, 1, 10, len(knock) - 1, len(knock), len(knock) + 1, len(stream)):
            peer = self.knock(*filter(None, (stream[:cut], stream[cut:], b"!")))
            parlour = self.role.parlours.pop()
            self.assertEqual(parlour.opening, Knock(word="x"))
            self.assertEqual(parlour.heard, rest + b"!", cut)
            self.assertEqual(parlour.address.host, peer.transport.getHost().host)
            self.assertEqual(parlour.address.port, peer.transport.getHost().port)
            peer.transport.loseConnection()
            self.network.run(0.05)
            self.assertEqual(len(parlour.ends), 1)

    def test_no_link_any_more(self) -> None:
        """A connection that was taken over counts among no links, is not timed, and outlives the node's goodbye."""
        peers = [self.knock(frame(b'{"type": "knock-for-a-test"}')) for _ in range(3)]
        self.assertEqual(len(self.node._links._all), 0)
        self.network.run(300)
        self.assertEqual([peer.is_closed for peer in peers], [False] * 3)
        peers[0].transport.write(b"x" * 100_000)
        self.network.run(1)
        self.assertEqual(len(self.role.parlours[0].heard), 100_000)

    def test_strangers_until_then(self) -> None:
        """Until the first message is there the limits of strangers hold: 4 KiB, and 10 s."""
        peer = self.knock(frame(b'{"type": "knock-for-a-test", "word": "%b"}' % (b"x" * 5000)))
        self.assertTrue(peer.is_closed)
        peer = self.knock(frame(b'{"type": "knock-for-a-test"}')[:-1])
        self.network.run(12.5)
        self.assertTrue(peer.is_closed)
        self.assertEqual(self.role.parlours, [])

    def test_refused(self) -> None:
        """Where nothing is taken that is said, and the connection ends."""
        self.node = self.network.add_node(Host(takes=False))
        peer = self.knock(frame(b'{"type": "knock-for-a-test"}'))
        self.assertEqual(
            [(m["type"], m["code"], m["about"]) for m in peer.received], [("error", "noslots", "knock-for-a-test")]
        )
        self.assertTrue(peer.is_closed)

    def test_nobody_takes_it(self) -> None:
        """A node without such a role says that a greeting must come first."""
        self.node = self.network.add_node()
        peer = self.knock(frame(b'{"type": "knock-for-a-test"}'))
        self.assertEqual([(m["type"], m["code"]) for m in peer.received], [("error", "wtf")])

    def test_not_on_a_link(self) -> None:
        """On a link that is open such a message begins nothing."""
        peer = connect(self.network, self.node)
        peer.tell("ping")
        peer.tell("knock-for-a-test")
        self.network.run(0.05)
        self.assertEqual(len(self.role.parlours), 1)

    def test_two_roles(self) -> None:
        """Two roles that take the same are refused at start."""
        with self.assertRaises(UsageError):
            self.network.add_node(Host(), Host())
