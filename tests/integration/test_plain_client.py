"""The specification is enough: a buyer that knows only netstrings and JSON buys from real daemons.

Its code is L{plain_buyer}, a program of its own that imports nothing of this package.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.daemons import Daemon, Daemons

PLAIN_BUYER: Final = Path(__file__).with_name("plain_buyer.py")
ALLOWED: Final = {"json", "random", "sys", "twisted"}
LONGEST_S: Final = 30.0


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    """The daemons of a test."""
    with Daemons(tmp_path) as running:
        yield running


def buy(tracker: str, item: str, quantity: int) -> dict[str, Any]:
    """Run the plain buyer to its end; returns what it says it bought."""
    run = subprocess.run(
        [sys.executable, PLAIN_BUYER, tracker.rpartition(":")[2], item, str(quantity)],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    told: dict[str, Any] = json.loads(run.stdout)
    return told


def join(node: Daemon) -> int:
    """Wait until a node has joined; returns its id."""
    return int(node.wait_for(r"joined the network as node (\d+)")[1])


def test_imports_nothing_of_the_package() -> None:
    """The buyer is written with Twisted's netstrings and the standard library alone."""
    tree = ast.parse(PLAIN_BUYER.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name.partition(".")[0] for name in imported} == ALLOWED
    assert "twisted.protocols.basic" in imported


def test_buys_directly(daemons: Daemons) -> None:
    """It buys from a seller that it is linked to, and the seller enters one sale in its book."""
    _, endpoint = daemons.start_tracker()
    seller = daemons.start("bazaar-node", "--role", "seller", "--stock", "apple=5@120", "--tracker", endpoint)
    seller_id = join(seller)

    told = buy(endpoint, "apple", 2)

    seller.wait_for(rf"sold 2 apple to node {told['buyer']}")
    assert (told["seller"], told["quantity"], told["price"]) == (seller_id, 2, 120)
    assert told["way"] == [told["buyer"], seller_id]


def test_buys_over_a_relay(daemons: Daemons) -> None:
    """It buys along a path from a seller that it cannot be linked to."""
    _, endpoint = daemons.start_tracker()
    relay = daemons.start("bazaar-node", "--role", "relay", "--tracker", endpoint, "--events", "/dev/stdout")
    relay_port = relay.wait_for_port()
    relay_id = join(relay)
    seller = daemons.start(
        *("bazaar-node", "--role", "seller", "--stock", "apple=5", "--tracker", endpoint),
        *("--max-links", "1", "--connect", f"tcp:127.0.0.1:{relay_port}"),
    )
    seller_id = join(seller)
    # From now on the seller has no slot for anybody else.
    relay.wait_for(rf'"to": {seller_id}, "type": "thisisme"')

    told = buy(endpoint, "apple", 1)

    seller.wait_for(rf"sold 1 apple to node {told['buyer']}")
    assert told["seller"] == seller_id
    assert told["way"] == [told["buyer"], relay_id, seller_id]
