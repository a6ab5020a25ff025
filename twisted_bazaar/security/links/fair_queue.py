"""Fair queueing over hosts of connections that wait to be served. Sans-IO.

The host comes next for which the node has worked least (virtual time, as in start-time fair queueing: Goyal, Vin and
Cheng, 1996), with one of its connections: a host with a thousand gets no more than one with a single one, and who
asks little goes before those who ask much.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Final, Generic, Protocol, TypeVar

# So far ahead of others is who comes after a pause.
_CREDIT_S: Final = 0.1
# Of so many hosts it is known how long was worked for them while somebody waits.
_MOST_KNOWN: Final = 4_096


class OfHost(Protocol):
    """Something that is served for a host."""

    @property
    def host(self) -> str:
        """That host; the same for as long as it waits."""


C = TypeVar("C", bound=OfHost)


class FairQueue(Generic[C]):
    """Connections that wait, in the order in which their hosts come."""

    def __init__(self) -> None:
        # By host, each with those of it that wait; whoever is first is served next.
        self._waiting: dict[str, OrderedDict[C, None]] = {}
        # Hosts by their virtual time, each once while it waits, and in the order in which they came.
        self._in_order: list[tuple[float, int, str]] = []
        self._came = count()
        self._served: dict[str, float] = {}
        self._now_s = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def enqueue(self, one: C) -> None:
        """Let one wait; one that waits already keeps its place."""
        of_its_host = self._waiting.get(one.host)
        if of_its_host is None:
            of_its_host = self._waiting[one.host] = OrderedDict()
            self._line_up(one.host)
        of_its_host[one] = None

    def dequeue(self, one: C) -> None:
        """Take one out, if it waits."""
        of_its_host = self._waiting.get(one.host)
        if of_its_host is not None:
            # The host keeps its place in the order: it may come back before its turn comes.
            of_its_host.pop(one, None)

    def serve_next(self, serve: Callable[[C], float]) -> bool:
        """Serve the next one of the next host; returns whether there was one.

        @param serve: serves one, and returns how many seconds of work that was.
        """
        while self._in_order:
            at_s, _, host = heappop(self._in_order)
            self._now_s = max(self._now_s, at_s)
            if of_its_host := self._waiting[host]:
                break
            # Who has left keeps no place: a crowd of them would take the turns of those that wait.
            del self._waiting[host]
        else:
            return False
        one, _ = of_its_host.popitem(last=False)
        work_s = 0.0
        try:
            work_s = serve(one)
        finally:
            self._served[host] = at_s + work_s
            # The time of newcomers goes on while newcomers are all that come, or who was served before waits for ever.
            self._now_s += work_s / (len(self._in_order) + 1)
            if not of_its_host:
                self._waiting.pop(host, None)
            elif host in self._waiting:
                self._line_up(host)
        return True

    def clear(self) -> None:
        """Forget all that wait, and what they had."""
        self._waiting.clear()
        self._in_order.clear()
        self._served.clear()
        self._now_s = 0.0

    def _line_up(self, host: str) -> None:
        """A host waits from now on."""
        if len(self._served) > _MOST_KNOWN:
            self._served.clear()
        at_s = max(self._served.get(host, 0.0), self._now_s - _CREDIT_S)
        heappush(self._in_order, (at_s, next(self._came), host))
