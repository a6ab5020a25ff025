"""The narration of a demo: scenes, sales, the picture, the books. It prints, and knows nothing of processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from twisted_bazaar.cli.terminal.programs import how_to_call
from twisted_bazaar.cli.terminal.results import OutputConsole
from twisted_bazaar.demo.audit import Account
from twisted_bazaar.settings.help import continued

_WIDEST: Final = 96
_NARROWEST: Final = 24
_MARGIN: Final = 9
# A key of 64 digits with its name fits beside it on a terminal of 80 columns.
_INDENT: Final = "  "


class Narration:
    """Tells a demo as it goes, to a terminal or to a pipe.

    @param clock: the time, in seconds since any instant.
    @param console: what to print to.
    """

    def __init__(self, clock: Callable[[], float], console: Console | None = None) -> None:
        self._console = console or OutputConsole(highlight=False)
        self._console.width = min(self._console.width, _WIDEST)
        self._clock = clock
        self._began = clock()
        self._arrow = "->" if self._console.options.ascii_only else "→"

    def title(self, text: str) -> None:
        """Begin."""
        self._console.print(Rule(Text(text, style="bold"), characters="="))

    def scene(self, text: str) -> None:
        """Begin another part of the story."""
        self._console.print()
        self._console.print(Text(text, style="bold cyan"))

    def tell(self, text: str, style: str = "") -> None:
        """Say what happens, with the time it took so far."""
        self._row(f"{self._clock() - self._began:{_MARGIN - 4}.1f} s  ", text, style)

    def sale(self, sentence: str, path: Sequence[str], messages: Counter[str]) -> None:
        """Say who sold what to whom, over which path, in how many messages."""
        self.tell(sentence, "bold green")
        way = f" {self._arrow} ".join(path)
        self._row(f"{'':{_MARGIN}}path      ", way if len(path) > 2 else f"{way}, directly")
        self.told_in(messages)

    def picture(self, lines: Sequence[str]) -> None:
        """Show a drawing made of characters."""
        self._console.print()
        for line in lines:
            self._console.print(Text(f"  {line}".rstrip(), style="yellow"), no_wrap=True, overflow="crop")

    def command(self, words: str) -> None:
        """Show something to type, so that it can be copied; what is long goes on below, as a shell takes it."""
        for line in continued(words, self._console.width, _MARGIN):
            self._console.print(Text(line, style="bold"), soft_wrap=True)

    def told_in(self, messages: Counter[str]) -> None:
        """Say in how many messages something was told."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in messages.items())
        self._row(f"{'':{_MARGIN}}messages  ", f"{messages.total()} in all: {kinds}")

    def output(self, line: str, style: str = "") -> None:
        """Show a line that a command printed."""
        self._row(_INDENT, line, style)

    def books(self, accounts: Sequence[Account]) -> None:
        """Show what became of all goods."""
        table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
        totals = [sum(getattr(account, key) for account in accounts) for key in ("supplied", "in_stock", "sold")]
        paid = sum(account.paid for account in accounts)
        bought = sum(sum(account.bought.values()) for account in accounts)
        table.add_column("seller", "all")
        table.add_column("item")
        for heading, total in zip(("supplied", "in stock", "sold"), totals, strict=True):
            table.add_column(heading, str(total), justify="right")
        table.add_column("bought by", f"{bought} bought")
        table.add_column("paid", str(paid), justify="right")
        for account in accounts:
            buyers = ", ".join(f"{name} {count}" for name, count in account.bought.items())
            counts = (str(account.supplied), str(account.in_stock), str(account.sold))
            table.add_row(account.seller, account.item, *counts, buyers or "-", str(account.paid))
        self._console.print(Padding(table, (0, 0, 0, _MARGIN)))

    def end(self, sentence: str) -> None:
        """Say how it went, and what to try next."""
        twistd = how_to_call("twistd")
        self.tell(sentence, "bold green")
        self.scene("Now you")
        self._row(_INDENT, "Each of these in a terminal of its own; Ctrl-C ends it politely:")
        self.command(f"{twistd} -n bazaar-tracker")
        self.command(f"{twistd} -n bazaar-node --role seller --stock apple=5")
        self.command(f"{twistd} -n bazaar-node --role buyer --want apple")
        bazaar = how_to_call("bazaar")
        self._row(_INDENT, "They find each other, in any order. kill -9 one, start it again, and ask:")
        self.command(f"{bazaar} orders --name buyer")
        self.command(f"{bazaar} stock add apple=10")
        self._row(_INDENT, "The proof of an order, with the beginning of its id, from the list, in place of ID:")
        self.command(f"{bazaar} orders ID --name buyer --receipt receipt.json")
        self.command(f"{bazaar} verify receipt.json")
        self._row(
            _INDENT,
            "Stop the tracker in between; add a relay (--role relay), or another seller that asks less (--role seller "
            "--name cheap --stock apple=5@40). All options:",
        )
        self.command(f"{twistd} bazaar-node --role buyer --help")

    def _row(self, head: str, text: str, style: str = "") -> None:
        """Print text that stays to the right of its head, however many lines it takes."""
        width = max(_NARROWEST, self._console.width - len(head))
        for line in Text(text, style=style).wrap(self._console, width):
            line.rstrip()
            self._console.print(Text.assemble((head, "dim"), line), soft_wrap=True)
            head = " " * len(head)
