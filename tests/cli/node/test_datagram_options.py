"""What the commands that fetch and share take for files by datagrams, and what becomes of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.node.cases import node_for
from twisted_bazaar.cli.commands.files.options import GET
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.node.ephemeral_node import Member, fetching_nothing
from twisted_bazaar.cli.terminal.errors import NegativeAnswer
from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.udp import Transfer
from twisted_bazaar.files.window import Settings
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.roles.discovery.index import IndexMethod
from twisted_bazaar.roles.discovery.ring import RingMethod
from twisted_bazaar.roles.index_server import IndexServer
from twisted_bazaar.roles.ring.finder import RingFinder
from twisted_bazaar.service.config import read_config, read_transfer
from twisted_bazaar.service.options import TRANSFER
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.settings.values import Place, Setting, Source
from twisted_bazaar.taps import node
from twisted_bazaar.testing import SimulatedNetwork

SERVING = ("get", "share", "shell")
HERE = os.path.dirname(__file__)
INDEX = "tcp:10.0.0.2:9000"


def options_of(name: str) -> dict[str, tuple[Any, Any]]:
    """What the options of a command take and do."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return {
        param.opts[-1].removeprefix("--"): (param.metavar, param.help)
        for param in command.params
        if isinstance(param, click.Option)
    }


class OptionTests(SynchronousTestCase):
    """One set of options, everywhere."""

    def test_same(self) -> None:
        """Daemons and commands have the same options, told in the same words; who fetches nothing has none."""
        told = {option.name: (option.metavar, option.described) for option in TRANSFER}
        for command in (*SERVING, "ring"):
            options = options_of(command)
            self.assertEqual({name: options.get(name) for name in told}, told, command)
            self.assertIn("udp", options)
        self.assertEqual(options_of("search").keys() & {*told, "udp"}, set())
        usage = " ".join(node.Options().getUsage(width=10_000).split())
        for name, (metavar, text) in told.items():
            self.assertIn(f"--{name} {metavar} {text}", " ".join(usage.split()))

    def test_refused(self) -> None:
        """What cannot be is refused in one line before anybody is asked, with what may be written."""
        arguments = {"get": ("a",), "share": (HERE,), "shell": ()}
        for words, expected in (
            (("--transfer", "ftp"), "--transfer 'ftp': write tcp or udp"),
            (("--window", "0"), "--window '0': takes a whole number from 1 to 65,536"),
            (("--drop", "1"), "--drop '1': takes a share such as 0.1; 0 or more, and less than 1"),
            (
                ("--mss", "1146"),
                "--mss 1146: a segment would have 1,201 bytes, and a datagram has 1,200 at most; write 1,145 or less",
            ),
        ):
            for command in SERVING:
                result = CliRunner().invoke(main, [command, *arguments[command], *words], prog_name="bazaar")
                self.assertEqual(
                    (result.exit_code, result.stdout, result.stderr), (2, "", f"bazaar {command}: {expected}\n")
                )

    def test_refused_from_environment(self) -> None:
        """The place is named where it was written."""
        result = CliRunner(env={"BAZAAR_DROP": "2"}).invoke(main, ["get", "a"], prog_name="bazaar")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("--drop '2': takes a share such as 0.1", result.stderr)
        self.assertIn("BAZAAR_DROP", result.stderr)

    def test_given(self) -> None:
        """What is given comes to the function, with where it was written."""
        given: list[OptionValues] = []

        @click.command("get", cls=ConfiguredCommand, declared=GET)
        def probe(options: OptionValues) -> None:
            """Take the options."""
            given.append(options)

        words = ["--udp", "9101", "--transfer", "udp", "--transfer-log", "log"]
        result = CliRunner(env={"BAZAAR_DROP": "0.1"}).invoke(probe, words)
        self.assertEqual(result.exit_code, 0, result.output)
        [values] = given
        names = ("udp", "transfer", "drop", "transfer-log", "window")
        self.assertEqual([values[name] for name in names], ["9101", "udp", 0.1, "log", None])
        self.assertEqual([values.is_typed(name) for name in names], [True, True, False, True, False])
        self.assertEqual([values.is_given(name) for name in names], [True, True, True, True, False])


