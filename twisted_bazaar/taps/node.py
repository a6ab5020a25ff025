"""C{twistd -n bazaar-node}: a node with any roles."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IRolePlugin
from twisted_bazaar.plugin import TRANSFER, find_role, known_roles
from twisted_bazaar.roles.ring.options import RingOptions
from twisted_bazaar.roles.ways import WAY
from twisted_bazaar.service import build_service, parse_limits, usual_limits
from twisted_bazaar.settings.known import NODE, ROLE
from twisted_bazaar.settings.values import Kind, Setting, Settings
from twisted_bazaar.state import STATE, StateDirectory, state_path
from twisted_bazaar.taps.finding import MAY_LEAD, SUPER_PEER, is_on_ring, is_typed, tracker_of_node, way_of_node
from twisted_bazaar.taps.leaving import hurry_if_told_again
from twisted_bazaar.taps.options import DaemonOptions, values_of
from twisted_bazaar.taps.registrar import is_registrar, make_room
from twisted_bazaar.taps.room import make_room_for_leaves, udp_place, without_neighbours
from twisted_bazaar.taps.transfer import transfer_of_node
from twisted_bazaar.taps.transfer_options import TRANSFER_OPTIONS, TransferOptions
from twisted_bazaar.wire.goods import BAZAAR


class _NodeOptions(DaemonOptions, TransferOptions):
    """The options of every node, whatever its roles."""

    program = NODE
    synopsis = "[--role ROLE]... [options]"
    longdesc = "A node of the bazaar. --role ROLE --help shows the options of a role too."
    optParameters: Sequence[Sequence[object]] = [
        [
            "listen",
            "l",
            "tcp:0:interface=127.0.0.1",
            "The endpoint to listen on, or none; tcp:0 is open to other machines.",
        ],
        ["tracker", "t", "tcp:127.0.0.1:9000", "The endpoint of the tracker."],
        ["via", None, "flood", "How goods and files are found: flood, index, superpeer or ring."],
        ["index", None, None, "With --via index: the endpoint of the index server, which is the node's tracker too."],
        [
            "udp",
            None,
            None,
            "[HOST:]PORT where it takes datagrams, or none; who needs it does where it listens if not given.",
        ],
        ["min-links", None, None, "Below this many links the node looks for more."],
        ["bazaar", None, BAZAAR, "The bazaar it trades in; its orders are worth nothing in another."],
        ["state", None, None, "The directory for what outlives the process: key, orders, stock."],
        ["name", None, None, "What to call its directory where --state is not given; its roles if not given."],
    ]
    optFlags: Sequence[Sequence[object]] = [
        ["ephemeral", None, "Keep nothing: a new key, and orders in memory."],
        [MAY_LEAD, None, "With --via superpeer: become a super peer itself when there are too few."],
    ]

    def opt_role(self, name: str) -> None:
        """What the node does: a name from --help-roles; may be given several times. A relay if not given."""
        self.setdefault("role", []).append(name)

    def opt_connect(self, endpoint: str) -> None:
        """The endpoint of a node to stay linked to; may be given several times."""
        self.setdefault("connect", []).append(endpoint)

    def opt_super(self, endpoint: str) -> None:
        """With --via superpeer: the endpoint of one, tcp:127.0.0.1:9200 if not given; may be given several times."""
        self.setdefault("super", []).append(endpoint)

    def opt_help_roles(self) -> None:
        """List the roles."""
        width = max(len(plugin.name) for plugin in known_roles())
        for plugin in known_roles():
            sys.stdout.write(f"{plugin.name:{width}}  {plugin.description}\n")
        raise SystemExit(0)

    opt_r = opt_role


class Options(_NodeOptions, RingOptions):
    """The command line of a node: which options it knows depends on the roles it names."""

    def __init__(self) -> None:
        super().__init__()
        self.plugins: list[IRolePlugin] = []
        self._full: DaemonOptions | None = None

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Find the roles first, then read everything with their options."""
        words = list(sys.argv[1:] if options is None else options)
        try:
            names = self._role_names(words)
            self.plugins = [find_role(name) for name in names or ["relay"]]
            full = _options_with(self.plugins)()
        except UsageError as error:
            raise self.refusal(error) from None
        full.parent, full.environment, full.layers = self.parent, self.environment, self.layers
        full.tables = (NODE, *(plugin.name for plugin in self.plugins))
        full.parseOptions(words)
        if full.get(ROLE, []) != names:
            raise self.refusal(UsageError("write --role ROLE in full"))
        self.settings: Settings = full.settings
        self._full = full
        self.update(full)

    def in_force(self) -> dict[str, Setting]:
        """Every option of the node and its roles, with its value and where that was written."""
        return {} if self._full is None else self._full.in_force()

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


