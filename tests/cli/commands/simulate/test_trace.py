"""C{bazaar trace}, as it is typed, over traces made by hand and by a simulation."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.cases import HANDLE, ORDER_ID, SELLER, SHORT_ID, order_for, quote_for, receipt_of, sale
from twisted_bazaar.cli.main import main
from twisted_bazaar.identity.signed import seal
from twisted_bazaar.sim.market.run import MarketRun
from twisted_bazaar.sim.market.scenario import MarketScenario
from twisted_bazaar.sim.scenario import FaultEntry
from twisted_bazaar.trade.contract import Presence
from twisted_bazaar.trade.messages import handle_of
from twisted_bazaar.trade.purchase import Purchases
from twisted_bazaar.values.sale import Outcome, Verdict

BEN, ANA, SAM = 11, 12, 13


def order(order_id: str) -> Any:
    """An order of some id, as it stands in a message."""
    return msgspec.to_builtins(order_for(quote_for(), order_id=order_id))


def event(time: float, node: str | None, name: str, /, **details: Any) -> dict[str, Any]:
    """One line of a simulation."""
    return {"time": time, "node": node, "event": name, **details}


def sent(time: float, node: str, to: int, type: str, /, **details: Any) -> dict[str, Any]:
    """A line about a message."""
    return event(time, node, "sent", to=to, type=type, **details)


TERMS = quote_for()
QUOTE = msgspec.to_builtins(seal(SELLER, TERMS))
PURCHASE = msgspec.to_builtins(order_for(TERMS))
YES = receipt_of(sale())["answer"]
NO = receipt_of(sale(verdict=Verdict(Outcome.REFUSED, "soldout", "0 left")))["answer"]
TAKEN_BACK = receipt_of(sale(verdict=Verdict(Outcome.CANCELLED)))

JOINED = [event(1.0, name, "joined", id=id) for name, id in (("Ben", BEN), ("Ana", ANA), ("Sam", SAM))]
SEARCH = [
    sent(2.0, "Ben", ANA, "search", id=5, returnPath=[BEN], ttl=4, item="apple", quantity=2),
    sent(2.1, "Ana", SAM, "search", id=5, returnPath=[BEN, ANA], ttl=3, item="apple", quantity=2),
    sent(2.1, "Ana", 99, "search", id=5, returnPath=[BEN, ANA], ttl=3, item="apple", quantity=2),
    sent(2.2, "Sam", ANA, "reply", id=5, path=[SAM, ANA, BEN], item="apple", quantity=2, price=40, quote=QUOTE),
    sent(2.3, "Ana", BEN, "reply", id=5, path=[SAM, ANA, BEN], item="apple", quantity=2, price=40, quote=QUOTE),
    event(2.4, "Ben", "offered", seller=SAM, item="apple", quantity=2, price=40, search=5),
]
ORDER = [
    sent(2.7, "Ben", ANA, "buy", id=HANDLE, path=[BEN, ANA, SAM], order=PURCHASE),
    sent(2.8, "Ana", SAM, "buy", id=HANDLE, path=[BEN, ANA, SAM], order=PURCHASE),
    event(2.9, "Sam", "sold", item="apple", quantity=2, price=40, buyer=BEN, order=ORDER_ID, route=[SAM, ANA, BEN]),
    sent(2.9, "Sam", ANA, "buyOK", id=HANDLE, path=[SAM, ANA, BEN], answer=YES),
    sent(3.0, "Ana", BEN, "buyOK", id=HANDLE, path=[SAM, ANA, BEN], answer=YES),
    event(
        3.1,
        "Ben",
        "bought",
        item="apple",
        quantity=2,
        price=40,
        seller=SAM,
        order=ORDER_ID,
        search=5,
        route=[BEN, ANA],
    ),
]
RUN = [*JOINED, *SEARCH, *ORDER]


class TraceCase(SynchronousTestCase):
    """A command line in an empty directory."""

    def setUp(self) -> None:
        """Go to a directory of its own."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory.name)

    def write(self, *lines: dict[str, Any], name: str = "run.jsonl") -> None:
        """Write a trace."""
        Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))

    def trace(self, *words: str) -> Result:
        """Type a command."""
        return CliRunner().invoke(main, ["trace", *words], prog_name="bazaar")

    def told(self, *words: str) -> list[str]:
        """The lines that a command prints, which ends well and complains of nothing."""
        result = self.trace(*words)
        self.assertEqual((result.exit_code, result.stderr), (0, ""), result.output)
        return [line.strip() for line in result.stdout.splitlines()]


