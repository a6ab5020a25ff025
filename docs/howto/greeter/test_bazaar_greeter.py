"""The greeter without a network, and several of them in the simulator."""

from __future__ import annotations

from bazaar_greeter.role import ANSWERS_S, Greeter, Hello, HowDoYouGreet, SoIGreet, parse_words
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import FakeNode, SimulatedNetwork, deliver


class GreeterTests(SynchronousTestCase):
    """One greeter on a node that keeps what it says."""

    def setUp(self) -> None:
        """Start a greeter."""
        self.node = FakeNode(id=1)
        self.greeter = Greeter("good morning")
        self.greeter.start(self.node)
        self.ask = self.greeter.commands["greetings"]

    def test_greets(self) -> None:
        """A node that is newly linked is greeted over its own link."""
        self.greeter.peer_joined(self.node.link(7))
        self.assertEqual(self.node.sent, [(Hello(words="good morning"), (1, 7))])

    def test_tells_who_greets(self) -> None:
        """A greeting is entered in the journal, and not answered."""
        deliver(self.greeter, Hello(words="good evening"), 1, 7)
        self.assertEqual(self.node.reports, [("greeted", {"sender": 7, "words": "good evening"})])
        self.assertEqual(self.node.sent, [])

    def test_refuses_empty_greetings(self) -> None:
        """An option that makes no sense is refused before anything starts."""
        self.assertRaises(UsageError, parse_words, "", "--words")

    def test_answers(self) -> None:
        """A question is answered along the way by which it came: from this node over node 7 to node 9."""
        self.node.link(7)
        deliver(self.greeter, HowDoYouGreet(id=33, return_path=(9, 7)), 1, 7, 9)
        self.assertEqual(self.node.sent, [(SoIGreet(id=33, words="good morning"), (1, 7, 9))])

    def test_asks(self) -> None:
        """Its owner gets what others have answered within two seconds."""
        self.node.link(7)
        asked = self.ask({"reach": 2})
        [question] = self.node.flooded
        deliver(self.greeter, SoIGreet(id=question.id, words="good evening"), 1, 7, 9)
        self.assertNoResult(asked)
        self.node.clock.advance(ANSWERS_S)
        self.assertEqual(self.successResultOf(asked), [{"node": 9, "links": 2, "words": "good evening"}])

    def test_refuses_what_its_owner_cannot_mean(self) -> None:
        """A reach of more than seven links is refused, and so is a question while nobody is linked."""
        for request in ({"reach": 8}, {"reach": 2}):
            self.assertRaises(UsageError, self.ask, request)

    def test_stops(self) -> None:
        """A question that is under way ends with its role, and no timer is left."""
        self.node.link(7)
        asked = self.ask({})
        self.successResultOf(self.greeter.stop())
        self.assertEqual((self.successResultOf(asked), self.node.clock.getDelayedCalls()), ([], []))


class SeveralGreetersTests(SynchronousTestCase):
    """Greeters on real nodes, in the simulator."""

    def test_greet_each_other(self) -> None:
        """Two greeters in one network get each other's greeting."""
        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        early = network.add_node(Greeter("good morning"), min_links=0)
        network.add_node(Greeter("good evening"), min_links=0, near=[early])
        self.addCleanup(network.stop_all)
        network.run_until(lambda: len(network.events_of("greeted")) == 2)
        words = {event["words"] for event in network.events_of("greeted")}
        self.assertEqual(words, {"good morning", "good evening"})

    def test_ask_over_others(self) -> None:
        """A question gets as far as it may, over a node that is no greeter too, and the answer comes back that way."""
        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        relay = network.add_node(min_links=0)
        asker = Greeter("good morning")
        network.add_node(asker, min_links=0, near=[relay])
        far = network.add_node(Greeter("good evening"), min_links=0, near=[relay])
        self.addCleanup(network.stop_all)
        network.run(1.0)
        ask = asker.commands["greetings"]
        near, whole = (ask({"reach": reach}) for reach in (1, 2))
        network.run(ANSWERS_S)
        self.assertEqual(self.successResultOf(near), [])
        self.assertEqual(self.successResultOf(whole), [{"node": far.id, "links": 2, "words": "good evening"}])