def makeService(options: Options, reactor: Any = None) -> IService:
    """Make the service of a node."""
    if reactor is None:
        from twisted.internet import reactor
    try:
        names = [plugin.name for plugin in options.plugins]
        way = way_of_node(options, names, reactor)
        # A file may say that some may lead, and serve nodes of other ways too.
        may_lead = way.registrar is None and bool(options[MAY_LEAD])
        settings = {**options, STATE: _state_of(options), WAY: way, MAY_LEAD: may_lead}
        roles = [*way.roles, *(plugin.make_role(settings) for plugin in options.plugins)]
        settings["tracker"] = tracker_of_node(options, roles, names)
        udp = udp_place(settings, roles, reactor)
        limits = parse_limits(usual_limits(way), settings)
        typed = [name for name, _, _ in TRANSFER_OPTIONS if is_typed(options, name)]
        # That a ring is one of a classroom means nothing to others.
        heeded = options if is_on_ring(roles) else {**options, "classic": None}
        settings[TRANSFER] = transfer_of_node(heeded, typed, limits, reactor.seconds(), takes_datagrams=udp is not None)
        if is_registrar(roles):
            settings = make_room(settings)
        elif SUPER_PEER in names or may_lead:
            settings = make_room_for_leaves(settings)
        service = build_service(without_neighbours(settings, roles), roles, reactor, udp)
        hurry_if_told_again(service, reactor)
        return service
    except UsageError as error:
        raise options.refusal(error) from None


def _state_of(options: Options) -> StateDirectory | None:
    """The state directory that a command line asks for.

    @raise UsageError: it asks for two things at once, or the directory cannot be used.
    """
    state, name = options["state"], options["name"]
    if options["ephemeral"]:
        if state or name:
            raise UsageError("--ephemeral keeps nothing: leave out --state and --name")
        return None
    if state and name:
        raise UsageError("--name is for nodes without --state: leave out one of them")
    return StateDirectory(
        Path(state)
        if state
        else state_path("-".join(plugin.name for plugin in options.plugins) if name is None else name)
    )


def _options_with(plugins: Sequence[IRolePlugin]) -> type[_NodeOptions]:
    """The options of a node and of its roles in one class.

    @raise UsageError: two of them have an option of one name, or a role is named twice.
    """
    owners: dict[str, str] = dict.fromkeys(_option_names(_NodeOptions) | _option_names(RingOptions), "every node")
    names = [plugin.name for plugin in plugins]
    for plugin in plugins:
        if names.count(plugin.name) > 1:
            raise UsageError(f"--role {plugin.name} stands twice; run two nodes")
        shared = _option_names(RingOptions) if issubclass(plugin.options, RingOptions) else set[str]()
        for name in _option_names(plugin.options) - {"version", "help"} - shared:
            if name in owners:
                raise UsageError(f"--{name} belongs to {owners[name]} and to role {plugin.name}; run two nodes")
            owners[name] = f"role {plugin.name}"
    bases = list(dict.fromkeys(plugin.options for plugin in plugins))
    if not any(issubclass(base, RingOptions) for base in bases):
        bases.append(RingOptions)
    return type("Options", (_NodeOptions, *bases), {"__doc__": _NodeOptions.__doc__})


def _option_names(cls: type[usage.Options]) -> set[str]:
    return {name.rstrip("=") for name in cls().longOpt}
