"""Index servers as daemons: asked by clients that are nothing but sockets, killed, and several with one directory."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import pytest

from tests.integration.daemons import LONGEST_S, Daemon, Daemons
from tests.integration.tls_by_hand import Identity, SealedSocket
from tests.integration.unread import wait_until_dialled
from tests.postgres import Cluster, find_programs

DIGEST: Final = "ab" * 32
# The shortest, so that nobody has to wait long for it.
LEASE_S: Final = 3.0


class Client:
    """A peer that is a socket, and speaks JSON in netstrings.

    @param key: the seed of its key.
    """

    def __init__(self, port: int, key: int, listens_at: int = 4000) -> None:
        identity = Identity(key.to_bytes(32, "big"))
        self.key = identity.key
        self._socket = SealedSocket(socket.create_connection(("127.0.0.1", port), timeout=LONGEST_S), identity)
        self._bytes = self._socket.makefile("rb")
        self._ids = iter(range(1, 1_000_000))
        self.tell("thisisme", id=-1, key=self.key, port=listens_at)
        self.id: int = self.hear()["id"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def tell(self, type: str, **keys: Any) -> None:
        """Send one message."""
        payload = json.dumps({"type": type, **keys}).encode()
        self._socket.sendall(b"%d:%b," % (len(payload), payload))

    def hear(self) -> dict[str, Any]:
        """The next message."""
        digits = b""
        while (digit := self._bytes.read(1)) != b":":
            assert digit, "the connection has been closed"
            digits += digit
        payload = self._bytes.read(int(digits))
        assert self._bytes.read(1) == b","
        message: dict[str, Any] = json.loads(payload)
        return message

    def ask(self, type: str, **keys: Any) -> dict[str, Any]:
        """Send a message, and wait for its answer."""
        number = next(self._ids)
        self.tell(type, id=number, **keys)
        while (answer := self.hear()).get("id") != number:
            if answer["type"] == "ping":
                self.tell("pong")
        return answer

    def add(self, name: str, digest: str = DIGEST) -> None:
        """List a file."""
        assert self.ask("addfile", name=name, size=1, digest=digest)["type"] == "listed"

    def found(self, **query: Any) -> list[str]:
        """The names of what is found."""
        return [file["name"] for file in self.ask("findfiles", **query).get("files", ())]

    def sources(self) -> list[int]:
        """The ids of who has the content of these tests."""
        return [source["id"] for source in self.ask("findsources", digest=DIGEST).get("sources", ())]

    def leave(self) -> None:
        """Close the connection, and wait until the server has seen that."""
        self._socket.shutdown(socket.SHUT_WR)
        while self._bytes.read(1):
            pass
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._bytes.close()
        self._socket.close()


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    """Processes that end with the test."""
    with Daemons(tmp_path) as daemons:
        yield daemons


@pytest.fixture
def database() -> Iterator[str]:
    """A database with nothing in it."""
    pytest.importorskip("psycopg")
    programs = find_programs()
    if isinstance(programs, str):
        pytest.skip(programs)
    with Cluster(programs) as cluster:
        yield cluster.url


def start(daemons: Daemons, *words: str, port: int = 0, who: tuple[str, ...] = ("--ephemeral",)) -> tuple[Daemon, int]:
    """Start an index server; where it listens."""
    listen = f"tcp:{port}:interface=127.0.0.1"
    common = ("--role", "index_server", "--listen", listen, "--lease", f"{LEASE_S:g}", *who)
    server = daemons.start("bazaar-node", *common, *words)
    return server, server.wait_for_port()


def seconds_until(client: Client, found: list[str], most_s: float) -> float:
    """Ask until something is found, or nothing any more; how long that took."""
    began = time.monotonic()
    while client.found(words="song") != found:
        assert time.monotonic() - began < most_s, f"{client.found(words='song')} is found, and not {found}"
        time.sleep(0.05)
    return time.monotonic() - began


def test_by_hand(daemons: Daemons) -> None:
    """A client that is nothing but a socket lists, finds and removes a file, and is told where another has it."""
    _, port = start(daemons)
    with Client(port, 1) as one, Client(port, 2, 4002) as two:
        assert one.id != two.id
        one.add("a song.ogg")
        one.add("another song.ogg")
        assert two.found() == ["a song.ogg", "another song.ogg"]
        assert two.found(words="anoth") == ["another song.ogg"]
        two.add("the same song.ogg")
        [source] = one.ask("findsources", digest=DIGEST)["sources"]
        assert source == {"id": two.id, "key": two.key, "host": "127.0.0.1", "port": 4002}
        assert one.ask("removefile", name="a song.ogg")["type"] == "listed"
        assert two.found(words="a") == ["another song.ogg"]


def test_dies_without_a_word(daemons: Daemons) -> None:
    """A peer that says nothing more is found no more when its lease is over, though its connection stays open."""
    _, port = start(daemons)
    with Client(port, 1) as silent, Client(port, 2) as asker:
        silent.add("a song")
        assert seconds_until(asker, [], LEASE_S + 3) > LEASE_S - 1
        # It was only asleep, and names the list that it means.
        mark = silent.ask("renew")["mark"]
        assert asker.found() == []
        silent.ask("renew", mark=mark)
        assert asker.found() == ["a song"]


def test_leaves(daemons: Daemons) -> None:
    """A peer whose connection is closed is found no more at once."""
    _, port = start(daemons)
    with Client(port, 2) as asker:
        with Client(port, 1) as leaving:
            leaving.add("a song")
        seconds_until(asker, [], 1.0)


def test_two_links(daemons: Daemons) -> None:
    """A key that links twice is one peer: the end of the old link is not the end of the peer."""
    _, port = start(daemons)
    for port_of_new in (4000, 4001):
        old, asker = Client(port, 1), Client(port, 2)
        old.add("a song")
        new = Client(port, 1, port_of_new)
        assert new.id == old.id
        new.add("a new song")
        old.leave()
        assert "a new song" in asker.found()
        assert asker.ask("findsources", digest=DIGEST)["sources"][0]["port"] == port_of_new
        new.close()
        asker.close()


@pytest.mark.slow
def test_killed(daemons: Daemons, tmp_path: Path) -> None:
    """A server that was killed and is back has the files of its peers again within 30 s."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "a song.ogg").write_bytes(b"la")
    # With the same key as before: else nobody would take it for the same server.
    server, port = start(daemons, who=("--name", "index"))
    daemons.start(
        "bazaar-node",
        *("--role", "sharer", "--via", "index", "--index", f"tcp:127.0.0.1:{port}", "--folder", str(folder)),
        *("--name", "sharer"),
    ).wait_for("listening")
    with Client(port, 2) as asker:
        seconds_until(asker, ["a song.ogg"], LONGEST_S)
    server.kill()
    wait_until_dialled(port)
    start(daemons, port=port, who=("--name", "index"))
    with Client(port, 2) as asker:
        assert seconds_until(asker, ["a song.ogg"], 30.0) < 30.0


