"""Synchronization of a peer's list with one server, over links that come and go.

The server is told what has changed since it was told last, in parts of which a few are under way at once, so that
neither end holds much of a long list; and everything if it has lost its memory. What the parts say is decided by
L{PublishedList}; here is when they are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted_bazaar.discovery.index.client.published_list import PublishedList
from twisted_bazaar.discovery.index.messages import NOTHING_LISTED, Listed, Renew
from twisted_bazaar.errors import PeerError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.timer import Timer
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Message

_UNDER_WAY: Final = 4
# How often of a lease it is renewed: one of the words may come late.
_RENEWALS: Final = 3
_LEASE_S: Final = 45.0
# However long a server says that it believes a list, it is told often.
_LONGEST_LEASE_S: Final = 60.0
# Loads change with every download that begins or ends.
_LEAST_BETWEEN_RENEWALS_S: Final = 1.0


class Warn(Protocol):
    """Says something in the log, but not over and over."""

    def __call__(self, sentence: str, **details: Any) -> None:
        """Say it."""


class ListSync:
    """Synchronization of a list with one server, and when it happens.

    @param listing: the list; nobody else tells anybody of it.
    @param say: sends a message to the server.
    @param server: what it is called in the log.
    """

    def __init__(
        self, node: INode, listing: PublishedList, say: Callable[[Message], object], warn: Warn, server: str
    ) -> None:
        self._node = node
        self.listing = listing
        self._say = say
        self._warn = warn
        self._server = server
        self._load = 0
        self._is_joined = False
        # The server has said what it has over this link, and can be told the rest.
        self._is_resumed = False
        # It takes no more for now.
        self._is_refused = False
        # The last question for what the server has, if its answer still says something.
        self._renewal_id: int | None = None
        self._renewed_at = float("-inf")
        self._renew_every_s = _LEASE_S / _RENEWALS
        self._renewing = Timer(node.clock, self._renew)
        self._telling = Timer(node.clock, self.send_updates)

    @property
    def is_in_sync(self) -> bool:
        """Whether the server has the whole list, as far as it takes it."""
        return self._is_resumed and not self.listing.has_more and not self.listing.in_flight

    def server_joined(self) -> None:
        """The server is there: see what it has of the list."""
        self._is_joined, self._is_resumed = True, False
        self._renew()

    def server_left(self) -> None:
        """The server is gone; the list is kept for when it comes back."""
        self._is_joined = self._is_resumed = False
        self._renewing.cancel()
        self._telling.cancel()

    def set_load(self, downloads: int) -> None:
        """Say how many downloads this node serves now."""
        if downloads != self._load:
            self._load = downloads
            if self._is_joined:
                self._renew_by(self._renewed_at + _LEAST_BETWEEN_RENEWALS_S)

    def send_updates(self) -> None:
        """Send what the server has not been told, as much as may be under way at once."""
        if not self._is_resumed or self._is_refused:
            return
        while self.listing.in_flight < _UNDER_WAY:
            update = self.listing.next_update(self._new_id())
            if update is None:
                break
            self._say(update)
        if self.listing.has_more and not self.listing.in_flight and not self._telling.is_set:
            # What is next has not been found in the time of one turn.
            self._telling.set(0)

    def listed_received(self, answer: Listed) -> None:
        """The server has answered."""
        self._renew_every_s = max(_LEAST_BETWEEN_RENEWALS_S, min(answer.lease, _LONGEST_LEASE_S) / _RENEWALS)
        if answer.id == self._renewal_id:
            self._resume(answer)
        elif self._is_resumed and self.listing.update_answered(answer):
            # The answer to the question under way will be older than that.
            self._renewal_id = None
        self.send_updates()
        if self.listing.left_out_count and not self.listing.has_more:
            self._warn(
                "{server} lists {most} files a peer; {left_out} of this node's are not listed",
                server=self._server,
                most=answer.most,
                left_out=self.listing.left_out_count,
            )

    def is_unknown_there(self, error: Error) -> bool:
        """Whether who has answered does not know what a list is, and so is no such server."""
        return self.is_renewal(error) and error.code == PeerError.code

    def is_renewal(self, error: Error) -> bool:
        """Whether an error is about the last question for what the server has."""
        return error.id is not None and error.id == self._renewal_id

    def error_received(self, error: Error) -> None:
        """The server has refused something; what is none of the list's is nothing here."""
        reason = error.reason or error.code
        if error.id is not None and self.listing.update_refused(error.id):
            self._is_refused = True
            self._warn("{server} refuses the list: {reason}", server=self._server, reason=reason)
        elif error.id is not None and error.id == self._renewal_id:
            # What keeps its directory may have failed; it is asked again at the next renewal.
            self._warn("{server} cannot keep the list now: {reason}", server=self._server, reason=reason)

    def _resume(self, answer: Listed) -> None:
        """The server has said which list it has."""
        self._is_refused = False
        if self._is_resumed:
            self.listing.state_answered(answer)
            return
        self._is_resumed = True
        before = self.listing.mark
        self.listing.resume(answer)
        if self.listing.mark not in (before, NOTHING_LISTED):
            # It had more than it was known to have, and believes it when it is told so.
            self._renew()

    def _renew(self) -> None:
        self._renewed_at = self._node.clock.seconds()
        self._renewal_id = self._new_id()
        self.listing.state_asked()
        self._say(Renew(id=self._renewal_id, mark=self.listing.mark, load=self._load))
        self._renewing.set(self._renew_every_s)

    def _renew_by(self, at: float) -> None:
        """Renew at an instant, or now if it has passed; or when it would be done anyway, if that is earlier."""
        self._renewing.set_earlier(max(0.0, at - self._node.clock.seconds()))

    def _new_id(self) -> int:
        return self._node.rng.getrandbits(53)
