"""C{python -m benchmarks [MODULE]}: run one benchmark, or all there are."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import FrameType
from typing import Final

from benchmarks.report import BenchmarkError, Row, heading, keep

_ORDER: Final = (
    "wire",
    "relay",
    "tracker",
    "sim",
    "trade",
    "files",
    "index",
    "superpeer",
    "ring",
    "streams",
    "links",
)


def existing() -> list[str]:
    """The benchmarks there are, in the order they are run."""
    return [name for name in _ORDER if find_spec(f"benchmarks.{name}") is not None]


def run(names: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Run benchmarks and print their rows as they come.

    @return: the rows, and a line for each benchmark that failed.
    """
    rows: list[Row] = []
    faults: list[str] = []
    print(heading(), flush=True)
    for name in names:
        try:
            fresh: list[Row] = import_module(f"benchmarks.{name}").measure()
        except (BenchmarkError, OSError) as error:
            faults.append(f"{name}: {error}")
            continue
        except Exception:
            # A fault of the benchmark itself; the rows of the others are not lost with it.
            traceback.print_exc()
            faults.append(f"{name} cannot be measured: see above")
            continue
        for row in fresh:
            print(row, flush=True)
        rows += fresh
    return rows, faults


def main(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    names = existing()
    if len(words) > 1 or any(word not in names for word in words):
        print(f"usage: python -m benchmarks [{' | '.join(names)}]", file=sys.stderr)
        return 2
    # Ended politely or not, the servers that a benchmark has started end with it.
    signal.signal(signal.SIGTERM, _end)
    try:
        rows, faults = run(words or names)
        keep(rows, beside_earlier=bool(words or faults))
    except BenchmarkError as error:
        faults = [str(error)]
    except KeyboardInterrupt:
        return 130
    for fault in faults:
        print(f"benchmarks: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
