"""Goods: which names are taken."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.wire.goods import check_item_name

bounded = examples(150)

# The characters that turn the reading direction round, as Unicode lists them (property Bidi_Control).
BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def is_taken(name: str) -> bool:
    """Whether a name of goods is accepted."""
    try:
        check_item_name(name)
    except ValueError:
        return False
    return True


class ItemNameTests(SynchronousTestCase):
    """A name of goods reads the same for everybody."""

    @bounded
    @given(
        st.one_of(st.text(max_size=130), st.text(st.sampled_from("aÄé\u0301\u0041\u030a" + BIDI_CONTROLS), max_size=8))
    )
    @example("a" * 128)
    @example("a" * 129)
    @example("Ä" * 129)
    @example("")
    def test_the_rule(self, name: str) -> None:
        """1 to 128 characters in form NFC, none of them a control or a direction character."""
        unfit = any(c in BIDI_CONTROLS or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)
        fit = 1 <= len(name) <= 128 and unicodedata.normalize("NFC", name) == name and not unfit
        self.assertEqual(is_taken(name), fit)

    def test_ordinary(self) -> None:
        """Names in any script, with spaces and signs, are taken."""
        for name in ("apple", "Äpfel", "リンゴ", "تفاح", "🍎", "pear, ripe", "50% off", "a=b", "x\u200dy"):
            self.assertTrue(is_taken(name), name)

    def test_controls(self) -> None:
        """Control characters, line ends and lone surrogates are refused wherever they stand."""
        for character in "\0\t\n\r\x1b\x7f\x85\u2028\u2029\ud800\udfff":
            for name in (character, "a" + character, character + "a", "Ä" + character + "b"):
                self.assertFalse(is_taken(name), ascii(name))

    def test_direction(self) -> None:
        """No character that turns the reading direction round is taken: it can show one name as another."""
        self.assertEqual([c for c in BIDI_CONTROLS if is_taken("a" + c + "b")], [])

    def test_invisible(self) -> None:
        """No character that shows as nothing is taken, but joiners, which some scripts need, are."""
        self.assertEqual([c for c in "\u200b\u2060\ufeff" if is_taken("a" + c + "b")], [])
        self.assertTrue(is_taken("\u0645\u06cc\u200c\u062e"))

    def test_one_form(self) -> None:
        """Of two spellings that look the same only the composed one is taken."""
        self.assertEqual([is_taken("\u00c4pfel"), is_taken("A\u0308pfel")], [True, False])
