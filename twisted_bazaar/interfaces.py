"""The interfaces between the parts: what each may ask of another.

Everything that calls upwards does it through one of these. Types stand in the annotations; the
prose says what is promised.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime, IStreamClientEndpoint
from zope.interface import Attribute

from twisted_bazaar.errors import PeerError
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.interface_bases import Interface
from twisted_bazaar.values.addresses import Address, Origin, Peer, Route, Whereabouts
from twisted_bazaar.values.files import FileQuery, FileSource, Page, SharedFile
from twisted_bazaar.values.joining import Asked
from twisted_bazaar.values.needs import UdpNeed
from twisted_bazaar.values.sale import Deal, Offer, Order, Seal, Settlement, ShelfQuote, StockLevel, Supply
from twisted_bazaar.wire.message import Flooded, Message

AnyFlooded = TypeVar("AnyFlooded", bound=Flooded)

Opening = Callable[[Any, Address], IProtocol | None]
"""Takes the first message of a connection and where it comes from; gives what is to take the connection over.

That gets the transport by C{makeConnection}, with whatever else has arrived. None refuses the connection."""

Receivers = Mapping[type[Message], Callable[[Any, Origin], None]]
"""By the class of a message: what takes it, and where it comes from."""

DatagramReceivers = Mapping[type[Message], Callable[[Any, Address, str | None], None]]
"""The same for messages that come by datagram."""

Openings = Mapping[type[Message], Opening]
"""By the class of a message with which a connection may begin: what takes that over."""


Command = Callable[[Mapping[str, Any]], Deferred[Any]]
"""Does what the operator of a node asks for: takes and fires with values that JSON can hold."""


class INode(Interface):
    """One member of the network, as a role sees it. A role never sees sockets or frames."""

    id: int = Attribute("This node's id; -1 until the tracker has given one.")
    key: KeyPair = Attribute("This node's key, with which its roles sign.")
    bazaar: str = Attribute("The name of the bazaar it trades in; what is signed for another is worth nothing here.")
    udp_port: int = Attribute("Where this node takes datagrams; 0 if it takes none.")
    streams_first: bool = Attribute("Whether files are to come by streams over datagrams where they can.")
    advertised: tuple[str | None, int] = Attribute(
        "The host and port where this node says that it takes links. A host of None is the one that others see it "
        "at; a port of 0 is nowhere."
    )
    clock: IReactorTime = Attribute("The only source of time and timers.")
    rng: random.Random = Attribute("The only source of chance.")

    def new_flood(cls: type[AnyFlooded], **keys: Any) -> AnyFlooded:
        """Make a search of this node's own, with a random id by which answers can name it; L{flood} sends it.

        @param cls: the class of the message.
        @param keys: those of the message, but for C{id} and C{return_path}.
        """

    def flood(message: Flooded) -> int:
        """Send a search of this node's own, made by L{new_flood}, to every link.

        The node fills in the return path and where it listens.

        @return: how many links it went to.
        """

    def send(message: Message, route: Route) -> bool:
        """Send a message along a route that starts here; C{(id, TRACKER_ID)} is the way to its tracker.

        Over more than one link only L{Routed} messages can go. What comes in has the way back in L{Origin.route}.

        @return: False when it cannot go, because the first link of the route is not there, the route is longer than a
            path may be, or the message is not routed and the route has more than one link. Nothing is sent then, and
            the log says why.
        """

    def routes_to(node_id: int) -> Sequence[Route]:
        """The known routes to a node: a direct link first, then by length. Empty if there is none."""

    def try_hold_link(node_id: int, address: Address, holder: Hashable) -> Deferred[bool]:
        """Try to have a direct link to a node that somebody else has named, and may have named in vain.

        One that is made for this stays until it is released; one that is there already is not held.

        @param holder: for whom: whoever gives the same to L{release_link}.
        @return: fires with whether there is one now; never fails.
        """

    def hold_link(where: Address | IStreamClientEndpoint, holder: Hashable) -> Deferred[Peer]:
        """Have a direct link to whoever is at an address, which stays until it is released.

        @param holder: for whom: whoever gives the same to L{release_link}.
        @raise ReachedItself: this node is there.
        @raise ReachedTracker: a tracker is there.
        @raise PeerError: nobody is there, or who is there does not want to.
        """

    def release_link(node_id: int, holder: Hashable) -> None:
        """Give up a hold on a link.

        One that was made for holders closes with its last, unless the node needs it to stay in the network.
        """

    def dismiss_peer(node_id: int, why: PeerError) -> bool:
        """Say that there is nothing to be done over a link: its node is told why, and the link closes.

        It stays if this node made it, the user named its node, or the node carries other roles too.

        @return: whether it closes.
        """

    def kind_changed() -> None:
        """Say that the kind of a role is not what it was: the tracker is greeted anew."""

    def ask_tracker_for(kind: str, have: Sequence[int]) -> Deferred[Whereabouts | None]:
        """Ask the tracker for a node of a kind, at random; fires with None if it names none, or is not there.

        @param have: ids of nodes not to be named.
        """

    def send_datagram(message: Message, addresses: Sequence[Address], keys: Sequence[str | None] = ()) -> None:
        """Send a message to some addresses, as one datagram to each; it may get lost.

        One that has not yet told this node that it receives there is asked first, and the message waits a little.

        @param keys: for each address the key of whom it is for, 64 hexadecimal digits, or None for whoever is there,
            as where there are fewer. Where datagrams are sealed nobody else reads it, and a question goes at once.
        @raise UsageError: it does not fit into a datagram, or this node takes none.
        """

    def has_validated(address: Address) -> bool:
        """Whether whoever is at an address has shown that it receives datagrams there, and has given its cookie.

        If what is being taken from there shows nothing, it has not: somebody else may have sent it in its name.
        """

    def connection_endpoint(
        address: Address, key: str | None = None, timeout_s: float | None = None
    ) -> IStreamClientEndpoint:
        """An endpoint for a connection to whoever is at an address, sealed where this node seals its own.

        @param key: the key that whoever is there must prove, where connections are sealed; None for any.
        @param timeout_s: how long to try; None for as long as for links.
        """

    def stream_endpoint(
        address: Address, key: str | None = None, timeout_s: float | None = None
    ) -> IStreamClientEndpoint | None:
        """An endpoint for a reliable stream over datagrams, to whoever takes datagrams at an address.

        What others open comes to the same L{IRole.openings} as connections do.

        @param key: the key that whoever is there must prove, where datagrams are sealed; None for any.
        @param timeout_s: how long to try.
        @return: None if this node takes no datagrams, or has no streams over them.
        """

    def peers() -> Sequence[Peer]:
        """The nodes that are linked to this one now."""

    def is_behind(node_id: int) -> bool:
        """Whether a linked node is behind with reading what it was sent.

        Nothing that takes work or room is to be made for it meanwhile; False for a node that is not linked.
        """

    def report(event: str, sentence: str | None, **details: Any) -> None:
        """Enter something worth telling into the node's journal and its log.

        @param event: one word, such as C{sold}.
        @param sentence: the same for people, with the details' names in braces; None to keep it out of
            the log, which strangers must not be able to fill.
        @param details: values that JSON can hold.
        """


class IRole(Interface):
    """A role: what a node does beyond passing on messages."""

    receives: Mapping[type[Message], Callable[[Any, Origin], None]] = Attribute(
        "For each message class this role claims, the method that takes it and its origin. Two "
        "roles of one node may not claim the same class, except Error, which goes to all that do."
    )
    openings: Mapping[type[Message], Opening] = Attribute(
        "For each message class with which a connection may begin that is to be no link, what takes it over."
    )

    datagrams: DatagramReceivers = Attribute(
        "For each message class this role takes by datagram, the method that takes it, the address that it came from, "
        "and the key that its sender has proven; None where datagrams go in the open. Whoever sent it does receive "
        "what is sent there; only of L{Message.is_question} it may be otherwise."
    )
    kind: str | None = Attribute(
        "What others may ask the tracker for that look for a node such as this; None for nothing."
    )
    commands: Mapping[str, Command] = Attribute(
        "By name, what the operator of its node can ask it while it runs. May fire with UsageError, SoldOut or "
        "StorageError."
    )
    is_self_numbered: bool = Attribute(
        "Whether its node needs nobody to give it an id: that follows from its key, unless it is told of a tracker."
    )
    needs_neighbours: bool = Attribute(
        "Whether it asks others over links to neighbours, which the node then looks for."
    )
    udp_need: UdpNeed | None = Attribute("Where its node has to take datagrams, and why; None if it need not.")
    finished: Deferred[int] | None = Attribute(
        "Fires with the exit status for the process when the role ends by itself, or never; None if it does not."
    )
    stop_s: float = Attribute("How long C{stop} may take, in seconds; then it is cancelled.")
    limits: Mapping[str, Any] = Attribute("Limits of its node, by name, where the user says nothing.")
    is_stop_and_wait: bool = Attribute(
        "Whether files come by datagrams, a segment at a time, if the user says nothing else, as in a classroom."
    )
    collect_after: int | None = Attribute(
        "How many objects are made before the process looks for garbage; None for as many as Python has it."
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

    def tracker_joined() -> None:
        """The node is linked to its tracker, or to what stands in for one, and has its id."""

    def tracker_left() -> None:
        """The link to the tracker is gone."""


class IRegistrar(IRole):
    """A role that hands out ids. A node that carries one answers greetings with C{thisisyou}."""

    def assign_id(key: str, claimed: int) -> int:
        """The id of the node that just greeted.

        @param key: its public key.
        @param claimed: the id it says it had before, or -1.
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


