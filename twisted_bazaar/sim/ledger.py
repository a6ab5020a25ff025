"""A seller's book on the disk of a simulated machine: what it has answered outlives a crash.

One line for each answer, synced before anybody hears of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from attrs import asdict, evolve
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from twisted_bazaar.errors import StorageError
from twisted_bazaar.interfaces import Answer, ILedger, Order, Refusal, Sale, Settlement, StockLevel
from twisted_bazaar.sim.reactor import Host
from twisted_bazaar.trade.ledger import Supply
from twisted_bazaar.trade.order import decide

_FILE: Final = "ledger"


@implementer(ILedger)
class DiskLedger:
    """A ledger that is as durable as the disk it stands on.

    @param host: the machine with the disk; what the disk holds already is read at once.
    @param supplies: what there was at the very beginning, by item.
    """

    def __init__(self, host: Host, supplies: Mapping[str, Supply]) -> None:
        self._host = host
        self._one_by_one = DeferredLock()
        self._levels = {
            item: StockLevel(item, supply.quantity, supply.quantity, 0, supply.price)
            for item, supply in supplies.items()
        }
        self._answers: dict[tuple[int, int], Answer] = {}
        for line in host.disk.read(_FILE).splitlines():
            self._apply(_read(line))

    def settle(self, order: Order, kept_back: int) -> Deferred[Settlement]:
        """Decide an order once and for all; the answer is on the disk when this fires."""
        settling: Deferred[Settlement] = self._one_by_one.run(
            lambda: Deferred.fromCoroutine(self._settle(order, kept_back))
        )
        return settling

    def level(self, item: str) -> Deferred[StockLevel | None]:
        """The count of one item."""
        return succeed(self._levels.get(item))

    def levels(self) -> Deferred[Sequence[StockLevel]]:
        """The count of every item."""
        return succeed(list(self._levels.values()))

    def has_on_disk(self, buyer: int, order_id: int) -> bool:
        """Whether a crash at this instant would leave the sale of an order."""
        synced = self._host.disk.synced(_FILE)
        at = synced.find(b'{"order":{"buyer":%d,"id":%d,' % (buyer, order_id))
        return at >= 0 and isinstance(_read(synced[at : synced.index(b"\n", at)]), Sale)

    async def _settle(self, order: Order, kept_back: int) -> Settlement:
        known = self._answers.get((order.buyer, order.id))
        if known is not None:
            return Settlement(known, is_repeat=True)
        answer = decide(order, self._levels.get(order.item), kept_back)
        try:
            await deferToThreadPool(self._host, self._host.getThreadPool(), self._store, _line(answer))
        except OSError as error:
            raise StorageError(str(error)) from error
        self._apply(answer)
        return Settlement(answer, is_repeat=False)

    def _store(self, line: bytes) -> None:
        """Write and sync one answer; what cannot be synced is taken back."""
        disk = self._host.disk
        before = disk.read(_FILE)
        disk.append(_FILE, line)
        try:
            disk.sync(_FILE)
        except OSError:
            disk.undo(_FILE, before)
            raise

    def _apply(self, answer: Answer) -> None:
        order = answer.order
        self._answers[order.buyer, order.id] = answer
        level = self._levels.get(order.item)
        if isinstance(answer, Sale) and level is not None:
            self._levels[order.item] = evolve(
                level, in_stock=level.in_stock - order.quantity, sold=level.sold + order.quantity
            )


def _line(answer: Answer) -> bytes:
    refusal = (answer.code, answer.reason) if isinstance(answer, Refusal) else None
    return msgspec.json.encode({"order": asdict(answer.order), "refusal": refusal}) + b"\n"


def _read(line: bytes) -> Answer:
    told = msgspec.json.decode(line)
    order = Order(**told["order"])
    return Sale(order) if told["refusal"] is None else Refusal(order, *told["refusal"])
