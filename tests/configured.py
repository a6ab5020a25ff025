"""Configurations of nodes for tests, made from options as they are typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.python import usage

from twisted_bazaar.interfaces import IDiscoveryMethod, IRole
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.roles.discovery.flood import FloodMethod
from twisted_bazaar.service.config import NodeConfig, read_config
from twisted_bazaar.service.options import (
    ADVERTISE,
    BAZAAR_OPTION,
    CONNECT,
    EVENTS,
    LIMIT,
    LISTEN,
    MAX_LINKS,
    MIN_LINKS,
    PLAIN,
    TRACKER,
    TRANSFER,
    UDP,
)
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.taps.options import DaemonOptions

OPTIONS: Final = (
    *(BAZAAR_OPTION, LISTEN, ADVERTISE, PLAIN, TRACKER, CONNECT, MIN_LINKS, MAX_LINKS, LIMIT, UDP, *TRANSFER, EVENTS),
)


def config_of(reactor: Any, *roles: IRole, discovery: IDiscoveryMethod | None = None, **options: Any) -> NodeConfig:
    """The configuration of a node with these roles.

    @param options: as they are typed, with C{_} for C{-}; it speaks in the open unless they say otherwise.
    """
    values = OptionValues.of(OPTIONS, **{"plain": True, **options})
    return read_config(values, discovery or FloodMethod(), roles, reactor, has_tracker="tracker" in options)


def context_of(discovery: IDiscoveryMethod | None = None, state: StateDirectory | None = None) -> RoleContext:
    """The node for which a role is made."""
    return RoleContext(discovery or FloodMethod(), state)


def typed(options: Sequence[Option], *words: str) -> OptionValues:
    """The values of a role's options, from the words of a command line."""
    parser: DaemonOptions = type("Typed", (DaemonOptions,), {"declared": options})()
    parser.environment = {}
    usage.Options.parseOptions(parser, list(words))
    parser.typed = {name for name, value in parser.items() if value is not None}
    return parser.option_values
