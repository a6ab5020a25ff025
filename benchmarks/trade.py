"""Sales that are signed and on disk before anybody hears of them.

C{trade-durable}: how many of one hot item a seller sells in a second to 64 buyers, each of which orders one
after another (see L{benchmarks.trade_load}). The seller is the daemon as users run it, with its book in SQLite.
The peer is PostgreSQL's own C{pgbench}, with 64 clients that each take one of the same item and insert an order
with as many bytes, in a transaction: nothing is signed, and nothing travels but SQL.

C{trade-postgres}: the same load on a seller that keeps its book in the PostgreSQL that C{pgbench} has just used,
beside the same figure of C{pgbench}.

C{trade-latency}: the median time from an order to its answer, of a lone buyer, in microseconds. The peer is one
transaction of SQLite with as many bytes, synced, in a process that does nothing else.

All files are in the same file system.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.harness import Measure, figure, take
from benchmarks.peers import PGBENCH, SQLITE
from benchmarks.report import BenchmarkError, Row
from benchmarks.trade_load import ITEM, STOCK, Load, seller
from tests.postgres import Cluster, find_programs

_ROUNDS: Final = 5
_BUYERS: Final = 64
_ORDERS: Final = 150
_LONE_ORDERS: Final = 200
_PGBENCH_S: Final = 4
# As long as they are in a seller's book.
_STATEMENT_BYTES: Final = 1_400
_ANSWER_BYTES: Final = 760

_TABLES: Final = f"""
    CREATE TABLE stock (item text PRIMARY KEY, in_stock bigint NOT NULL CHECK (in_stock >= 0), sold bigint NOT NULL);
    INSERT INTO stock VALUES ('{ITEM}', {STOCK}, 0);
    CREATE TABLE orders (
        buyer bigint, id uuid, item text NOT NULL, quantity bigint NOT NULL,
        statement bytea NOT NULL, answer bytea NOT NULL, PRIMARY KEY (buyer, id))"""
_SALE: Final = f"""\\set buyer random(1, 1000000000)
BEGIN;
UPDATE stock SET in_stock = in_stock - 1, sold = sold + 1 WHERE item = '{ITEM}' AND in_stock >= 1;
INSERT INTO orders VALUES (
    :buyer, gen_random_uuid(), '{ITEM}', 1, '\\x{"ab" * _STATEMENT_BYTES}', '\\x{"cd" * _ANSWER_BYTES}');
COMMIT;
"""


def measure() -> list[Row]:
    """All rows of this module."""
    with tempfile.TemporaryDirectory(prefix="bazaar-bench-") as folder, ExitStack() as stack:
        directory = Path(folder)
        lite = stack.enter_context(_load(["--state", str(directory / "lite")], _BUYERS))
        lone = stack.enter_context(_load(["--state", str(directory / "lone")], 1))
        synced = count()
        latency = Measure(
            name="trade-latency",
            unit="microseconds",
            goal=0.125,
            peer=SQLITE,
            ours=figure(lambda: 1e6 * median(lone.waits(_LONE_ORDERS))),
            theirs=figure(lambda: 1e6 * _synced_transaction_s(directory / f"peer-{next(synced)}")),
            is_cost=True,
        )
        rows = take([latency], _ROUNDS)
        pgbench = _PgBench.started(stack, directory)
        post = pgbench and stack.enter_context(_load(pgbench.seller_words, _BUYERS))
        theirs = figure(lambda: pgbench.rate() if pgbench else 0.0)
        durable = Measure(
            name="trade-durable",
            unit="sales a second",
            goal=3.0,
            peer=PGBENCH,
            ours=figure(lambda: lite.rate(_ORDERS)),
            theirs=theirs,
        )
        shared = Measure(
            name="trade-postgres",
            unit="sales a second",
            goal=1.0,
            peer=PGBENCH,
            ours=figure(lambda: post.rate(_ORDERS) if post else 0.0),
            theirs=theirs,
            needs_peer=True,
        )
        return [*rows, *take([durable, shared], _ROUNDS)]


@contextmanager
def _load(words: list[str], buyers: int) -> Iterator[Load]:
    """Buyers that are linked to a seller of their own, which has sold some already."""
    with seller(words, buyers) as server, closing(Load(server, buyers, random.Random(1))) as load:
        load.rate(20)
        yield load


class _PgBench:
    """C{pgbench} on a server of its own.

    @ivar seller_words: the options of a seller that keeps its book in an empty database on the same server.
    """

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self._cluster = cluster
        self._script = directory / "sale.sql"
        self._script.write_text(_SALE, encoding="utf-8")
        directory.chmod(0o755)
        self.seller_words = ["--state", str(directory / "post"), "--ledger", cluster.make_database("bazaar")]
        cluster.say(_TABLES)

    @classmethod
    def started(cls, stack: ExitStack, directory: Path) -> _PgBench | None:
        """Start a server; None where there is no PostgreSQL."""
        programs = find_programs()
        if isinstance(programs, str) or not PGBENCH.is_installed():
            return None
        return cls(stack.enter_context(Cluster(programs, settings=("max_connections=100",))), directory)

    def rate(self) -> float:
        """Transactions a second."""
        words = (
            "-n",
            "-M",
            "prepared",
            "-c",
            str(_BUYERS),
            "-j",
            "2",
            "-T",
            str(_PGBENCH_S),
            "-f",
            str(self._script),
            "postgres",
        )
        said = self._cluster.run("pgbench", *words)
        for line in said.splitlines():
            if line.startswith("tps = "):
                return float(line.split()[2])
        raise BenchmarkError(f"pgbench: {said.strip().splitlines()[-1]}")


def _synced_transaction_s(file: Path) -> float:
    """The median time of a transaction of SQLite that takes one of an item and inserts an order."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for setting in ("journal_mode = WAL", "synchronous = FULL", "locking_mode = EXCLUSIVE"):
            connection.execute(f"PRAGMA {setting}")
        connection.execute("CREATE TABLE stock (item TEXT PRIMARY KEY, in_stock INTEGER, sold INTEGER)")
        connection.execute("CREATE TABLE orders (id BLOB PRIMARY KEY, statement BLOB, answer BLOB)")
        connection.execute("INSERT INTO stock VALUES (?, ?, 0)", (ITEM, STOCK))
        rng, times_s = random.Random(1), []
        statement, answer = bytes(_STATEMENT_BYTES), bytes(_ANSWER_BYTES)
        for _ in range(_LONE_ORDERS):
            began = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE stock SET in_stock = in_stock - 1, sold = sold + 1 WHERE in_stock >= 1")
            connection.execute("INSERT INTO orders VALUES (?, ?, ?)", (rng.randbytes(16), statement, answer))
            connection.execute("COMMIT")
            times_s.append(time.perf_counter() - began)
    return median(times_s)
