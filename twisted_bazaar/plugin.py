"""Plugins: how roles and ways to find are declared and found. Ours and everybody else's come in by the same door.

A role lives in a module with C{OPTIONS} and C{make_role}, a way to find is a class; one line in a drop-in under
C{twisted/plugins/} names it. Nothing is imported until it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final, TypeVar, cast

import twisted.plugins
from attrs import frozen
from twisted.logger import Logger
from twisted.plugin import getCache
from twisted.python.modules import getModule
from zope.interface import Attribute, implementer

from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import Ending
from twisted_bazaar.interface_bases import IPlugin
from twisted_bazaar.interfaces import IDiscoveryMethod, IRole
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.wire.message import WireNameTaken

log: Final = Logger()

_OUR_PLACES: Final = "twisted_bazaar.roles."
_PASSED_ON: Final = ("twisted_bazaar.discovery.flood.messages", "twisted_bazaar.trade.messages")
_Loaded = TypeVar("_Loaded")


def declare_messages() -> None:
    """Declare all messages of this package.

    Every node needs them, whatever its roles: it passes on what others send. Call this before a node
    is made.
    """
    for module in _PASSED_ON:
        import_module(module)


@frozen
class RoleContext:
    """The node for which a role is made.

    @ivar discovery: the way to find that it has been given.
    @ivar state: the directory of what outlives its process; None for nothing.
    """

    discovery: IDiscoveryMethod
    state: StateDirectory | None = None


class IRolePlugin(IPlugin):
    """A plugin that finds and makes a role. One of these stands in a drop-in under C{twisted/plugins}."""

    name: str = Attribute("The word after C{--role}.")
    description: str = Attribute("One line for C{--help-roles}.")

    def load() -> None:
        """Import the role's module, and so declare its messages."""

    def options() -> Sequence[Option]:
        """The options that this role adds to the node's."""

    def example() -> str:
        """The options of this role on a command line, for the end of help; may be empty."""

    def listen() -> str | None:
        """The endpoint where a node of this role listens if nothing else is said; None for a free port."""

    def endings() -> Sequence[Ending]:
        """The exit statuses with which this role ends its process by itself; may be empty."""

    def make_role(options: OptionValues, context: RoleContext) -> IRole:
        """Make the role.

        @param options: the values of this role's options, and of its node's.
        @raise UsageError: they ask for something impossible.
        """


class IDiscoveryPlugin(IPlugin):
    """A plugin that finds a way to find. One of these stands in a drop-in under C{twisted/plugins}."""

    name: str = Attribute("The word after C{--via}.")
    description: str = Attribute("One line for C{--help-methods}.")

    def load() -> Any:
        """Import its class; see L{twisted_bazaar.roles.discovery.method.DiscoveryMethod}."""


@implementer(IRolePlugin)
@frozen
class RolePlugin:
    """Names a role and the module it lives in.

    @ivar name: the word after C{--role}.
    @ivar module: the dotted name of a module with C{OPTIONS} and C{make_role}. It may also have C{EXAMPLE}, for the end
        of help, C{LISTEN}, if others look for it at a usual port, and C{ENDINGS}, if the role ends its process.
    @ivar description: one line for C{--help-roles}.
    """

    name: str
    module: str
    description: str

    def load(self) -> None:
        """Import the role's module, and so declare its messages.

        @raise UsageError: it cannot be imported.
        """
        self._load("make_role")

    def options(self) -> Sequence[Option]:
        """The options that this role adds to the node's."""
        return cast("Sequence[Option]", self._load("OPTIONS"))

    def example(self) -> str:
        """The options of this role on a command line, for the end of help; may be empty."""
        return cast(str, self._load("EXAMPLE", ""))

    def listen(self) -> str | None:
        """The endpoint where a node of this role listens if nothing else is said; None for a free port."""
        return cast("str | None", self._load("LISTEN", None))

    def endings(self) -> Sequence[Ending]:
        """The exit statuses with which this role ends its process by itself; may be empty."""
        return cast("Sequence[Ending]", self._load("ENDINGS", ()))

    def make_role(self, options: OptionValues, context: RoleContext) -> IRole:
        """Make the role from what the command line gave.

        @raise UsageError: the module makes no role.
        """
        role = self._load("make_role")(options, context)
        if not IRole.providedBy(role):
            raise UsageError(
                f"the role {self.name!r} cannot be made: make_role of {self.module} returned {role!r:.100}, no role"
            )
        return role

    def _load(self, name: str, *default: object) -> Any:
        return _attribute_of(self.module, name, f"the role {self.name!r}", *default)


@implementer(IDiscoveryPlugin)
@frozen
class DiscoveryPlugin:
    """Names a way to find, the module it lives in, and its class there.

    @ivar name: the word after C{--via}.
    @ivar module: the dotted name of a module.
    @ivar cls: the name of the class.
    @ivar description: one line for C{--help-methods}.
    """

    name: str
    module: str
    cls: str
    description: str

    def load(self) -> Any:
        """Import its class.

        @raise UsageError: it cannot be imported.
        """
        return _attribute_of(self.module, self.cls, f"--via {self.name!r}")


