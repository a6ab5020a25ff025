"""Fifty buyers race for five pieces, over real sockets, while a relay and the seller are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.integration.daemons import Daemon, Daemons, free_port
from tests.integration.killing import rows

STOCK: Final = 5
RELAYS: Final = 5
LONGEST_S: Final = 90.0
SOLD_BEFORE_IT_DIES: Final = 2


def start_relays(daemons: Daemons, tracker: str) -> list[Daemon]:
    """Start relays that know each other."""
    words = ("bazaar-node", "--role", "relay", "--ephemeral", "--tracker", tracker, "--max-links=64", "--min-links=3")
    relays = [daemons.start(*words) for _ in range(RELAYS)]
    for relay in relays:
        relay.wait_for("joined the network")
    return relays


def start_crowd(directory: Path, tracker: str, buyers: int) -> subprocess.Popen[str]:
    """Start the buyers."""
    lines = [
        [
            *("--role", "buyer", "--want", "device", "--once", "--timeout", "12", "--gather", "0.05"),
            *("--state", str(directory / f"buyer-{number}"), "--tracker", tracker, "--listen", "none"),
        ]
        for number in range(buyers)
    ]
    requests = directory / "buyers.json"
    requests.write_text(json.dumps(lines))
    with requests.open() as stdin:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.integration.crowd"],
            stdin=stdin,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent.parent,
        )


def wait_until_sold(events: Path, many: int) -> None:
    """Wait until a seller has told of so many sales."""
    until = time.monotonic() + LONGEST_S
    while not events.exists() or events.read_text().count('"event": "sold"') < many:
        assert time.monotonic() < until, "the seller does not sell"
        time.sleep(0.01)


@pytest.mark.parametrize("buyers", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_race(tmp_path: Path, buyers: int) -> None:
    """Exactly as many are sold as there are, each buyer knows how it has ended, and all books agree."""
    events, state = tmp_path / "events", tmp_path / "seller"
    with Daemons(tmp_path) as daemons:
        _, tracker = daemons.start_tracker()
        relays = start_relays(daemons, tracker)
        sell = (
            *("bazaar-node", "--role", "seller", "--stock", f"device={STOCK}", "--state", str(state)),
            *("--tracker", tracker, "--listen", f"tcp:{free_port()}:interface=127.0.0.1", "--events", str(events)),
        )
        seller = daemons.start(*sell)
        seller.wait_for("joined the network")
        crowd = start_crowd(tmp_path, tracker, buyers)
        try:
            wait_until_sold(events, SOLD_BEFORE_IT_DIES)
            seller.send_signal(signal.SIGKILL)
            relays[0].send_signal(signal.SIGKILL)
            seller.wait()
            seller = daemons.start(*sell)
            told, _ = crowd.communicate(timeout=LONGEST_S)
        finally:
            if crowd.poll() is None:
                os.kill(crowd.pid, signal.SIGKILL)
                crowd.communicate()
        seller.send_signal(signal.SIGTERM)
        seller.wait()

    statuses = dict(json.loads(line) for line in told.splitlines())
    counted = Counter(statuses.values())
    assert (len(statuses), counted[0]) == (buyers, STOCK), counted
    assert set(counted) <= {0, 3, 4}, counted
    ledger = state / "ledger.sqlite"
    sold = {row[0] for row in rows(ledger, "SELECT id FROM deals WHERE outcome = 'sold'")}
    states = {
        row[0]: row[1]
        for number in range(buyers)
        for row in rows(tmp_path / f"buyer-{number}" / "orders.sqlite", "SELECT id, state FROM orders")
    }
    assert rows(ledger, "SELECT supplied, in_stock, sold, withdrawn FROM stock") == [(STOCK, 0, STOCK, 0)]
    assert {order for order, its_state in states.items() if its_state == "confirmed"} == sold
    assert len(sold) == STOCK
    assert set(states.values()) <= {"confirmed", "refused", "cancelled"}
