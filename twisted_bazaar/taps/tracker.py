"""C{twistd -n bazaar-tracker}: the directory of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import evolve
from twisted.application.service import IService

from twisted_bazaar.errors import UsageError
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.roles import tracker
from twisted_bazaar.roles.discovery.flood import FloodMethod
from twisted_bazaar.roles.node_ids import LIMITS
from twisted_bazaar.service.config import read_config
from twisted_bazaar.service.options import (
    ADVERTISE,
    CONFIG_OPTION,
    EPHEMERAL,
    EVENTS,
    LIMIT,
    LISTEN,
    MAX_LINKS,
    NAME,
    PLAIN,
    STATE,
)
from twisted_bazaar.service.service import build_service
from twisted_bazaar.settings.endpoints import UsualPort
from twisted_bazaar.settings.known import TRACKER
from twisted_bazaar.settings.option import Option
from twisted_bazaar.taps.daemon_log import LogLines, make_observer
from twisted_bazaar.taps.leaving import heed_early_interrupt
from twisted_bazaar.taps.options import DaemonOptions, name_of, state_of

_NAME: Final = "tracker"


class Options(DaemonOptions):
    """The options of a tracker."""

    program = TRACKER
    declared: Sequence[Option] = (
        evolve(
            LISTEN,
            help="Where to take connections; tcp:9000 is open to other machines.",
            default=UsualPort.TRACKER.to_listen,
        ),
        ADVERTISE,
        PLAIN,
        evolve(MAX_LINKS, shown=f"{LIMITS['max_links']:,}, or as many as the files that it may open allow"),
        LIMIT,
        *tracker.OPTIONS,
        evolve(STATE, help="The directory for what outlives the process: its key."),
        evolve(NAME, shown=_NAME),
        evolve(EPHEMERAL, help="Keep nothing: a new key, and bazaar cannot ask it."),
        EVENTS,
        CONFIG_OPTION,
    )
    tables: Sequence[str] = (TRACKER, "tracker")
    synopsis = "[options]"
    longdesc = "The tracker gives ids to nodes and names them to each other. It sees no searches and no sales."
    example = "twistd -n bazaar-tracker --listen tcp:9000"


def makeService(options: Options, reactor: Any = None) -> IService:
    """Make the service of a tracker."""
    if reactor is None:
        from twisted.internet import reactor
    if options.parent is not None:
        heed_early_interrupt(reactor)
    try:
        discovery = FloodMethod()
        state = state_of(options, [_NAME])
        roles = [tracker.make_role(options.option_values, RoleContext(discovery, state))]
        config = read_config(options.option_values, discovery, roles, reactor, state=state)
        service = build_service(config, roles, reactor)
        service.log_observer = make_observer(options.parent, LogLines(_NAME, name_of(options)))
        return service
    except UsageError as error:
        raise options.refusal(error) from None