class ListTests(TraceCase):
    """All searches and orders of a trace."""

    def test_list(self) -> None:
        """Each is listed with its id, who, what, when and how it ended."""
        self.write(*RUN)
        self.assertEqual(
            self.told("run.jsonl"),
            [
                "1 search",
                "5       2.000 s  Ben  2 apple, ttl 4  bought 2",
                "",
                "1 order",
                f"{SHORT_ID}       2.700 s  Ben  2 apple from Sam  bought within 0.400 s",
            ],
        )

    def search_ends(self, *lines: dict[str, Any]) -> str:
        """How a search ends."""
        self.write(*JOINED, *lines)
        return self.told("run.jsonl")[1].partition("ttl 4  ")[2]

    def test_ends_of_searches(self) -> None:
        """A search is not answered, answered in vain, answered, or leads to a purchase."""
        self.assertEqual(self.search_ends(*SEARCH[:3]), "no answer")
        self.assertEqual(self.search_ends(*SEARCH[:5]), "1 answer, no offer")
        self.assertEqual(self.search_ends(*SEARCH, SEARCH[-1]), "2 offers, nothing bought")
        self.assertEqual(self.search_ends(*SEARCH, *ORDER, ORDER[-1]), "bought 4")

    def order_ends(self, *lines: dict[str, Any]) -> str:
        """How an order ends."""
        self.write(*JOINED, *lines)
        return self.told("run.jsonl")[-1].partition("from Sam  ")[2]

    def test_ends_of_orders(self) -> None:
        """An order is not answered, refused, confirmed, or sold without its buyer's knowledge."""
        missed = event(3.2, "Ben", "missed", seller=SAM, order=ORDER_ID, search=5, reason="0 left")
        self.assertEqual(self.order_ends(*ORDER[:2]), "no answer")
        self.assertEqual(self.order_ends(*ORDER[:2], *ORDER[:2]), "no answer after 2 tries")
        self.assertEqual(self.order_ends(*ORDER[:5]), "sold, and the buyer does not know")
        self.assertEqual(self.order_ends(*ORDER[:2], missed), "refused: 0 left within 0.500 s")
        self.assertEqual(self.order_ends(ORDER[0], *ORDER), "bought within 0.400 s after 2 tries")

    def test_way(self) -> None:
        """A search for a way to a seller says so."""
        way = {**SEARCH[0], "seller": SELLER.public}
        self.write(*JOINED, way)
        self.assertIn(f"Ben  way to the node with the key {SELLER.public[:8]}, ttl 4", self.told("run.jsonl")[1])
        for knowing in (sent(1.5, "Sam", ANA, "thisisme", id=SAM, port=0, key=SELLER.public), ORDER[0]):
            self.write(*JOINED, knowing, way)
            self.assertIn("Ben  way to Sam, ttl 4  no answer", self.told("run.jsonl")[1])

    def test_nothing(self) -> None:
        """A trace in which nobody trades is told as one."""
        self.write(*JOINED)
        self.assertEqual(self.told("run.jsonl"), ["no searches", "", "no orders"])

    def test_strangers(self) -> None:
        """Messages of other roles do not matter, whatever their keys are; who never joined has a number."""
        strange = [
            sent(1.5, "Ana", SAM, "hello", id="x", path="there"),
            event(1.5, "Ana", "greeted", seller=[1]),
        ]
        self.write(*JOINED[:2], *strange, *RUN[3:])
        self.assertIn("2 apple from node 13", self.told("run.jsonl")[-1])


