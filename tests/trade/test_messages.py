"""The messages of a sale."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.trade.messages import Buy, BuyOK
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.message import Routed


class SaleMessageTests(SynchronousTestCase):
    """What a buyer and a seller say to each other."""

    def test_on_the_wire(self) -> None:
        """An order and its answer have the same keys, named as in the specification."""
        codec = Codec([Buy, BuyOK])
        keys = {"path": (1, 2), "item": "pear", "id": 9, "quantity": 2, "price": 120}
        self.assertEqual(
            [codec.encode(cls(**keys)) for cls in (Buy, BuyOK)],
            [
                b'{"type":"buy","path":[1,2],"item":"pear","id":9,"quantity":2,"price":120}',
                b'{"type":"buyOK","path":[1,2],"item":"pear","id":9,"quantity":2,"price":120}',
            ],
        )

    def test_shortest(self) -> None:
        """One piece without a price over one link needs no more than item and id."""
        codec = Codec([Buy, BuyOK])
        self.assertEqual(codec.encode(Buy(item="a", id=1)), b'{"type":"buy","item":"a","id":1}')
        self.assertEqual(codec.decode(b'{"type":"buyOK","item":"a","id":1}'), BuyOK(item="a", id=1))

    def test_routed(self) -> None:
        """Both can go along a path."""
        self.assertTrue(issubclass(Buy, Routed) and issubclass(BuyOK, Routed))

    def test_item(self) -> None:
        """Neither can be made with a name that two people could read differently, nor with a loop."""
        for cls in (Buy, BuyOK):
            for wrong in ({"item": ""}, {"item": "a\0"}, {"item": "A\u0308"}, {"path": (1, 2, 1)}):
                self.assertRaises(ValueError, cls, **{"item": "a", "id": 1, **wrong})
