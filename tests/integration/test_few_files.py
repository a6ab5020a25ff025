"""Real daemons that may open few files, while one host opens as many connections as it can."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.daemons import TWISTD, Daemons, until
from tests.integration.watched_node import HandPeer

FILES = 64
ATTACKER, HONEST = "127.0.0.2", "127.0.0.3"
WITH_FEW_FILES = ("sh", "-c", f'ulimit -n {FILES} && exec "$@"', "sh", *TWISTD)
ROLES = {
    "tracker": ("bazaar-tracker", "--events", "{folder}/events"),
    "index server": ("bazaar-node", "--role", "index_server", "--ephemeral"),
    "relay": ("bazaar-node", "--ephemeral", "--tracker", "{tracker}"),
    "sharer": (
        *("bazaar-node", "--role", "sharer", "--ephemeral", "--folder", "{folder}"),
        *("--via", "index", "--index", "{index}"),
    ),
}
TRACKER_OF = {"relay": ("bazaar-tracker",), "sharer": ("bazaar-node", "--role", "index_server", "--ephemeral")}
LISTEN = ("--listen", "tcp:0:interface=127.0.0.1")


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    """Those of one test."""
    with Daemons(tmp_path) as daemons:
        yield daemons


def connect(port: int, host: str) -> socket.socket:
    """A connection from a host of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(host, 0))


@pytest.mark.parametrize("role", ROLES)
def test_shuts_nobody_out(daemons: Daemons, tmp_path: Path, role: str) -> None:
    """200 silent connections of one host leave files in reserve and a place for others, and nothing in the log."""
    endpoint = ""
    if role in TRACKER_OF:
        endpoint = f"tcp:127.0.0.1:{daemons.start(*TRACKER_OF[role], *LISTEN).wait_for_port()}"
    words = [word.format(tracker=endpoint, index=endpoint, folder=tmp_path) for word in ROLES[role]]
    node = daemons.start(*words, *LISTEN, program=WITH_FEW_FILES)
    port = node.wait_for_port()
    room = int(node.wait_for(rf"room for (\d+) connections \({FILES} open files\)")[1])
    assert room in range(20, FILES - 10)
    if endpoint:
        node.wait_for("joined the network")
    with ExitStack() as open_now:
        for _ in range(200):
            open_now.enter_context(connect(port, ATTACKER))
        honest = HandPeer(open_now.enter_context(connect(port, HONEST)))
        honest.tell("thisisme", id=77, port=0, key=f"{77:064x}")
        assert honest.read(time.monotonic() + 5) is not None, "it is answered, whatever the answer is"
        # As many as it takes, and a few that are kept for it.
        until(lambda: len(os.listdir(f"/proc/{node.pid}/fd")) <= FILES - 10)
    node.interrupt()
    said = node.rest()
    assert "Traceback" not in said
    assert bool(endpoint) or "room for fewer connections than" not in said
    assert ("room for few connections, at a node that everybody links to" in said) is (not endpoint)
    after = said.partition("joined the network" if endpoint else "room for")[2]
    assert len(after) < 1024, after