class DialogueTests(TraceCase):
    """One search or one order."""

    def test_search(self) -> None:
        """Hop by hop, with names, times from its beginning, and what is passed on in one go in one line."""
        self.write(*RUN)
        self.assertEqual(
            self.told("run.jsonl", "--search", "5"),
            [
                "Search 5: Ben looks for 2 apple",
                "It begins at 2.000 s; times are counted from there.",
                "0.000 s  Ben -> Ana: search, ttl 4",
                "0.100 s  Ana -> Sam, node 99: search, ttl 3, passed by Ben > Ana",
                "0.200 s  Sam -> Ana: reply 2 apple at 40, path Sam > Ana > Ben",
                "0.300 s  Ana -> Ben: reply 2 apple at 40, path Sam > Ana > Ben",
                "0.400 s  Ben has an offer: 2 apple at 40 from Sam",
                "1.100 s  Ben has bought 2 apple at 40 from Sam (order 6aaaaaaaaaaa)",
            ],
        )

    def test_order(self) -> None:
        """Order, sale and answer, each where it belongs."""
        self.write(*RUN)
        self.assertEqual(
            self.told("run.jsonl", "--order", SHORT_ID),
            [
                f"Order {ORDER_ID}: Ben orders 2 apple at 40 from Sam",
                "It begins at 2.700 s; times are counted from there.",
                "0.000 s  Ben -> Ana: buy 2 apple at 40, path Ben > Ana > Sam",
                "0.100 s  Ana -> Sam: buy 2 apple at 40, path Ben > Ana > Sam",
                "0.200 s  Sam has sold 2 apple at 40 to Ben",
                "0.200 s  Sam -> Ana: buyOK sold 2 apple at 40, path Sam > Ana > Ben",
                "0.300 s  Ana -> Ben: buyOK sold 2 apple at 40, path Sam > Ana > Ben",
                "0.400 s  Ben has bought 2 apple at 40 from Sam (order 6aaaaaaaaaaa)",
            ],
        )

    def test_errors(self) -> None:
        """Errors are told with their code and the node that is gone; a refusal with its reason."""
        gone = sent(
            2.9, "Ana", BEN, "error", code="noroute", info="gone", about="buy", id=HANDLE, hop=SAM, path=[ANA, BEN]
        )
        refused = event(3.0, "Sam", "refused", item="apple", quantity=2, buyer=BEN, order=ORDER_ID, reason="0 left")
        missed = event(3.1, "Ben", "missed", seller=SAM, order=ORDER_ID, reason="0 left")
        self.write(*JOINED, *ORDER[:2], gone, refused, missed)
        self.assertEqual(
            self.told("run.jsonl", "--order", SHORT_ID)[-3:],
            [
                "0.200 s  Ana -> Ben: error noroute, Sam is gone: gone",
                "0.300 s  Sam has refused Ben: 0 left",
                "0.400 s  Ben was refused by Sam (order 6aaaaaaaaaaa): 0 left",
            ],
        )

    def test_names_of_orders(self) -> None:
        """An order is named by its id, any beginning of that, or its number in messages; several are listed."""
        other = "7" + ORDER_ID[1:]
        alike = ORDER_ID[:12] + "b" + ORDER_ID[13:]
        more = [sent(5.0, "Ben", ANA, "buy", id=handle_of(id), order=order(id)) for id in (other, alike)]
        self.write(*RUN, *more)
        shown = [
            self.told("run.jsonl", "--order", name)
            for name in (ORDER_ID, ORDER_ID[:20], ORDER_ID.upper(), SHORT_ID, str(HANDLE))
        ]
        self.assertEqual(shown[1:], shown[:1] * 4)
        self.assertEqual(self.told("run.jsonl", "--order", "7")[0][:39], f"Order {other}:")
        result = self.trace("run.jsonl", "--order", "6")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        expected = f"bazaar trace: 2 orders begin with 6: {SHORT_ID}, {alike[:13]}; write more of it\n"
        self.assertEqual(result.stderr, expected)
        self.assertIn("there is no order", self.trace("run.jsonl", "--order", ORDER_ID[:20] + "b").stderr)

    def test_refused(self) -> None:
        """What a seller has signed to an order that it refuses is shown with its reason."""
        refused = sent(2.9, "Sam", BEN, "buyNO", id=HANDLE, answer=NO)
        missed = event(3.1, "Ben", "missed", seller=SAM, order=ORDER_ID, reason="0 left")
        self.write(*JOINED, *ORDER[:2], refused, missed)
        self.assertEqual(
            self.told("run.jsonl", "--order", SHORT_ID)[-2:],
            [
                "0.200 s  Sam -> Ben: buyNO refused 2 apple at 40, 0 left",
                "0.400 s  Ben was refused by Sam (order 6aaaaaaaaaaa): 0 left",
            ],
        )

    def test_taken_back(self) -> None:
        """An order that is taken back, after its buyer was started anew, is followed to its end."""
        at = {"item": "apple", "quantity": 2}
        self.write(
            *JOINED,
            *ORDER[:2],
            event(3.0, "Ben", "resumed", seller=SAM, order=ORDER_ID, **at),
            sent(3.1, "Ben", SAM, "cancel", id=HANDLE, order=TAKEN_BACK["order"]),
            event(3.2, "Sam", "cancelled", buyer=BEN, order=ORDER_ID, **at),
            sent(3.2, "Sam", BEN, "buyNO", id=HANDLE, answer=TAKEN_BACK["answer"]),
            event(3.3, "Ben", "cancelled", seller=SAM, order=ORDER_ID, **at),
        )
        self.assertEqual(
            self.told("run.jsonl", "--order", SHORT_ID)[-5:],
            [
                "0.300 s  Ben goes on after its start: there is no answer yet (order 6aaaaaaaaaaa)",
                "0.400 s  Ben -> Sam: cancel apple at 40",
                "0.500 s  Sam has cancelled the order of Ben",
                "0.500 s  Sam -> Ben: buyNO cancelled apple at 40",
                "0.600 s  Ben knows that nothing was sold by Sam (order 6aaaaaaaaaaa): it is cancelled",
            ],
        )
        self.assertIn("cancelled within 0.600 s", self.told("run.jsonl")[-1])

    def test_unreadable_statements(self) -> None:
        """What nobody can read is told as that; an offer that is signed otherwise than it is told, as both."""
        junk = {**PURCHASE, "payload": "AAAA"}
        self.write(*JOINED, sent(2.7, "Ben", SAM, "buy", id=HANDLE, order=junk))
        told = self.told("run.jsonl", "--order", SHORT_ID)
        self.assertEqual(
            (told[0], told[2]),
            (
                f"Order {SHORT_ID}, from its middle",
                "0.000 s  Ben -> Sam: buy, and what is signed in it cannot be read",
            ),
        )
        self.write(*JOINED, SEARCH[0], {**SEARCH[3], "price": 30})
        self.assertIn("reply 2 apple at 30, and signed is 2 apple at 40", self.told("run.jsonl", "--search", "5")[-1])

    def test_answer_to_who_is_sought(self) -> None:
        """Who is looked for by its key signs that it is there, and offers nothing."""
        way = sent(4.0, "Ben", SAM, "search", id=8, returnPath=[BEN], ttl=2, item="apple", seller=SELLER.public)
        presence = Presence(bazaar="bazaar", seller=SELLER.public, search=8)
        there = sent(4.1, "Sam", BEN, "reply", id=8, item="apple", quote=msgspec.to_builtins(seal(SELLER, presence)))
        self.write(*JOINED, way, there)
        self.assertEqual(self.told("run.jsonl", "--search", "8")[-1], "0.100 s  Sam -> Ben: reply: it is there")

    def test_no_answer(self) -> None:
        """An order without an answer is followed to the end of the trace: doubts, searches for a way, the end."""
        way = sent(4.0, "Ben", ANA, "search", id=8, returnPath=[BEN], ttl=2, item="apple", seller=SELLER.public)
        doubt = event(4.0, "Ben", "unknown", seller=SAM, id=ORDER_ID)
        stop = event(5.0, "Ben", "unknown", seller=SAM, order=ORDER_ID)
        self.write(*JOINED, *ORDER[:2], doubt, way, {**way, "to": 99}, stop, event(9.0, None, "end"))
        self.assertEqual(
            self.told("run.jsonl", "--order", SHORT_ID)[-4:],
            [
                "1.300 s  Ben has had no answer from Sam for long, and asks again",
                "1.300 s  Ben searches for a way to Sam (search 8, ttl 2)",
                "2.300 s  Ben has stopped without an answer from Sam",
                "6.300 s  here the trace ends, and no answer has come",
            ],
        )

    def test_faults(self) -> None:
        """What befalls those who take part stands where it belongs, also what began before; the rest does not."""

        def fault(time: float, kind: str, what: str, *nodes: str) -> dict[str, Any]:
            return event(time, None, "fault", fault=kind, what=what, nodes=nodes, strength=2.0, for_s=9.0)

        self.write(
            *JOINED,
            fault(1.5, "slow", "begins", "Sam", "Tom"),
            fault(1.6, "pause", "begins", "Ana"),
            fault(1.7, "pause", "ends", "Ana"),
            ORDER[0],
            fault(2.71, "partition", "begins", "Sam", "Tom"),
            fault(2.72, "one-way", "begins", "Tom"),
            fault(2.73, "one-way", "begins", "Ben", "Ana", "Sam"),
            ORDER[1],
            fault(2.81, "partition", "ends", "Sam", "Tom"),
            event(2.82, "Sam", "ended"),
            event(2.83, "Tom", "ended"),
            event(2.84, "Sam", "started"),
        )
        self.assertEqual(
            self.told("run.jsonl", "--order", SHORT_ID)[2:],
            [
                "-1.200 s  slow of Sam begins for 9 s, strength 2",
                "0.000 s  Ben -> Ana: buy 2 apple at 40, path Ben > Ana > Sam",
                "0.010 s  partition begins: Sam cut off from Ben, Ana, for 9 s",
                "0.100 s  Ana -> Sam: buy 2 apple at 40, path Ben > Ana > Sam",
                "0.110 s  partition ends",
                "0.120 s  Sam is killed, or its machine loses its power",
                "0.140 s  Sam is started",
                "0.140 s  here the trace ends, and no answer has come",
            ],
        )

    def test_new_name(self) -> None:
        """An id that goes to another node is the name of its owner at the time."""
        self.write(*RUN, event(9.0, "Tom", "joined", id=SAM))
        self.assertEqual(
            self.told("run.jsonl", "--order", SHORT_ID)[0], f"Order {ORDER_ID}: Ben orders 2 apple at 40 from Sam"
        )

    def test_from_the_middle(self) -> None:
        """A trace that begins in the middle of an order is told from there."""
        self.write(*JOINED, *ORDER[2:])
        self.assertEqual(self.told("run.jsonl", "--order", SHORT_ID)[0], f"Order {ORDER_ID}, from its middle")

    def test_no_control_characters(self) -> None:
        """What strangers write does not move the cursor."""
        error = sent(2.9, "Sam", BEN, "error", code="wtf", info="\x1b[2Jgone\r", about="buy", id=HANDLE)
        self.write(*JOINED, *ORDER[:2], error)
        self.assertIn("error wtf: \ufffd[2Jgone\ufffd", self.trace("run.jsonl", "--order", SHORT_ID).stdout)


