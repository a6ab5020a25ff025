"""What an attack was seen to do, what it may do, and whether that was kept. Sans-IO.

A bound holds if it is met, or if the attack does no worse than three times the control: the same honest client at
the same daemon in the same minute, without the attack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from statistics import median
from typing import Final

from attrs import field, frozen

CONTROL_TIMES: Final = 3.0
_ROUNDING: Final = 1e-9


@frozen
class Waits:
    """How long an honest client waited for its answers.

    @ivar answered_s: of each question that was answered, in seconds.
    @ivar unanswered_s: of each that was not, until it was given up.
    """

    answered_s: tuple[float, ...] = ()
    unanswered_s: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        """How many questions there were."""
        return len(self.answered_s) + len(self.unanswered_s)

    @property
    def all_s(self) -> tuple[float, ...]:
        """All waits; one that was given up lasted at least so long."""
        return (*self.answered_s, *self.unanswered_s)

    @property
    def median_s(self) -> float | None:
        """The median wait, None without a question."""
        return median(self.all_s) if self.count else None

    @property
    def worst_s(self) -> float | None:
        """The longest wait, None without a question."""
        return max(self.all_s) if self.count else None

    @property
    def share_answered(self) -> float | None:
        """The share of the questions that was answered, None without a question."""
        return len(self.answered_s) / self.count if self.count else None

    def __add__(self, other: Waits) -> Waits:
        """Both together."""
        return Waits(self.answered_s + other.answered_s, self.unanswered_s + other.unanswered_s)


@frozen(kw_only=True)
class Bounds:
    """What an attack may do at most. None is not looked at.

    @ivar wait_s: the longest wait of an honest client, during the attack and after it.
    @ivar share_answered: at least this share of its questions is answered; below 1, of few all but one.
    @ivar peak_bytes: resident memory above that of before, at any time.
    @ivar kept_bytes: resident memory above that of before, once the attackers are gone.
    @ivar again_bytes: resident memory after a second run above that after the first. With it, the attack runs twice.
    @ivar log_bytes: how much the log grows, however long the attack goes on.
    @ivar turn_s: processor time of the longest turn of the reactor.
    @ivar held_bytes: what the links of the daemon hold, by its own count, once the attackers are gone.
    """

    wait_s: float | None = 0.25
    share_answered: float | None = 1.0
    peak_bytes: int | None = 50_000_000
    kept_bytes: int | None = None
    again_bytes: int | None = None
    log_bytes: int | None = 65_536
    turn_s: float | None = None
    held_bytes: int | None = 0


@frozen(kw_only=True)
class Figures:
    """What was measured of one attack.

    @ivar before, during, after: the waits of the honest client; C{before} is the control.
    @ivar memory_before, memory_peak, memory_after, memory_again: resident bytes of the victim, the last after a second
        run; None where no daemon was to go on.
    @ivar control_bytes: by how much memory grew in the control.
    @ivar log_bytes: how much the log grew.
    @ivar turn_s: processor time of the longest turn of the reactor during the attack.
    @ivar held_bytes: what the links of the victim hold afterwards, as it says; None where it does not say.
    @ivar did: what the attackers got done, for people, such as C{812 MB sent over 50 connections}.
    @ivar wrong: whatever else was not as it should be: each a sentence.
    """

    before: Waits = field(factory=Waits)
    during: Waits = field(factory=Waits)
    after: Waits = field(factory=Waits)
    memory_before: int | None = None
    memory_peak: int | None = None
    memory_after: int | None = None
    memory_again: int | None = None
    control_bytes: int = 0
    log_bytes: int = 0
    turn_s: float | None = None
    held_bytes: int | None = None
    did: str = ""
    wrong: Sequence[str] = ()


def judge(bounds: Bounds, seen: Figures) -> tuple[str, ...]:
    """What was broken, a sentence for each bound; none if all were kept."""
    return (*_broken_waits(bounds, seen), *_broken_bytes(bounds, seen), *seen.wrong)


def control_failed(seen: Figures) -> bool:
    """Whether the honest client got no answer at all even without the attack, so that nothing can be said of it."""
    return seen.before.count > 0 and not seen.before.answered_s


def _broken_waits(bounds: Bounds, seen: Figures) -> Iterator[str]:
    phases = (("during", seen.during), ("after", seen.after))
    for name, waits in phases:
        if bounds.wait_s is not None and waits.worst_s is not None:
            allowed_s = max(bounds.wait_s, CONTROL_TIMES * (seen.before.worst_s or 0.0))
            if waits.worst_s > allowed_s:
                yield f"a wait of {waits.worst_s * 1000:,.0f} ms {name}, at most {allowed_s * 1000:,.0f} ms"
        if bounds.share_answered is not None and waits.count:
            needed = min(bounds.share_answered, seen.before.share_answered or bounds.share_answered)
            # Of few questions one may be lost where any may.
            if len(waits.unanswered_s) > ceil(waits.count * (1 - needed) - _ROUNDING):
                yield f"{len(waits.answered_s)} of {waits.count} questions answered {name}"
    if seen.turn_s is not None and bounds.turn_s is not None and seen.turn_s > bounds.turn_s:
        yield f"a turn of {seen.turn_s * 1000:,.0f} ms, at most {bounds.turn_s * 1000:,.0f} ms"


def _broken_bytes(bounds: Bounds, seen: Figures) -> Iterator[str]:
    rows = (
        ("at the peak", seen.memory_before, seen.memory_peak, bounds.peak_bytes, seen.control_bytes),
        ("afterwards", seen.memory_before, seen.memory_after, bounds.kept_bytes, seen.control_bytes),
        ("by a second run", seen.memory_after, seen.memory_again, bounds.again_bytes, 0),
    )
    for name, base, value, bound, control in rows:
        if base is None or value is None or bound is None:
            continue
        allowed = max(bound, CONTROL_TIMES * control)
        if value - base > allowed:
            yield f"memory {_mb(value - base)} {name}, at most {_mb(allowed)}"
    if bounds.held_bytes is not None and seen.held_bytes is not None and seen.held_bytes > bounds.held_bytes:
        yield f"links that hold {seen.held_bytes:,} bytes afterwards, at most {bounds.held_bytes:,}"
    if bounds.log_bytes is not None and seen.log_bytes > bounds.log_bytes:
        yield f"a log of {seen.log_bytes:,} bytes, at most {bounds.log_bytes:,}"


def _mb(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:+.1f} MB"
