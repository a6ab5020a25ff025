"""Words of names, and which names have which."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.index.words import MOST_WORDS, WordIndex, folded, words_of

texts = st.text(st.sampled_from("aAbBß-_ .1é\N{COMBINING ACUTE ACCENT}ﬁ"), max_size=12)


class WordsOfTests(SynchronousTestCase):
    """How a name is cut."""

    def test_cut(self) -> None:
        """Letters and digits of any script make words; everything else stands between them."""
        for name, words in (
            ("Some_Song (live)-02.ogg", ["some", "song", "live", "02", "ogg"]),
            ("a a A", ["a"]),
            ("Straße", ["strasse"]),
            ("東京 2020", ["東京", "2020"]),
            ("... --- ...", []),
            ("", []),
        ):
            self.assertEqual(words_of(name), words)

    def test_most(self) -> None:
        """Of a name with very many words only the first are found: they take room."""
        name = " ".join(str(number) for number in range(100))
        self.assertEqual(words_of(name), [str(number) for number in range(MOST_WORDS)])

    @given(texts)
    def test_case(self, name: str) -> None:
        """A name has the words of the same name in other letters."""
        self.assertEqual(words_of(name), words_of(folded(name)))


class WordIndexTests(SynchronousTestCase):
    """The index."""

    @given(st.lists(texts, unique=True), st.sets(st.integers(0, 20)), texts)
    def test_found(self, names: list[str], gone: set[int], text: str) -> None:
        """What has all words of a text, the last as a beginning, is found, each once; what was taken out is not."""
        index: WordIndex[str] = WordIndex(lambda name: name)
        for name in names:
            index.add(name)
        for number in gone:
            if number < len(names):
                index.discard(names[number])
        left = [name for number, name in enumerate(names) if number not in gone]
        *whole, last = words_of(text) or [""]

        def is_fitting(name: str) -> bool:
            words = words_of(name)
            return bool(last) and set(whole) <= set(words) and any(word.startswith(last) for word in words)

        found = [name for name in index.find(text) if name is not None]
        self.assertEqual(sorted(found), sorted(filter(is_fitting, left)))
        self.assertEqual(len(index), len({word for name in left for word in words_of(name)}))

    def test_many_beginnings(self) -> None:
        """What has all words is found whether few or very many words begin as the last one does."""
        for most in (1, 8, 9, 40):
            index: WordIndex[str] = WordIndex(lambda name: name)
            names = [f"a b ab{number}" for number in range(most)]
            for name in (*names, "a ab0", "b ab0", "a b c"):
                index.add(name)
            found = [name for name in index.find("a b ab") if name is not None]
            self.assertEqual(sorted(found), sorted(names))

    def test_changes_meanwhile(self) -> None:
        """What is there all the time is found once, whatever comes and goes while somebody looks."""
        for text in ("a", "a b", "ab", "b a ab"):
            index: WordIndex[str] = WordIndex(lambda name: name)
            for name in ("ab a b", "ab b a", "ac a b ab"):
                index.add(name)
            found = []
            for number, name in enumerate(index.find(text)):
                index.add(f"ab{number} a b")
                index.discard("ab b a" if number == 0 else f"ab{number - 1} a b")
                if number > 50:
                    break
                found.append(name)
            self.assertEqual([found.count(name) for name in ("ab a b", "ac a b ab")], [1, 1])
