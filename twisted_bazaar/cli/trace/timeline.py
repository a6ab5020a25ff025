"""The timeline of one search or order in a trace: who told whom what, and when, hop by hop.

What befell those who took part stands in between: faults, starts and ends. Which nodes took part is known
only at the end, so these few lines are kept until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

from twisted_bazaar.cli.trace.reader import Line, id_of
from twisted_bazaar.cli.trace.statements import goods_in_words
from twisted_bazaar.cli.trace.summary import Names
from twisted_bazaar.sim.faults import FaultKind

_CUTS: Final = frozenset(kind.value for kind in FaultKind if kind.nature.cuts)
_OF_SOME_STRENGTH: Final = frozenset(kind.value for kind in FaultKind if kind.nature.strengths)
_MOST_NAMED: Final = 4
_SHORT_ID: Final = 12
_ABOUT_SEARCHES: Final = ("search", "reply", "error")
_COMES_AND_GOES: Final[Mapping[str, str]] = {
    "started": "is started",
    "stopped": "has stopped",
    "ended": "is killed, or its machine loses its power",
    "not-started": "cannot be started",
}


@frozen
class Passage:
    """Something to tell.

    @ivar at_s: when it happened.
    @ivar text: what.
    """

    at_s: float
    text: str


@define
class _Spreading:
    """A search that a node passes on to its neighbours in one go."""

    line: Line
    names: list[str] = field(factory=list)

    def is_same(self, line: Line) -> bool:
        first = self.line
        return (first.time, first.node, first.id, first.ttl) == (line.time, line.node, line.id, line.ttl)


@define
class OrderName:
    """By what somebody names an order: its id or the beginning of it, or the number that messages name it by.

    @ivar text: as it was written.
    @ivar found: the number of the first order in a trace that it names.
    @ivar others: the ids of others that it names too.
    """

    text: str
    found: int | None = None
    others: dict[int, str] = field(factory=dict)

    def is_about(self, line: Line) -> bool:
        """Whether a line is about this order; the first order that is named so is taken."""
        handle = line.handle
        if handle is None:
            # What goes wrong on the way may be told by the number alone.
            return line.type == "error" and self.found is not None and line.message_id == self.found
        if handle != self.found and not self._names(handle, line):
            return False
        if self.found is None:
            self.found = handle
        elif handle != self.found:
            self.others[handle] = id_of(handle)
        return handle == self.found

    def _names(self, handle: int, line: Line) -> bool:
        beginning = id_of(handle)
        if str(handle) == self.text:
            return True
        if len(self.text) <= len(beginning):
            return beginning.startswith(self.text)
        return self.text.startswith(beginning) and (line.order_id or self.text).startswith(self.text)


class Timeline:
    """Goes through a trace and keeps what is about one search or one order.

    @param about: the id of a search, or what names an order.
    @ivar names: who is who.
    @ivar ended: whether an answer came.
    @ivar began_s: when the first message was sent; None if there is nothing about that id.
    @ivar last_s: when the last thing in the trace happened, whatever it is about.
    @ivar title: what it is about, in words.
    """

    def __init__(self, about: int | OrderName) -> None:
        self._about = about
        self._is_order = isinstance(about, OrderName)
        self.names: Names = Names()
        self.ended: bool = False
        self.began_s: float | None = None
        self.last_s: float = 0.0
        self.title: str = ""
        self._passages: list[Passage] = []
        self._spreading: _Spreading | None = None
        self._taking_part: dict[str, None] = {}
        self._around: list[Line] = []
        # Who buys from whom, and the last search of the one for a way to the other.
        self._ends: tuple[str, str] = ("", "")
        self._sought: int | str | None = None

    def add_line(self, line: Line) -> None:
        """Keep a line if it belongs here."""
        self.names.learn(line)
        self.last_s = max(self.last_s, line.time)
        if line.event == "sent":
            self._sent(line)
        elif line.event == "fault" or line.event in _COMES_AND_GOES:
            self._around.append(line)
        elif self._is_about(line):
            self._tell(line, _in_words(line, self.names))
            self.ended = self.ended or line.event in ("bought", "missed") or _is_taken_back(line)

    def passages(self) -> list[Passage]:
        """Everything, in the order of time, which begins with the first message.

        What went wrong before and still did then stands at its own time, before the beginning.
        """
        self._end_spreading()
        if self.began_s is None:
            return []
        # Who has had no answer is of interest to the very end.
        until = max(each.at_s for each in self._passages) if self.ended or not self._is_order else self.last_s
        around = [
            Passage(line.time, text)
            for line in self._around_until(self.began_s, until)
            if (text := self._befalling(line)) is not None
        ]
        return sorted([*self._passages, *around], key=lambda passage: passage.at_s)

    def _is_about(self, line: Line) -> bool:
        if isinstance(self._about, OrderName):
            return self._about.is_about(line)
        if line.event == "sent":
            return line.id == self._about and line.type in _ABOUT_SEARCHES
        return line.search == self._about

    def _sent(self, line: Line) -> None:
        if self._is_about(line):
            self._message(line)
        elif self._is_order and self._is_seeking(line) and line.id != self._sought:
            self._sought = line.id
            seeks = f"searches for a way to {self.names[line.seller]} (search {line.id}, ttl {line.ttl})"
            self._tell(line, f"{line.node} {seeks}")

    def _is_seeking(self, line: Line) -> bool:
        """Whether the buyer searches for another way to its seller."""
        return line.is_first_hop and line.seller is not None and self._ends == (line.node, line.seller)

    def _message(self, line: Line) -> None:
        if self.began_s is None:
            self._begin(line)
        receiver = self.names[line.to]
        self._take_part(str(line.node), receiver, *(self.names[node_id] for node_id in line.path or ()))
        if line.type == "search":
            if self._spreading is None or not self._spreading.is_same(line):
                self._end_spreading()
                self._spreading = _Spreading(line)
            self._spreading.names.append(receiver)
            return
        self._tell(line, f"{line.node} -> {receiver}: {_message_in_words(line, self.names)}")

    def _begin(self, line: Line) -> None:
        self.began_s = line.time
        if self._is_order:
            said = line.said
            if line.type != "buy" or said is None or not self.names.is_sender(line):
                self._begin_late(line)
                return
            seller = line.goes_to
            self._ends = (str(line.node), said.seller)
            self.names.learn_key(said.seller, seller)
            self.title = f"Order {said.order_id}: {line.node} orders {said.goods} from {self.names[seller]}"
        elif line.seller is not None:
            self.title = f"Search {self._about}: {line.node} looks for a way to {self.names[line.seller]}"
        else:
            self.title = f"Search {self._about}: {line.node} looks for {line.quantity} {line.item}"

    def _end_spreading(self) -> None:
        """Tell to whom a node has passed the search on."""
        spreading, self._spreading = self._spreading, None
        if spreading is not None:
            line = spreading.line
            passed = "" if line.is_first_hop else f", passed by {_path(line.return_path, self.names)}"
            told = f"{line.node} -> {', '.join(spreading.names)}: search, ttl {line.ttl}{passed}"
            self._passages.append(Passage(line.time, told))

    def _tell(self, line: Line, text: str) -> None:
        self._end_spreading()
        if self.began_s is None:
            self._begin_late(line)
        if isinstance(line.node, str):
            self._take_part(line.node)
        self._passages.append(Passage(line.time, text))

    def _begin_late(self, line: Line) -> None:
        """The trace begins after the first message."""
        self.began_s = line.time
        if isinstance(self._about, OrderName):
            what = f"Order {line.order_id or id_of(self._about.found or 0)}"
        else:
            what = f"Search {self._about}"
        self.title = f"{what}, from its middle"

    def _take_part(self, *names: str) -> None:
        self._taking_part.update(dict.fromkeys(names))

    def _around_until(self, began_s: float, until_s: float) -> Iterator[Line]:
        """What befell anybody meanwhile, and the faults that had begun before and went on."""
        under_way: list[Line] = []
        for line in self._around:
            if line.time >= began_s:
                break
            if line.event == "fault" and line.what == "begins":
                under_way.append(line)
            elif line.event == "fault":
                ended = next((each for each in under_way if (each.fault, each.nodes) == (line.fault, line.nodes)), None)
                if ended is not None:
                    under_way.remove(ended)
        yield from under_way
        yield from (line for line in self._around if began_s <= line.time <= until_s)

    def _befalling(self, line: Line) -> str | None:
        """What befell those who took part, in words; None if it was others."""
        if line.event != "fault":
            return f"{line.node} {_COMES_AND_GOES[line.event]}" if line.node in self._taking_part else None
        befallen = [name for name in self._taking_part if name in line.nodes]
        if not befallen or (line.fault in _CUTS and len(befallen) == len(self._taking_part)):
            return None
        if line.fault in _CUTS:
            return self._parting(line, befallen)
        strength = f", strength {line.strength:g}" if line.fault in _OF_SOME_STRENGTH else ""
        lasting = f" for {line.for_s:g} s" if line.what == "begins" else ""
        return f"{line.fault} of {_some(befallen)} {line.what}{lasting}{strength}"

    def _parting(self, line: Line, befallen: Sequence[str]) -> str:
        """Who of those who took part is cut off from whom."""
        if line.what != "begins":
            return f"{line.fault} {line.what}"
        others = [name for name in self._taking_part if name not in line.nodes]
        verb = "cannot be heard by" if line.fault == FaultKind.ONE_WAY.value else "cut off from"
        return f"{line.fault} begins: {_some(befallen)} {verb} {_some(others)}, for {line.for_s:g} s"


def _message_in_words(line: Line, names: Names) -> str:
    """What a message says."""
    path = f", path {_path(line.path, names)}" if line.path and len(line.path) > 2 else ""
    if line.type == "error":
        hop = "" if line.hop is None else f", {names[line.hop]} is gone"
        return f"error {line.code}{hop}: {line.info}{path}"
    said = line.said
    if line.type == "reply" and said is not None and said.is_presence:
        return f"reply: it is there{path}"
    if line.type == "reply":
        goods = goods_in_words(line.item, line.quantity, line.price)
        is_same = line.quote is None or (said is not None and said.goods == goods)
        doubt = "" if is_same else f", and signed is {'nothing readable' if said is None else said.goods}"
        return f"reply {goods}{doubt}{path}"
    if said is None:
        return f"{line.type}, and what is signed in it cannot be read{path}"
    outcome = f"{said.outcome} " if said.outcome else ""
    reason = f", {said.reason}" if said.reason else ""
    return f"{line.type} {outcome}{said.goods}{reason}{path}"


def _in_words(line: Line, names: Names) -> str:
    """What a node reports."""
    goods = goods_in_words(line.item, line.quantity, line.price)
    order = f" (order {line.order[:_SHORT_ID]})" if isinstance(line.order, str) else ""
    match line.event:
        case "offered":
            words = f"has an offer: {goods} from {names[line.seller]}"
        case "sold":
            words = f"has sold {goods} to {names[line.buyer]}"
        case "refused":
            words = f"has refused {names[line.buyer]}: {line.reason}"
        case "bought":
            words = f"has bought {goods} from {names[line.seller]}{order}"
        case "missed":
            words = f"was refused by {names[line.seller]}{order}: {line.reason}"
        case "cancelled" if _is_taken_back(line):
            words = f"knows that nothing was sold by {names[line.seller]}{order}: it is cancelled"
        case "cancelled":
            words = f"has cancelled the order of {names[line.buyer]}"
        case "resumed":
            words = f"goes on after its start: there is no answer yet{order}"
        case "odd":
            words = f"does not believe an answer: {line.reason}"
        case "unknown" if line.order is None:
            words = f"has had no answer from {names[line.seller]} for long, and asks again"
        case "unknown":
            words = f"has stopped without an answer from {names[line.seller]}"
        case other:
            words = f"reports: {other}"
    return f"{line.node} {words}"


def _is_taken_back(line: Line) -> bool:
    """Whether a buyer knows that its order is not to be; a seller tells by the same word that it has agreed."""
    return line.event == "cancelled" and line.seller is not None


def _path(ids: Sequence[int] | None, names: Names) -> str:
    return " > ".join(names[node_id] for node_id in ids or ())


def _some(names: Sequence[str]) -> str:
    """A few names, and how many there are besides."""
    told = ", ".join(names[:_MOST_NAMED])
    return told if len(names) <= _MOST_NAMED else f"{told} and {len(names) - _MOST_NAMED} more"
