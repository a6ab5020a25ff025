"""Pages keep no more than they can hold."""

from __future__ import annotations

import tracemalloc

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.index.directory.directories import digest
from tests.weighing import weighing
from twisted_bazaar.discovery.index.directory.pages import PageMaker
from twisted_bazaar.values.files import FileQuery, FoundFile


class PageMakerTests(SynchronousTestCase):
    """A page while it is made."""

    def test_bounded(self) -> None:
        """However many are found and asked for, half a megabyte is kept: there may be one page for each that asks."""
        with weighing():
            before, _ = tracemalloc.get_traced_memory()
            page = PageMaker(FileQuery(words="song", most=1_000))
            for number in range(20_000):
                name = f"song {20_000 - number:06}"
                if page.has_room_for(name, 1):
                    page.add(FoundFile(name, 10, digest(number), 1, 0))
            _, peak = tracemalloc.get_traced_memory()
        self.assertLess(peak - before, 1 << 19)
        made = page.page()
        self.assertEqual((made.total, made.files[0].name), (20_000, "song 000001"))
        self.assertIsNotNone(made.next)
