"""A seller under load, as a process of its own: it tells of each order when it has been answered, until it is killed.

It is told where its book is, with which number to begin, so that each run of it has orders of its own, and how
many orders are under way at any time.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.trade.books import make_live_order, rng, seal_answer
from twisted_bazaar.trade.ledger import Ledger
from twisted_bazaar.trade.stores.sqlite import SALES, SqliteStore
from twisted_bazaar.values.sale import Settlement, Supply


def main(reactor: Any, path: str, seed: str, at_once: str) -> None:
    """Order without end."""
    ledger = Ledger(SqliteStore(Path(path), SALES))
    ledger.start(reactor)
    # The keys are made; the ids of quotes and orders are this run's own.
    rng.seed(f"run {seed}")

    def tell(settlement: Settlement) -> None:
        order = settlement.deal.order
        sys.stdout.write(f"{order.buyer} {order.id} {settlement.deal.answer.encode().hex()}\n")
        sys.stdout.flush()
        order_next()

    def order_next(_: object = None) -> None:
        order = make_live_order(reactor, rng.choice(["apple", "pear"]), rng.randint(1, 3))
        ledger.settle(order, 0, seal_answer).addCallbacks(tell, lambda failure: failure.printTraceback())

    def begin() -> None:
        supplied = ledger.stock({"apple": Supply(10**6), "pear": Supply(50)})
        for _ in range(int(at_once)):
            supplied.addCallback(order_next)

    reactor.callWhenRunning(begin)
    reactor.run()


if __name__ == "__main__":
    from twisted.internet import reactor as installed

    main(installed, *sys.argv[1:])
