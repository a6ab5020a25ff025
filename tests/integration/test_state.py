"""What outlives a process: stock, orders and keys of daemons that are killed and started again, as operators see it."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import fork_server
from tests.integration.daemons import Daemons, until
from tests.integration.shop import PYTHON, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A tracker without nodes."""
    with Daemons(tmp_path) as daemons:
        yield Shop(daemons, tmp_path)


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a daemon says that did not start, which is one line, with status 2."""
    assert done.returncode == 2
    [line] = (done.stdout + done.stderr).splitlines()
    return line


@pytest.mark.slow
def test_stock_of_a_running_seller(shop: Shop) -> None:
    """What is added is sold, and what is withdrawn is not; all of it is there after a restart, and nothing twice."""
    words = ("seller", "--stock", "apple=5@40")
    seller = shop.node(*words)
    seller.wait_for("joined")
    assert shop.run_node("buyer", "--want", "pear", "--once", "--timeout", "2").returncode == 3
    assert shop.bazaar("stock", "add", "pear=3@120", "apple=1").returncode == 0
    assert shop.bazaar("stock", "withdraw", "apple=4").returncode == 0
    assert shop.run_node("buyer", "--want", "pear=2", "--once", "--name", "other").returncode == 0
    assert shop.run_node("buyer", "--want", "apple=3", "--once", "--timeout", "3", "--name", "third").returncode == 4
    rows = shop.told("stock", "list")

    seller.kill()
    seller = shop.node(*words)
    seller.wait_for("apple: 0 in stock and 2 sold, as the book says")

    assert shop.told("stock", "list") == rows
    counts = {row["item"]: (row["supplied"], row["in_stock"], row["sold"], row["withdrawn"]) for row in rows}
    assert counts == {"apple": (6, 0, 2, 4), "pear": (3, 1, 2, 0)}


def test_both_sides_list_the_same(shop: Shop, tmp_path: Path) -> None:
    """Buyer and seller list one sale, and the receipt of either holds where nothing is known of them."""
    shop.node("seller", "--stock", "apple=5@40").wait_for("joined")
    shop.node("buyer", "--want", "apple=2").wait_for("bought 2 apple")

    [sold], [bought] = (shop.told("orders", "--name", name) for name in ("seller", "buyer"))
    same = ("id", "item", "quantity", "price")
    assert {key: sold[key] for key in same} == {key: bought[key] for key in same}
    assert (sold["state"], bought["state"], sold["quantity"], sold["price"]) == ("sold", "confirmed", 2, 40)
    keys = {name: shop.told("status", "--name", name)[0]["key"] for name in ("seller", "buyer")}
    assert (sold["other"], bought["other"]) == (keys["buyer"], keys["seller"])
    several = shop.bazaar("orders")
    assert (several.returncode, several.stderr.count("\n")) == (2, 1)

    elsewhere = {**os.environ, "XDG_STATE_HOME": os.devnull, "HOME": os.devnull}
    for name in ("seller", "buyer"):
        assert shop.bazaar("orders", sold["id"][:8], "--name", name, "--receipt", f"{name}.json").returncode == 0
        done = fork_server.run(
            (*PYTHON, "verify", f"{name}.json"),
            cwd=tmp_path,
            env=elsewhere,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert all(key in done.stdout for key in keys.values())
    assert (tmp_path / "seller.json").read_bytes() == (tmp_path / "buyer.json").read_bytes()

    text = (tmp_path / "seller.json").read_text()
    (tmp_path / "seller.json").write_text(text.replace('"sig": "', '"sig": "AA', 1).replace("==", "=", 1))
    assert shop.bazaar("verify", "seller.json").returncode == 1


def test_output_that_cannot_be_written(shop: Shop) -> None:
    """The commands that ask a node say so in a line, or end quietly where nobody reads, as the others do."""
    shop.node("seller", "--stock", "apple=5@40").wait_for("joined")
    for words in (("stock", "list"), ("stock", "list", "--json"), ("orders",), ("status",), ("nodes",)):
        with open("/dev/full", "w") as full:
            done = shop.bazaar(*words, stdout=full)
        assert done.returncode == 2
        assert done.stderr.endswith("bazaar: the output cannot be written: No space left on device\n")
        reading, writing = os.pipe()
        os.close(reading)
        done = shop.bazaar(*words, stdout=writing)
        os.close(writing)
        assert (done.returncode, done.stderr) == (141, "node seller:\n" if words[0] in ("stock", "orders") else "")


def test_one_node_in_a_directory(shop: Shop) -> None:
    """A second node in a state directory is refused in one line, and harms the first one not at all."""
    words = ("seller", "--stock", "apple=5")
    shop.node(*words).wait_for("joined")
    line = only_line(shop.run_node(*words))
    assert line == (
        f"bazaar-node: another node uses {shop.daemons.states / 'seller'}; "
        "give this one a --name or --state of its own, or --ephemeral"
    )
    assert shop.told("stock", "list")[0]["in_stock"] == 5
    shop.node(*words, "--name", "other").wait_for("joined")


def test_buyer_killed_after_its_order(shop: Shop) -> None:
    """A buyer that is killed with an order under way, and started with the same command, ends with one sale."""
    seller = shop.node("seller", "--stock", "apple=5")
    seller.wait_for("joined")
    words = ("buyer", "--want", "apple=2", "--once", "--gather", "1.5", "--events", "buyer.jsonl")
    buyer = shop.node(*words)
    buyer.wait_for("offers 2 apple")
    seller.pause()
    events = shop.directory / "buyer.jsonl"
    until(lambda: '"type": "buy"' in events.read_text())
    buyer.kill()
    # Whether the order got as far as the seller before, or only to the buyer's disk, is left open here.
    seller.send_signal(signal.SIGCONT)

    again = shop.node(*words)
    again.wait_for("asking again for an answer to order")
    again.wait_for("bought 2 apple")

    assert again.wait() == 0
    [row] = shop.told("orders", "--name", "seller")
    assert row["state"] == "sold"
    assert shop.told("stock", "list", "--name", "seller")[0]["in_stock"] == 3


def test_cancelled(shop: Shop) -> None:
    """An order that its seller has not seen can be taken back: it is cancelled on both sides, and nothing is sold."""
    words = ("seller", "--stock", "apple=5")
    seller = shop.node(*words)
    seller.wait_for("joined")
    buyer = shop.node("buyer", "--want", "apple=2", "--gather", "1.5", "--events", "buyer.jsonl")
    buyer.wait_for("offers 2 apple")
    seller.pause()
    until(lambda: '"type": "buy"' in (shop.directory / "buyer.jsonl").read_text())
    seller.kill()
    [row] = shop.told("orders", "--name", "buyer")
    taken_back = shop.bazaar("cancel", row["id"][:10], "--name", "buyer")
    assert (taken_back.returncode, taken_back.stderr) == (5, "")

    shop.node(*words).wait_for("joined")

    until(lambda: shop.told("orders", "--name", "buyer")[0]["state"] == "cancelled")
    [row] = shop.told("orders", "--name", "seller")
    assert row["state"] == "cancelled"
    assert shop.told("stock", "list")[0]["in_stock"] == 5
    assert shop.bazaar("cancel", row["id"], "--name", "buyer").returncode == 0


def test_keeps_nothing(shop: Shop) -> None:
    """With --ephemeral nothing is written, and nobody can be asked."""
    shop.node("seller", "--stock", "apple=5", "--ephemeral").wait_for("joined")
    assert shop.run_node("buyer", "--want", "apple", "--once", "--ephemeral").returncode == 0
    assert not shop.daemons.states.exists()
    assert [path for path in shop.directory.rglob("*") if path.name != "dropin.cache"] == []
    assert shop.bazaar("stock", "list").returncode == 2


def test_key(shop: Shop) -> None:
    """The key is its owner's alone; one that others may read, or that is none, is refused in one line."""
    os.umask(os.umask(0) & 0o022)
    relay = shop.node("relay")
    relay.wait_for("joined")
    directory = shop.daemons.states / "relay"
    key = directory / "key"
    modes = {path.name: path.stat().st_mode & 0o777 for path in (directory, key, directory / "control.sock")}
    assert modes == {"relay": 0o700, "key": 0o600, "control.sock": 0o600}
    public = shop.told("status", "--name", "relay")[0]["key"]
    relay.kill()
    relay = shop.node("relay")
    relay.wait_for("joined")
    assert shop.told("status", "--name", "relay")[0]["key"] == public
    relay.kill()

    key.chmod(0o640)
    assert "others may read this key; if none has, chmod 600" in only_line(shop.run_node("relay"))
    key.chmod(0o600)
    key.write_text("nonsense\n")
    assert "is not a key; put back a copy of it" in only_line(shop.run_node("relay"))
    assert key.read_text() == "nonsense\n"


