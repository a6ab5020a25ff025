"""Goods and numbers as users write them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.errors import UsageError
from twisted_bazaar.roles.goods import parse_count, parse_goods, parse_seconds
from twisted_bazaar.wire.message import LARGEST_INTEGER

bounded = examples(200)

numbers = st.integers(1, LARGEST_INTEGER)
words = st.text("abc =@:äñ9", min_size=1, max_size=20)


def refusal(text: str) -> str:
    """What the user is told of a text."""
    try:
        goods = parse_goods(text, "--stock")
    except UsageError as error:
        return str(error)
    raise AssertionError(f"{text!r} was read as {goods!r}")


class GoodsTests(SynchronousTestCase):
    """ITEM, ITEM=QUANTITY, ITEM=QUANTITY@PRICE."""

    def test_forms(self) -> None:
        """Each form is read; without a quantity it is one piece, without a price none is asked."""
        texts = ("apple", "apple=3", "pear=2@120", "pear=2@0", "ripe pear=1", "Äpfel=2", "a=b=2", "a@b=2", "a@b")
        self.assertEqual(
            [parse_goods(text, "--stock") for text in texts],
            [
                ("apple", 1, None),
                ("apple", 3, None),
                ("pear", 2, 120),
                ("pear", 2, 0),
                ("ripe pear", 1, None),
                ("Äpfel", 2, None),
                ("a=b", 2, None),
                ("a@b", 2, None),
                ("a@b", 1, None),
            ],
        )

    @bounded
    @given(words, numbers, st.none() | numbers)
    def test_any_goods(self, item: str, quantity: int, price: int | None) -> None:
        """Whatever the name, and whatever the numbers, they are read as they were written."""
        written = f"{item}={quantity}" + ("" if price is None else f"@{price}")
        self.assertEqual(parse_goods(written, "--stock"), (item, quantity, price))

    def test_wrong(self) -> None:
        """What cannot be read is refused in one line that names option, text and fault."""
        whole = "is not a whole number from {} to 9,007,199,254,740,992"
        self.assertEqual(
            {
                text: refusal(text)
                for text in ("apple=x", "apple=0", "apple=", "apple=2@", "apple=2@-1", "apple=1.5", "=3", "")
            },
            {
                "apple=x": f"--stock 'apple=x': 'x' {whole.format(1)}",
                "apple=0": f"--stock 'apple=0': '0' {whole.format(1)}",
                "apple=": f"--stock 'apple=': '' {whole.format(1)}",
                "apple=2@": f"--stock 'apple=2@': '' {whole.format(0)}",
                "apple=2@-1": f"--stock 'apple=2@-1': '-1' {whole.format(0)}",
                "apple=1.5": f"--stock 'apple=1.5': '1.5' {whole.format(1)}",
                "=3": "--stock '=3': item: 0 characters; 1 to 128 are taken",
                "": "--stock '': item: 0 characters; 1 to 128 are taken",
            },
        )

    def test_price_with_a_fraction(self) -> None:
        """A price in major units is refused with the number to write instead."""
        written = {"1.20": 120, "1,20": 120, "0.5": 50, "12.00": 1_200}
        told = "--stock 'apple=2@{}': a price is in minor units (cents), without a fraction; write {}"
        self.assertEqual(
            [refusal(f"apple=2@{price}") for price in written],
            [told.format(price, cents) for price, cents in written.items()],
        )
        self.assertTrue(refusal("apple=2@1,145").endswith("write numbers without commas"))

    def test_names(self) -> None:
        """A name that a search could not carry is refused."""
        for name in ("a\tb", "A\u0308pfel", "a\u202eb", "x" * 129):
            self.assertTrue(refusal(name).startswith("--stock "), ascii(name))

    @bounded
    @given(st.text(max_size=30))
    def test_any_text(self, text: str) -> None:
        """Any text is read or refused, and what is read can be sold."""
        try:
            item, quantity, price = parse_goods(text, "--want")
        except UsageError as error:
            self.assertTrue(str(error).startswith(f"--want {text!r}: "))
        else:
            self.assertTrue(1 <= len(item) <= 128 and quantity >= 1 and (price is None or price >= 0))


class NumberTests(SynchronousTestCase):
    """Whole numbers and times."""

    def test_range(self) -> None:
        """A count is within its range, ends included."""
        top = str(LARGEST_INTEGER)
        self.assertEqual([parse_count(text, "-n", "x", 0) for text in ("0", "1", top)], [0, 1, LARGEST_INTEGER])
        for text in ("", "-1", "+1", " 1", "1 ", "1_0", "1e3", "0x1", "٣", "²", str(LARGEST_INTEGER + 1), "9" * 5_000):
            with self.assertRaises(UsageError):
                parse_count(text, "-n", "x", 0)

    def test_seconds(self) -> None:
        """A time is a number of seconds, 0 or more, with an end."""
        self.assertEqual([parse_seconds(text, "-t") for text in ("0", "1.5", "30", "1e3")], [0.0, 1.5, 30.0, 1000.0])
        for text in ("", "x", "-1", "nan", "inf", "-inf", "1e9", "1e999", "10s"):
            with self.assertRaises(UsageError) as caught:
                parse_seconds(text, "-t")
            self.assertEqual(str(caught.exception), f"-t {text!r}: not a number of seconds")
