"""Glob patterns for names of files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.node.patterns import is_matching, is_pattern, words_of_pattern
from twisted_bazaar.discovery.index.words import is_fitting, question_of

_LETTERS = "ab .-_1"


class PatternTests(SynchronousTestCase):
    """Which names match, and by which words those are looked for."""

    def test_matching(self) -> None:
        """A pattern matches as in a shell, with regard to case, in any form of Unicode."""
        for pattern, name, expected in (
            ("*.mp3", "a song.mp3", True),
            ("*.mp3", "a song.MP3", False),
            ("a?c", "abc", True),
            ("a?c", "ac", False),
            ("[ab]*", "bcd", True),
            ("f\u00fcr*", "fu\u0308r alle.txt", True),
        ):
            self.assertEqual(is_matching(name, pattern), expected, (pattern, name))
        self.assertEqual([is_pattern(text) for text in ("*", "a?", "[", "a.b", "")], [True, True, True, False, False])

    def test_words(self) -> None:
        """Words that a wildcard does not touch are whole; one before it is a beginning, and stands last."""
        for pattern, words in (
            ("*.mp3", "mp3"),
            ("holiday*", "holiday"),
            ("*day film*", "film"),
            ("a*.txt", "txt a"),
            ("IMG_00??.jpg", "img jpg 00"),
            ("song [live].mp3", "song mp3"),
            ("*a*b*", ""),
            ("*", ""),
            ("[", ""),
        ):
            self.assertEqual(words_of_pattern(pattern), words, pattern)

    @given(st.lists(st.sampled_from([*_LETTERS, "*", "?", "[ab]"]), max_size=12), st.text(_LETTERS, max_size=12))
    def test_nothing_is_missed(self, parts: list[str], name: str) -> None:
        """A name that matches is found by the words of the pattern, if it has any."""
        pattern = "".join(parts)
        words = words_of_pattern(pattern)
        if words and is_matching(name, pattern):
            self.assertTrue(is_fitting(name, *question_of(words)), (pattern, name, words))

    def test_a_name_from_its_pattern(self) -> None:
        """The same, with names that are sure to match."""
        for pattern in ("a b*", "*b a", "a?b ab*1", "ab-1_*a", "[ab]b a*"):
            for filling in ("", "a", " ", "1b ", "-a-"):
                name = pattern.replace("[ab]", "a").replace("?", filling[:1] or "b").replace("*", filling)
                self.assertTrue(is_matching(name, pattern))
                self.assertTrue(is_fitting(name, *question_of(words_of_pattern(pattern))), (pattern, name))
