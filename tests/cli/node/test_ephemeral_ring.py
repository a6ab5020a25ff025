"""How a command comes to a ring, as a guest or as a member, and what it says when nobody is there."""

from __future__ import annotations

from typing import Any

from click.testing import CliRunner
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.node.cases import asked_at, node_for
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.node.availability import Reason
from twisted_bazaar.cli.node.ephemeral_node import Member, fetching_nothing
from twisted_bazaar.cli.terminal.errors import NegativeAnswer
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.identity.keys import own_id
from twisted_bazaar.role import Role
from twisted_bazaar.roles.ring.finder import RingFinder
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import SimulatedNetwork

MEMBER = "tcp:10.0.0.2:9300"


class JoiningTests(SynchronousTestCase):
    """A command on one simulated machine, a member of a ring on another."""

    def setUp(self) -> None:
        """Have no ring yet."""
        self.network = SimulatedNetwork()
        self.host = self.network.host("10.0.0.1")
        self.network.host("10.0.0.2")
        self.late: list[Reason] = []
        self.told: list[str] = []
        self.leave: Deferred[None] = Deferred()
        self.members: list[Member] = []
        self.ended: list[Any] = []

    def begin(self, role: Role | None = None, **about: Any) -> RingFinder:
        """Let there be a ring of one."""
        finder = RingFinder()
        node = self.network.add_node(
            *([role] if role else [finder]),
            **{"port": 9300, "host": self.network.host("10.0.0.2"), "udp": True, "min_links": 0, **about},
        )
        self.addCleanup(lambda: node in self.network.nodes and self.network.stop(node))
        return finder

    def join(self, *, waits: bool = True, stays: bool = False, **wish: Any) -> None:
        """Come in, and stay until the test has it leave."""
        membership = node_for(**{"via": "ring", "join": MEMBER, "listen": "none", **wish})
        late = {} if waits else {"late": self.late.append}

        async def work() -> None:
            told = lambda event, details: self.told.append(event)  # noqa: E731
            joining = membership.join(self.host, fetching_nothing, listens=False, stays=stays, journals=(told,), **late)
            async with joining as member:
                self.members.append(member)
                await member.stay(self.until_left())

        self.doing = Deferred.fromCoroutine(work()).addBoth(self.ended.append)

    async def until_left(self) -> None:
        """What it does meanwhile."""
        await self.leave

    def refusal(self, **how: Any) -> str:
        """What the user is told when it cannot."""
        self.join(**how)
        self.network.run_until(lambda: self.ended, 15.0)
        error = self.ended.pop().value
        self.assertIsInstance(error, NegativeAnswer)
        return str(error.message)

    def test_guest(self) -> None:
        """It is there, by the id of its key and no member, until it leaves, and then nothing of it is."""
        finder = self.begin()
        self.join()
        self.network.run_until(lambda: self.members, 5.0)
        [member] = self.members
        self.assertEqual(member.node.id, own_id(member.node.key.public))
        self.assertTrue(member.fetcher.joined.called)
        self.assertIn("ring-visited", self.told)
        self.network.run(5)
        self.assertEqual(finder.member.stabilization.successors, ())
        self.leave.callback(None)
        self.network.run_until(lambda: self.ended)
        self.assertEqual(self.ended, [None])
        self.assertEqual((list(self.host.timers), list(self.host.ports), list(self.host.udp_ports)), ([], [], []))

    def test_member(self) -> None:
        """One that stays has a place on the ring, and gives it back when it leaves."""
        finder = self.begin()
        self.join(stays=True)
        self.network.run_until(lambda: "ring-joined" in self.told, 5.0)
        self.network.run(3)
        self.assertEqual(len(finder.member.stabilization.successors), 1)
        self.leave.callback(None)
        self.network.run_until(lambda: self.ended)
        self.network.run(1)
        self.assertEqual(finder.member.stabilization.successors, ())
        self.assertEqual((list(self.host.timers), list(self.host.ports), list(self.host.udp_ports)), ([], [], []))

    def test_nobody(self) -> None:
        """Where nobody is, that is said at once, and how to start one."""
        self.assertRegex(
            self.refusal(),
            rf"^no ring member at {MEMBER}: .*refused; is it running\? .*"
            r"twistd -n bazaar-node --role ring_peer --listen tcp:9300$",
        )

    def test_no_member(self) -> None:
        """Who is no member is named as what it is: a node without datagrams, one of no ring, a tracker."""
        for role, about, said in (
            (SuperPeer(), {"udp": False}, "takes no datagrams"),
            (SuperPeer(), {}, "is no ring member"),
            (Tracker(), {"udp": False}, "tracker"),
        ):
            with self.subTest(said=said):
                node = self.begin(role, **about)
                self.assertIn(said, self.refusal())
                self.doCleanups()
                self.network.run(5)
                del node

    def test_tracker(self) -> None:
        """A tracker is none, which is told soon, with the status of those who were not reached."""
        self.begin(Tracker(), udp=False)
        self.join()
        self.network.run_until(lambda: self.ended, 2.0)
        self.assertEqual(self.ended[0].value.exit_code, ExitStatus.UNREACHED)

    def test_other_bits(self) -> None:
        """A ring of other places than was said is told of, with what to write."""
        self.begin()
        self.assertIn("has 64 bits, not 32; write --bits 64", self.refusal(bits="32"))

    def test_refused_for_good(self) -> None:
        """One that may wait is told at once, with what to do, when it will never be taken, and waits no more."""
        self.begin()
        self.assertIn("has 64 bits, not 32; write --bits 64", self.refusal(waits=False, stays=True, bits="32"))
        self.assertEqual(self.late, [])
        self.assertTrue(self.leave.called)

    def test_interrupted(self) -> None:
        """Who ends it itself is told nothing."""
        self.begin()
        self.join(waits=False, stays=True)
        self.network.run_until(lambda: "ring-joined" in self.told, 5.0)
        self.doing.cancel()
        self.network.run_until(lambda: self.ended)
        self.assertIsInstance(self.ended[0].value, CancelledError)

    def test_late(self) -> None:
        """One that may wait is told why nobody is there, goes on, and joins when somebody is."""
        self.join(waits=False, stays=True)
        self.network.run_until(lambda: self.late, 5.0)
        self.assertEqual(asked_at("ring", MEMBER).awaited(self.late[0])[-14:], "waiting for it")
        self.begin()
        self.network.run_until(lambda: "ring-joined" in self.told, 60.0)
        self.leave.callback(None)
        self.network.run_until(lambda: self.ended)


class OptionsTests(SynchronousTestCase):
    """What a command line says of a ring."""

    def refusal(self, *words: str) -> str:
        """The line it ends with."""
        done = CliRunner().invoke(main, words)
        self.assertNotEqual(done.exit_code, 0)
        return done.output

    def test_refusals(self) -> None:
        """What does not go together is refused, with what to do."""
        for words, said in (
            (("search", "x", "--via", "ring"), "--via ring: say where a member of the ring listens, with --join"),
            (("search", "x", "--join", MEMBER), "--join goes with --via ring: add that, or leave out --join"),
            (("get", "x", "--bits", "8"), "--bits goes with --via ring: add that, or leave out --bits"),
            (("get", "x", "--via", "ring", "--join", MEMBER, "--super", MEMBER), "--super goes with --via superpeer"),
            (("get", "x", "--via", "ring", "--join", MEMBER, "--index", MEMBER), "--index goes with --via index"),
            (("get", "x", "--via", "ring", "--join", MEMBER, "--bits", "2"), "--bits '2': takes a whole number from 3"),
            (("search", "--all", "--via", "ring", "--join", MEMBER), "a ring has no list of everything"),
        ):
            with self.subTest(words=words):
                self.assertIn(said, self.refusal(*words))
