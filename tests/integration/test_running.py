"""The daemons as a user runs them: started, asked for the impossible, interrupted, left without a tracker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import fork_server
from tests.integration.daemons import TWISTD, Daemons, free_port

_TWIST = (sys.executable, "-c", "from twisted.application.twist._twist import Twist; Twist.main()")
_PLAIN_TWISTD = TWISTD[:-1]


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    """Daemons that end with the test."""
    with Daemons(tmp_path) as running:
        yield running


def run(directory: Path, *words: str, program: tuple[str, ...] = TWISTD) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; a node in it keeps nothing."""
    if words[0] == "bazaar-node":
        words = (*words, "--ephemeral")
    return fork_server.run(
        (*program, *words),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "XDG_STATE_HOME": str(directory)},
    )


@pytest.mark.parametrize("program", [TWISTD, _TWIST], ids=["twistd", "twist"])
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--role", "bier"], "bazaar-node: there is no role 'bier'; the roles are "),
        (["--frob"], "bazaar-node: option --frob not recognized"),
        (["--role", "seller", "--stock", "apple=many"], "bazaar-node: --stock 'apple=many': 'many' is not a whole"),
        (["--listen", "tcp:nine"], "bazaar-node: --listen 'tcp:nine': 'nine' is not a port"),
    ],
)
def test_bad_option(tmp_path: Path, program: tuple[str, ...], words: list[str], line: str) -> None:
    """A bad option ends the process with one line and status 2, under twistd and under twist."""
    done = run(tmp_path, "bazaar-node", *words, program=program)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_taken_port(tmp_path: Path) -> None:
    """A port that is taken is named in one line; the process ends with status 1 and without a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(tmp_path, "bazaar-tracker", "--listen", f"tcp:{port}:interface=127.0.0.1")
    assert done.returncode == 1
    assert f"cannot listen: Couldn't listen on 127.0.0.1:{port}" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_help(tmp_path: Path) -> None:
    """Help shows the common options, a role's too when it is named, and lists the roles when asked."""
    common = run(tmp_path, "bazaar-node", "--help").stdout
    assert "--tracker" in common
    assert "--stock" not in common
    assert "--stock" in run(tmp_path, "bazaar-node", "--role", "seller", "--help").stdout
    roles = run(tmp_path, "bazaar-node", "--help-roles").stdout
    names = ["buyer", "index_server", "relay", "ring_peer", "seller", "sharer", "super_peer", "tracker"]
    assert [line.split()[0] for line in roles.splitlines()] == names


@pytest.mark.slow
def test_once(daemons: Daemons, tmp_path: Path) -> None:
    """The exit status of a buyer with --once says how it ended, under twistd and under twist."""
    _, tracker = daemons.start_tracker()
    daemons.start("bazaar-node", "--tracker", tracker, "--role", "seller", "--stock", "apple=5@120").wait_for("joined")
    buyer = ("bazaar-node", "--tracker", tracker, "--role", "buyer", "--once", "--want")
    bought = run(tmp_path, *buyer, "apple=2")
    assert (bought.returncode, "bought 2 apple" in bought.stdout) == (0, True)
    assert run(tmp_path, *buyer, "apple", program=_TWIST).returncode == 0
    assert run(tmp_path, *buyer, "pear", "--timeout", "3").returncode == 3
    too_dear = run(tmp_path, *buyer, "apple", "--max-price", "119", "--timeout", "3")
    assert too_dear.returncode == 6
    assert "1 apple not bought: the lowest price is 120, and --max-price is 119" in too_dear.stdout
    nowhere = run(tmp_path, *buyer[:2], "tcp:127.0.0.1:1", *buyer[3:], "apple", "--timeout", "1")
    assert (nowhere.returncode, "no tracker was reached" in nowhere.stdout) == (7, True)


