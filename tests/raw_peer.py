"""The other end of a link, played by hand: sends any bytes, keeps whatever comes."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.protocols.basic import NetstringReceiver

from twisted_bazaar.node.node import Node
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address

KEY = "ab" * 32


class RawPeer(NetstringReceiver):
    """A hand-played peer; it reads frames with Twisted's receiver, not ours."""

    MAX_LENGTH = 1 << 22

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.is_closed = False

    def stringReceived(self, payload: bytes) -> None:
        self.received.append(json.loads(payload))

    def connectionLost(self, reason: object = None) -> None:
        self.is_closed = True

    def tell(self, type: str, **keys: Any) -> None:
        """Send one message."""
        self.sendString(json.dumps({"type": type, **keys}).encode())

    def greet(self, id: int, key: str = KEY, **keys: Any) -> None:
        """Send C{thisisme}."""
        self.tell("thisisme", **{"id": id, "port": 0, "key": key, **keys})

    def of_type(self, type: str) -> list[dict[str, Any]]:
        """What came of one type."""
        return [message for message in self.received if message["type"] == type]


class _Accepting(Factory):
    noisy = False

    def __init__(self, peers: list[RawPeer]) -> None:
        self._peers = peers

    def buildProtocol(self, addr: object) -> RawPeer:
        self._peers.append(RawPeer())
        return self._peers[-1]


class _Once(ClientFactory):
    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: object) -> Protocol:
        return self._protocol

    def clientConnectionFailed(self, connector: object, reason: object) -> None:
        self._protocol.connectionLost()


def connect(network: SimulatedNetwork, node: Node, host: str | None = None) -> RawPeer:
    """A raw peer, connected to a node; it has not greeted."""
    peer = RawPeer()
    network.host(host).connectTCP(*network.where(node), _Once(peer))
    network.run(0.05)
    return peer


def link(network: SimulatedNetwork, node: Node, id: int, **keys: Any) -> RawPeer:
    """A raw peer, linked to a node as the node of an id."""
    peer = connect(network, node)
    peer.greet(id, **{"key": f"{id:064x}", **keys})
    network.run(0.05)
    return peer


def accept(network: SimulatedNetwork, port: int = 5000) -> tuple[Address, list[RawPeer]]:
    """An address where a raw peer takes each connection, and the peers so far; the list grows."""
    machine = network.host()
    peers: list[RawPeer] = []
    machine.listenTCP(port, _Accepting(peers))
    return Address(machine.address, port), peers
