"""Names of the programs of this environment as a user can call them, so that what is printed can be copied."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

_OURS: Final = "bazaar"
_MODULE: Final = Path(__file__).parents[2]


def how_to_call(program: str) -> str:
    """The words that call a program: its name, where it is, or the module that was run instead."""
    python = Path(sys.executable)
    beside = python.parent / program
    if program == _OURS and (Path(sys.argv[0]) == _MODULE / "__main__.py" or not beside.exists()):
        is_found = shutil.which(python.name) == sys.executable
        return f"{python.name if is_found else _where(python)} -m {_MODULE.name}"
    found = shutil.which(program)
    if not beside.exists() or (found is not None and os.path.samefile(found, beside)):
        return program
    return _where(beside)


def _where(program: Path) -> str:
    return shlex.quote(os.path.relpath(program) if program.is_relative_to(Path.cwd()) else str(program))
