"""The specification is enough: a buyer that knows only sockets, TLS, JSON and Ed25519 trades with real daemons.

Its code is L{plain_buyer}, a program of its own that imports nothing of this package.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from tests.integration.daemons import Daemon, Daemons
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.trade.contract import Receipt, check_receipt

PLAIN_BUYER: Final = "tests.integration.plain_buyer"
# All that it consists of, and what of that is not of the standard library.
SOURCES: Final = ("plain_buyer.py", "tls_by_hand.py")
OTHERS: Final = {"nacl", "cryptography", "tests.integration.tls_by_hand"}
ROOT: Final = Path(__file__).parents[2]
LONGEST_S: Final = 30.0


@pytest.fixture
def daemons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemons]:
    """The daemons of a test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "states"))
    with Daemons(tmp_path) as running:
        yield running


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """The book of a plain buyer."""
    path = tmp_path / "book"
    path.mkdir()
    return path


def run_buyer(tracker: str, book: Path, *words: str) -> dict[str, Any]:
    """Run the plain buyer to its end; returns what it says."""
    run = subprocess.run(
        [sys.executable, "-m", PLAIN_BUYER, tracker.rpartition(":")[2], book, *words],
        cwd=ROOT,
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


def start_seller(daemons: Daemons, tracker: str, state: Path) -> Daemon:
    """Start a seller with five apples, or go on with what it has left."""
    return daemons.start(
        *("bazaar-node", "--role", "seller", "--stock", "apple=5@120", "--tracker", tracker, "--state", str(state))
    )


def only_order(book: Path) -> dict[str, Any]:
    """What stands in the file of the only order."""
    [file] = book.glob("*.json")
    order: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return order


def check(order: Mapping[str, Any], statement: str) -> str:
    """Check a statement and the answer to it as anybody can; returns how the order has ended."""
    asked, answer = (msgspec.convert(order[key], Envelope) for key in (statement, "answer"))
    return check_receipt(Receipt(asked, answer))[2].outcome.value


def test_imports_nothing_of_the_package() -> None:
    """The buyer is written with the standard library, one library for signatures, and one for certificates."""
    imported: set[str] = set()
    for source in SOURCES:
        tree = ast.parse(Path(__file__).with_name(source).read_text(encoding="utf-8"))
        imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    packages = {name if name.startswith("tests.") else name.partition(".")[0] for name in imported}

    assert packages - set(sys.stdlib_module_names) == OTHERS
    assert {"socket", "ssl"} <= packages


def test_buys_directly(daemons: Daemons, book: Path, tmp_path: Path) -> None:
    """It buys from a seller that it is linked to; purchase and answer make a receipt that anybody can check."""
    _, endpoint = daemons.start_tracker()
    seller = start_seller(daemons, endpoint, tmp_path / "seller")
    seller_id = join(seller)

    said = run_buyer(endpoint, book, "buy", "apple", "2")

    seller.wait_for(rf"sold 2 apple.*, order [0-9a-f]{{12}}, to node {said['id']}")
    told = said["told"]
    assert (told["type"], told["way"]) == ("buyOK", [said["id"], seller_id])
    assert (told["terms"]["price"], told["answer"]["quantity"]) == (120, 2)
    assert check(only_order(book), "purchase") == "sold"


def test_asks_again(daemons: Daemons, book: Path, tmp_path: Path) -> None:
    """An order that is sent again by another process, to a seller that was killed, has the same answer."""
    _, endpoint = daemons.start_tracker()
    seller = start_seller(daemons, endpoint, tmp_path / "seller")
    join(seller)
    first = run_buyer(endpoint, book, "buy", "apple", "2")
    answered = only_order(book)
    seller.send_signal(9)
    seller.wait()
    seller = start_seller(daemons, endpoint, tmp_path / "seller")
    join(seller)

    again = run_buyer(endpoint, book, "again")

    assert again["told"] == [{"type": "buyOK", "is_same": True, "answer": first["told"]["answer"]}]
    assert only_order(book) == answered
    # What was written down before it was sent is enough to go on, whatever the answer was.
    file = book / f"{answered['id']}.json"
    file.write_text(json.dumps({**answered, "answer": None}), encoding="utf-8")
    run_buyer(endpoint, book, "again")
    assert only_order(book) == answered
    seller.interrupt()
    seller.wait_for("apple: 5 supplied, 3 in stock, 2 sold, 0 withdrawn")


def test_cancels(daemons: Daemons, book: Path, tmp_path: Path) -> None:
    """A withdrawal that comes before its order ends it, and nothing is sold however late the order comes."""
    _, endpoint = daemons.start_tracker()
    seller = start_seller(daemons, endpoint, tmp_path / "seller")
    join(seller)

    told = run_buyer(endpoint, book, "cancel", "apple", "2")["told"]

    assert (told["type"], told["answer"]["outcome"], told["is_same"]) == ("buyNO", "cancelled", True)
    assert check(only_order(book), "withdrawal") == "cancelled"
    seller.interrupt()
    seller.wait_for("apple: 5 supplied, 5 in stock, 0 sold, 0 withdrawn")


def test_buys_over_a_relay(daemons: Daemons, book: Path) -> None:
    """It buys along a path from a seller that it cannot be linked to."""
    _, endpoint = daemons.start_tracker()
    relay = daemons.start(
        *("bazaar-node", "--role", "relay", "--tracker", endpoint, "--ephemeral", "--events", "/dev/stdout")
    )
    relay_port = relay.wait_for_port()
    relay_id = join(relay)
    seller = daemons.start(
        *("bazaar-node", "--role", "seller", "--stock", "apple=5", "--tracker", endpoint, "--ephemeral"),
        *("--max-links", "1", "--connect", f"tcp:127.0.0.1:{relay_port}"),
    )
    seller_id = join(seller)
    # From now on the seller has no slot for anybody else.
    relay.wait_for(rf'"to": {seller_id}, "type": "thisisme"')

    said = run_buyer(endpoint, book, "buy", "apple", "1")

    seller.wait_for(rf"sold 1 apple.*, order [0-9a-f]{{12}}, to node {said['id']}")
    assert said["told"]["way"] == [said["id"], relay_id, seller_id]
    assert "price" not in said["told"]["answer"]
    assert check(only_order(book), "purchase") == "sold"
