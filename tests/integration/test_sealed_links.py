"""Real daemons that seal their connections: what they carry, who reads it, and who is refused."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.integration.daemons import BAZAAR, Daemon, Daemons, free_port, until
from tests.integration.recorded_way import RecordedWay
from twisted_bazaar.cli.control.client import RunningNode
from twisted_bazaar.exit_status import ExitStatus

ITEM = "Gravensteiner"
HERE = ("--listen", "tcp:0:interface=127.0.0.1")


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    """A place for daemons that seal their connections."""
    with Daemons(tmp_path) as daemons:
        yield daemons


def key_of(daemons: Daemons, name: str) -> str:
    """The public key of a node."""
    [told] = (row for row in RunningNode(name, daemons.states / name).ask("status") if "key" in row)
    return str(told["key"])


def port_in(endpoint: str) -> int:
    """The port of an endpoint."""
    return int(endpoint.rpartition(":")[2])


def test_nobody_reads(daemons: Daemons) -> None:
    """A sale goes over ways on which somebody listens, who finds no word of it."""
    _, where = daemons.start_tracker()
    with RecordedWay(port_in(where)) as to_tracker, RecordedWay(free_port()) as to_seller:
        joined = ("--tracker", f"tcp:127.0.0.1:{to_tracker.own_port}")
        listening = ("--listen", f"tcp:{to_seller.port}:interface=127.0.0.1")
        known_at = ("--advertise", f"127.0.0.1:{to_seller.own_port}")
        stock = ("--role", "seller", "--stock", f"{ITEM}=2@40")
        seller = daemons.start("bazaar-node", *stock, *joined, *listening, *known_at)
        seller.wait_for("joined")
        buyer = daemons.start(
            "bazaar-node", "--role", "buyer", "--want", ITEM, "--once", *joined, "--listen", "none", "--min-links", "1"
        )
        assert buyer.wait() == ExitStatus.DONE, buyer.rest()
        keys = [key_of(daemons, "seller")]
        for way in (to_tracker, to_seller):
            assert way.connections, "it was gone over"
            for word in (ITEM.encode(), b"search", b"thisis", b"price", *(bytes.fromhex(key) for key in keys)):
                assert word not in way.carried
        assert to_seller.carried[:1] == b"\x16", "a TLS handshake comes first"
    [row] = (row for row in RunningNode("seller", daemons.states / "seller").ask("status") if "sealed" in row)
    assert row["sealed"] is True


def test_netcat(daemons: Daemons) -> None:
    """Who speaks in the open gets one sentence, and the end."""
    _, where = daemons.start_tracker()
    with socket.create_connection(("127.0.0.1", port_in(where)), timeout=10) as plain:
        plain.sendall(b'16:{"type":"ping"},')
        said = b""
        while some := plain.recv(4096):
            said += some
    length, _, rest = said.partition(b":")
    error = json.loads(rest[: int(length)])
    assert (error["type"], error["code"], rest[int(length) :]) == ("error", "sealed", b",")
    assert "leave out --plain" in error["info"]


@pytest.mark.parametrize("is_open", [False, True])
def test_one_in_the_open(daemons: Daemons, is_open: bool) -> None:
    """Where one end seals and the other speaks in the open, both a daemon and a command say so, and what to do."""
    there, here = (("--plain",), ()) if is_open else ((), ("--plain",))
    server = daemons.start("bazaar-node", "--role", "index_server", "--ephemeral", *HERE, *there)
    where = f"tcp:127.0.0.1:{server.wait_for_port()}"
    closed = "it closed the connection before it had proven a key; if it speaks in the open, as with --plain, "
    sentence = (
        closed + "start both so, or neither"
        if is_open
        else "it seals its connections, and this node speaks in the open; leave out --plain, or start both with it"
    )
    relay = daemons.start("bazaar-node", "--role", "relay", "--ephemeral", "--tracker", where, *HERE, *here)
    relay.wait_for(f"no link to the tracker or index server at {where}: {sentence}; trying again")
    done = daemons.run(BAZAAR, "search", "song", "--index", where, *here)
    assert done.returncode == ExitStatus.UNREACHED
    assert done.stderr == f"bazaar search: no index server at {where}: {sentence}\n"
    # Where both do the same, they understand each other.
    assert daemons.run(BAZAAR, "search", "song", "--index", where, *there).returncode == ExitStatus.NOT_FOUND


@pytest.mark.parametrize("via", ["index", "superpeer", "ring"])
def test_pinned_by_command(daemons: Daemons, via: str) -> None:
    """A command expects the key that is pinned, too, whomever it asks; at once it says if another is there."""
    role, option = {
        "index": ("index_server", "--index"),
        "superpeer": ("super_peer", "--super"),
        "ring": ("ring_peer", "--join"),
    }[via]
    datagrams = () if via == "index" else ("--udp", "127.0.0.1:0")
    server = daemons.start("bazaar-node", "--role", role, "--name", "asked", *HERE, *datagrams)
    where = f"tcp:127.0.0.1:{server.wait_for_port()}"
    asking = ("search", "song", "--via", via, option)
    right = f"{where}#{key_of(daemons, 'asked')}"
    assert daemons.run(BAZAAR, *asking, right).returncode == ExitStatus.NOT_FOUND
    done = daemons.run(BAZAAR, *asking, f"{where}#{'ab' * 32}")
    assert done.returncode == ExitStatus.UNREACHED
    assert "and not abababababababab, which was asked for" in done.stderr
    # Where nobody proves a key nobody is asked.
    done = daemons.run(BAZAAR, *asking, right, "--plain")
    assert done.returncode == ExitStatus.UNREACHED
    assert f"at {right}: no key is proven in the open; leave out --plain, or the # and what follows it" in done.stderr


def test_plain(daemons: Daemons) -> None:
    """With --plain, and only so, connections are in the open, and the log says so; nobody falls back to it."""
    tracker = daemons.start("bazaar-tracker", *HERE, "--ephemeral", "--plain")
    joined = ("--tracker", f"tcp:127.0.0.1:{tracker.wait_for_port()}")
    tracker.wait_for("connections are in the open")
    relay = daemons.start("bazaar-node", "--role", "relay", "--plain", *joined, *HERE)
    relay.wait_for("joined")
    sealed = daemons.start("bazaar-node", "--role", "relay", "--name", "sealed", *joined, *HERE)
    sealed.wait_for("no link to the tracker")


def test_known_key(daemons: Daemons) -> None:
    """A key that was met at an address is expected there from then on; another is refused until it is named."""
    port = free_port()
    listening = ("--listen", f"tcp:{port}:interface=127.0.0.1")
    first = daemons.start("bazaar-tracker", *listening, "--name", "first")
    first.wait_for_port()
    words = ("bazaar-node", "--role", "relay", *HERE)
    where = f"tcp:127.0.0.1:{port}"
    relay = daemons.start(*words, "--tracker", where)
    relay.wait_for("joined")
    relay.interrupt()
    relay.wait()
    first.interrupt()
    first.wait()
    second = daemons.start("bazaar-tracker", *listening, "--name", "second")
    second.wait_for_port()
    relay = daemons.start(*words, "--tracker", where)
    relay.wait_for(r"it has another key than before: [0-9a-f]{16}")
    relay.interrupt()
    relay.wait()
    pinned = f"{where}#{key_of(daemons, 'second')}"
    for way in (pinned, where):
        relay = daemons.start(*words, "--tracker", way)
        relay.wait_for("joined")
        relay.interrupt()
        relay.wait()
    other = daemons.start(*words, "--tracker", f"{where}#{'ab' * 32}")
    other.wait_for("it has the key [0-9a-f]{16}, and not abababababababab, which was asked for")


def test_new_key_at_each_start(daemons: Daemons, tmp_path: Path) -> None:
    """A server that keeps no key says that it will be refused; who refuses it says why, and how to go on."""
    listening = ("--listen", f"tcp:{free_port()}:interface=127.0.0.1", "--role", "index_server", "--ephemeral")
    (folder := tmp_path / "mine").mkdir()
    (folder / "song.ogg").write_bytes(b"la")

    def share(where: str) -> Daemon:
        return daemons.start("share", str(folder), "--index", where, *HERE, program=BAZAAR)

    server = daemons.start("bazaar-node", *listening)
    where = f"tcp:127.0.0.1:{server.wait_for_port()}"
    server.wait_for(r"its key is another at each start \(--ephemeral\)")
    first = share(where)
    first.wait_for("others find it")
    first.end()
    server.end()
    daemons.start("bazaar-node", *listening).wait_for_port()
    second = share(where)
    said = second.wait_for("another key than before: .* as with --ephemeral at each start; .* write (tcp:.*) once")
    second.end()
    share(said[1]).wait_for("others find it")


def test_bad_pin(daemons: Daemons) -> None:
    """What is no key is refused in one line."""
    done = daemons.run(BAZAAR, "search", "song", "--index", "tcp:127.0.0.1:1#abc")
    assert done.returncode == ExitStatus.WRONG_USE
    assert "64 digits" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_files(daemons: Daemons, tmp_path: Path) -> None:
    """A file comes from the node whose key it was found by, over ways on which who listens finds no word of it."""
    server = daemons.start("bazaar-node", "--role", "index_server", "--ephemeral", *HERE)
    folder = tmp_path / "mine"
    folder.mkdir()
    content = bytes(range(256)) * 10_000
    (folder / "song.ogg").write_bytes(content)
    with RecordedWay(server.wait_for_port()) as to_index, RecordedWay(free_port()) as to_sharer:
        index = ("--index", f"tcp:127.0.0.1:{to_index.own_port}")
        listening = ("--listen", f"tcp:{to_sharer.port}:interface=127.0.0.1")
        known_at = ("--advertise", f"127.0.0.1:{to_sharer.own_port}")
        share = daemons.start("share", str(folder), *index, *listening, *known_at, "--ephemeral", program=BAZAAR)
        share.wait_for("song|1 file")
        until(lambda: daemons.run(BAZAAR, "search", "song", *index).returncode == ExitStatus.DONE)
        (tmp_path / "got").mkdir()
        done = daemons.run(BAZAAR, "get", "song.ogg", *index, "-o", str(tmp_path / "got"))
        assert done.returncode == ExitStatus.DONE, done.stderr
        assert (tmp_path / "got" / "song.ogg").read_bytes() == content
        assert len(to_sharer.carried) > len(content), "it went that way"
        digest = sha256(content)
        words = (b"song.ogg", b"findfiles", b"fetch", digest.digest(), digest.hexdigest().encode(), content[:64])
        assert [word for way in (to_index, to_sharer) for word in words if word in way.carried] == []
