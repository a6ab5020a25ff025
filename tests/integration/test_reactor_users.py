"""Who may run the reactor: pytest-twisted, for the tests of this directory, and nobody else.

It runs from the first of these tests to the end of the session. A trial C{TestCase} that waits for a Deferred
runs the same reactor itself, so it would pass or fail by what ran before it.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

RUNNERS: Final = ("pytest_twisted", "twisted.trial.unittest.TestCase")


def reactor_users(source: str) -> list[str]:
    """What a module of tests imports that runs the reactor."""
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [
        ".".join(filter(None, (getattr(node, "module", None), alias.name))) for node in imported for alias in node.names
    ]
    return [name for name in names if name.startswith(RUNNERS)]


@pytest.mark.parametrize("line", ["import pytest_twisted", "from twisted.trial.unittest import TestCase"])
def test_reactor_users_are_noticed(line: str) -> None:
    """An import of what runs the reactor is seen."""
    assert len(reactor_users(line)) == 1


def test_no_other_test_runs_the_reactor() -> None:
    """Tests outside this directory leave the reactor alone: here it runs all the time, and trial would run it too."""
    tests = Path(__file__).parents[1]
    elsewhere = [path for path in tests.rglob("*.py") if path.parent != Path(__file__).parent]

    found = {str(path.relative_to(tests)): reactor_users(path.read_text(encoding="utf-8")) for path in elsewhere}

    assert {path: names for path, names in found.items() if names} == {}
    assert len(found) > 30
