"""What the daemons of a demo report, read while they write it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.demo.events import Event, Events


class ChronicleTests(SynchronousTestCase):
    """Two daemons, each with a file."""

    def setUp(self) -> None:
        """Neither has written anything yet."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.files = {name: Path(directory.name, f"{name}.jsonl") for name in ("Sam", "Ben")}
        self.chronicle = Events()
        for name, path in self.files.items():
            self.chronicle.follow(name, path)

    def write(self, name: str, *lines: object) -> None:
        """Let a daemon write whole lines."""
        self.write_text(name, "".join(json.dumps(line) + "\n" for line in lines))

    def write_text(self, name: str, text: str) -> None:
        """Let a daemon write any text."""
        with self.files[name].open("a", encoding="utf-8") as file:
            file.write(text)
        self.chronicle.refresh()

    def test_not_yet_there(self) -> None:
        """A file that is not there yet is read when it comes."""
        self.chronicle.refresh()
        self.assertIsNone(self.chronicle.first("sold"))
        self.write("Sam", {"event": "sold", "order": 1})
        self.assertEqual(self.chronicle.first("sold"), Event("Sam", "sold", {"order": 1}))

    def test_half_a_line(self) -> None:
        """A line that is not complete is read when it is, and no line is read twice."""
        self.write_text("Sam", '{"event":"sold","item":"')
        self.assertEqual(self.chronicle.find("sold"), [])
        self.write_text("Sam", 'Äpfel"}\n{"event":"so')
        self.write_text("Sam", 'ld","item":"plum"}\n')
        self.assertEqual([event["item"] for event in self.chronicle.find("sold")], ["Äpfel", "plum"])

    def test_unreadable(self) -> None:
        """A line that a full disk has cut short stops nobody from reading the others."""
        self.write_text("Sam", '{"event":"so\n')
        self.write("Sam", {"event": "sold", "order": 2})
        self.assertEqual(self.chronicle.find("unreadable"), [Event("Sam", "unreadable", {})])
        self.assertEqual(self.chronicle.find("sold"), [Event("Sam", "sold", {"order": 2})])

    def test_find(self) -> None:
        """Events are found by kind, by who tells them and by their details."""
        for name, order in (("Sam", 1), ("Sam", 2), ("Ben", 2)):
            self.write(name, {"event": "sold", "order": order})
        self.assertEqual(
            [
                len(self.chronicle.find("sold")),
                len(self.chronicle.find("sold", "Sam")),
                len(self.chronicle.find("sold", order=2)),
                len(self.chronicle.find("sold", "Ben", order=1)),
                len(self.chronicle.find("bought")),
            ],
            [3, 2, 2, 0, 0],
        )

    def test_names(self) -> None:
        """Who has joined is known by name; a node that nobody follows by its number."""
        self.write("Sam", {"event": "joined", "id": 12})
        self.assertEqual((self.chronicle.id_of("Sam"), self.chronicle.id_of("Ben")), (12, None))
        self.assertEqual(self.chronicle.path_of([12, 99]), ("Sam", "node 99"))

    def test_messages(self) -> None:
        """Messages are counted by type, all of them or those of some searches and orders."""
        for name, type, id in (("Sam", "reply", 4), ("Ben", "search", 4), ("Ben", "search", 5), ("Ben", "ping", None)):
            self.write(name, {"event": "sent", "type": type, "id": id})
        self.assertEqual(self.chronicle.messages(), {"search": 2, "reply": 1, "ping": 1})
        self.assertEqual(self.chronicle.messages(4), {"search": 1, "reply": 1})
