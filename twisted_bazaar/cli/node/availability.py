"""Availability: the index server, super peers or ring that a command asks, and what is said when nobody is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Self

from attrs import frozen

from twisted_bazaar.cli.terminal.programs import how_to_call
from twisted_bazaar.discovery.superpeer.leaf.registrations import FULL, SILENT, STRANGER

REFUSED: Final = "refused"
"""Why a node does not join that cannot, however often it tries."""

_SENTENCES: Final[Mapping[str, str]] = {
    FULL: "the one {there} has no room for this node",
    SILENT: "a connection was made {there}, but {reason}",
    STRANGER: "what listens {there} is no {name} ({reason})",
}
_ADVICE: Final[Mapping[str, str]] = {
    FULL: "start another {name}, or that one with more --leaves",
    SILENT: "see whether it hangs, or is no {name}; or give another {option}",
    STRANGER: "write after {option} where {name}s listen, such as tcp:127.0.0.1:{port}",
}
_LOCAL: Final = (":127.", ":localhost:", ":[::1]", "=127.", "=localhost")


@frozen
class Unwilling:
    """A reason why somebody who is there does not take a node.

    @ivar place: the endpoint where it listens.
    @ivar why: C{full}, C{silent}, C{stranger} or C{refused}.
    @ivar reason: what it has said, or what has happened.
    """

    place: str
    why: str
    reason: str


Reason = str | Unwilling
"""Why a node has not joined: nobody is there, or whoever is there does not take it."""


@frozen
class Availability:
    """Those whom a command asks, and whether they are there.

    @ivar places: the endpoints where they listen, at least one.
    @ivar name: what such a one is called.
    @ivar short_name: the same, where it is clear what is meant.
    @ivar role: of the node that is one.
    @ivar usual_port: where it listens if nobody says otherwise.
    @ivar option: that names the places.
    """

    places: Sequence[str]
    name: str
    short_name: str
    role: str
    usual_port: int
    option: str

    @classmethod
    def index(cls, place: str) -> Self:
        """An index server."""
        return cls([place], "index server", "index", "index_server", 9100, "--index")

    @classmethod
    def super_peers(cls, places: Sequence[str]) -> Self:
        """Super peers."""
        return cls(places, "super peer", "super peer", "super_peer", 9200, "--super")

    @classmethod
    def ring(cls, place: str) -> Self:
        """A member of a ring."""
        return cls([place], "ring member", "ring member", "ring_peer", 9300, "--join")

    def __str__(self) -> str:
        return f"the {self.short_name}{'s' * (len(self.places) > 1)} at {', '.join(self.places)}"

    @property
    def is_local(self) -> bool:
        """Whether all of them are for this machine only."""
        return all(map(_is_local, self.places))

    def absent(self, reason: Reason) -> str:
        """That nobody is there, or takes this node, and what to do."""
        if isinstance(reason, Unwilling):
            if reason.why == REFUSED:
                return f"{reason.place}: {reason.reason}"
            advice = _ADVICE[reason.why].format(name=self.name, option=self.option, port=self.usual_port)
            return f"{self._nobody(reason)}; {advice}"
        start = f"{how_to_call('twistd')} -n bazaar-node --role {self.role} --listen {self.where_it_listens()}"
        return f"{self._nobody(reason)}; is it running? {start}"

    def awaited(self, reason: Reason) -> str:
        """That nobody is there yet, or takes this node."""
        return f"{self._nobody(reason)}; waiting for {'it' if len(self.places) == 1 else 'one'}"

    def where_it_listens(self) -> str:
        """Where the first would have to listen to be there: open to nobody else where it is for this machine."""
        place = self.places[0]
        words = [word.rpartition("=")[2] for word in place.split(":")]
        port = next((word for word in words if word.isdigit()), str(self.usual_port))
        return f"tcp:{port}:interface=127.0.0.1" if _is_local(place) else f"tcp:{port}"

    def _nobody(self, reason: Reason) -> str:
        if isinstance(reason, Unwilling):
            there = "there" if len(self.places) == 1 else f"at {reason.place}"
            reason = _SENTENCES[reason.why].format(there=there, name=self.name, reason=reason.reason)
        return f"no {self.name} at {', '.join(self.places)}: {reason}"


def _is_local(place: str) -> bool:
    """Whether an endpoint is one for this machine only."""
    return any(sign in place for sign in _LOCAL)
