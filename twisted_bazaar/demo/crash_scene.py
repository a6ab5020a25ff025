"""The scene of the demo in which the power goes out at the worst moment, and its proof afterwards.

The worst moment of a sale is when the seller has sold and the buyer does not know. It is not left to chance:
buyer and seller are held, one after the other, so that each is where it has to be when both are killed.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from functools import partial
from pathlib import Path
from typing import Final

from twisted_bazaar.demo.daemons import BadLuck, Daemon, DemoFailure, Stage
from twisted_bazaar.demo.events import Event
from twisted_bazaar.demo.narration import Narration
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.trade.messages import handle_of

_WAIT_S: Final = 15.0
_LEAST_GATHER_S: Final = 1.0
_RECEIPT: Final = "receipt.json"
_FORGERY: Final = "forgery.json"
_SHORT_ID: Final = 12


class CrashScene:
    """A sale between Otto and Paul.

    @param stage: where they run.
    @param story: where it is told.
    @param tracker: the endpoint of their tracker.
    @param port: where Otto listens, each time it runs.
    @param goods: what Otto has, as on a command line.
    """

    def __init__(self, stage: Stage, story: Narration, tracker: str, port: int, goods: str) -> None:
        self._stage = stage
        self._chronicle = stage.chronicle
        self._story = story
        self._tracker = tracker
        self._port = port
        self._otto = self._start("Otto", "seller", "--stock", goods, "--listen", f"tcp:{port}:interface=127.0.0.1")

    def play(self, start_s: float) -> None:
        """Let Paul come, the power go and return, and the receipt be checked.

        @param start_s: how long it takes to start a daemon, on this machine and now.
        @raise DemoFailure: something did not happen.
        """
        gather_s = max(_LEAST_GATHER_S, 2 * start_s)
        words = ("--want", "pear=2", "--once", "--gather", f"{gather_s:.1f}", "--listen", "none")
        near = ("--connect", f"tcp:127.0.0.1:{self._port}", "--max-links", "1", "--min-links", "0")
        self._story.scene("kill -9, at the worst moment")
        self._story.tell("Otto has 4 pears. Paul orders 2. Then the power goes out for both.")
        paul = self._start("Paul", "buyer", *words, *near)
        order = self._sell(paul)
        for daemon in (self._otto, paul):
            self._stage.kill(daemon)
        self._story.tell(
            "Now: Otto has sold, and it stands in Otto's book. The answer is on its way, and Paul has not read it. "
            "Both are killed, and nobody is left who could say it again.",
            "bold red",
        )
        self._return(paul, order)
        self._prove(order)

    def _sell(self, paul: Daemon) -> str:
        """Let Otto sell to Paul, and Paul not know; returns the order's id."""
        self._until("Paul did not get an offer", "offered", "Paul")
        self._stage.hold(self._otto)
        self._until("Paul did not order", "sent", "Paul", type="buy")
        self._stage.hold(paul)
        self._stage.release(self._otto)
        sale = self._until("Otto did not sell", "sold", "Otto")
        self._until("Otto did not answer", "sent", "Otto", type="buyOK")
        if self._chronicle.first("bought", "Paul") is not None:
            raise BadLuck("Paul had the answer before the power went out; this machine is busy")
        order: str = sale["order"]
        return order

    def _return(self, paul: Daemon, order: str) -> None:
        """Start both again, and see that the sale has happened once."""
        self._story.tell("The power is back. Both are started with the same commands as before.")
        starts = len(self._chronicle.find("listening", "Otto"))
        self._stage.start_again(self._otto)
        self._stage.wait_for(
            "Otto did not start again",
            lambda: True if len(self._chronicle.find("listening", "Otto")) > starts else None,
            _WAIT_S,
        )
        self._stage.start_again(paul)
        self._until("Paul did not go on with its order", "resumed", "Paul", order=order)
        self._story.tell(
            "Paul finds an order without an answer in its book, and asks again: the same order, not another."
        )
        self._until("Paul did not get an answer", "bought", "Paul", order=order)
        sales, purchases = (self._chronicle.find(kind, name) for kind, name in (("sold", "Otto"), ("bought", "Paul")))
        if (len(sales), len(purchases)) != (1, 1):
            raise DemoFailure(f"Otto sold {len(sales)} times, and Paul bought {len(purchases)} times")
        messages = self._chronicle.messages(handle_of(order))
        self._story.tell("Otto finds it sold in its book, and says so again. Sold once, paid once.", "bold green")
        self._story.told_in(messages)

    def _prove(self, order: str) -> None:
        """Have Otto write a receipt, and check it; then spoil it, and check it again."""
        self._story.scene("And here is the proof")
        self._story.tell(
            "Paul signed the order and Otto the answer. Both together prove the sale, to anybody, anywhere. "
            "It is shown in a folder that goes when this ends; how to do it with nodes of your own stands at the end:"
        )
        short = order[:_SHORT_ID]
        self._bazaar(
            ExitStatus.DONE, "orders", short, "--state", self._stage.state_of("Otto").name, "--receipt", _RECEIPT
        )
        for line in self._bazaar(ExitStatus.DONE, "verify", _RECEIPT):
            self._story.output(line)
        _forge(self._stage.directory / _RECEIPT, self._stage.directory / _FORGERY)
        self._story.tell("And the same with 3 pears written into it instead of 2:")
        for line in self._bazaar(ExitStatus.NO, "verify", _FORGERY):
            self._story.output(line, "red")

    def _bazaar(self, expected: ExitStatus, *words: str) -> list[str]:
        """Run a command that anybody could type, and show it; returns what it prints.

        @param expected: the status with which it has to end.
        """
        self._story.command(f"bazaar {' '.join(words)}")
        status, lines = self._stage.run_bazaar(*words)
        if status != expected:
            raise DemoFailure(f"bazaar {words[0]} ended with status {status}: {' '.join(lines) or 'it said nothing'}")
        return lines

    def _start(self, name: str, role: str, *words: str) -> Daemon:
        keeping = ("--state", str(self._stage.state_of(name)), "--tracker", self._tracker)
        return self._stage.start(name, "bazaar-node", "--role", role, *keeping, *words)

    def _until(self, failure: str, kind: str, teller: str, **details: object) -> Event:
        look = partial(self._chronicle.first, kind, teller, **details)
        return self._stage.wait_for(failure, look, _WAIT_S)


def _forge(receipt: Path, forgery: Path) -> None:
    """Copy a receipt with another quantity in the order."""
    stated = json.loads(receipt.read_bytes())
    payload = b64decode(stated["order"]["payload"]).replace(b'"quantity":2', b'"quantity":3')
    stated["order"]["payload"] = b64encode(payload).decode("ascii")
    forgery.write_text(json.dumps(stated), encoding="ascii")
