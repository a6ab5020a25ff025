"""Two nodes that find by a phone book, in the simulator."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from bazaar_phonebook.method import PHONEBOOK, PhonebookMethod
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, SharedFile
from twisted_bazaar.values.joining import JoinObserver

DIGEST = "0f" * 32


class Observer(JoinObserver):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def joined(self, how: str) -> None:
        """Keep it."""
        self.told.append(how)


class PhonebookTests(SynchronousTestCase):
    """One node has a song, another has the number of the first in its book."""

    def setUp(self) -> None:
        """Start both."""
        self.network = SimulatedNetwork()
        far = PhonebookMethod()
        self.far = self.network.add_node(*far.roles)
        far.make_catalogue().publish([SharedFile("A Song.mp3", 7, DIGEST)], [])
        self.observer = Observer()
        host = self.network.host()
        near = PhonebookMethod([TCP4ClientEndpoint(host, *self.network.where(self.far))], self.observer)
        self.network.add_node(*near.roles, host=host)
        self.near = near.make_catalogue()
        self.addCleanup(self.network.stop_all)
        self.network.run_until(lambda: self.observer.told)

    def asked(self, asking: Any) -> Any:
        """The answer to a question."""
        self.network.run(2)
        return self.successResultOf(asking)

    def test_joins(self) -> None:
        """It says by whom it has joined."""
        self.assertEqual(self.observer.told, ["by number 1 of the phone book"])

    def test_finds(self) -> None:
        """A file is found by a word of its name, and who has it by its digest."""
        page = self.asked(self.near.search(FileQuery(words="song")))
        self.assertEqual((page.files, page.total), ([FoundFile("A Song.mp3", 7, DIGEST, 1)], 1))
        [source] = self.asked(self.near.sources(DIGEST))
        self.assertIsInstance(source, FileSource)
        self.assertEqual(source.key, self.far.key.public)
        self.assertEqual(self.asked(self.near.search(FileQuery(name="song"))).files, [])

    def test_book(self) -> None:
        """The book is a file with an endpoint in each line; without one it is said what to write."""
        with tempfile.TemporaryDirectory() as directory:
            book = Path(directory) / "book.txt"
            book.write_text("tcp:10.0.0.2:9400\ntcp:10.0.0.3:9400\n")
            places = PhonebookMethod.places(OptionValues.of([PHONEBOOK], phonebook=str(book)))
        self.assertEqual(places, ["tcp:10.0.0.2:9400", "tcp:10.0.0.3:9400"])
        for values in (OptionValues([PHONEBOOK]), OptionValues.of([PHONEBOOK], phonebook="/nowhere/at/all")):
            self.assertRaises(UsageError, PhonebookMethod.places, values)
