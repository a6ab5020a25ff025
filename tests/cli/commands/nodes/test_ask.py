"""Asking a running node for anything that one of its roles answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from tests.cli.operated import OperatedCase, OperatedNode
from twisted_bazaar.errors import UsageError

GREETINGS = [{"node": 7, "words": "good morning"}, {"node": 12, "words": "good\nevening", "far": True}]


class AskTests(OperatedCase):
    """A node whose roles come from elsewhere."""

    def setUp(self) -> None:
        """A node that repeats what it is asked, and one of which nothing can be asked."""
        super().setUp()
        self.asked: list[Mapping[str, Any]] = []
        self.answer: Any = None
        self.add("greeter", OperatedNode({"greetings": self.take}))
        self.add("relay", OperatedNode())

    def take(self, request: Mapping[str, Any]) -> Deferred[Any]:
        """Give what the test has said."""
        self.asked.append(request)
        return fail(self.answer) if isinstance(self.answer, Exception) else succeed(self.answer)

    def test_values(self) -> None:
        """What can be read as JSON is that, and all else is text; any key can be given."""
        values = ["reach=4", "far=true", "words=good morning", "within_s=x", 'id="12"', "ids=[1,2]", "empty=", "e=a=b"]
        self.told("ask", "greetings", *values)
        given = {"words": "good morning", "within_s": "x", "id": "12", "ids": [1, 2], "empty": "", "e": "a=b"}
        self.assertEqual(self.asked, [{"reach": 4, "far": True, **given}])

    def test_refused(self) -> None:
        """A value without a key is refused, and so is a second command."""
        for value in ("words", "=words", "command=stop"):
            self.assert_ends(2, f"'{value}': write KEY=VALUE, such as item=apple", "ask", "greetings", value)
        self.assertEqual(self.asked, [])

    def test_no(self) -> None:
        """What the role says against it is said, with status 1; so is what the node cannot do."""
        self.answer = UsageError("reach: at most 7")
        self.assert_ends(1, "reach: at most 7", "ask", "greetings")
        self.assert_ends(1, "this node cannot do 'sing'; .* greetings, status", "ask", "sing", "--name", "greeter")
        how = "it is for a role to answer: start a node with that role .*--help-roles lists all"
        self.assert_ends(2, f"no node that knows 'sing' runs under .*; {how}.*, or name .*", "ask", "sing")
        self.assert_ends(2, ".*; start one: .* --role seller --stock apple=5, or name .*", "ask", "stock.list")

    def test_rows(self) -> None:
        """Rows become a table, in which nothing moves the cursor."""
        self.answer = GREETINGS
        heading, _, *rows = self.told("ask", "greetings")
        self.assertEqual((heading, rows), ("node words far", ["7 good morning -", "12 good\ufffdevening true"]))

    def test_figures(self) -> None:
        """What has names is shown with them; a list and a text are shown as they are."""
        self.answer = {"greeted": 3, "last": None, "words": "good morning"}
        self.assertEqual(self.told("ask", "greetings"), ["greeted 3", "last -", "words good morning"])
        self.answer = ["one", 2, ["three"]]
        self.assertEqual(self.told("ask", "greetings"), ["one", "2", '["three"]'])
        self.answer = "good morning"
        self.assertEqual(self.told("ask", "greetings"), ["good morning"])

    def test_json(self) -> None:
        """As JSON it is what the roles have answered, all in one list."""
        self.answer = GREETINGS
        [line] = self.told("ask", "greetings", "--json")
        self.assertEqual(json.loads(line), [GREETINGS])

    def test_lists(self) -> None:
        """Without a command the node tells what it can be asked."""
        self.assertEqual(self.told("ask", "--name", "greeter"), ["commands", "greetings", "status"])
