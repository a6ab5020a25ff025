"""Which offer to take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.discovery.offer import best_first
from twisted_bazaar.values.addresses import Route
from twisted_bazaar.values.sale import Offer

bounded = examples(100)

offers = st.builds(
    Offer,
    seller=st.integers(2, 9),
    item=st.just("apple"),
    quantity=st.integers(1, 5),
    price=st.none() | st.integers(0, 3),
    search_id=st.just(1),
    route=st.lists(st.integers(2, 9), min_size=1, max_size=4, unique=True).map(lambda rest: (1, *rest)),
)


def offer(seller: int, price: int | None, route: Route) -> Offer:
    """An offer of one apple."""
    return Offer(seller, "apple", 1, price, 1, route)


class BestFirstTests(SynchronousTestCase):
    """The cheapest offer first, of equals the nearest."""

    def test_cheapest(self) -> None:
        """The lower price comes first, however far away it is."""
        near, far = offer(2, 100, (1, 2)), offer(3, 99, (1, 4, 5, 6, 3))
        self.assertEqual(best_first([near, far]), [far, near])

    def test_nearest(self) -> None:
        """At one price the shorter path comes first."""
        near, far = offer(3, 100, (1, 3)), offer(2, 100, (1, 3, 2))
        self.assertEqual(best_first([far, near]), [near, far])

    def test_no_price(self) -> None:
        """Goods without a price cost nothing."""
        free, gift, paid = offer(4, 0, (1, 4)), offer(3, None, (1, 3)), offer(2, 1, (1, 2))
        self.assertEqual(best_first([paid, free, gift]), [gift, free, paid])

    def test_none(self) -> None:
        """Of no offers there is no best."""
        self.assertEqual(best_first([]), [])

    @bounded
    @given(st.lists(offers, max_size=8, unique_by=lambda each: each.seller), st.randoms())
    def test_order_of_arrival(self, found: list[Offer], rng: object) -> None:
        """The choice is the same in whatever order offers arrived; none is lost or made up."""
        shuffled = list(found)
        rng.shuffle(shuffled)  # type: ignore[attr-defined]
        self.assertEqual(best_first(shuffled), best_first(found))
        self.assertEqual(set(best_first(found)), set(found))
        merits = [(each.price or 0, len(each.route)) for each in best_first(iter(found))]
        self.assertEqual(merits, sorted(merits))