def test_book_of_another_version(shop: Shop) -> None:
    """A book that a newer version wrote, and what is none, are left alone: one line, and status 1."""
    seller = shop.node("seller", "--stock", "apple=5")
    seller.wait_for("joined")
    assert shop.told("stock", "list")[0]["in_stock"] == 5
    seller.kill()
    book = shop.daemons.states / "seller" / "ledger.sqlite"
    with sqlite3.connect(book) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = book.read_bytes()
    assert "a newer version of twisted_bazaar wrote it (form 99" in only_line(shop.run_node("seller"))
    assert book.read_bytes() == before
    for beside in book.parent.glob("ledger.sqlite-*"):
        beside.unlink()
    book.write_bytes(b"nonsense" * 1000)
    assert "it is not a database" in only_line(shop.run_node("seller"))


def test_another_book(shop: Shop) -> None:
    """A seller that would begin anew with all its stock, because its book is gone or another, says so in a line."""
    seller = shop.node("seller", "--stock", "apple=5")
    seller.wait_for("joined")
    assert shop.told("stock", "list")[0]["in_stock"] == 5
    seller.end()
    state = shop.daemons.states / "seller"
    other = only_line(shop.run_node("seller", "--ledger", "postgresql://bazaar@127.0.0.1:1/town"))
    assert f"this seller's book is ledger.sqlite, not 127.0.0.1:1/town; remove {state}" in other
    (state / "ledger.sqlite").unlink()
    assert f"{state / 'ledger.sqlite'}: the book of this seller is missing; put it back" in only_line(
        shop.run_node("seller")
    )
    (state / "book").unlink()
    shop.node("seller", "--stock", "apple=7").wait_for("joined")
    assert shop.told("stock", "list")[0]["in_stock"] == 7


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--state", "x" * 200), "the path is too long for a socket in it; choose a shorter one"),
        (("--state", "/proc/nowhere"), "No such file or directory; choose another, or --ephemeral to keep nothing"),
        (("--name", "../up"), "--name '../up': write up to 64 letters, digits, dots, dashes and underscores"),
        (("--name", "a", "--state", "b"), "--name is for nodes without --state: leave out one of them"),
        (("--ephemeral", "--name", "a"), "--ephemeral keeps nothing: leave out --state and --name"),
    ],
)
def test_no_directory(shop: Shop, words: tuple[str, ...], expected: str) -> None:
    """A state directory that cannot be is refused in one line."""
    line = only_line(shop.run_node("relay", *words))
    assert line.startswith("bazaar-node: ")
    assert line.endswith(expected)


