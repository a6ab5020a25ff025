"""The store in PostgreSQL, against a server of its own: the promises of every store, and those of a shared one."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from typing import Any, Final

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.blocking import BlockingCase
from tests.integration.market import reactor, until
from tests.postgres import DATABASE, PASSWORD, USER, Cluster
from tests.trade.books import (
    OpenStore,
    SalesContract,
    make_deal,
    make_live_order,
    make_order,
    make_quote,
    order_on,
    seal_answer,
)
from twisted_bazaar.errors import StorageError, UsageError
from twisted_bazaar.trade.ledger import Ledger, _Waiting, settle_batch
from twisted_bazaar.trade.stores.postgres import PostgresStore
from twisted_bazaar.trade.stores.postgres_books import PostgresSales
from twisted_bazaar.trade.stores.store import SalesBook
from twisted_bazaar.values.sale import Deal, Outcome, StockLevel, Supply

psycopg = pytest.importorskip("psycopg")

SELLERS: Final = 4
PATIENCE_S: Final = 1.0
LATER_S: Final = 120.0
WAITING: Final = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""
APPLES: Final = StockLevel("apple", 5, 5, 0, 0, None)
_numbers: Final = count(1)


@pytest.fixture
def url(cluster: Cluster) -> str:
    """A database with nothing in it."""
    return cluster.make_database(f"market{next(_numbers)}")


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """All that is logged, with its tracebacks."""
    lines: list[str] = []

    def hear(event: LogEvent) -> None:
        lines.append(f"{eventAsText(event)} {event!r}")

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    ear = Ear(logging.DEBUG)
    logging.getLogger().addHandler(ear)
    globalLogPublisher.addObserver(hear)
    yield lines
    globalLogPublisher.removeObserver(hear)
    logging.getLogger().removeHandler(ear)


@pytest_twisted.async_yield_fixture
async def open_store(url: str) -> AsyncIterator[Callable[..., PostgresStore]]:
    """Opens stores of one database, which are closed with the test."""
    stores: list[PostgresStore] = []

    def open_store(**others: Any) -> PostgresStore:
        store = PostgresStore(url, **others)
        store.open(reactor)
        stores.append(store)
        return store

    yield open_store
    await gatherResults([store.close() for store in stores])


async def error_of(deferred: Deferred[object], kind: type[Exception] = StorageError) -> str:
    """What something fails with."""
    with pytest.raises(kind) as caught:
        await deferred
    return str(caught.value)


async def ledgers_of(open_store: Callable[..., PostgresStore]) -> list[Ledger]:
    """Several sellers of one stock."""
    ledgers = [Ledger(OpenStore(open_store())) for _ in range(SELLERS)]
    for ledger in ledgers:
        ledger.start(reactor)
    # So that what they are asked next, they are asked at the same time.
    await gatherResults([ledger.levels() for ledger in ledgers])
    return ledgers


def enter(*levels: StockLevel) -> Callable[[SalesBook], None]:
    """A transaction that enters counts."""

    def work(book: SalesBook) -> None:
        for level in levels:
            book.set_level(level)

    return work


class PostgresSalesTests(BlockingCase, SalesContract, SynchronousTestCase):
    """A seller's book in a database."""

    @pytest.fixture
    def unopened(self, url: str) -> PostgresStore:
        """A database of its own."""
        return PostgresStore(url)


@pytest_twisted.ensureDeferred
async def test_sellers_of_one_stock(open_store: Callable[..., PostgresStore]) -> None:
    """Sellers of one stock together sell what there is and nothing more, and give one order one answer."""
    ledgers = await ledgers_of(open_store)
    items = ["apple", "pear", "plum"]
    await ledgers[0].stock({item: Supply(30) for item in items})
    orders = [make_live_order(reactor, items[number % 3], 1 + number % 2) for number in range(120)]

    settlements = await gatherResults([ledger.settle(order, 0, seal_answer) for order in orders for ledger in ledgers])

    deals: dict[str, Deal] = {}
    for settlement in settlements:
        first = deals.setdefault(settlement.deal.order.id, settlement.deal)
        assert settlement.deal.answer.encode() == first.answer.encode()
    assert sum(not settlement.is_repeat for settlement in settlements) == len(orders)
    levels = await ledgers[1].levels()
    for level in levels:
        sold = [deal.order.quantity for deal in deals.values() if deal.outcome is Outcome.SOLD]
        assert sum(sold) == sum(each.sold for each in levels)
        assert (level.supplied, level.in_stock + level.sold) == (30, 30)
        assert level.in_stock <= 1