class PlaceTests(SynchronousTestCase):
    """Where a node of a command takes datagrams."""

    def place(self, *roles: Any, **options: Any) -> Any:
        """The interface and the port."""
        node, reactor = node_for(**{"index": INDEX, **options}), MemoryReactorClock()
        values = node.node_options
        beside = node.usual_place if values["listen"] == "none" else None
        discovery = RingMethod(options["join"]) if "join" in options else IndexMethod()
        return read_config(values, discovery, roles, reactor, has_tracker=False, beside=beside).udp

    def test_places(self) -> None:
        """None, if nothing is said; a free port if files are to come by datagrams; else what is said."""
        log = {"transfer_log": os.devnull}
        for options, expected in (
            ({}, None),
            (log, ("", 0)),
            ({**log, "index": "tcp:127.0.0.1:9100"}, ("127.0.0.1", 0)),
            ({**log, "listen": "tcp:7:interface=10.0.0.1"}, ("10.0.0.1", 0)),
            ({**log, "listen": "none", "index": "tcp:127.0.0.1:9100"}, ("127.0.0.1", 0)),
            ({**log, "udp": "9101"}, ("", 9101)),
            ({"udp": "[::1]:0"}, ("::1", 0)),
            ({"listen": "none", "udp": "9101"}, ("", 9101)),
            ({"listen": "none", "udp": "9101", "index": "tcp:127.0.0.1:9100"}, ("127.0.0.1", 9101)),
        ):
            self.assertEqual(self.place(**options), expected)
        self.assertRaises(UsageError, self.place, udp="many")

    def test_ring(self) -> None:
        """A ring goes by datagrams, whatever is said."""
        about = {"via": "ring", "join": "tcp:127.0.0.1:9300", "index": None}
        self.assertEqual(self.place(RingFinder(), **about), ("127.0.0.1", 0))
        self.assertEqual(self.place(RingFinder(), udp="9301", **about), ("127.0.0.1", 9301))
        error = self.assertRaises(UsageError, self.place, RingFinder(), udp="none", **about)
        self.assertIn("--udp none: --via ring goes by datagrams", str(error))

    def test_nowhere(self) -> None:
        """Without datagrams what is typed of them is refused, and what a file says passed over."""
        error = self.assertRaises(UsageError, self.place, udp="none", drop="0.1")
        self.assertIn("--drop goes with --udp: add --udp 0", str(error))
        below = {"drop": Setting("0.1", Source(Place.ENVIRONMENT, "BAZAAR_DROP"))}
        transfer = read_transfer(OptionValues(GET, below), (), Limits(), 0.0, takes_datagrams=False)
        self.assertEqual(transfer, Transfer())


class JoinedTests(SynchronousTestCase):
    """A node of a command that has joined an index."""

    def setUp(self) -> None:
        """Have an index."""
        self.network = SimulatedNetwork()
        self.host = self.network.host("10.0.0.1")
        self.network.add_tracker(IndexServer())
        self.members: list[Member] = []
        self.ended: list[Any] = []

    def join(self, **options: Any) -> Any:
        """Join; gives the node."""
        leave: Deferred[None] = Deferred()

        async def work() -> None:
            async with node_for(index=INDEX, **options).join(self.host, fetching_nothing) as member:
                self.members.append(member)
                await leave

        Deferred.fromCoroutine(work()).addBoth(self.ended.append)
        self.addCleanup(lambda: self.network.run_until(lambda: self.ended))
        self.addCleanup(lambda: None if leave.called else leave.callback(None))
        self.network.run_until(lambda: self.members or self.ended)
        return self.members[0].node if self.members else None

    def test_by_datagrams(self) -> None:
        """It takes datagrams and streams as is said, those first, and each segment is told of in the log."""
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory, "log")
            joined = self.join(transfer="udp", window="3", drop="0.5", transfer_log=str(log))
            self.assertGreater(joined.udp_port, 0)
            self.assertTrue(joined.streams_first)
            self.assertEqual(joined.datagrams.streams.streams._settings, Settings(window=3, drop=0.5))
            self.assertTrue(log.read_text())

    def test_without(self) -> None:
        """It takes none if nothing is said."""
        joined = self.join()
        self.assertEqual((joined.udp_port, joined.streams_first), (0, False))

    def test_taken(self) -> None:
        """Where the place is taken, the option to choose another is named."""
        self.host.listenUDP(9101, DatagramProtocol())
        self.assertIsNone(self.join(udp="9101"))
        [failure] = self.ended
        self.assertIsInstance(failure.value, NegativeAnswer)
        self.assertIn("choose another --listen or --udp", failure.value.message)
