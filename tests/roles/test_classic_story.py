"""The ring of the classroom, step by step as its two design papers tell it: eight peers on a ring of 256 places.

The peers stand at 1, 3, 4, 5, 8, 10, 12 and 15. File 2012 has the hash 220, and so belongs to peer 1.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from tests.configured import context_of
from tests.discovery.ring.nets import key_pair
from tests.files.cases import file_of
from tests.roles.test_ring_peer import PeersTestCase
from twisted_bazaar.files.udp.transfer_log import TransferLog
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.fetching import NotFound
from twisted_bazaar.roles.ring_peer import OPTIONS, make_role
from twisted_bazaar.service.config import read_transfer
from twisted_bazaar.service.options import TRANSFER
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.values.addresses import Address

NUMBERS = (1, 3, 4, 5, 8, 10, 12, 15)
PAPER = file_of(20_000)
ROUND_S = 7.0
# A round comes a quarter sooner or later.
LATEST_S = 1.25 * ROUND_S


class ClassroomTestCase(PeersTestCase):
    """Eight peers, each begun as C{--classic --ring-id N}.

    @cvar options: what else stands on their command lines.
    """

    options: Mapping[str, Any] = {}

    def setUp(self) -> None:
        """Have the ring, at rest."""
        super().setUp()
        self.at: dict[int, Node] = {}
        self.logs: dict[int, io.StringIO] = {}
        for number in NUMBERS:
            self.begin(number, by=None if number == 1 else 1)
            self.network.run(1.0)
        self.network.run_until(self.is_right, 60.0)

    def begin(self, number: int, by: int | None) -> Node:
        """Start a peer."""
        options = OptionValues.of((*OPTIONS, *TRANSFER), classic=True, ring_id=str(number), **self.options)
        peer = make_role(options, context_of())
        peer.lifecycle.join = None if by is None else Address(*self.network.where(self.at[by]))
        log = self.logs[number] = io.StringIO()
        transfer = read_transfer(options, [peer], Limits(), 0.0, takes_datagrams=True)
        transfer = evolve(transfer, log=TransferLog(log, 0.0))
        node = self.network.add_node(peer, udp=True, min_links=0, key=key_pair(number), transfer=transfer)
        self.peers[node], self.at[number] = peer, node
        return node

    def end(self, number: int) -> Node:
        """Forget a peer that was stopped or has died."""
        return self.at.pop(number)

    def successors(self, number: int) -> list[int]:
        """The successors of a peer."""
        return [contact.id for contact in self.peers[self.at[number]].member.stabilization.successors]

    def right_successors(self, number: int) -> list[int]:
        """Those that it should have."""
        numbers = sorted(self.at)
        after = numbers.index(number) + 1
        return [*numbers[after:], *numbers[:after]][:2]

    def is_right(self) -> bool:
        """Whether everybody knows its two successors, and the one before it."""
        members = {number: self.peers[node].member for number, node in self.at.items()}
        if not all(member.is_member for member in members.values()):
            return False
        numbers = sorted(members)
        for position, number in enumerate(numbers):
            before = members[number].stabilization.predecessor
            if before is None or before.id != numbers[position - 1]:
                return False
        return all(self.successors(number) == self.right_successors(number) for number in numbers)

    def told(self, number: int, event: str, since: int = 0) -> list[dict[str, Any]]:
        """What a peer has told of some kind.

        @param since: so many events of all peers are left out.
        """
        node = self.at[number]
        return [details for by, name, details in self.network.events[since:] if (by, name) == (node, event)]

    def mark(self) -> int:
        """How many events there were until now."""
        return len(self.network.events)

    def store(self, number: int, name: str = "2012", content: bytes = PAPER) -> Any:
        """Have a peer store a file."""
        return self.ask(self.at[number], "ring.store", path=self.write(f"{name}.pdf", content), name=name)

    def request(self, number: int, name: str = "2012") -> Path:
        """Have a peer request a file; returns where it has been put."""
        folder = self.place / f"received-{self.mark()}"
        folder.mkdir()
        return Path(self.ask(self.at[number], "ring.request", name=name, folder=str(folder))["path"])


class PingTests(ClassroomTestCase):
    """Peers ping their two successors, and know their predecessors by that."""

    def test_successors(self) -> None:
        """Each peer hears a ping of each of its two predecessors in each round, and of nobody else so many."""
        since = self.mark()
        self.network.run(10 * ROUND_S)
        for number in NUMBERS:
            pings = Counter(details["id"] for details in self.told(number, "ring-pinged", since))
            position = NUMBERS.index(number)
            before = {str(NUMBERS[position - 1]), str(NUMBERS[position - 2])}
            for each, count in pings.items():
                self.assertIn(count, range(8, 14) if each in before else range(7))
            self.assertLessEqual(before, pings.keys())

    def test_responses(self) -> None:
        """Each ping is answered, and who has sent it tells so."""
        since = self.mark()
        self.network.run(10 * ROUND_S)
        self.assertLessEqual(
            {str(number) for number in self.right_successors(8)},
            {details["id"] for details in self.told(8, "ring-ponged", since)},
        )

    def test_predecessors(self) -> None:
        """A peer knows its two predecessors by their pings."""
        self.network.run(LATEST_S)
        [status] = [self.ask(self.at[8], "ring.status")]
        self.assertEqual((status["ring_id"], status["predecessor"], status["callers"]), ("8", "5", ["5", "4"]))
        self.assertEqual(status["successors"], ["10", "12"])


class FileTests(ClassroomTestCase):
    """A file is stored and requested by its number."""

    def test_store(self) -> None:
        """File 2012 is with the first peer at place 220 or after it, and with its two successors."""
        self.assertEqual(self.store(8)["copies"], ["1", "3", "4"])
        self.assertEqual(self.keeping(PAPER), {self.at[number] for number in (1, 3, 4)})

    def test_passed_on(self) -> None:
        """A request passes from peer to peer until it is where the file is: nobody knows a shorter way."""
        self.store(8)
        since = self.mark()
        self.request(3)
        way = [
            (number, details.get("to", "here"))
            for node, event, details in self.network.events[since:]
            if event in ("ring-sent-on", "ring-here") and details["by"] == "3"
            for number in [next(number for number, each in self.at.items() if each is node)]
        ]
        self.assertEqual(way, [(5, "10"), (10, "15"), (15, "1"), (1, "here")])

    def test_received(self) -> None:
        """What has come is whole, and called by its number and by who has asked; each step of it is told."""
        self.store(8)
        since = self.mark()
        path = self.request(10)
        self.assertEqual((path.name, path.read_bytes()), ("received_file_2012_10.pdf", PAPER))
        self.assertEqual(self.told(10, "ring-requested", since), [{"name": "2012", "place": "220"}])
        [found] = self.told(10, "ring-found", since)
        self.assertEqual((found["name"], sorted(found["at"].split(", "))), ("2012", ["1", "3", "4"]))
        [fetching] = self.told(10, "ring-fetching", since)
        [fetched] = self.told(10, "ring-fetched", since)
        self.assertEqual((fetching["size"], fetched["size"]), (len(PAPER), len(PAPER)))
        self.network.run(2.0)
        sent = [details for number in (1, 3, 4) for details in self.told(number, "ring-sent", since)]
        self.assertGreaterEqual(sum(details["bytes"] for details in sent), len(PAPER))
        self.assertEqual({details["name"] for details in sent}, {"2012"})

    def test_not_there(self) -> None:
        """A file that nobody has stored is not found."""
        with self.assertRaises(NotFound):
            self.request(12, "2013")

    def test_names(self) -> None:
        """What is called by no number is found by its name, and keeps that."""
        self.store(8, "notes")
        self.assertEqual(self.request(12, "notes").name, "notes.pdf")


def most_under_way(log: str) -> int:
    """How many segments with something in them a log of one who sends has had under way at once with one peer."""
    most = 0
    under_way: dict[str, set[int]] = {}
    for row in log.splitlines()[1:]:
        event, _, offset, size, ack, peer = row.split()
        ends = under_way.setdefault(peer, set())
        if event == "ack":
            under_way[peer] = {end for end in ends if end > int(ack)}
        elif event in ("snd", "rtx", "drop") and int(size):
            if offset == "0":
                # Another stream.
                ends.clear()
            ends.add(int(offset) + int(size))
            most = max(most, len(ends))
    return most


class TransferTests(ClassroomTestCase):
    """A file goes by datagrams, one at a time; one in ten is thrown away on purpose."""

    options = {"drop": "0.1", "mss": "500"}

    def logs_of_senders(self) -> Sequence[str]:
        """The logs of peers that keep file 2012."""
        return [self.logs[number].getvalue() for number in (1, 3, 4)]

    def test_loss(self) -> None:
        """The file is whole though segments are lost, and the log tells what was dropped and sent again."""
        self.store(8)
        self.assertEqual(self.request(10).read_bytes(), PAPER)
        log = "".join(self.logs_of_senders())
        events = {row.split()[0] for row in log.splitlines()}
        self.assertLessEqual({"snd", "rcv", "ack", "drop", "rtx"}, events)

    def test_stop_and_wait(self) -> None:
        """No segment is sent before the last was acknowledged."""
        self.store(8)
        self.request(10)
        self.assertEqual(most_under_way(self.logs[8].getvalue()), 1)


class WindowTests(ClassroomTestCase):
    """The same ring with a window."""

    options = {"window": "8", "mss": "500"}

    def test_not_stop_and_wait(self) -> None:
        """With a window there are several under way: the test of stop-and-wait would notice."""
        self.store(8)
        self.assertGreater(most_under_way(self.logs[8].getvalue()), 1)


class LeavingTests(ClassroomTestCase):
    """Peers leave, politely and otherwise."""

    def test_quit(self) -> None:
        """Who quits says so to both predecessors, which have the right successors in the next round."""
        self.network.run(LATEST_S)
        since = self.mark()
        self.network.stop(self.end(8))
        self.network.run(2.0)
        for number in (5, 4):
            self.assertEqual([details["id"] for details in self.told(number, "ring-left", since)], ["8"])
        self.assertEqual(self.successors(5)[:1], [10])
        self.network.run(2 * LATEST_S)
        self.assertEqual((self.successors(5), self.successors(4)), ([10, 12], [5, 10]))
        self.assertTrue(self.is_right())
        self.assertEqual(self.network.events_of("ring-dead"), [])

    def test_handed_over(self) -> None:
        """Who quits hands over its files before it exits."""
        self.store(8)
        self.network.stop(self.end(1))
        self.network.run(3 * LATEST_S)
        self.assertIn(self.at[3], self.keeping(PAPER))
        self.assertEqual(self.request(12).read_bytes(), PAPER)

    def test_killed(self) -> None:
        """Who is killed is taken for dead when seven pings in a row have no answer, and not before."""
        self.network.run(LATEST_S)
        since, died = self.mark(), self.network.seconds()
        self.network.crash(self.end(10))
        # Seven pings with seven seconds each; the first of them is sent within a round.
        self.network.run_until(lambda: self.told(8, "ring-dead", since), 7 * ROUND_S + LATEST_S + 1.0)
        self.assertGreaterEqual(self.network.seconds() - died, 6 * ROUND_S)
        self.network.run_until(self.is_right, 3 * LATEST_S)
        self.assertEqual([details["id"] for details in self.told(8, "ring-dead", since)], ["10"])
        self.assertEqual((self.successors(8), self.successors(5)), ([12, 15], [8, 12]))

    def test_requests_are_no_pings(self) -> None:
        """A request that has no answer makes nobody dead, and comes to its end nevertheless."""
        self.store(8)
        since = self.mark()
        self.network.crash(self.end(10))
        self.assertEqual(self.request(5).read_bytes(), PAPER)
        # It was asked for the way, and all tries of that are over.
        self.network.run(ROUND_S)
        self.assertEqual(self.told(5, "ring-dead", since) + self.told(8, "ring-dead", since), [])
        self.network.run_until(self.is_right, 8 * ROUND_S + 2 * LATEST_S)
        self.assertEqual(len(self.told(8, "ring-dead", since)), 1)

    def test_file_of_killed(self) -> None:
        """The file of a peer that was killed is fetched from its successors."""
        self.store(8)
        self.network.crash(self.end(1))
        self.network.run(8 * ROUND_S + LATEST_S)
        self.assertEqual(self.request(12).read_bytes(), PAPER)


class JoiningTests(ClassroomTestCase):
    """Another peer comes."""

    def test_join(self) -> None:
        """It joins by any peer it knows, all know it soon, and it is given what belongs to it now."""
        self.store(8)
        newcomer = self.begin(230, by=4)
        self.network.run_until(self.is_right, 6 * LATEST_S)
        self.assertEqual((self.successors(15), self.successors(230)), ([230, 1], [1, 3]))
        self.network.run_until(lambda: newcomer in self.keeping(PAPER), 120.0)

    def test_taken(self) -> None:
        """A place that is taken is refused, and who wanted it is told where."""
        taken = self.peers[self.begin(8, by=1)]
        self.network.run_until(lambda: taken.finished.called, 60.0)
        self.assertEqual(self.successResultOf(taken.finished), 1)
        [refusal] = self.network.events_of("ring-refused")
        self.assertRegex(refusal["why"], r"the place of this node .* --ring-id")


class StoryTests(ClassroomTestCase):
    """All of it, one after the other."""

    options = {"drop": "0.1"}

    def test_story(self) -> None:
        """A file is stored and requested, and requested again when one has quit, one was killed and one has come."""
        # Store.
        self.assertEqual(self.store(3)["copies"], ["1", "3", "4"])
        # Request, and transfer.
        self.assertEqual(self.request(8).read_bytes(), PAPER)
        # Quit.
        self.network.stop(self.end(4))
        self.network.run_until(self.is_right, 3 * LATEST_S)
        # Abrupt, found by pings.
        self.network.crash(self.end(1))
        self.network.run_until(self.is_right, 9 * ROUND_S + LATEST_S)
        self.assertEqual((self.successors(15), self.successors(12)), ([3, 5], [15, 3]))
        # Update: the keys have found their new peers.
        self.network.run_until(lambda: {self.at[3], self.at[5]} <= self.keeping(PAPER), 120.0)
        # Join.
        newcomer = self.begin(221, by=12)
        self.network.run_until(self.is_right, 6 * LATEST_S)
        self.network.run_until(lambda: newcomer in self.keeping(PAPER), 120.0)
        # Request again, at the newcomer and elsewhere.
        for number in (221, 10):
            path = self.request(number)
            self.assertEqual((path.name, path.read_bytes()), (f"received_file_2012_{number}.pdf", PAPER))
        # Exit.
        for number in (3, 5, 8, 10):
            self.network.stop(self.end(number))
            self.network.run_until(self.is_right, 6 * LATEST_S)
        self.assertEqual(self.request(15).read_bytes(), PAPER)
