"""One peer of the classroom: a real C{bazaar ring} as a process of its own, whose prompt is typed at from here."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred

from twisted_bazaar.cli.classroom.table import PeerState, PeerView
from twisted_bazaar.cli.control.client import NotThere, RunningNode
from twisted_bazaar.cli.ring.rows import Standing
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError
from twisted_bazaar.settings.environment import PREFIX

_BAZAAR: Final = (sys.executable, "-m", "twisted_bazaar")
_LISTEN: Final = "tcp:0:interface=127.0.0.1"
_ANSWER_S: Final = 0.5
_JOIN_BY: Final = re.compile(r"others join with --join (tcp:\S+:(\d+)); help tells the words")
_JOINED: Final = "this peer is on the ring, at place "
_JOINING: Final = "joining the ring by "


class PeerProcess:
    """A peer that runs, or has run.

    @param place: its number on the ring.
    @param join: where one of the others listens; None to begin the ring.
    @param room: where its files go and come from.
    @param state: its state directory.
    @param say: called with each line that it says.
    @param extra: more words for its command line.
    @ivar joined: fires when it is on the ring.
    @ivar ended: fires when its process is gone.
    @ivar status: its exit status then; None before.
    @ivar endpoint: where others join by it; empty as long as it does not listen.
    @raise UserError: the system starts no process.
    """

    def __init__(
        self,
        reactor: Any,
        place: int,
        join: str | None,
        room: Path,
        state: Path,
        say: Callable[[str], object],
        extra: tuple[str, ...] = (),
    ) -> None:
        self.place = place
        self.room = room
        self.joined: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self.status: int | None = None
        self.endpoint: str = ""
        self._port = 0
        self._reactor = reactor
        self._say = say
        self._node = RunningNode(str(place), state)
        self._standing: Standing | None = None
        self._state = PeerState.JOINING
        self._since: float = reactor.seconds()
        room.mkdir(parents=True, exist_ok=True)
        words = ("ring", "--classic", "--ring-id", str(place), "--listen", _LISTEN, "-o", str(room))
        words += ("--state", str(state), *(() if join is None else ("--join", join)), *extra)
        try:
            self._process = subprocess.Popen(
                (*_BAZAAR, *words),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=_environment(),
                # Ctrl-C in the window is for this process, which ends the others in its own way.
                start_new_session=True,
            )
        except OSError as error:
            raise UserError(f"peer {place} cannot be started: {error}") from None
        threading.Thread(target=self._read, daemon=True).start()

    def view(self) -> PeerView:
        """The peer as it is now."""
        return PeerView(self.place, self._state, self._reactor.seconds() - self._since, self._standing, self._port)

    @property
    def is_gone(self) -> bool:
        """Whether it has left, or is dead."""
        return self.view().is_gone

    def type(self, line: str) -> None:
        """Type a line at its prompt; one that has gone is typed at in vain."""
        stdin = self._process.stdin
        assert stdin is not None, "it is a pipe"
        with contextlib.suppress(OSError, ValueError):
            stdin.write(f"{line}\n")
            stdin.flush()

    def finish(self) -> None:
        """Have it do what was typed, and then leave politely."""
        self._enter(PeerState.LEAVING)
        stdin = self._process.stdin
        assert stdin is not None, "it is a pipe"
        with contextlib.suppress(OSError):
            stdin.close()

    def leave(self) -> None:
        """Have it leave politely."""
        self._enter(PeerState.LEAVING)
        self.type("quit")

    def kill(self) -> None:
        """End it as a power cut does."""
        self._enter(PeerState.DEAD)
        self._process.kill()

    def look_blocking(self) -> Standing | None:
        """In a thread: ask it how it stands; None if it does not answer."""
        try:
            rows = self._node.rows("ring.status", Standing, within_s=_ANSWER_S)
        except (NotThere, NegativeAnswer):
            return None
        return rows[0] if rows else None

    def note(self, standing: Standing | None) -> None:
        """Take what it has said of how it stands; who has not answered in time stands as before."""
        if standing is not None and not self.is_gone:
            self._standing = standing

    # Inside.

    def _enter(self, state: PeerState) -> None:
        if state is not self._state:
            self._state, self._since = state, self._reactor.seconds()
            if self.is_gone:
                self._standing = None

    def _read(self) -> None:
        """In a thread: read all that it says."""
        stdout = self._process.stdout
        assert stdout is not None, "it is a pipe"
        with contextlib.suppress(OSError, ValueError):
            for line in stdout:
                self._reactor.callFromThread(self._on_line, line.rstrip("\n"))
        status = self._process.wait()
        self._reactor.callFromThread(self._on_end, status)

    def _on_line(self, line: str) -> None:
        if match := _JOIN_BY.fullmatch(line):
            self.endpoint, self._port = match[1], int(match[2])
            return
        if line.startswith(_JOINED) and self._state is PeerState.JOINING:
            self._enter(PeerState.HERE)
            self.joined.callback(None)
        if not line.startswith(_JOINING):
            self._say(line)

    def _on_end(self, status: int) -> None:
        self.status = status
        if not self.is_gone:
            # With a goodbye or without one: it may have died by a word at its prompt.
            self._enter(PeerState.LEFT if self._state is PeerState.LEAVING else PeerState.DEAD)
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self.ended.callback(None)


def _environment() -> dict[str, str]:
    """That of this process; what it sets of options is for the user's own nodes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**inherited, "PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path)}
