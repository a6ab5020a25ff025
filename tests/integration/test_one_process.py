"""Nodes in this process that trade over real sockets, on the reactor that pytest-twisted runs.

Beside the daemons of the other modules they show what only one process can see: that nothing stays open
when nodes have left, whatever they were doing.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_twisted
from twisted.internet.task import deferLater
from twisted.internet.tcp import Port

from tests.integration.market import LONGEST_S, Market, Member, client, family_of, reactor, server, until
from tests.integration.watched_node import framed
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.role import Role
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.want import Want
from twisted_bazaar.values.sale import Supply

GRACE_S: Final = 1.0
SMALL_BUFFER_BYTES: Final = 4096
MANY_PINGS: Final = 5_000
IPV4: Final = "127.0.0.1"
IPV6: Final = "::1"


def need_ipv6() -> None:
    """Skip the test on a machine without IPv6."""
    try:
        socket.create_server((IPV6, 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")


@pytest.fixture(params=[IPV4, IPV6], ids=["IPv4", "IPv6"])
def host(request: pytest.FixtureRequest) -> str:
    """The loopback address of one family."""
    if request.param == IPV6:
        need_ipv6()
    address: str = request.param
    return address


@pytest_twisted.async_yield_fixture
async def market(host: str, tmp_path: Path) -> AsyncIterator[Market]:
    """A market with a tracker. When it has closed, nothing of it is open."""
    statuses: list[int] = []
    market = Market(host, tmp_path, statuses)
    assert market.left_open() != set(), "a tracker is running: who does not see that sees nothing that stays open"
    yield market
    # The plugin begins this outside the reactor; its own timer is gone in the reactor's next turn but one.
    for _ in range(2):
        await deferLater(reactor, 0.0)
    await market.stop()
    assert market.left_open() == set()


async def until_linked(*members: Member) -> None:
    """Wait until nodes have a link to another node."""
    await until(lambda: all(member.role.node.peers() for member in members))


def hosts_of_links(member: Member) -> set[str]:
    """The addresses of the nodes that a node is linked to."""
    return {peer.address.host for peer in member.role.node.peers()}


def counts_of(seller: Member) -> tuple[int, int, int]:
    """What a seller counts when it stops: supplied, in stock, sold."""
    [count] = seller.events("stock")
    return count["supplied"], count["in_stock"], count["sold"]


def orders_told(event: str, *members: Member) -> set[str]:
    """The ids of the orders of which nodes tell an event, each once."""
    orders = [told["order"] for member in members for told in member.events(event)]
    assert len(set(orders)) == len(orders), f"an order was {event} twice"
    return set(orders)


@pytest_twisted.ensureDeferred
async def test_trade(market: Market, host: str) -> None:
    """A buyer finds a seller with the tracker's help and buys from it; both write down the same sale."""
    seller = market.start(Seller({"apple": Supply(5, 120)}))
    errand = Buyer([Want("apple", 2)], once_s=LONGEST_S)
    buyer = market.start(errand)

    await until(lambda: market.statuses)

    assert market.statuses == [0]
    [record] = errand.bag
    assert (record.seller_node, record.price, record.quantity) == (seller.id, 120, 2)
    [sold], [bought] = seller.events("sold"), buyer.events("bought")
    assert {"item": "apple", "quantity": 2, "price": 120, "buyer": buyer.id}.items() <= sold.items()
    assert (bought["order"], bought["route"]) == (sold["order"], sold["route"][::-1])
    assert hosts_of_links(buyer) == hosts_of_links(seller) == {host}


@pytest_twisted.ensureDeferred
async def test_trade_over_a_relay(market: Market) -> None:
    """A buyer that nobody can connect to buys over a relay from a seller that has no slot for it."""
    relay = market.start(Role())
    seller = market.start(Seller({"apple": Supply(5)}), relay.endpoint, max_links=1)
    await until_linked(seller)
    errand = Buyer([Want("apple", 1)])
    buyer = market.start(errand, relay.endpoint, listen="none", max_links=1)

    await until(lambda: errand.bag)

    [bought] = buyer.events("bought")
    assert bought["route"] == [buyer.id, relay.id, seller.id]
    assert [sold["route"] for sold in seller.events("sold")] == [bought["route"][::-1]]


@pytest_twisted.ensureDeferred
async def test_race(market: Market) -> None:
    """Ten buyers race for six pieces: six are sold, each to one of them, and the seller's count adds up."""
    seller = market.start(Seller({"apple": Supply(6)}))
    errands = [Buyer([Want("apple", 1)], gather_s=0.05) for _ in range(10)]
    buyers = [market.start(errand) for errand in errands]
    await until(lambda: sum(len(errand.bag) for errand in errands) >= 6)

    await market.stop()

    assert counts_of(seller) == (6, 0, 6)
    assert orders_told("bought", *buyers) == orders_told("sold", seller)


