"""Plays every scene on Twisted's reactor, over loopback, and prints what was seen; for a process of its own."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from tests.scenes import calling, producing, talking
from tests.scenes.stage import SCENES, Seen, Stage, run_scene

# Importing them puts their scenes on the list.
ACTS = (talking, calling, producing)


async def _play_all(reactor: Any) -> dict[str, Seen]:
    seen: dict[str, Seen] = {}
    for name, scene in SCENES.items():
        stage = Stage(reactor, reactor, "127.0.0.1")
        await run_scene(scene, stage)
        # What happens when the reactor stops is not part of it.
        seen[name] = {who: list(events) for who, events in stage.seen.items()}
    return seen


def main() -> None:
    """Play all scenes on the real reactor, one after the other."""
    from twisted.internet import reactor

    def show(seen: dict[str, Seen]) -> None:
        print(json.dumps(seen))  # noqa: T201 # for who started this process
        reactor.stop()  # type: ignore[attr-defined]

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(_play_all(reactor)).addCallback(show))  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
