"""Churn: nodes that join for the first time and nodes that die for good, each at a rate (Rhea and others).

Source: the simulations of lookups during stabilization in Stoica and others, "Chord" (ToN 2003), where joins and leaves
are two Poisson processes of the same rate. Who leaves there says nothing; here it dies.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.ring.global_view import RingView

# Who is left alone has nobody to leave.
_FEWEST: Final = 2


class Churn:
    """Lets nodes join and die.

    @param rate: how many of each in a second.
    @ivar left: who has died.
    """

    _cluster: Cluster
    _view: RingView
    _add: Callable[[str], Member]

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._is_over = False
        self._joined = 0
        self.left: set[Member] = set()

    def begin(
        self,
        cluster: Cluster,
        view: RingView,
        add: Callable[[str], Member],
        joins: random.Random,
        leaves: random.Random,
    ) -> None:
        """Begin.

        @param add: adds a node by its name.
        @param joins: decides when somebody joins.
        @param leaves: decides when somebody dies, and who.
        """
        self._cluster, self._view, self._add = cluster, view, add
        self._wait(self._join, joins)
        self._wait(self._leave, leaves)

    def end(self) -> None:
        """Let nobody come or go any more."""
        self._is_over = True

    def _wait(self, then: Callable[[random.Random], None], rng: random.Random) -> None:
        timeline = self._cluster.network.timeline
        timeline.at(timeline.now + rng.expovariate(self._rate), then, rng)

    def _join(self, rng: random.Random) -> None:
        if self._is_over:
            return
        self._joined += 1
        self._add(f"newcomer-{self._joined}").keep_running()
        self._wait(self._join, rng)

    def _leave(self, rng: random.Random) -> None:
        if self._is_over:
            return
        contact = self._view.some(rng)
        member = None if contact is None else self._cluster.member_with_key(contact.key)
        if member is not None and len(self._view) > _FEWEST:
            self.left.add(member)
            member.kill()
        self._wait(self._leave, rng)
