"""C{twistd -n bazaar-node}: a node with any roles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import evolve
from twisted.application.service import IService

from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.plugin import (
    IRolePlugin,
    RoleContext,
    faults_of_methods,
    faults_of_roles,
    find_role,
    known_methods,
    known_roles,
    loaded_methods,
    options_of_roles,
)
from twisted_bazaar.roles.discovery.chosen import chosen_method
from twisted_bazaar.roles.discovery.method import DiscoveryContext
from twisted_bazaar.service.config import read_config
from twisted_bazaar.service.options import (
    ADVERTISE,
    BAZAAR_OPTION,
    CONFIG_OPTION,
    CONNECT,
    EPHEMERAL,
    EVENTS,
    FINDING,
    LIMIT,
    LISTEN,
    MAX_LINKS,
    MIN_LINKS,
    NAME,
    PLAIN,
    STATE,
    TRACKER,
    TRANSFER,
    UDP,
    WHAT,
)
from twisted_bazaar.service.service import build_service
from twisted_bazaar.settings.help import Entry
from twisted_bazaar.settings.known import NODE, ROLE
from twisted_bazaar.settings.option import Option
from twisted_bazaar.settings.values import Kind, Settings
from twisted_bazaar.taps.daemon_log import LogLines, make_observer
from twisted_bazaar.taps.leaving import heed_early_interrupt, hurry_if_told_again
from twisted_bazaar.taps.options import DaemonOptions, name_of, show, state_of, values_of

_EVERY_NODE: Final = "every node"
_RELAY: Final = "relay"
_ROLE: Final = Option(
    ROLE, "What the node does: a name from --help-roles.", "ROLE", is_many=True, short="r", shown=_RELAY, group=WHAT
)
_BEFORE: Final = (_ROLE, BAZAAR_OPTION)
_LISTEN: Final = evolve(
    LISTEN,
    help="Where to take connections, or none; tcp:0 is open to other machines.",
    default="tcp:0:interface=127.0.0.1",
)
_LINKS: Final = (ADVERTISE, PLAIN, TRACKER, CONNECT, MIN_LINKS, MAX_LINKS, LIMIT)
_AFTER: Final = (STATE, NAME, EPHEMERAL, EVENTS, CONFIG_OPTION, UDP, *TRANSFER)


class NodeOptions(DaemonOptions):
    """The command line of a node: which options it knows depends on the roles it names, and on what is installed."""

    program = NODE
    declared: Sequence[Option]
    settings: Settings
    typed: Collection[str]
    synopsis = "[--role ROLE]... [options]"
    longdesc = "A node of the bazaar. --role ROLE --help shows the options of a role too."
    endings: ClassVar[Sequence[Ending]] = (
        Ending(ExitStatus.NO, "It cannot start or join."),
        Ending(ExitStatus.WRONG_USE, "An option is wrong."),
    )
    example = "twistd -n bazaar-node --role buyer --want apple"

    def __init__(self) -> None:
        super().__init__()
        self.plugins: list[IRolePlugin] = []

    def opt_help_roles(self) -> None:
        """List the roles."""
        _list(known_roles(), faults_of_roles())

    def opt_help_methods(self) -> None:
        """List the ways to find."""
        _list(known_methods(), faults_of_methods())

    def more(self) -> Sequence[Entry]:
        """The lists of what is installed."""
        return [("--help-roles", "List the roles, and end."), ("--help-methods", "List the ways to find, and end.")]

    def who_knows(self, option: str) -> str:
        """The roles that have an option which those of this node have not."""
        roles = [role for role, added in options_of_roles().items() if option in {each.name for each in added or ()}]
        return f"; it goes with --role {' or '.join(roles)}" if roles else ""

    def read_words(self, words: Sequence[str]) -> None:
        """Find the roles first, then read everything with their options.

        @raise UsageError: something there cannot be.
        """
        names = self._role_names(words)
        self.plugins = [find_role(name) for name in names or [_RELAY]]
        full = _options_with(self.plugins)
        full.parent, full.environment, full.layers = self.parent, self.environment, self.layers
        full.tables = (NODE, *(plugin.name for plugin in self.plugins))
        DaemonOptions.read_words(full, words)
        if full.get(ROLE, []) != names:
            raise UsageError("write --role ROLE in full")
        self.declared, self.settings, self.typed = full.declared, full.settings, full.typed
        self.update(full)

    def _role_names(self, words: Sequence[str]) -> list[str]:
        """The roles that a command line names, or what lies below it, before other options can be understood."""
        typed = values_of(words, "--role", "-r")
        below = self.read_layers(words).settings({ROLE: Kind.MANY}, [NODE]).get(ROLE)
        if typed or below is None or not isinstance(below.value, tuple):
            return typed
        for name in below.value:
            try:
                find_role(name)
            except UsageError as error:
                raise UsageError(f"{below.source}: {error}") from None
        return list(below.value)


def Options() -> NodeOptions:
    """The options of a node, as twistd asks for them: those of the ways to find installed are among them."""
    return _options_with(())


def makeService(options: NodeOptions, reactor: Any = None) -> IService:
    """Make the service of a node."""
    if reactor is None:
        from twisted.internet import reactor
    if options.parent is not None:
        heed_early_interrupt(reactor)
    try:
        values = options.option_values
        names = [plugin.name for plugin in options.plugins]
        discovery = chosen_method(values, DiscoveryContext(reactor, names))
        state = state_of(options, names)
        context = RoleContext(discovery, state)
        named = {plugin.name: plugin.make_role(values, context) for plugin in options.plugins}
        roles = [*discovery.roles, *named.values()]
        config = read_config(
            values, discovery, roles, reactor, state=state, has_tracker=values.is_meant(TRACKER.name, names)
        )
        service = build_service(config, roles, reactor)
        service.log_observer = make_observer(options.parent, _lines_of(options, named))
        hurry_if_told_again(service, reactor)
        return service
    except UsageError as error:
        raise options.refusal(error) from None


def _lines_of(options: NodeOptions, roles: Mapping[str, IRole]) -> LogLines:
    """How the lines of a node's log begin: with its role, or with that of each line if it has several."""
    name = name_of(options)
    if len(roles) == 1:
        [role] = roles
        return LogLines(role, name)
    return LogLines("node", name, {type(role).__module__: each for each, role in roles.items()})


