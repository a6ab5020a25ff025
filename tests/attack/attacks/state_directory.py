"""State directories that somebody else has prepared: is what they point to touched?

Everything here is about what others can do before a node starts, or in a directory in which they may write. A daemon
that is given such a directory refuses it with one line, or goes on without touching what was planted.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.attack.attack import Attack
from tests.attack.stage import LISTEN, Stage, Victim
from tests.attack.verdict import Bounds, Figures
from tests.attack.victims import start_index_server, start_tracker

_SECRET: Final = b"not to be touched\n"
_MODE: Final = 0o644
_LONGEST_S: Final = 40.0
# After it has joined: it keeps its id, and opens its books, about then.
_MORE_S: Final = 0.5
_NOBODY: Final = "nobody"


@frozen
class Case:
    """A directory, prepared by somebody else.

    @ivar name: for the report.
    @ivar role: whose directory it is.
    @ivar plant: prepares the directory, which is there with mode 0700; it is given the directory and a file that is
        not to be touched, or a path where there is nothing, and returns what C{--state} is given.
    @ivar has_target: whether that file is there.
    @ivar is_refused: whether the daemon has to refuse it, rather than go on without harm.
    """

    name: str
    role: str
    plant: Callable[[Path, Path], Path]
    has_target: bool = True
    is_refused: bool = False


class Trial:
    """One daemon that is given such a directory."""

    def __init__(self, stage: Stage, case: Case, tracker: Victim, index: Victim) -> None:
        self.case = case
        # What surrounds the directory is nobody else's.
        self._around = stage.folder()
        self._target = self._around / "target"
        if case.has_target:
            self._target.write_bytes(_SECRET)
            self._target.chmod(_MODE)
        real = self._around / "state"
        real.mkdir(mode=0o700)
        state = case.plant(real, self._target)
        self._before = sorted(path.name for path in real.iterdir()) if case.is_refused else None
        self._real = real
        folder = stage.folder()
        self._daemon = stage.launch(
            "bazaar-node",
            *_ROLES[case.role](tracker, index, folder),
            *LISTEN,
            "--state",
            str(state),
            is_pinned=False,
        )

    def wait(self, deadline: float) -> None:
        """Wait until the daemon has refused, or joined.

        @raise AssertionError: it does neither; nothing can be said of it then.
        """
        try:
            self._daemon.wait_for("joined the network", max(0.0, deadline - time.monotonic()))
        except AssertionError:
            if self._daemon.is_alive():
                raise

    def wrong(self) -> Iterator[str]:
        """What it has done wrong, a sentence each."""
        is_alive = self._daemon.is_alive()
        self._daemon.kill()
        log = self._daemon.log()
        if self.case.has_target:
            if self._target.read_bytes() != _SECRET:
                yield f"{self.case.name}: the file that was not to be touched was written over"
            elif self._target.stat().st_mode & 0o7777 != _MODE:
                yield f"{self.case.name}: the file that was not to be touched has another mode"
        elif os.path.lexists(self._target):
            yield f"{self.case.name}: a file was made outside of the state directory"
        if "Traceback" in log:
            yield f"{self.case.name}: a traceback in the log"
        if self.case.is_refused and is_alive:
            yield f"{self.case.name}: it was used without a word"
        elif self.case.is_refused and self._before != sorted(path.name for path in self._real.iterdir()):
            yield f"{self.case.name}: something was written there before it was refused"
        if not is_alive and len(log.strip().splitlines()) > 1 and self.case.is_refused:
            yield f"{self.case.name}: it was refused in {len(log.strip().splitlines())} lines, not in one"


def _seller(tracker: Victim, index: Victim, folder: Path) -> Sequence[str]:
    return ("--role", "seller", "--stock", "apple=5", "--tracker", tracker.endpoint)


def _buyer(tracker: Victim, index: Victim, folder: Path) -> Sequence[str]:
    return ("--role", "buyer", "--want", "pear", "--tracker", tracker.endpoint)


def _sharer(tracker: Victim, index: Victim, folder: Path) -> Sequence[str]:
    (folder / "file").write_bytes(b"something")
    return ("--role", "sharer", "--folder", str(folder), "--via", "index", "--index", index.endpoint)


_ROLES: Final = {"seller": _seller, "buyer": _buyer, "sharer": _sharer}


def _link(name: str) -> Callable[[Path, Path], Path]:
    def plant(state: Path, target: Path) -> Path:
        (state / name).symlink_to(target)
        return state

    return plant


def _hard_link(name: str) -> Callable[[Path, Path], Path]:
    def plant(state: Path, target: Path) -> Path:
        (state / name).hardlink_to(target)
        return state

    return plant


def _mode(mode: int) -> Callable[[Path, Path], Path]:
    def plant(state: Path, target: Path) -> Path:
        state.chmod(mode)
        return state

    return plant


def _of_nobody(state: Path, target: Path) -> Path:
    os.chown(state, pwd.getpwnam(_NOBODY).pw_uid, -1)
    return state


def _link_of_nobody(state: Path, target: Path) -> Path:
    """A link of somebody else's to a directory that is one's own."""
    link = state.parent / "link"
    link.symlink_to(state)
    os.chown(link, pwd.getpwnam(_NOBODY).pw_uid, -1, follow_symlinks=False)
    return link


def _below(mode: int) -> Callable[[Path, Path], Path]:
    def plant(state: Path, target: Path) -> Path:
        state.parent.chmod(mode)
        return state

    return plant


# What is written in a state directory, and by which role. A name ends in .new while a file is being replaced.
_WRITTEN: Final = {
    "key": ("seller", ("key.new", "key", "id.new", "lock")),
    "ledger": (
        "seller",
        ("id", "book.new", "book", "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-journal", "control.sock"),
    ),
    "orders": ("buyer", ("orders.sqlite", "orders.sqlite-wal", "orders.sqlite-journal")),
    "hashes": ("sharer", ("hashes", "hashes.new")),
}


def planted(group: str) -> list[Case]:
    """Links in place of each file of a group: to another file, to nothing, and a second name for one."""
    role, names = _WRITTEN[group]
    return [
        case
        for name in names
        for case in (
            Case(f"{name} as a link to a file", role, _link(name)),
            Case(f"{name} as a link to nothing", role, _link(name), has_target=False),
            *([Case(f"{name} as a hard link", role, _hard_link(name))] if name.endswith(".new") else []),
        )
    ]


def foreign() -> list[Case]:
    """Directories that are not one's own, or not alone."""
    cases = [
        Case("writable by the group", "seller", _mode(0o770), is_refused=True),
        Case("writable by all", "seller", _mode(0o777), is_refused=True),
        Case("writable by all, sticky", "seller", _mode(0o1777), is_refused=True),
    ]
    if os.geteuid() == 0:
        # Nobody else can give a file away.
        cases += [
            Case("of another user", "seller", _of_nobody, is_refused=True),
            Case("a link of another user", "seller", _link_of_nobody, is_refused=True),
        ]
    return cases