def _attribute_of(module: str, name: str, what: str, *default: object) -> Any:
    """What a module that a drop-in names has under a name.

    @param what: what is named so, for people.
    @raise UsageError: the module cannot be imported, or has nothing of that name and there is no default.
    """
    if not module.startswith("twisted_bazaar."):
        _declare_ours()
    try:
        return getattr(import_module(module), name, *default)
    except WireNameTaken as error:
        # The module by itself shows nothing: it takes both.
        raise UsageError(f"{what} cannot be loaded: {error}; give one of them another tag") from error
    except Exception as error:
        raise UsageError(
            f"{what} cannot be loaded: {type(error).__name__}: {error}; 'python -c \"import {module}\"' shows where"
        ) from error


@cache
def _declare_ours() -> None:
    """Declare all messages of this package, those of its roles too: whoever takes the name of one comes second."""
    declare_messages()
    for plugin in (*known_roles(), *known_methods()):
        if isinstance(plugin, RolePlugin | DiscoveryPlugin) and plugin.module.startswith(_OUR_PLACES):
            import_module(plugin.module)


@frozen
class _Installed:
    """The contents of all drop-ins.

    @ivar broken: a line about each drop-in that cannot be loaded, with its file and the error.
    """

    roles: Sequence[IRolePlugin]
    methods: Sequence[IDiscoveryPlugin]
    broken: Sequence[str]


@cache
def _installed_at(places: tuple[str, ...]) -> _Installed:
    """Read all drop-ins, once. Twisted's C{getPlugins} would tell of each broken one by a traceback, each time.

    @param places: the directories where Twisted looks for them.
    """
    roles, methods, broken = [], [], []
    drop_ins = getCache(twisted.plugins)
    for module in getModule(twisted.plugins.__name__).iterModules():
        try:
            drop_in = drop_ins.get(module.name.rpartition(".")[2])
            if drop_in is None:
                # Twisted could not load it, and has not kept why.
                import_module(module.name)
                continue
            for plugin in drop_in.plugins:
                if (role := _named(IRolePlugin(plugin, None))) is not None:
                    roles.append(role)
                if (method := _named(IDiscoveryPlugin(plugin, None))) is not None:
                    methods.append(method)
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())
            broken.append(f"{module.filePath.path} cannot be loaded: {why}")
    return _Installed(sorted(roles, key=_name_of), sorted(methods, key=_name_of), broken)


def _named(plugin: _Loaded) -> _Loaded:
    """A plugin that has what lists show of it.

    @raise AttributeError: it lacks some of that.
    """
    if plugin is not None:
        for name in ("name", "description"):
            getattr(plugin, name)
    return plugin


def _name_of(plugin: IRolePlugin | IDiscoveryPlugin) -> str:
    return plugin.name


def _installed() -> _Installed:
    return _installed_at(tuple(twisted.plugins.__path__))


def known_roles() -> Sequence[IRolePlugin]:
    """Every role installed, by name."""
    return _installed().roles


def known_methods() -> Sequence[IDiscoveryPlugin]:
    """Every way to find installed, by name."""
    return _installed().methods


def faults_of_roles() -> Iterator[str]:
    """A line about each drop-in, and each role, that cannot be loaded."""
    yield from _installed().broken
    for role in known_roles():
        yield from _faults(role.options)


def faults_of_methods() -> Iterator[str]:
    """A line about each drop-in, and each way to find, that cannot be loaded."""
    yield from _installed().broken
    for method in known_methods():
        yield from _faults(method.load)


def _faults(load: Callable[[], object]) -> Iterator[str]:
    try:
        load()
    except UsageError as error:
        yield str(error)


def load_roles() -> None:
    """Load every role and way to find installed, so that their messages are declared too and are passed on.

    What cannot be loaded costs nobody else anything; it is named in the log.
    """
    for role in known_roles():
        _tried(role.load)
    for method in known_methods():
        _tried(method.load)


def loaded_methods() -> Sequence[Any]:
    """The classes of all ways to find that can be loaded."""
    loaded = (_tried(method.load) for method in known_methods())
    return [method for method in loaded if method is not None]


def options_of_roles() -> Mapping[str, Sequence[Option] | None]:
    """The options of each role installed, by its name; None for one that cannot be loaded."""
    return {role.name: _tried(role.options) for role in known_roles()}


def find_role(name: str) -> IRolePlugin:
    """The role of a name.

    @raise UsageError: there is none; the text names those there are.
    """
    roles = known_roles()
    for plugin in roles:
        if plugin.name == name:
            return plugin
    names = ", ".join(plugin.name for plugin in roles)
    raise UsageError("; ".join([f"there is no role {name!r}; the roles are {names}", *_installed().broken]))


def find_method(name: str) -> IDiscoveryPlugin:
    """The way to find of a name.

    @raise UsageError: there is none; the text names those there are.
    """
    methods = known_methods()
    for plugin in methods:
        if plugin.name == name:
            return plugin
    names = ", ".join(plugin.name for plugin in methods)
    raise UsageError("; ".join([f"--via {name!r}: write one of {names}", *_installed().broken]))


def _tried(load: Callable[[], _Loaded]) -> _Loaded | None:
    """Load something; what cannot be loaded costs nobody else anything."""
    try:
        return load()
    except UsageError as error:
        log.warn("{error}", error=error)
        return None