@pytest_twisted.ensureDeferred
async def test_tracker_returns(market: Market) -> None:
    """A tracker that returns without its memory finds its nodes as they were, and names them to a newcomer."""
    relay = market.start(Role())
    seller = market.start(Seller({"apple": Supply(5)}))
    await until_linked(relay, seller)
    place = server(market.tracker.host, market.tracker.port)
    await market.stop(market.tracker)

    market.start_tracker(place)
    await until(lambda: len(relay.events("joined")) == len(seller.events("joined")) == 2)
    errand = Buyer([Want("apple", 1)])
    market.start(errand)
    await until(lambda: errand.bag)

    for member in (relay, seller):
        first, second = (joined["id"] for joined in member.events("joined"))
        assert first == second
    assert [record.seller_node for record in errand.bag] == [seller.id]


@pytest.mark.parametrize("event", ["listening", "joined", "offered", "sold", "bought"])
@pytest_twisted.ensureDeferred
async def test_stops_in_the_middle(market: Market, event: str) -> None:
    """Stopped all at once, nodes close all; what a buyer says it bought is sold, and it denies no sale."""
    seller = market.start(Seller({"apple": Supply(20)}))
    buyers = [market.start(Buyer([Want("apple", 1)], gather_s=0.01)) for _ in range(6)]
    await until(lambda: any(member.events(event) for member in (seller, *buyers)), every_s=0.0)

    await market.stop()

    sales = orders_told("sold", seller)
    assert counts_of(seller) == (20, 20 - len(sales), len(sales))
    assert orders_told("bought", *buyers) <= sales <= orders_told("bought", *buyers) | orders_told("unknown", *buyers)
    assert sales or event not in ("sold", "bought")


@pytest_twisted.ensureDeferred
async def test_silence(market: Market, host: str) -> None:
    """Neither strangers who connect nor a neighbour who is dialled keep a node from leaving by saying nothing."""
    with contextlib.ExitStack() as sockets:
        mute = sockets.enter_context(socket.create_server((host, 0), family=family_of(host)))
        node = market.start(Role(), client(host, mute.getsockname()[1]))
        await until(lambda: select.select([mute], [], [], 0)[0])
        readers = len(reactor.getReaders())
        for _ in range(5):
            sockets.enter_context(socket.create_connection((host, node.port)))
        await until(lambda: len(reactor.getReaders()) == readers + 5)
        stopped_at = reactor.seconds()

        await market.stop()

        assert reactor.seconds() - stopped_at < Limits().handshake_s


@pytest_twisted.ensureDeferred
async def test_deaf_neighbour(market: Market, host: str) -> None:
    """A neighbour that asks and never reads the answers is cut off: its node has ended when its socket is closed."""
    node = market.start(Role(), grace_s=GRACE_S, stop_reading_bytes=1 << 20)
    await until(lambda: node.events("joined"))
    [port] = [
        reader for reader in reactor.getReaders() if isinstance(reader, Port) and reader.getHost().port == node.port
    ]
    # Connections inherit it; what the system would hold for a deaf neighbour is megabytes.
    port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER_BYTES)
    with socket.socket(family_of(host)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        deaf.connect((host, node.port))
        deaf.sendall(framed("thisisme", id=1, port=0, key=f"{1:064x}"))
        await until_linked(node)
        deaf.setblocking(False)
        unsent = bytearray(framed("ping") * MANY_PINGS)

        def is_all_sent() -> bool:
            with contextlib.suppress(BlockingIOError):
                del unsent[: deaf.send(unsent)]
            return not unsent

        await until(is_all_sent)
        await until(lambda: node.events_file.read_text(encoding="utf-8").count('"pong"') == MANY_PINGS)
        stopped_at = reactor.seconds()

        await market.stop()

        assert reactor.seconds() - stopped_at >= GRACE_S


@pytest.mark.parametrize("host", [IPV4], indirect=True)
@pytest_twisted.ensureDeferred
async def test_both_families(market: Market) -> None:
    """A buyer on IPv4 buys from a seller on IPv6, and links to it."""
    need_ipv6()
    seller = market.start(Seller({"apple": Supply(5)}), listen=server(IPV6))
    errand = Buyer([Want("apple", 1)])
    buyer = market.start(errand)

    await until(lambda: errand.bag)

    assert [record.seller_node for record in errand.bag] == [seller.id]
    assert IPV6 in hosts_of_links(buyer)
