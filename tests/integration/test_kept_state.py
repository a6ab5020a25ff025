"""What earlier code has written is opened by the code of today: keys, books, receipts, known keys."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fixtures.make_state import HERE, STOCK, WANTS, key_of, make_state
from tests.integration.daemons import Daemons
from tests.integration.shop import Shop
from twisted_bazaar.errors import Unproven
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.security.known_keys import KnownKeys
from twisted_bazaar.state import StateDirectory

FOLDERS: Final = sorted((Path(__file__).parent.parent / "fixtures").glob("state-*"))


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def kept(request: pytest.FixtureRequest) -> Path:
    """The directories of one day."""
    folder: Path = request.param
    return folder


@pytest.fixture
def made(kept: Path) -> Any:
    """What was in them, by the commands of that day."""
    return json.loads((kept / "made.json").read_text(encoding="utf-8"))


@pytest.fixture
def shop(kept: Path, tmp_path: Path) -> Iterator[Shop]:
    """A tracker that goes on with its directory, and the directories of the others, for their owner alone."""
    with Daemons(tmp_path) as daemons:
        shutil.copytree(kept, daemons.states, copy_function=shutil.copyfile)
        for path in (daemons.states, *daemons.states.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        yield Shop(daemons, tmp_path, has_kept_tracker=True)


def test_goes_on(shop: Shop, made: Any) -> None:
    """Each node starts as who it was; the seller sells what is left, and the buyer buys nothing twice."""
    index = shop.daemons.start("bazaar-node", "--role", "index_server", "--name", "index", *HERE)
    index.wait_for_port()
    seller = shop.node("seller", *STOCK, *HERE)
    seller.wait_for("joined")
    for name in ("tracker", "index", "seller"):
        assert key_of(shop, name) == made["keys"][name]
    assert shop.told("stock", "list", "--name", "seller") == made["stock"]
    assert shop.run_node("buyer", *WANTS).returncode == ExitStatus.SOLD_OUT
    assert shop.told("stock", "list", "--name", "seller") == made["stock"]
    bought = shop.run_node("buyer", "--want", "fig=3", "--once", "--listen", "none")
    assert bought.returncode == ExitStatus.DONE, bought.stdout
    [fig] = (level for level in shop.told("stock", "list", "--name", "seller") if level["item"] == "fig")
    assert (fig["in_stock"], fig["sold"]) == (4, 3)
    [sale] = (order for order in shop.told("orders", "--name", "seller") if order["item"] == "fig")
    assert sale["other"] == made["keys"]["buyer"]


def test_books(shop: Shop, made: Any) -> None:
    """Both books show the orders that they had, and each of them still has a receipt that holds."""
    for name, orders in made["orders"].items():
        assert shop.told("orders", "--name", name) == orders
        for order in orders:
            receipt = f"{name}-{order['item']}.json"
            assert shop.bazaar("orders", order["id"], "--name", name, "--receipt", receipt).returncode == 0
            told = shop.told("verify", receipt)
            assert (told["holds"], told["quantity"], told["outcome"]) == (True, order["quantity"], "sold")


def test_receipt(shop: Shop, kept: Path) -> None:
    """A receipt of then holds."""
    told = shop.told("verify", str(kept / "receipt.json"))
    assert (told["holds"], told["item"], told["quantity"], told["outcome"]) == (True, "apple", 2, "sold")


def test_known_keys(shop: Shop, made: Any) -> None:
    """Whom they had met at an address they still expect there, and nobody else."""
    for name in ("seller", "buyer"):
        judge = KnownKeys(StateDirectory(shop.daemons.states / name, [name])).judge_at(made["tracker"])
        with pytest.raises(Unproven, match="another key than before"):
            judge(made["keys"]["index"])
        judge(made["keys"]["tracker"])


@pytest.mark.slow
def test_made_now(tmp_path: Path, kept: Path) -> None:
    """What makes such directories still makes the same files, but for those that the code of today adds."""
    (tmp_path / "place").mkdir()
    make_state(tmp_path / "made", tmp_path / "place")
    there, now = (
        {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        for folder in (kept, tmp_path / "made")
    )
    assert there <= now
