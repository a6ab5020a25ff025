"""What rings keep: put, asked for, deleted, and there again after nodes have come and gone."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from tests.discovery.ring.keeping_nets import KeepingTestCase
from tests.discovery.ring.nets import key_pair
from twisted_bazaar.discovery.ring.member.client import RingClient
from twisted_bazaar.discovery.ring.storage.compared_ranges import COMPARE_S, UNCLAIMED_S
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.entry import VALUE_BYTES, VALUES, Kept, sign_entry
from twisted_bazaar.discovery.ring.storage.fragments import fragment, name_of
from twisted_bazaar.discovery.ring.storage.messages import RingStore
from twisted_bazaar.errors import NotNow, UsageError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.role import Role
from twisted_bazaar.values.addresses import Address


class GuestRole(Role):
    """Somebody who stores and is no member.

    @ivar dht: what it stores with.
    """

    is_self_numbered = True

    def __init__(self, guest: RingClient, join: Address) -> None:
        self.guest = guest
        self.dht = DhtClient(guest)
        self.datagrams = guest.datagrams
        self._join = join

    def start(self, node: INode) -> None:
        """Come in."""
        super().start(node)
        self.dht.start(node)
        self.guest.start(node, self._join)

    def stop(self) -> Deferred[None]:
        """Go."""
        return self.guest.stop()


class ValuesTests(KeepingTestCase):
    """Small values."""

    def test_put_and_get(self) -> None:
        """What one node puts under a name any other gets; it is where it belongs, and on those that follow."""
        nodes = self.ring(8)
        stored = self.put(nodes[0], "colour", b"blue")
        self.assertEqual(len(stored.keepers), 4)
        self.assertEqual(stored.keepers[0].id, self.holder(self.members_ring().key_of("colour")).id)
        self.assertEqual(set(self.having("colour")), set(self.right_ones("colour")))
        for node in nodes:
            self.assertEqual(self.get(node, "colour"), [b"blue"])
        self.assertEqual(self.get(nodes[3], "shape"), [])

    def test_alone(self) -> None:
        """A ring of one keeps all itself."""
        [node] = self.ring(1)
        self.put(node, "colour", b"blue")
        self.assertEqual(self.get(node, "colour"), [b"blue"])

    def test_sizes(self) -> None:
        """A value may have a kilobyte, whatever its bytes, and no more."""
        nodes = self.ring(4)
        for size in (0, 1, 200, 500, VALUE_BYTES):
            value = bytes(index * 7 % 256 for index in range(size))
            self.put(nodes[0], "size", value)
            self.assertEqual(self.get(nodes[2], "size"), [value])
        self.failureResultOf(self.dht(nodes[0]).put(VALUES, "size", bytes(VALUE_BYTES + 1)), UsageError)

    def test_names(self) -> None:
        """A name may be of any script, and long; one that can be misread is refused."""
        nodes = self.ring(4)
        for name in ("ü" * 127, '"' * 255, "\\" * 255, "魚" * 85):
            self.put(nodes[0], name, bytes(VALUE_BYTES))
            self.assertEqual(self.get(nodes[1], name), [bytes(VALUE_BYTES)])
        for name in ("", "a\nb", "x" * 256, "e\u0301"):
            self.failureResultOf(self.dht(nodes[0]).put(VALUES, name, b""), UsageError)

    def test_the_newest(self) -> None:
        """What is put again takes the place of what was there."""
        nodes = self.ring(5)
        for value in (b"one", b"two", b"three"):
            self.put(nodes[0], "number", value)
        self.assertEqual(self.get(nodes[4], "number"), [b"three"])

    def test_a_clock_that_goes_back(self) -> None:
        """An owner whose clock is behind what it has stored before goes beyond that."""
        nodes = self.ring(5)
        key = nodes[0].key
        ahead = sign_entry(key, Kept(space=VALUES, name="n", owner=key.public, version=10**12, value=b"old"))
        self.result(Deferred.fromCoroutine(self.dht(nodes[0])._spread(ahead)))
        self.dht(nodes[0]).store.drop(ahead.key)
        self.put(nodes[0], "n", b"new")
        self.assertEqual(self.get(nodes[1], "n"), [b"new"])

    def test_versions_are_bounded(self) -> None:
        """However much a node puts, it remembers no more than the last versions; what it has forgotten it replaces."""
        nodes = self.ring(4)
        dht = self.dht(nodes[0])
        self.put(nodes[0], "colour", b"blue")
        for number in range(10_050):
            dht._next_version(VALUES, f"n{number}", 0)
        self.assertEqual(len(dht._versions), 10_000)
        self.assertNotIn((VALUES, "colour"), dht._versions)
        self.put(nodes[0], "colour", b"red")
        self.assertEqual(self.get(nodes[1], "colour"), [b"red"])

    def test_side_by_side(self) -> None:
        """Values of several owners under one name stand side by side, the newest first; each changes its own."""
        nodes = self.ring(6)
        for index, node in enumerate(nodes):
            self.put(node, "who", b"%d" % index)
            self.network.run(0.1)
        self.assertEqual(self.get(nodes[0], "who"), [b"5", b"4", b"3", b"2", b"1", b"0"])
        self.put(nodes[2], "who", b"two")
        self.delete(nodes[4], "who")
        self.assertEqual(self.get(nodes[5], "who"), [b"two", b"5", b"3", b"1", b"0"])

    def test_delete(self) -> None:
        """What its owner deletes is gone; it may be put again."""
        nodes = self.ring(5)
        self.put(nodes[0], "x", b"1")
        self.delete(nodes[0], "x")
        self.assertEqual(self.get(nodes[1], "x"), [])
        self.put(nodes[0], "x", b"2")
        self.assertEqual(self.get(nodes[1], "x"), [b"2"])

    def test_deleting_what_is_anothers(self) -> None:
        """Nobody deletes what another has put."""
        nodes = self.ring(5)
        self.put(nodes[0], "x", b"1")
        self.delete(nodes[1], "x")
        self.assertEqual(self.get(nodes[2], "x"), [b"1"])

    def test_lifetime(self) -> None:
        """What is to be believed for some time is there for that time, and longer if it is put again."""
        nodes = self.ring(5)
        self.put(nodes[0], "here", b"1", lifetime=60)
        self.network.run(40.0)
        self.put(nodes[0], "here", b"1", lifetime=60)
        self.network.run(40.0)
        self.assertEqual(self.get(nodes[1], "here"), [b"1"])
        self.network.run(40.0)
        self.assertEqual(self.get(nodes[1], "here"), [])
        self.assertEqual(self.having("here"), [])


class ComingAndGoingTests(KeepingTestCase):
    """Nodes come and go, and everything stays."""

    def fill(self, count: int = 40) -> None:
        """Put some things, and delete some."""
        for number in range(count):
            self.put(self.network.nodes[0], f"n{number}", b"%d" % number)
        for number in range(0, count, 4):
            self.delete(self.network.nodes[0], f"n{number}")

    def check(self, count: int = 40) -> None:
        """Everything is as it was put, for anybody."""
        asker = self.network.nodes[-1]
        for number in range(count):
            self.assertEqual(self.get(asker, f"n{number}"), [] if number % 4 == 0 else [b"%d" % number], number)

    def misplaced(self, count: int = 40) -> list[str]:
        """What is not where it is to be."""
        names = [f"n{number}" for number in range(count)]
        return [name for name in names if not set(self.right_ones(name)) <= set(self.having(name))]

    def test_joins(self) -> None:
        """Who joins has soon what belongs to it."""
        nodes = self.ring(5)
        self.fill()
        for _ in range(5):
            nodes.append(self.add(nodes[0]))
        self.until_joined(nodes)
        self.until_ideal()
        self.network.run_until(lambda: not self.misplaced(), 30.0)
        self.check()

    def test_just_dead(self) -> None:
        """While the first holder is late the next is asked: nobody waits until it is certain that it is dead."""
        self.ring(8)
        self.put(self.network.nodes[0], "x", b"1")
        first, *others = self.right_ones("x")
        asker = next(node for node in self.network.nodes if node not in (first, *others))
        self.network.crash(first)
        before = len(self.events("ring-dead"))
        self.assertEqual(self.get(asker, "x"), [b"1"])
        stored = self.put(asker, "x", b"2")
        self.assertEqual(len(self.events("ring-dead")), before)
        self.assertEqual(len(stored.keepers), len(others) + 1)

    def test_quits(self) -> None:
        """Half of all leave, one after another, and nothing is missing at any time."""
        nodes = self.ring(8)
        self.fill()
        for node in nodes[1:5]:
            self.network.stop(node)
            self.network.run(2.0)
            self.check()

    def test_quits_among_the_dead(self) -> None:
        """Who leaves while those round it have died hands what it has to others, as soon as it knows."""
        nodes = self.ring(9)
        self.put(nodes[0], "x", b"1")
        first, going, *others = self.right_ones("x")
        for node in (first, *others):
            self.network.crash(node)
        self.network.stop(going)
        self.network.run(10.0)
        self.assertNotIn(going, self.network.nodes)
        self.assertEqual(self.get(self.network.nodes[-1], "x"), [b"1"])

    def test_deaths(self) -> None:
        """As many die at once as there are replicas; what is left is asked, and soon all is where it belongs again."""
        nodes = self.ring(9)
        self.fill()
        for node in self.right_ones("n1")[:3]:
            if node != nodes[0]:
                self.network.crash(node)
        self.check()
        self.network.run_until(lambda: not self.misplaced(), COMPARE_S)
        self.check()

    def test_what_does_not_belong(self) -> None:
        """After many have joined, nobody keeps for long what does not belong to it."""
        nodes = self.ring(4)
        self.fill(10)
        for _ in range(8):
            nodes.append(self.add(nodes[0]))
        self.until_joined(nodes)
        self.until_ideal()
        self.network.run(2 * UNCLAIMED_S)
        for number in range(10):
            self.assertEqual(set(self.having(f"n{number}")), set(self.right_ones(f"n{number}")))

    def test_a_deleted_one_that_comes_back(self) -> None:
        """A node that missed a deletion, and still has what was deleted, does not bring it back."""
        nodes = self.ring(5)
        self.put(nodes[0], "x", b"1")
        old = self.dht(self.right_ones("x")[0]).store.entries_of(VALUES, "x", self.network.seconds())[0]
        self.delete(nodes[0], "x")
        behind = self.dht(self.right_ones("x")[1]).store
        behind.drop(old.key)
        behind.put(old, self.network.seconds())
        self.assertEqual(self.get(nodes[4], "x", copies=4), [])
        self.network.run(2 * COMPARE_S)
        self.assertTrue(behind.entries_of(VALUES, "x", self.network.seconds())[0].kept.deleted)

    def test_nothing_is_left(self) -> None:
        """Who stops leaves no timer behind."""
        self.ring(4)
        self.fill(4)
        self.network.stop_all()
        self.network.run(10.0)
        self.assertEqual(self.network.left(), [])


class LiarsTests(KeepingTestCase):
    """Those who are not what they should be."""

    def test_forged(self) -> None:
        """What was not signed by its owner is kept by nobody, and believed by nobody."""
        nodes = self.ring(4)
        self.put(nodes[0], "x", b"right")
        [right] = self.dht(self.right_ones("x")[0]).store.entries_of(VALUES, "x", self.network.seconds())
        wrong = right.text.replace("A", "B", 1)
        liar = self.members[nodes[1]]
        answer = self.result(
            liar.requests.ask(self.contact(nodes[2]), partial(RingStore, whole=name_of(wrong), text=wrong[:700]))
        )
        self.assertEqual(answer.outcome, "refused")
        first = self.dht(self.right_ones("x")[0])
        object.__setattr__(right, "text", wrong)
        self.assertIs(first.store.entries_of(VALUES, "x", self.network.seconds())[0], right)
        self.assertEqual(self.get(nodes[3], "x"), [b"right"])

    def test_not_ascii(self) -> None:
        """A part of what can be no entry is refused when it comes, and not kept until the rest has."""
        nodes = self.ring(2)
        text = "\U0001f600" * 100
        part = partial(RingStore, whole=name_of(text), part=0, parts=6, text=text)
        answer = self.result(self.members[nodes[1]].requests.ask(self.contact(nodes[0]), part))
        self.assertEqual(answer.outcome, "refused")

    def test_guest(self) -> None:
        """A guest, which is no member, stores like one: what it has signed is kept by those that are to have it."""
        nodes = self.ring(5)
        guest = GuestRole(RingClient(self.settings), Address(*self.network.where(nodes[0])))
        self.network.add_node(guest, udp=True, key=key_pair(77), min_links=0)
        self.network.run_until(lambda: guest.guest.can_ask, 10.0)
        stored = self.result(guest.dht.put(VALUES, "x", b"from a guest"))
        self.assertEqual(len(stored.keepers), 4)
        self.assertEqual(self.get(nodes[3], "x"), [b"from a guest"])
        now = self.network.seconds()
        having = [each for each in nodes if self.dht(each).store.entries_of(VALUES, "x", now)]
        self.assertCountEqual(having, self.right_ones("x"))

    def test_why_refused(self) -> None:
        """Who is refused is told why, in words, whatever is wrong with what it has sent."""
        nodes = self.ring(2)
        self.put(nodes[0], "x", b"right")
        [right] = self.dht(nodes[0]).store.entries_of(VALUES, "x", self.network.seconds())
        asker, asked = self.members[nodes[1]].requests, self.contact(nodes[0])

        def told(text: str, **keys: Any) -> str:
            parts = fragment(text)
            make = partial(RingStore, **{"whole": name_of(text), "parts": len(parts), **keys})
            answers = [
                self.result(asker.ask(asked, partial(make, part=at, text=part))) for at, part in enumerate(parts)
            ]
            self.assertEqual(answers[-1].outcome, "refused")
            self.assertEqual({answer.info for answer in answers[:-1]} | {""}, {""})
            return answers[-1].info

        self.assertEqual(told(right.text, whole="0" * 32), "ringentry: its text is not the one that `whole` names")
        self.assertEqual(told("x" * 800, whole="0" * 32), "ringentry: its text is not the one that `whole` names")
        self.assertEqual(told(right.text + " "), "ringentry: it is written in another way than by its owner")
        self.assertIn("not an envelope", told("{}"))
        damaged = right.text[:-20] + ("A" if right.text[-20] != "A" else "B") + right.text[-19:]
        self.assertEqual(told(damaged), "ringentry: the signature does not hold")
        self.assertEqual(told("é"), "ringentry: its text has characters that are not ASCII")

    def test_one_that_knows_nothing(self) -> None:
        """A node to which something belongs, and that says it has nothing, hides nothing."""
        nodes = self.ring(6)
        self.put(nodes[0], "x", b"right")
        first, second, *_ = self.right_ones("x")
        asker = next(node for node in nodes if node not in self.right_ones("x"))
        for node in (first, second):
            store = self.dht(node).store
            for entry in list(store):
                store.drop(entry.key)
        self.assertEqual(self.get(asker, "x"), [b"right"])

    def test_dead_ones(self) -> None:
        """Of those that are to have something, all but one are dead: it is found."""
        nodes = self.ring(7)
        self.put(nodes[0], "x", b"right")
        holders = self.right_ones("x")
        asker = next(node for node in nodes if node not in holders)
        for node in holders[:3]:
            self.network.crash(node)
        self.assertEqual(self.get(asker, "x"), [b"right"])

    def test_one_that_is_dead_is_not_waited_for(self) -> None:
        """When one of those that were asked has something, the others have not long to answer."""
        nodes = self.ring(7)
        self.put(nodes[0], "x", b"right")
        holders = self.right_ones("x")
        asker = next(node for node in nodes if node not in holders)
        self.network.crash(holders[1])
        before = self.network.seconds()
        self.assertEqual(self.get(asker, "x", copies=4), [b"right"])
        self.assertLess(self.network.seconds() - before, 0.5)


class CrowdTests(KeepingTestCase):
    """One that stores as much as it can."""

    limits = {"most": 80}

    def test_one_that_fills_all(self) -> None:
        """One owner has its share and no more, is told so, and others are not pushed out."""
        nodes = self.ring(4)
        self.put(nodes[1], "mine", b"1")
        refused = 0
        for number in range(60):
            outcome = self.dht(nodes[0]).put(VALUES, f"n{number}", b"x")
            self.network.run_until(lambda outcome=outcome: outcome.called)
            failure: list[object] = []
            outcome.addErrback(lambda failed, failure=failure: failure.append(failed.check(NotNow)))
            refused += bool(failure)
        self.assertEqual(refused, 50)
        self.assertEqual(self.get(nodes[2], "mine"), [b"1"])
