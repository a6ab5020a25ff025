"""The way of finding that a node's command line asks for, and who gives the node its id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IDiscoveryMethod, IRole
from twisted_bazaar.roles.ring.finder import RingFinder
from twisted_bazaar.roles.ring.options import RING_OPTIONS, check_endpoint, read_replicas, read_settings
from twisted_bazaar.roles.ring_peer import RingPeer
from twisted_bazaar.roles.ways import make_way
from twisted_bazaar.service import client_endpoint
from twisted_bazaar.settings.values import TYPED, Place
from twisted_bazaar.taps.options import DaemonOptions

SUPER: Final = "tcp:127.0.0.1:9200"
SUPER_PEER: Final = "super_peer"
MAY_LEAD: Final = "may-lead"
_TRACKER: Final = "tracker"
_BY_SUPER_PEERS: Final = "superpeer"
_BY_RING: Final = "ring"
RING_PEER: Final = "ring_peer"


def way_of_node(options: DaemonOptions, roles: Sequence[str], reactor: Any) -> IDiscoveryMethod:
    """The way of finding that a command line asks for.

    @param roles: the names of the node's roles.
    @raise UsageError: there is none of this name, or other options do not go with it.
    """
    via = options["via"]
    is_for_others = _is_for_others(options, roles)
    if via != _BY_RING and RING_PEER not in roles:
        _refuse_ring(options)
    if via == _BY_SUPER_PEERS and not is_for_others:
        return _by_super_peers(options, roles, reactor)
    for name in ("super", MAY_LEAD):
        if is_typed(options, name):
            raise UsageError(f"--{name} goes with --via {_BY_SUPER_PEERS}: add that, or leave out --{name}")
    if via == _BY_RING and not is_for_others:
        return _by_ring(options, roles)
    way = make_way("flood" if is_for_others else via)
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
    needs_none = any(role.is_self_numbered for role in roles)
    return None if needs_none and not _is_meant(options, _TRACKER, names) else tracker


def is_on_ring(roles: Sequence[IRole]) -> bool:
    """Whether a node lives on a ring, be it to keep files for others or to find by it."""
    return any(isinstance(role, RingFinder | RingPeer) for role in roles)


def is_typed(options: DaemonOptions, name: str) -> bool:
    """Whether an option stands on the command line: what a file says is for several nodes, not all of one way."""
    return options.in_force()[name].source == TYPED


def _by_super_peers(options: DaemonOptions, roles: Sequence[str], reactor: Any) -> IDiscoveryMethod:
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


def _by_ring(options: DaemonOptions, roles: Sequence[str]) -> IDiscoveryMethod:
    _refuse_index(options)
    if RING_PEER in roles:
        raise UsageError(f"--via {_BY_RING}: --role {RING_PEER} has the node's place on a ring already; run two nodes")
    if is_typed(options, "min-links"):
        raise UsageError("--min-links goes with --via flood: who asks a ring needs none; leave it out")
    join: str | None = options["join"]
    if join is not None:
        check_endpoint(join)
    settings = read_settings(options)
    return make_way(_BY_RING, join=join, settings=settings, replicas=read_replicas(options, settings))


def _refuse_ring(options: DaemonOptions) -> None:
    for name in RING_OPTIONS:
        if is_typed(options, name):
            raise UsageError(
                f"--{name} goes with --via {_BY_RING} or --role {RING_PEER}: add one of them, or leave out --{name}"
            )


def super_peer_at(reactor: Any, text: str) -> IStreamClientEndpoint:
    """Where a super peer listens, as C{--super} names it.

    @raise UsageError: it is no endpoint.
    """
    endpoint = client_endpoint(reactor, text, "--super", SUPER)
    if endpoint is None:
        raise UsageError(f"--super {text}: write where a super peer listens, such as {SUPER}")
    return endpoint


def _is_for_others(options: DaemonOptions, roles: Sequence[str]) -> bool:
    """Whether a way that is written down for those who ask is read by those whom they ask, which share their file."""
    asked = {_BY_SUPER_PEERS: SUPER_PEER, _BY_RING: RING_PEER}.get(options["via"])
    return list(roles) == [asked] and not is_typed(options, "via")


def _refuse_index(options: DaemonOptions) -> None:
    if is_typed(options, "index"):
        raise UsageError("--index goes with --via index: add that, or leave out --index")


def _is_meant(options: DaemonOptions, name: str, roles: Sequence[str]) -> bool:
    """Whether an option is set for this very node: typed, or in a table of one of its roles."""
    source = options.in_force()[name].source
    return source == TYPED or (source.place is Place.FILE and source.table in roles)
