"""The other end of datagrams, played by hand: sends any bytes, keeps whatever comes."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.protocol import DatagramProtocol

from twisted_bazaar.node.node import Node
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address

NONCE = "00000000000000aa"
PAD = "0" * 24


class RawSocket(DatagramProtocol):
    """A socket played by hand, on a machine of its own."""

    noisy = False

    def __init__(self, network: SimulatedNetwork, node: Node, host: str | None = None, port: int = 7000) -> None:
        self.received: list[dict[str, Any]] = []
        self.bytes_received = 0
        self.bytes_sent = 0
        machine = network.host(host)
        self.address = Address(machine.addresses[0], port)
        self._node = network.where_datagrams(node)
        machine.listenUDP(port, self, maxPacketSize=65_535)

    def datagramReceived(self, data: bytes, where: tuple[str, int]) -> None:
        self.bytes_received += len(data)
        self.received.append(json.loads(data))

    def put(self, data: bytes) -> None:
        """Send bytes."""
        self.bytes_sent += len(data)
        assert self.transport is not None
        self.transport.write(data, (self._node.host, self._node.port))

    def tell(self, type: str, **keys: Any) -> None:
        """Send one message."""
        self.put(json.dumps({"type": type, **keys}, separators=(",", ":")).encode())

    def knock(self) -> None:
        """Ask for a cookie."""
        self.tell("knock", nonce=NONCE, pad=PAD)

    def cookie(self, network: SimulatedNetwork) -> str:
        """Ask for a cookie and get it."""
        self.received.clear()
        self.knock()
        network.run(0.05)
        [answer] = self.of_type("cookie")
        self.received.clear()
        return str(answer["give"])

    def of_type(self, type: str) -> list[dict[str, Any]]:
        """What came of one type."""
        return [message for message in self.received if message["type"] == type]
