"""Fifty buyers race for five pieces, over real sockets, while a relay and the seller are killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from tests.integration.daemons import Daemon, Daemons, free_port
from tests.integration.killing import rows
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.trade.reservations import RESERVATION_S

STOCK: Final = 5
RELAYS: Final = 5
LONGEST_S: Final = 90.0
# How long a buyer looks: long enough for two searches.
FIRST_S: Final = 12.0
SOLD_BEFORE_IT_DIES: Final = 2


def start_relays(daemons: Daemons, tracker: str) -> list[Daemon]:
    """Start relays that know each other."""
    words = ("bazaar-node", "--role", "relay", "--ephemeral", "--tracker", tracker, "--max-links=64", "--min-links=3")
    relays = [daemons.start(*words) for _ in range(RELAYS)]
    for relay in relays:
        relay.wait_for("joined the network")
    return relays


def start_crowd(directory: Path, tracker: str, numbers: Sequence[int], timeout_s: float) -> subprocess.Popen[str]:
    """Start some buyers."""
    lines = [
        [
            *("--role", "buyer", "--want", "device", "--once", "--timeout", f"{timeout_s:g}", "--gather", "0.05"),
            *("--state", str(directory / f"buyer-{number}"), "--tracker", tracker, "--listen", "none"),
            *("--events", str(directory / f"buyer-{number}.jsonl")),
        ]
        for number in numbers
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


def statuses_of(crowd: subprocess.Popen[str], numbers: Sequence[int]) -> dict[int, int]:
    """Wait until all of a crowd have ended; returns the exit status of each."""
    try:
        told, _ = crowd.communicate(timeout=LONGEST_S)
    finally:
        if crowd.poll() is None:
            crowd.kill()
            crowd.communicate()
    return {numbers[place]: status for place, status in map(json.loads, told.splitlines())}


def story_of(directory: Path) -> str:
    """What seller and buyers have told of the race, in the order of time; searches and greetings are left out."""
    told = []
    for file in (directory / "seller.jsonl", *sorted(directory.glob("buyer-*.jsonl"))):
        # Who is killed ends in the middle of a line.
        for line in file.read_text().split("\n")[:-1]:
            with suppress(json.JSONDecodeError):
                event = json.loads(line)
                if event.pop("event") not in ("sent", "datagram"):
                    told.append((event.pop("time"), file.stem, line.partition('"event": ')[2][:300]))
    return "\n".join(f"{time:.3f} {who}: {line}" for time, who, line in sorted(told))


def wait_until_sold(events: Path, many: int) -> None:
    """Wait until a seller has told of so many sales."""
    until = time.monotonic() + LONGEST_S
    while not events.exists() or events.read_text().count('"event": "sold"') < many:
        assert time.monotonic() < until, "the seller does not sell"
        time.sleep(0.01)


@pytest.mark.parametrize("buyers", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_race(tmp_path: Path, buyers: int) -> None:
    """Exactly as many are sold as there are, each buyer knows how it has ended, and all books agree."""
    events, state = tmp_path / "seller.jsonl", tmp_path / "seller"
    everybody = range(buyers)
    with Daemons(tmp_path) as daemons:
        _, tracker = daemons.start_tracker()
        relays = start_relays(daemons, tracker)
        sell = (
            *("bazaar-node", "--role", "seller", "--stock", f"device={STOCK}", "--state", str(state)),
            *("--tracker", tracker, "--listen", f"tcp:{free_port()}:interface=127.0.0.1", "--events", str(events)),
        )
        seller = daemons.start(*sell)
        seller.wait_for("joined the network")
        crowd = start_crowd(tmp_path, tracker, everybody, FIRST_S)
        try:
            wait_until_sold(events, SOLD_BEFORE_IT_DIES)
            seller.kill()
            relays[0].send_signal(signal.SIGKILL)
            seller = daemons.start(*sell)
        finally:
            statuses = statuses_of(crowd, everybody)
        # On a busy machine the seller may be back so late that some cannot know yet, or that pieces are left; or these
        # are held back for who has given up. Some more are sold to who comes again, and has more time than that lasts.
        unknown = [number for number in everybody if statuses.get(number) == ExitStatus.UNFINISHED]
        others = [number for number in everybody if statuses.get(number) in (ExitStatus.NOT_FOUND, ExitStatus.SOLD_OUT)]
        again = [*unknown, *others[: max(0, STOCK - list(statuses.values()).count(ExitStatus.DONE) - len(unknown))]]
        if again:
            statuses |= statuses_of(start_crowd(tmp_path, tracker, again, RESERVATION_S + FIRST_S), again)
        seller.send_signal(signal.SIGTERM)
        seller.wait()

    story = story_of(tmp_path)
    counted = Counter(statuses.values())
    assert (len(statuses), counted[ExitStatus.DONE]) == (buyers, STOCK), f"{counted}; again: {again}\n{story}"
    assert set(counted) <= {ExitStatus.DONE, ExitStatus.NOT_FOUND, ExitStatus.SOLD_OUT}, (
        f"{counted}; again: {again}\n{story}"
    )
    ledger = state / "ledger.sqlite"
    sold = {row[0] for row in rows(ledger, "SELECT id FROM deals WHERE outcome = 'sold'")}
    states = {
        row[0]: row[1]
        for number in everybody
        for row in rows(tmp_path / f"buyer-{number}" / "orders.sqlite", "SELECT id, state FROM orders")
    }
    assert rows(ledger, "SELECT supplied, in_stock, sold, withdrawn FROM stock") == [(STOCK, 0, STOCK, 0)], story
    assert {order for order, its_state in states.items() if its_state == "confirmed"} == sold, story
    assert len(sold) == STOCK, story
    assert set(states.values()) <= {"confirmed", "refused", "cancelled"}, f"{states}\n{story}"
