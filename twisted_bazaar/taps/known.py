"""The options of all programs and roles that share a settings file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

from twisted_bazaar.plugin import options_of_roles
from twisted_bazaar.settings.known import NODE, TRACKER, Known, kinds_of
from twisted_bazaar.settings.option import Option

# By name: who has options that others have to know is found only when somebody has set some.
_COMMANDS: Final = "twisted_bazaar.cli.commands.tables"


def options_of_commands() -> Mapping[str, Sequence[Option]]:
    """The options of each command that takes settings, by its table."""
    commands: Mapping[str, Sequence[Option]] = import_module(_COMMANDS).COMMANDS
    return commands


def known_options() -> Known:
    """The options of all programs and roles."""
    # By name, as twistd finds them: what they are made of asks here.
    makers = {maker.tapname: maker for maker in getPlugins(IServiceMaker) if maker.tapname in (NODE, TRACKER)}
    daemons: dict[str, Any] = {name: maker.options().declared for name, maker in makers.items()}
    programs = {**daemons, **options_of_commands()}
    return Known(
        {name: kinds_of(options).keys() for name, options in programs.items()},
        {role: None if added is None else kinds_of(added).keys() for role, added in options_of_roles().items()},
    )
