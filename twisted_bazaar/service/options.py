"""The options of every node, each declared once: for daemons, and for the commands that are nodes for a while."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.window.settings import DEFAULT_MSS, LARGEST_WINDOW, Settings
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.settings.endpoints import UsualPort, parse_address
from twisted_bazaar.settings.known import CONFIG
from twisted_bazaar.settings.option import Option, whole_number
from twisted_bazaar.wire.goods import BAZAAR, check_item_name

WHAT: Final = "What it does"
FINDING: Final = "Finding"
LINKS: Final = "Links"
DATAGRAMS: Final = "UDP datagrams"
KEEPING: Final = "What it keeps and tells"

_LONGEST_BAZAAR: Final = 64


def _parse_bazaar(name: str, option: str) -> str:
    """Read the name of a bazaar.

    @raise UsageError: it is too long, or could be read differently by two people.
    """
    if not 1 <= len(name) <= _LONGEST_BAZAAR:
        raise UsageError(f"{option} {name!r}: {len(name)} characters; 1 to {_LONGEST_BAZAAR} are taken")
    try:
        check_item_name(name)
    except ValueError as error:
        raise UsageError(f"{option} {name!r}: {str(error).removeprefix('item: ')}") from None
    return name


def _parse_transfer(text: str, option: str) -> str:
    if text not in ("tcp", "udp"):
        raise UsageError(f"{option} {text!r}: write tcp or udp")
    return text


def _parse_share(text: str, option: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise UsageError(f"{option} {text!r}: takes a share such as 0.1; 0 or more, and less than 1")
    return share


CONFIG_OPTION: Final = Option(
    CONFIG, "A TOML file with settings for what is not said here; see bazaar config show.", "FILE", group=KEEPING
)
EVENTS: Final = Option(
    "events", "A file that gets one JSON line for each event and each message sent.", "FILE", group=KEEPING
)
LISTEN: Final = Option("listen", "Where to take connections.", "ENDPOINT", short="l", group=LINKS)
PLAIN: Final = Option(
    "plain",
    "Neither seal connections nor prove keys: for teaching, and for netcat. Never taken up by itself.",
    group=LINKS,
)
ADVERTISE: Final = Option(
    "advertise",
    "Where others reach this node, if not where it listens.",
    "HOST:PORT",
    group=LINKS,
    read=parse_address,
)
TRACKER: Final = Option(
    "tracker", "Where the tracker listens.", "ENDPOINT", UsualPort.TRACKER.to_connect, short="t", group=LINKS
)
CONNECT: Final = Option("connect", "A node to stay linked to.", "ENDPOINT", is_many=True, group=LINKS)
MIN_LINKS: Final = Option(
    "min-links",
    "Below this many links the node looks for more.",
    "N",
    shown=f"{Limits().min_links}, or what its roles need",
    group=LINKS,
)
MAX_LINKS: Final = Option(
    "max-links",
    "How many nodes may be linked to this one.",
    "N",
    shown=f"{Limits().max_links}, or what its roles need",
    group=LINKS,
)
LIMIT: Final = Option(
    "limit", "Change another limit, such as searches-a-second=100.", "NAME=VALUE", is_many=True, group=LINKS
)
UDP: Final = Option(
    "udp",
    "The port to take UDP datagrams at, or none.",
    "[HOST:]PORT",
    shown="the port of --listen, if a role needs datagrams",
    group=DATAGRAMS,
)
TRANSFER: Final = (
    Option(
        "transfer",
        "What to try first to fetch a file: a TCP connection, or UDP datagrams. If it fails, the other is tried.",
        "tcp|udp",
        shown="tcp",
        group=DATAGRAMS,
        read=_parse_transfer,
    ),
    Option(
        "window",
        "For files by UDP: how many segments may be sent before the first of them is acknowledged. With 1 each waits "
        "for the one before (stop-and-wait).",
        "N",
        shown=f"{Settings().window}",
        group=DATAGRAMS,
        read=whole_number(1, LARGEST_WINDOW),
    ),
    Option(
        "mss",
        "For files by UDP: how many bytes of a file one segment holds at most.",
        "BYTES",
        shown=f"{DEFAULT_MSS}",
        group=DATAGRAMS,
    ),
    Option(
        "drop",
        "For files by UDP: throw this share of the segments away on purpose, to see how losses are made good. 0.1 is "
        "one in ten.",
        "SHARE",
        shown="0",
        group=DATAGRAMS,
        read=_parse_share,
    ),
    Option("transfer-log", "For files by UDP: a file that gets a line for each segment.", "FILE", group=DATAGRAMS),
)
BAZAAR_OPTION: Final = Option(
    "bazaar",
    "The bazaar it trades in; its orders are worth nothing in another.",
    "NAME",
    BAZAAR,
    group=WHAT,
    read=_parse_bazaar,
)
STATE: Final = Option("state", "The directory for what outlives the process: key, orders, stock.", "DIR", group=KEEPING)
NAME: Final = Option(
    "name", "What to call its directory where --state is not given.", "NAME", shown="its roles", group=KEEPING
)
EPHEMERAL: Final = Option("ephemeral", "Keep nothing: a new key, and orders in memory.", group=KEEPING)
