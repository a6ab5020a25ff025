"""Offers gathered in one search, however those who make them are asked."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.gathering import Gathering
from twisted_bazaar.discovery.offer import MOST_OFFERS
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.values.sale import Offer


def offer(seller: int, price: int | None = None, *, item: str = "apple", via: tuple[int, ...] = ()) -> Offer:
    """What a seller said."""
    return Offer(seller, item, 1, price, 40, (1, *via, seller))


class GatheringTests(SynchronousTestCase):
    """Apples are looked for."""

    def setUp(self) -> None:
        """Nothing has come yet."""
        self.node = FakeNode(id=1)
        self.gathering = Gathering(self.node, "apple", lambda offer: offer.price != 13, 0.5)

    def test_time_from_the_first(self) -> None:
        """It is over so long after the first offer, whatever comes after that; nothing is left then."""
        for price in (3, 2, 1):
            self.gathering.add_offer(offer(price, price))
            self.node.clock.advance(0.2 if price > 1 else 0.1)
        self.assertEqual([each.price for each in self.successResultOf(self.gathering.done)], [1, 2, 3])
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_first_of_use(self) -> None:
        """What is of no use, or about something else, begins nothing."""
        self.gathering.add_offer(offer(7, 13))
        self.gathering.add_offer(offer(7, item="pear"))
        self.assertEqual((len(self.gathering), self.node.clock.getDelayedCalls()), (0, []))

    def test_ended(self) -> None:
        """Ended, it has what has come so far; ended again, nothing more happens."""
        self.gathering.add_offer(offer(7))
        for _ in range(2):
            self.gathering.finish()
        self.assertEqual(self.successResultOf(self.gathering.done), [offer(7)])

    def test_nearest(self) -> None:
        """Of those of one seller the nearest counts, and it is told of once."""
        for way in ((8, 9), (8,), (9, 6)):
            self.gathering.add_offer(offer(7, via=way))
        self.gathering.finish()
        self.assertEqual(self.successResultOf(self.gathering.done), [offer(7, via=(8,))])
        self.assertEqual(len(self.node.reports), 1)

    def test_most(self) -> None:
        """No more are kept than can be of use."""
        for seller in range(100, 101 + MOST_OFFERS):
            self.gathering.add_offer(offer(seller))
        self.assertEqual(len(self.gathering), MOST_OFFERS)
