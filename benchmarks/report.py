"""The rows of a run: made, printed, and kept in C{benchmarks/latest.json}."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from attrs import asdict, frozen

LATEST: Final = Path(__file__).with_name("latest.json")

_COLUMNS: Final = "{:<38}{:>14}{:>14}{:>9}{:>8}"


class BenchmarkError(Exception):
    """A benchmark could not be run; the text says why, for the user."""


@frozen
class Row:
    """One measure beside its peer.

    @ivar name: of the measure.
    @ivar ours: median of this project's figures.
    @ivar peer: median of the peer's; None when it is not installed.
    @ivar ratio: how many times better ours is, whichever way better is; None without a peer. Of the medians, or the
        median of those of single rounds.
    @ivar goal: the least ratio wanted.
    """

    name: str
    ours: float
    peer: float | None
    ratio: float | None
    goal: float

    @classmethod
    def of_rates(cls, name: str, ours: float, peer: float | None, goal: float) -> Row:
        """A row of figures that are better when larger."""
        return cls(name, round(ours, 1), _rounded(peer), None if peer is None else round(ours / peer, 3), goal)

    @classmethod
    def of_costs(cls, name: str, ours: float, peer: float | None, goal: float) -> Row:
        """A row of figures that are better when smaller."""
        return cls(name, round(ours, 1), _rounded(peer), None if peer is None else round(peer / ours, 3), goal)

    @classmethod
    def of_rounds(cls, name: str, ours: Sequence[float], peers: Sequence[float], goal: float) -> Row:
        """A row of rates that were taken in turn, in short rounds, each held against the peer's of its round.

        So a machine that is slow for some seconds is slow for both.

        @param peers: in the order of C{ours}; none when it is not installed.
        """
        if not peers:
            return cls(name, round(median(ours), 1), None, None, goal)
        ratios = [our / peer for our, peer in zip(ours, peers, strict=True)]
        return cls(name, round(median(ours), 1), round(median(peers), 1), round(median(ratios), 3), goal)

    def __str__(self) -> str:
        peer = "not installed" if self.peer is None else f"{self.peer:,.0f}"
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        return _COLUMNS.format(self.name, f"{self.ours:,.0f}", peer, ratio, f"{self.goal:g}")


def heading() -> str:
    """The line above the rows."""
    return _COLUMNS.format("name", "ours", "peer", "ratio", "goal")


def keep(rows: Sequence[Row], *, beside_earlier: bool, path: Path = LATEST) -> None:
    """Write rows to the file of the latest run.

    @param beside_earlier: whether rows of other names that are in the file stay there.
    @raise BenchmarkError: the file cannot be read or written.
    """
    try:
        earlier = json.loads(path.read_text(encoding="utf-8")) if beside_earlier and path.exists() else []
        kept = {row["name"]: row for row in earlier} | {row.name: asdict(row) for row in rows}
        path.write_text(json.dumps(list(kept.values()), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchmarkError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError):
        raise BenchmarkError(f"{path} does not hold the rows of a run; delete it and run again") from None


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 1)
