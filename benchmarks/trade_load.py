"""Buyers for a seller under load: many plain sockets in one process, each with a key and orders of its own.

All that buyers would do on machines of their own is done before the time is taken: quotes are asked for and
orders signed. While it is taken, each buyer sends an order, waits for the answer, and sends the next. That
every answer is the seller's, and a yes, is verified afterwards.
"""

from __future__ import annotations

import json
import random
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import msgspec
from attrs import define, field

from benchmarks.processes import LOOPBACK, PATIENCE_S, Server, daemon
from benchmarks.report import BenchmarkError
from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.control import ThisIsMe, ThisIsYou
from twisted_bazaar.plugin import declare_messages
from twisted_bazaar.trade.contract import ID_BYTES, Answer, Quote, make_purchase
from twisted_bazaar.trade.messages import Buy, BuyOK, handle_of
from twisted_bazaar.values.sale import Outcome
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.framing import FrameSplitter, frame
from twisted_bazaar.wire.message import Message

ITEM: Final = "device"
STOCK: Final = 10**9
_SELLER_ID: Final = 1003
_FIRST_BUYER_ID: Final = 10_000
_FRAME_BYTES: Final = 65_536

declare_messages()
_codec = Codec()


@contextmanager
def seller(words: Sequence[str], buyers: int) -> Iterator[Server]:
    """A seller of one item, the daemon as users run it, that has its id and knows nobody."""
    with socket.create_server((LOOPBACK, 0)) as stand_in:
        stand_in.settimeout(PATIENCE_S)
        command = [
            *("bazaar-node", "--role", "seller", "--stock", f"{ITEM}={STOCK}", "--min-links=0"),
            *("--tracker", f"tcp:{LOOPBACK}:{stand_in.getsockname()[1]}", "--max-links", str(buyers + 8)),
            *("--limit", "searches-a-second=1000000", *words),
        ]
        with daemon(command) as process:
            link, _ = stand_in.accept()
            with link:
                link.settimeout(PATIENCE_S)
                told = json.loads(_read_frame(link))
                _send(link, ThisIsYou(id=_SELLER_ID, host=LOOPBACK, port=told["port"]))
                yield Server(process.pid, told["port"])


@define
class _Buyer:
    """One buyer, its connection, and the orders that it has ready."""

    number: int
    link: socket.socket
    rng: random.Random
    key: KeyPair = field(init=False)
    orders: list[bytes] = field(factory=list)
    splitter: FrameSplitter = field(factory=lambda: FrameSplitter(_FRAME_BYTES))
    answers: list[bytes] = field(factory=list)
    waits_s: list[float] = field(factory=list)
    sent_at: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.key = KeyPair.generate(self.rng)

    def greet(self) -> None:
        """Become a neighbour of the seller."""
        _send(self.link, ThisIsMe(id=_FIRST_BUYER_ID + self.number, port=0, key=self.key.public))
        if json.loads(_read_frame(self.link)).get("type") != "thisisme":
            raise BenchmarkError("the seller did not greet")

    def prepare(self, orders: int) -> None:
        """Ask for a quote, and sign so many orders on it."""
        search = Search(
            id=self.rng.getrandbits(50), return_path=(_FIRST_BUYER_ID + self.number,), ttl=1, item=ITEM, quantity=1
        )
        _send(self.link, search)
        reply = _codec.decode(_read_frame(self.link))
        if not isinstance(reply, Reply) or reply.quote is None:
            raise BenchmarkError(f"the seller answered a search with {reply}")
        terms = reply.quote.open(Quote)
        for _ in range(orders):
            order_id = self.rng.randbytes(ID_BYTES).hex()
            purchase = make_purchase(self.key, order_id, reply.quote, terms, 1)
            self.orders.append(frame(_codec.encode(Buy(id=handle_of(order_id), order=purchase))))

    def send_next(self) -> bool:
        """Send an order, if one is left; returns whether one was."""
        if not self.orders:
            return False
        self.sent_at = time.perf_counter()
        self.link.sendall(self.orders.pop())
        return True


class Load:
    """Buyers that are linked to a seller.

    @param rng: the source of their keys and orders.
    """

    def __init__(self, server: Server, buyers: int, rng: random.Random) -> None:
        self._stack = ExitStack()
        self._buyers = [
            _Buyer(number, self._stack.enter_context(server.connect()), random.Random(rng.random()))
            for number in range(buyers)
        ]
        for buyer in self._buyers:
            buyer.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            buyer.greet()

    def close(self) -> None:
        """End the connections."""
        self._stack.close()

    def rate(self, orders: int) -> float:
        """How many sales a second there are, while each buyer makes so many orders, one after another."""
        for buyer in self._buyers:
            buyer.prepare(orders)
        elapsed_s = self._run()
        self._verify(orders)
        return orders * len(self._buyers) / elapsed_s

    def waits(self, orders: int) -> list[float]:
        """How many seconds each order took to be answered, while each buyer makes so many."""
        self.rate(orders)
        return [wait for buyer in self._buyers for wait in buyer.waits_s[-orders:]]

    def _run(self) -> float:
        with selectors.DefaultSelector() as selector:
            for buyer in self._buyers:
                selector.register(buyer.link, selectors.EVENT_READ, buyer)
            running = len(self._buyers)
            began = time.perf_counter()
            for buyer in self._buyers:
                buyer.send_next()
            while running:
                ready = selector.select(PATIENCE_S)
                if not ready:
                    raise BenchmarkError("the seller does not answer any more")
                for key, _ in ready:
                    running -= self._take(key.data)
            return time.perf_counter() - began

    def _take(self, buyer: _Buyer) -> bool:
        """Take what has come for a buyer; returns whether it is done."""
        data = buyer.link.recv(_FRAME_BYTES)
        if not data:
            raise BenchmarkError("the seller closed a connection")
        buyer.splitter.receive(data)
        for payload in buyer.splitter.next_frames(16):
            if payload.startswith(b'{"type":"buyOK"'):
                buyer.waits_s.append(time.perf_counter() - buyer.sent_at)
                buyer.answers.append(payload)
                if not buyer.send_next():
                    return True
            elif not payload.startswith(b'{"type":"p'):
                raise BenchmarkError(f"the seller says {payload[:200]!r}")
        return False

    def _verify(self, orders: int) -> None:
        """See that all orders were answered with a signed yes, each with its own."""
        for buyer in self._buyers:
            answers = [_codec.decode(payload) for payload in buyer.answers]
            buyer.answers.clear()
            said = [answer.answer.open(Answer) for answer in answers if isinstance(answer, BuyOK)]
            sold = {each.order for each in said if each.outcome is Outcome.SOLD and each.buyer == buyer.key.public}
            if len(sold) != orders:
                raise BenchmarkError(f"{len(sold)} of {orders} orders of a buyer were sold")


def _send(link: socket.socket, message: Message) -> None:
    link.sendall(frame(_codec.encode(message)))


def _read_frame(link: socket.socket) -> bytes:
    """The next payload; the link has nothing else under way."""
    splitter = FrameSplitter(_FRAME_BYTES)
    while True:
        data = link.recv(_FRAME_BYTES)
        if not data:
            raise BenchmarkError("a connection was closed")
        splitter.receive(data)
        payloads = splitter.next_frames(8)
        for payload in payloads:
            if not msgspec.json.decode(payload).get("type", "").startswith(("ping", "pong")):
                return payload
