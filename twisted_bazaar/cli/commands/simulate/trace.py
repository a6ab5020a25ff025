"""C{bazaar trace}: the searches, orders, queries and transfers of a trace, or one of them in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Final

import click

from twisted_bazaar.cli.terminal.command import PlainCommand
from twisted_bazaar.cli.terminal.errors import UserError, open_or_refuse
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.trace.queries import Queries, QueryTimeline
from twisted_bazaar.cli.trace.reader import Line, TraceFile, id_of, names_of, side_by_side
from twisted_bazaar.cli.trace.summary import TraceSummary
from twisted_bazaar.cli.trace.timeline import OrderName, Timeline
from twisted_bazaar.cli.trace.transfers import TransferName, Transfers, TransferTimeline
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.settings.option import Option, OptionValues, whole_number
from twisted_bazaar.wire.message import LARGEST_INTEGER

_HEX_DIGITS: Final = frozenset("0123456789abcdef")
_LONGEST_ID: Final = 32
_LONGEST_DIGEST: Final = 64
_SHORT_ID: Final = 16
_MOST_NAMED: Final = 4

_Row = tuple[int | str, float, str, str, str]
"""Id, when it began, who, what, and how it ended."""


def _order(text: str, option: str) -> OrderName:
    """Read what names an order.

    @raise Refusal: nothing could be named so.
    """
    name = text.lower()
    if not 0 < len(name) <= _LONGEST_ID or not set(name) <= _HEX_DIGITS:
        raise UserError(
            f"{option}: takes the id of an order, or its beginning, or the number in messages, not {text!r}"
        )
    return OrderName(name)


def _query(text: str, option: str) -> str:
    """Read the beginning of the id of a query.

    @raise UserError: no id begins so.
    """
    return _hex(text, option, "the id of a query, or its beginning", _LONGEST_ID)


def _transfer(text: str, option: str) -> TransferName:
    """Read what names the transfers of a file.

    @raise UserError: nothing could be named so.
    """
    node, colon, digest = text.rpartition(":")
    what = "the digest of a file, or its beginning, and before it NODE: to choose who fetches it"
    return TransferName(_hex(digest, option, what, _LONGEST_DIGEST), node if colon else None)


def _hex(text: str, option: str, what: str, longest: int) -> str:
    name = text.lower()
    if not 0 < len(name) <= longest or not set(name) <= _HEX_DIGITS:
        raise UserError(f"{option}: takes {what}, not {text!r}")
    return name


_OPTIONS: Final = (
    Option(
        "search",
        "Show the search with this id, message by message.",
        "ID",
        read=whole_number(0, LARGEST_INTEGER),
    ),
    Option("order", "Show the order whose id begins so, message by message.", "ID", read=_order),
    Option("query", "Show the query among super peers whose id begins so, message by message.", "ID", read=_query),
    Option(
        "transfer",
        "Show how the file whose digest begins so was fetched; by NODE only.",
        "[NODE:]DIGEST",
        read=_transfer,
    ),
)
_ENDINGS: Final = (
    Ending(ExitStatus.DONE),
    Ending(ExitStatus.WRONG_USE, "An option is wrong, there is nothing of that id, or a file is no trace."),
)


@click.command(cls=PlainCommand, declared=_OPTIONS, endings=_ENDINGS, example="bazaar trace run.jsonl --order 74a0")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def trace(files: Sequence[str], options: OptionValues) -> None:
    """Show the searches, orders, queries and transfers of a run, or one of them message by message.

    FILE is what bazaar simulate writes with --trace, or what a daemon writes with --events. Several files of daemons
    can be given; each daemon goes by the name of its file. Without options all are listed: flooded searches, orders,
    and where there are any, queries among super peers and transfers of files.
    """
    search: int | None = options["search"]
    order: OrderName | None = options["order"]
    query: str | None = options["query"]
    transfer: TransferName | None = options["transfer"]
    given = [f"--{option.name}" for option in _OPTIONS if options[option.name] is not None]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)}: give one of them")
    with ExitStack() as opened:
        sources = [
            TraceFile(path, opened.enter_context(open_or_refuse(path, "rb", "")), name)
            for path, name in zip(files, names_of(files), strict=True)
        ]
        reading = _Reading(sources)
        try:
            if query is not None:
                _show_query(reading, query)
            elif transfer is not None:
                _show_transfer(reading, transfer)
            elif search is None and order is None:
                _list_all(reading)
            else:
                _show(reading, search, order)
        except UserError:
            _complain(reading, sources)
            raise
        _complain(reading, sources)


def _complain(reading: _Reading, sources: Sequence[TraceFile]) -> None:
    """Say what was wrong with the files; where there is nothing in any of them, that has been said."""
    if reading.is_empty:
        return
    for source in sources:
        for complaint in source.complaints(reading.zero_s):
            click.echo(complaint, err=True)


class _Reading:
    """Goes through files, and knows from when on their time counts.

    @ivar zero_s: in a simulation its beginning; of daemons, whose clocks began long before, the first line.
    """

    def __init__(self, sources: Sequence[TraceFile]) -> None:
        self._sources = sources
        self._first_s: float | None = None

    @property
    def zero_s(self) -> float:
        is_simulated = any(source.names_nodes for source in self._sources)
        return 0.0 if is_simulated or self._first_s is None else self._first_s

    @property
    def is_empty(self) -> bool:
        """Whether no event has been read."""
        return self._first_s is None

    def lines(self) -> Iterator[Line]:
        """All lines, in the order of time.

        @raise Refusal: there are none.
        """
        for line in side_by_side(self._sources):
            if self._first_s is None:
                self._first_s = line.time
            yield line
        if self.is_empty:
            why = "; ".join(complaint for source in self._sources for complaint in source.complaints(0.0))
            raise UserError(f"{why}; a trace is what bazaar simulate writes with --trace, and daemons with --events")


def _list_all(reading: _Reading) -> None:
    """List every search, order, query and transfer: of a kind of which there is none, only where there is nothing."""
    deals, queries, transfers = TraceSummary(), Queries(), Transfers()
    for line in reading.lines():
        deals.add_line(line)
        queries.add_line(line)
        transfers.add_line(line)
    names, zero_s = deals.names, reading.zero_s
    searches: list[_Row] = []
    for search in deals.searches.values():
        sought = f"{search.quantity} {search.item}" if search.seller is None else f"way to {names[search.seller]}"
        words = f"{sought}, ttl {search.ttl}"
        searches.append((search.id, search.began_s - zero_s, search.by, words, search.ending))
    orders: list[_Row] = []
    for order in deals.orders.values():
        words = f"{order.goods} from {names[order.seller]}"
        orders.append((order.id, order.began_s - zero_s, order.by, words, order.ending))
    asked: list[_Row] = [
        (query.id[:_SHORT_ID], query.began_s - zero_s, query.by, query.sought, query.ending)
        for query in queries.seen.values()
    ]
    fetched: list[_Row] = [
        (transfer.digest[:_SHORT_ID], transfer.began_s - zero_s, transfer.by, transfer.name, transfer.ending)
        for transfer in transfers.seen
    ]
    sections: list[tuple[str, Sequence[_Row]]] = [
        ("search", searches),
        ("order", orders),
        ("query", asked),
        ("transfer", fetched),
    ]
    for number, (kind, rows) in enumerate([each for each in sections if each[1]] or sections[:2]):
        if number:
            click.echo()
        _table(kind, rows)


def _table(kind: str, rows: Sequence[_Row]) -> None:
    """Print rows below each other."""
    click.echo(f"1 {kind}" if len(rows) == 1 else f"{len(rows) or 'no'} {_plural(kind)}")
    if not rows:
        return
    whos, whats = (max(len(str(row[column])) for row in rows) for column in (2, 3))
    for number, at_s, who, what, ending in rows:
        _say(f"{number:>17}  {at_s:>10.3f} s  {who:<{whos}}  {what:<{whats}}  {ending}")


def _show(reading: _Reading, search: int | None, order: OrderName | None) -> None:
    """Show one search or one order.

    @raise Refusal: there is none of that id, or there are several.
    """
    about = search if order is None else order
    assert about is not None, "one of them was given"
    dialogue = Timeline(about)
    for line in reading.lines():
        dialogue.add_line(line)
    if order is not None and order.others:
        ids = ", ".join([id_of(order.found or 0), *order.others.values()][:_MOST_NAMED])
        raise UserError(f"{len(order.others) + 1} orders begin with {order.text}: {ids}; write more of it")
    passages = dialogue.passages()
    if dialogue.began_s is None:
        kind, name = ("search", search) if order is None else ("order", order.text)
        raise UserError(f"there is no {kind} with the id {name}; without --{kind} all of them are listed")
    began_s = dialogue.began_s
    _say(dialogue.title)
    _say(f"It begins at {began_s - reading.zero_s:.3f} s; times are counted from there.")
    for passage in passages:
        _say(f"{passage.at_s - began_s:>10.3f} s  {passage.text}")
    if order is not None and not dialogue.ended:
        _say(f"{dialogue.last_s - began_s:>10.3f} s  here the trace ends, and no answer has come")


def _show_query(reading: _Reading, beginning: str) -> None:
    """Show one query.

    @raise UserError: none has an id that begins so, or several have.
    """
    timeline = QueryTimeline(beginning)
    for line in reading.lines():
        timeline.add_line(line)
    _show_passages(reading, timeline, "query", beginning, list(timeline.ids))


def _show_transfer(reading: _Reading, about: TransferName) -> None:
    """Show the transfers of one file.

    @raise UserError: no digest begins so, or several do.
    """
    timeline = TransferTimeline(about)
    for line in reading.lines():
        timeline.add_line(line)
    _show_passages(reading, timeline, "transfer", about.digest, list(timeline.digests))


def _show_passages(
    reading: _Reading, timeline: QueryTimeline | TransferTimeline, kind: str, beginning: str, ids: Sequence[str]
) -> None:
    if not ids:
        raise UserError(f"there is no {kind} with the id {beginning}; without --{kind} all of them are listed")
    if len(ids) > 1:
        named = ", ".join(each[:_SHORT_ID] for each in ids[:_MOST_NAMED])
        raise UserError(f"{len(ids)} ids begin with {beginning}: {named}; write more of it")
    _say(timeline.title)
    _say(f"It begins at {timeline.began_s - reading.zero_s:.3f} s; times are counted from there.")
    for at_s, text in timeline.passages:
        _say(f"{at_s - timeline.began_s:>10.3f} s  {text}")


def _say(words: str) -> None:
    """Print a line."""
    click.echo(printable(words))


def _plural(kind: str) -> str:
    return "queries" if kind == "query" else kind + ("es" if kind.endswith("h") else "s")
