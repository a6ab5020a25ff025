"""The kinds of run that are made of many seeds: a few by the tests, as many as asked for by C{make soak}."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted_bazaar.sim.files.run import FilesRun
from twisted_bazaar.sim.files.scenario import FilesScenario
from twisted_bazaar.sim.market.run import MarketRun
from twisted_bazaar.sim.market.scenario import MarketScenario
from twisted_bazaar.sim.report import Report
from twisted_bazaar.sim.ring.run import RingRun
from twisted_bazaar.sim.ring.scenario import RingScenario
from twisted_bazaar.sim.run import Run
from twisted_bazaar.sim.scenario import Scenario
from twisted_bazaar.sim.superpeer.run import SuperPeerRun
from twisted_bazaar.sim.superpeer.scenario import SuperPeerScenario

_MARKET: Final = MarketScenario(nodes=25, sellers=5, buyers=7, items=6, kinds=3, for_="90s")
_FILES: Final = FilesScenario(nodes=20, sharers=6, files=25, for_="90s", bandwidth=400_000.0)
_SUPER_PEERS: Final = SuperPeerScenario(
    nodes=48, super_peers=8, degree=3, files=150, shared=6, for_="45s", queries=10, churn=0.0, ping="2.5s"
)

MARKETS: Final[Mapping[str, Scenario]] = {
    "calm": _MARKET.evolve(nodes=60, settle="30s"),
    "scarce": _MARKET.evolve(stock=2, buyers=15, wants=4, settle="30s"),
    "storm": _MARKET.evolve(stock=4, mode="safety", loss=0.05, faults_a_minute=30.0),
    "recovery": _MARKET.evolve(loss=0.02, churn=0.3, faults_a_minute=20.0),
    "narrow": _MARKET.evolve(bandwidth=4_000.0, latency="uniform:50ms:900ms", loss=0.1, churn=0.1),
}
FILES: Final[Mapping[str, Scenario]] = {
    "quiet": _FILES.evolve(nodes=40, bandwidth=0.0, settle="30s"),
    "liars": _FILES.evolve(liars=0.5),
    "crowd": _FILES.evolve(nodes=16, sharers=3, copies=1, files=3, size=3.0, wants=2, for_="20s"),
    "outages": _FILES.evolve(liars=0.3, loss=0.02, mode="safety", faults_a_minute=10.0),
    "repair": _FILES.evolve(liars=0.3, loss=0.01, churn=0.3, faults_a_minute=20.0),
}
SUPER_PEERS: Final[Mapping[str, Scenario]] = {
    "still": _SUPER_PEERS.evolve(nodes=80, super_peers=16, ttl=2),
    "restless": _SUPER_PEERS.evolve(churn=1.0, results=5),
    "full": _SUPER_PEERS.evolve(leaves=14, churn=0.3),
    "broken": _SUPER_PEERS.evolve(churn=0.3, loss=0.02, faults_a_minute=20.0, settle="60s"),
    "besieged": _SUPER_PEERS.evolve(mode="safety", churn=0.3, loss=0.05, faults_a_minute=30.0),
}
_RING: Final = RingScenario(nodes=20, lookups=15, values=10, for_="40s", settle="60s", dead=0.0)
RINGS: Final[Mapping[str, Scenario]] = {
    "joining": _RING.evolve(nodes=40, begin="joined"),
    "dying": _RING.evolve(nodes=40, dead=0.3),
    "churning": _RING.evolve(churn=0.5, for_="90s"),
    "splitting": _RING.evolve(faults_a_minute=4.0, fault_kinds=["partition", "kill"], settle="3m"),
}
KINDS: Final[Mapping[str, Scenario]] = {**MARKETS, **FILES, **SUPER_PEERS, **RINGS}
_RUNS: Final[Mapping[str, Callable[[Any], Run[Any, Any]]]] = {
    run.of.name: run for run in (MarketRun, FilesRun, SuperPeerRun, RingRun)
}


def scenario_of(kind: str, seed: int) -> Scenario:
    """One run of a kind."""
    return KINDS[kind].evolve(seed=seed)


def run_seed(kind: str, seed: int) -> Report:
    """Make one run."""
    scenario = scenario_of(kind, seed)
    report: Report = _RUNS[scenario.name](scenario).run()
    # A run that is over is one great circle, and its files are large: the next is not to begin beside it.
    gc.collect()
    return report
