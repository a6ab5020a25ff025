"""How a command joins super peers, and what it says when there are none."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.node.cases import asked_at, node_for
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.node.availability import Reason
from twisted_bazaar.cli.node.ephemeral_node import Member, fetching_nothing
from twisted_bazaar.cli.terminal.errors import NegativeAnswer
from twisted_bazaar.errors import UsageError
from twisted_bazaar.identity.keys import own_id
from twisted_bazaar.role import Role
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import SimulatedNetwork

FIRST, SECOND = "tcp:10.0.0.2:9200", "tcp:10.0.0.3:9200"


class _Silent(Factory):
    """Takes connections, and says nothing."""

    protocol = Protocol


class _Closes(Protocol):
    """Closes as soon as something comes."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.loseConnection()


class _Closing(Factory):
    """A server of something else."""

    protocol = _Closes


class JoiningTests(SynchronousTestCase):
    """A command on one simulated machine, super peers on others."""

    def setUp(self) -> None:
        """Have no super peer yet."""
        self.network = SimulatedNetwork()
        self.host = self.network.host("10.0.0.1")
        for address in ("10.0.0.2", "10.0.0.3"):
            self.network.host(address)
        self.late: list[Reason] = []
        self.told: list[str] = []
        self.leave: Deferred[None] = Deferred()
        self.members: list[Member] = []
        self.ended: list[Any] = []

    def add_super_peer(self, address: str) -> None:
        """Let there be one."""
        self.network.add_node(SuperPeer(), port=9200, host=self.network.host(address), udp=True, min_links=0)

    def join(self, *super_peers: str, waits: bool = True, **wish: Any) -> None:
        """Join, and stay until the test has it leave."""
        membership = node_for(via="superpeer", super=list(super_peers), listen="none", **wish)
        late = {} if waits else {"late": self.late.append}

        async def work() -> None:
            told = lambda event, details: self.told.append(event)  # noqa: E731
            async with membership.join(self.host, fetching_nothing, listens=False, journals=(told,), **late) as member:
                self.members.append(member)
                await self.leave

        self.doing = Deferred.fromCoroutine(work()).addBoth(self.ended.append)

    def test_joined(self) -> None:
        """It is there, by the id that its key gives it, until it leaves, and then nothing of it is."""
        self.add_super_peer("10.0.0.2")
        self.join(FIRST)
        self.network.run_until(lambda: self.members, 5.0)
        [member] = self.members
        self.assertEqual(member.node.id, own_id(member.node.key.public))
        self.assertTrue(member.fetcher.joined.called)
        self.assertIn("moored", self.told)
        self.leave.callback(None)
        self.network.run_until(lambda: self.ended)
        self.assertEqual(self.ended, [None])
        self.assertEqual((list(self.host.timers), list(self.host.ports)), ([], []))

    def test_one_of_two(self) -> None:
        """One that is there is enough."""
        self.add_super_peer("10.0.0.3")
        self.join(FIRST, SECOND)
        self.network.run_until(lambda: self.members, 5.0)
        self.assertEqual(self.ended, [])
        self.leave.callback(None)
        self.network.run_until(lambda: self.ended)

    def test_nobody(self) -> None:
        """Where none is, that is said as soon as all have been tried, and how to start one."""
        self.join(FIRST, SECOND, FIRST)
        self.network.run_until(lambda: self.ended, 5.0)
        error = self.ended[0].value
        self.assertIsInstance(error, NegativeAnswer)
        self.assertRegex(
            error.message,
            rf"^no super peer at {FIRST}, {SECOND}: .*refused; is it running\? .*"
            r"twistd -n bazaar-node --role super_peer --listen tcp:9200$",
        )

    def test_silent(self) -> None:
        """Who listens and says nothing is given up after a while."""
        self.network.host("10.0.0.2").listenTCP(9200, _Silent())
        self.join(FIRST, join_s=3.0)
        self.network.run_until(lambda: self.ended, 10.0)
        self.assertIn("no answer within 3 s", self.ended[0].value.message)

    def refusal(self, *super_peers: str, **wish: Any) -> str:
        """What is said in the end."""
        self.join(*super_peers, **wish)
        self.network.run_until(lambda: self.ended, 15.0)
        self.assertIsInstance(self.ended[0].value, NegativeAnswer)
        return str(self.ended[0].value.message)

    def test_pinned_in_the_open(self) -> None:
        """Where a key is pinned nobody is dialled in the open, whoever is there; of several it is said which."""
        self.add_super_peer("10.0.0.2")
        pinned = f"{FIRST}#{'ab' * 32}"
        self.assertEqual(
            self.refusal(pinned, SECOND),
            f"no super peer at {pinned}, {SECOND}: at {pinned} no key is proven in the open; leave out --plain, or the "
            "# and what follows it",
        )

    def test_no_super_peer(self) -> None:
        """What is there and is no super peer is named as such, soon, and whoever runs none is not told to start it."""
        host = self.network.host("10.0.0.2")
        for role, port, reason in (
            (Tracker(), 9200, "a tracker's answer, where a node was expected"),
            (Role(), 9201, "nobody here takes 'register'"),
        ):
            with self.subTest(reason=reason):
                node = self.network.add_node(role, port=port, host=host)
                if not node.id > 0:
                    node._links.id = 7
                self.ended.clear()
                self.assertEqual(
                    self.refusal(f"tcp:10.0.0.2:{port}"),
                    f"no super peer at tcp:10.0.0.2:{port}: what listens there is no super peer ({reason}); "
                    "write after --super where super peers listen, such as tcp:127.0.0.1:9200",
                )
        self.assertLess(self.network.seconds(), 2.0)

    def test_another_server(self) -> None:
        """So is a server of something else, which closes the connection."""
        self.network.host("10.0.0.2").listenTCP(9200, _Closing())
        self.assertIn("what listens there is no super peer (the connection closed", self.refusal(FIRST))

    def test_hangs(self) -> None:
        """One that takes connections and says nothing may be a super peer that hangs."""
        self.network.host("10.0.0.2").listenTCP(9200, _Silent())
        self.assertEqual(
            self.refusal(FIRST),
            f"no super peer at {FIRST}: a connection was made there, but nobody has answered within 4 s; "
            "see whether it hangs, or is no super peer; or give another --super",
        )

    def test_full(self) -> None:
        """One that has no room says so, and it is not given up before others could have been learnt of."""
        self.network.add_node(SuperPeer(leaves=1), port=9200, host=self.network.host("10.0.0.2"), udp=True, min_links=0)
        self.join(FIRST)
        self.network.run_until(lambda: self.members)
        self.assertEqual(
            self.refusal(FIRST, join_s=4.0),
            f"no super peer at {FIRST}: the one there has no room for this node; "
            "start another super peer, or that one with more --leaves",
        )
        self.leave.callback(None)
        self.network.run_until(lambda: len(self.ended) == 2)

    def test_several(self) -> None:
        """Of several, the one that is there is named."""
        self.network.add_node(Tracker(), port=9200, host=self.network.host("10.0.0.3"))
        self.assertIn(f"at {FIRST}, {SECOND}: what listens at {SECOND} is no super peer (", self.refusal(FIRST, SECOND))

    def test_late(self) -> None:
        """Who waits is told of that too, and goes on waiting."""
        self.network.add_node(Tracker(), port=9200, host=self.network.host("10.0.0.2"))
        self.join(FIRST, waits=False)
        self.network.run_until(lambda: self.late)
        self.network.run(10)
        [reason] = self.late
        self.assertRegex(
            asked_at("superpeer", FIRST).awaited(reason),
            rf"^no super peer at {FIRST}: what listens there is no super peer \(.*\); waiting for it$",
        )
        self.leave.callback(None)
        self.network.run_until(lambda: self.ended)

    def test_waited_for(self) -> None:
        """Who waits is told that there is none, once, and joins when there is."""
        self.join(FIRST, waits=False)
        self.network.run_until(lambda: self.late)
        [member] = self.members
        self.assertFalse(member.fetcher.joined.called)
        self.add_super_peer("10.0.0.2")
        self.network.run_until(lambda: member.fetcher.joined.called)
        self.assertEqual(len(self.late), 1)
        self.leave.callback(None)
        self.network.run_until(lambda: self.ended)

    def test_endpoints(self) -> None:
        """What is no endpoint is refused."""
        for text, expected in (
            ("none", "--super none: write where a super peer listens, such as tcp:127.0.0.1:9200"),
            ("9200", "--super '9200': not an endpoint; write one such as tcp:127.0.0.1:9200"),
        ):
            joining = node_for(via="superpeer", super=[text]).join(self.host, fetching_nothing)
            failed = self.failureResultOf(Deferred.fromCoroutine(joining.__aenter__()), UsageError)
            self.assertEqual(str(failed.value), expected)

    def test_where_to_listen(self) -> None:
        """Other machines can connect if one of the super peers is on one of them, and not otherwise."""
        here, there = "tcp:127.0.0.1:9200", "tcp:192.0.2.7:9200"
        for super_peers, expected in (
            ([here], "tcp:0:interface=127.0.0.1"),
            ([here, there], "tcp:0"),
        ):
            membership = node_for(via="superpeer", super=super_peers)
            self.assertEqual(membership.node_options["listen"], expected)


