"""The searches and orders of a trace: who wanted what, and how it ended. It keeps a few words on each."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.cli.trace.reader import Line, id_of
from twisted_bazaar.cli.trace.statements import goods_in_words
from twisted_bazaar.wire.message import TRACKER_ID

_TRACKER: Final = "tracker"


class SearchSeen:
    """One search.

    @param first: the line in which it is sent for the first time.
    @ivar by: who searches.
    @ivar seller: the key of the only node that is to answer; None for anybody.
    @ivar replies: how many nodes have answered.
    @ivar offers: how many of the answers arrived and were welcome.
    @ivar bought: how many units were bought of whom it found.
    """

    __slots__ = ("began_s", "bought", "by", "id", "item", "offers", "quantity", "replies", "seller", "ttl")

    def __init__(self, first: Line, message_id: int) -> None:
        self.id: int = message_id
        self.by: str = str(first.node)
        self.began_s: float = first.time
        self.item: str = first.item
        self.quantity: int = first.quantity
        self.ttl: int = first.ttl
        self.seller: int | str | None = first.seller
        self.replies: int = 0
        self.offers: int = 0
        self.bought: int = 0

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.bought:
            return f"bought {self.bought}"
        if self.offers:
            return f"{_count(self.offers, 'offer')}, nothing bought"
        if self.replies:
            return _count(self.replies, "answer") + ("" if self.seller is not None else ", no offer")
        return "no answer"


class OrderSeen:
    """One order.

    @param first: the line in which it is sent for the first time.
    @param handle: the number by which messages name it.
    @ivar id: as much of its id as the messages about it have.
    @ivar by: who orders.
    @ivar goods: what, in words.
    @ivar seller: the id of the node that it goes to.
    @ivar seller_key: the key of the seller that it is for.
    @ivar tries: how often its buyer has sent it.
    @ivar sold_s: when the seller said that it sold.
    @ivar ended_s: when the buyer had its answer.
    @ivar refusal: the answer, if it was no.
    """

    __slots__ = ("began_s", "by", "ended_s", "goods", "id", "refusal", "seller", "seller_key", "sold_s", "tries")

    def __init__(self, first: Line, handle: int) -> None:
        said = first.said
        self.id: str = id_of(handle)
        self.by: str = str(first.node)
        self.began_s: float = first.time
        self.goods: str = "something unreadable" if said is None else goods_in_words(said.item, said.quantity, None)
        self.seller: int | None = first.goes_to
        self.seller_key: str = "" if said is None else said.seller
        self.tries: int = 0
        self.sold_s: float | None = None
        self.ended_s: float | None = None
        self.refusal: str | None = None

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        tries = f" after {self.tries} tries" if self.tries > 1 else ""
        if self.ended_s is None:
            return f"{'sold, and the buyer does not know' if self.sold_s is not None else 'no answer'}{tries}"
        how = "bought" if self.refusal is None else self.refusal
        return f"{how} within {self.ended_s - self.began_s:.3f} s{tries}"


class Names:
    """Names of nodes: paths hold ids, and people read names."""

    def __init__(self) -> None:
        self._by_id = {TRACKER_ID: _TRACKER}
        self._by_key: dict[str, str] = {}
        self._by_address: dict[str, int] = {}

    def learn(self, line: Line) -> None:
        """Take note of a node that has joined, that says which key or id it has, or where another is."""
        if not isinstance(line.node, str):
            return
        if line.event == "joined" and isinstance(line.id, int) and line.address is None:
            self._by_id[line.id] = line.node
        elif line.type in ("thisisme", "superhello"):
            self._by_key[line.key] = line.node
            if isinstance(line.id, int) and line.id > TRACKER_ID:
                # Super peers and their leaves are given no ids: those follow from their keys.
                self._by_id.setdefault(line.id, line.node)
        elif line.event == "neighbour" and isinstance(line.id, int):
            self._by_address[f"{line.host}:{line.port}"] = line.id
        elif line.event == "moored" and isinstance(line.super_peer, int):
            self._by_address[f"{line.host}:{line.port}"] = line.super_peer

    def at(self, address: int | str | None) -> str:
        """The name of who takes datagrams at an address; the address itself if that is not known."""
        node_id = self._by_address.get(str(address))
        return str(address) if node_id is None else self[node_id]

    def learn_key(self, key: str, node_id: int | None) -> None:
        """Take note of the key that a node is said to have, if it has not said so itself."""
        self._by_key.setdefault(key, self[node_id])

    def __getitem__(self, who: int | str | None) -> str:
        """The name of a node by its id, or by its public key."""
        if who is None:
            return "somebody who has not said who it is"
        if isinstance(who, str):
            return self._by_key.get(who, f"the node with the key {who[:8]}")
        return self._by_id.get(who, f"node {who}")

    def is_sender(self, line: Line) -> bool:
        """Whether a message comes from the node that sends it, which does not just pass it on."""
        return not line.path or self[line.path[0]] == line.node


class TraceSummary:
    """Goes through a trace and notes its searches and orders.

    @ivar names: who is who.
    @ivar searches: each search, the first first; an id is one of the node that chose it.
    @ivar orders: each order by its handle, the first first.
    """

    def __init__(self) -> None:
        self.names: Names = Names()
        self.searches: dict[tuple[int, int], SearchSeen] = {}
        self.orders: dict[int, OrderSeen] = {}
        self._by_id: dict[int, SearchSeen] = {}

    def add_line(self, line: Line) -> None:
        """Note what a line says of a search or an order."""
        self.names.learn(line)
        search = self._by_id.get(-1 if line.search is None else line.search)
        order = None if line.handle is None else self.orders.get(line.handle)
        match line.event:
            case "sent" if line.message_id is not None:
                self._sent(line, line.message_id)
            case "offered" if search is not None:
                search.offers += 1
            case "sold" if order is not None and order.sold_s is None:
                order.sold_s = line.time
            case "bought" | "missed" if order is not None and order.ended_s is None:
                order.ended_s = line.time
                order.refusal = f"refused: {line.reason}" if line.event == "missed" else None
            case "cancelled" if order is not None and order.ended_s is None and line.node == order.by:
                order.ended_s = line.time
                order.refusal = "cancelled"
        if line.event == "bought" and search is not None:
            search.bought += line.quantity

    def _sent(self, line: Line, message_id: int) -> None:
        if line.is_first_hop:
            key = (line.return_path[0], message_id)
            if key not in self.searches:
                search = SearchSeen(line, message_id)
                self.searches[key] = self._by_id[message_id] = search
        elif line.type == "reply" and message_id in self._by_id and self.names.is_sender(line):
            self._by_id[message_id].replies += 1
        elif line.type == "buy" and self.names.is_sender(line):
            if message_id not in self.orders:
                order = self.orders[message_id] = OrderSeen(line, message_id)
                self.names.learn_key(order.seller_key, order.seller)
            self.orders[message_id].tries += 1


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