@pytest_twisted.ensureDeferred
async def test_new_items_at_once(open_store: Callable[..., PostgresStore]) -> None:
    """When several sellers supply an item that none of them had, all that they supply is counted."""
    ledgers = await ledgers_of(open_store)

    await gatherResults([ledger.supply(f"item {number}", 1) for number in range(20) for ledger in ledgers])

    assert {level.supplied for level in await ledgers[0].levels()} == {SELLERS}


@pytest_twisted.ensureDeferred
async def test_in_each_others_way(open_store: Callable[..., PostgresStore]) -> None:
    """Of two transactions that wait for each other one is done again, and both end well."""
    stores = [open_store(), open_store()]
    await stores[0].run_transaction(enter(APPLES, StockLevel("pear", 5, 5, 0, 0, None)))
    meeting = threading.Barrier(2)
    tries = []

    def sell_both(first: str, second: str) -> Callable[[SalesBook], None]:
        def work(book: SalesBook) -> None:
            tries.append(first)
            book.levels([first])
            if len(tries) <= 2:
                meeting.wait(10)
            book.levels([second])
            book.sell(first, 1)
            book.sell(second, 1)

        return work

    await gatherResults(
        [stores[0].run_transaction(sell_both("apple", "pear")), stores[1].run_transaction(sell_both("pear", "apple"))]
    )

    assert len(tries) >= 3
    levels = await stores[0].run_transaction(lambda book: book.levels())
    assert [level.sold for level in levels.values()] == [2, 2]


@pytest_twisted.ensureDeferred
async def test_one_order_at_two_sellers(open_store: Callable[..., PostgresStore]) -> None:
    """Of two sellers that get one order at the same time one sells, and the other finds that it was sold."""
    stores = [open_store(), open_store()]
    await stores[0].run_transaction(enter(APPLES))
    deal = make_deal(make_order())
    meeting = threading.Barrier(2)
    tries: list[int] = []

    def settle(book: SalesBook) -> bool:
        tries.append(1)
        is_known = bool(book.deals([deal.order.key]))
        if len(tries) <= 2:
            meeting.wait(10)
        book.levels(["apple"])
        if not is_known:
            book.add_deals([deal])
            book.sell("apple", 1)
        return is_known

    known = await gatherResults([store.run_transaction(settle) for store in stores])

    assert sorted(known) == [False, True]
    assert (await stores[0].run_transaction(lambda book: book.levels()))["apple"].sold == 1


@pytest_twisted.ensureDeferred
async def test_server_fails(cluster: Cluster, open_store: Callable[..., PostgresStore], heard: list[str]) -> None:
    """While the server is gone there is a clear error; when it is back, all that was told is there, and it goes on."""
    store = open_store()
    deal = make_deal(make_order())
    await store.run_transaction(enter(APPLES))
    await store.run_transaction(lambda book: book.add_deals([deal]))
    cluster.kill()
    try:
        errors = [await error_of(store.run_transaction(lambda book: book.sell("apple", 1))) for _ in range(3)]
    finally:
        cluster.start()

    await store.run_transaction(lambda book: book.sell("apple", 1))

    assert [dict(await store.run_transaction(lambda book: book.deals([deal.order.key])))] == [{deal.order.key: deal}]
    levels = await store.run_transaction(lambda book: book.levels())
    assert levels["apple"].sold == 1
    assert all("connect" in error for error in errors), errors
    assert not [line for line in [*errors, *heard] if PASSWORD in line or "s3cret" in line]


@pytest_twisted.ensureDeferred
async def test_server_fails_in_the_middle(cluster: Cluster, open_store: Callable[..., PostgresStore]) -> None:
    """A transaction that loses its server is undone."""
    store = open_store()
    await store.run_transaction(enter(APPLES))

    def work(book: SalesBook) -> None:
        book.sell("apple", 1)
        book.levels()
        cluster.kill()
        book.sell("apple", 1)

    try:
        await error_of(store.run_transaction(work))
    finally:
        cluster.start()

    assert await store.run_transaction(lambda book: book.levels()) == {"apple": APPLES}


@pytest_twisted.ensureDeferred
async def test_server_restarts(cluster: Cluster, open_store: Callable[..., PostgresStore]) -> None:
    """Who asks for nothing while the server is restarted does not notice."""
    store = open_store()
    await store.run_transaction(enter(APPLES))
    cluster.stop()
    cluster.start()

    assert await store.run_transaction(lambda book: book.levels()) == {"apple": APPLES}


