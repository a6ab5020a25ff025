"""A tracker with nodes that keep their state, and the commands that ask them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.integration import fork_server
from tests.integration.daemons import TWISTD, Daemon, Daemons

PYTHON: Final = (sys.executable, "-m", "twisted_bazaar")


class Shop:
    """A tracker, and nodes that keep their state.

    @ivar daemons: all of them.
    """

    def __init__(self, daemons: Daemons, directory: Path, *, has_kept_tracker: bool = False) -> None:
        self.daemons = daemons
        self.directory = directory
        _, self.tracker = daemons.start_tracker(is_kept=has_kept_tracker)

    def node(self, role: str, *words: str) -> Daemon:
        """Start a node."""
        return self.daemons.start("bazaar-node", "--tracker", self.tracker, "--role", role, *words)

    def run_node(self, role: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a node that ends by itself."""
        return self._run(TWISTD, "bazaar-node", "--tracker", self.tracker, "--role", role, *words)

    def bazaar(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Type a command."""
        return self._run(PYTHON, *words, **options)

    def told(self, *words: str) -> Any:
        """What a command that ends well prints as JSON."""
        done = self.bazaar(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _run(self, program: tuple[str, ...], *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return fork_server.run(
            (*program, *words),
            text=True,
            cwd=self.directory,
            timeout=60,
            check=False,
            env={**os.environ, **self.daemons.environment},
            **settings,
        )