class IAnswers(Interface):
    """Answers those who look for goods, in one way of finding."""

    receives: Mapping[type[Message], Callable[[Any, Origin], None]] = Attribute(
        "The messages it needs, for the table of the role that uses it."
    )

    def offers_changed() -> None:
        """The shelf is there to be looked at, or has something new on it."""

    def stop() -> None:
        """Answer no more, and end every timer."""


class ICatalogue(Interface):
    """A way to find files, and to have one's own found."""

    def publish(added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Change the files of this node that others can find.

        It may be called at any time, linked or not; what counts is the sum of all calls.

        @param added: new ones, and those that have changed; a name that is offered already is replaced.
        @param removed: names.
        """

    def set_load(downloads: int) -> None:
        """Say how many downloads this node serves now: who has least to do is named first."""

    def search(query: FileQuery) -> Deferred[Page]:
        """Look for files.

        @raise LinkClosed: nobody can be asked now.
        @raise PeerError: who was asked says no.
        """

    def sources(digest: str) -> Deferred[Sequence[FileSource]]:
        """Find the sources of a file, the least loaded first; this node is not among them.

        @raise LinkClosed: nobody can be asked now.
        """


class IDiscoveryMethod(Interface):
    """A way to find that a node has been given: what its roles find by, and are found by."""

    name: str = Attribute("The word after C{--via}.")
    asked: Asked | None = Attribute("Who is asked; None for everybody within reach.")
    needs_links: bool = Attribute("Whether others are asked over links to neighbours, which the node then looks for.")
    gives_ids: bool = Attribute(
        "Whether those who are asked stand in for a tracker: they give the node its id, and being linked to one is "
        "enough to ask."
    )
    registrar: IStreamClientEndpoint | None = Attribute("Where such a one is, if it is known.")
    is_with_stranger: bool = Attribute(
        "Whether what the node is linked to gives ids and cannot be asked, as a tracker where another is meant."
    )
    nobody_asked: str | None = Attribute(
        "What a buyer says that has never had anybody to ask; None if it could not know that."
    )
    finds_files: bool = Attribute("Whether files are found by it, too.")
    finds_goods: bool = Attribute("Whether goods are found by it, too.")
    lists_everything: bool = Attribute("Whether those who are asked can list all files there are.")
    limits: Mapping[str, Any] = Attribute("Limits of the node, by name, where its user says nothing.")
    roles: Sequence[IRole] = Attribute("What the node has to carry for it, besides the roles that use it.")

    def make_discovery(node: INode, gather_s: float) -> IDiscovery:
        """Make what looks for goods.

        @param gather_s: how long to collect offers after the first.
        """

    def make_answers(node: INode, shelf: IOffers) -> IAnswers:
        """Make what lets a shelf be found."""

    def make_catalogue() -> ICatalogue | None:
        """The catalogue that finds files; None if files are not found in this way."""


class IOffers(Interface):
    """Goods that can be offered, as a way of finding asks for them."""

    def items() -> Deferred[Sequence[str]]:
        """The names of all it has, and of what it has none left of.

        @raise StorageError: the book cannot be read now.
        """

    def presence(search_id: int) -> Envelope:
        """A signed word that the search with this id has come to the seller."""

    def quote(item: str, quantity: int, buyer: Origin) -> Deferred[ShelfQuote | None]:
        """Quote a buyer what there is, held back for it for a while; fires with None for nothing.

        @param buyer: who asks, and by which way.
        """


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

        @param kept_back: how many units of the item are not to be sold to this buyer now.
        @param seal: called with the verdict, perhaps in another thread, for the answer to keep.
        @raise StorageError: the book cannot be written; nothing is decided.
        """

    def terms(item: str, seller: str) -> Deferred[tuple[StockLevel | None, int]]:
        """The terms that a seller needs for a quote.

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
        """Add units to an item, which may be a new one.

        @param price: for one unit from now on; None to leave it as it is.
        @raise StorageError: the book cannot be written; nothing is changed.
        """

    def withdraw(item: str, quantity: int) -> Deferred[StockLevel]:
        """Take units out that are not to be sold.

        @raise SoldOut: there are not so many; nothing is changed.
        @raise StorageError: the book cannot be written; nothing is changed.
        """

    def deals(id_prefix: str = "", most: int = 1000) -> Deferred[Sequence[Deal]]:
        """Orders that were answered, the latest first.

        @param id_prefix: only those whose id begins so.
        @param most: no more than these.
        @raise StorageError: the book cannot be read now.
        """
