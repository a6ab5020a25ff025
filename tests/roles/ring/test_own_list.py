"""What was stored and put from a node, listed with its copies, also after a new start; and transfers as they go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.python.failure import Failure

from tests.files.cases import MIB, file_of
from tests.roles.test_ring_peer import PAPER, PeersTestCase
from twisted_bazaar.errors import TransferFailed, UsageError
from twisted_bazaar.state import StateDirectory

LARGE = file_of(8 * MIB)


class OwnListTests(PeersTestCase):
    """The list of what was stored and put."""

    def test_list(self) -> None:
        """Each name is listed once, with those that keep it now; neither what is deleted is, nor what others stored."""
        nodes = self.ring(7)
        storer = self.others("paper")[0]
        self.ask(storer, "ring.put", name="word", value="old")
        self.ask(storer, "ring.put", name="word", value="hello")
        self.ask(storer, "ring.store", path=self.write("paper.pdf", PAPER), name="paper")
        rows = self.ask(storer, "ring.list")
        about = [
            (row["name"], row["kind"], row["size"], row["file"], len(row["copies"]), row["wanted"]) for row in rows
        ]
        self.assertEqual(
            about, [("paper", "file", len(PAPER), "paper.pdf", 4, 4), ("word", "text", len("hello"), None, 4, 4)]
        )
        self.assertEqual({*rows[0]["copies"]}, {*rows[0]["addresses"]})
        self.assertEqual(self.ask(storer, "ring.list", after=rows[0]["after"]), rows[1:])
        self.assertEqual(self.ask(storer, "ring.list", most=1), rows[:1])
        [other, *_] = [node for node in nodes if node != storer]
        self.assertEqual(self.ask(other, "ring.list"), [])
        self.ask(storer, "ring.delete", name="paper")
        self.assertEqual([row["name"] for row in self.ask(storer, "ring.list")], ["word"])

    def test_lost(self) -> None:
        """What nobody keeps any more is listed without copies, and can be deleted."""
        nodes = self.ring(7, replicas=1)
        storer = self.others("word")[0]
        self.ask(storer, "ring.put", name="word", value="hello")
        for node in self.right_ones("word"):
            self.network.crash(node)
        self.network.run(30.0)
        [row] = self.ask(storer, "ring.list")
        self.assertEqual((row["copies"], row["wanted"]), ([], 2))
        self.ask(storer, "ring.delete", name="word")
        self.assertEqual(self.ask(storer, "ring.list"), [])
        self.assertRaises(UsageError, self.ask, storer, "ring.delete", name="word")
        self.assertEqual(len(nodes), 7)

    def test_kept(self) -> None:
        """The list is in the state directory, so that the next process knows it; half a line costs nothing else."""
        path = self.place / "state"
        state = StateDirectory(path)
        self.addCleanup(state.close)
        node = self.add(state=state)
        self.network.run(1.0)
        self.ask(node, "ring.put", name="word", value="hello")
        self.ask(node, "ring.put", name="other", value="hello")
        self.network.stop(node)
        self.network.run(15.0)
        self.made -= 1
        file = path / "ring-own"
        file.write_text(file.read_text().rstrip()[:-5] + "\n")
        again = self.add(state=state)
        self.network.run(10.0)
        self.assertEqual([row["name"] for row in self.ask(again, "ring.list")], ["word"])


class TransferTests(PeersTestCase):
    """Transfers while they go on."""

    def test_store(self) -> None:
        """A file that is being stored is told with its copies, until all are made."""
        nodes = self.ring(7)
        path = self.write("paper.pdf", LARGE)
        storing = self.peers[nodes[0]].commands["ring.store"]({"path": path, "name": "paper"})
        seen: list[tuple[int, int]] = []

        def is_stored() -> bool:
            for row in self.ask(nodes[0], "ring.transfers"):
                self.assertEqual((row["kind"], row["path"], row["name"]), ("store", path, "paper"))
                self.assertLessEqual(row["bytes"], row["size"] * row["wanted"])
                seen.append((row["copies"], row["wanted"]))
            return storing.called

        self.network.run_until(is_stored, 60.0)
        self.assertEqual(len(self.successResultOf(storing)["copies"]), 4)
        self.assertEqual(seen, sorted(seen))
        self.assertIn(4, {wanted for _, wanted in seen})
        self.assertEqual(self.ask(nodes[0], "ring.transfers"), [])

    def test_cancel(self) -> None:
        """A request can be ended while it is under way: whoever waits is told, what has come is kept, and it is gone on
        with."""
        nodes = self.ring(7)
        self.ask(nodes[0], "ring.store", path=self.write("paper.pdf", LARGE), name="paper")
        [asking, *_] = [node for node in nodes[1:] if node not in self.keeping(LARGE)]
        folder = self.place / "here"
        folder.mkdir()
        target = str(folder / "paper.pdf")
        outcome: list[Any] = []
        requesting = self.peers[asking].commands["ring.request"]({"name": "paper", "folder": str(folder)})
        requesting.addBoth(outcome.append)

        def has_some() -> bool:
            rows = self.ask(asking, "ring.transfers")
            return any(
                (row["path"], row["name"]) == (target, "paper") and 0 < row["bytes"] < row["size"] for row in rows
            )

        self.network.run_until(has_some, 60.0)
        row = self.ask(asking, "ring.cancel", path=target)
        self.assertEqual((row["size"], row["path"]), (len(LARGE), target))
        self.network.run_until(lambda: outcome, 5.0)
        self.assertIsInstance(outcome[0], Failure)
        outcome[0].trap(TransferFailed)
        self.assertFalse(Path(target).exists())
        self.assertRaises(UsageError, self.ask, asking, "ring.cancel", path=target)
        again = self.ask(asking, "ring.request", name="paper", folder=str(folder))
        self.assertEqual(Path(target).read_bytes(), LARGE)
        self.assertLess(sum(again["sources"].values()), len(LARGE))
