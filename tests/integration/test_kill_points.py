"""Whoever is killed, and wherever: nothing is sold twice, nothing is lost, and the sale comes to its end."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.integration.killing import CALLS, Bench, KillPoint
from tests.integration.prey import NO_FLAW

WORKERS: Final = 6
LEAST_POINTS: Final = 300
# A flaw is found long before that.
MOST_POINTS_FOR_A_FLAW: Final = 240
# One of seller and buyer in about every kind of call.
A_FEW_POINTS: Final = 12

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace, which does the killing, is missing")


class Sweep:
    """Every kill point of some daemons, until each has made all the calls that it makes.

    @ivar faults: what was wrong, with the point where it was seen.
    @ivar points: how many there were.
    """

    def __init__(self, who: tuple[str, ...], calls: tuple[str, ...], most: int | None = None) -> None:
        self._next = {(each, call): 1 for each in who for call in calls}
        self._most = most
        self._lock = threading.Lock()
        self.faults: list[str] = []
        self.points = 0

    def run(self, directory: Path, plant: str = NO_FLAW) -> None:
        """Go through them."""
        with ThreadPoolExecutor(WORKERS) as pool:
            for done in [pool.submit(self._work, directory / f"{worker}", plant) for worker in range(WORKERS)]:
                done.result()

    def _work(self, directory: Path, plant: str) -> None:
        with Bench(directory, plant) as bench:
            for point in self._to_come():
                faults = bench.play(point)
                with self._lock:
                    if faults is None:
                        self._next.pop((point.who, point.call), None)
                        continue
                    self.points += 1
                    self.faults += [f"{point}: {fault}" for fault in faults]

    def _to_come(self) -> Iterator[KillPoint]:
        """The next point, as long as there is one: those of each kind in turn."""
        while True:
            with self._lock:
                if not self._next or (self._most is not None and (self.faults or self.points >= self._most)):
                    return
                (who, call), number = min(self._next.items(), key=lambda item: item[1])
                self._next[who, call] = number + 1
            yield KillPoint(who, call, number)


@needs_strace
def test_first_points(tmp_path: Path) -> None:
    """Seller and buyer are killed before the first of their calls of each kind."""
    sweep = Sweep(("seller", "buyer"), CALLS, A_FEW_POINTS)
    sweep.run(tmp_path)
    assert sweep.faults == []
    assert sweep.points >= A_FEW_POINTS


@pytest.mark.slow
@needs_strace
@pytest.mark.timeout(900)
def test_every_point(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seller and buyer are killed before every write and every sync, and at some moments between."""
    sweep = Sweep(("seller", "buyer"), CALLS)
    sweep.run(tmp_path)
    assert sweep.faults == []
    assert sweep.points >= LEAST_POINTS
    with capsys.disabled():
        sys.stdout.write(f" {sweep.points} kill points ")


@pytest.mark.slow
@needs_strace
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("who", "plant"), [("seller", "answer before commit"), ("buyer", "send before intent")])
def test_flaw_is_found(tmp_path: Path, who: str, plant: str) -> None:
    """Who says something before it is on its disk is found out: such a flaw is seen before the restart."""
    sweep = Sweep((who,), ("pwrite64", "fdatasync", "sendto", "write"), MOST_POINTS_FOR_A_FLAW)
    sweep.run(tmp_path, plant)
    assert any("before the restart" in fault for fault in sweep.faults), sweep.faults
