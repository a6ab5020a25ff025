"""The market with daemons that find each other by an index server: how a buyer ends, and what is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration import fork_server
from tests.integration.daemons import TWISTD, Daemon, Daemons, until
from tests.integration.unread import wait_until_dialled

_PYTHON: Final = (sys.executable, "-m", "twisted_bazaar")
# How the file of events names the messages that they do this with.
_TOLD: Final = '"type": "update"'
_ORDERED: Final = '"type": "buy"'
_LISTEN: Final = "tcp:0:interface=127.0.0.1"


class IndexedShop:
    """An index server, and nodes that find by it.

    @ivar daemons: all of them.
    @ivar server: the index server.
    """

    def __init__(self, daemons: Daemons, directory: Path) -> None:
        self.daemons = daemons
        self.directory = directory
        self.server = self.start_server(_LISTEN)
        self.port = self.server.wait_for_port()

    def start_server(self, listen: str) -> Daemon:
        """Start an index server."""
        return self.daemons.start("bazaar-node", "--role", "index_server", "--listen", listen)

    def restart_server(self) -> None:
        """Start another where the one before was."""
        self.server = self.start_server(f"tcp:{self.port}:interface=127.0.0.1")

    @property
    def via(self) -> tuple[str, ...]:
        """How nodes are told to find by it."""
        return ("--via", "index", "--index", f"tcp:127.0.0.1:{self.port}")

    def seller(self, *words: str, name: str = "seller") -> Daemon:
        """Start a seller; returns when it has told the index server what it sells."""
        events = ("--events", f"{name}.jsonl")
        told = self.lines(name).count(_TOLD)
        daemon = self.daemons.start("bazaar-node", "--role", "seller", "--name", name, *self.via, *events, *words)
        daemon.wait_for("joined the network")
        until(lambda: self.lines(name).count(_TOLD) > told)
        return daemon

    def lines(self, name: str) -> str:
        """What happened to a node so far."""
        path = self.directory / f"{name}.jsonl"
        return path.read_text() if path.exists() else ""

    def buyer(self, *words: str, name: str = "buyer") -> fork_server.Process:
        """Start a buyer that ends by itself, and writes what happens to it."""
        return fork_server.start(
            (
                *(*TWISTD, "bazaar-node", "--role", "buyer", "--name", name, "--once", *self.via),
                *("--events", f"{name}.jsonl", *words),
            ),
            cwd=self.directory,
            env={**os.environ, **self.daemons.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def buy(self, *words: str, name: str = "buyer") -> tuple[int, str]:
        """Run a buyer to its end; returns its exit status and what it said."""
        return ended(self.buyer(*words, name=name))

    def until_event(self, name: str, event: str) -> dict[str, Any]:
        """Wait until something has happened to a buyer."""
        found: list[dict[str, Any]] = []

        def has_happened() -> bool:
            # The last line may be half written.
            whole, _, _ = self.lines(name).rpartition("\n")
            found.extend(line for line in map(json.loads, whole.splitlines()) if line["event"] == event)
            return bool(found)

        until(has_happened)
        return found[-1]

    def bazaar(self, *words: str) -> str:
        """Type a command that ends well; returns what it prints."""
        done = fork_server.run(
            (*_PYTHON, *words),
            cwd=self.directory,
            env={**os.environ, **self.daemons.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def told(self, *words: str) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.bazaar(*words, "--json"))

    def counts(self, name: str = "seller") -> dict[str, tuple[int, int]]:
        """Of each item of a seller, how many are in stock and sold."""
        return {row["item"]: (row["in_stock"], row["sold"]) for row in self.told("stock", "list", "--name", name)}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[IndexedShop]:
    """An index server that nobody asks yet."""
    with Daemons(tmp_path) as daemons:
        yield IndexedShop(daemons, tmp_path)


def ended(buyer: fork_server.Process) -> tuple[int, str]:
    """Wait for a buyer; returns its exit status and what it said."""
    try:
        said, _ = buyer.communicate(timeout=60)
    finally:
        buyer.kill()
        buyer.wait()
    return buyer.returncode, said


@pytest.mark.slow
def test_statuses(shop: IndexedShop) -> None:
    """A buyer that ends says by its status how: bought, or nobody had it; nothing was flooded."""
    shop.seller("--stock", "apple=5@120")
    status, said = shop.buy("--want", "apple=2")
    assert (status, "bought 2 apple" in said) == (0, True), said
    assert shop.buy("--want", "pear", "--timeout", "3", name="other")[0] == 3
    assert shop.buy("--want", "apple", "--max-price", "119", "--timeout", "3", name="third")[0] == 6
    assert shop.counts() == {"apple": (3, 2)}
    assert '"type": "quotation"' in shop.lines("seller")
    assert '"type": "search"' not in shop.lines("seller") + shop.lines("buyer")


def test_goods_that_come_later(shop: IndexedShop) -> None:
    """What is added to a seller that runs is found."""
    shop.seller("--stock", "apple")
    buyer = shop.buyer("--want", "pear=2")
    shop.until_event("buyer", "sought")
    shop.bazaar("stock", "add", "pear=2@3", "--name", "seller")
    assert ended(buyer)[0] == 0
    assert shop.counts() == {"apple": (1, 0), "pear": (0, 2)}


def test_two_roles_on_a_node(shop: IndexedShop) -> None:
    """A node that sells and buys asks others, not itself."""
    shop.seller("--stock", "apple=3@9", name="there")
    words = ("--role", "seller", "--stock", "apple=5@1", "--want", "apple=2")
    status, said = shop.buy(*words, name="both")
    assert (status, "bought 2 apple" in said) == (0, True), said
    assert shop.counts("there") == {"apple": (1, 2)}


@pytest.mark.slow
def test_sold_out(shop: IndexedShop) -> None:
    """Who was offered something that is gone when it is ordered says so: status 4."""
    shop.seller("--stock", "apple")
    # As long as a seller does not answer, the buyer waits a moment for what it may say.
    shop.seller("--stock", "apple", "--max-links", "1", name="silent").pause()
    buyer = shop.buyer("--want", "apple", "--gather", "2.5", "--timeout", "8")
    shop.until_event("buyer", "offered")
    shop.bazaar("stock", "withdraw", "apple", "--name", "seller")
    status, said = ended(buyer)
    assert (status, "1 apple not bought" in said) == (4, True), said


@pytest.mark.slow
def test_index_killed_after_the_offer(shop: IndexedShop) -> None:
    """Once a seller is found, the index is not needed: the order ends while it is down."""
    shop.seller("--stock", "apple=5")
    shop.seller("--stock", "apple=5", name="silent").pause()
    buyer = shop.buyer("--want", "apple", "--gather", "2.5")
    shop.until_event("buyer", "offered")
    shop.server.kill()
    assert ended(buyer)[0] == 0
    assert shop.counts() == {"apple": (4, 1)}


@pytest.mark.slow
def test_index_that_comes_back(shop: IndexedShop) -> None:
    """An index that was killed knows its sellers again when it is back, without a word from anybody."""
    shop.seller("--stock", "apple=5")
    assert shop.buy("--want", "apple")[0] == 0
    shop.server.kill()
    buyer = shop.buyer("--want", "apple", name="other")
    wait_until_dialled(shop.port)
    shop.restart_server()
    assert ended(buyer)[0] == 0
    assert shop.counts() == {"apple": (3, 2)}


@pytest.mark.slow
def test_seller_killed_and_restarted(shop: IndexedShop) -> None:
    """A seller that is killed with an order on its way is found again by its key, and the order ends: sold, once."""
    seller = shop.seller("--stock", "apple=5")
    shop.seller("--stock", "apple=5", name="silent").pause()
    buyer = shop.buyer("--want", "apple", "--gather", "2", "--timeout", "50")
    shop.until_event("buyer", "offered")
    # From now on nothing is read there; the order waits in a buffer that is lost.
    seller.pause()
    until(lambda: _ORDERED in shop.lines("buyer"))
    seller.kill()
    shop.seller("--stock", "apple=5")
    status, said = ended(buyer)
    assert status == 0, said
    assert shop.counts() == {"apple": (4, 1)}
    [order] = shop.told("orders", "--name", "seller")
    assert order["state"] == "sold"


@pytest.mark.slow
def test_buyer_killed_and_restarted(shop: IndexedShop) -> None:
    """A buyer that is killed while its order is open asks again when it is started again, and buys no more."""
    seller = shop.seller("--stock", "apple=5")
    shop.seller("--stock", "apple=5", name="silent").pause()
    buyer = shop.buyer("--want", "apple", "--gather", "2")
    shop.until_event("buyer", "offered")
    seller.pause()
    until(lambda: _ORDERED in shop.lines("buyer"))
    buyer.kill()
    buyer.communicate()
    seller.send_signal(signal.SIGCONT)
    status, said = shop.buy("--want", "apple")
    assert status == 0, said
    assert shop.counts() == {"apple": (4, 1)}
