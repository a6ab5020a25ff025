"""Datagrams over real sockets, of both families and of one that takes both."""

from __future__ import annotations

import json
import random
import select
import socket
from collections.abc import Callable

import pytest
import pytest_twisted
from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater

from tests.integration.market import reactor
from twisted_bazaar.errors import UsageError
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.control import Ping
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.error import Error

LONGEST_S = 10.0


class Counter(Role):
    """Keeps where pings come from."""

    def __init__(self) -> None:
        self.heard: list[Address] = []
        self.datagrams = {Ping: lambda message, address, key: self.heard.append(address)}


async def open_at(interface: str, port: int = 0) -> tuple[Node, Counter]:
    """Start a node that takes datagrams."""
    role, rng = Counter(), random.Random(interface)
    node = Node(reactor, rng, KeyPair.generate(rng), [role])
    await node.start(None, udp=(interface, port))
    return node, role


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    for _ in range(int(LONGEST_S / 0.01)):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError(f"this did not come true in {LONGEST_S} s")


@pytest.mark.parametrize(
    ("near", "far", "where"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("::", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "::", "127.0.0.1"),
        ("::", "::", "::1"),
        ("", "", "127.0.0.1"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_families(near: str, far: str, where: str) -> None:
    """Two nodes exchange datagrams and know each other by plain addresses, whatever their sockets take."""
    (one, at_one), (other, at_other) = await open_at(near), await open_at(far)
    try:
        for _ in range(2):
            one.send_datagram(Ping(), [Address(where, other.udp_port)])
            other.send_datagram(Ping(), [Address(where, one.udp_port)])
        await until(lambda: len(at_one.heard) + len(at_other.heard) == 4)
        assert set(at_one.heard) == {Address(where, other.udp_port)}
        assert set(at_other.heard) == {Address(where, one.udp_port)}
        assert not one.datagrams.counts
        assert not other.datagrams.counts
    finally:
        await one.stop()
        await other.stop()


@pytest_twisted.ensureDeferred
async def test_hard_cases() -> None:
    """What the kernel refuses to send, or cuts, costs the others nothing."""
    (one, _), (other, at_other) = await open_at("127.0.0.1"), await open_at("127.0.0.1")
    try:
        here = Address("127.0.0.1", other.udp_port)
        nobody = Address("127.0.0.1", 1)
        for sent in range(1, 6):
            one.send_datagram(Ping(), [Address("::1", 9), Address("255.255.255.255", 9), nobody, here])
            await until(lambda sent=sent: len(at_other.heard) == sent)
        await until(lambda: one.datagrams.counts["unsent"] >= 2)
        longest = Error(code="wtf", info="x" * 1024, about="a" * 60)
        one.send_datagram(longest, [here])
        with pytest.raises(UsageError):
            one.send_datagram(Error(code="wtf", info="\u00e4" * 1024), [here])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"{" + b" " * 60_000 + b"}", (here.host, here.port))
        await until(lambda: other.datagrams.counts == {"rubbish": 1, "oversize": 1})
    finally:
        await one.stop()
        await other.stop()


@pytest_twisted.ensureDeferred
async def test_turns() -> None:
    """However many small datagrams have come, others have their turn after some of them; and then all are read."""
    node, role = await open_at("127.0.0.1")
    count_at_turn: list[int] = []
    role.datagrams[Ping] = lambda message, address, key: (
        role.heard.append(address),
        len(role.heard) % 50 or reactor.callLater(0, lambda: count_at_turn.append(len(role.heard))),
    )
    node.datagrams.register_receivers(role.datagrams)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.connect(("127.0.0.1", node.udp_port))
            peer.send(b'{"type":"knock","nonce":"0123456789abcdef","pad":"000000000000000000"}')
            await until(lambda: select.select([peer], [], [], 0)[0])
            cookie = json.loads(peer.recv(100))["give"]
            # All of it before the reactor comes to read any.
            for _ in range(200):
                peer.send(b'{"type":"ping","cookie":"%b"}' % cookie.encode())
            await until(lambda: len(role.heard) == 200)
        assert count_at_turn[0] < 150, count_at_turn
    finally:
        await node.stop()


@pytest_twisted.ensureDeferred
async def test_taken() -> None:
    """A port that is taken cannot be had; when the node that has it has stopped, it can."""
    one, _ = await open_at("127.0.0.1")
    port = one.udp_port
    with pytest.raises(CannotListenError):
        await open_at("127.0.0.1", port)
    await one.stop()
    again, _ = await open_at("127.0.0.1", port)
    assert again.udp_port == port
    await again.stop()
