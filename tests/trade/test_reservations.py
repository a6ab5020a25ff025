"""What is held back for buyers, against a plain model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.trade.reservations import RESERVATION_S, Reservations

NOBODY = -1

bounded = examples(200)

items = st.sampled_from(["apple", "pear"])
buyers = st.integers(1, 6)
waits = st.sampled_from([0.0, 0.0, 0.0, 1.0, 7.0, 15.0, 30.0, 45.0])
holds = st.tuples(st.just("hold"), items, buyers, st.integers(1, 12), waits)
releases = st.tuples(st.just("release"), items, buyers, st.just(0), waits)
goings = st.tuples(st.just("go"), items, buyers, st.just(0), waits)
sales = st.tuples(st.just("sell"), items, buyers, st.integers(1, 4), waits)
steps = st.lists(st.one_of(holds, holds, holds, releases, goings, sales), min_size=10, max_size=50)


class ReservationTests(SynchronousTestCase):
    """Pieces are held for buyers, for a while, and never twice."""

    def test_held(self) -> None:
        """What is held for one is kept from others, and not from the one it is held for."""
        held = Reservations()
        self.assertEqual(held.hold("apple", 1, 1, 2, 8, 0.0), 2)
        self.assertEqual([held.held_for_others("apple", buyer, 0.0) for buyer in (1, 2)], [0, 2])
        self.assertEqual(held.held_for_others("pear", 2, 0.0), 0)

    def test_clock_set_back(self) -> None:
        """A clock that is set back holds nothing back for longer than a reservation lasts."""
        held = Reservations()
        held.hold("apple", 1, 1, 2, 8, 10_000.0)
        self.assertEqual(held.held_for_others("apple", 2, 10_000.0 - 3_600), 0)

    def test_quarter(self) -> None:
        """One buyer is held at most a quarter of what there is, but always one piece."""
        for in_stock, most in ((1, 1), (3, 1), (4, 1), (7, 1), (8, 2), (100, 25), (103, 25)):
            self.assertEqual(Reservations().hold("apple", 1, 1, 1_000, in_stock, 0.0), most)

    def test_one_neighbour(self) -> None:
        """All that one neighbour brings, real or made up, are held at most half, but always one piece."""
        for in_stock, most in ((1, 1), (3, 1), (5, 2), (40, 20)):
            held = Reservations()
            total = sum(held.hold("apple", buyer, 7, 10, in_stock, 0.0) for buyer in range(100))
            self.assertEqual(total, most)
            self.assertEqual(held.hold("apple", 200, 8, 1, in_stock, 0.0), int(in_stock > 1))

    def test_nothing_there(self) -> None:
        """Where nothing is, nothing is held."""
        held = Reservations()
        self.assertEqual((held.hold("apple", 1, 1, 1, 0, 0.0), len(held)), (0, 0))

    def test_no_more_than_there_is(self) -> None:
        """When everything is held for others, the next buyer is held nothing, and their holds stand."""
        held = Reservations()
        self.assertEqual([held.hold("apple", buyer, buyer, 1, 3, 0.0) for buyer in range(1, 6)], [1, 1, 1, 0, 0])
        self.assertEqual((held.held_for_others("apple", NOBODY, 0.0), len(held)), (3, 3))

    def test_again(self) -> None:
        """A buyer that asks again is held the new quantity in place of the old, from now on."""
        held = Reservations()
        held.hold("apple", 1, 1, 5, 40, 0.0)
        held.hold("apple", 1, 1, 2, 40, 20.0)
        self.assertEqual([held.held_for_others("apple", NOBODY, now) for now in (20.0, 49.9, 50.0)], [2, 2, 0])
        self.assertEqual(len(held), 0)

    def test_again_out_of_turn(self) -> None:
        """A buyer that asks again does not put off the end of what is held for others."""
        held = Reservations()
        for buyer, now in ((1, 0.0), (2, 5.0), (1, 20.0)):
            held.hold("apple", buyer, buyer, 1, 9, now)
        self.assertEqual([held.held_for_others("apple", NOBODY, now) for now in (34.9, 35.0, 49.9, 50.0)], [2, 1, 1, 0])

    def test_again_for_nothing(self) -> None:
        """A buyer that asks again when nothing is left is held nothing any more."""
        held = Reservations()
        self.assertEqual([held.hold("apple", 1, 1, 1, in_stock, 0.0) for in_stock in (1, 0)], [1, 0])
        self.assertEqual((held.held_for_others("apple", NOBODY, 0.0), len(held)), (0, 0))

    def test_expiry(self) -> None:
        """A reservation ends by itself after 30 s, each at its own time."""
        held = Reservations()
        held.hold("apple", 1, 1, 1, 9, 0.0)
        held.hold("apple", 2, 2, 1, 9, 10.0)
        times = (0.0, 10.0, 29.999, 30.0, 39.999, 40.0)
        self.assertEqual([held.held_for_others("apple", NOBODY, now) for now in times], [2, 2, 2, 1, 1, 0])
        self.assertEqual((RESERVATION_S, len(held)), (30.0, 0))

    def test_release(self) -> None:
        """What is released is free again; releasing what is not held changes nothing."""
        held = Reservations()
        held.hold("apple", 1, 1, 1, 9, 0.0)
        held.hold("apple", 2, 2, 1, 9, 0.0)
        for buyer in (1, 1, 3):
            held.release("apple", buyer)
        held.release("pear", 2)
        self.assertEqual((held.held_for_others("apple", NOBODY, 0.0), len(held)), (1, 1))

    def test_release_all(self) -> None:
        """A buyer that has gone is held nothing of anything, and others keep what they have."""
        held = Reservations()
        for item in ("apple", "pear", "plum"):
            held.hold(item, 1, 1, 1, 9, 0.0)
        held.hold("pear", 2, 2, 1, 9, 0.0)
        held.release_all(1)
        left = [held.held_for_others(item, NOBODY, 0.0) for item in ("apple", "pear", "plum")]
        self.assertEqual((left, len(held)), ([0, 1, 0], 1))

    def test_ordered(self) -> None:
        """What somebody orders is kept from no other order while it is being ordered; and of that item only."""
        held = Reservations()
        for item in ("apple", "pear"):
            held.hold(item, 1, 1, 3, 12, 0.0)
            held.hold(item, 2, 2, 3, 12, 0.0)
        kept = [held.kept_back("apple", 3, 0.0)]
        held.order("apple", 1, 2)
        held.order("apple", 1, 9)
        kept.append(held.kept_back("apple", 3, 0.0))
        held.settle("apple", 1, 9, is_sold=False)
        kept.append(held.kept_back("apple", 3, 0.0))
        self.assertEqual([held.kept_back("apple", 1, 0.0), held.kept_back("pear", 3, 0.0)], [3, 6])
        self.assertEqual(held.held_for_others("apple", 3, 0.0), 6)
        held.settle("apple", 1, 2, is_sold=True)
        kept.append(held.kept_back("apple", 3, 0.0))
        self.assertEqual((kept, held.held_for_others("apple", 3, 0.0)), ([6, 3, 4, 3], 3))
        held.hold("apple", 1, 1, 3, 12, 0.0)
        self.assertEqual(held.kept_back("apple", 3, 0.0), 6)

    def test_ordered_and_over(self) -> None:
        """What ends while it is ordered, or is given up, is held no longer; what is held afterwards is held wholly."""
        held = Reservations()
        held.hold("apple", 1, 1, 2, 12, 0.0)
        held.order("apple", 1, 2)
        held.release_all(1)
        self.assertEqual((held.kept_back("apple", 2, 0.0), len(held)), (0, 0))
        held.hold("apple", 1, 1, 2, 12, 0.0)
        self.assertEqual([held.kept_back("apple", 2, now) for now in (0.0, 30.0)], [0, 0])
        held.settle("apple", 1, 2, is_sold=False)
        held.hold("apple", 1, 1, 2, 12, 30.0)
        self.assertEqual(held.kept_back("apple", 2, 30.0), 2)

    @examples(400)
    @given(steps)
    def test_model(self, steps: list[tuple[str, str, int, int, float]]) -> None:
        """Whatever happens: no more is held than there is, no buyer over its quarter, none past its time."""
        held = Reservations()
        stock = {"apple": 13, "pear": 3}
        model: dict[tuple[str, int], tuple[int, float]] = {}
        now = 100.0
        for step, item, buyer, quantity, wait in steps:
            now += wait
            model = {key: (count, until) for key, (count, until) in model.items() if until > now}
            if step == "hold":
                model.pop((item, buyer), None)
                free = stock[item] - sum(count for (each, _), (count, _) in model.items() if each == item)
                expected = max(0, min(quantity, free, max(1, stock[item] // 4)))
                self.assertEqual(held.hold(item, buyer, buyer, quantity, stock[item], now), expected)
                if expected:
                    model[item, buyer] = (expected, now + RESERVATION_S)
                    self.assertLessEqual(held.held_for_others(item, NOBODY, now), stock[item])
            elif step == "release":
                held.release(item, buyer)
                model.pop((item, buyer), None)
            elif step == "go":
                held.release_all(buyer)
                model = {key: value for key, value in model.items() if key[1] != buyer}
            else:
                stock[item] = max(0, stock[item] - quantity)
            for each in stock:
                of_item = {key[1]: count for key, (count, _) in model.items() if key[0] == each}
                self.assertEqual(
                    [held.held_for_others(each, other, now) for other in (NOBODY, *range(1, 7))],
                    [sum(of_item.values()) - of_item.get(other, 0) for other in (NOBODY, *range(1, 7))],
                )
            self.assertEqual(len(held), len(model))

    def test_bounded(self) -> None:
        """Strangers cannot make it hold without end: past a cap nothing more is held."""
        held = Reservations()
        for buyer in range(10_000):
            held.hold("apple", buyer, buyer, 1, 1 << 40, 0.0)
        self.assertLessEqual(len(held), 4_096)
        self.assertEqual(held.hold("pear", 1, 1, 1, 9, 0.0), 0)
        self.assertEqual(held.hold("apple", 1, 1, 1, 9_999, 30.0), 1)

    def test_other_items_expire(self) -> None:
        """What has expired takes no room, though nobody asks for that item any more."""
        held = Reservations()
        for buyer in range(10_000):
            held.hold("apple", buyer, buyer, 1, 1 << 40, 0.0)
        self.assertEqual(held.hold("pear", 1, 1, 1, 9, 1_000.0), 1)
