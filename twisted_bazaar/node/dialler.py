"""The dialler: makes links to endpoints, with one dial to an address at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from twisted_bazaar.errors import NoSlots, Unreachable
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.system.connection_errors import reason_of
from twisted_bazaar.values.addresses import Address, Peer

_NOBODY_THERE: Final = (ConnectError, ConnectingCancelledError, CancelledError, OSError)


class LinkFactory(Factory):
    """Builds links for an endpoint.

    @param build: makes one, or gives None to refuse the connection.
    """

    noisy = False

    def __init__(self, build: Callable[[IAddress | None], Link | None]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> Link | None:
        """Make the link for a new connection."""
        return self._build(addr)


class Dialler:
    """Dials nodes for one node.

    @param endpoint: gives what connects to an address.
    @param build: makes the link of an outgoing connection.
    @param at_once: dials under way at any time; strangers can cause dials.
    """

    def __init__(
        self, endpoint: Callable[[Address], IStreamClientEndpoint], build: Callable[[], Link], at_once: int
    ) -> None:
        self._endpoint = endpoint
        self._build = build
        self._at_once = at_once
        self._under_way: dict[Address, tuple[Deferred[Any], list[Deferred[Peer]]]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def dial(self, address: Address) -> Deferred[Peer]:
        """Connect and shake hands.

        @return: fires with the peer, or fails with a L{PeerError}.
        """
        waiting: Deferred[Peer] = Deferred()
        if address in self._under_way:
            self._under_way[address][1].append(waiting)
            return waiting
        if len(self._under_way) >= self._at_once:
            return fail(NoSlots("too many dials under way"))
        connecting = self._endpoint(address).connect(LinkFactory(lambda addr: self._build()))
        opening: Deferred[Any] = connecting.addCallback(_wait_until_open)
        self._under_way[address] = (opening, [waiting])
        opening.addBoth(self._done, address)
        return waiting

    def stop(self) -> None:
        """Give up every dial under way."""
        for opening, _ in list(self._under_way.values()):
            opening.cancel()

    def _done(self, result: Peer | Failure, address: Address) -> None:
        _, waiting = self._under_way.pop(address)
        if isinstance(result, Failure) and isinstance(result.value, _NOBODY_THERE):
            result = Failure(Unreachable(str(address), reason_of(result.value)))
        for deferred in waiting:
            deferred.callback(result)


def _wait_until_open(link: Any) -> Deferred[Peer]:
    assert isinstance(link, Link)
    assert link.opened is not None, "a dialled link says when it opens"
    return link.opened
