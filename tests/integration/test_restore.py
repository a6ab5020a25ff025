"""A seller that comes back from a backup, as docs/howto/restore says, sells nothing twice; and what runs is listed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import read_page, section
from tests.integration.daemons import Daemon, Daemons
from tests.integration.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A tracker without nodes."""
    with Daemons(tmp_path) as daemons:
        yield Shop(daemons, tmp_path, has_kept_tracker=True)


def start_seller(shop: Shop, *words: str) -> Daemon:
    """Start the seller; returns when it has joined."""
    seller = shop.node("seller", *words)
    seller.wait_for("joined")
    return seller


def end(daemon: Daemon) -> None:
    """Let a daemon end by itself."""
    daemon.interrupt()
    daemon.wait()


def type_lines(shop: Shop, title: str) -> subprocess.CompletedProcess[str]:
    """Type the lines of a section of the page that move directories, in the places of this test."""
    lines = re.findall(
        r"^ {4,}((?:mkdir|cp|mv|copy=).*)$", section(read_page("docs/howto/restore.md"), title), re.MULTILINE
    )
    script = "\n".join(lines).replace("~/.local/state/twisted_bazaar", str(shop.daemons.states))
    script = script.replace("~/backup", str(shop.directory / "backup"))
    assert "~" not in script
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_restored(shop: Shop, tmp_path: Path) -> None:
    """What was sold after the backup is not sold again; what is left on the shelf is."""
    directory, backup = shop.daemons.states / "seller", tmp_path / "backup"
    end(start_seller(shop, "--stock", "apple=5@120"))
    done = type_lines(shop, "Make the backup")
    assert (done.returncode, done.stderr, backup.stat().st_mode & 0o777) == (0, "", 0o700)
    seller = start_seller(shop)
    assert shop.run_node("buyer", "--want", "apple=3", "--once", "--name", "early").returncode == 0
    # The machine is lost, and the backup does not know of the sale.
    seller.kill()
    (directory / "left over").touch()
    done = type_lines(shop, "Bring a seller back")
    assert (done.returncode, done.stderr, (directory / "left over").exists()) == (0, "", False)
    # Where something is in the place it is not mixed with the copy, and nothing is copied into it.
    shutil.rmtree(backup / "seller-lost")
    (backup / "seller-lost").touch()
    done = type_lines(shop, "Bring a seller back")
    assert (done.returncode, (directory / "seller").exists(), "File exists" in done.stderr) == (1, False, True)
    assert not any(path.is_dir() for path in directory.iterdir())
    assert [level["in_stock"] for level in shop.told("stock", "list", "--name", "seller")] == [5]
    done = shop.bazaar("stock", "recount", "apple=2", "--name", "seller")
    assert (done.returncode, done.stdout) == (0, "apple: recounted; 2 in stock at 120, 0 sold, 3 withdrawn\n")
    seller = start_seller(shop)
    refused = shop.bazaar("stock", "recount", "apple=9", "--name", "seller")
    assert (refused.returncode, "runs: end it first" in refused.stderr) == (2, True)
    late = shop.run_node("buyer", "--want", "apple=5", "--once", "--name", "late", "--timeout", "8")
    assert (late.returncode, "3 apple not bought" in late.stdout) == (4, True)
    [level] = shop.told("stock", "list", "--name", "seller")
    assert (level["in_stock"], level["sold"], level["withdrawn"]) == (0, 2, 3)
    # The receipt of the first buyer, which runs no more, holds all the same.
    [bought] = shop.told("orders", "--name", "early")
    done = shop.bazaar("orders", bought["id"], "--name", "early", "--receipt", "early.json")
    assert done.returncode == 0
    proven = shop.told("verify", "early.json")
    assert (proven["holds"], proven["quantity"], proven["outcome"]) == (True, 3, "sold")
    end(seller)


def test_listed(shop: Shop) -> None:
    """Status lists what runs, nodes what is stopped as well, and members who is linked to the tracker."""
    seller = start_seller(shop, "--stock", "apple=1", "--listen", "tcp:0:interface=127.0.0.1")
    assert shop.run_node("buyer", "--want", "apple", "--once").returncode == 0
    running = {row["name"]: row for row in shop.told("status")}
    assert running.keys() == {"seller", "tracker"}
    assert (running["seller"]["roles"], running["seller"]["state"]) == (["seller"], "running")
    nodes = {row["name"]: row["state"] for row in shop.told("nodes")}
    assert nodes == {"buyer": "stopped", "seller": "running", "tracker": "running"}
    members = shop.told("members")
    assert (members["total"], members["by_kind"]) == (1, {"": 1})
    assert members["members"][0]["address"] == running["seller"]["address"]
    seller.kill()
    assert {row["name"] for row in shop.told("status")} == {"tracker"}
    assert [row["sold"] for row in shop.told("stock", "list", "--name", "seller")] == [1]
