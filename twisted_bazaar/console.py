"""The control socket: a unix socket in the state directory, over which an operator asks a running node.

A unix socket that only the owner of the node can open. One netstring with a JSON object goes each way, then
the connection closes: C{{"command": "stock.list"}} is answered C{{"results": [...]}}, a result for each role
that knows the command, or C{{"error": "..."}}, a sentence.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import UNREADABLE, BazaarError, FrameError, UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.interfaces import Command, IRole
from twisted_bazaar.timer import Timer
from twisted_bazaar.wire.framing import FrameSplitter, frame

LONGEST_REQUEST_BYTES: Final = 65_536
# Who has connected and says nothing is cut off then, and who does not take its answer. What was asked may take longer.
_PATIENCE_S: Final = 60.0
_NOT_OTHERS: Final = 0o077

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Console:
    """Answers what the operator of a node asks.

    @param roles: the roles of the node; those that can be asked something are.
    @param status: what the node says about itself.
    """

    log: Final = Logger()

    def __init__(self, roles: Sequence[IRole], status: Callable[[], Mapping[str, Any]]) -> None:
        self._roles = roles
        self._status = status
        self._port: IListeningPort | None = None

    def listen(self, reactor: Any, path: Path) -> None:
        """Begin.

        @param path: where the socket is to be. A socket or a link that is there is replaced: whoever holds the lock
            of the directory knows that nobody uses it.
        @raise CannotListenError: there cannot be a socket.
        @raise UsageError: something else is there.
        """
        with suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if not stat.S_ISSOCK(mode) and not stat.S_ISLNK(mode):
                raise UsageError(f"{path} is no socket: move it away, so that the node can make one there")
            path.unlink()
        # Twisted makes it first, and then takes away what others may.
        mask = os.umask(_NOT_OTHERS)
        try:
            self._port = reactor.listenUNIX(str(path), _Conversations(self, reactor), mode=0o600)
        finally:
            os.umask(mask)

    def close(self) -> Deferred[None]:
        """Take no more requests."""
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        stopping: Deferred[None] = maybeDeferred(port.stopListening)  # type: ignore[call-overload] # it may give None
        return stopping

    def ask(self, payload: bytes) -> Deferred[bytes]:
        """Do what a request says; never fails."""
        asking = maybeDeferred(self._do, payload)
        # What cannot be written as JSON is a failure of the command too.
        telling: Deferred[bytes] = asking.addCallback(lambda results: msgspec.json.encode({"results": results}))
        return telling.addErrback(lambda failure: msgspec.json.encode(self._explain(failure)))

    def _do(self, payload: bytes) -> Deferred[list[Any]]:
        try:
            request = _decode(payload)
        except UNREADABLE:
            raise UsageError("a request is a JSON object with a command") from None
        name = request.pop("command", None)
        if not isinstance(name, str):
            raise UsageError("a request is a JSON object with a command, which is a string")
        commands = [table[name] for table in self._tables() if name in table]
        if not commands:
            raise UsageError(f"this node cannot do {name!r}; it can do {', '.join(self._known())}")
        return gatherResults([maybeDeferred(command, request) for command in commands], consumeErrors=True)

    def _tables(self) -> list[Mapping[str, Command]]:
        """The commands of the node, and then those of each of its roles."""
        own: Mapping[str, Command] = {
            "status": lambda request: succeed(dict(self._status())),
            "commands": lambda request: succeed(self._known()),
        }
        return [own, *(role.commands for role in self._roles)]

    def _known(self) -> list[str]:
        """The names of all that the node can be asked."""
        return sorted({name for table in self._tables() for name in table})

    def _explain(self, failure: Failure) -> dict[str, str | int]:
        first = getattr(failure.value, "subFailure", failure)
        error = first.value
        if not isinstance(error, BazaarError):
            self.log.failure("a command from the control socket failed", first)
            return {"error": "the node failed at this; its log says how", "status": ExitStatus.NO}
        return {"error": str(error), "status": error.exit_status}


class _Conversations(Factory):
    """Takes who wants to ask something.

    @param console: answers.
    """

    noisy = False

    def __init__(self, console: Console, reactor: Any) -> None:
        self.console = console
        self.reactor = reactor

    def buildProtocol(self, addr: Any) -> _Conversation:
        """One of them."""
        return _Conversation(self)


class _Conversation(Protocol):
    """One request and its answer."""

    def __init__(self, factory: _Conversations) -> None:
        self._factory = factory

    def connectionMade(self) -> None:
        assert ITCPTransport.providedBy(self.transport), "what a stream socket has"
        self._splitter: FrameSplitter | None = FrameSplitter(LONGEST_REQUEST_BYTES)
        self._cut_off = Timer(self._factory.reactor, self.transport.abortConnection)
        self._cut_off.set(_PATIENCE_S)

    def dataReceived(self, data: bytes) -> None:
        if self._splitter is None:
            return
        try:
            self._splitter.receive(data)
            payloads = self._splitter.next_frames(1)
        except FrameError as error:
            self._splitter = None
            self._answer(msgspec.json.encode({"error": str(error)}))
            return
        if payloads:
            self._splitter = None
            self._cut_off.cancel()
            self._factory.console.ask(payloads[0]).addCallback(self._answer)

    def connectionLost(self, reason: Failure | None = None) -> None:
        # Twisted leaves it as it was.
        self.connected = 0
        self._cut_off.cancel()

    def _answer(self, payload: bytes) -> None:
        if self.transport is not None and self.connected:
            self._cut_off.set(_PATIENCE_S)
            self.transport.write(frame(payload))
            self.transport.loseConnection()
