"""The hooks and the workflow of public continuous integration run what make runs, and nothing of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

ROOT: Final = Path(__file__).parents[2]
MAKEFILE: Final = (ROOT / "Makefile").read_text(encoding="utf-8")
DEPENDENCIES: Final = re.compile(r"^([a-z][a-z -]*): \$\(VENV\)", re.MULTILINE)


def values(name: str, key: str) -> Sequence[str]:
    """What a file in YAML has for a key, wherever that stands, without what makes it a text."""
    found = re.findall(rf"^[ -]*{key}: (.+)$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    return [each.partition(" #")[0].strip("\"' ") for each in found]


class ContinuousIntegrationTests(SynchronousTestCase):
    """What is run stands in the Makefile, once."""

    targets = frozenset(name for line in DEPENDENCIES.findall(MAKEFILE) for name in line.split())

    def test_targets(self) -> None:
        """The Makefile tells of each of its targets at its top, and of no other."""
        told = re.findall(r"^# make ([a-z-]+)", MAKEFILE, re.MULTILINE)

        self.assertEqual({*told}, self.targets)
        self.assertLess({"docs", "lint", "review", "test", "test-all", "types", "wheel"}, self.targets)

    def test_hooks(self) -> None:
        """Each hook of pre-commit makes one target."""
        entries = values(".pre-commit-config.yaml", "entry")

        self.assertIn("make lint", entries)
        self.assertEqual([each for each in entries if each.removeprefix("make ") not in self.targets], [])
        self.assertEqual(len(entries), len(values(".pre-commit-config.yaml", "id")))

    def test_workflow(self) -> None:
        """Each command of the workflow has the script of continuous integration make one target."""
        commands = values(".github/workflows/ci.yml", "run")

        self.assertEqual(commands, [".ci/run test", ".ci/run test-all"])
        self.assertIn('make "$target"', (ROOT / ".ci/run").read_text(encoding="utf-8"))

    def test_pythons(self) -> None:
        """The workflow tests the lowest Python that the package is for, and each that it says it runs with."""
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        tested = re.findall(r"3\.\d+", values(".github/workflows/ci.yml", "python")[0])

        self.assertEqual(re.findall(r'requires-python = ">=(.+)"', project), tested[:1])
        self.assertLessEqual({*re.findall(r"Python :: (3\.\d+)", project)}, {*tested})