def listen_option(plugins: Iterable[IRolePlugin]) -> Option:
    """Where a node of some roles listens: the first that others look for at a port says where, if any does."""
    usual = next(filter(None, (plugin.listen() for plugin in plugins)), None)
    if usual is None:
        return _LISTEN
    to_others = usual.removesuffix(":interface=127.0.0.1")
    return evolve(_LISTEN, help=_LISTEN.help.replace("tcp:0", to_others), default=usual)


def _options_with(plugins: Sequence[IRolePlugin]) -> NodeOptions:
    """The options of a node and of its roles.

    @raise UsageError: two of them have an option of one name, or a role is named twice.
    """
    methods = loaded_methods()
    via = Option(
        "via",
        f"How goods and files are found: {', '.join(method.name for method in methods)}.",
        "WAY",
        "flood",
        group=FINDING,
    )
    of_methods = [
        option if option.group else evolve(option, group=f"{FINDING} by --via {method.name}")
        for method in methods
        for option in method.options
    ]
    every_node = [*_BEFORE, via, *of_methods, listen_option(plugins), *_LINKS, *_AFTER]
    owners = {option.name: _EVERY_NODE for option in every_node}
    # What a way to find and a role that lives by it have in common.
    shared = {option.name: option for method in methods for option in method.options}
    names = [plugin.name for plugin in plugins]
    of_roles: list[Option] = []
    moved: set[str] = set()
    for plugin in plugins:
        if names.count(plugin.name) > 1:
            raise UsageError(f"--role {plugin.name} stands twice; run two nodes")
        for option in plugin.options():
            if shared.get(option.name) == option:
                # Help shows it with the role, for which it is not about finding.
                if option.name not in moved:
                    of_roles.append(evolve(option, group=f"Role {plugin.name}"))
                moved.add(option.name)
                continue
            if option.name in owners:
                raise UsageError(
                    f"--{option.name} belongs to {owners[option.name]} and to role {plugin.name}; run two nodes"
                )
            owners[option.name] = f"role {plugin.name}"
            of_roles.append(option if option.group else evolve(option, group=f"Role {plugin.name}"))
    declared = (*_BEFORE, *of_roles, *(each for each in every_node[len(_BEFORE) :] if each.name not in moved))
    about: dict[str, Any] = {"declared": declared, "__doc__": NodeOptions.__doc__}
    if plugins:
        words = " ".join(f"--role {plugin.name} {plugin.example()}".strip() for plugin in plugins)
        about["example"] = f"twistd -n bazaar-node {words}"
        about["endings"] = (*NodeOptions.endings, *(ending for plugin in plugins for ending in plugin.endings()))
    cls: type[NodeOptions] = type("Options", (NodeOptions,), about)
    return cls()


def _list(plugins: Sequence[Any], faults: Iterable[str]) -> None:
    """Print names, with a line for each, and what cannot be loaded; and end."""
    width = max(len(plugin.name) for plugin in plugins)
    show("\n".join([*(f"{plugin.name:{width}}  {plugin.description}" for plugin in plugins), *faults]))
