"""An endpoint that a command connects to, and hears of: whether anybody is there, and why not."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure

from twisted_bazaar.errors import PeerError, Unproven
from twisted_bazaar.security.links.link_security import EndpointAround

T = TypeVar("T")


class ObservedEndpoint(EndpointAround):
    """An endpoint that tells whether somebody is there.

    @param connected: called each time somebody is.
    @param failed: told why nobody is.
    @param unproven: told why who is there has not proven who it is.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        connected: Callable[[], object],
        failed: Callable[[str], object],
        unproven: Callable[[Unproven], object],
    ) -> None:
        super().__init__(endpoint)
        self._connected = connected
        self._failed = failed
        self._unproven = unproven

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Connect."""
        return super().connect(protocolFactory).addCallbacks(self._tell_connected, self._tell)

    def link_failed(self, error: PeerError) -> None:
        """Hear why no link was made, although somebody is there or would be."""
        if isinstance(error, Unproven):
            self._unproven(error)

    def _tell_connected(self, protocol: T) -> T:
        self._connected()
        return protocol

    def _tell(self, failure: Failure) -> Failure:
        if failure.check(CancelledError, ConnectingCancelledError) is None:
            number = getattr(failure.value, "osError", None)
            # Twisted says it twice.
            self._failed(os.strerror(number) if isinstance(number, int) else failure.getErrorMessage().rstrip("."))
        return failure