def test_directory_that_others_can_change(shop: Shop, tmp_path: Path) -> None:
    """A state directory that others may write to, or could put another in the place of, is refused in one line."""
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    for state in (open_to_all, open_to_all / "state"):
        line = only_line(shop.run_node("relay", "--state", str(state)))
        assert line.startswith(f"bazaar-node: --state {state}: others may write to ")
        assert line.endswith(f"chmod go-w {open_to_all}, or choose another --state")
    assert list(open_to_all.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_directory_of_somebody_else(shop: Shop, tmp_path: Path) -> None:
    """A state directory that belongs to somebody else, or is a link of somebody else, is refused in one line."""
    theirs, own, link = tmp_path / "theirs", tmp_path / "own", tmp_path / "link"
    theirs.mkdir()
    own.mkdir(0o700)
    link.symlink_to(own)
    for path in (theirs, link):
        os.chown(path, 65_534, -1, follow_symlinks=False)
    for state, words in ((theirs, "it belongs to "), (link, f"{link} is a symbolic link of ")):
        line = only_line(shop.run_node("relay", "--state", str(state)))
        assert f"--state {state}: {words}" in line
    assert [*theirs.iterdir(), *own.iterdir()] == []


def test_planted_links(shop: Shop, tmp_path: Path) -> None:
    """Whatever has been planted in a state directory, nothing is written where it leads: no key, no book, no hash."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret" * 1000)
    secret.chmod(0o644)
    for role, words, names in (
        ("seller", ("--stock", "apple=5"), ("key.new", "id.new", "book.new")),
        ("ring_peer", ("--tracker", "none"), ("key.new", "id.new", "ring-entries.new", "ring-hashes", "control.sock")),
    ):
        state = tmp_path / role
        state.mkdir(0o700)
        for name in names:
            (state / name).symlink_to(secret)
        node = shop.node(role, "--state", str(state), *words)
        node.wait_for("joined the network" if role == "seller" else "this node is on the ring")
        node.interrupt()
        node.wait()
        assert (state / "key").stat().st_mode & 0o777 == 0o600
    state, aside = tmp_path / "seller", tmp_path / "aside"
    for name in ("ledger.sqlite", "key", "lock"):
        (state / name).rename(aside)
        (state / name).symlink_to(secret)
        line = only_line(shop.run_node("seller", "--state", str(state), "--stock", "apple=5"))
        assert line.endswith(f"{state / name}: it is a symbolic link; put a plain file in its place")
        (state / name).unlink()
        aside.rename(state / name)
    assert (secret.read_bytes(), secret.stat().st_mode & 0o777) == (b"secret" * 1000, 0o644)


def test_nested_request(shop: Shop) -> None:
    """A request that is nested 30,000 deep is told that it is none; there is no traceback, and the node goes on."""
    relay = shop.node("relay")
    relay.wait_for("joined")
    for payload in (b"[" * 30_000, b'{"command": "status", "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(shop.daemons.states / "relay" / "control.sock"))
            connection.sendall(b"%d:%s," % (len(payload), payload))
            assert b"a request is a JSON object with a command" in connection.recv(1000)
    assert shop.bazaar("status").returncode == 0
    relay.interrupt()
    relay.wait()
    assert "Traceback" not in relay.rest()
