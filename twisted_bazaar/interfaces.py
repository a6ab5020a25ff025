"""The seams of the house: what each part may ask of another.

Everything that calls upwards does it through one of these. Types stand in the annotations; the
prose says what is promised.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from twisted.python import usage
from zope.interface import Attribute, Interface

from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.identity.signed import Envelope
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

    @ivar seller: the id of the node that answered.
    @ivar quantity: how many it offers, at least 1.
    @ivar price: for one piece, in minor units; None when it names none.
    @ivar search_id: the search it answers.
    @ivar route: the way to the seller.
    @ivar quote: the same, signed; None when only the way to the seller was asked for. Nothing of it has been
        verified yet.
    """

    seller: int
    item: str
    quantity: int
    price: int | None
    search_id: int
    route: Route
    quote: Envelope | None = None


@frozen
class ShelfQuote:
    """What a shelf has for one buyer.

    @ivar quantity: pieces held for the buyer or free, at least 1.
    @ivar price: for one piece, in minor units; None when none is asked.
    @ivar statement: the same, signed by the seller.
    """

    quantity: int
    price: int | None
    statement: Envelope


@frozen
class Supply:
    """What a seller begins with of one item.

    @ivar quantity: pieces, 0 or more.
    @ivar price: for one piece, in minor units; None when none is asked.
    """

    quantity: int
    price: int | None = None


class Outcome(Enum):
    """How an order ends."""

    SOLD = "sold"
    REFUSED = "refused"
    CANCELLED = "cancelled"


@frozen
class Order:
    """What a seller's book is asked to decide: a purchase, or that a purchase is not to be.

    @ivar buyer: the key of who orders; with C{id} it names the order for ever.
    @ivar id: 32 hexadecimal digits.
    @ivar seller: the key of the seller whose quote it is about.
    @ivar quote: the id of that quote.
    @ivar valid_until_ms: when, by the seller's clock, the quote ends.
    @ivar quantity: pieces; 0 for a purchase that is taken back.
    @ivar price: for one piece, as quoted; None for goods without a price.
    @ivar is_withdrawal: whether the buyer takes the purchase back.
    @ivar statement: what the buyer has signed.
    """

    buyer: str
    id: str
    seller: str
    quote: str
    valid_until_ms: int
    item: str
    quantity: int
    price: int | None
    is_withdrawal: bool
    statement: Envelope

    @property
    def key(self) -> tuple[str, str]:
        """What names it for ever."""
        return self.buyer, self.id


@frozen
class Verdict:
    """What a seller makes of an order that it has not answered before.

    @ivar code: why it is refused, for programs; empty when it is not.
    @ivar reason: the same for people.
    @ivar is_kept: whether the book has to remember it. It need not if it would come to the same verdict at any
        later time.
    """

    outcome: Outcome
    code: str = ""
    reason: str = ""
    is_kept: bool = True


@frozen
class Deal:
    """An order and the final answer to it.

    @ivar answer: what the seller has signed.
    @ivar decided_at_ms: when, by the seller's clock.
    """

    order: Order
    outcome: Outcome
    code: str
    reason: str
    answer: Envelope
    decided_at_ms: int = 0


@frozen
class Settlement:
    """What a ledger says to an order.

    @ivar is_repeat: whether the same was said to this order before.
    """

    deal: Deal
    is_repeat: bool


@frozen
class StockLevel:
    """The count of one item. Always: supplied = in_stock + sold + withdrawn.

    @ivar price: for one piece, in minor units; None when it is given without one.
    """

    item: str
    supplied: int
    in_stock: int
    sold: int
    withdrawn: int
    price: int | None


class INode(Interface):
    """One member of the network, as a role sees it. A role never sees sockets or frames."""

    id: int = Attribute("This node's id; -1 until the tracker has given one.")
    key: KeyPair = Attribute("This node's key, with which its roles sign.")
    bazaar: str = Attribute("The name of the bazaar it trades in; what is signed for another is worth nothing here.")
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


