"""Declaring and finding roles: the one door for our own and for everybody else's.

A role lives in a module with C{Options} and C{make_role}; one line in a drop-in under
C{twisted/plugins/} names it. Nothing is imported until the role is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, cast

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.plugin import IPlugin, getPlugins
from twisted.python import usage
from zope.interface import implementer

from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import INode, IRole, IRolePlugin, Opening
from twisted_bazaar.values.addresses import Address, Origin, Peer
from twisted_bazaar.wire.message import Message

log: Final = Logger()

WAY: Final = "way"
"""Where roles find the way of finding of their node among their options; where there is none, it is flooding."""
TRANSFER: Final = "transfer over datagrams"
"""Where a node finds how it transfers files over datagrams; where there is nothing, as is usual."""

_PASSED_ON: Final = ("twisted_bazaar.discovery.flood.messages", "twisted_bazaar.trade.messages")


def declare_messages() -> None:
    """Declare all messages of this package.

    Every node needs them, whatever its roles: it passes on what others send. Call this before a node
    is made.
    """
    for module in _PASSED_ON:
        import_module(module)


@implementer(IPlugin, IRolePlugin)
@frozen
class RolePlugin:
    """Names a role and the module it lives in.

    @ivar name: the word after C{--role}.
    @ivar module: the dotted name of a module with C{Options} and C{make_role}.
    @ivar description: one line for C{--help-roles}.
    """

    name: str
    module: str
    description: str

    def load(self) -> None:
        """Import the role's module, and so declare its messages."""
        import_module(self.module)

    @property
    def options(self) -> type[usage.Options]:
        """The options that this role adds to the node's."""
        return cast("type[usage.Options]", import_module(self.module).Options)

    def make_role(self, options: Mapping[str, Any]) -> IRole:
        """Make the role from what the command line gave."""
        return cast(IRole, import_module(self.module).make_role(options))


@implementer(IRole)
class Role:
    """A role that does nothing: a base for those that do something.

    @ivar receives: for each message class it claims, the method that takes it.
    @ivar openings: for each message class with which a connection may begin, what takes that over.
    @ivar datagrams: for each message class it takes by datagram, the method that does.
    @ivar kind: what others may ask the tracker for that look for a node such as this.
    @ivar node: the node that carries it; there from L{start} on.
    """

    receives: Mapping[type[Message], Callable[[Any, Origin], None]] = {}
    openings: Mapping[type[Message], Opening] = {}
    datagrams: Mapping[type[Message], Callable[[Any, Address], None]] = {}
    kind: str | None = None
    node: INode

    def start(self, node: INode) -> None:
        """Begin; nothing is linked yet."""
        self.node = node

    def stop(self) -> Deferred[None]:
        """End every timer and wait."""
        return succeed(None)

    def peer_joined(self, peer: Peer) -> None:
        """A node is linked."""

    def peer_left(self, peer: Peer) -> None:
        """A link is gone."""

    def tracker_joined(self) -> None:
        """The node is linked to its tracker."""

    def tracker_left(self) -> None:
        """The link to the tracker is gone."""


def known_roles() -> list[IRolePlugin]:
    """Every role installed, by name."""
    return sorted(getPlugins(IRolePlugin), key=lambda plugin: plugin.name)


def load_roles() -> None:
    """Load every role installed, so that their messages are declared too and are passed on.

    A role that cannot be loaded costs nobody else anything; it is named in the log.
    """
    for plugin in known_roles():
        try:
            plugin.load()
        except Exception as error:
            log.warn("the role {name} cannot be loaded: {error}", name=plugin.name, error=error)


def find_role(name: str) -> IRolePlugin:
    """The role of a name.

    @raise UsageError: there is none; the text names those there are.
    """
    roles = known_roles()
    for plugin in roles:
        if plugin.name == name:
            return plugin
    raise UsageError(f"there is no role {name!r}; the roles are {', '.join(plugin.name for plugin in roles)}")
