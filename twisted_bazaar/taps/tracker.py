"""C{twistd -n bazaar-tracker}: the directory of nodes."""

from __future__ import annotations

from typing import Any, Final

from twisted.application.service import IService

from twisted_bazaar.errors import UsageError
from twisted_bazaar.roles import tracker
from twisted_bazaar.service import build_service, expect_many_objects, raise_file_limit
from twisted_bazaar.taps.options import DaemonOptions

_MOST_NODES: Final = 100_000
# Files that are no links: so a node too many is told `noslots` before the system refuses it.
_OTHER_FILES: Final = 64
# Thousands may greet at once when a tracker comes back; strangers are cheap here.
_MOST_GREETING: Final = "max-greeting=4096"


class Options(DaemonOptions, tracker.Options):
    """The options of a tracker."""

    program = "bazaar-tracker"
    synopsis = "[options]"
    longdesc = "The tracker gives ids to nodes and names them to each other. It sees no searches and no sales."
    optParameters = [
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
    most_files = raise_file_limit()
    expect_many_objects()
    settings = {**options, "limit": [_MOST_GREETING, *options.get("limit", ())]}
    if settings["max-links"] is None:
        settings["max-links"] = str(max(1, min(_MOST_NODES, most_files - _OTHER_FILES)))
    try:
        return build_service(settings, [tracker.make_role(options)], reactor)
    except UsageError as error:
        raise options.refusal(error) from None
