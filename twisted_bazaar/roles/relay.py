"""A bare node: it passes on what others send, and holds the network together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.python import usage

from twisted_bazaar.role import Role


class Options(usage.Options):
    """A relay has no options of its own."""


def make_role(options: Mapping[str, Any]) -> Role:
    """Make a relay."""
    return Role()