class AskedTests(SynchronousTestCase):
    """What those are called who are asked."""

    def test_names(self) -> None:
        """One or several, of either kind."""
        index, one = asked_at("index", "tcp:h:9100"), asked_at("superpeer", FIRST)
        two = asked_at("superpeer", FIRST, SECOND)
        self.assertEqual(
            [str(index), str(one), str(two)],
            ["the index at tcp:h:9100", f"the super peer at {FIRST}", f"the super peers at {FIRST}, {SECOND}"],
        )
        self.assertEqual(index.awaited("refused"), "no index server at tcp:h:9100: refused; waiting for it")
        self.assertEqual(one.awaited("refused"), f"no super peer at {FIRST}: refused; waiting for it")
        self.assertEqual(two.awaited("refused"), f"no super peer at {FIRST}, {SECOND}: refused; waiting for one")

    def test_membership(self) -> None:
        """A command asks an index if nothing is said."""
        self.assertEqual(str(node_for().asked), "the index at tcp:127.0.0.1:9100")
        self.assertEqual(str(node_for(via="superpeer").asked), "the super peer at tcp:127.0.0.1:9200")


class OptionTests(SynchronousTestCase):
    """What the commands take."""

    def ends(self, *words: str, **environment: str) -> tuple[int, str]:
        """The status and the line that a command ends with."""
        result = CliRunner().invoke(main, words, prog_name="bazaar", env=environment)
        return result.exit_code, result.stderr.partition(": ")[2].rstrip("\n")

    def test_refusals(self) -> None:
        """What does not go together is refused in one line that says what to do."""
        via = ("--via", "superpeer")
        for command in (("search", "a"), ("get", "a"), ("share", "."), ("shell",)):
            for words, line in (
                (("--super", FIRST), "--super goes with --via superpeer: add that, or leave out --super"),
                ((*via, "--index", FIRST), "--index goes with --via index: add that, or leave out --index"),
            ):
                with self.subTest(command=command, words=words):
                    self.assertEqual(self.ends(*command, *words), (2, line))

    def test_everything(self) -> None:
        """Super peers cannot be asked for everything."""
        self.assertEqual(
            self.ends("search", "--all", "--via", "superpeer"),
            (
                2,
                "--all goes with --via index: a super peer has no list of everything; write a NAME, or a word of it",
            ),
        )

    def test_settings(self) -> None:
        """Super peers can stand in a variable, one in each line; it is no mistake where another way is chosen."""
        result = CliRunner().invoke(
            main,
            ["config", "show", "--program", "search", "--json"],
            prog_name="bazaar",
            env={"BAZAAR_SUPER": f"{FIRST}\n{SECOND}", "BAZAAR_VIA": "superpeer"},
        )
        shown = {row["option"]: row["value"] for row in json.loads(result.stdout)}
        self.assertEqual((shown["super"], shown["via"]), ([FIRST, SECOND], "superpeer"))
