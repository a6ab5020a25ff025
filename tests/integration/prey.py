"""C{python -m tests.integration.prey HELD FLAW WORD...}: a C{bazaar-node} to be killed.

HELD is C{held} if it waits with everything until it gets C{SIGCONT}; FLAW is one of L{PLANTS}, or C{-} for none.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any, Final

from twisted_bazaar.taps import node
from twisted_bazaar.trade.stores import memory, sqlite

_PR_SET_PTRACER: Final = 0x59616D61


def main(held: str, flaw: str, *words: str) -> None:
    """Be the daemon."""
    # Whoever asked for it may trace it, although it is not its child.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, -1, 0, 0, 0)
    if held == "held":
        os.kill(os.getpid(), signal.SIGSTOP)
    if flaw != NO_FLAW:
        PLANTS[flaw]()
    options = node.Options()
    options.parseOptions(words)
    from twisted.internet import reactor
    from twisted.logger import globalLogBeginner, textFileLogObserver

    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
    service: Any = node.makeService(options)
    status = [0]
    service.on_exit = lambda code: (status.__setitem__(0, code), reactor.callWhenRunning(reactor.stop))
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    sys.exit(status[0])


def _answer_before_commit() -> None:
    """A seller that has its answers on the way before they are on its disk."""

    def transact(session: Any, works: Any) -> list[Any]:
        if session._connection is None:
            session._connection = session._file.connect()
            session._book = session._kind.make_book(session._connection)
        if not works:
            return []
        if not session._connection.in_transaction:
            session._connection.execute("BEGIN IMMEDIATE")
        return [work(session._book) for work in works]

    def finish(store: Any, batch: Any, results: Any) -> None:
        right(store, batch, results)
        store._reactor.callLater(0.02, store._threads.callInThread, commit, store)

    def commit(store: Any) -> None:
        if store._session._connection.in_transaction:
            store._session._connection.execute("COMMIT")

    right = sqlite.SqliteStore._finish
    sqlite._Session._transact = transact  # type: ignore[method-assign]
    sqlite.SqliteStore._finish = finish  # type: ignore[method-assign]


def _send_before_intent() -> None:
    """A buyer that has its orders on the way before they are in its book."""

    def run(store: Any, work: Any) -> Any:
        store._reactor.callLater(0.05, right, store, work)
        return memory.MemoryStore.run_transaction(shadow, work)

    shadow: Any = memory.MemoryStore(memory.MemoryPurchases())
    right = sqlite.SqliteStore.run_transaction
    sqlite.SqliteStore.run_transaction = run  # type: ignore[method-assign]


NO_FLAW: Final = "-"
PLANTS: Final = {"answer before commit": _answer_before_commit, "send before intent": _send_before_intent}

if __name__ == "__main__":
    main(*sys.argv[1:])
