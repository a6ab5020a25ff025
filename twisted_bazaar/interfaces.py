"""The seams of the house: what each part may ask of another.

Everything that calls upwards does it through one of these. Types stand in the annotations; the
prose says what is promised.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from twisted.python import usage
from zope.interface import Attribute, Interface

from twisted_bazaar.wire.message import Flooded, Message

Route = tuple[int, ...]
"""Ids of nodes, this node first and the one to reach last; two ids are a direct link."""


@frozen
class Address:
    """Where a node listens.

    @ivar host: an IP address.
    @ivar port: a TCP port; 0 when the node takes no connections.
    """

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether it leads back to the machine of whoever reads it."""
        return _is_local(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@lru_cache(maxsize=1024)
def _is_local(host: str) -> bool:
    ip = ip_address(host)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_loopback or ip.is_unspecified


@frozen
class Peer:
    """A node at the other end of an open link.

    @ivar id: its short handle for paths.
    @ivar key: its public key, which is its identity.
    @ivar address: where others can reach it.
    """

    id: int
    key: str
    address: Address


@frozen
class Origin:
    """Where a message came from.

    @ivar id: the node that sent it first.
    @ivar route: the way back there from this node.
    """

    id: int
    route: Route

    @property
    def is_direct(self) -> bool:
        """Whether it came over a link of its own."""
        return len(self.route) == 2


@frozen
class Offer:
    """What one seller said it would sell.

    @ivar seller: the seller's id.
    @ivar quantity: how many it offers, at least 1.
    @ivar price: for one piece, in minor units; None when it names none.
    @ivar search_id: the search it answers.
    @ivar route: the way to the seller.
    """

    seller: int
    item: str
    quantity: int
    price: int | None
    search_id: int
    route: Route


@frozen
class Quote:
    """What a shelf has for one buyer.

    @ivar quantity: pieces held for the buyer or free, at least 1.
    @ivar price: for one piece, in minor units; None when none is asked.
    """

    quantity: int
    price: int | None


@frozen
class Order:
    """A wish to buy, as the seller sees it.

    @ivar buyer: who orders; with C{id} it names the order for ever.
    @ivar price: for one piece, what the buyer agreed to; None for goods without a price.
    """

    buyer: int
    id: int
    item: str
    quantity: int
    price: int | None


@frozen
class Sale:
    """The final answer to an order: the goods are the buyer's."""

    order: Order


@frozen
class Refusal:
    """The final answer to an order: no goods change hands.

    @ivar code: the wire code of the reason.
    @ivar reason: the same for people.
    """

    order: Order
    code: str
    reason: str


Answer = Sale | Refusal


@frozen
class Settlement:
    """What a ledger says to an order.

    @ivar is_repeat: whether the same was said to this order before.
    """

    answer: Answer
    is_repeat: bool


@frozen
class StockLevel:
    """The count of one item. Always: supplied = in_stock + sold.

    @ivar price: for one piece, in minor units; None when it is given without one.
    """

    item: str
    supplied: int
    in_stock: int
    sold: int
    price: int | None


class INode(Interface):
    """One member of the network, as a role sees it. A role never sees sockets or frames."""

    id: int = Attribute("This node's id; -1 until the tracker has given one.")
    clock: IReactorTime = Attribute("The only source of time and timers.")
    rng: random.Random = Attribute("The only source of chance.")

    def flood(message: Flooded) -> int:
        """Send a search of this node's own to every link.

        The node fills in the return path and where it listens.

        @return: how many links it went to.
        """

    def send(message: Message, route: Route) -> bool:
        """Send a message along a route that starts here.

        Over more than one link only L{Routed} messages can go.

        @return: False when it cannot go, because the first link of the route is not there, or the route
            is longer than a path may be; nothing is sent then.
        """

    def routes_to(node_id: int) -> Sequence[Route]:
        """The known routes to a node: a direct link first, then by length. Empty if there is none."""

    def reach(node_id: int, address: Address) -> Deferred[bool]:
        """Try to have a direct link to a node.

        @return: fires with whether there is one now; never fails.
        """

    def release(node_id: int) -> None:
        """Say that a link made by L{reach} is needed no longer."""

    def peers() -> Sequence[Peer]:
        """Who is linked to this node now."""

    def report(event: str, sentence: str | None, **details: Any) -> None:
        """Enter something worth telling into the node's journal and its log.

        @param event: one word, such as C{sold}.
        @param sentence: the same for people, with the details' names in braces; None to keep it out of
            the log, which strangers must not be able to fill.
        @param details: values that JSON can hold.
        """


class IRole(Interface):
    """What a node does beyond passing on messages."""

    receives: Mapping[type[Message], Callable[[Any, Origin], None]] = Attribute(
        "For each message class this role claims, the method that takes it and its origin. Two "
        "roles of one node may not claim the same class, except Error, which goes to all that do."
    )

    def start(node: INode) -> None:
        """Begin; called once, when the node is about to listen. Nothing is linked yet."""

    def stop() -> Deferred[None]:
        """End: cancel every timer and every wait. Links are still open when this is called.

        @return: fires when nothing is under way any more.
        """

    def peer_joined(peer: Peer) -> None:
        """A node is linked."""

    def peer_left(peer: Peer) -> None:
        """A link is gone."""


class IRegistrar(IRole):
    """A role that hands out ids. A node that carries one answers greetings with C{thisisyou}."""

    def number(key: str, claimed: int) -> int:
        """The id of the node that just greeted.

        @param key: its public key.
        @param claimed: the id it says it had before, or -1.
        """


class IErrand(IRole):
    """A role that may end by itself, and its process with it."""

    finished: Deferred[int] = Attribute("Fires with the exit status for the process; or never.")


class IRolePlugin(IPlugin):
    """How a role is found and made. One of these stands in a drop-in under C{twisted/plugins}."""

    name: str = Attribute("The word after C{--role}.")
    description: str = Attribute("One line for C{--help-roles}.")
    options: type[usage.Options] = Attribute("The options that this role adds to the node's.")

    def load() -> None:
        """Import the role's module, and so declare its messages."""

    def make_role(options: Mapping[str, Any]) -> IRole:
        """Make the role.

        @param options: what the command line gave for this role's options.
        @raise UsageError: they ask for something impossible.
        """


class IDiscovery(Interface):
    """A way to find who has something."""

    receives: Mapping[type[Message], Callable[[Any, Origin], None]] = Attribute(
        "The messages this way of finding needs, for the table of the role that uses it."
    )

    def find(
        item: str, quantity: int, accept: Callable[[Offer], bool], seller: int | None = None
    ) -> Deferred[Sequence[Offer]]:
        """Look for sellers of an item.

        @param quantity: how many are wanted, at least 1.
        @param seller: the only one to answer, whether it has any left or not: to find a way to it again.
        @param accept: whether an offer is of any use; the search goes on as if the others had not come.
        @return: fires with the offers that came, best first; with none when there was none in time.
        """

    def stop() -> None:
        """End every search under way; what waits for one gets the offers that have come so far."""


class IShelf(Interface):
    """What a way of finding asks of somebody who has goods to offer."""

    def quote(item: str, quantity: int, buyer: Origin) -> Deferred[Quote | None]:
        """What there is for a buyer, held back for it for a while; fires with None for nothing.

        @param buyer: who asks, and by which way.
        """


class ILedger(Interface):
    """The book of one seller's stock and sales. Every answer in it is final."""

    def settle(order: Order, kept_back: int) -> Deferred[Settlement]:
        """Decide an order once and for all.

        The same C{(buyer, id)} gets the same answer for ever, whatever else the order says.
        When this fires, the answer is as safe as this ledger makes anything.

        @param kept_back: how many pieces of the item are not to be sold to this buyer now.
        @raise StorageError: the book cannot be written; nothing is decided.
        """

    def level(item: str) -> Deferred[StockLevel | None]:
        """The count of one item; fires with None for what was never supplied.

        @raise StorageError: the book cannot be read now.
        """

    def levels() -> Deferred[Sequence[StockLevel]]:
        """The count of every item, all of one moment."""
