"""The kinds of run that are made of many seeds: a few by the tests, as many as asked for by C{make soak}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from twisted_bazaar.sim.market import MarketRun
from twisted_bazaar.sim.report import Report
from twisted_bazaar.sim.scenario import Scenario

_SMALL: Final = Scenario(nodes=25, sellers=5, buyers=7, items=6, kinds=3, for_="90s")

KINDS: Final[Mapping[str, Scenario]] = {
    "calm": _SMALL.evolve(nodes=60, settle="30s"),
    "scarce": _SMALL.evolve(stock=2, buyers=15, wants=4, settle="30s"),
    "storm": _SMALL.evolve(stock=4, mode="safety", loss=0.05, faults_a_minute=30.0),
    "recovery": _SMALL.evolve(loss=0.02, churn=0.3, faults_a_minute=20.0),
    "narrow": _SMALL.evolve(bandwidth=4_000.0, latency="uniform:50ms:900ms", loss=0.1, churn=0.1),
}


def scenario_of(kind: str, seed: int) -> Scenario:
    """One run of a kind."""
    return KINDS[kind].evolve(seed=seed)


def run_seed(kind: str, seed: int) -> Report:
    """Make one run."""
    return MarketRun(scenario_of(kind, seed)).run()
