"""Nodes that a test can ask as an operator does, in this process: real consoles and desks, without a socket."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from tests.cli.cases import BUYER, SELLER
from twisted_bazaar.cli.control import client
from twisted_bazaar.cli.main import main
from twisted_bazaar.console import Console
from twisted_bazaar.interfaces import Command
from twisted_bazaar.role import Role
from twisted_bazaar.roles.commands.trade import PurchasesCommands, SalesCommands
from twisted_bazaar.state import SOCKET
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.trade.ledger import Ledger
from twisted_bazaar.trade.offers import Offers
from twisted_bazaar.trade.purchase import Purchases
from twisted_bazaar.trade.stores.memory import MemoryPurchases, MemorySales, MemoryStore

STATUS = {"id": 7, "key": SELLER.public, "bazaar": "bazaar", "links": []}


class AtDesk(Role):
    """A role that does what its operator asks for, and nothing else."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self.commands = commands


class _Reactor(MemoryReactorClock):
    """Keeps what listens on a unix socket."""

    def listenUNIX(self, address: str, factory: Any, *args: Any, **options: Any) -> None:  # type: ignore[override]
        self.factory = factory


class OperatedNode:
    """A node that can be asked.

    @ivar clock: its time, which goes on while somebody waits for its answer.
    """

    def __init__(self, *commands: Mapping[str, Command], clock: Clock | None = None, **status: Any) -> None:
        self.clock = clock or Clock()
        self._reactor = _Reactor()
        console = Console([AtDesk(each) for each in commands], lambda: {**STATUS, **status})
        console.listen(self._reactor, Path("nowhere"))

    def converse(self) -> tuple[Any, StringTransport]:
        """A connection to its console."""
        conversation, transport = self._reactor.factory.buildProtocol(None), StringTransport()
        directlyProvides(transport, ITCPTransport)
        conversation.makeConnection(transport)
        return conversation, transport


class Socket:
    """What a command gets where it asks for a unix socket: a connection to one of the nodes of the test.

    @param case: knows the nodes.
    """

    def __init__(self, case: OperatedCase) -> None:
        self._case = case
        self._read = 0

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *reason: object) -> None:
        return None

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0, "nobody waits for ever"

    def connect(self, path: str) -> None:
        self._answering = self._case.answering.get(Path(path).parent.name)
        if self._answering is None:
            raise ConnectionRefusedError(111, "Connection refused")
        if self._case.others_ahead:
            self._case.others_ahead -= 1
            raise BlockingIOError(11, "Resource temporarily unavailable")
        if isinstance(self._answering, OperatedNode):
            self._conversation, self._transport = self._answering.converse()

    def sendall(self, data: bytes) -> None:
        if isinstance(self._answering, OperatedNode):
            self._conversation.dataReceived(data)

    def recv(self, most: int) -> bytes:
        answering = self._answering
        if isinstance(answering, OSError):
            raise answering
        if isinstance(answering, bytes):
            self._answering = answering[most:]
            return answering[:most]
        assert isinstance(answering, OperatedNode)
        position = self._read
        if len(self._transport.value()) == position:
            answering.clock.pump([1.0] * 10)
        self._read += most
        data = self._transport.value()[position : self._read]
        if not data:
            self._conversation.connectionLost(Failure(ConnectionDone()))
        return data


class OperatedCase(SynchronousTestCase):
    """A user with a state directory, in which there are nodes.

    @ivar answering: by name, the node that answers there, or bytes that it answers, or what goes wrong.
    @ivar others_ahead: how many attempts to connect find that as many others wait as can.
    """

    others_ahead = 0

    def setUp(self) -> None:
        """Have no nodes."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory.name)
        self.root = Path(directory.name, "state", "twisted_bazaar")
        self.answering: dict[str, OperatedNode | bytes | OSError] = {}

        self.patch(client, "socket", SimpleNamespace(AF_UNIX=1, socket=lambda family: Socket(self)))

    def add(self, name: str, node: OperatedNode | bytes | OSError | None) -> None:
        """Let there be a node, which has left its socket; None for one that does not run."""
        (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / name / SOCKET).touch()
        if node is not None:
            self.answering[name] = node

    def add_seller(self, name: str = "seller") -> tuple[Ledger, Offers]:
        """Let there be a seller; returns its book and its shelf."""
        node = FakeNode(key=SELLER)
        ledger = Ledger(MemoryStore(MemorySales()))
        ledger.start(node.clock)
        self.add(name, OperatedNode(SalesCommands(node, ledger).commands, clock=node.clock))
        return ledger, Offers(ledger, node)

    def add_buyer(self, name: str = "buyer") -> tuple[FakeNode, Purchases]:
        """Let there be a buyer that is linked to node 7; returns the node and its orders."""
        node = FakeNode(key=BUYER)
        node.link(7)
        purchases = Purchases(node, MemoryStore(MemoryPurchases()), lambda record: None)
        purchases.start()
        self.add(name, OperatedNode(PurchasesCommands(node, purchases).commands, clock=node.clock))
        return node, purchases

    def bazaar(self, *words: str, stdin: bytes | None = None) -> Result:
        """Type a command."""
        runner = CliRunner(env={"XDG_STATE_HOME": str(self.root.parent)})
        result = runner.invoke(main, words, prog_name="bazaar", input=stdin)
        if not isinstance(result.exception, SystemExit | None):
            raise result.exception
        return result

    def told(self, *words: str, stdin: bytes | None = None) -> list[str]:
        """The lines that a command prints, which ends well; without blanks that only align."""
        result = self.bazaar(*words, stdin=stdin)
        self.assertEqual(result.exit_code, 0, result.output)
        return [" ".join(line.split()) for line in result.stdout.splitlines() if line.strip()]

    def assert_ends(self, status: int, expected: str, *words: str, stdin: bytes | None = None) -> None:
        """The command prints no result, says why in one line, which matches, and has this status."""
        result = self.bazaar(*words, stdin=stdin)
        self.assertEqual((result.exit_code, result.stdout), (status, ""), result.output)
        command = f"bazaar {words[0]} {words[1]}" if words[0] in ("stock", "ring") else f"bazaar {words[0]}"
        self.assertRegex(result.stderr, rf"\A(node [^\n]*:\n)?{command}: {expected}\n\Z")
