"""Settings as their fields declare them."""

from __future__ import annotations

from typing import Annotated, ClassVar

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.simulate.options import replaying, scenario_options, settle_scenario
from twisted_bazaar.cli.terminal.command import PlainCommand
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.sim.market.scenario import MarketScenario
from twisted_bazaar.sim.scenario import Duration, Some, settings_by_name
from twisted_bazaar.sim.setting_fields import Setting, Table, option_help, setting_of


class Visit(Table, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A visit to somebody."""

    example: ClassVar[str] = "30s:seller-1"

    at: Duration
    nodes: list[str]
    guests: Some = 1


class LaterMarket(MarketScenario, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A market with some settings more."""

    opens_at: Annotated[Duration, option_help("When it opens.")] = "8h"
    visits: Annotated[list[Visit], option_help("A visit, {shape}.", each="visit")] = []


class SettingFieldsTests(SynchronousTestCase):
    """A setting is one field."""

    def test_field(self) -> None:
        """A field says all that there is to say of a setting."""
        self.assertEqual(
            setting_of(LaterMarket, "opens-at"),
            Setting(
                name="opens-at",
                option="opens-at",
                help="When it opens.",
                takes="a time up to 7 days such as 250ms, 90s, 10m or 2h",
                metavar="TIME",
                choices=(),
                usual="8h",
                table=None,
            ),
        )

    def test_tables(self) -> None:
        """So does one that is a list of tables, with how one of them is written as an option."""
        shape = "AT:NODE,NODE or AT:NODE,NODE:GUESTS, such as 30s:seller-1"
        self.assertEqual(
            setting_of(LaterMarket, "visits"),
            Setting(
                name="visits",
                option="visit",
                help=f"A visit, {shape}.",
                takes="a list of tables with at, nodes, guests",
                metavar="VISIT",
                choices=(),
                usual=[],
                table=Visit,
            ),
        )
        self.assertEqual(Visit.shape(), shape)

    def test_new_setting(self) -> None:
        """A field more is an option more, which is read, and written into the command that makes the run again."""
        self.assertEqual(
            set(settings_by_name(LaterMarket)) - set(settings_by_name(MarketScenario)), {"opens-at", "visits"}
        )
        settled: list[LaterMarket] = []

        @click.command(cls=PlainCommand, declared=scenario_options(LaterMarket))
        def command(options: OptionValues) -> None:
            settled.append(settle_scenario(LaterMarket, options["scenario"], options))

        told = CliRunner().invoke(command, ["--help"]).output
        self.assertRegex(told, r"--opens-at TIME +When it opens\. \[8h\]")
        words = ["--opens-at", "9h", "--visit", "30s:seller-1,seller-2:3"]
        result = CliRunner().invoke(command, words)
        self.assertEqual(result.exit_code, 0, result.output)
        [scenario] = settled
        self.assertEqual(scenario.visits, [Visit(at="30s", nodes=["seller-1", "seller-2"], guests=3)])
        self.assertTrue(replaying(scenario, None, {}).endswith(" --opens-at 9h --visit 30s:seller-1,seller-2:3"))
