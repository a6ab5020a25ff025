"""What a run of attacks has shown: a table for people, wide or narrow, and JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
import msgspec
from attrs import frozen
from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tests.attack.attack import Attack
from tests.attack.verdict import Figures, Waits, control_failed, judge

# From here on there is room for what was tried in the table itself.
WIDE_COLUMNS: Final = 150


@frozen
class Outcome:
    """What came of one attack.

    @ivar figures: None if it could not be carried out.
    @ivar failure: why not.
    @ivar once: what was broken in a single run of several, a sentence each.
    """

    attack: Attack
    figures: Figures | None
    failure: str = ""
    once: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[str, ...]:
        """What was broken, a sentence each."""
        if self.figures is None:
            return (f"it could not be carried out: {self.failure}",)
        if control_failed(self.figures):
            return ("the honest client got no answer even without the attack",)
        return judge(self.attack.bounds, self.figures)

    @property
    def word(self) -> str:
        """The verdict in a word."""
        if self.figures is None or control_failed(self.figures):
            return "failed"
        return "broken" if self.broken else "kept"


def decide(carry_out: Callable[[], Outcome]) -> Outcome:
    """Carry an attack out; if something was broken do it twice more, and go by what two of the three runs say.

    A machine that others use holds up a daemon now and then; an attack that breaks something does so again.
    """
    first = carry_out()
    if first.word == "kept":
        return first
    kept, broken = [], [first]
    for _ in range(2):
        outcome = carry_out()
        (kept if outcome.word == "kept" else broken).append(outcome)
    return attrs.evolve(kept[0], once=first.broken) if len(kept) > 1 else broken[-1]


def write_table(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print what came of all."""
    is_wide = console.width >= WIDE_COLUMNS
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1 if is_wide else 0, 0, 0), show_edge=False)
    table.add_column("attack", no_wrap=True)
    if is_wide:
        table.add_column("tried", ratio=1)
    for title in ("before\nms", "during\nms", "after\nms", "memory MB\nbef/peak/after", "log\nB", ""):
        table.add_column(title, justify="right", no_wrap=True)
    for outcome in outcomes:
        tried = (outcome.attack.tries,) if is_wide else ()
        table.add_row(outcome.attack.name, *tried, *_cells(outcome.figures), _verdict(outcome))
    console.print(table)
    console.print("before, during, after: what an honest client waited, median/worst; > where it got no answer\n")
    for outcome in outcomes:
        if not is_wide or outcome.broken or outcome.once:
            console.print(_note(outcome, with_tried=not is_wide))
    kept = sum(outcome.word == "kept" for outcome in outcomes)
    console.print(f"{kept} of {len(outcomes)} kept")


def as_json(outcomes: Sequence[Outcome], **about: Any) -> bytes:
    """Everything that was measured.

    @param about: what is told of the run as a whole.
    """
    rows = [
        {
            "attack": outcome.attack.name,
            "role": outcome.attack.role,
            "tried": outcome.attack.tries,
            "verdict": outcome.word,
            "broken": outcome.broken,
            "broken_once": outcome.once,
            "bounds": attrs.asdict(outcome.attack.bounds),
            **(_numbers(outcome.figures) if outcome.figures is not None else {}),
        }
        for outcome in outcomes
    ]
    return msgspec.json.format(msgspec.json.encode({**about, "attacks": rows}), indent=1) + b"\n"


def _numbers(seen: Figures) -> dict[str, Any]:
    phases = ("before", "during", "after")
    rest = attrs.asdict(seen, recurse=False, filter=lambda attribute, _: attribute.name not in (*phases, "wrong"))
    return {**{phase: _summary(getattr(seen, phase)) for phase in phases}, **rest}


def _summary(waits: Waits) -> dict[str, Any]:
    return {
        "questions": waits.count,
        "answered": len(waits.answered_s),
        "median_s": waits.median_s,
        "worst_s": waits.worst_s,
    }


def _cells(seen: Figures | None) -> tuple[str, ...]:
    if seen is None:
        return ("",) * 5
    return (
        *(_waits(waits) for waits in (seen.before, seen.during, seen.after)),
        _memory(seen),
        _size(seen.log_bytes),
    )


def _waits(waits: Waits) -> str:
    if not waits.count:
        return "-"
    worst = ("" if waits.share_answered == 1.0 else ">") + _ms(waits.worst_s or 0.0)
    return f"{_ms(waits.median_s or 0.0)}/{worst}"


def _size(size_bytes: int) -> str:
    if size_bytes < 10_000:
        return str(size_bytes)
    return f"{size_bytes / 1e3:.0f}K" if size_bytes < 999_500 else f"{size_bytes / 1e6:.1f}M"


def _ms(seconds: float) -> str:
    if seconds >= 10.0:
        return f"{seconds:.0f}s"
    return f"{seconds * 1000:.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"


def _memory(seen: Figures) -> str:
    values = (seen.memory_before, seen.memory_peak, seen.memory_after)
    if seen.memory_before is None:
        return "-"
    return "/".join("?" if value is None else f"{value / 1e6:.0f}" for value in values)


def _verdict(outcome: Outcome) -> Text:
    return Text(outcome.word, "green" if outcome.word == "kept" else "bold red")


def _note(outcome: Outcome, with_tried: bool) -> RenderableType:
    """What stands below the table about one attack."""
    lines: list[RenderableType] = [Text.assemble((outcome.attack.name, "bold"), f" ({outcome.attack.role})")]
    if with_tried:
        lines.append(Padding(Text(outcome.attack.tries), (0, 0, 0, 2), expand=False))
    lines += [Padding(Text(f"broken: {sentence}"), (0, 0, 0, 2), expand=False) for sentence in outcome.broken]
    once = (f"broken in one run of three: {sentence}" for sentence in outcome.once)
    lines += [Padding(Text(sentence), (0, 0, 0, 2), expand=False) for sentence in once]
    return Group(*lines)
