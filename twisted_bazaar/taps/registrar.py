"""Limits of a process that hands out ids, to which everybody links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from twisted_bazaar.interfaces import IRegistrar, IRole
from twisted_bazaar.service import expect_many_objects
from twisted_bazaar.system.open_files import raise_file_limit

_MOST_NODES: Final = 100_000
# Thousands may greet at once when it comes back; strangers are cheap here.
_MOST_GREETING: Final = "max-greeting=4096"


def is_registrar(roles: Sequence[IRole]) -> bool:
    """Whether a node with these roles hands out ids."""
    return any(IRegistrar.providedBy(role) for role in roles)


def make_room(options: Mapping[str, Any]) -> dict[str, Any]:
    """Let this process have as many links as the system allows it; what the user has chosen stays.

    @return: the options, and what follows from that.
    """
    connections = raise_file_limit().connections
    expect_many_objects()
    settings = {**options, "limit": [_MOST_GREETING, *options.get("limit", ())]}
    if settings["max-links"] is None:
        settings["max-links"] = str(min(_MOST_NODES, connections))
    return settings
