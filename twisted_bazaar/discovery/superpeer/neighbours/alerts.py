"""Alerts to the user of a super peer: which of its neighbours are not there, and that it has none; each once."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.discovery.superpeer.neighbours.neighbours import Neighbours
from twisted_bazaar.interfaces import INode
from twisted_bazaar.timer import Timer

# Some greetings and their answers may get lost.
UNANSWERED_S: Final = 5.0
ALONE_S: Final = 10.0


class Alerts:
    """The presence of those who should be there."""

    def __init__(self, node: INode, neighbours: Neighbours) -> None:
        self._node = node
        self._neighbours = neighbours
        self._has_said_alone = False
        self._is_running = False
        self._asking = Timer(node.clock, self._say_who_is_missing)
        self._alone = Timer(node.clock, self._say_alone)

    def start(self) -> None:
        """Begin, when the neighbours are greeted for the first time."""
        self._is_running = True
        self._asking.set(UNANSWERED_S)
        self.neighbours_changed()

    def neighbours_changed(self) -> None:
        """Look at the neighbours again: they are others than before."""
        if not self._is_running or self._has_said_alone:
            return
        if self._neighbours.linked:
            self._alone.cancel()
        elif not self._alone.is_set:
            self._alone.set(ALONE_S)

    def stop(self) -> None:
        """Cancel the timers: nothing is told any more."""
        self._is_running = False
        self._asking.cancel()
        self._alone.cancel()

    def _say_who_is_missing(self) -> None:
        for address in self._neighbours.unanswered():
            sentence = "the neighbour at {host} port {port} does not answer; still trying"
            self._node.report("neighbour-missing", sentence, host=address.host, port=address.port)

    def _say_alone(self) -> None:
        # Once is enough: whoever comes and goes is not to fill the log.
        self._has_said_alone = True
        self._node.report(
            "no-neighbours",
            "this super peer knows no other: only what its own weak peers have is found; "
            "others come by --neighbour HOST:PORT, here or there, or by a --tracker of all",
        )
