"""The searches and orders of a trace: who wanted what, and how it ended. It keeps a few words on each."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.cli.trace_lines import Line
from twisted_bazaar.wire.message import TRACKER_ID

_TRACKER: Final = "tracker"


class SearchSeen:
    """One search.

    @param first: the line in which it is sent for the first time.
    @ivar by: who searches.
    @ivar seller: the id of the only node that is to answer; None for anybody.
    @ivar replies: how many nodes have answered.
    @ivar offers: how many of the answers arrived and were welcome.
    @ivar bought: how many pieces were bought of whom it found.
    """

    __slots__ = ("began_s", "bought", "by", "id", "item", "offers", "quantity", "replies", "seller", "ttl")

    def __init__(self, first: Line, message_id: int) -> None:
        self.id = message_id
        self.by = str(first.node)
        self.began_s = first.time
        self.item = first.item
        self.quantity = first.quantity
        self.ttl = first.ttl
        self.seller = first.seller
        self.replies = self.offers = self.bought = 0

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
    @ivar by: who orders.
    @ivar seller: the id of the node that it goes to.
    @ivar tries: how often its buyer has sent it.
    @ivar sold_s: when the seller said that it sold.
    @ivar ended_s: when the buyer had its answer.
    @ivar refusal: the answer, if it was no.
    """

    __slots__ = ("began_s", "by", "ended_s", "id", "item", "price", "quantity", "refusal", "seller", "sold_s", "tries")

    def __init__(self, first: Line, message_id: int) -> None:
        self.id = message_id
        self.by = str(first.node)
        self.began_s = first.time
        self.item = first.item
        self.quantity = first.quantity
        self.price = first.price
        self.seller = first.path[-1] if first.path else first.to
        self.tries = 0
        self.sold_s: float | None = None
        self.ended_s: float | None = None
        self.refusal: str | None = None

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        tries = f" after {self.tries} tries" if self.tries > 1 else ""
        if self.ended_s is None:
            return f"{'sold, and the buyer does not know' if self.sold_s is not None else 'no answer'}{tries}"
        how = "bought" if self.refusal is None else f"refused: {self.refusal}"
        return f"{how} within {self.ended_s - self.began_s:.3f} s{tries}"


class Names:
    """Who is who: ids are what paths hold, names are what people read."""

    def __init__(self) -> None:
        self._by_id = {TRACKER_ID: _TRACKER}

    def learn(self, line: Line) -> None:
        """Take note of a node that has joined."""
        if line.event == "joined" and line.id is not None and isinstance(line.node, str):
            self._by_id[line.id] = line.node

    def __getitem__(self, node_id: int | None) -> str:
        if node_id is None:
            return "somebody who has not said who it is"
        return self._by_id.get(node_id, f"node {node_id}")

    def is_sender(self, line: Line) -> bool:
        """Whether a message comes from the node that sends it, which does not just pass it on."""
        return not line.path or self[line.path[0]] == line.node


class Deals:
    """Goes through a trace and notes its searches and orders.

    @ivar names: who is who.
    @ivar searches: each search, the first first; an id is one of the node that chose it.
    @ivar orders: each order, the first first.
    """

    def __init__(self) -> None:
        self.names = Names()
        self.searches: dict[tuple[int, int], SearchSeen] = {}
        self.orders: dict[int, OrderSeen] = {}
        self._by_id: dict[int, SearchSeen] = {}

    def take(self, line: Line) -> None:
        """Note what a line says of a search or an order."""
        self.names.learn(line)
        search = self._by_id.get(-1 if line.search is None else line.search)
        order = self.orders.get(-1 if line.order is None else line.order)
        match line.event:
            case "sent" if line.id is not None:
                self._sent(line, line.id)
            case "offered" if search is not None:
                search.offers += 1
            case "sold" if order is not None and order.sold_s is None:
                order.sold_s = line.time
            case "bought" | "missed" if order is not None and order.ended_s is None:
                order.ended_s = line.time
                order.refusal = line.reason if line.event == "missed" else None
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
                self.orders[message_id] = OrderSeen(line, message_id)
            self.orders[message_id].tries += 1


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
