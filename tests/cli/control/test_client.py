"""Which node is asked, and what is said when it cannot be."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import fail, succeed

from tests.cli.operated import STATUS, OperatedCase, OperatedNode
from twisted_bazaar.cli.control.client import NotThere, RunningNode
from twisted_bazaar.errors import StorageError
from twisted_bazaar.wire.framing import frame


class ChoiceTests(OperatedCase):
    """The nodes of one user."""

    def test_only_one(self) -> None:
        """The only node that knows the command is asked, and named beside the result; others do not matter."""
        self.add_seller("depot")
        self.add("relay", OperatedNode())
        self.add("gone", None)
        self.add("frozen", TimeoutError("timed out"))
        self.add("strange", b"what?")
        self.add("deep", b"[" * 30_000)
        result = self.bazaar("stock", "list", "--json")
        self.assertEqual((result.exit_code, result.stdout, result.stderr), (0, "[]\n", "node depot:\n"))

    def test_several(self) -> None:
        """Where several could be meant they are listed, and one can be named."""
        self.add_seller("south")
        self.add_seller("north")
        several = "several nodes here can be asked: north, south; choose one with --name"
        self.assert_ends(2, several, "stock", "list")
        for words in (("--name", "north"), ("--state", str(self.root / "north"))):
            result = self.bazaar("stock", "list", "--json", *words)
            self.assertEqual((result.exit_code, result.stdout, result.stderr), (0, "[]\n", ""))

    def test_none(self) -> None:
        """Where none could be meant, it is said how one is started."""
        seller = r".*twistd -n bazaar-node --role seller --stock apple=5, or name one with --name or --state"
        nobody = rf"no seller runs under {self.root}; start one: {seller}"
        self.assert_ends(2, nobody, "stock", "list")
        self.add("relay", OperatedNode())
        self.add_buyer()
        self.assert_ends(2, nobody, "stock", "list")
        self.assertEqual(self.bazaar("status", "--name", "buyer").exit_code, 0)

    def test_not_there(self) -> None:
        """A node that is named and does not run is told."""
        self.add("seller", None)
        for words in (("--name", "seller"), ("--state", "elsewhere")):
            self.assert_ends(2, "no node runs in /.*; start it, or name another .*", "status", *words)
        too_long = "/" + 120 * "a"
        self.assert_ends(2, f"no node runs in {too_long}: the path is too long .*", "status", "--state", too_long)

    def test_impossible(self) -> None:
        """A name that no directory can have, both options, and an empty one are refused."""
        self.assert_ends(2, "--name '../x': write up to 64 letters, .*", "status", "--name", "../x")
        self.assert_ends(2, "--state and --name: give one of them", "status", "--name", "x", "--state", "y")
        self.assert_ends(2, "--state: write a directory", "status", "--state", "")
        self.assert_ends(2, "--state ~no one: there is no user 'no one'; .*", "status", "--state", "~no one")


class AnswerTests(OperatedCase):
    """What comes back."""

    def test_no(self) -> None:
        """What the node refuses is told in its words, and the status is 1; what fails in it, too."""
        self.add("seller", OperatedNode({"stock.list": lambda request: fail(StorageError("the disk is full"))}))
        self.assert_ends(1, "the disk is full", "stock", "list", "--name", "seller")
        self.add("other", OperatedNode())
        self.assert_ends(
            1, "this node cannot do 'stock.list'; it can do commands, status", "stock", "list", "--name", "other"
        )

    def test_no_answer(self) -> None:
        """A node that stands still, breaks off or answers nonsense is told in one line."""
        silent = "the node in /.* does not answer within 30 s; it may still do what it was asked"
        ended = "the node in /.* has ended; it may have done what it was asked"
        strange = "what answers in /.* is no node, or one of another version"
        for answer, status, expected in (
            (TimeoutError("timed out"), 2, silent),
            (b"", 2, ended),
            (b"12:{", 2, ended),
            (ConnectionResetError(104, "Connection reset by peer"), 2, "/.*control.sock: Connection reset by peer"),
            (b"99999999999:", 2, strange),
            (frame(b"nonsense"), 2, strange),
            (frame(b'{"results":5}'), 2, strange),
            (frame(b'{"results":[[{"item":1}]]}'), 2, strange),
            (frame(b'{"error":"no\\u001b[2J\\nmore"}'), 1, "no\ufffd.2J more"),
            (frame(b"{}"), 1, "the node says no"),
        ):
            self.add("x", answer)
            self.assert_ends(status, expected, "stock", "list", "--name", "x")

    def test_many_ask(self) -> None:
        """A node that so many others ask at once that there is no place to wait is asked again, until time is over."""
        self.add_seller()
        self.others_ahead = 3
        self.assertEqual(self.bazaar("stock", "list", "--json").exit_code, 0)
        self.assertEqual(self.others_ahead, 0)
        self.others_ahead = 1_000_000
        node = RunningNode("seller", self.root / "seller", "")
        error = self.assertRaises(NotThere, node.ask, "status", within_s=0.02)
        self.assertIn("does not answer", str(error))

    def test_large(self) -> None:
        """An answer of megabytes, which comes in pieces, is read whole."""
        row = {"item": "x" * 100, "supplied": 1, "in_stock": 1, "sold": 0, "withdrawn": 0, "price": None}
        rows = [row] * 20_000
        self.add("seller", OperatedNode({"stock.list": lambda request: succeed(rows)}))
        self.assertEqual(json.loads(self.bazaar("stock", "list", "--json").stdout), rows)


class StatusTests(OperatedCase):
    """C{bazaar status}."""

    def test_ring(self) -> None:
        """A member of a ring is told in the words of C{bazaar ring status}."""
        standing = {"role": "ring_peer", "member": True, "ring_id": "1f", "successors": ["2e", "3d"], "entries": 2}
        standing |= {"addresses": {"2e": "127.0.0.1:9302"}, "keep_bytes": 1 << 30}
        self.add("ann", OperatedNode({"status": lambda request: succeed(dict(standing))}))
        self.assertEqual(
            self.told("status", "--name", "ann")[-7:],
            [
                "ring_peer place 1f",
                "predecessor none",
                "pinged by nobody",
                "successors 2e 127.0.0.1:9302",
                "3d",
                "entries 2",
                "files 0, 0 bytes of 1.00 GiB",
            ],
        )

    def test_words(self) -> None:
        """Node, links and each role are told; what strangers claim does not move the cursor."""
        links = [{"id": number, "key": "ab" * 32, "address": "10.0.0.1:9000\x1b[2J"} for number in range(1, 23)]
        desk = {"status": lambda request: succeed({"role": "seller", "fault": None})}
        other = {"status": lambda request: succeed({"role": "greeter", "greeted": 3, "last": "Ana"})}
        buys = {"status": lambda request: succeed({"role": "buyer", "open_orders": 2})}
        self.add("seller", OperatedNode(desk, other, buys, links=links))
        told = self.told("status", "--name", "seller")
        self.assertEqual(
            [*told[:6], *told[-4:]],
            [
                f"state {self.root / 'seller'}",
                "id 7",
                f"key {STATUS['key']}",
                "bazaar bazaar",
                "links 22",
                "node 1 at 10.0.0.1:9000\ufffd[2J, key abababababababab",
                "and 2 more",
                "seller its book can be written",
                "greeter greeted: 3; last: Ana",
                "buyer orders without an answer: 2",
            ],
        )

    def test_super_peer(self) -> None:
        """A node that takes datagrams says where; what super peers and their weak peers say is told in words."""
        leads = {
            "status": lambda request: succeed(_told(leading=True, leaves=3, most=300, neighbours=["10.0.0.2:9200"]))
        }
        lonely = {"status": lambda request: succeed(_told(leading=True, leaves=0, neighbours=[]))}
        dormant = {"status": lambda request: succeed(_told(leading=False, leaves=0, neighbours=[]))}
        places = [{"id": 5, "address": "127.0.0.1:9200"}, {"id": 6, "address": "127.0.0.1:9201"}]
        weak = {"status": lambda request: succeed({"role": "leaf", "super_peers": places})}
        alone = {"status": lambda request: succeed({"role": "leaf", "super_peers": []})}
        self.add("super", OperatedNode(leads, lonely, dormant, weak, alone, udp=9200))
        told = self.told("status", "--name", "super")
        self.assertEqual(told[4:6], ["datagrams port 9200", "links none"])
        self.assertEqual(
            told[6:],
            [
                "super_peer weak peers: 3 of 300",
                "neighbours: 10.0.0.2:9200",
                "super_peer weak peers: 0",
                "neighbours: none",
                "super_peer none yet: this node becomes one when there are too few",
                "weak peer super peers: node 5 at 127.0.0.1:9200, node 6 at 127.0.0.1:9201",
                "weak peer NO SUPER PEER HAS TAKEN THIS NODE; it waits for one",
            ],
        )

    def test_not_well(self) -> None:
        """A node without an id, and a book that cannot be written, are told."""
        broken = {"status": lambda request: succeed({"role": "seller", "fault": "the disk is full"})}
        idle = {"status": lambda request: succeed({"role": "buyer", "open_orders": 0})}
        self.add("seller", OperatedNode(broken, idle, id=-1))
        told = self.told("status", "--name", "seller")
        self.assertIn("id none yet: it looks for its tracker", told)
        self.assertIn("seller ITS BOOK CANNOT BE WRITTEN: the disk is full", told)
        self.assertIn("buyer no order is without an answer", told)

    def test_json(self) -> None:
        """As JSON, it is what the node says."""
        self.add("relay", OperatedNode())
        self.assertEqual(json.loads(self.bazaar("status", "--name", "relay", "--json").stdout), [STATUS])


def _told(**figures: Any) -> dict[str, Any]:
    """What a super peer says of itself."""
    return {"role": "super_peer", **figures}
