"""How a user can call the programs of this environment, so that what is printed can be copied."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def how_to_call(program: str) -> str:
    """The words that call a program: its name, or where it is."""
    beside = Path(sys.executable).parent / program
    found = shutil.which(program)
    if not beside.exists() or (found is not None and os.path.samefile(found, beside)):
        return program
    return shlex.quote(os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside))
