"""Bugs that are put into production code on purpose, to see that a check of the simulator catches them."""

from __future__ import annotations

import gc
import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.report import Report
from twisted_bazaar.sim.run import Run
from twisted_bazaar.sim.scenario import Scenario

MOST_SEEDS: Final = 200


class PlantedBugCase(SynchronousTestCase):
    """What a check promises to notice, it notices."""

    run_class: type[Run[Any, Any]]

    def make_run(self, scenario: Scenario, **how: Any) -> Run[Any, Any]:
        """A run of a scenario."""
        make: Any = self.run_class
        run: Run[Any, Any] = make(scenario, **how)
        return run

    def broken(self, scenario: Scenario, **how: Any) -> set[str]:
        """The promises that the first failing seed breaks."""
        for seed in range(MOST_SEEDS):
            report = self.make_run(scenario.evolve(seed=seed), **how).run()
            if report.violations:
                return {violation.promise for violation in report.violations}
        raise self.failureException(f"{MOST_SEEDS} seeds have shown nothing")

    def plant(self, cls: type, name: str, make: Callable[[Any], Callable[..., Any]]) -> None:
        """Put a broken method in place of a right one, which it is made from."""
        self.patch(cls, name, make(getattr(cls, name)))

    def assert_caught(self, check: type[Check], scenario: Scenario, **how: Any) -> None:
        """Some seed breaks the promise of this check.

        @param how: what else the run is to know.
        """
        self.assertIn(check.promise, self.broken(scenario, **how))

    def forgive(self, error: type[Exception]) -> None:
        """Let go of what a planted fault has brought about, be it logged only when what has failed is let go of."""
        gc.collect()
        self.flushLoggedErrors(error)

    def violations_of(self, scenario: Scenario, *checks: type[Check]) -> list[str]:
        """How a run breaks the promises of some checks."""
        report: Report = self.make_run(scenario, checks=checks).run()
        return [violation.text for violation in report.violations]

    def unchecked(self, scenario: Scenario) -> list[str]:
        """What nothing was checked of in some runs that break no promise."""
        checked: Counter[str] = Counter()
        for seed in range(3):
            report = self.make_run(scenario.evolve(seed=seed)).run()
            checked.update({kept.promise: kept.checked for kept in report.promises})
            self.assertEqual(report.violations, [])
        return [promise for promise, count in checked.items() if not count]

    def assert_all_proved(self, checks: Sequence[type[Check]]) -> None:
        """Each check has a bug in this class that it catches."""
        source = inspect.getsource(type(self))
        unproved = [check.__name__ for check in checks if f"assert_caught({check.__name__}," not in source]
        self.assertEqual(unproved, [])