Command = Callable[[Mapping[str, Any]], Deferred[Any]]
"""Does what the operator of a node asks for: takes and fires with values that JSON can hold."""


class IOperable(IRole):
    """A role that the operator of its node can ask things of while it runs."""

    commands: Mapping[str, Command] = Attribute(
        "By name, what it can be asked. May fire with UsageError, SoldOut or StorageError."
    )


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
        item: str, quantity: int, accept: Callable[[Offer], bool], seller: str | None = None
    ) -> Deferred[Sequence[Offer]]:
        """Look for sellers of an item.

        @param quantity: how many are wanted, at least 1.
        @param seller: the key of the only one to answer, whether it has any left or not: to find a way to it
            again.
        @param accept: whether an offer is of any use; the search goes on as if the others had not come.
        @return: fires with the offers that came, best first; with none when there was none in time.
        """

    def stop() -> None:
        """End every search under way; what waits for one gets the offers that have come so far."""


class IShelf(Interface):
    """What a way of finding asks of somebody who has goods to offer."""

    def presence(search_id: int) -> Envelope:
        """A signed word that the search with this id has come to the seller."""

    def quote(item: str, quantity: int, buyer: Origin) -> Deferred[ShelfQuote | None]:
        """What there is for a buyer, held back for it for a while; fires with None for nothing.

        @param buyer: who asks, and by which way.
        """


Seal = Callable[[Order, Verdict], Envelope]
"""Makes the signed answer to an order."""


class ILedger(Interface):
    """The book of one seller's stock and sales. Every answer in it is final."""

    fault: str | None = Attribute("Why the book could not be read or written when it was last tried; None if it could.")

    def start(reactor: Any) -> None:
        """Open the book. What is asked of it before it is open waits.

        @param reactor: time, timers and threads.
        """

    def stop() -> Deferred[None]:
        """Close the book when everything asked of it is done; fires then."""

    def settle(order: Order, kept_back: int, seal: Seal) -> Deferred[Settlement]:
        """Decide an order once and for all.

        The same C{(buyer, id)} gets the same answer for ever, whatever else the order says.
        When this fires, the answer is as safe as this ledger makes anything.

        @param kept_back: how many pieces of the item are not to be sold to this buyer now.
        @param seal: called with the verdict, perhaps in another thread, for the answer to keep.
        @raise StorageError: the book cannot be written; nothing is decided.
        """

    def terms(item: str, seller: str) -> Deferred[tuple[StockLevel | None, int]]:
        """What a seller has to know to make a quote.

        @param seller: its key.
        @return: fires with the count of the item, None for what was never supplied; and the instant, in
            milliseconds, after which a quote must be valid to be worth anything.
        @raise StorageError: the book cannot be read now.
        """

    def levels() -> Deferred[Sequence[StockLevel]]:
        """The count of every item, all of one moment.

        @raise StorageError: the book cannot be read now.
        """

    def stock(supplies: Mapping[str, Supply]) -> Deferred[Sequence[StockLevel]]:
        """Enter what a seller begins with. Of what is in the book already only the price is changed.

        @return: fires with the count of each item before; of what was not there, with nothing.
        @raise StorageError: the book cannot be written; nothing is changed.
        """

    def supply(item: str, quantity: int, price: int | None = None) -> Deferred[StockLevel]:
        """Add pieces to an item, which may be a new one.

        @param price: for one piece from now on; None to leave it as it is.
        @raise StorageError: the book cannot be written; nothing is changed.
        """

    def withdraw(item: str, quantity: int) -> Deferred[StockLevel]:
        """Take pieces out that are not to be sold.

        @raise SoldOut: there are not so many; nothing is changed.
        @raise StorageError: the book cannot be written; nothing is changed.
        """

    def deals(id_prefix: str = "", most: int = 1000) -> Deferred[Sequence[Deal]]:
        """Orders that were answered, the latest first.

        @param id_prefix: only those whose id begins so.
        @param most: no more than these.
        @raise StorageError: the book cannot be read now.
        """
