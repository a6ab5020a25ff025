"""JSON that two readers could take for two different things is refused, wherever in it that stands."""

from __future__ import annotations

import json
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UNREADABLE
from twisted_bazaar.wire.strict_json import RepeatedKey, check_strict, why_unreadable

# Each in a place where a decoder that skips keys would look at it, and in one where it would not.
PLACES: Final = (b"%b", b'{"a":%b}', b'{"a":[1,{"b":[%b]}]}', b'{"a":{"c":{"d":[[%b]]}},"b":"c"}')
GOOD: Final = (
    *(b'{"a":1,"b":1}', b'[{"a":1},{"a":2}]', b'{"a":{"a":1}}', b'{"a":1,"A":2}', b"{}", b"[]", b"null", b"true"),
    *(b"9007199254740992", b"-9007199254740992", b"0", b'"1.5"', b'"\\ud83c\\udf4e"', b'"\\\\ud800"', b'"\\u0000"'),
    '"Äpfel 🍎"'.encode(),
)
BAD: Final = (
    *(b'{"a":1,"a":1}', b'{"a":1,"b":2,"a":3}', b'{"a":1,"\\u0061":1}', b'{"":1,"":1}'),
    *(b"1.5", b"1.0", b"-0.0", b"1e2", b"1E+2", b"NaN", b"Infinity", b"-Infinity"),
    *(b"9007199254740993", b"-9007199254740993", b"9" * 400, b"9" * 5_000),
    *(b'"\\ud800"', b'"\\udc00"', b'"a\\ud83dx"', b'"\\ud800\\ud800"', b'"\\udf4e\\ud83c"', b'"\\\\\\ud800"'),
    *(b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"a\xe2\x82"', b'"a\nb"', b"x", b"01"),
)


def is_strict(payload: bytes) -> bool:
    """Whether it is taken; nothing but what a decoder raises is raised."""
    try:
        check_strict(payload)
    except UNREADABLE:
        return False
    return True


class StrictTests(SynchronousTestCase):
    """What two readers would read alike is taken, and nothing else."""

    def test_taken(self) -> None:
        """What stands where it may is taken, at any depth."""
        for text in GOOD:
            for place in PLACES:
                self.assertTrue(is_strict(place % text), place % text)

    def test_refused(self) -> None:
        """A key twice, a number that is not whole or too large, half a character and bad UTF-8 are refused anywhere."""
        for text in BAD:
            for place in PLACES:
                self.assertFalse(is_strict(place % text), (place % text)[:200])

    def test_nothing(self) -> None:
        """Nothing, and more than one value, are refused."""
        for payload in (b"", b" ", b"{}{}", b"1 2", b'{"a":1}}'):
            self.assertFalse(is_strict(payload))

    def test_nested(self) -> None:
        """What is nested too deeply raises what says so."""
        for depth in (10_000, 500_000):
            self.assertFalse(is_strict(b"[" * depth + b"]" * depth))

    def test_which_key(self) -> None:
        """The key that stands twice is named, and shortened if it is long."""
        error = self.assertRaises(RepeatedKey, check_strict, b'{"a":1,"b":{"c":1,"d":2,"d":3}}')
        self.assertEqual((error.key, str(error)), ("d", "the key 'd' stands in an object twice"))
        error = self.assertRaises(RepeatedKey, check_strict, b'{"%b":1,"%b":2}' % (b"x" * 999, b"x" * 999))
        self.assertEqual(error.key, "x" * 64)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_whatever_json_writes(self, value: object) -> None:
        """Whatever a writer makes of whole numbers, texts, lists and objects is taken, in any of its forms."""
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent=1)):
            self.assertTrue(is_strict(text.encode()))

    def test_why(self) -> None:
        """Half of a surrogate pair, bad UTF-8 and a byte order mark are called by their names."""
        for payload, why in (
            (b'{"type":"\\ud800"}', "\\ud800 is half of a surrogate pair, and no character"),
            (b'"\\\\ud800 \\uDFFFx"', "\\uDFFF is half of a surrogate pair, and no character"),
            (b'"a\xff"', "not UTF-8 at byte 2"),
            (b'\xef\xbb\xbf{"type":"ping"}', "a byte order mark stands before it"),
            (b'{"a":"\\ud83c\\udf4e', "as the decoder says"),
        ):
            self.assertEqual(why_unreadable(payload, "as the decoder says"), why)
