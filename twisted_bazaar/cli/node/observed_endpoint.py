"""An endpoint that a command connects to, and hears of: whether anybody is there, and why not."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")


@implementer(IStreamClientEndpoint)
class ObservedEndpoint:
    """An endpoint that tells whether somebody is there.

    @param connected: called each time somebody is.
    @param failed: told why nobody is.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, connected: Callable[[], object], failed: Callable[[str], object]
    ) -> None:
        self._endpoint = endpoint
        self._connected = connected
        self._failed = failed

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect."""
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallbacks(self._tell_connected, self._tell)

    def _tell_connected(self, protocol: T) -> T:
        self._connected()
        return protocol

    def _tell(self, failure: Failure) -> Failure:
        if failure.check(CancelledError, ConnectingCancelledError) is None:
            number = getattr(failure.value, "osError", None)
            # Twisted says it twice.
            self._failed(os.strerror(number) if isinstance(number, int) else failure.getErrorMessage().rstrip("."))
        return failure