@pytest.mark.slow
def test_two_servers(daemons: Daemons, database: str) -> None:
    """Servers with one directory find each other's peers; what one had that was killed is found for a lease more."""
    first, first_port = start(daemons, "--directory", database)
    _, second_port = start(daemons, "--directory", database)
    one, asker = Client(first_port, 1), Client(second_port, 2)
    one.add("a song")
    assert (asker.found(words="so"), asker.sources()) == (["a song"], [one.id])
    first.kill()
    one.close()
    assert asker.found() == ["a song"]
    seconds_until(asker, [], LEASE_S + 3)
    start(daemons, "--directory", database, port=first_port)
    with Client(first_port, 1) as back:
        mark = back.ask("renew")["mark"]
        assert back.ask("renew", mark=mark)["mark"] == mark
        assert asker.found() == ["a song"]
    seconds_until(asker, [], 1.0)
    asker.close()


def test_moves_to_another_server(daemons: Daemons, database: str) -> None:
    """A peer that goes to another server is not forgotten because the first sees it leave."""
    ports = [start(daemons, "--directory", database)[1] for _ in range(2)]
    old = Client(ports[0], 1)
    old.add("a song")
    with Client(ports[1], 1) as new, Client(ports[0], 2) as asker:
        mark = new.ask("renew")["mark"]
        new.ask("renew", mark=mark)
        old.leave()
        assert asker.found() == ["a song"]


def test_no_database(daemons: Daemons) -> None:
    """A directory that cannot be used is said in one line, without what could be a password."""
    pytest.importorskip("psycopg")
    url = "postgresql://me:s3cret@127.0.0.1:1/town"
    words = ("--role", "index_server", "--directory", url, "--ephemeral", "--listen", "tcp:0:interface=127.0.0.1")
    server = daemons.start("bazaar-node", *words)
    assert server.wait() != 0
    said = server.rest()
    assert "127.0.0.1/town" in said
    assert "s3cret" not in said
    assert "Traceback" not in said
