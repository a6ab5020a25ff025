"""The client of the control socket: finds a running node by its state directory, asks it, and reads the answer."""

from __future__ import annotations

import os
import shlex
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec
from attrs import frozen

from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError
from twisted_bazaar.cli.terminal.programs import how_to_call
from twisted_bazaar.errors import UNREADABLE, FrameError, UsageError
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.settings.values import Place
from twisted_bazaar.state import LONGEST_SOCKET_PATH, SOCKET, state_path, states_root, written_path
from twisted_bazaar.wire.framing import FrameSplitter, frame

LARGEST_ANSWER_BYTES: Final = 10_000_000
# A node that cannot write its book tries for a while, and who takes an order back waits for a seller.
_ANSWER_S: Final = 30.0
# Nodes that are only asked what they know answer at once, or stand still.
_KNOWING_S: Final = 2.0
_READ_BYTES: Final = 1 << 16
# What every node answers, whatever its roles.
_OF_EVERY_NODE: Final = ("commands", "status")
_TRIED_AGAIN_S: Final = 0.01

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Kind = TypeVar("_Kind")


class NotThere(UserError):
    """Nobody answers; the text says who does not, and what to do."""


class _Answer(msgspec.Struct, frozen=True):
    results: list[Any] | None = None
    error: str = ""
    status: int = ExitStatus.NO


WHICH_NODE: Final = (
    Option("state", "The node with this state directory.", "DIR", group="Which node"),
    Option("name", "The node of this name, as in bazaar-node --name.", "NAME", group="Which node"),
)
"""The options by which a command chooses a node that runs; the only one that can answer it, if none is given."""
NO_NODE: Final = Ending(ExitStatus.WRONG_USE, "An option is wrong, or no node could be asked.")
ASKING: Final = (Ending(ExitStatus.DONE), Ending(ExitStatus.NO, "The node said no."), NO_NODE)
"""The endings of a command that asks a node that runs."""


@frozen
class OwnedNode:
    """A node of this user, by its directory.

    @ivar name: what its operator calls it.
    @ivar directory: where it keeps its state.
    @ivar option: the words that name it on a command line; none where that is not needed.
    """

    name: str
    directory: Path
    option: str = ""


