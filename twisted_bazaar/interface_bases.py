"""The bases of interfaces, with types: zope.interface has none.

To mypy they are what they are, since mypy-zope knows them. For whoever else checks types they are plain classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # To mypy this is true.
    MYPY = False
    if MYPY:
        from twisted.plugin import IPlugin as IPlugin
        from zope.interface import Interface as Interface
    else:

        class Interface:
            """The base of each interface."""

        class IPlugin(Interface):
            """The base of each interface of a plugin."""
else:
    from twisted.plugin import IPlugin
    from zope.interface import Interface

__all__ = ["IPlugin", "Interface"]
