"""The common part of all invariants.

A check sees what nodes send and report, and looks into them now and then; it never steers the run.
"""

from __future__ import annotations

from typing import ClassVar, Final

from attrs import frozen

from twisted_bazaar.sim.cluster import Cluster, Observer

_MOST_TOLD: Final = 20


@frozen
class Violation:
    """A promise that was broken.

    @ivar promise: which.
    @ivar at_s: when, in seconds since the run began.
    @ivar text: how.
    """

    promise: str
    at_s: float
    text: str


class Check(Observer):
    """Watches one promise.

    @cvar promise: what is promised.
    @ivar checked: how often it was checked.
    @ivar violations: each time it was found broken; the first few.
    """

    promise: ClassVar[str]

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.checked: int = 0
        self.violations: list[Violation] = []

    @property
    def now(self) -> float:
        """The present instant."""
        return self.cluster.network.timeline.now

    def on_second(self) -> None:
        """Look into the nodes; called once a second."""

    def on_settled(self) -> None:
        """Faults have stopped, and there was time to settle; called then, if ever."""

    def on_end(self) -> None:
        """The run is over."""

    def expect(self, is_kept: bool, text: str) -> None:
        """Count one check.

        @param text: what is wrong when it is not kept.
        """
        self.checked += 1
        if not is_kept and len(self.violations) < _MOST_TOLD:
            self.violations.append(Violation(self.promise, self.now, text))
