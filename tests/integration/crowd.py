"""C{python -m tests.integration.crowd}: many nodes in one process, each as a daemon would run it.

Standard input holds a JSON list of command lines of C{bazaar-node}. A line is written for each node that
ends by itself: its number in the list, and the exit status that its process would have had. The process ends
when all have.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred

from twisted_bazaar.taps import node


def main() -> None:
    """Run them all."""
    command_lines = json.load(sys.stdin)
    running = set(range(len(command_lines)))

    def ended(number: int, status: int) -> None:
        sys.stdout.write(json.dumps([number, status]) + "\n")
        sys.stdout.flush()
        stopping = maybeDeferred(services[number].stopService)
        stopping.addCallback(lambda _: running.discard(number))
        stopping.addCallback(lambda _: None if running else reactor.stop())  # type: ignore[attr-defined]

    services: list[Any] = []
    for number, words in enumerate(command_lines):
        options = node.Options()
        options.parseOptions(words)
        service: Any = node.makeService(options)
        service.on_exit = lambda status, number=number: ended(number, status)
        services.append(service)
        reactor.callLater(0.02 * number, service.startService)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
