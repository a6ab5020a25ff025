"""The table of a ring for a projector: who is whose neighbour, what each keeps, whether the ring is whole. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from io import StringIO
from typing import Final

from attrs import frozen
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twisted_bazaar.cli.ring.rows import Standing
from twisted_bazaar.cli.terminal.amounts import format_time
from twisted_bazaar.discovery.ring.rules.settings import CLASSIC

# With fewer columns than that the state of a peer stands in the place of the port, of those that are not on the ring.
_WIDE: Final = 76
_NOBODY: Final = "-"
_HEADINGS: Final = ("peer", "predecessor", "successors", "keeps", "how it is", "port")
_SHORT_HEADINGS: Final = ("peer", "before", "after", "keeps", "port")


class PeerState(Enum):
    """The state of a peer: joining, on the ring, leaving, or gone."""

    JOINING = "joining"
    HERE = "on the ring"
    LEAVING = "leaving"
    LEFT = "left"
    DEAD = "dead"


_WORDS: Final[Mapping[PeerState, str]] = {
    PeerState.JOINING: "joining for {}",
    PeerState.HERE: "on the ring",
    PeerState.LEAVING: "leaving for {}",
    PeerState.LEFT: "left {} ago",
    PeerState.DEAD: "dead for {}",
}
_GONE: Final = frozenset({PeerState.LEFT, PeerState.DEAD})
_STYLES: Final[Mapping[PeerState, str]] = {
    PeerState.JOINING: "yellow",
    PeerState.LEAVING: "yellow",
    PeerState.LEFT: "dim",
    PeerState.DEAD: "red",
}


@frozen
class PeerView:
    """A peer as it is now.

    @ivar place: its number on the ring.
    @ivar for_s: for how many seconds it has been in its state.
    @ivar standing: what it says of itself; None if it has said nothing yet, or is gone.
    @ivar port: where others join by it; 0 if nowhere yet.
    """

    place: int
    state: PeerState
    for_s: float = 0.0
    standing: Standing | None = None
    port: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether it has left, or is dead."""
        return self.state in _GONE

    @property
    def named(self) -> Sequence[int]:
        """The places of its neighbours, as it knows them."""
        standing = self.standing
        if standing is None or not standing.member:
            return ()
        before = [] if standing.predecessor is None else [standing.predecessor]
        return [int(place) for place in (*before, *standing.successors)]


def table_lines(peers: Sequence[PeerView], width: int, *, is_coloured: bool = False) -> list[str]:
    """The lines of the table, and below it whether the ring is whole.

    @param width: columns of the terminal.
    @param is_coloured: whether a terminal is to show it.
    """
    gone = {peer.place for peer in peers if peer.is_gone}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, width=width)
    is_wide = width >= _WIDE
    for heading in _HEADINGS if is_wide else _SHORT_HEADINGS:
        is_number = heading in ("peer", "port")
        table.add_column(
            heading,
            no_wrap=heading != "keeps",
            overflow="fold",
            justify="right" if is_number else "left",
            ratio=1 if heading == "keeps" else None,
        )
    for peer in sorted(peers, key=lambda each: each.place):
        cells = list(_cells(peer, gone))
        if not is_wide:
            cells = [*cells[:4], cells[-1] if peer.state is PeerState.HERE else peer.state.value]
        table.add_row(*map(Text, cells), style=_STYLES.get(peer.state, ""))
    console = Console(file=StringIO(), width=width, force_terminal=is_coloured, no_color=not is_coloured)
    with console.capture() as capture:
        console.print(table)
        for fault in [*_faults(peers)][:1] or [_whole(peers)]:
            console.print(Text(fault, style="" if fault.startswith("The ring is whole") else "bold"))
        if any(place in gone for peer in peers for place in peer.named):
            console.print(Text("(n): peer n has gone, and this one has not noticed yet", style="dim"))
    return [line.rstrip() for line in capture.get().split("\n") if line.strip()]


def _cells(peer: PeerView, gone: set[int]) -> Iterator[str]:
    """What stands in the columns of one peer."""
    yield str(peer.place)
    standing = peer.standing
    if standing is None or not standing.member:
        yield from (_NOBODY,) * 3
    else:
        yield _NOBODY if standing.predecessor is None else _marked(standing.predecessor, gone)
        yield ", ".join(_marked(place, gone) for place in standing.successors) or _NOBODY
        more = ["..."] if standing.keeps_more else []
        yield ", ".join([*standing.keeps, *more]) or _NOBODY
    yield _WORDS[peer.state].format(f"{int(peer.for_s)} s" if peer.for_s < 60 else format_time(peer.for_s))
    yield str(peer.port) if peer.port and not peer.is_gone else _NOBODY


def _marked(place: str, gone: set[int]) -> str:
    return f"({place})" if int(place) in gone else place


def is_whole(peers: Sequence[PeerView]) -> bool:
    """Whether all peers that are on the ring know their neighbours, and none is on its way."""
    moving = (PeerState.JOINING, PeerState.LEAVING)
    return not any(peer.state in moving for peer in peers) and bool(_places(peers)) and not [*_faults(peers)]


def _members(peers: Sequence[PeerView]) -> list[PeerView]:
    """Those that are on the ring, in its order."""
    here = [peer for peer in peers if not peer.is_gone and peer.standing is not None and peer.standing.member]
    return sorted(here, key=lambda each: each.place)


def _places(peers: Sequence[PeerView]) -> list[int]:
    """All places where somebody is, also at a prompt that is not in this window, in the order of the ring."""
    members, absent = _members(peers), {peer.place for peer in peers}
    others = {place for peer in members for place in peer.named} - absent
    return sorted({peer.place for peer in members} | others)


def _faults(peers: Sequence[PeerView]) -> Iterator[str]:
    """What is not as it should be between neighbours."""
    places = _places(peers)
    if len(places) < 2:
        return
    for peer in _members(peers):
        at = places.index(peer.place)
        standing = peer.standing
        assert standing is not None, "it is a member"
        following = [*places[at + 1 :], *places[:at]]
        for what, known, right in (
            ("successors", standing.successors, following[: CLASSIC.successors]),
            ("predecessor", [standing.predecessor] if standing.predecessor else [], following[-1:]),
        ):
            if known != [str(place) for place in right]:
                wanted = ", ".join(map(str, right))
                yield f"Not whole yet: {peer.place} has {', '.join(known) or 'none'} as {what}, not {wanted}"


def _whole(peers: Sequence[PeerView]) -> str:
    places = _places(peers)
    if not places:
        return "Nobody is on the ring"
    return f"The ring is whole: {', '.join(map(str, places))}, and {places[0]} again"
