"""Which way of finding a node's command line asks for, and who gives the node its id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IRole, ISelfNumbered, IWay
from twisted_bazaar.roles.ways import make_way
from twisted_bazaar.service import client_endpoint
from twisted_bazaar.settings.values import TYPED, Place
from twisted_bazaar.taps.options import DaemonOptions

SUPER: Final = "tcp:127.0.0.1:9200"
SUPER_PEER: Final = "super_peer"
MAY_LEAD: Final = "may-lead"
_TRACKER: Final = "tracker"
_BY_SUPER_PEERS: Final = "superpeer"


def way_of_node(options: DaemonOptions, roles: Sequence[str], reactor: Any) -> IWay:
    """The way of finding that a command line asks for.

    @param roles: the names of the node's roles.
    @raise UsageError: there is none of this name, or other options do not go with it.
    """
    if options["via"] == _BY_SUPER_PEERS and not _is_for_others(options, roles):
        return _by_super_peers(options, roles, reactor)
    way = make_way("flood" if options["via"] == _BY_SUPER_PEERS else options["via"])
    for name in ("super", MAY_LEAD):
        if is_typed(options, name):
            raise UsageError(f"--{name} goes with --via {_BY_SUPER_PEERS}: add that, or leave out --{name}")
    if way.registrar != "index":
        _refuse_index(options)
        return way
    if options["index"] is None:
        raise UsageError("--via index: say where the index server is, with --index tcp:HOST:PORT")
    for name in (_TRACKER, "min-links"):
        if is_typed(options, name):
            raise UsageError(f"--{name} goes with --via flood: who asks an index server needs none; leave it out")
    return way


def tracker_of_node(options: DaemonOptions, roles: Sequence[IRole], names: Sequence[str]) -> str | None:
    """The tracker of a node: the usual one is for those whom nobody else gives an id.

    @param names: of the roles.
    """
    tracker: str | None = options[_TRACKER]
    needs_none = any(ISelfNumbered.providedBy(role) for role in roles)
    return None if needs_none and not _is_meant(options, _TRACKER, names) else tracker


def is_typed(options: DaemonOptions, name: str) -> bool:
    """Whether an option stands on the command line: what a file says is for several nodes, not all of one way."""
    return options.in_force()[name].source == TYPED


def _by_super_peers(options: DaemonOptions, roles: Sequence[str], reactor: Any) -> IWay:
    _refuse_index(options)
    if SUPER_PEER in roles:
        raise UsageError(f"--via {_BY_SUPER_PEERS} is for weak peers, and --role {SUPER_PEER} is none; run two nodes")
    if is_typed(options, "min-links"):
        raise UsageError("--min-links goes with --via flood: who asks a super peer needs none; leave it out")
    if options[MAY_LEAD] and options["listen"] == "none":
        raise UsageError(f"--{MAY_LEAD} goes with --listen; a node that does not listen cannot lead")
    named = options.get("super")
    if named is None:
        # A tracker names some.
        named = [] if _is_meant(options, _TRACKER, roles) and options[_TRACKER] != "none" else [SUPER]
    super_peers = [super_peer_at(reactor, text) for text in named]
    return make_way(_BY_SUPER_PEERS, super_peers=super_peers, may_lead=bool(options[MAY_LEAD]))


def super_peer_at(reactor: Any, text: str) -> IStreamClientEndpoint:
    """Where a super peer listens, as C{--super} names it.

    @raise UsageError: it is no endpoint.
    """
    endpoint = client_endpoint(reactor, text, "--super", SUPER)
    if endpoint is None:
        raise UsageError(f"--super {text}: write where a super peer listens, such as {SUPER}")
    return endpoint


def _is_for_others(options: DaemonOptions, roles: Sequence[str]) -> bool:
    """Whether a way that is written down for weak peers is read by a super peer, which shares their file."""
    return list(roles) == [SUPER_PEER] and not is_typed(options, "via")


def _refuse_index(options: DaemonOptions) -> None:
    if is_typed(options, "index"):
        raise UsageError("--index goes with --via index: add that, or leave out --index")


def _is_meant(options: DaemonOptions, name: str, roles: Sequence[str]) -> bool:
    """Whether an option is set for this very node: typed, or in a table of one of its roles."""
    source = options.in_force()[name].source
    return source == TYPED or (source.place is Place.FILE and source.table in roles)
