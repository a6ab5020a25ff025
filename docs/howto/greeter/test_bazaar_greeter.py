"""The greeter without a network, and two of them in the simulator."""

from __future__ import annotations

from bazaar_greeter.role import Greeter, Hello, parse_words
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


class TwoGreetersTests(SynchronousTestCase):
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
