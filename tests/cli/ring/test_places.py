"""Names of the machines behind places on a ring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import succeed

from tests.cli.operated import OperatedCase, OperatedNode
from twisted_bazaar.cli.control import client
from twisted_bazaar.cli.ring.places import names_of, place_lines


class PlaceTests(OperatedCase):
    """Some nodes, of which one is this user's."""

    def setUp(self) -> None:
        """Start that one; somebody else's node listens under another place, and a third says nothing of places."""
        super().setUp()
        self.patch(client, "states_root", lambda: self.root)
        for name, answer in (
            ("ann", {"ring_id": "1f", "addresses": {"1f": "127.0.0.1:9301"}}),
            ("old", {"ring_id": "1f"}),
        ):
            self.add(name, OperatedNode({"ring.status": lambda request, answer=answer: succeed(answer)}))
        self.add("bob", OperatedNode({}))
        self.add("gone", None)
        self.looked_up: list[str] = []

    def look_up(self, host: str) -> Sequence[Any]:
        """What the system knows."""
        self.looked_up.append(host)
        if host == "192.0.2.7":
            return ("lab-7.example", [], [host])
        raise OSError("no name")

    def test_names(self) -> None:
        """A node of this user has its own name, others that of their machine; this machine is not looked up."""
        addresses = {"1f": "127.0.0.1:9301", "2e": "127.0.0.1:9302", "3d": "192.0.2.7:9300", "4c": "192.0.2.8:9300"}
        addresses |= {"5b": "[::1]:9300", "6a": "[2001:db8::1]:9300"}
        names = names_of([addresses], self.look_up)
        self.assertEqual(names, {"127.0.0.1:9301": "ann", "192.0.2.7:9300": "lab-7.example"})
        self.assertEqual(sorted(self.looked_up), ["192.0.2.7", "192.0.2.8", "2001:db8::1"])

    def test_nobody(self) -> None:
        """Where nobody says where anybody is, nobody is asked."""
        self.assertEqual(names_of([{}, {}], self.look_up), {})
        self.assertEqual(self.looked_up, [])

    def test_lines(self) -> None:
        """Each place has a line, with what is known of it."""
        lines = place_lines(
            ["1f", "2e", "3d"], {"1f": "127.0.0.1:9301", "2e": "127.0.0.1:9302"}, {"127.0.0.1:9301": "ann"}
        )
        self.assertEqual(list(lines), ["1f  ann, 127.0.0.1:9301", "2e  127.0.0.1:9302", "3d"])