class DaemonTests(TraceCase):
    """Files that daemons write with --events, one each."""

    def setUp(self) -> None:
        """Each daemon writes what it does, by the clock of the machine."""
        super().setUp()
        for name in ("Ben", "Ana", "Sam"):
            lines = [{**line, "time": line["time"] + 1.7e9} for line in RUN if line["node"] == name]
            self.write(*({key: line[key] for key in line if key != "node"} for line in lines), name=f"{name}.jsonl")

    def test_side_by_side(self) -> None:
        """They are read in the order of time, counted from the first line; a node is called like its file."""
        self.assertEqual(
            self.told("Sam.jsonl", "Ben.jsonl", "Ana.jsonl"),
            [
                "1 search",
                "5       1.000 s  Ben  2 apple, ttl 4  bought 2",
                "",
                "1 order",
                f"{SHORT_ID}       1.700 s  Ben  2 apple from Sam  bought within 0.400 s",
            ],
        )
        told = self.told("Sam.jsonl", "Ben.jsonl", "Ana.jsonl", "--order", SHORT_ID)
        self.assertEqual(
            told[1:3],
            [
                "It begins at 1.700 s; times are counted from there.",
                "0.000 s  Ben -> Ana: buy 2 apple at 40, path Ben > Ana > Sam",
            ],
        )

    def test_one_alone(self) -> None:
        """One file alone tells what its daemon saw; the others have numbers."""
        told = self.told("Ben.jsonl", "--order", SHORT_ID)
        self.assertEqual(told[2], "0.000 s  Ben -> node 12: buy 2 apple at 40, path Ben > node 12 > node 13")

    def test_same_names(self) -> None:
        """Files of one name in two directories are two nodes."""
        os.mkdir("other")
        self.write(*RUN[:0], {"time": 1.7e9, "event": "joined", "id": SAM}, name="other/Ben.jsonl")
        self.assertIn("Ben.jsonl  2 apple from other/Ben.jsonl", self.told("Ben.jsonl", "other/Ben.jsonl")[-1])


