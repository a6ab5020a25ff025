"""The options of the daemons, read from their classes and those of all roles installed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from twisted.application.service import IServiceMaker
from twisted.logger import Logger
from twisted.plugin import getPlugins
from twisted.python import usage

from twisted_bazaar.plugin import known_roles
from twisted_bazaar.settings.known import COMMANDS, NEVER_SET, NODE, TRACKER, Known
from twisted_bazaar.settings.values import Kind, Kinds

log: Final = Logger()


def kinds_of(options: usage.Options) -> Kinds:
    """What each option takes that a setting can stand for."""
    kinds = {}
    for word in options.longOpt:
        name = word.rstrip("=")
        if word == name:
            kinds[name] = Kind.FLAG
        else:
            # What has a method of its own may be given several times.
            kinds[name] = Kind.ONE if name in options.defaults else Kind.MANY
    return {name: kind for name, kind in kinds.items() if name not in NEVER_SET}


def known_options() -> Known:
    """The options of all programs and roles."""
    roles: dict[str, Collection[str] | None] = {}
    for plugin in known_roles():
        try:
            roles[plugin.name] = kinds_of(plugin.options()).keys()
        except Exception as error:
            # It costs nobody else anything: its table is passed over.
            log.warn("the role {name} cannot be loaded: {error}", name=plugin.name, error=error)
            roles[plugin.name] = None
    # By name, as twistd finds them: what they are made of asks here.
    makers = {maker.tapname: maker for maker in getPlugins(IServiceMaker) if maker.tapname in (NODE, TRACKER)}
    daemons = {name: kinds_of(maker.options()).keys() for name, maker in makers.items()}
    return Known({**daemons, **COMMANDS}, roles)
