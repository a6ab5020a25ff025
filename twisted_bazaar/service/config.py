"""The configuration of a node: its options made into values, once and for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve, field, fields_dict, frozen
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.udp import Transfer, TransferLog
from twisted_bazaar.files.window import Settings
from twisted_bazaar.files.window.segment import MOST_OVERHEAD_BYTES
from twisted_bazaar.files.window.settings import DEFAULT_MSS, LARGEST_MSS
from twisted_bazaar.interfaces import IDiscoveryMethod, IRegistrar, IRole
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.service.options import TRANSFER
from twisted_bazaar.settings.endpoints import NOWHERE, UdpPlace, client_endpoint, parse_udp, server_endpoint
from twisted_bazaar.settings.option import OptionValues, hint_on_commas, whole_number
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.system.open_files import raise_file_limit
from twisted_bazaar.system.private_files import open_named
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.needs import FEW_LINKS
from twisted_bazaar.wire.goods import BAZAAR

_CLASSIC_WINDOW: Final = 1
_LARGEST_LIMIT: Final = 2**40
# These limits are options of their own, too.
_OF_LINKS: Final = ("max-links", "min-links")


@frozen
class NodeConfig:
    """The configuration of one node.

    @ivar listen: where it takes connections; None for nowhere.
    @ivar advertised: where others reach it, when that is somewhere else.
    @ivar udp: where it takes datagrams; None for nowhere.
    @ivar tracker: who gives it its id; None if nobody does.
    @ivar neighbours: nodes that it stays linked to.
    @ivar state: the directory of what outlives the process; None for nothing.
    @ivar events: the path of a file for all that happens; None for none.
    @ivar transfer: how it transfers files.
    @ivar is_plain: whether its connections are in the open.
    """

    limits: Limits = field(factory=Limits)
    bazaar: str = BAZAAR
    listen: IStreamServerEndpoint | None = None
    advertised: Address | None = None
    udp: UdpPlace | None = None
    tracker: IStreamClientEndpoint | None = None
    neighbours: Sequence[IStreamClientEndpoint] = ()
    state: StateDirectory | None = None
    events: str | None = None
    transfer: Transfer = field(factory=Transfer)
    is_plain: bool = False


def read_config(
    options: OptionValues,
    discovery: IDiscoveryMethod,
    roles: Sequence[IRole],
    reactor: Any,
    *,
    state: StateDirectory | None = None,
    has_tracker: bool = True,
    beside: str | None = None,
) -> NodeConfig:
    """Make the configuration of a node from its options.

    @param discovery: its way to find.
    @param roles: all that it carries.
    @param has_tracker: whether C{--tracker} is meant for this node, if its ids need not come from one.
    @param beside: the endpoint at whose interface it takes datagrams, where that is not the one where it listens.
    @raise UsageError: an option cannot be read, or two do not go together.
    """
    given = options.get("listen")
    listen = NOWHERE if given is None else given
    udp = udp_place(options.get("udp"), beside or listen, roles, reactor)
    limits = read_limits(options, discovery, roles)
    transfer = read_transfer(options, roles, limits, reactor.seconds(), takes_datagrams=udp is not None)
    tracker = _tracker(options, discovery, roles, reactor, is_meant=has_tracker)
    advertised = options.get("advertise")
    if advertised is not None and listen == NOWHERE:
        raise UsageError("--advertise goes with --listen; a node that does not listen cannot be reached")
    return NodeConfig(
        limits,
        options.get("bazaar") or BAZAAR,
        server_endpoint(reactor, listen),
        advertised,
        udp,
        tracker,
        [_neighbour(reactor, text) for text in options.get("connect") or ()],
        state,
        options.get("events"),
        transfer,
        bool(options.get("plain")),
    )


def read_limits(options: OptionValues, discovery: IDiscoveryMethod, roles: Sequence[IRole]) -> Limits:
    """The limits of a node: those that its roles and its way to find need, changed as the user says.

    @raise UsageError: there is no such limit, or the value is not a number that it takes.
    """
    changes = dict(discovery.limits)
    if roles and not any(role.needs_neighbours for role in roles):
        changes |= FEW_LINKS
    for role in roles:
        changes |= role.limits
    limits = evolve(Limits(), **changes)
    connections = raise_file_limit().connections
    if any(IRegistrar.providedBy(role) for role in roles):
        # Everybody links to it: as many as there is room for.
        limits = evolve(limits, max_links=min(limits.max_links, connections))
    limits = changed_limits(limits, options)
    # Before more files are opened: who hands out ids may have as many links as there were found to be connections.
    return evolve(limits, max_connections=min(limits.max_connections, connections))


def changed_limits(limits: Limits, options: Mapping[str, Any]) -> Limits:
    """Change limits as C{--max-links}, C{--min-links} and C{--limit NAME=VALUE} say.

    @raise UsageError: there is no such limit, or the value is not a number that it takes.
    """
    known = fields_dict(Limits)
    own = [(f"--{name}", f"{name}={options[name]}") for name in _OF_LINKS if options.get(name) is not None]
    for option, text in [*own, *(("--limit", text) for text in options.get("limit") or ())]:
        name, _, value = text.partition("=")
        attribute = known.get(name.replace("-", "_"))
        if attribute is None:
            names = ", ".join(each.replace("_", "-") for each in known)
            raise UsageError(f"--limit {text!r}: there is no such limit; the limits are {names}")
        least = 0 if name == "min-links" else 1
        try:
            number = float(value) if isinstance(attribute.default, float) else int(value)
        except ValueError:
            number = -1
        if not least <= number <= _LARGEST_LIMIT:
            named = option if option != "--limit" else f"--limit {name}"
            raise UsageError(f"{named} must be a number of {least} or more, not {value!r}{hint_on_commas(value)}")
        changed: dict[str, Any] = {attribute.name: number}
        limits = evolve(limits, **changed)
    if limits.min_links > limits.max_links:
        limits = evolve(limits, min_links=limits.max_links)
    return limits


def udp_place(text: str | None, listen: str, roles: Sequence[IRole], reactor: Any) -> UdpPlace | None:
    """Where a node takes datagrams; None for nowhere.

    If nothing is said, it takes them where one of its roles needs it to.

    @param text: what is said.
    @param listen: where it takes connections.
    @raise UsageError: it needs a place and has none, or what is said is none.
    """
    needs = [role.udp_need for role in roles if role.udp_need is not None]
    for need in needs:
        if need.no_links is not None and listen == NOWHERE:
            raise UsageError(f"--listen none: {need.no_links}")
        if text == NOWHERE:
            raise UsageError(f"--udp none: {need.no_udp}")
    if text == NOWHERE:
        return None
    interface, port = _place_of_links(listen, reactor, is_needed=text is None and bool(needs))
    if text is not None:
        return parse_udp(text, interface)
    return (interface, port) if needs else None


def read_transfer(
    options: OptionValues, roles: Sequence[IRole], limits: Limits, seconds: float, *, takes_datagrams: bool
) -> Transfer:
    """How a node transfers files, as its options say.

    A node of a ring as in a classroom transfers by datagrams, one at a time, if nothing else is said.

    @param limits: those of the node.
    @param seconds: the time that counts as 0 in the log.
    @param takes_datagrams: whether it takes any.
    @raise UsageError: an option cannot be, or is typed for a node that takes no datagrams.
    """
    if not takes_datagrams:
        for option in TRANSFER:
            if options.is_typed(option.name):
                raise UsageError(
                    f"--{option.name} goes with --udp: add --udp 0 for any port that is free, or leave out "
                    f"--{option.name}"
                )
        return Transfer()
    is_classic = any(role.is_stop_and_wait for role in roles)
    first = options.get("transfer") or ("udp" if is_classic else "tcp")
    mss = _mss(options.get("mss"), limits.datagram_bytes, takes_limits="limit" in options)
    settings = Settings(mss=mss, drop=options.get("drop") or 0.0)
    window = options.get("window") or (_CLASSIC_WINDOW if is_classic else None)
    if window is not None:
        settings = evolve(settings, window=window)
    return Transfer(settings, first == "udp", _open_log(options.get("transfer-log"), seconds))


def _tracker(
    options: OptionValues, discovery: IDiscoveryMethod, roles: Sequence[IRole], reactor: Any, *, is_meant: bool
) -> IStreamClientEndpoint | None:
    """Who gives a node its id; None if nobody does.

    @raise UsageError: nobody does who has to.
    """
    text: str | None = options.get("tracker")
    is_self_numbered = any(role.is_self_numbered for role in roles)
    if any(IRegistrar.providedBy(role) for role in roles):
        if not discovery.needs_links:
            raise UsageError(f"--via {discovery.name}: a node that hands out ids has nobody to ask; run two nodes")
    elif discovery.gives_ids:
        return discovery.registrar
    elif text == NOWHERE and not is_self_numbered:
        raise UsageError("--tracker none: a node gets its id from a tracker; start one with bazaar-tracker")
    if is_self_numbered and not is_meant:
        return None
    return client_endpoint(reactor, text, "--tracker")


def _neighbour(reactor: Any, text: str) -> IStreamClientEndpoint:
    endpoint = client_endpoint(reactor, text, "--connect")
    if endpoint is None:
        raise UsageError("--connect: write the endpoint of a node, such as tcp:127.0.0.1:9001")
    return endpoint


def _place_of_links(listen: str, reactor: Any, *, is_needed: bool) -> UdpPlace:
    """The interface and the port of an endpoint, as far as it has any.

    @param is_needed: whether datagrams are to be taken there too.
    @raise UsageError: they are, and it has no port.
    """
    endpoint = server_endpoint(reactor, listen)
    if endpoint is not None and is_needed and not isinstance(getattr(endpoint, "_port", None), int):
        raise UsageError(f"--listen {listen!r}: no datagrams come there; say where, with --udp such as 127.0.0.1:9200")
    interface, port = getattr(endpoint, "_interface", ""), getattr(endpoint, "_port", 0)
    return interface if isinstance(interface, str) else "", port if isinstance(port, int) else 0


def _mss(text: str | None, datagram_bytes: int, *, takes_limits: bool) -> int:
    """How many bytes of a file a segment has, so that it fits into a datagram.

    @param takes_limits: whether the user can change limits.
    """
    room = datagram_bytes - MOST_OVERHEAD_BYTES
    if text is None:
        return max(1, min(DEFAULT_MSS, room))
    most = max(1, min(room, LARGEST_MSS))
    if text.isascii() and text.isdigit() and most < int(text[:9]) <= LARGEST_MSS:
        size = int(text) + MOST_OVERHEAD_BYTES
        raise UsageError(
            f"--mss {int(text)}: a segment would have {size:,} bytes, and a datagram has {datagram_bytes:,} at most; "
            f"write {most:,} or less" + (f", or add --limit datagram-bytes={size}" if takes_limits else "")
        )
    mss: int = whole_number(1, most)(text, "--mss")
    return mss


def _open_log(path: str | None, seconds: float) -> TransferLog | None:
    if path is None:
        return None
    try:
        # Each line is to be there when it is looked at.
        return TransferLog(open(path, "a", encoding="utf-8", buffering=1, opener=open_named), seconds)
    except (OSError, ValueError) as error:
        raise UsageError(f"--transfer-log {path!r}: {getattr(error, 'strerror', None) or error}") from None