class SimulatedTests(TraceCase):
    """A trace as a simulation writes it."""

    def test_agrees_with_report(self) -> None:
        """As many are told to have bought as the report counts, and each order can be shown."""
        pause = FaultEntry(kind="pause", at="5s", for_="5s", nodes=["seller-1"])
        scenario = MarketScenario(nodes=12, sellers=2, buyers=3, for_="20s", settle="40s", faults=[pause], seed=2)
        with open("run.jsonl", "wb") as file:
            report = MarketRun(scenario, file).run()
        told = self.told("run.jsonl")
        orders = [line for line in told[told.index("") + 2 :] if "bought within" in line]
        self.assertEqual(len(orders), len(report.seconds_to_buy))
        for line in orders:
            shown = self.told("run.jsonl", "--order", line.split()[0])
            self.assertRegex(shown[-1], r"^\d+\.\d{3} s  buyer-\d has bought \d item-\d+ at \d+ from seller-\d")

    def test_order_that_is_never_repeated(self) -> None:
        """With a buyer that does not ask again the trace shows what is missing: the trace ends, and no answer came."""
        self.patch(Purchases, "_repeat", lambda purchases, opened: None)
        full = FaultEntry(kind="disk-full", at="1s", for_="20s", nodes=["seller-1"])
        scenario = MarketScenario(nodes=8, sellers=1, buyers=2, for_="30s", settle="60s", items=1, faults=[full])
        with open("run.jsonl", "wb") as file:
            report = MarketRun(scenario, file).run()
        self.assertTrue(report.violations)
        told = self.told("run.jsonl")
        number = next(line.split()[0] for line in told[told.index("") + 2 :] if "no answer" in line)
        shown = self.told("run.jsonl", "--order", number)
        self.assertRegex(" ".join(shown), "disk-full of seller-1 begins for 20 s .* disk-full of seller-1 ends")
        self.assertIn("here the trace ends, and no answer has come", shown[-1])
