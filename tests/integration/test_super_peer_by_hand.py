"""A real super peer, and weak peers and super peers that were written from its page of the specification alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.daemons import LONGEST_S, Daemons, free_port, until
from tests.integration.plain_super_peer import (
    BITS,
    HELLO_S,
    Address,
    Message,
    SealedSuperPeer,
    SuperPeer,
    WeakPeer,
    gaps,
    slot_of,
    slots,
)

SONG: Final = {"name": "a song.ogg", "size": 25, "digest": "ab" * 32}
OTHER: Final = {"name": "another song.ogg", "size": 13, "digest": "cd" * 32}
SILENCE_S: Final = 7.5


@pytest.fixture
def is_plain() -> bool:
    """Whether the super peer seals nothing."""
    return False


@pytest.fixture
def place(tmp_path: Path, is_plain: bool) -> Iterator[Address]:
    """A super peer; where it listens, for links and for datagrams."""
    with Daemons(tmp_path, in_the_open=is_plain) as daemons:
        port = free_port()
        listen = ("--listen", f"tcp:{port}:interface=127.0.0.1", "--udp", f"127.0.0.1:{port}")
        super_peer = daemons.start("bazaar-node", "--role", "super_peer", "--ephemeral", *listen)
        super_peer.wait_for(f"listening on .* port {port}")
        yield "127.0.0.1", port


def names(found: list[Message]) -> list[str]:
    """The names of files that were found."""
    return sorted(file["name"] for each in found for file in each["files"])


def test_weak_peers(place: Address) -> None:
    """A client that is nothing but a socket registers, lists, asks and finds; what it takes back is gone."""
    _, port = place
    with WeakPeer(port, 1) as one, WeakPeer(port, 2, 4002) as two:
        assert one.registered["taken"] is True
        assert two.registered["id"] == 2
        one.list_files(SONG, OTHER)
        found, end = two.ask(words="song")
        assert names(found) == [SONG["name"], OTHER["name"]]
        assert end["hits"] == 2
        [who] = two.ask(digest=SONG["digest"])[0]
        assert (who["key"], who["port"], who["files"]) == (one.key, 4000, [SONG])
        assert who.get("host") in (None, "127.0.0.1")
        assert names(two.ask(words="anoth")[0]) == [OTHER["name"]]
        assert names(two.ask(name=SONG["name"])[0]) == [SONG["name"]]
        assert two.ask(words="nothing")[0] == []
        # Nobody is told of itself.
        assert one.ask(words="song")[0] == []
        one.tell("unregister")
        until(lambda: two.ask(words="song")[0] == [])


def test_goods(place: Address) -> None:
    """Goods are found by their item, and a seller by its key."""
    _, port = place
    with WeakPeer(port, 1) as seller, WeakPeer(port, 2) as buyer:
        seller.tell("update", id=1, base=0, mark=5, offer=["apple"])
        assert seller.hear("listed")["mark"] == 5
        [who] = buyer.ask(item="apple")[0]
        assert (who["key"], who.get("files", [])) == (seller.key, [])
        assert [each["key"] for each in buyer.ask(seller=seller.key)[0]] == [seller.key]
        assert buyer.ask(item="pear")[0] == []
        assert buyer.ask(item="apple", bazaar="elsewhere")[0] == []


def test_leaves(place: Address) -> None:
    """Whose connection ends is found no more at once."""
    _, port = place
    with WeakPeer(port, 2) as two:
        with WeakPeer(port, 1) as one:
            one.list_files(SONG)
            assert len(two.ask(words="song")[0]) == 1
        until(lambda: two.ask(words="song")[0] == [])


def linked(other: SuperPeer, place: Address) -> Message:
    """Make a plain super peer a neighbour; what it is told in greeting."""
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        other.hello(place)
        if (heard := other.hear("superhello", within_s=1.0)) is not None:
            return heard
    raise AssertionError("no superhello came")


def table_of(other: SuperPeer, place: Address, tokens: set[str]) -> set[int]:
    """Greet until the tables told add up to some with these tokens; the slots that are set."""
    known: set[int] = set()
    version = 0
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        other.hello(place, have=version)
        while (table := other.hear("table", within_s=1.0)) is not None:
            if table["base"] not in (0, version) or table.get("parts", 1) != 1:
                continue
            known = (set() if table["base"] == 0 else known) - slots(table.get("off", "")) | slots(table.get("on", ""))
            version, bits = table["version"], table.get("bits", 16)
            if tokens and {slot_of(token, bits) for token in tokens} <= known:
                return known
    raise AssertionError(f"only {known}")


def test_super_peer(place: Address) -> None:
    """A plain super peer becomes a neighbour: is told words, asks, is asked, and its hits arrive once."""
    with SealedSuperPeer(100) as other, WeakPeer(place[1], 1) as one:
        one.list_files(SONG)
        greeting = linked(other, place)
        assert (greeting["leaves"], greeting["port"]) == (1, place[1])
        table_of(other, place, {"w:song", "b:son", f"d:{SONG['digest']}"})

        # It asks: the answer names the weak peer without a host, for that is on this machine.
        query_id = os.urandom(16).hex()
        asked: dict[str, Any] = {"id": query_id, "reach": 1, "ttl": 1, "words": "song"}
        other.tell(place, "query", **asked)
        hit = other.hear("queryhit")
        assert hit is not None
        assert (hit["id"], names(hit["found"])) == (query_id, [SONG["name"]])
        assert "host" not in hit["found"][0]
        # The same query again is answered by nothing.
        other.tell(place, "query", **asked)
        assert other.hear("queryhit", within_s=0.5) is None

        # It is asked for what its table has.
        tokens = {"w:film", "b:fil", "b:film"}
        other.hello(place, version=7)
        other.tell(place, "table", base=0, version=7, bits=BITS, on=gaps(map(slot_of, tokens)))
        other.hello(place, version=7)
        one.tell("query", id=query_id[::-1], words="film")
        query = other.hear("query")
        assert query is not None
        assert (query["id"], query["words"], query["ttl"]) == (query_id[::-1], "film", 1)
        found = [
            {"id": 70 + part, "key": f"{70 + part:064x}", "port": 4000, "files": [{**SONG, "name": f"film {part}"}]}
            for part in range(3)
        ]
        # Out of order, one of them twice.
        for part in (2, 0, 2, 1):
            other.tell(place, "queryhit", id=query_id[::-1], answer=9, part=part, parts=3, found=[found[part]])
        heard: list[Message] = []
        while (message := one.hear("queryhit", "queryend"))["type"] == "queryhit":
            heard += message["found"]
        assert sorted(each["id"] for each in heard) == [70, 71, 72]
        # All of this is on one machine.
        assert {each.get("host") for each in heard} <= {None, "127.0.0.1"}
        assert message["hits"] == 3

        # What its table has not is not asked of it.
        one.ask(words="elsewhere")
        assert [message for _, message in other.heard if message.get("words") == "elsewhere"] == []
        other.hello(place, version=7, leaving=True)


@pytest.mark.parametrize("is_plain", [True])
def test_without_a_cookie(place: Address) -> None:
    """Who has not shown that it receives at its address is told no more bytes than it sent, and not heard."""
    with SuperPeer(100) as other, WeakPeer(place[1], 1, is_plain=True) as one:
        one.list_files(SONG)
        query = {"type": "query", "id": "0" * 32, "reach": 1, "ttl": 1, "words": "song"}
        for cookie in ({}, {"cookie": "0" * 16}):
            data = json.dumps({**query, **cookie}).encode()
            other.write(data, place)
            other.socket.settimeout(2.0)
            answer, _ = other.socket.recvfrom(1 << 16)
            assert json.loads(answer)["type"] == "stale"
            assert len(answer) <= len(data)
        other.tell(place, "query", **{key: value for key, value in query.items() if key != "type"})
        # It was no neighbour, but its query has not passed before.
        assert other.hear("stale", within_s=0.5) is None


@pytest.mark.slow
def test_given_up(place: Address) -> None:
    """A neighbour that says nothing more is asked no more."""
    with SealedSuperPeer(100) as other:
        linked(other, place)
        other.hello(place, version=7)
        other.tell(place, "table", base=0, version=7, bits=BITS, full=True)
        with WeakPeer(place[1], 1) as one:
            one.ask(words="film")
        assert other.hear("query", within_s=1.0) is not None

        def is_asked() -> bool:
            with WeakPeer(place[1], 1) as one:
                one.ask(words="film")
            return other.hear("query", within_s=1.0) is not None

        began = time.monotonic()
        until(lambda: not is_asked())
        assert not is_asked()
        # Not before it has been silent for long.
        assert time.monotonic() - began > SILENCE_S - HELLO_S
