"""C{bazaar status} without a name, C{bazaar nodes} and C{bazaar members}, as they are typed."""

from __future__ import annotations

import json
import random

from tests.cli.operated import OperatedCase, OperatedNode
from twisted_bazaar.roles.commands.members import members_commands
from twisted_bazaar.roles.node_ids import NodeIds
from twisted_bazaar.system.local_time import local_time
from twisted_bazaar.values.addresses import Address, Peer


class OwnNodesTests(OperatedCase):
    """C{bazaar status} without a name, and C{bazaar nodes}."""

    def note(self, name: str, *roles: str) -> float:
        """Let a node have been started; returns when."""
        (self.root / name).mkdir(parents=True, exist_ok=True)
        file = self.root / name / "roles"
        file.write_text(f"{' '.join(roles)}\n")
        return file.stat().st_mtime

    def test_all(self) -> None:
        """Status has a row for each that runs; nodes has the stopped ones, too, and no folder of anything else."""
        self.add_seller("shop")
        began = self.note("shop", "seller")
        ended = self.note("old", "buyer", "relay")
        (self.root / "cache").mkdir()
        (self.root / "shell.history").touch()
        self.add("frozen", TimeoutError("timed out"))
        shop = {"name": "shop", "roles": ["seller"], "state": "running", "address": None, "links": 0, "since": began}
        old = {"name": "old", "roles": ["buyer", "relay"], "state": "stopped", "address": None, "links": None}
        frozen = {"name": "frozen", "roles": [], "state": "silent", "address": None, "links": None, "since": None}
        rows = json.loads(self.bazaar("status", "--json").stdout)
        self.assertEqual(rows, [frozen, shop])
        rows = json.loads(self.bazaar("nodes", "--json").stdout)
        self.assertEqual(rows, [frozen, {**old, "since": ended}, shop])
        told = self.told("nodes")
        self.assertEqual(told[0], "name role state address links started")
        self.assertIn(f"old buyer relay stopped - - {local_time(ended)}", told)
        self.assertIn(f"shop seller running - 0 {local_time(began)}", told)

    def test_none(self) -> None:
        """That none runs is said, with how to start one; a list of none is a list."""
        self.assert_ends(2, "no node runs under .*; start one: .*twistd -n bazaar-node, or .*", "status")
        self.assertEqual(json.loads(self.bazaar("nodes", "--json").stdout), [])
        self.assertIn("no node has a directory under", self.bazaar("nodes").stderr)


class MembersTests(OperatedCase):
    """C{bazaar members}."""

    def test_members(self) -> None:
        """Who is in the network, those that joined last first, and how many of each kind."""
        ids = NodeIds(random.Random(1))
        ids.id_taken(Peer(4, "ab" * 32, Address("10.0.0.4", 9001)), 1_790_000_000.0)
        ids.id_taken(Peer(5, "cd" * 32, Address("10.0.0.5", 0), "super_peer"), 1_790_000_060.0)
        # It is linked anew, and has been there all the time.
        ids.id_taken(Peer(4, "ab" * 32, Address("10.0.0.4", 9002)), 1_790_000_100.0)
        self.add("tracker", OperatedNode(members_commands(ids, "tracker")))
        since, later = local_time(1_790_000_000.0), local_time(1_790_000_060.0)
        told = self.told("members")
        self.assertEqual(told[0], "2 members: 1 node, 1 super_peer")
        self.assertEqual(
            told[-2:], [f"5 super_peer cannot be dialled cdcdcdcd {later}", f"4 node 10.0.0.4:9002 abababab {since}"]
        )
        found = json.loads(self.bazaar("members", "--json").stdout)
        self.assertEqual((found["total"], found["by_kind"]), (2, {"": 1, "super_peer": 1}))
        self.assertEqual([each["id"] for each in found["members"]], [5, 4])
        self.add("index", OperatedNode(members_commands(ids, "index server")))
        self.assert_ends(2, "several nodes here can be asked: index, tracker; choose one with --name", "members")