class RunningNode(OwnedNode):
    """A node that may be running."""

    def ask(self, command: str, within_s: float = _ANSWER_S, **wishes: Any) -> list[Any]:
        """What each of its roles that know a command answers.

        @param within_s: how long to wait for the answer.
        @param wishes: what the command is to be given besides.
        @raise NotThere: there is no answer.
        @raise Denial: the node says no.
        """
        return self.ask_for(command, wishes, within_s)

    def ask_for(self, command: str, wishes: Mapping[str, Any], within_s: float = _ANSWER_S) -> list[Any]:
        """The same, for wishes that may have any names.

        @raise NotThere: there is no answer.
        @raise Denial: the node says no.
        """
        payload = self._converse(msgspec.json.encode({**wishes, "command": command}), within_s)
        try:
            answer = msgspec.json.decode(payload, type=_Answer)
        except UNREADABLE:
            raise self._strange() from None
        if answer.results is None:
            raise NegativeAnswer(answer.error or "the node says no", answer.status)
        return answer.results

    def runs(self) -> bool:
        """Whether anybody is there to be asked; it may be one who does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                _connect(connection, self.directory / SOCKET, time.monotonic() + _KNOWING_S)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return False
        except OSError:
            # It will be told when it is asked.
            return True
        return True

    def rows(self, command: str, kind: type[_Kind], **wishes: Any) -> list[_Kind]:
        """The same, where the answers are rows of one kind or lists of them.

        @raise NotThere: there is no answer, or one of another kind.
        @raise Denial: the node says no.
        """
        rows: list[Any] = []
        for result in self.ask(command, **wishes):
            rows.extend(result if isinstance(result, list) else [result])
        try:
            return msgspec.convert(rows, list[kind])  # type: ignore[valid-type] # mypy reads it as a name
        except ValueError:
            raise self._strange() from None

    def _converse(self, payload: bytes, within_s: float) -> bytes:
        path = self.directory / SOCKET
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            raise NotThere(f"no node runs in {self.directory}: the path is too long for a socket in it")
        deadline = time.monotonic() + within_s
        splitter = FrameSplitter(LARGEST_ANSWER_BYTES)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(within_s)
                _connect(connection, path, deadline)
                connection.sendall(frame(payload))
                while data := connection.recv(_READ_BYTES):
                    splitter.receive(data)
                    if frames := splitter.next_frames(1):
                        return frames[0]
                    connection.settimeout(max(0.001, deadline - time.monotonic()))
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            raise NotThere(
                f"no node runs in {self.directory}; start it, or name another with --name or --state"
            ) from None
        except TimeoutError:
            raise NotThere(
                f"the node in {self.directory} does not answer within {within_s:.0f} s; "
                "it may still do what it was asked"
            ) from None
        except FrameError:
            raise self._strange() from None
        except OSError as error:
            raise NotThere(f"{path}: {error.strerror or error}") from None
        raise NotThere(f"the node in {self.directory} has ended; it may have done what it was asked")

    def _strange(self) -> NotThere:
        return NotThere(f"what answers in {self.directory} is no node, or one of another version")


def _connect(connection: socket.socket, path: Path, deadline: float) -> None:
    """Connect, though others may be about to as well: with a time-out there is no waiting line, only another try.

    @raise TimeoutError: there are too many all the time.
    """
    while True:
        try:
            return connection.connect(os.fspath(path))
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(_TRIED_AGAIN_S)


def check_state_or_name(state: str | None, name: str | None) -> None:
    """Refuse what cannot be the state directory of one node.

    @raise Refusal: it cannot.
    """
    if state is not None and name is not None:
        raise UserError("--state and --name: give one of them")
    if state == "":
        raise UserError("--state: write a directory")


def state_or_name(options: OptionValues) -> tuple[str | None, str | None]:
    """The state directory of one node, or its name: of the two the one that is set in the higher layer.

    So who types C{--name} is not stopped by a state directory that stands in a settings file.

    @param options: those of L{WHICH_NODE} are among them.
    @raise Refusal: both are set in one layer, or the directory cannot be.
    """
    state, name = options["state"], options["name"]
    layers = list(Place)
    by_state, by_name = (layers.index(options.settings[each].source.place) for each in ("state", "name"))
    if by_state != by_name:
        state, name = (state, None) if by_state > by_name else (None, name)
    check_state_or_name(state, name)
    return state, name


def chosen_node(options: OptionValues, command: str, what: str) -> RunningNode:
    """The node that the command line names; if it names none, the only one that knows a command.

    @param options: those of L{WHICH_NODE} are among them.
    @param command: what it is going to be asked.
    @param what: what people call such a node.
    @raise Refusal: it is not one.
    """
    return named_node(options) or _only_node(command, what)


def named_node(options: OptionValues) -> RunningNode | None:
    """The node that the command line names; None if it names none.

    @param options: those of L{WHICH_NODE} are among them.
    @raise Refusal: it is none that can be.
    """
    state, name = state_or_name(options)
    try:
        if state is not None:
            directory = written_path(Path(state), "--state").absolute()
            return RunningNode(state, directory, f" --state {shlex.quote(state)}")
        if name is not None:
            return RunningNode(name, state_path(name), f" --name {name}")
    except UsageError as error:
        raise UserError(str(error)) from None
    return None


def nodes_that_know(command: str) -> list[RunningNode]:
    """The nodes of this user that run and know a command; those that do not answer are none."""
    knowing = []
    for node in nodes_of_user():
        try:
            [known] = node.ask("commands", _KNOWING_S)
        except (NegativeAnswer, NotThere, ValueError):
            continue
        if command in known:
            knowing.append(node)
    return knowing


def _only_node(command: str, what: str) -> RunningNode:
    knowing = nodes_that_know(command)
    if len(knowing) == 1:
        [node] = knowing
        click.echo(f"node {node.name}:", err=True)
        return node
    if knowing:
        names = ", ".join(node.name for node in knowing)
        raise UserError(f"several nodes here can be asked: {names}; choose one with --name")
    raise nobody_runs(command, what)


def nobody_runs(command: str, what: str) -> NotThere:
    """That no node of this user runs which knows a command, and how to start one."""
    return NotThere(
        f"no {what} runs under {states_root()}; {_how_to_start(command)}, or name one with --name or --state"
    )


def nodes_of_user() -> list[RunningNode]:
    """Those that run, or have run, under the platform's state directory."""
    return [RunningNode(path.name, path) for path in directories_of_user() if (path / SOCKET).exists()]


def directories_of_user() -> list[Path]:
    """The state directories under the platform's, of nodes that run or have run."""
    try:
        return sorted(path for path in states_root().iterdir() if path.is_dir())
    except OSError:
        return []


def _how_to_start(command: str) -> str:
    """How to start a node that knows a command."""
    twistd = how_to_call("twistd")
    roles = {
        **dict.fromkeys(_OF_EVERY_NODE, ""),
        "stock": "--role seller --stock apple=5",
        "files": "--role sharer --via index --index tcp:127.0.0.1:9100 --folder ./shared",
        "ring": "--role ring_peer --join tcp:127.0.0.1:9300",
        **dict.fromkeys(("orders", "order", "cancel"), "--role buyer --want apple"),
    }
    role = roles.get(command.partition(".")[0])
    if command == "members":
        return f"start one: {twistd} -n bazaar-tracker"
    if role is None:
        return (
            f"it is for a role to answer: start a node with that role ({twistd} -n bazaar-node --help-roles lists all)"
        )
    return f"start one: {twistd} -n bazaar-node {role}".rstrip()
