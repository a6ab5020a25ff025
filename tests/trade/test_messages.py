"""The messages of a sale."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.trade.cases import answer_to, purchase, withdrawal
from twisted_bazaar.identity.signed import read_envelope
from twisted_bazaar.trade.messages import Answered, Buy, BuyNo, BuyOK, Cancel, handle_of
from twisted_bazaar.values.sale import Outcome
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.message import LARGEST_INTEGER, Routed


class SaleMessageTests(SynchronousTestCase):
    """What a buyer and a seller say to each other."""

    def setUp(self) -> None:
        """One message of each class, as it goes over two links."""
        self.codec = Codec([Buy, BuyOK, BuyNo, Cancel])
        self.buy = Buy(path=(1, 2), id=9, order=purchase())
        self.cancel = Cancel(path=(1, 2), id=9, order=withdrawal())
        self.yes = answer_to(self.buy, Outcome.SOLD).evolve(path=(2, 1))
        self.no = answer_to(self.cancel, Outcome.CANCELLED).evolve(path=(2, 1))

    def test_on_the_wire(self) -> None:
        """Each carries its envelope as JSON under a key of its own; the statement arrives byte for byte."""
        keys = {"buy": "order", "cancel": "order", "buyOK": "answer", "buyNO": "answer"}
        for message, envelope in (
            (self.buy, self.buy.order),
            (self.cancel, self.cancel.order),
            (self.yes, self.yes.answer),
            (self.no, self.no.answer),
        ):
            wire = self.codec.encode(message)
            plain = json.loads(wire)
            key = keys[plain["type"]]
            self.assertEqual(list(plain), ["type", "path", "id", key])
            self.assertEqual(plain["id"], 9)
            self.assertEqual(read_envelope(json.dumps(plain[key]).encode()), envelope)
            self.assertEqual((self.codec.decode(wire), self.codec.encode(self.codec.decode(wire))), (message, wire))

    def test_shortest(self) -> None:
        """Over one link there is no path."""
        self.assertEqual(list(json.loads(self.codec.encode(self.buy.evolve(path=None)))), ["type", "id", "order"])

    def test_routed(self) -> None:
        """All can go along a path; both answers are answers."""
        self.assertTrue(all(issubclass(cls, Routed) for cls in (Buy, Cancel, BuyOK, BuyNo)))
        self.assertTrue(all(issubclass(cls, Answered) for cls in (BuyOK, BuyNo)))

    def test_loop(self) -> None:
        """None can be made with a loop."""
        for message in (self.buy, self.cancel, self.yes, self.no):
            self.assertRaises(ValueError, message.evolve, path=(1, 2, 1))

    def test_handle(self) -> None:
        """The number by which errors name an order fits into a message, and is told apart by 52 of its bits."""
        self.assertEqual([handle_of("0" * 32), handle_of("f" * 13 + "0" * 19)], [0, 2**52 - 1])
        self.assertEqual(handle_of("0" * 12 + "1" + "f" * 19), 1)
        self.assertLessEqual(handle_of("f" * 32), LARGEST_INTEGER)
