"""C{twistd -n bazaar-tracker}: the directory of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import IService

from twisted_bazaar.errors import UsageError
from twisted_bazaar.roles import tracker
from twisted_bazaar.service import build_service
from twisted_bazaar.settings.known import TRACKER
from twisted_bazaar.taps.options import DaemonOptions
from twisted_bazaar.taps.registrar import make_room


class Options(DaemonOptions, tracker.Options):
    """The options of a tracker."""

    program = TRACKER
    tables: Sequence[str] = (TRACKER, "tracker")
    synopsis = "[options]"
    longdesc = "The tracker gives ids to nodes and names them to each other. It sees no searches and no sales."
    optParameters: Sequence[Sequence[object]] = [
        [
            "listen",
            "l",
            "tcp:9000:interface=127.0.0.1",
            "The endpoint to listen on; tcp:9000 is open to other machines.",
        ],
    ]


def makeService(options: Options, reactor: Any = None) -> IService:
    """Make the service of a tracker."""
    if reactor is None:
        from twisted.internet import reactor
    try:
        return build_service(make_room(options), [tracker.make_role(options)], reactor)
    except UsageError as error:
        raise options.refusal(error) from None
