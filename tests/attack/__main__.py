"""C{python -m tests.attack [--only NAME ...]}: attack real daemons, and print what held.

The exit status is 0 if every bound was kept, 1 if one was broken or an attack could not be carried out.
"""

from __future__ import annotations

import argparse
import fnmatch
import platform
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

from attrs import evolve
from rich.console import Console

from tests.attack.attack import Attack, all_attacks
from tests.attack.report import Outcome, as_json, decide, write_table
from tests.attack.stage import FULL, SHORT, Cores, Pace, Stage

# Into a pipe or a file: wide enough for whatever was tried, and the same everywhere.
_PIPE_COLUMNS: Final = 160


def main(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    said = _parser().parse_args(words)
    attacks = all_attacks()
    if said.list:
        for attack in attacks:
            print(f"{attack.name:<24} {attack.role:<14} {attack.tries}")
        return 0
    chosen = _chosen(attacks, said.only, said.short)
    if not chosen:
        print("attack: nothing is called so; --list lists all", file=sys.stderr)
        return 2
    pace = SHORT if said.short else FULL
    if said.seconds is not None:
        pace = evolve(pace, assault_s=said.seconds)
    signal.signal(signal.SIGTERM, _end)
    cores = Cores.of_this_process()
    if cores.is_one:
        print("attack: there is one core for attackers and victims, so waits say little", file=sys.stderr)
    began = time.time()
    outcomes = []
    try:
        for number, attack in enumerate(chosen, 1):
            outcomes.append(decide(partial(_outcome, attack, cores, pace)))
            took = f"{time.time() - began:.0f} s"
            print(f"{number}/{len(chosen)} {took:>6}  {attack.name}: {outcomes[-1].word}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        pass
    console = Console(width=None if sys.stdout.isatty() else said.width or _PIPE_COLUMNS, highlight=False)
    if said.width:
        console.width = said.width
    write_table(console, outcomes)
    if said.json is not None:
        about = {"at": time.strftime("%Y-%m-%d %H:%M", time.localtime(began)), "took_s": round(time.time() - began)}
        machine = f"{platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}"
        said.json.write_bytes(as_json(outcomes, **about, machine=machine, assault_s=pace.assault_s))
    if len(outcomes) < len(chosen):
        return 130
    return int(any(outcome.word != "kept" for outcome in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description="Attack real daemons on loopback.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these; * stands for anything")
    parser.add_argument("--short", action="store_true", help="a few seconds each, and fewer of them")
    parser.add_argument("--seconds", type=float, help="how long each attack goes on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument("--width", type=int, metavar="COLUMNS", help="of the table")
    parser.add_argument("--list", action="store_true", help="list the attacks, and make none")
    return parser


def _chosen(attacks: Sequence[Attack], only: Sequence[str] | None, is_short: bool) -> list[Attack]:
    """The attacks that were asked for: whoever names one gets it, short or not."""
    if only is None:
        return [attack for attack in attacks if attack.is_short or not is_short]
    return [attack for attack in attacks if any(fnmatch.fnmatch(attack.name, name) for name in only)]


def _outcome(attack: Attack, cores: Cores, pace: Pace) -> Outcome:
    try:
        with Stage(cores, pace) as stage:
            return Outcome(attack, attack.carry_out(stage, attack.bounds))
    except Exception as error:
        traceback.print_exc()
        return Outcome(attack, None, f"{type(error).__name__}: {error}".splitlines()[0])


def _end(number: int, frame: FrameType | None) -> None:
    """Ended politely, the daemons end too."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
