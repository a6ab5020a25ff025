"""Titles that there are to be found: some words each, a few of which are common, and who has which.

All of it follows from the scenario; with more peers, or fewer, the others have what they had.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from twisted_bazaar.discovery.index.words import WordIndex
from twisted_bazaar.sim.superpeer.scenario import SuperPeerScenario
from twisted_bazaar.values.files import SharedFile

_CONSONANTS: Final = "bdfghjklmnprstvz"
_VOWELS: Final = "aeiou"
_SYLLABLES: Final = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
_SYLLABLES_A_WORD: Final = 3
_VOCABULARY: Final = len(_SYLLABLES) ** _SYLLABLES_A_WORD
# Has no divisor in common with the number of words that there can be, so that no two are the same.
_STEP: Final = 205_891
_FEWEST_WORDS, _MOST_WORDS = 2, 5
_FEW_WORDS: Final = 50
_MIB: Final = 1 << 20


class Popularity:
    """Draws numbers of which the first are more popular, by a Zipf law.

    @param exponent: the n-th is drawn 1/n**exponent as often as the first.
    """

    def __init__(self, many: int, exponent: float) -> None:
        self._many = many
        self._weights = list(accumulate((n + 1) ** -exponent for n in range(many)))

    def draw(self, rng: random.Random) -> int:
        """One of them."""
        return bisect(self._weights, rng.random() * self._weights[-1], hi=self._many - 1)

    def draw_several(self, rng: random.Random, many: int) -> list[int]:
        """Several different ones."""
        drawn: dict[int, None] = {}
        while len(drawn) < min(many, self._many):
            drawn[self.draw(rng)] = None
        return list(drawn)


class Titles:
    """All titles of a scenario.

    @param peers: the names of those who have some.
    @ivar names: the titles, the most popular first.
    @ivar popularity: how often each is to be had, and wanted.
    @ivar held: which ones each peer has.
    @ivar holders: who has each; of what nobody has, nothing.
    """

    def __init__(self, scenario: SuperPeerScenario, peers: Sequence[str]) -> None:
        self._seed = scenario.seed
        self.popularity: Popularity = Popularity(scenario.files, scenario.zipf)
        words = Popularity(_FEW_WORDS + scenario.files // 2, 1.0)
        # Each once: nobody can share two files of one name.
        names: dict[str, None] = {}
        rng = random.Random(f"{scenario.seed}/titles")
        while len(names) < scenario.files:
            names[_title(rng, words)] = None
        self.names: list[str] = list(names)
        self.held: Mapping[str, Sequence[int]] = {peer: self._held_by(peer, scenario.shared) for peer in peers}
        self.holders: dict[int, list[str]] = {}
        for peer, titles in self.held.items():
            for title in titles:
                self.holders.setdefault(title, []).append(peer)
        self._by_word = WordIndex[int](self.names.__getitem__)
        for title in sorted(self.holders):
            self._by_word.add(title)
        self._digests: dict[int, str] = {}
        self._known: dict[str, Sequence[int]] = {}

    def matching(self, words: str) -> Sequence[int]:
        """The titles that somebody has and that have all of some words."""
        if words not in self._known:
            self._known[words] = sorted(title for title in self._by_word.find(words) if title is not None)
        return self._known[words]

    def digest(self, title: int) -> str:
        """What the file with a title is known by."""
        if title not in self._digests:
            self._digests[title] = hashlib.sha256(f"{self._seed}/{title}".encode()).hexdigest()
        return self._digests[title]

    def files_of(self, peer: str) -> Iterator[SharedFile]:
        """What a peer shares."""
        for title in self.held[peer]:
            yield SharedFile(self.names[title], _MIB + title, self.digest(title))

    def _held_by(self, peer: str, shared: int) -> list[int]:
        rng = random.Random(f"{self._seed}/held/{peer}")
        return self.popularity.draw_several(rng, rng.randint(-(-2 * shared // 3), 4 * shared // 3))


def _title(rng: random.Random, words: Popularity) -> str:
    numbers = words.draw_several(rng, rng.randint(_FEWEST_WORDS, _MOST_WORDS))
    return " ".join(map(_word, numbers))


def _word(number: int) -> str:
    left = number * _STEP % _VOCABULARY
    word = ""
    for _ in range(_SYLLABLES_A_WORD):
        left, syllable = divmod(left, len(_SYLLABLES))
        word += _SYLLABLES[syllable]
    return word
