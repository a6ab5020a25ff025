"""The life of a link: what is promised of its stages, against a link that goes through them."""

from __future__ import annotations

from itertools import product

from tests.node.cases import LinkTestCase
from tests.raw_peer import KEY, connect
from twisted_bazaar.node.links.states import Event, Stage
from twisted_bazaar.values.addresses import Address, Peer


class LifeTests(LinkTestCase):
    """Every event in every stage leads where the table says."""

    NEXT = {
        (Stage.GREETING, Event.GREETED): Stage.OPEN,
        (Stage.GREETING, Event.LATE): Stage.OVERDUE,
        (Stage.GREETING, Event.ENDED): Stage.CLOSING,
        (Stage.OVERDUE, Event.GREETED): Stage.OPEN,
        (Stage.OVERDUE, Event.LATE): Stage.CLOSING,
        (Stage.OVERDUE, Event.ENDED): Stage.CLOSING,
        (Stage.OPEN, Event.RETIRED): Stage.LEAVING,
        (Stage.OPEN, Event.ENDED): Stage.CLOSING,
        (Stage.LEAVING, Event.ENDED): Stage.CLOSING,
        **{(stage, Event.LOST): Stage.CLOSED for stage in Stage},
    }
    WAYS = {
        Stage.GREETING: [],
        Stage.OVERDUE: [Event.LATE],
        Stage.OPEN: [Event.GREETED],
        Stage.LEAVING: [Event.GREETED, Event.RETIRED],
        Stage.CLOSING: [Event.ENDED],
        Stage.CLOSED: [Event.LOST],
    }

    def test_every_pair(self) -> None:
        """What is not in the table changes nothing, and nothing raises."""
        for (stage, way), event in product(self.WAYS.items(), Event):
            connect(self.network, self.node)
            tested = list(self.node._links._all)[-1]
            tested.peer = Peer(77, KEY, Address("10.0.0.9", 0))
            for step in way:
                tested._happen(step)
            self.assertEqual(tested.stage, stage)
            tested._happen(event)
            self.assertEqual(tested.stage, self.NEXT.get((stage, event), stage), (stage, event))
            tested.transport.abortConnection()
            self.network.run(0.1)
        self.assertEqual(self.linked_ids(), [])
