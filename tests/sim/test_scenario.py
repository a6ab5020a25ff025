"""What can be simulated, and what is said of what cannot."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.sim.faults import Fault, FaultKind
from twisted_bazaar.sim.market.run import MarketRun
from twisted_bazaar.sim.market.scenario import MarketScenario, PurchaseEntry
from twisted_bazaar.sim.scenario import FaultEntry, parse_duration, write_duration
from twisted_bazaar.sim.scenario_file import ImpossibleSetting, read_file, read_scenario, write_file
from twisted_bazaar.sim.setting_fields import setting_takes

FAULT = {"kind": "pause", "at": "1s", "for": "2s", "nodes": ["relay-1", "tracker"]}
PURCHASE = {"buyer": "buyer-2", "at": "90s", "item": "item-7", "quantity": 3}
OTHER: dict[str, Any] = {
    "nodes": 30,
    "sellers": 3,
    "buyers": 4,
    "seed": 2**53,
    "for": "90.5s",
    "settle": "0s",
    "mode": "safety",
    "loss": 0.1,
    "churn": 0.25,
    "sessions": "weibull:0.6",
    "degree": 4,
    "max-links": 9,
    "latency": "uniform:5ms:80ms",
    "bandwidth": 1000.0,
    "items": 7,
    "stock": 8,
    "kinds": 2,
    "wants": 6,
    "faults-a-minute": 1.5,
    "fault-kinds": ["crash", "one-way"],
    "faults": [{**FAULT, "strength": 1.0}, {**FAULT, "strength": 2.5}],
    "purchases": [PURCHASE],
}


class ScenarioTests(SynchronousTestCase):
    """Settings, and scenarios made of them."""

    def refusal(self, **settings: Any) -> str:
        """What is said of settings that cannot be; an underscore stands for a hyphen."""
        named = {name.rstrip("_").replace("_", "-"): value for name, value in settings.items()}
        return str(self.assertRaises(ImpossibleSetting, read_scenario, MarketScenario, named))

    def test_usual(self) -> None:
        """Without any setting there is a scenario."""
        self.assertEqual(read_scenario(MarketScenario, {}), MarketScenario())

    def test_file(self) -> None:
        """What is written to a file and read again is the same, in every setting."""
        self.assertEqual(set(OTHER), {field.encode_name for field in msgspec.structs.fields(MarketScenario)})
        scenario = read_scenario(MarketScenario, OTHER)
        usual, told = msgspec.to_builtins(MarketScenario()), msgspec.to_builtins(scenario)
        self.assertEqual([name for name in told if told[name] == usual[name]], [])
        self.assertEqual(read_scenario(MarketScenario, read_file(write_file(scenario).encode(), "here")), scenario)

    def test_short_file(self) -> None:
        """A file holds the seed and what is not as usual, and nothing else."""
        self.assertEqual(write_file(MarketScenario(nodes=60, seed=7)), "nodes = 60\nseed = 7\n")

    def test_no_toml(self) -> None:
        """A file that is no TOML is refused with its name and place."""
        error = self.assertRaises(UsageError, read_file, b"nodes: 5", "a.toml")
        self.assertRegex(str(error), r"^a.toml: this is no TOML: .*line 1")
        self.assertRaises(UsageError, read_file, b"\xff", "a.toml")
        error = self.assertRaises(UsageError, read_file, b"x = " + b"[" * 30_000 + b"]" * 30_000, "a.toml")
        self.assertEqual(str(error), "a.toml: this is nested too deeply for a scenario")

    def test_ranges(self) -> None:
        """A value out of range is refused with the name of the setting and its range."""
        self.assertEqual(self.refusal(loss=2), "loss: takes a number from 0 to 0.9, not 2")
        self.assertEqual(self.refusal(loss=float("nan")), "loss: takes a number from 0 to 0.9, not nan")
        self.assertEqual(self.refusal(nodes=0), "nodes: takes a whole number from 1 to 100,000, not 0")
        self.assertEqual(self.refusal(nodes=2.5), "nodes: takes a whole number from 1 to 100,000, not 2.5")
        self.assertEqual(self.refusal(nodes=True), "nodes: takes a whole number from 1 to 100,000, not True")
        self.assertEqual(self.refusal(max_links=65), "max-links: takes a whole number from 1 to 64, not 65")
        self.assertEqual(self.refusal(mode="fast"), "mode: takes liveness or safety, not 'fast'")
        self.assertEqual(self.refusal(degree=0), "degree: takes a whole number from 1 to 64, not 0")
        for bandwidth in (float("inf"), 0.001, 999, -1):
            self.assertIn(
                "bandwidth: takes 0 for any number, or a number from 1,000", self.refusal(bandwidth=bandwidth)
            )
        self.assertIn("fault-kinds[1]: takes crash, ", self.refusal(fault_kinds=["crash", "boom"]))
        self.assertIn("fault-kinds: takes a list of crash, ", self.refusal(fault_kinds="crash"))

    def test_times(self) -> None:
        """A time that cannot be read is refused, wherever it stands."""
        for name in ("for", "settle"):
            for text in ("", "5x", "-5s", "8000h", "5 s", "1e3s"):
                self.assertIn(f"{name}: takes a time up to 7 days such as", self.refusal(**{name: text}))
        self.assertIn("for: takes a time", self.refusal(for_="0s"))
        self.assertIn("for: takes a time", self.refusal(for_=300))
        self.assertIn("faults[1].at: takes a time", self.refusal(faults=[FAULT, {**FAULT, "at": "soon"}]))
        self.assertIn("faults[0].for: takes a time", self.refusal(faults=[{**FAULT, "for": "long"}]))
        self.assertIn("purchases[0].at: takes a time", self.refusal(purchases=[{**PURCHASE, "at": "x"}]))

    def test_distributions(self) -> None:
        """Latencies and sessions that make no sense are refused with what would."""
        none = ("", "fast", "uniform:5ms", "lognormal:20ms", "lognormal:20ms:nan", "lognormal:20ms:-1")
        too_long = ("2001ms", "uniform:5ms:3s", "lognormal:3s:0.5")
        for text in (*none, *too_long, "uniform:80ms:5ms"):
            self.assertIn("latency: takes 20ms, uniform:5ms:80ms or", self.refusal(latency=text))
        for text in ("2s", "uniform:2s:2s", "lognormal:2s:10"):
            self.assertEqual(read_scenario(MarketScenario, {"latency": text}).latency, text)
        for text in ("", "weibull", "weibull:0", "weibull:nan", "exponential:1"):
            self.assertIn("sessions: takes exponential or weibull:SHAPE", self.refusal(sessions=text))

    def test_unknown(self) -> None:
        """A setting that there is not is refused with those that there are."""
        self.assertRegex(self.refusal(nodez=3), "there is no setting nodez; the settings are nodes, sellers, .*faults")
        self.assertRegex(self.refusal(faults=[{**FAULT, "a": 1}]), r"^faults\[0\]: .*no setting a; .* kind, at, for")
        self.assertRegex(self.refusal(purchases=[{"at": "1s"}]), r"^purchases\[0\]: buyer is missing; .* buyer, at")

    def test_too_few_nodes(self) -> None:
        """Buyers and sellers are nodes too."""
        words = "nodes: 20 sellers and 10 buyers need at least 30, not 10"
        self.assertEqual(self.refusal(nodes=10, sellers=20), words)
        self.assertIn("degree: ", self.refusal(degree=9))

    def test_too_many(self) -> None:
        """Nobody waits for a run for which more is drawn than memory holds."""
        self.assertIn("wants: ", self.refusal(nodes=3000, buyers=2000, wants=1000))
        self.assertIn("faults-a-minute: ", self.refusal(faults_a_minute=6000, for_="100h"))

    def test_strangers(self) -> None:
        """A fault befalls nodes that there are, and who buys is a buyer."""
        words = "takes tracker, seller-1 to seller-5, buyer-1 to buyer-10, relay-1 to relay-85, not 'relay-86'"
        self.assertIn(f"faults[0].nodes: {words}", self.refusal(faults=[{**FAULT, "nodes": ["relay-86"]}]))
        words = "faults[0].nodes: takes tracker, seller-1, relay-1, not 'x'"
        self.assertEqual(self.refusal(nodes=2, sellers=1, buyers=0, faults=[{**FAULT, "nodes": ["x"]}]), words)
        self.assertIn("faults[0].nodes: takes a list", self.refusal(faults=[{**FAULT, "nodes": []}]))
        words = "purchases[0].buyer: takes buyer-1 to buyer-10, not "
        for name in ("buyer-11", "seller-1"):
            self.assertEqual(self.refusal(purchases=[{**PURCHASE, "buyer": name}]), f"{words}'{name}'")
        words = "purchases[0].buyer: takes buyer-1, not 'buyer-2'"
        self.assertEqual(self.refusal(buyers=1, purchases=[PURCHASE]), words)

    def test_unknown_goods(self) -> None:
        """What is to be bought is one of the goods that there are, if somebody has them or not."""
        for item in ("plum", "a\nb", "item-0", "item-21", "item-01"):
            words = f"purchases[0].item: takes item-1 to item-20, not {item!r}"
            self.assertEqual(self.refusal(purchases=[{**PURCHASE, "item": item}]), words)
        self.assertEqual(
            read_scenario(MarketScenario, {"sellers": 0, "purchases": [PURCHASE]}).purchases[0].item, "item-7"
        )

    def test_stocked(self) -> None:
        """A scenario knows what its sellers have."""
        for settings in ({"sellers": 2}, {"sellers": 3, "items": 7}, {"items": 3}, {"sellers": 0}, {"kinds": 1}):
            scenario = read_scenario(MarketScenario, settings)
            names = [name for name in scenario.names() if name.startswith("seller-")]
            had = {item for name in names for item in MarketRun(scenario, checks=())._supplies(name)}
            self.assertEqual(set(scenario.stocked_items), had)

    def test_after_the_end(self) -> None:
        """Nothing begins when everything is to come to rest."""
        self.assertIn("faults[0].at: takes a time before the end", self.refusal(faults=[{**FAULT, "at": "5m"}]))
        self.assertIn("purchases[0].at: takes a time before", self.refusal(purchases=[{**PURCHASE, "at": "301s"}]))

    def test_words(self) -> None:
        """For every setting there are words that say what it may be."""
        self.assertEqual({name for name in OTHER if setting_takes(MarketScenario, name) == "a text"}, set())

    def test_durations(self) -> None:
        """Times are read in four units, and what is written is read as the same."""
        times = {"250ms": 0.25, "90s": 90.0, "1.5m": 90.0, "2h": 7200.0, "7": 7.0, "0": 0.0}
        self.assertEqual({text: parse_duration(text, "for") for text in times}, times)
        for seconds in (0.001, 3.871, 1234.567, 86_399.999, 604_800.0):
            self.assertEqual(parse_duration(write_duration(seconds), "for"), seconds)

    def test_fault(self) -> None:
        """A fault in a file is the fault itself, to the millisecond, hours after the beginning."""
        fault = Fault(FaultKind.SLOW, 3599.001, 0.123, ("relay-1",), 16.506)
        self.assertEqual(FaultEntry.of(fault).to_fault(), fault)

    def test_names(self) -> None:
        """Every member has a name by its kind, the tracker first."""
        names = ["tracker", "seller-1", "buyer-1", "buyer-2", "relay-1"]
        self.assertEqual(MarketScenario(nodes=4, sellers=1, buyers=2).names(), names)


class NamedScenarioTests(SynchronousTestCase):
    """A run, and the same with everything named that was drawn."""

    def test_same_run(self) -> None:
        """To name what chance has drawn changes nothing."""
        scenario = MarketScenario(nodes=14, sellers=2, buyers=3, for_="30s", settle="20s", loss=0.02, churn=0.5, seed=5)
        run = MarketRun(scenario.evolve(faults_a_minute=20.0, fault_kinds=["crash", "pause", "slow"]))
        report = run.run()
        named = run.fixed()
        self.assertTrue(len(named.faults) > 3 and len(named.purchases) == 15 and named.wants == 0)
        again = MarketRun(read_scenario(MarketScenario, read_file(write_file(named).encode(), "here")))
        self.assertEqual((again.run().trace_hash, again.fixed()), (report.trace_hash, named))

    def test_others_stay(self) -> None:
        """With a buyer less the others want what they wanted, and nothing befalls who is not there."""
        scenario = MarketScenario(nodes=14, sellers=2, buyers=3, faults_a_minute=20.0, seed=5)
        before, after = MarketRun(scenario, checks=()), MarketRun(scenario.evolve(buyers=2, nodes=13), checks=())
        kept = [purchase for purchase in before.purchases if purchase.buyer != "buyer-3"]
        self.assertEqual(after.purchases, kept)
        self.assertNotIn("buyer-3", {name for fault in after.faults for name in fault.nodes})

    def test_buyers_too(self) -> None:
        """What goes wrong befalls buyers as well as everybody else."""
        run = MarketRun(MarketScenario(nodes=14, sellers=2, buyers=3, faults_a_minute=60.0, seed=5), checks=())
        hit = {name.partition("-")[0] for fault in run.faults for name in fault.nodes}
        self.assertEqual(hit, {"tracker", "seller", "buyer", "relay"})

    def test_named_purchase(self) -> None:
        """What is named is wanted, and nothing else."""
        purchase = PurchaseEntry(buyer="buyer-1", at="5s", item="item-1", quantity=2)
        report = MarketRun(
            MarketScenario(nodes=6, sellers=1, buyers=2, wants=0, for_="10s", settle="20s", purchases=[purchase])
        ).run()
        self.assertEqual((report.wants, report.purchases, report.violations), (1, 1, []))
