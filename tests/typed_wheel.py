"""C{python -m tests.typed_wheel}: what C{make types} does.

A wheel is built and installed into an environment of its own, and pyright tells of each public name of it whether its
type is written down, or at least the same to whoever works it out. The status is 1 unless that is so for all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.integration.installation import Environment, build_wheel

PACKAGE = "twisted_bazaar"


def main() -> int:
    """Build, install and check; returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="bazaar-typed-wheel-") as scratch:
        place = Path(scratch)
        new = Environment(place / "new")
        new.install(str(build_wheel(place)))
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        done = subprocess.run(
            (sys.executable, "-m", "pyright", "--verifytypes", PACKAGE, "--ignoreexternal"),
            cwd=place,
            # It asks the first Python on the path where packages are, whatever it is told.
            env={**kept, "PATH": os.pathsep.join((str(new.directory / "bin"), os.environ.get("PATH", os.defpath)))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    # Before that stand the names of all modules.
    print(done.stdout[done.stdout.find("Symbols used in public interface:") :], done.stderr, sep="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
