"""C{python -m tests.soak SEEDS [FIRST]}: simulate as many seeds as asked for, and print what was covered."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from attrs import frozen
from twisted.logger import globalLogBeginner

from tests.sim.race import Race
from tests.sim.seeds import KINDS, run_seed, scenario_of
from twisted_bazaar.cli.simulate.options import replaying
from twisted_bazaar.sim.invariants.machines import NoFaultOfOurs

RACE: Final = "race"


@frozen
class Outcome:
    """What came of one run, small enough to be handed between processes."""

    kind: str
    seed: int
    virtual_s: float
    messages: int
    obtained: int
    checked: Counter[str]
    violations: Sequence[str]


def outcome_of(run: tuple[str, int]) -> Outcome:
    """Make one run."""
    kind, seed = run
    if kind == RACE:
        return _outcome_of_race(seed)
    report = run_seed(kind, seed)
    return Outcome(
        kind,
        seed,
        report.virtual_s,
        sum(report.messages.values()),
        report.obtained,
        Counter({kept.promise: kept.checked for kept in report.promises}),
        [f"{violation.at_s:.1f} s: {violation.promise}: {violation.text}" for violation in report.violations],
    )


def _outcome_of_race(seed: int) -> Outcome:
    race = Race(seed, buyers=100, stock=10, relays=10)
    race.run()
    checked = Counter({check.promise: check.checked for check in race.checks})
    timeline = race.network.timeline
    return Outcome(RACE, seed, timeline.now, checked[NoFaultOfOurs.promise], race.stock, checked, race.faults())


def main(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    if not 1 <= len(words) <= 2 or not all(word.isdigit() for word in words) or int(words[0]) < 1:
        print("usage: python -m tests.soak SEEDS [FIRST]", file=sys.stderr)
        return 2
    kinds = (*KINDS, RACE)
    first = int(words[1]) if len(words) > 1 else 1
    runs = [(kind, seed) for seed in range(first, first + int(words[0])) for kind in kinds]
    began = time.monotonic()
    checked: Counter[str] = Counter()
    virtual_s, messages, obtained, failed = 0.0, 0, 0, 0
    with ProcessPoolExecutor(os.cpu_count(), initializer=_be_quiet) as processes:
        for outcome in processes.map(outcome_of, runs):
            checked.update(outcome.checked)
            virtual_s += outcome.virtual_s
            messages += outcome.messages
            obtained += outcome.obtained
            if outcome.violations:
                failed += 1
                print(f"{outcome.kind}, seed {outcome.seed}: {outcome.violations[0]}")
                print(f"  {_again(outcome.kind, outcome.seed)}", flush=True)
    print(
        f"{len(runs)} runs of {len(kinds)} kinds ({', '.join(kinds)}) from seed {first} on, in "
        f"{time.monotonic() - began:.0f} s: {virtual_s / 3600:.1f} virtual hours, {messages:,} messages, "
        f"{obtained:,} purchases, files and searches with a hit"
    )
    for promise, count in checked.items():
        print(f"{count:>14,}  {promise}")
    print(f"{failed} runs broke a promise" if failed else "every promise was kept")
    return 1 if failed else 0


def _again(kind: str, seed: int) -> str:
    """The command that makes a run again."""
    if kind == RACE:
        return f"{sys.executable} -m tests.soak 1 {seed}"
    return replaying(scenario_of(kind, seed), None, {})


def _be_quiet() -> None:
    globalLogBeginner.beginLoggingTo([lambda event: None], redirectStandardIO=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