@pytest_twisted.ensureDeferred
async def test_server_stands_still(cluster: Cluster, open_store: Callable[..., PostgresStore]) -> None:
    """A server that says nothing is given up after a while, and asked again the next time."""
    store = open_store(patience_s=PATIENCE_S)
    await store.run_transaction(enter(APPLES))
    began_at = reactor.seconds()
    cluster.pause()
    try:
        error = await error_of(store.run_transaction(lambda book: book.sell("apple", 1)))
        took_s = reactor.seconds() - began_at
    finally:
        cluster.resume()

    assert error.endswith("the server does not answer")
    assert PATIENCE_S <= took_s < PATIENCE_S + 5
    assert await store.run_transaction(lambda book: book.levels()) == {"apple": APPLES}


@pytest_twisted.ensureDeferred
async def test_item_held_by_another(url: str, open_store: Callable[..., PostgresStore]) -> None:
    """Who holds an item and does not let go holds up an order for it, which is not decided, and nothing else."""
    store, other = open_store(patience_s=PATIENCE_S), open_store()
    await store.run_transaction(enter(APPLES, StockLevel("pear", 1, 1, 0, 0, None)))
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1 FROM twisted_bazaar.stock WHERE item = 'apple' FOR UPDATE")
        assert list(await other.run_transaction(lambda book: book.levels(["pear"]))) == ["pear"]
        await error_of(store.run_transaction(lambda book: book.levels(["apple"])))

    assert list(await store.run_transaction(lambda book: book.levels())) == ["apple", "pear"]


@pytest_twisted.ensureDeferred
async def test_first_ones(url: str, open_store: Callable[..., PostgresStore]) -> None:
    """Several sellers that are the first make the book once."""
    stores = [open_store() for _ in range(SELLERS)]

    assert (
        await gatherResults([store.run_transaction(lambda book: book.levels()) for store in stores]) == [{}] * SELLERS
    )
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM twisted_bazaar.forms").fetchall() == [(1,)]


@pytest_twisted.ensureDeferred
async def test_newer_form(url: str, open_store: Callable[..., PostgresStore]) -> None:
    """A book that a newer version made is refused, in one line, and left as it is."""
    await open_store().run_transaction(enter(APPLES))
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO twisted_bazaar.forms VALUES (2)")

    said = await error_of(open_store().run_transaction(enter()))

    assert said.endswith(
        "a newer version of twisted_bazaar made this book (form 2, and this one knows 1); use that version"
    )
    with pytest.raises(UsageError) as caught:
        PostgresStore(url).check()
    assert str(caught.value) == said


def test_check(url: str) -> None:
    """A database can be looked at before there is a reactor; a wrong password and a missing server are named."""
    PostgresStore(url).check()
    for wrong, part in (
        (url.replace("s3cret", "s3cre"), "password authentication failed"),
        (url.replace("/market", "/nowhere"), "does not exist"),
        (url.replace("host=", "port=1&host="), "No such file"),
    ):
        with pytest.raises(UsageError, match=part) as caught:
            PostgresStore(wrong).check()
        assert "s3cre" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest_twisted.ensureDeferred
async def test_wrong_password(url: str, heard: list[str]) -> None:
    """A server that does not let us in is an error of the store, which shows no password, right or wrong."""
    store = PostgresStore(url.replace("s3cret", "s3cre"))
    store.open(reactor)
    said = await error_of(store.run_transaction(lambda book: book.levels()))
    await store.close()

    assert "password authentication failed" in said
    assert not [line for line in [said, repr(store), *heard] if "s3cre" in line]


