"""What strangers write into the log of a real daemon, even of one that is told to tell everything."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration import fork_server
from tests.integration.daemons import TWISTD, Daemons, free_port, until

_SENT_BYTES: Final = 4_000_000
# Three kinds of lines, each with its burst and what a minute brings, and what a daemon says of itself.
_LOGGED_BYTES: Final = 120_000
_REQUESTS: Final = 50
_LINE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d (tracker|seller shop|buyer): \S.*")


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    """Daemons that end with the test."""
    with Daemons(tmp_path) as running:
        yield running


def _frame(**message: Any) -> bytes:
    payload = json.dumps(message).encode()
    return b"%d:%s," % (len(payload), payload)


def test_tracker(tmp_path: Path) -> None:
    """Four megabytes of greetings and requests at a tracker with -v leave some 60 KB in its log, not twelve million."""
    port, log = free_port(), tmp_path / "log"
    words = ("bazaar-tracker", "-v", "--ephemeral", "--plain", "--listen", f"tcp:{port}:interface=127.0.0.1")
    with log.open("wb") as output:
        tracker = fork_server.start(
            (*TWISTD, *words, "--plain"), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            until(lambda: "listening on" in log.read_text())
            sent = 0
            numbers = itertools.count(1)
            deadline = time.monotonic() + 60.0

            def greet() -> int:
                """Greet it, and ask it; how many bytes that took."""
                greeting = _frame(type="thisisme", id=-1, port=0, key=f"{next(numbers):064x}")
                said = greeting + _frame(type="nodereq", have=[]) * _REQUESTS
                with socket.create_connection(("127.0.0.1", port), timeout=10.0) as connection:
                    connection.sendall(said)
                    connection.recv(1000)
                return len(said)

            while sent < _SENT_BYTES and time.monotonic() < deadline:
                sent += greet()
            # It tells with the next line that it may write, so somebody has to come then.
            until(lambda: bool(greet()) and "more like it were left out" in log.read_text())
        finally:
            tracker.terminate()
            tracker.wait()
    text = log.read_text()
    assert sent >= _SENT_BYTES
    assert "joined from" in text
    assert len(text) < _LOGGED_BYTES, len(text)


def test_lines(daemons: Daemons, tmp_path: Path) -> None:
    """A sale is told by three daemons in lines that can be read side by side: time, role, name, words."""
    log = tmp_path / "shop.log"
    tracker, endpoint = daemons.start_tracker()
    on_file = (*TWISTD, "--logfile", str(log))
    goods = ("--role", "seller", "--name", "shop", "--stock", "apple=5@120")
    seller = daemons.start("bazaar-node", *goods, "--tracker", endpoint, program=on_file)
    until(lambda: log.exists() and "joined the network" in log.read_text())
    buyer = daemons.start("bazaar-node", "--role", "buyer", "--want", "apple=2", "--once", "--tracker", endpoint)
    bought = buyer.rest()
    for each in (seller, tracker):
        each.interrupt()
    assert seller.rest() == "", "all of it is in the file"
    said = [tracker.rest(), log.read_text(), bought]
    for text in said:
        lines = text.splitlines()
        assert [line for line in lines if _LINE.fullmatch(line) is None] == []
        assert lines[0].split(": ", 1)[1].startswith("listening on 127.0.0.1 port ")
        assert [line.split(": ", 1)[1] for line in lines][-1] == "stopped"
        # But for an order with both ids, and the four counts of an item.
        assert [line for line in lines if len(line) > 80 and not re.search("order|withdrawn", line)] == []
    of_tracker, of_seller, of_buyer = said
    assert len(re.findall(r"tracker: node \d+ joined from 127", of_tracker)) == 2
    assert len(re.findall(r"tracker: node \d+ at 127\.0\.0\.1:\d+ left\n", of_tracker)) >= 1
    [sold] = re.findall(r"sold 2 apple at 120, order ([0-9a-f]{12}), to node \d+\n", of_seller)
    assert re.search(r"buyer: node \d+ offers 2 apple at 120\n", of_buyer)
    assert re.findall(r"bought 2 apple at 120, order ([0-9a-f]{12}), from node \d+\n", of_buyer) == [sold]


def test_other_form(daemons: Daemons, tmp_path: Path) -> None:
    """Who gives twistd an observer of their own gets everything, with the module of each role in its namespace."""
    (tmp_path / "as_json.py").write_text(
        "import sys\nfrom twisted.logger import jsonFileLogObserver\n\n\n"
        "def observer():\n    return jsonFileLogObserver(sys.stdout, recordSeparator='')\n"
    )
    port = free_port()
    words = ("bazaar-node", "--role", "tracker", "--role", "seller", "--stock", "apple=5", "--tracker", "none")
    node = daemons.start(
        *(*words, "--listen", f"tcp:{port}:interface=127.0.0.1"),
        program=(*TWISTD, "--logger", "as_json.observer"),
        environment={"PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))},
    )
    node.wait_for("listening on")
    node.interrupt()
    events = [json.loads(line) for line in node.rest().splitlines() if line.startswith("{")]
    namespaces = {event["log_namespace"] for event in events}
    assert {"twisted_bazaar.roles.seller", "twisted_bazaar.node.node.Node", "twisted.internet.base"} <= namespaces


def test_unwritable_file(daemons: Daemons) -> None:
    """A log that cannot be written is refused in one line."""
    done = daemons.run((*TWISTD, "--logfile", "no/such.log"), "bazaar-tracker", "--listen", "tcp:0:interface=127.0.0.1")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"bazaar-tracker: --logfile '\S*no/such\.log': No such file or directory\n", done.stderr)