def parents() -> list[Case]:
    """Directories of one's own, below one in which others may rename them."""
    return [
        Case("below one that is writable by all", "seller", _below(0o777), is_refused=True),
        # In a sticky one, such as /tmp, only its owner renames a directory.
        Case("below one that is writable by all, sticky", "seller", _below(0o1777)),
    ]


def try_all(make_cases: Callable[[], list[Case]]) -> Callable[[Stage, Bounds], Figures]:
    """What starts a daemon on each directory, and looks at what it has touched."""

    def carry_out(stage: Stage, bounds: Bounds) -> Figures:
        cases = make_cases()
        wrong: list[str] = []
        tracker, index = start_tracker(stage), start_index_server(stage)
        for first in range(0, len(cases), _AT_ONCE):
            trials = [Trial(stage, case, tracker, index) for case in cases[first : first + _AT_ONCE]]
            deadline = time.monotonic() + _LONGEST_S
            for trial in trials:
                trial.wait(deadline)
            time.sleep(_MORE_S)
            for trial in trials:
                wrong += trial.wrong()
        return Figures(did=f"{len(cases)} directories", wrong=wrong)

    return carry_out


_AT_ONCE: Final = 8
ATTACKS: Final = [
    Attack(
        name="state-foreign",
        role="seller",
        tries="a state directory that belongs to somebody else, that others may write to, or that is somebody's link",
        carry_out=try_all(foreign),
        is_short=True,
    ),
    Attack(
        name="state-parents",
        role="seller",
        tries="a state directory of one's own below a directory in which others may rename it",
        carry_out=try_all(parents),
    ),
    *(
        Attack(
            name=f"state-planted-{group}",
            role=role,
            tries="links to another file, to nothing, and hard links, in place of each file that the daemon writes",
            carry_out=try_all(lambda group=group: planted(group)),
            is_short=group == "key",
        )
        for group, (role, _) in _WRITTEN.items()
    ),
]
