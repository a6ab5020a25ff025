"""Waiting for a file of a ring: what is told meanwhile."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import succeed

from tests.cli.operated import OperatedCase, OperatedNode
from twisted_bazaar.cli.control.client import RunningNode
from twisted_bazaar.cli.ring.watched import TransferRow, Watched, format_transfer

STORE = TransferRow("store", "/home/ben/film.mp4", "film", 1 << 20, 0)
REQUEST = TransferRow("request", "/home/ben/film.mp4", "film", 1 << 20, 1 << 19)


class WordTests(OperatedCase):
    """Words beside a bar, and which transfer they are about."""

    def test_store(self) -> None:
        """A file that is stored is read, keepers are found, and copies made."""
        reading = TransferRow("store", "x", "x", 0, 0)
        copying = TransferRow("store", "x", "x", 5, 5, copies=1, wanted=4)
        told = [format_transfer(row, "store") for row in (None, reading, STORE, copying)]
        self.assertEqual(told, ["reading it", "reading it", "looking for those that are to keep it", "1 of 4 copies"])

    def test_request(self) -> None:
        """A file that is requested has sources, a rate, and some time left."""
        coming = TransferRow("request", "x", "x", 1 << 20, 1 << 19, rate=1024.0, seconds_left=512.0, sources=2)
        told = [format_transfer(row, "request") for row in (None, REQUEST, coming)]
        whole = "50% of 1.00 MiB, 1.00 KiB/s, 2 sources, 8 min 32 s left"
        self.assertEqual(told, ["looking for sources", "50% of 1.00 MiB", whole])

    def test_which(self) -> None:
        """A store is known by its file, a request by its name and directory; who says nothing has none."""
        store = Watched("store", Path("/home/ben/film.mp4"))
        request = Watched("request", Path("/home/ben"), "film")
        self.assertEqual([store.is_it(row) for row in (STORE, REQUEST)], [True, False])
        self.assertEqual([request.is_it(row) for row in (STORE, REQUEST)], [False, True])
        self.assertFalse(Watched("request", Path("/home"), "film").is_it(REQUEST))
        rows = [{"kind": "request", "path": "/home/ben/film.mp4", "name": "film", "size": 1 << 20, "bytes": 1 << 19}]
        self.add("ann", OperatedNode({"ring.transfers": lambda wish: succeed(rows)}))
        self.assertEqual(request.row_of(RunningNode("ann", self.root / "ann")), REQUEST)
        self.assertIsNone(store.row_of(RunningNode("ann", self.root / "ann")))
        self.add("bob", OperatedNode({}))
        self.assertIsNone(store.row_of(RunningNode("bob", self.root / "bob")))
        self.assertIsNone(store.row_of(RunningNode("gone", self.root / "gone")))
