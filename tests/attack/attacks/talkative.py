"""What makes a daemon write: tracebacks for nonsense, and a log that grows with an attack."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.attack.attack import Attack
from tests.attack.crowd import ONE_HOST, Crowd, Manner, hello, hosts
from tests.attack.honest import Operator
from tests.attack.siege import NotAnswered, Scene, Tally, siege
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import INDEX_SERVER, TRACKER, Kind, start_seller
from tests.integration.watched_node import framed, netstring

_DEPTH: Final = 30_000
_HELD: Final = 500


def _nonsense() -> list[bytes]:
    """Requests at the control socket that nobody can mean; the largest ones that are taken."""
    brackets, braces = b"[" * _DEPTH + b"]" * _DEPTH, b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    return [
        b'{"command":%b}' % brackets,
        brackets,
        b'{"command":"status","more":%b}' % braces,
        b'{"command":' + b"9" * 60_000 + b"}",
        b'{"command":"' + b"\\ud800" * 10_000 + b'"}',
        b"\xff" * 60_000,
        b'{"command":"stock.add","goods":%b}' % brackets,
    ]


class Questioner:
    """Asks nonsense at a control socket, again and again."""

    def __init__(self, path: Path, tally: Tally) -> None:
        self._operator = Operator(path)
        self._tally = tally

    def __call__(self, deadline: float) -> None:
        """Do it until then."""
        for payload in itertools.cycle(_nonsense()):
            if time.monotonic() > deadline:
                break
            with suppress(NotAnswered):
                self._operator.ask(payload)
            Tally.add(self._tally.requests, 1)
            Tally.add(self._tally.sent_bytes, len(payload))


def _control_socket(stage: Stage) -> Scene:
    state = stage.folder()
    victim, tally = start_seller(stage, "--state", str(state)), Tally()
    operator = Operator(state / "control.sock")

    def check() -> list[str]:
        """Each nonsense has one answer, an error."""
        answers = []
        for payload in _nonsense():
            try:
                answers.append(operator.ask(payload))
            except NotAnswered as error:
                answers.append({"none": str(error)})
        return [
            f"{payload[:24]!r}... was answered {str(answer)[:60]}"
            for payload, answer in zip(_nonsense(), answers, strict=True)
            if "error" not in answer and not payload.startswith(b'{"command":"status"')
        ]

    questioner = Questioner(state / "control.sock", tally)
    return Scene(victim=victim, ask=operator, assaults=[questioner], check=check, tally=tally)


class Reticent:
    """Opens a control socket many times and asks for much, and neither reads the answers nor goes."""

    def __init__(self, path: Path, tally: Tally) -> None:
        self._path = path
        self._tally = tally

    def __call__(self, deadline: float) -> None:
        """Do it until then."""
        held = []
        while time.monotonic() < deadline:
            if len(held) == _HELD:
                time.sleep(0.05)
                continue
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self._path))
                connection.sendall(netstring(b'{"command":"status"}'))
            except OSError:
                connection.close()
                time.sleep(0.05)
                continue
            held.append(connection)
            Tally.add(self._tally.connections, 1)
        for connection in held:
            connection.close()


def _unread_control_socket(stage: Stage) -> Scene:
    state = stage.folder()
    victim, tally = start_seller(stage, "--state", str(state)), Tally()
    path = state / "control.sock"
    return Scene(victim=victim, ask=Operator(path), assaults=[Reticent(path, tally)], tally=tally)


def noise(kind: Kind, *, is_one_host: bool = False) -> Callable[[Stage], Scene]:
    """What sets up a daemon with C{-v}, and peers that come, ask, say nonsense and go."""

    def set_up(stage: Stage) -> Scene:
        victim, tally = kind.start(stage, "-v"), Tally()
        greet = hello(kind.is_numbered)
        asks = framed(**kind.question(1, 1))
        manners = [
            Manner(host=host, hello=greet, more=more, requests=20, every_s=0.01, comes_back_s=0.0)
            for host, more in zip(
                [ONE_HOST] * 40 if is_one_host else hosts(40),
                itertools.cycle(
                    (
                        lambda: asks * 20,
                        lambda: framed("dc"),
                        lambda: framed("x" * 64) * 20,
                        lambda: framed("nodereq", have="all") * 20,
                        lambda: b"nonsense",
                    )
                ),
                strict=False,
            )
        ]
        return Scene(victim=victim, ask=kind.client(victim), assaults=[Crowd(victim.port, manners, tally)], tally=tally)

    return set_up


ATTACKS: Final = [
    Attack(
        name="control-nested",
        role="seller",
        tries="requests at the control socket that are nested 30,000 deep, or nonsense of other kinds",
        carry_out=siege(_control_socket),
        is_short=True,
    ),
    Attack(
        name="control-unread",
        role="seller",
        tries="500 connections to the control socket that ask and do not read the answer",
        carry_out=siege(_unread_control_socket),
    ),
    *(
        Attack(
            name=f"verbose-{kind.name.replace(' ', '-')}",
            role=kind.name,
            tries="40 peers come, ask, say nonsense and go without a pause, at a daemon with -v",
            carry_out=siege(noise(kind)),
            # Who comes and goes is told for a while, and then held to a rate: the same however long it goes on.
            bounds=Bounds(log_bytes=131_072),
            is_short=kind is TRACKER,
        )
        for kind in (TRACKER, INDEX_SERVER)
    ),
]
