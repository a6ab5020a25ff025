"""How the values of options are read."""

from __future__ import annotations

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.main import main
from twisted_bazaar.errors import UsageError
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.roles.goods import parse_goods
from twisted_bazaar.service.config import changed_limits
from twisted_bazaar.settings.option import hint_on_commas, whole_number

HINT = "; write numbers without commas"


class CommaTests(SynchronousTestCase):
    """Messages write 1,145 for what is typed as 1145."""

    def test_hint(self) -> None:
        """Only a number written as messages write it is answered with the hint."""
        for text in ("1,145", "12,000", "9,007,199,254,740,992"):
            self.assertEqual(hint_on_commas(text), HINT, text)
        for other in (
            "1145",
            "1,14",
            "1,1455",
            "1,",
            ",145",
            "0,5",
            "x",
            "",
            "\u0661,\u0661\u0661\u0661",
            1145,
            None,
            ["1,145"],
        ):
            self.assertEqual(hint_on_commas(other), "", other)

    def test_whole_number(self) -> None:
        """An option that takes a whole number refuses it with the hint; without commas it is read."""
        read = whole_number(1, 2000)
        self.assertEqual(read("1145", "--mss"), 1145)
        with self.assertRaises(UsageError) as caught:
            read("1,145", "--mss")
        self.assertEqual(str(caught.exception), f"--mss '1,145': takes a whole number from 1 to 2,000{HINT}")

    def test_everywhere(self) -> None:
        """So do goods, limits, and the settings of the simulator."""
        with self.assertRaises(UsageError) as caught:
            parse_goods("apple=1,000", "--stock")
        self.assertTrue(str(caught.exception).endswith(HINT), str(caught.exception))
        with self.assertRaises(UsageError) as caught:
            changed_limits(Limits(), {"limit": ["all-links-bytes=1,000,000"]})
        self.assertTrue(str(caught.exception).endswith(HINT), str(caught.exception))
        for words in (("--nodes", "1,000"), ("--shrink", "--shrink-runs", "1,000")):
            refused = CliRunner().invoke(main, ["simulate", "market", *words], prog_name="bazaar")
            self.assertEqual((refused.exit_code, refused.stderr.endswith(f"{HINT}\n")), (2, True), refused.stderr)
