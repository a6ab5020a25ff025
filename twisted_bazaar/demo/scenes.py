"""The scenes of the demo: who enters, and what is waited for before the next one does.

None of it is taken from the script: each sale is read from what the daemons report. Those that are to
depend on relays take no connections and have room for one link.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from attrs import frozen

from twisted_bazaar.demo.crash_scene import CrashScene
from twisted_bazaar.demo.daemons import BadLuck, DemoFailure, Stage, free_ports
from twisted_bazaar.demo.events import Event
from twisted_bazaar.demo.narration import Narration
from twisted_bazaar.trade.messages import handle_of

_START_S: Final = 15.0
_SALE_S: Final = 15.0
_LEAST_GATHER_S: Final = 4.0
_MOST_GATHER_S: Final = 12.0
# How many times the start of one daemon another has to come, look and buy.
_GATHER_STARTS: Final = 6.0

_PICTURE: Final = (
    "tracker       introduces nodes; sees no question and no sale",
    "",
    "Ben  --+                             +-- Sam    5 apple at 40",
    "       |                             |",
    "       +-- relay Ana --- relay Bob --+-- Xenia  3 fig at 90",
    "       |                             |",
    "Finn --+                             +-- Yara   9 fig at 110",
    "",
    "Paul ------------------------------------ Otto   4 pear at 60",
)


@frozen
class Goods:
    """The goods of one seller.

    @ivar price: for one unit, in minor units.
    """

    seller: str
    item: str
    quantity: int
    price: int

    @property
    def option(self) -> str:
        """The same for the command line."""
        return f"{self.item}={self.quantity}@{self.price}"


_SAM: Final = Goods("Sam", "apple", 5, 40)
_XENIA: Final = Goods("Xenia", "fig", 3, 90)
_YARA: Final = Goods("Yara", "fig", 9, 110)
_LENA: Final = Goods("Lena", "quince", 2, 70)
_OTTO: Final = Goods("Otto", "pear", 4, 60)
GOODS: Final = (_SAM, _XENIA, _YARA, _OTTO, _LENA)


class Market:
    """The market of the demo.

    @param stage: where its daemons run.
    @param story: where it is told.
    """

    def __init__(self, stage: Stage, story: Narration) -> None:
        self._stage = stage
        self._chronicle = stage.chronicle
        self._story = story
        self._tracker = ""
        self._ana = ""
        self._bob = ""

    def play(self) -> None:
        """Let everything happen.

        @raise DemoFailure: something did not.
        """
        start_s = self._open()
        gather_s = min(_MOST_GATHER_S, max(_LEAST_GATHER_S, _GATHER_STARTS * start_s))
        self._across_two_relays(gather_s)
        self._quick_buyer(gather_s)
        [port] = free_ports(1)
        power_cut = CrashScene(self._stage, self._story, self._tracker, port, _OTTO.option)
        self._late_seller()
        self._sold_out()
        power_cut.play(start_s)

    def _open(self) -> float:
        """Start what has to be there first.

        @return: how many seconds it takes to start a daemon; it is measured, since it depends on the machine and
            what else it does.
        """
        ports = free_ports(3)
        self._tracker, self._ana, self._bob = (f"tcp:127.0.0.1:{port}" for port in ports)
        tracker, ana, bob = (f"tcp:{port}:interface=127.0.0.1" for port in ports)
        self._story.tell("Opening: a tracker, two relays, three sellers; each a daemon of its own.")
        began = self._stage.clock()
        self._stage.start("tracker", "bazaar-tracker", "--ephemeral", "--listen", tracker)
        self._stage.wait_for("the tracker did not start", lambda: self._chronicle.first("listening"), _START_S)
        start_s = self._stage.clock() - began
        self._node("relay Bob", "relay", "--listen", bob, "--min-links", "0")
        self._node("relay Ana", "relay", "--listen", ana, "--min-links", "0", "--connect", self._bob)
        for goods in (_SAM, _XENIA, _YARA):
            self._enter(goods.seller, self._bob, "seller", "--stock", goods.option)
        for name in ("relay Ana", "Sam", "Xenia", "Yara"):
            self._until_linked(name, "relay Bob")
        self._story.picture(_PICTURE)
        return start_s

    # The scenes.

    def _across_two_relays(self, gather_s: float) -> None:
        """Ben buys from Sam. Finn begins to compare; nobody stands still meanwhile, so Fay sets out too."""
        self._enter("Ben", self._ana, "buyer", "--want", "apple", "--once")
        self._enter("Finn", self._ana, "buyer", "--want", "fig=3", "--gather", f"{gather_s:.1f}", "--once")
        self._story.scene("A sale across two relays")
        self._story.tell(
            "Ben wants an apple. Ben is linked to relay Ana alone, Sam to relay Bob alone, and neither takes "
            "connections: whatever they say to each other has to cross both relays."
        )
        for goods in (_XENIA, _YARA):
            offer = partial(self._chronicle.first, "sent", goods.seller, type="reply")
            self._stage.wait_for(f"{goods.seller} did not make Finn an offer", offer, _SALE_S)
        self._enter("Fay", self._bob, "buyer", "--want", "fig=2", "--max-price", "100", "--once")
        purchase = self._purchase("an apple", "Ben")
        path = self._chronicle.path_of(purchase["route"])
        if path != ("Ben", "relay Ana", "relay Bob", "Sam"):
            raise DemoFailure(f"Ben's apple was to cross two relays, but came along {', '.join(path)}")
        self._tell_sale(purchase)

    def _quick_buyer(self, gather_s: float) -> None:
        """Fay buys from Xenia what Finn was offered. Quinn begins to look for what is not there."""
        self._node("Quinn", "buyer", "--want", "quince", "--once")
        self._story.scene("Whoever compares too long")
        self._story.tell(
            f"Finn wants 3 figs, has offers from Xenia at {_XENIA.price} and from Yara at {_YARA.price}, and "
            f"compares for {gather_s:.1f} seconds. Fay comes and wants 2 figs, now."
        )
        purchase = self._purchase("2 figs", "Fay", "Finn")
        if purchase.teller == "Finn":
            raise BadLuck("Finn had bought before Fay came; this machine is busy")
        self._tell_sale(purchase)

    def _late_seller(self) -> None:
        """Lena opens when Quinn has asked in vain."""
        self._story.scene("A seller that comes late")
        self._story.tell("Quinn knows only the tracker, and asks everywhere for a quince. Nobody has one.")
        self._stage.wait_for(
            "Quinn did not ask for a quince twice",
            lambda: True if len(self._searches_of("Quinn")) > 1 else None,
            _SALE_S,
        )
        in_vain = self._searches_of("Quinn")
        self._node("Lena", "seller", "--stock", _LENA.option)
        self._story.tell("Now Lena opens, with 2 quinces; she too knows only the tracker. Quinn asks again ...")
        purchase = self._purchase("a quince", "Quinn")
        if purchase["search"] in in_vain:
            raise DemoFailure("Quinn's quince answers a question from before Lena came")
        self._tell_sale(purchase)

    def _sold_out(self) -> None:
        """Finn orders from Xenia, who has too few left by now, and then from Yara."""
        self._story.scene("Sold out, so on to the next")
        purchase = self._purchase("3 figs", "Finn")
        missed = self._chronicle.first("missed", "Finn", seller=self._chronicle.id_of("Xenia"))
        if missed is None or purchase["seller"] != self._chronicle.id_of("Yara"):
            raise BadLuck("Finn was not sent from one seller to the other; this machine is busy")
        refusal = self._chronicle.first("refused", "Xenia", order=missed["order"])
        reason = f" ({refusal['reason']})" if refusal is not None else ""
        self._story.tell(f"Finn orders the cheapest: 3 figs from Xenia. Sold out{reason}. So Finn asks Yara:")
        self._tell_sale(purchase)

    # Who enters.

    def _node(self, name: str, role: str, *words: str) -> None:
        """Start a node that is open to others and finds them by the tracker."""
        keeping = ("--state", str(self._stage.state_of(name)))
        self._stage.start(name, "bazaar-node", "--role", role, "--tracker", self._tracker, *keeping, *words)

    def _enter(self, name: str, relay: str, role: str, *words: str) -> None:
        """Start a node that can be linked to one relay and to nobody else."""
        only = ("--listen", "none", "--connect", relay, "--max-links", "1", "--min-links", "0")
        self._node(name, role, *words, *only)

    # What is to be seen.

    def _until_linked(self, name: str, relay: str) -> None:
        """Wait until a relay has greeted a node that came to it."""

        def greeting() -> Event | None:
            node_id = self._chronicle.id_of(name)
            return None if node_id is None else self._chronicle.first("sent", relay, type="thisisme", to=node_id)

        self._stage.wait_for(f"{name} was not linked to {relay}", greeting, _START_S)

    def _purchase(self, goods: str, *buyers: str) -> Event:
        """Wait until one of these buyers has bought."""

        def purchase() -> Event | None:
            return next(filter(None, (self._chronicle.first("bought", buyer) for buyer in buyers)), None)

        return self._stage.wait_for(f"{buyers[0]} did not get {goods}", purchase, _SALE_S)

    def _searches_of(self, buyer: str) -> set[int]:
        return {event["id"] for event in self._chronicle.find("sent", buyer, type="search")}

    def _tell_sale(self, purchase: Event) -> None:
        # What led to the purchase may stand in files that were read before the buyer's.
        self._chronicle.refresh()
        path = self._chronicle.path_of(purchase["route"])
        messages = self._chronicle.messages(purchase["search"], handle_of(purchase["order"]))
        sentence = f"{path[-1]} sold {path[0]} {purchase['quantity']} {purchase['item']} at {purchase['price']}."
        self._story.sale(sentence, path, messages)
