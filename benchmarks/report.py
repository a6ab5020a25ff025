"""The rows of a run: printed, and kept in C{benchmarks/latest.json}."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

LATEST: Final = Path(__file__).with_name("latest.json")
KEYS: Final = ("name", "ours", "peer", "ratio", "goal")

_COLUMNS: Final = "{:<30}{:>14}{:>14}{:>9}{:>8}"
_BELOW: Final = "    "


class BenchmarkError(Exception):
    """A benchmark could not be run; the text says why, for the user."""


@frozen
class Row:
    """One measure beside its peer.

    @ivar ours: median of this project's figures; None if it cannot be measured without the peer.
    @ivar peer: median of the peer's; None when it is not installed.
    @ivar ratio: how many times better ours is, whichever way better is: the median of those of single rounds. None
        without a peer.
    @ivar goal: the least ratio wanted.
    @ivar quartiles: the first and the third of the ratios; None of one round.
    @ivar unit: of the figures.
    @ivar beside: what the peer is.
    @ivar install: the command that installs the peer; None if it is there.
    """

    name: str
    ours: float | None
    peer: float | None
    ratio: float | None
    goal: float
    quartiles: tuple[float, float] | None
    rounds: int
    unit: str
    beside: str
    install: str | None

    def to_json(self) -> dict[str, Any]:
        """What is kept of it."""
        return {key: getattr(self, key) for key in KEYS}

    def __str__(self) -> str:
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        peer = "not installed" if self.peer is None else _written(self.peer)
        line = _COLUMNS.format(self.name, _written(self.ours), peer, ratio, f"{self.goal:g}")
        below = f"{self.unit}; beside {self.beside}"
        if self.quartiles is not None:
            below += "; quartiles {:.2f} and {:.2f}".format(*self.quartiles) + f" of {self.rounds} rounds"
        if self.install is not None:
            below += f"; install it by: {self.install}"
        return f"{line}\n{_BELOW}{below}"


def heading() -> str:
    """The line above the rows."""
    return _COLUMNS.format(*KEYS)


def keep(rows: Sequence[Row], *, beside_earlier: bool, path: Path = LATEST) -> None:
    """Write rows to the file of the latest run.

    @param beside_earlier: whether rows of other names that are in the file stay there.
    @raise BenchmarkError: the file cannot be read or written.
    """
    try:
        earlier = json.loads(path.read_text(encoding="utf-8")) if beside_earlier and path.exists() else []
        kept = {row["name"]: row for row in earlier} | {row.name: row.to_json() for row in rows}
        path.write_text(json.dumps(list(kept.values()), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchmarkError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError):
        raise BenchmarkError(f"{path} does not hold the rows of a run; delete it and run again") from None


def _written(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:,.4g}"
