"""What the log of a super peer says of neighbours that are not there."""

from __future__ import annotations

from tests.discovery.superpeer.fakes import SuperPeerTestCase, place


class AttendanceTests(SuperPeerTestCase):
    """A super peer that was given two neighbours."""

    options = {"neighbours": [place(1), place(2)]}

    def said(self, event: str) -> list[str]:
        """What was logged of one kind."""
        reports = zip(self.node.reports, self.node.sentences, strict=True)
        return [sentence.format(**details) for (name, details), sentence in reports if name == event and sentence]

    def test_missing(self) -> None:
        """One that has not answered for five seconds is mentioned, once."""
        self.neighbour(1)
        self.node.clock.pump([0.1] * 49)
        self.assertEqual(self.said("neighbour-missing"), [])
        for _ in range(30):
            self.neighbour(1)
            self.node.clock.pump([0.1] * 20)
        self.assertEqual(
            self.said("neighbour-missing"), ["the neighbour at 10.8.0.2 port 9200 does not answer; still trying"]
        )
        self.assertEqual(self.said("no-neighbours"), [])

    def test_known_elsewhere(self) -> None:
        """One that has answered from another address is not missing."""
        self.neighbour(1)
        deliver = self.role.neighbours.hello_received
        [hello] = [each.hello for each in self.role.neighbours.linked.values()]
        deliver(hello, place(2))
        self.node.clock.pump([0.1] * 60)
        self.assertEqual(self.said("neighbour-missing"), [])

    def test_alone(self) -> None:
        """After ten seconds without any neighbour that is said, once."""
        self.node.clock.pump([0.1] * 99)
        self.assertEqual(self.said("no-neighbours"), [])
        self.node.clock.pump([0.1] * 2)
        [line] = self.said("no-neighbours")
        self.assertIn("--neighbour HOST:PORT", line)
        self.neighbour(1)
        self.node.clock.pump([0.5] * 100)
        self.assertEqual(len(self.said("no-neighbours")), 1)

    def test_left_alone(self) -> None:
        """It counts from when the last has gone."""
        self.neighbour(3)
        self.node.clock.pump([0.1] * 50)
        self.leave(3)
        self.node.clock.pump([0.1] * 80)
        self.assertEqual(self.said("no-neighbours"), [])
        self.node.clock.pump([0.1] * 40)
        self.assertEqual(len(self.said("no-neighbours")), 1)
