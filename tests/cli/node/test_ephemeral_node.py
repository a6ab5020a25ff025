"""How a command joins an index, and what it says when it cannot."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.node.cases import asked_at, node_for
from twisted_bazaar.cli.commands.files.options import GET
from twisted_bazaar.cli.node.ephemeral_node import EphemeralNode, Member, fetching_nothing
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, Unreached
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.roles.index_server import IndexServer
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.settings.values import TYPED, Place, Setting, Source
from twisted_bazaar.testing import SimulatedNetwork


class _Silent(Factory):
    """Takes connections, and says nothing."""

    protocol = Protocol


async def _for_ever() -> None:
    await Deferred()


class JoiningTests(SynchronousTestCase):
    """A command on one simulated machine, an index on another."""

    def setUp(self) -> None:
        """Have no index yet."""
        self.network = SimulatedNetwork()
        self.host = self.network.host("10.0.0.1")
        self.late: list[str] = []
        self.leave: Deferred[None] = Deferred()
        self.members: list[Member] = []
        self.ended: list[Any] = []

    def add_index(self, role: IRole | None = None) -> None:
        """Let there be one."""
        self.network.add_tracker(role or IndexServer())

    def join(self, *, waits: bool = True, **wish: Any) -> None:
        """Join, and stay until the test has it leave."""
        index = node_for(**{"index": "tcp:10.0.0.2:9000", "listen": "none", **wish})
        late = {} if waits else {"late": self.late.append}

        async def work() -> None:
            async with index.join(self.host, fetching_nothing, listens=False, **late) as member:
                self.members.append(member)
                await self.leave

        self.doing = Deferred.fromCoroutine(work()).addBoth(self.ended.append)

    def test_joined(self) -> None:
        """It is there until it leaves, and then nothing of it is."""
        self.add_index()
        self.join()
        self.network.run_until(lambda: self.members)
        [member] = self.members
        self.assertGreater(member.node.id, 0)
        self.leave.callback(None)
        self.network.run_until(lambda: self.ended)
        self.assertEqual(self.ended, [None])
        self.assertEqual((list(self.host.timers), list(self.host.ports)), ([], []))

    def test_nobody(self) -> None:
        """Where nobody listens, that is said at once, and how to start an index."""
        self.network.host("10.0.0.2")
        self.join()
        self.network.run_until(lambda: self.ended, 2.0)
        error = self.ended[0].value
        self.assertIsInstance(error, NegativeAnswer)
        self.assertRegex(error.message, r"^no index server at tcp:10\.0\.0\.2:9000: .*refused.*--role index_server")
        self.assertTrue(error.message.endswith("--listen tcp:9000"))

    def test_tracker(self) -> None:
        """A tracker gives ids too, and is told from an index server at once."""
        self.add_index(Tracker())
        self.join()
        self.network.run_until(lambda: self.ended, 2.0)
        error = self.ended[0].value
        self.assertEqual(error.exit_code, ExitStatus.UNREACHED)
        self.assertEqual(
            error.message,
            "no index server at tcp:10.0.0.2:9000: what listens there is no index server (a tracker is there); "
            "write after --index where index servers listen, such as tcp:127.0.0.1:9100",
        )

    def test_tracker_while_waiting(self) -> None:
        """Who waits is told of a tracker at once, too, also of one that comes later: it is waited for no longer."""
        host = self.network.host("10.0.0.2")
        self.join(waits=False)
        self.network.run_until(lambda: self.late)
        self.network.tracker_address = None
        self.network.add_node(Tracker(), port=9000, host=host)
        [member] = self.members
        staying = Deferred.fromCoroutine(member.stay(_for_ever()))
        self.network.run(10.0)
        error = self.failureResultOf(staying, Unreached).value
        self.assertIn("what listens there is no index server (a tracker is there); write after --index", error.message)
        self.assertEqual(len(self.late), 1)
        self.leave.callback(None)
        self.network.run_until(lambda: self.ended)

    def test_how_to_start(self) -> None:
        """How to start an index for this machine opens it to no other."""
        for index, expected in (
            ("tcp:127.0.0.1:9101", "tcp:9101:interface=127.0.0.1"),
            ("tcp:host=localhost:port=9102", "tcp:9102:interface=127.0.0.1"),
            ("tcp:127.0.0.1:9103:timeout=5", "tcp:9103:interface=127.0.0.1"),
            ("tcp:192.168.1.10:9104", "tcp:9104"),
        ):
            self.assertEqual(asked_at("index", index).where_it_listens(), expected)

    def test_silent(self) -> None:
        """Who listens and says nothing is given up after a while."""
        index = self.network.host("10.0.0.2")
        index.listenTCP(9000, _Silent())
        self.join(join_s=3.0)
        self.network.run_until(lambda: self.ended, 10.0)
        self.assertIn("no answer within 3 s", self.ended[0].value.message)

    def test_waited_for(self) -> None:
        """Who waits is told that the index is not there, once, and joins when it is."""
        index = self.network.host("10.0.0.2")
        self.join(waits=False)
        self.network.run_until(lambda: self.late)
        [member] = self.members
        self.network.tracker_address = None
        node = self.network.add_node(IndexServer(), port=9000, host=index)
        self.network.run_until(lambda: member.fetcher.joined.called)
        self.assertEqual(len(self.late), 1)
        self.assertIn(node, self.network.nodes)
        self.leave.callback(None)
        self.network.run_until(lambda: self.ended)

    def test_interrupted(self) -> None:
        """Who is interrupted while it waits leaves nothing behind."""
        self.network.host("10.0.0.2").listenTCP(9000, _Silent())
        self.join()
        self.network.run(1.0)
        self.doing.cancel()
        self.network.run_until(lambda: self.ended)
        self.assertEqual((self.members, list(self.host.timers)), ([], []))

    def test_ways(self) -> None:
        """Where files are not found, and what is no endpoint, is refused."""
        for wish, expected in (
            ({"via": "flood"}, "files are not found by --via flood; write --via index"),
            ({"via": "smell"}, "--via 'smell'"),
            ({"index": "none"}, "--index none: write where an index server listens"),
            ({"index": "nonsense"}, "--index 'nonsense': not an endpoint"),
        ):

            async def begin(**wish: Any) -> None:
                await node_for(**wish).join(self.host, fetching_nothing).__aenter__()

            failed = self.failureResultOf(Deferred.fromCoroutine(begin(**wish)), UsageError)
            self.assertIn(expected, str(failed.value))

    def test_empty(self) -> None:
        """An endpoint with nothing in it is refused, and not taken for none."""

        async def begin() -> None:
            await node_for(listen="").join(self.host, fetching_nothing).__aenter__()

        failed = self.failureResultOf(Deferred.fromCoroutine(begin()), UsageError)
        self.assertIn("--listen '': not an endpoint", str(failed.value))

    def test_advertised(self) -> None:
        """What a file says of an address means nothing to a node that does not listen; what is typed does."""
        below = {"advertise": Setting("192.0.2.7:1", Source(Place.FILE, "b.toml")), "listen": Setting("none", TYPED)}
        node = EphemeralNode.read(OptionValues(GET, below))
        self.assertIsNone(node.node_options["advertise"])
        self.assertIsNotNone(node_for(listen="none", advertise="192.0.2.7:1").node_options["advertise"])

    def test_where_to_listen(self) -> None:
        """Other machines can connect if the index is on one of them, and not otherwise, unless it is said."""
        places = {
            "tcp:127.0.0.1:9100": "tcp:0:interface=127.0.0.1",
            "tcp:host=localhost:port=9100": "tcp:0:interface=127.0.0.1",
            "tcp:192.0.2.7:9100": "tcp:0",
        }
        self.assertEqual({index: node_for(index=index).node_options["listen"] for index in places}, places)
        self.assertEqual(node_for(listen="tcp:9001").node_options["listen"], "tcp:9001")