@pytest.mark.parametrize(
    ("ours", "then"), [("off", "on"), ("local", "on"), ("on", "on"), ("remote_apply", "remote_apply")]
)
@pytest_twisted.ensureDeferred
async def test_synchronous_commit(url: str, open_store: Callable[..., PostgresStore], ours: str, then: str) -> None:
    """A sale is on the server's disk when it is told, whatever is set there; what waits for more stays."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET synchronous_commit = {ours}")
    store = open_store()

    def setting(book: Any) -> str:
        return str(book._connection.execute("SHOW synchronous_commit").fetchone()[0])

    assert await store.run_transaction(setting) == then


@pytest_twisted.ensureDeferred
async def test_bad_code(open_store: Callable[..., PostgresStore]) -> None:
    """The database itself refuses what must never be: counts that do not add up, a second answer, a lost sale."""
    store = open_store()
    sold, refused = make_deal(make_order()), make_deal(make_order(), Outcome.REFUSED, "soldout")
    await store.run_transaction(enter(APPLES))
    await store.run_transaction(lambda book: book.add_deals([sold, refused]))
    before = await store.run_transaction(lambda book: (book.levels(), book.latest("", 9)))

    def sql(text: str) -> Callable[[Any], None]:
        def work(book: Any) -> None:
            book._connection.execute(text)

        return work

    works: list[Callable[[Any], None]] = [
        enter(StockLevel("apple", 5, 6, 0, 0, None)),
        enter(StockLevel("apple", 5, -1, 6, 0, None)),
        enter(StockLevel("apple", 5, 6, -1, 0, None)),
        enter(StockLevel("apple", 5, 6, 0, -1, None)),
        lambda book: book.add_deals([sold]),
        lambda book: book.add_deals([make_deal(sold.order, Outcome.CANCELLED)]),
        sql("UPDATE twisted_bazaar.deals SET outcome = 'cancelled' WHERE outcome = 'sold'"),
        sql("UPDATE twisted_bazaar.deals SET outcome = 'perhaps'"),
        sql("DELETE FROM twisted_bazaar.deals"),
        sql("UPDATE twisted_bazaar.stock SET in_stock = in_stock - 1"),
    ]
    for number, work in enumerate(works):
        assert await error_of(store.run_transaction(work)), number
        assert await store.run_transaction(lambda book: (book.levels(), book.latest("", 9))) == before, number


@pytest_twisted.ensureDeferred
async def test_before_and_after(url: str) -> None:
    """What is run before the book is open waits for that; what is run after it was closed fails."""
    store = PostgresStore(url)
    waiting = store.run_transaction(lambda book: book.levels())
    assert not waiting.called
    store.open(reactor)
    ended = [store.run_transaction(enter(APPLES)), store.close(), store.close()]
    await gatherResults(ended)

    assert await waiting == {}
    assert await error_of(store.run_transaction(lambda book: None)) == "the book is closed"
    unopened = PostgresStore(url)
    waiting = unopened.run_transaction(lambda book: None)
    await unopened.close()
    assert await error_of(waiting) == "the book was never opened"


class _Later:
    """The reactor, with a clock that is ahead."""

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def seconds(self) -> float:
        """The time by that clock."""
        return float(reactor.seconds()) + LATER_S


@pytest_twisted.ensureDeferred
async def test_sale_under_way(url: str) -> None:
    """An order whose sale is about to be committed, by a seller that is no more, is not told that it is too late."""
    ledger = Ledger(PostgresStore(url))
    ledger.start(_Later())
    await ledger.stock({"apple": Supply(5)})
    asked = order_on(make_quote("apple", int((reactor.seconds() + LATER_S / 2) * 1000)))
    with psycopg.connect(url) as dying, psycopg.connect(url, autocommit=True) as watching:
        with dying.pipeline():
            book = PostgresSales(dying)
            waiting = _Waiting(asked, 0, seal_answer, Deferred())
            [sale] = settle_batch(book, [waiting], int(reactor.seconds() * 1000))
            book.send()
        repeat = ledger.settle(asked, 0, seal_answer)
        await until(lambda: watching.execute(WAITING).fetchone() == (1,))
        assert not repeat.called, "it waits for whoever is at the item"
        dying.commit()

    again = await repeat
    await ledger.stop()
    assert (again.deal.outcome, again.is_repeat) == (Outcome.SOLD, True)
    assert again.deal.answer == sale.deal.answer


@pytest_twisted.ensureDeferred
async def test_names_in_any_encoding(cluster: Cluster) -> None:
    """Goods are found again by their names in a database without an encoding; one that cannot hold them is refused."""
    goods = {"apple": Supply(5), "\u308a\u3093\u3054": Supply(3)}
    template = ("-O", USER, "-T", "template0", "--locale=C")
    urls = {}
    for encoding in ("SQL_ASCII", "LATIN1"):
        cluster.run("createdb", *template, "-E", encoding, encoding.lower())
        urls[encoding] = cluster.url.replace(f"@/{DATABASE}?", f"@/{encoding.lower()}?")

    ledger = Ledger(PostgresStore(urls["SQL_ASCII"]))
    ledger.start(reactor)
    try:
        for known in ([], list(goods)):
            assert [level.item for level in await ledger.stock(goods)] == known
        assert [level.supplied for level in await ledger.levels()] == [5, 3]
    finally:
        await ledger.stop()

    other = PostgresStore(urls["LATIN1"])
    other.open(reactor)
    try:
        assert "LATIN1" in await error_of(other.run_transaction(lambda book: book.levels()))
    finally:
        await other.close()
