"""From bytes to messages: frames split and decoded into message objects a second.

One byte string holds some thousands of the market's messages, mixed as a relay sees them: most are
searches, each answered now and then, and few of the answers become sales. Both sides get the same
bytes in the same pieces of 64 KiB. Ours is L{FrameSplitter} and L{Codec}, used as a link uses them; the
peer is Twisted's C{NetstringReceiver} with C{json.loads}, which checks nothing.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.testing import StringTransport
from twisted.protocols.basic import NetstringReceiver

from benchmarks.harness import Measure, figure, take
from benchmarks.peers import Peer
from benchmarks.report import BenchmarkError, Row
from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.identity.signed import seal
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.trade.contract import Quote, make_answer, make_purchase, read_purchase
from twisted_bazaar.trade.messages import Buy, BuyOK, handle_of
from twisted_bazaar.values.sale import Outcome, Verdict
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.framing import FrameSplitter, frame
from twisted_bazaar.wire.goods import BAZAAR
from twisted_bazaar.wire.message import LARGEST_INTEGER, Message

_PIECE_BYTES: Final = 64 << 10
_MESSAGES: Final = 50_000
_SALES: Final = 200
_ROUNDS: Final = 9
_WEIGHTS: Final[dict[type[Message], int]] = {Search: 60, Reply: 20, Buy: 8, BuyOK: 8, Error: 4}
_ITEMS: Final = ("apple", "pear", "screwdriver", "oscilloscope 100 MHz", "3D-Drucker", "Größe M", "ventilator")
_HOSTS: Final = [f"192.0.2.{number}" for number in range(1, 65)]


class _JsonReceiver(NetstringReceiver):
    """Counts what C{json} makes of each frame."""

    received = 0

    def stringReceived(self, string: bytes) -> None:
        """Read one message."""
        json.loads(string)
        self.received += 1


def measure() -> list[Row]:
    """All rows of this module."""
    data = _traffic(random.Random(1), _MESSAGES)
    pieces = [data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES)]
    wire = Measure(
        name="wire",
        unit="messages a second",
        goal=4.0,
        peer=Peer("NetstringReceiver and json"),
        ours=figure(lambda: _rate(_read_ours, pieces)),
        theirs=figure(lambda: _rate(_read_bare, pieces)),
    )
    return take([wire], _ROUNDS)


def _rate(read: Callable[[list[bytes]], int], pieces: list[bytes]) -> float:
    began = time.perf_counter()
    count = read(pieces)
    elapsed_s = time.perf_counter() - began
    if count != _MESSAGES:
        raise BenchmarkError(f"{count} messages were read out of {_MESSAGES}")
    return count / elapsed_s


def _read_ours(pieces: list[bytes]) -> int:
    limits = Limits()
    splitter = FrameSplitter(limits.frame_bytes)
    decode, most = Codec().decode, limits.frames_a_turn
    count = 0
    for piece in pieces:
        splitter.receive(piece)
        while frames := splitter.next_frames(most):
            for payload in frames:
                decode(payload)
            count += len(frames)
    return count


def _read_bare(pieces: list[bytes]) -> int:
    receiver: Any = _JsonReceiver()
    receiver.makeConnection(StringTransport())
    for piece in pieces:
        receiver.dataReceived(piece)
    return int(receiver.received)


def _traffic(rng: random.Random, count: int) -> bytes:
    """The bytes of many messages, the same for the same generator."""
    encode = Codec().encode
    sales = [_Sale(rng) for _ in range(_SALES)]
    kinds: list[Any] = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count)
    return b"".join(frame(encode(_message(kind, rng.choice(sales), rng))) for kind in kinds)


class _Sale:
    """What is signed in one sale."""

    def __init__(self, rng: random.Random) -> None:
        seller, buyer = KeyPair.generate(rng), KeyPair.generate(rng)
        self.quantity, self.price = rng.choice((1, 1, 1, 2, 5)), rng.choice((None, 120, 4999))
        self.item = rng.choice(_ITEMS)
        quote_id, order_id = rng.randbytes(16).hex(), rng.randbytes(16).hex()
        terms = Quote(BAZAAR, seller.public, quote_id, self.item, self.quantity, 1_800_000_000_000, self.price)
        self.quote = seal(seller, terms)
        self.purchase = make_purchase(buyer, order_id, self.quote, terms, self.quantity)
        order = read_purchase(self.purchase, lambda envelope: terms)
        self.answer = make_answer(seller, BAZAAR, order, Verdict(Outcome.SOLD))
        self.handle = handle_of(order_id)


def _message(kind: Any, sale: _Sale, rng: random.Random) -> Message:
    """One message as it stands between two relays."""
    path = tuple(rng.sample(range(1, 2**31), rng.randint(1, 5)))
    number = rng.randrange(LARGEST_INTEGER)
    if kind is Error:
        return Error(code="notnow", info="the book cannot be written; ask again", about="buy", id=number, path=path)
    if kind is Search:
        goods: dict[str, Any] = {"item": sale.item, "id": number, "quantity": sale.quantity}
        return Search(return_path=path, ttl=7 - len(path), host=rng.choice(_HOSTS), port=40123, **goods)
    if kind is Reply:
        goods = {"item": sale.item, "id": number, "quantity": sale.quantity, "price": sale.price}
        return Reply(path=path, quote=sale.quote, **goods)
    if kind is Buy:
        return Buy(path=path, id=sale.handle, order=sale.purchase)
    return BuyOK(path=path, id=sale.handle, answer=sale.answer)
