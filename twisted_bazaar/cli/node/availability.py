"""Availability: the index server, super peers or ring that a command asks, and what is said when nobody is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from twisted_bazaar.cli.terminal.programs import how_to_call
from twisted_bazaar.values.joining import Asked, NotJoined

_SENTENCES: Final[Mapping[NotJoined, str]] = {
    NotJoined.FULL: "the one {there} has no room for this node",
    NotJoined.SILENT: "a connection was made {there}, but {reason}",
    NotJoined.STRANGER: "what listens {there} is no {name} ({reason})",
}
_ADVICE: Final[Mapping[NotJoined, str]] = {
    NotJoined.FULL: "start another {name}, or that one with more --leaves",
    NotJoined.SILENT: "see whether it hangs, or is no {name}; or give another {option}",
    NotJoined.STRANGER: "write after {option} where {name}s listen, such as {usual}",
}
_LOCAL: Final = (":127.", ":localhost:", ":[::1]", "=127.", "=localhost")


@frozen
class Unwilling:
    """A reason why somebody who is there does not take a node.

    @ivar place: the endpoint where it listens.
    @ivar reason: what it has said, or what has happened.
    """

    place: str
    why: NotJoined
    reason: str


Reason = str | Unwilling
"""Why a node has not joined: nobody is there, or whoever is there does not take it."""


@frozen
class Availability:
    """Those whom a command asks, and whether they are there.

    @ivar places: the endpoints where they listen, at least one.
    @ivar asked: who they are.
    """

    places: Sequence[str]
    asked: Asked

    def __str__(self) -> str:
        return f"the {self.asked.short_name}{'s' * (len(self.places) > 1)} at {', '.join(self.places)}"

    @property
    def is_local(self) -> bool:
        """Whether all of them are for this machine only."""
        return all(map(_is_local, self.places))

    def absent(self, reason: Reason) -> str:
        """That nobody is there, or takes this node, and what to do."""
        if isinstance(reason, Unwilling):
            if reason.why is NotJoined.REFUSED:
                return f"{reason.place}: {reason.reason}"
            if reason.why not in _ADVICE:
                # What to do is said by the reason.
                return self._nobody(reason)
            advice = _ADVICE[reason.why].format(name=self.asked.name, option=self.asked.option, usual=self.asked.usual)
            return f"{self._nobody(reason)}; {advice}"
        options = " ".join(filter(None, (f"--role {self.asked.role}", self.asked.beside)))
        start = f"{how_to_call('twistd')} -n bazaar-node {options} --listen {self.where_it_listens()}"
        return f"{self._nobody(reason)}; is it running? {start}"

    def awaited(self, reason: Reason) -> str:
        """That nobody is there yet, or takes this node."""
        return f"{self._nobody(reason)}; waiting for {'it' if len(self.places) == 1 else 'one'}"

    def where_it_listens(self) -> str:
        """Where the first would have to listen to be there: open to nobody else where it is for this machine."""
        place = self.places[0]
        port = _port_of(place) or _port_of(self.asked.usual)
        return f"tcp:{port}:interface=127.0.0.1" if _is_local(place) else f"tcp:{port}"

    def _nobody(self, reason: Reason) -> str:
        if isinstance(reason, Unwilling):
            there = "there" if len(self.places) == 1 else f"at {reason.place}"
            usual = "{reason}" if len(self.places) == 1 else "{there} {reason}"
            sentence = _SENTENCES.get(reason.why, usual)
            reason = sentence.format(there=there, name=self.asked.name, reason=reason.reason)
        return f"no {self.asked.name} at {', '.join(self.places)}: {reason}"


def _is_local(place: str) -> bool:
    """Whether an endpoint is one for this machine only."""
    return any(sign in place for sign in _LOCAL)


def _port_of(place: str) -> str:
    """The port of an endpoint; empty if it has none."""
    words = [word.rpartition("=")[2] for word in place.split(":")]
    return next((word for word in words if word.isdigit()), "")
