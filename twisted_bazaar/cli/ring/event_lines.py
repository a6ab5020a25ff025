"""Events of a member of a ring as lines at its prompt, in the words of the classroom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted_bazaar.cli.terminal.amounts import format_size

# What is said by a word's own answer is not said twice.
_SENTENCES: Final[Mapping[str, str]] = {
    "ring-joined": "this peer is on the ring, at place {id}",
    "ring-predecessor": "peer {id} is the predecessor now",
    "ring-successor": "peer {id} is the first successor now",
    "ring-successors": "the successors now: {ids}",
    "ring-left": "peer {id} will depart from the ring",
    "ring-dead": "peer {id} is no longer alive",
    "ring-pinged": "a ping request message was received from peer {id}",
    "ring-ponged": "a ping response message was received from peer {id}",
    "ring-sent-on": "peer {by} looks for place {place}, which is not here; sent on to peer {to}",
    "ring-here": "peer {by} looks for place {place}, which is here",
    "ring-requested": "file request message for {name}, which belongs to place {place}",
    "ring-found": "file {name} is found at {at}",
    "ring-fetching": "we now start receiving the file, {size}",
    "ring-sending": "{host} asks for the file {name}",
    "ring-sent": "the file {name} is sent, {bytes}",
    "ring-keeps": "keeping the file {name}, {size}",
    "ring-not-handed-over": "nobody took over {name}",
    "ring-quit": "this peer has left the ring",
}
_PINGS: Final = frozenset({"ring-pinged", "ring-ponged"})
_SIZES: Final = frozenset({"bytes", "size"})


def format_event(event: str, details: Mapping[str, Any], *, quiet: bool = False) -> str | None:
    """The line for an event; None if there is none.

    @param quiet: whether nothing is said of pings.
    """
    if event not in _SENTENCES or (quiet and event in _PINGS):
        return None
    shown = {what: format_size(value) if what in _SIZES else value for what, value in details.items()}
    return _SENTENCES[event].format(**shown)
