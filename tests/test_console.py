"""Promises of the operator's socket: a command may take its time, and whoever only holds a connection is cut off."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from twisted_bazaar.console import Console
from twisted_bazaar.errors import UsageError
from twisted_bazaar.role import Role
from twisted_bazaar.wire.framing import frame


class Slow(Role):
    """A role with a command that takes as long as the test says."""

    def __init__(self) -> None:
        self.answer: Deferred[str] = Deferred()
        self.commands = {"wait": self._wait}

    def _wait(self, request: Mapping[str, Any]) -> Deferred[str]:
        return self.answer


class _Reactor(MemoryReactorClock):
    """Keeps what listens on a unix socket."""

    def listenUNIX(self, address: str, factory: Any, *args: Any, **options: Any) -> None:  # type: ignore[override]
        self.factory = factory


class PatienceTests(SynchronousTestCase):
    """Somebody who has connected."""

    def setUp(self) -> None:
        """Connect."""
        self.reactor = _Reactor()
        self.role = Slow()
        Console([self.role], dict).listen(self.reactor, Path("nowhere"))
        self.conversation = self.reactor.factory.buildProtocol(None)
        self.transport = StringTransport()
        directlyProvides(self.transport, ITCPTransport)
        self.aborted: list[bool] = []
        self.transport.abortConnection = lambda: self.aborted.append(True)  # type: ignore[method-assign]
        self.conversation.makeConnection(self.transport)

    def test_long_command(self) -> None:
        """What was asked may take an hour, and is answered then."""
        self.conversation.dataReceived(frame(b'{"command": "wait"}'))
        self.reactor.advance(3600.0)
        self.role.answer.callback("done")
        self.assertEqual(self.transport.value(), frame(b'{"results":["done"]}'))
        self.assertEqual(self.aborted, [])

    def test_answer_that_is_no_json(self) -> None:
        """A role that answers with what JSON cannot hold has failed; the log has it, and whoever asked is told."""
        self.conversation.dataReceived(frame(b'{"command": "wait"}'))
        self.role.answer.callback(object())  # type: ignore[arg-type] # the mistake
        told = b'{"error":"the node failed at this; its log says how","status":1}'
        self.assertEqual(self.transport.value(), frame(told))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_nested(self) -> None:
        """A request that is nested without end, wherever, is told that it is none; nothing is logged."""
        deep = b"[" * 30_000 + b"]" * 30_000
        for payload in (deep, b'{"command": "wait", "x": ' + deep + b"}", b'{"command": ' + deep + b"}"):
            self.assertIn(b"a request is a JSON object with a command", self.answer_to(payload))
        for depth in range(100, 1200, 50):
            nested = b"[" * depth + b"]" * depth
            self.assertIn(b"a request is a JSON object with a command", self.answer_to(b'{"command": ' + nested + b"}"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def answer_to(self, payload: bytes) -> bytes:
        """What is answered at once."""
        return self.successResultOf(Console([self.role], dict).ask(payload))

    def test_mode(self) -> None:
        """Nobody else can connect, not even before Twisted has set the mode of the socket."""
        masks: list[int] = []

        class Looking(_Reactor):
            def listenUNIX(self, address: str, factory: Any, *args: Any, **options: Any) -> None:  # type: ignore[override]
                masks.append(os.umask(0o077))
                self.mode = options["mode"]

        reactor = Looking()
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        Console([self.role], dict).listen(reactor, Path("nowhere"))
        self.assertEqual((masks, reactor.mode, os.umask(0)), ([0o077], 0o600, 0))

    def test_something_else_there(self) -> None:
        """What is no socket is left where it is, and named."""
        path = Path(self.enterContext(TemporaryDirectory())) / "control.sock"
        path.write_bytes(b"kept")
        with self.assertRaisesRegex(UsageError, "is no socket: move it away"):
            Console([self.role], dict).listen(_Reactor(), path)
        self.assertEqual(path.read_bytes(), b"kept")

    def test_silent(self) -> None:
        """Who says nothing, or not all of it, is cut off after a minute."""
        self.conversation.dataReceived(b"19:{")
        self.reactor.advance(59.0)
        self.assertEqual(self.aborted, [])
        self.reactor.advance(2.0)
        self.assertEqual(self.aborted, [True])

    def test_not_taken(self) -> None:
        """Who does not take the answer is cut off a minute after it."""
        self.conversation.dataReceived(frame(b'{"command": "wait"}'))
        self.reactor.advance(3600.0)
        self.role.answer.callback("done")
        self.reactor.advance(61.0)
        self.assertEqual(self.aborted, [True])

    def test_gone(self) -> None:
        """Who goes leaves no timer behind, before the answer or after."""
        self.conversation.dataReceived(frame(b'{"command": "wait"}'))
        self.conversation.connectionLost()
        self.role.answer.callback("done")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
