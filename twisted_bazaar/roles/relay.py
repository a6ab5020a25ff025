"""The relay: a bare node, which passes on what others send, and holds the network together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.role import Role
from twisted_bazaar.settings.option import Option, OptionValues

OPTIONS: Final[Sequence[Option]] = ()
"""A relay has no options of its own."""


def make_role(options: OptionValues, context: RoleContext) -> Role:
    """Make a relay."""
    return Role()