def test_unknown_outcome(daemons: Daemons, tmp_path: Path) -> None:
    """A seller that dies between its offer and the order leaves the outcome unknown: status 5."""
    _, tracker = daemons.start_tracker()
    seller = daemons.start("bazaar-node", "--tracker", tracker, "--role", "seller", "--stock", "apple")
    seller.wait_for("joined")
    buyer = fork_server.start(
        (
            *TWISTD,
            *("bazaar-node", "--tracker", tracker, "--role", "buyer", "--want", "apple", "--ephemeral"),
            *("--once", "--timeout", "6", "--gather", "2", "--events", "buyer.jsonl"),
        ),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    try:
        events = tmp_path / "buyer.jsonl"
        while not events.exists() or '"offered"' not in events.read_text():
            assert buyer.poll() is None, "the buyer ended before it got an offer"
        seller.pause()
        assert buyer.wait(30) == 5
    finally:
        buyer.kill()
        buyer.wait()


def test_side_by_side(daemons: Daemons, tmp_path: Path) -> None:
    """Plain C{twistd -n} daemons run side by side in one directory, and leave no pid file."""
    first = fork_server.start(
        (*_PLAIN_TWISTD, "bazaar-node", "--tracker", "tcp:127.0.0.1:1", "--ephemeral"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stdout is not None
        while "listening on" not in first.stdout.readline():
            assert first.poll() is None, "the first daemon did not start"
        second = run(
            tmp_path,
            *(
                "bazaar-node",
                "--tracker",
                "tcp:127.0.0.1:1",
                "--role",
                "buyer",
                "--want",
                "x",
                "--once",
                "--timeout",
                "0.1",
            ),
            program=_PLAIN_TWISTD,
        )
        assert second.returncode == 7
        assert list(tmp_path.glob("*.pid")) == []
    finally:
        first.terminate()
        first.communicate(timeout=30)


def test_interrupted(daemons: Daemons) -> None:
    """Ctrl-C ends a node politely: its neighbours hear dc, and it says nothing alarming."""
    tracker, endpoint = daemons.start_tracker()
    relay = daemons.start("bazaar-node", "--tracker", endpoint, "--events", "relay.jsonl")
    relay.wait_for("joined the network")
    relay.interrupt()
    said = relay.rest()
    assert said.endswith(" relay: stopped\n")
    assert "Traceback" not in said
    assert '"type": "dc"' in (relay.directory / "relay.jsonl").read_text()
    tracker.interrupt()
    assert "Traceback" not in tracker.rest()


def test_tracker_that_is_down(daemons: Daemons) -> None:
    """A tracker that is down is waited for, and the log says so once."""
    port = free_port()
    node = daemons.start("bazaar-node", "--tracker", f"tcp:127.0.0.1:{port}", "--events", "node.jsonl")
    node.wait_for(f"no link to the tracker or index server at tcp:127.0.0.1:{port}: Connection refused; trying again")
    daemons.start("bazaar-tracker", "--listen", f"tcp:{port}:interface=127.0.0.1").wait_for("listening on")
    node.wait_for("joined the network as node")
    assert "".join(node.said).count("no link to the tracker or index server") == 1


def test_ipv6(daemons: Daemons, tmp_path: Path) -> None:
    """Everything works over IPv6."""
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    listen = r"tcp6:0:interface=\:\:1"
    tracker = daemons.start("bazaar-tracker", "--listen", listen)
    endpoint = rf"tcp:\:\:1:{tracker.wait_for_port()}"
    seller = ("--role", "seller", "--stock", "apple=5")
    daemons.start("bazaar-node", "--listen", listen, "--tracker", endpoint, *seller).wait_for("joined")
    buyer = ("--role", "buyer", "--want", "apple", "--once")
    done = run(tmp_path, "bazaar-node", "--listen", listen, "--tracker", endpoint, *buyer)
    assert (done.returncode, "bought 1 apple" in done.stdout) == (0, True)


def test_signals_end_the_process(daemons: Daemons) -> None:
    """SIGTERM ends a daemon with status 0 even while a stranger holds a connection open."""
    tracker, endpoint = daemons.start_tracker()
    with socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2]))):
        tracker.send_signal(signal.SIGTERM)
        assert tracker.wait() in (0, -signal.SIGTERM)


def test_interrupted_while_it_is_imported(tmp_path: Path) -> None:
    """Ctrl-C before a command has begun ends it by that signal, without a traceback; one that is ignored stays so."""
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise SystemExit(9)\n")
    for before, status in (("default_int_handler", -signal.SIGINT), ("SIG_IGN", 9)):
        set_before = f"import signal; signal.signal(signal.SIGINT, signal.{before})"
        start = f"{set_before}; from twisted_bazaar.__main__ import run; run()"
        done = subprocess.run(
            [sys.executable, "-c", start],
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
            check=False,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        )
        assert (done.returncode, done.stderr) == (status, "")


def test_interrupted_at_once(daemons: Daemons) -> None:
    """Ctrl-C ends a daemon that has only just been started, and leaves no traceback."""
    for _ in range(5):
        node = daemons.start(
            "bazaar-node", "--role", "index_server", "--ephemeral", "--listen", "tcp:0:interface=127.0.0.1"
        )
        node.wait_for("listening on")
        node.interrupt()
        rest = node.rest()
        assert node.wait() in (0, -signal.SIGINT), rest
        assert "Traceback" not in rest
