"""C{python -m tests.integration.prey}: daemons that can be started often, because everything is imported once.

Each line on standard input is a request, a JSON object: C{words}, the command line of a C{bazaar-node};
C{is_held}, whether it waits with everything until it gets C{SIGCONT}; C{plant}, a flaw to be had. A daemon is
a child of this process with a reactor of its own. What is written is C{{"pid": ...}} when there is one, and
C{{"status": ...}} when it has ended, negative for a signal; after that the next line is read.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from typing import Any, Final

from twisted_bazaar.plugin import load_roles
from twisted_bazaar.taps import node
from twisted_bazaar.trade import memory, sqlite

_PR_SET_PTRACER: Final = 0x59616D61
_FAILED: Final = 70


def main() -> None:
    """Start daemons until there are no more requests."""
    load_roles()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(request)
        _tell(pid=pid)
        _, status = os.waitpid(pid, 0)
        _tell(status=os.waitstatus_to_exitcode(status))


def _tell(**what: int) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _become(request: dict[str, Any]) -> None:
    """Be the daemon, and never come back."""
    try:
        # Whoever asked for it may trace it, although it is not its child.
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, -1, 0, 0, 0)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        os.dup2(1, 2)
        if request["is_held"]:
            os.kill(os.getpid(), signal.SIGSTOP)
        if request["plant"] is not None:
            PLANTS[request["plant"]]()
        _run(request["words"])
        os._exit(0)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:
        traceback.print_exc()
        os._exit(_FAILED)


def _run(words: list[str]) -> None:
    options = node.Options()
    options.parseOptions(words)
    from twisted.internet import reactor
    from twisted.logger import globalLogBeginner, textFileLogObserver

    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
    service: Any = node.makeService(options)
    status = [0]
    service._exit_with = lambda code: (status.__setitem__(0, code), reactor.callWhenRunning(reactor.stop))
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    sys.stdout.flush()
    os._exit(status[0])


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
        return memory.MemoryStore.run(shadow, work)

    shadow: Any = memory.MemoryStore(memory.MemoryPurchases())
    right = sqlite.SqliteStore.run
    sqlite.SqliteStore.run = run  # type: ignore[method-assign]


PLANTS: Final = {"answer before commit": _answer_before_commit, "send before intent": _send_before_intent}

if __name__ == "__main__":
    main()
