"""A ring of real daemons with a member that was written from the page of the specification alone."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.daemons import Daemons, until
from tests.integration.plain_ring_node import Entry, RingNode, place_of, way_up
from tests.integration.test_ring import Circle
from twisted_bazaar.discovery.ring.rules.settings import Settings

NAMES = ("one", "two", "three")


@pytest.fixture(params=["sealed", "in the open"])
def is_plain(request: pytest.FixtureRequest) -> bool:
    """Whether links and datagrams are sealed."""
    return bool(request.param == "in the open")


@pytest.fixture
def circle(tmp_path: Path, is_plain: bool) -> Iterator[Circle]:
    """A ring of three, in which each value is on one node only."""
    with Daemons(tmp_path, in_the_open=is_plain) as daemons:
        circle = Circle(daemons, tmp_path)
        circle.begin(*NAMES, words=("--replicas", "0"))
        yield circle


@pytest.fixture
def plain(circle: Circle, is_plain: bool) -> Iterator[RingNode]:
    """A member that was written by hand, and has joined."""
    with RingNode(is_plain=is_plain) as plain:
        plain.join(circle.ports["one"])
        until(lambda: is_round(circle, plain))
        yield plain


def is_round(circle: Circle, plain: RingNode) -> bool:
    """Whether all know each other, the one written by hand included."""
    standings = {name: circle.status(name) for name in circle.running}
    places = sorted([plain.place, *(standing["ring_id"] for standing in standings.values())])
    expected = {place: places[at + 1 :] + places[:at] for at, place in enumerate(places)}
    return plain.predecessor is not None and all(
        (standing["successors"], standing["predecessor"])
        == (expected[standing["ring_id"]], expected[standing["ring_id"]][-1])
        for standing in standings.values()
    )


def name_at(circle: Circle, plain: RingNode, place: str) -> str:
    """A name that belongs to the node at a place."""
    places = [circle.status(name)["ring_id"] for name in circle.running] + [plain.place]
    names = (f"name {number}" for number in range(10_000))
    return next(name for name in names if min(places, key=lambda each: way_up(place_of(name.encode()), each)) == place)


def values(circle: Circle, at: str, name: str, status: int = 0) -> list[str]:
    """What a daemon finds under a name."""
    return [row["value"] for row in circle.command(at, "get", name, status=status) or []]


@pytest.mark.slow
def test_keeps(circle: Circle, plain: RingNode) -> None:
    """It is found, keeps what belongs to it, gives it to whoever asks, and lets it be replaced and deleted."""
    name = name_at(circle, plain, plain.place)
    for value in ("first", "second"):
        circle.command("one", "put", name, value)
        [entry] = plain.entries.values()
        assert base64.b64decode(entry.told["value"]) == value.encode()
        assert [values(circle, at, name) for at in NAMES] == [[value]] * 3
    circle.command("one", "delete", name)
    assert [entry.is_deleted for entry in plain.entries.values()] == [True]
    assert values(circle, "two", name, status=3) == []


def test_stores(circle: Circle, plain: RingNode) -> None:
    """It finds who is responsible, and has its own kept there; all get that, and it gets what others have put."""
    name = name_at(circle, plain, circle.status("two")["ring_id"])
    [holder, *_] = plain.find(place_of(name.encode()))
    entry = Entry.sign(plain.key, name, value=base64.b64encode(b"by hand").decode())
    assert plain.send(entry, holder) == "kept"
    assert plain.send(entry, holder) == "known"
    [row] = circle.command("three", "get", name)
    assert (row["value"], row["owner"]) == ("by hand", plain.public)
    circle.command("one", "put", name, "by a daemon" * 60)
    found = {each.told["owner"]: base64.b64decode(each.told["value"]) for each in plain.request(name, holder)}
    assert sorted(found.values()) == [b"by a daemon" * 60, b"by hand"]
    forged = Entry.sign(plain.key, name, value="")
    forged.text = forged.text.replace(plain.public, circle.ask("one", "status")[0]["key"])
    assert plain.send(forged, holder) == "refused"


def test_comes_and_goes(circle: Circle, is_plain: bool) -> None:
    """What belongs to its place comes to it, and is handed over when it leaves, which it is let do."""
    # More than one answer to a comparison can name, as a rule, belong to each of four.
    names = [f"name {number}" for number in range(120)]
    for name in names:
        circle.ask("one", "ring.put", name=name, value=f"about {name}")
    with RingNode(is_plain=is_plain) as plain:
        plain.join(circle.ports["two"])
        until(lambda: is_round(circle, plain))
        places = [plain.place, *(circle.status(name)["ring_id"] for name in NAMES)]
        own = {
            name for name in names if min(places, key=lambda each: way_up(place_of(name.encode()), each)) == plain.place
        }
        plain.pull()
        assert {entry.told["name"] for entry in plain.entries.values()} >= own
        for name in own:
            assert circle.ask("three", "ring.get", name=name)[0][0]["value"] == f"about {name}"
        plain.leave()
    circle.until_round()
    for name in names:
        assert circle.ask("three", "ring.get", name=name)[0][0]["value"] == f"about {name}"


def test_dies(circle: Circle, is_plain: bool) -> None:
    """When it is gone without a word it is found out, and the ring is round without it."""
    with RingNode(is_plain=is_plain) as plain:
        plain.join(circle.ports["one"])
        until(lambda: is_round(circle, plain))
    circle.until_round()


def test_second_interrupt(tmp_path: Path) -> None:
    """A daemon that is handing over to one that takes its time goes at once when it is interrupted again."""
    with Daemons(tmp_path) as daemons, RingNode(takes_files=True) as plain:
        circle = Circle(daemons, tmp_path)
        circle.begin("one", words=("--replicas", "0"))
        circle.store("one", b"in no hurry", name_at(circle, plain, circle.status("one")["ring_id"]))
        plain.join(circle.ports["one"])
        until(lambda: is_round(circle, plain))
        plain.asked.clear()
        leaving = circle.running.pop("one")
        leaving.interrupt()
        # From now on it heeds the second time, where Twisted would only complain; and it would wait longer than that.
        leaving.wait_for("leaving$")
        until(lambda: "ringstore" in plain.asked)
        began = time.monotonic()
        leaving.interrupt()
        said = leaving.rest()
        assert time.monotonic() - began < Settings().leaving_s / 2
        assert said.endswith(": stopped\n")
        assert "Traceback" not in said
