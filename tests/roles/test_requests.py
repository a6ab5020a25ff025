"""Promises of how the operator's requests are read: strictly, and with words for people."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.roles.commands.requests import read_request


class Wish(msgspec.Struct):
    """A request with keys of several kinds."""

    words: Annotated[str, Meta(min_length=1, max_length=2000)]
    reach: Annotated[int, Meta(ge=1, le=7)] = 4
    share: Annotated[float, Meta(gt=0)] = 1.0
    is_loud: bool = False
    after: str | None = None
    names: Annotated[list[str], Meta(max_length=2)] = []


class Nothing(msgspec.Struct):
    """A request without keys."""


class ReadingTests(SynchronousTestCase):
    """What can be wrong with a request."""

    def test_right(self) -> None:
        """What fits is read."""
        self.assertEqual(read_request({"words": "hi", "reach": 2}, Wish), Wish(words="hi", reach=2))

    def test_wrong(self) -> None:
        """What does not fit is told by its key, in words."""
        keys = "the keys are words, reach, share, is_loud, after, names"
        wrong: list[tuple[dict[str, Any], str]] = [
            ({}, f"words is missing; {keys}"),
            ({"words": "hi", "raech": 2}, f"there is no key 'raech' here; {keys}"),
            ({"words": ""}, "words: takes at least 1 character"),
            ({"words": "x" * 2001}, "words: takes at most 2,000 characters"),
            ({"words": 3}, "words: takes text, not a whole number"),
            ({"words": "hi", "reach": 8}, "reach: takes at most 7"),
            ({"words": "hi", "reach": 0}, "reach: takes at least 1"),
            ({"words": "hi", "reach": "x"}, "reach: takes a whole number, not text"),
            ({"words": "hi", "reach": 2.5}, "reach: takes a whole number, not a number with a fraction"),
            ({"words": "hi", "share": 0}, "share: takes more than 0.0"),
            ({"words": "hi", "is_loud": 1}, "is_loud: takes true or false, not a whole number"),
            ({"words": "hi", "after": 1}, "after: takes text or null, not a whole number"),
            ({"words": "hi", "names": ["a", "b", "c"]}, "names: takes at most 2 entries"),
            ({"words": "hi", "names": ["a", 1]}, "names[1]: takes text, not a whole number"),
        ]
        for request, told in wrong:
            with self.assertRaises(UsageError) as caught:
                read_request(request, Wish)
            self.assertEqual(str(caught.exception), told)

    def test_no_keys(self) -> None:
        """Where there are no keys, none is taken."""
        with self.assertRaises(UsageError) as caught:
            read_request({"reach": 2}, Nothing)
        self.assertEqual(str(caught.exception), "there is no key 'reach' here; none is taken")
