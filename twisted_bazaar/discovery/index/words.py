"""The words of file names: how names are cut into them, and which things have which. Sans-IO."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Hashable, Iterator
from itertools import islice, takewhile
from typing import Final, Generic, TypeVar

from sortedcontainers import SortedList

from twisted_bazaar.discovery.index.multimap import Multimap

# Letters and numbers of any script (categories L and N); everything else stands between words.
WORD: Final = re.compile(r"[^\W_]+")
# A name of 255 bytes could have 128, each of which takes as much room as the name of a usual file.
MOST_WORDS: Final = 32
_FEW: Final = 256
# In so many words it is quicker to look whether they have a thing than to cut its name into words.
_FEW_WORDS: Final = 8
# There may be millions of words.
_PARTS: Final = 64
# The same for ASCII, several times as fast.
_SEPARATED: Final = bytes(byte if chr(byte).isalnum() else ord(" ") for byte in range(128)).ljust(256)

T = TypeVar("T", bound=Hashable)


def folded(text: str) -> str:
    """A text without regard to case (full case folding), and to the forms in which Unicode has one letter twice."""
    if text.isascii():
        return text.lower()
    # In small letters there may be another way to put a letter and its accents together.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def words_of(text: str) -> list[str]:
    """The first words of a name or of a question, each once, without regard to case."""
    words = list(dict.fromkeys(WORD.findall(folded(text))))
    return words if len(words) <= MOST_WORDS else words[:MOST_WORDS]


def count_words(text: str) -> int:
    """The most words that a text of ASCII can have: those that differ in case only count too."""
    return min(MOST_WORDS, len(text.encode().translate(_SEPARATED).split()))


def question_of(text: str) -> tuple[list[str], str]:
    """The words that a text asks for, and the beginning of one; nothing of either for a text without words."""
    *whole, beginning = words_of(text) or [""]
    return whole, beginning


def is_fitting(name: str, whole: list[str], beginning: str) -> bool:
    """Whether a name has some words, and one that begins in a certain way."""
    words = words_of(name)
    return all(word in words for word in whole) and any(word.startswith(beginning) for word in words)


class WordIndex(Generic[T]):
    """An inverted index: by word, the things that have it in their names.

    @param name_of: the name of a thing.
    """

    def __init__(self, name_of: Callable[[T], str]) -> None:
        self._name_of = name_of
        self._having: Multimap[str, T] = Multimap(_PARTS)
        self._order: SortedList[str] = SortedList()

    def __len__(self) -> int:
        return len(self._having)

    def add(self, thing: T) -> None:
        """Enter a thing under each of its words."""
        for word in words_of(self._name_of(thing)):
            if self._having.add(word, thing):
                self._order.add(word)

    def discard(self, thing: T) -> None:
        """Take a thing out."""
        for word in words_of(self._name_of(thing)):
            if self._having.discard(word, thing):
                self._order.remove(word)

    def find(self, text: str) -> Iterator[T | None]:
        """Each thing that has all words of a text, of which the last may be the beginning of a word.

        Things may be added and taken out while it runs; those that are there all the time are found, each once.
        For work that came to nothing it gives None.
        """
        whole, beginning = question_of(text)
        if not beginning:
            return iter(())
        return self._having_all(whole, beginning) if whole else self._beginning_with(beginning)

    def _having_all(self, whole: list[str], beginning: str) -> Iterator[T | None]:
        rarest = min(whole, key=lambda word: len(self._having.under(word)))
        others = [word for word in whole if word != rarest]
        has = self._having.has
        for number, thing in enumerate(_each(self._having.under(rarest))):
            if number % _FEW == 0:
                # Others may come meanwhile.
                begun = list(islice(self._words_with(beginning), _FEW_WORDS + 1))
            if len(begun) > _FEW_WORDS:
                yield thing if is_fitting(self._name_of(thing), whole, beginning) else None
                continue
            for word in others:
                if not has(word, thing):
                    yield None
                    break
            else:
                yield thing if any(has(word, thing) for word in begun) else None

    def _beginning_with(self, beginning: str) -> Iterator[T | None]:
        word = self._next_word(beginning, beginning, is_included=True)
        is_only = word is not None and self._next_word(word, beginning, is_included=False) is None
        while word is not None:
            for thing in _each(self._having.under(word)):
                # A name with several such words is found by the first of them.
                yield thing if is_only or word == _first_with(beginning, self._name_of(thing)) else None
            word, is_only = self._next_word(word, beginning, is_included=False), False

    def _words_with(self, beginning: str) -> Iterator[str]:
        return takewhile(lambda word: word.startswith(beginning), self._order.irange(beginning))

    def _next_word(self, word: str, beginning: str, *, is_included: bool) -> str | None:
        following = next(self._order.irange(word, inclusive=(is_included, True)), None)
        return following if following is not None and following.startswith(beginning) else None


def _each(things: Collection[T]) -> Iterator[T]:
    """All of them as they are, though they may change meanwhile. Who needs only some waits for no copy of all."""
    if len(things) <= _FEW:
        yield from tuple(things)
        return
    first = dict.fromkeys(islice(things, _FEW))
    yield from first
    yield from (thing for thing in tuple(things) if thing not in first)


def _first_with(beginning: str, name: str) -> str:
    return min(word for word in words_of(name) if word.startswith(beginning))
