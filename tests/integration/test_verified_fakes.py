"""The simulator does what Twisted does: the same scenes on its machines and on loopback look the same to both ends."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from twisted.logger import globalLogPublisher

from tests.scenes.playing import SCENES
from tests.scenes.stage import TICK_S, Seen, Stage, run_scene
from twisted_bazaar.sim.engine.hosts import Network
from twisted_bazaar.sim.engine.network_conditions import Conditions

_LONGEST_S = 60.0


@pytest.fixture(scope="module")
def real() -> dict[str, Seen]:
    """What was seen on Twisted's reactor, by scene."""
    program = (sys.executable, "-c", "from tests.scenes.playing import main; main()")
    done = subprocess.run(program, capture_output=True, text=True, timeout=_LONGEST_S, check=True)
    seen: dict[str, Seen] = json.loads(done.stdout)
    return seen


def simulated(name: str, conditions: Conditions) -> Seen:
    """What is seen of a scene on the simulator."""
    network = Network(1, conditions, cut_share=0.0)
    server, client = network.add_host("server"), network.add_host("client")
    stage = Stage(server, client, server.address)
    playing = run_scene(SCENES[name], stage)
    # What raises is part of some scenes, and need not be shown.
    globalLogPublisher.addObserver(_ignore)
    try:
        network.timeline.run_until(TICK_S * 100, lambda: playing.called)
    finally:
        globalLogPublisher.removeObserver(_ignore)
    return stage.seen


def _ignore(event: object) -> None:
    """An observer keeps what is logged from going to the standard error."""


@pytest.mark.parametrize("name", SCENES)
def test_same(real: dict[str, Seen], name: str) -> None:
    """Both ends see the same events and reasons in the same order on the simulator as on Twisted's reactor."""
    assert simulated(name, Conditions(latency_s=0.0001)) == real[name]


@pytest.mark.parametrize("name", SCENES)
def test_same_at_once(real: dict[str, Seen], name: str) -> None:
    """The same holds when bytes take no time at all, so that much happens at one instant."""
    assert simulated(name, Conditions(latency_s=0.0)) == real[name]
