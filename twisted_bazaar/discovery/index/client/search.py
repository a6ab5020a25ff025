"""Finding goods by asking an index server, and being found by it.

The index names sellers and knows nothing of stock or prices: each seller is asked itself, over a link made
for that, and answers for itself. So an index can hide sellers, but neither invent an offer nor change one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.gathering import Gathering
from twisted_bazaar.discovery.index.client.quote_messages import Inquiry, Quotation
from twisted_bazaar.discovery.offer import GATHER_S
from twisted_bazaar.errors import PeerError, StorageError
from twisted_bazaar.interfaces import IAnswers, IDiscovery, INode, IOffers, Receivers
from twisted_bazaar.rate_limit import RateLimits
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, Origin, Peer
from twisted_bazaar.values.sale import Offer
from twisted_bazaar.wire.message import LARGEST_INTEGER

ASKED_AT_ONCE: Final = 8
MOST_ASKED: Final = 64
# A seller whose machine is gone is not to keep the others waiting for longer.
REACH_S: Final = 3.0
ANSWER_S: Final = 5.0
# As long as a reservation lasts.
LINK_WITH_OFFER_S: Final = 30.0
LINK_WITHOUT_OFFER_S: Final = 5.0
LOOK_AGAIN_S: Final = 60.0
INQUIRIES_A_MINUTE: Final = 3_000
_MOST_ASKERS: Final = 4_096
_SELLERS_KNOWN: Final = 1_024
_SELLERS_KNOWN_S: Final = 3_600.0


class GoodsIndex(Protocol):
    """The interface to the member that speaks with the index server."""

    def publish_goods(self, items: Sequence[str]) -> None:
        """Set the names of goods under which this node is found, all of them."""

    def sellers(
        self, item: str | None, seller_key: str | None, found: Callable[[Sequence[Peer]], None]
    ) -> Deferred[None]:
        """Find those who say that they have an item, or had it.

        @param seller_key: of the only one to be named.
        @param found: called with some of them, each time some are known.
        @return: fires when no more are going to be named. Cancelling it ends the question.
        @raise LinkClosed: nobody can be asked now.
        @raise PeerError: who was asked says no.
        """


@define(eq=False)
class _Hunt:
    """One call of L{IndexSearch.find}.

    @ivar answers: by node, what waits for an answer to the inquiry.
    @ivar named: everybody that was named, each once.
    @ivar waiting: those of them that are to be asked.
    @ivar rounds: each asks one of them after the other.
    """

    inquiry: Inquiry
    gathering: Gathering
    answers: dict[int, Deferred[None]] = field(factory=dict)
    named: set[tuple[int, Address]] = field(factory=set)
    waiting: list[Peer] = field(factory=list)
    rounds: list[Deferred[None]] = field(factory=list)

    @property
    def has_begun_with(self) -> int:
        """The number of sellers that have been asked, or are being asked."""
        return len(self.named) - len(self.waiting)


@implementer(IDiscovery)
class IndexSearch:
    """Finds sellers through an index, and asks each what it would sell.

    @param node: the node it speaks through.
    @param index: names the sellers.
    @param gather_s: how long to go on collecting after the first offer.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, node: INode, index: GoodsIndex, gather_s: float = GATHER_S) -> None:
        self._node = node
        self._index = index
        self._gather_s = gather_s
        self._hunts: dict[int, _Hunt] = {}
        self._links = _LinksForAWhile(node)
        # Where sellers were: with it an order can be finished while the index is down.
        self._known: FairTable[tuple[str, str], Peer] = FairTable(_SELLERS_KNOWN, _SELLERS_KNOWN_S)
        self.receives: Receivers = {Quotation: self._quotation_received}

    def __len__(self) -> int:
        return len(self._hunts)

    def find(
        self, item: str, quantity: int, accept: Callable[[Offer], bool], seller: str | None = None
    ) -> Deferred[Sequence[Offer]]:
        """Look for sellers of an item, or for one of them; fires with offers, best first, or with none."""
        inquiry = Inquiry(
            id=self._node.rng.randrange(LARGEST_INTEGER),
            item=item,
            quantity=quantity,
            seller=seller,
            bazaar=self._node.bazaar,
        )
        hunt = _Hunt(inquiry, Gathering(self._node, item, accept, self._gather_s))
        self._hunts[inquiry.id] = hunt
        asking = Deferred.fromCoroutine(self._ask_all(hunt))
        hunt.gathering.done.addBoth(self._forget, hunt, asking)
        asking.addErrback(self._not_asked)
        asking.addCallback(lambda _: hunt.gathering.finish())
        return hunt.gathering.done

    def stop(self) -> None:
        """End every search under way; what waits for one gets what has come so far."""
        for hunt in list(self._hunts.values()):
            hunt.gathering.finish()
        self._links.forget()

    def _forget(self, found: Any, hunt: _Hunt, asking: Deferred[None]) -> Any:
        self._hunts.pop(hunt.inquiry.id, None)
        asking.cancel()
        for each in hunt.rounds:
            each.cancel()
        return found

    def _not_asked(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("a search for goods failed", failure)

    async def _ask_all(self, hunt: _Hunt) -> None:
        """Ask every seller there is, some at a time, each as soon as it is named."""
        inquiry = hunt.inquiry
        now = self._node.clock.seconds()
        if inquiry.seller is not None:
            # An index that has just been started may not know it yet.
            known = self._known.get((inquiry.item, inquiry.seller), now)
            self._named([known] if known else [], hunt)
        try:
            await self._index.sellers(
                None if inquiry.seller else inquiry.item, inquiry.seller, lambda named: self._named(named, hunt)
            )
        except PeerError as error:
            self.log.debug("the index names no seller of {item}: {error}", item=inquiry.item, error=error)
            self._named([peer for (item, _), peer in self._known.items(now) if item == inquiry.item], hunt)
        await DeferredList(hunt.rounds)

    def _named(self, peers: Sequence[Peer], hunt: _Hunt) -> None:
        """Some sellers have been named: they are asked in no order, that the first are not asked by everybody."""
        inquiry = hunt.inquiry
        if inquiry.id not in self._hunts:
            return
        for peer in peers:
            is_meant = peer.key != self._node.key.public and inquiry.seller in (None, peer.key)
            if is_meant and (peer.id, peer.address) not in hunt.named:
                hunt.named.add((peer.id, peer.address))
                hunt.waiting.append(peer)
        self._node.rng.shuffle(hunt.waiting)
        room = MOST_ASKED - hunt.has_begun_with
        hunt.named.difference_update((peer.id, peer.address) for peer in hunt.waiting[room:])
        del hunt.waiting[room:]
        hunt.rounds = [each for each in hunt.rounds if not each.called]
        for _ in range(min(ASKED_AT_ONCE - len(hunt.rounds), len(hunt.waiting))):
            hunt.rounds.append(Deferred.fromCoroutine(self._ask_each(hunt)).addErrback(self._not_asked))

    async def _ask_each(self, hunt: _Hunt) -> None:
        """Ask one seller after another, of those that nobody else has taken."""
        while hunt.waiting:
            await self._ask(hunt.waiting.pop(), hunt)

    async def _ask(self, peer: Peer, hunt: _Hunt) -> None:
        if self._links.is_held(peer.id) or all(each.id != peer.id for each in self._node.peers()):
            # A link that comes too late is to be released too; one that others have made is theirs.
            self._links.hold_for(peer.id, LINK_WITHOUT_OFFER_S + REACH_S)
        reaching = self._node.try_hold_link(peer.id, peer.address, self)
        reaching.addTimeout(REACH_S, self._node.clock, lambda result, timeout: False)
        is_linked = await reaching
        # It may be named in two places, and have been found in the other.
        if not is_linked or peer.id in hunt.answers or not self._node.send(hunt.inquiry, (self._node.id, peer.id)):
            return
        self._known.put((hunt.inquiry.item, peer.key), peer, peer.address.host, self._node.clock.seconds())
        answer = hunt.answers[peer.id] = Deferred()
        answer.addTimeout(ANSWER_S, self._node.clock, lambda result, timeout: None)
        await answer

    def _quotation_received(self, quotation: Quotation, origin: Origin) -> None:
        hunt = self._hunts.get(quotation.id)
        answer = None if hunt is None else hunt.answers.get(origin.id)
        if hunt is None or answer is None or answer.called:
            # Too late, or not asked.
            return
        if quotation.quote is not None:
            if self._links.is_held(origin.id):
                self._links.hold_for(origin.id, LINK_WITH_OFFER_S)
            hunt.gathering.add_offer(
                Offer(
                    origin.id,
                    quotation.item,
                    quotation.quantity,
                    quotation.price,
                    quotation.id,
                    origin.route,
                    quotation.quote,
                )
            )
        answer.callback(None)


class _LinksForAWhile:
    """The links that were made to ask somebody, each released when it has not been of use for a while."""

    def __init__(self, node: INode) -> None:
        self._node = node
        self._releases: dict[int, Timer] = {}

    def hold_for(self, node_id: int, seconds: float) -> None:
        """Keep the link to a node for so long at least."""
        release = self._releases.get(node_id)
        if release is None:
            release = self._releases[node_id] = Timer(self._node.clock, partial(self._release, node_id))
        if release.due is None or release.due < self._node.clock.seconds() + seconds:
            release.set(seconds)

    def is_held(self, node_id: int) -> bool:
        """Whether the link to a node is going to be released."""
        return node_id in self._releases

    def forget(self) -> None:
        """Release nothing any more."""
        for release in self._releases.values():
            release.cancel()
        self._releases.clear()

    def _release(self, node_id: int) -> None:
        del self._releases[node_id]
        self._node.release_link(node_id, self)


@implementer(IAnswers)
class IndexAnswers:
    """Lets an index name this node for what is on a shelf, and answers those who ask then.

    @param node: the node it speaks through.
    @param index: is told what there is.
    @param shelf: what there is to offer.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, node: INode, index: GoodsIndex, shelf: IOffers) -> None:
        self._node = node
        self._index = index
        self._shelf = shelf
        self._published: frozenset[str] = frozenset()
        self._look_again = Timer(node.clock, self.offers_changed)
        self._is_stopped = False
        # Each answer costs a look into the book and a signature.
        self._rate_limits: RateLimits[int] = RateLimits.a_minute(_MOST_ASKERS, INQUIRIES_A_MINUTE)
        self.receives: Receivers = {Inquiry: self._inquiry_received}

    def offers_changed(self) -> None:
        """Publish what is on the shelf now, and go on looking: another seller may share its book."""
        if self._is_stopped:
            return
        self._look_again.set(LOOK_AGAIN_S)
        looking = self._shelf.items()
        looking.addCallbacks(self._publish, self._not_answered)
        looking.addErrback(lambda failure: self.log.failure("the names of the goods could not be published", failure))

    def stop(self) -> None:
        """Answer no more, and look no more."""
        self._is_stopped = True
        self._look_again.cancel()

    def _publish(self, items: Sequence[str]) -> None:
        # What is sold out stays: its buyers may still have to find the way back to this seller.
        if not self._is_stopped and self._published != frozenset(items):
            self._published = frozenset(items)
            self._index.publish_goods(sorted(items))

    def _inquiry_received(self, inquiry: Inquiry, origin: Origin) -> None:
        if self._is_stopped:
            return
        answering = Deferred.fromCoroutine(self._answer(inquiry, origin))
        answering.addErrback(self._not_answered)

        def send(answer: Quotation | None) -> None:
            # Who asks waits for an answer, and asks the next when it has one.
            self._node.send(answer or Quotation(id=inquiry.id, item=inquiry.item), origin.route)

        answering.addCallback(send)
        answering.addErrback(lambda failure: self.log.failure("the answer to an inquiry could not be sent", failure))

    def _not_answered(self, failure: Failure) -> None:
        # While the book cannot be read there is nothing to offer.
        if failure.check(StorageError) is None:
            self.log.failure("the stock could not be read for an offer", failure)

    async def _answer(self, inquiry: Inquiry, origin: Origin) -> Quotation | None:
        """The answer to an inquiry; None if there is nothing to offer."""
        node = self._node
        if inquiry.bazaar != node.bazaar or inquiry.seller not in (None, node.key.public):
            return None
        if not self._rate_limits.allow(origin.id, node.clock.seconds()):
            return None
        answer = Quotation(id=inquiry.id, item=inquiry.item)
        if inquiry.seller is not None:
            return answer.evolve(quote=self._shelf.presence(inquiry.id))
        quote = await self._shelf.quote(inquiry.item, inquiry.quantity, origin)
        if quote is None:
            return None
        return answer.evolve(quantity=quote.quantity, price=quote.price, quote=quote.statement)
