"""One attack from beginning to end: a control, the attack while an honest client goes on, and what is left of it."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.context import ForkProcess
from typing import Any, Final

from attrs import field, frozen

from tests.attack.stage import Pace, Stage, Victim, pinned_to
from tests.attack.verdict import Bounds, Figures, Waits

_GRACE_S: Final = 5.0
# For questions that are asked though the time is over.
_LONGEST_S: Final = 10.0
_CONTEXT: Final = multiprocessing.get_context("fork")


class NotAnswered(Exception):
    """An honest question was not answered in time."""


class Tally:
    """What the attackers have got done, counted by all of their processes."""

    def __init__(self) -> None:
        self.sent_bytes = _CONTEXT.Value("Q", 0)
        self.connections = _CONTEXT.Value("Q", 0)
        self.requests = _CONTEXT.Value("Q", 0)

    @staticmethod
    def add(counter: Any, amount: int) -> None:
        """Count more."""
        with counter.get_lock():
            counter.value += amount

    def __str__(self) -> str:
        parts = [f"{self.sent_bytes.value / 1e6:,.1f} MB sent over {self.connections.value:,} connections"]
        if self.requests.value:
            parts.append(f"{self.requests.value:,} requests")
        return ", ".join(parts)


@frozen(kw_only=True)
class Scene:
    """A victim, its honest client, and its attackers.

    @ivar victim: the daemon whose memory, log and turns are measured.
    @ivar ask: asks one honest question, and returns when it is answered; it runs on the victim's core.
        @raise NotAnswered: it was not, in the time that the client has.
    @ivar assaults: each runs in a process of its own on the attackers' core, and returns at the time of
        C{time.monotonic} that it is given.
    @ivar pause_s: between two honest questions.
    @ivar questions: how many of them in the control and after the attack, at least, if they are answered at all.
    @ivar tend: called between questions, to keep links alive that belong to the scene.
    @ivar check: what else is wrong, when all is over: a sentence each.
    @ivar tally: what the attackers count in.
    """

    victim: Victim
    ask: Callable[[], None]
    assaults: Sequence[Callable[[float], None]]
    pause_s: float = 0.02
    questions: int = 5
    tend: Callable[[], None] = lambda: None
    check: Callable[[], Iterable[str]] = lambda: ()
    tally: Tally = field(factory=Tally)


def siege(set_up: Callable[[Stage], Scene]) -> Callable[[Stage, Bounds], Figures]:
    """What carries out an attack on a daemon that others go on using.

    @param set_up: starts the daemons, and says who does what.
    """

    def carry_out(stage: Stage, bounds: Bounds) -> Figures:
        with pinned_to(stage.cores.victim):
            return _carry_out(set_up(stage), stage, bounds.again_bytes is not None)

    return carry_out


def _carry_out(scene: Scene, stage: Stage, is_twice: bool) -> Figures:
    pace, victim = stage.pace, scene.victim
    _ask_for(scene, pace.calm_s / 2, least=1)
    at_first = victim.resident_bytes
    before = _ask_for(scene, pace.calm_s, least=scene.questions)
    memory_before, log_before = victim.resident_bytes, victim.log()
    victim.forget_turns()
    victim.forget_peak()

    wrong: list[str] = []
    during, after = _run(scene, stage, pace, wrong)
    memory_after = victim.resident_bytes
    memory_again = None
    if is_twice:
        during_again, after_again = _run(scene, stage, pace, wrong)
        during, after = during + during_again, after + after_again
        memory_again = victim.resident_bytes
    held_bytes = victim.held_bytes()
    told = victim.log().removeprefix(log_before)
    wrong += scene.check()
    if "Traceback" in told or "Unhandled" in told:
        wrong.append("a traceback in the log: " + _last_words(told))
    if not victim.is_alive():
        wrong.append("the victim has ended")
    return Figures(
        before=before,
        during=during,
        after=after,
        memory_before=memory_before,
        memory_peak=victim.peak_bytes() if victim.is_alive() else None,
        memory_after=memory_after,
        memory_again=memory_again,
        control_bytes=max(0, memory_before - at_first),
        log_bytes=len(told.encode()),
        turn_s=victim.longest_turn_s,
        held_bytes=held_bytes,
        did=str(scene.tally),
        wrong=tuple(dict.fromkeys(wrong)),
    )


def _run(scene: Scene, stage: Stage, pace: Pace, wrong: list[str]) -> tuple[Waits, Waits]:
    """Let the attackers loose once; returns how long the honest client waited meanwhile, and then."""
    deadline = time.monotonic() + pace.assault_s
    attackers = [_let_loose(assault, deadline, stage.cores.attackers) for assault in scene.assaults]
    try:
        during = _ask_for(scene, deadline - time.monotonic(), least=1)
        for attacker in attackers:
            attacker.join(max(0.0, deadline + _GRACE_S - time.monotonic()))
    finally:
        for attacker in attackers:
            if attacker.is_alive():
                attacker.kill()
                attacker.join()
    if any(attacker.exitcode for attacker in attackers):
        wrong.append("an attacker failed, so the attack is worth nothing")
    # What is queued when the attackers go is still theirs: it counts for the waits, but is given its time.
    _ask_for(scene, pace.settle_s, least=1)
    return during, _ask_for(scene, pace.calm_s, least=scene.questions)


def _let_loose(assault: Callable[[float], None], deadline: float, core: int) -> ForkProcess:
    process = _CONTEXT.Process(target=_attack, args=(assault, deadline, core), daemon=True)
    process.start()
    return process


def _attack(assault: Callable[[float], None], deadline: float, core: int) -> None:
    """Be an attacker."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.sched_setaffinity(0, {core})
    try:
        assault(deadline)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _ask_for(scene: Scene, duration_s: float, least: int) -> Waits:
    """Ask honest questions for a while; each wait is from the question to its answer."""
    answered, unanswered = [], []
    deadline = time.monotonic() + duration_s
    while (now := time.monotonic()) < deadline or (
        len(answered) + len(unanswered) < least and now < deadline + _LONGEST_S
    ):
        scene.tend()
        began = time.monotonic()
        try:
            scene.ask()
        except NotAnswered:
            unanswered.append(time.monotonic() - began)
        else:
            answered.append(time.monotonic() - began)
        time.sleep(scene.pause_s)
    return Waits(tuple(answered), tuple(unanswered))


def _last_words(log: str) -> str:
    """The line that names the first error of a log."""
    lines = log.splitlines()
    first = next(i for i, line in enumerate(lines) if "Traceback" in line or "Unhandled" in line)
    named = (line.strip() for line in lines[first + 1 :] if _ERROR.match(line))
    return next(named, lines[first].strip())[:200]


_ERROR: Final = re.compile(r"\s*[\w.]+(Error|Exception|Interrupt|Failure|Warning)\b")
