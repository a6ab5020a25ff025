"""The options of a node on a ring, for roles that keep files and for finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve
from twisted.internet.endpoints import clientFromString

from twisted_bazaar.discovery.ring.rpc.messages import MOST_SUCCESSORS
from twisted_bazaar.discovery.ring.rules.identifiers import LEAST_BITS, MOST_BITS, Ring, is_number
from twisted_bazaar.discovery.ring.rules.settings import CLASSIC, USUAL, Settings
from twisted_bazaar.discovery.ring.storage.replication import USUAL_REPLICAS
from twisted_bazaar.errors import UsageError
from twisted_bazaar.security.known_keys import split_pin
from twisted_bazaar.settings.option import Option, whole_number

MEMBER: Final = "tcp:127.0.0.1:9300"
_LARGEST_PORT: Final = 65_535


def parse_member(text: str, option: str) -> str:
    """See that a text is the endpoint of a member, perhaps with its key.

    @raise UsageError: it is none.
    """
    try:
        where, _ = split_pin(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: {error}") from None
    try:
        endpoint = clientFromString(None, where)
        port = getattr(endpoint, "_port", 0)
        if isinstance(port, int) and not 0 <= port <= _LARGEST_PORT:
            raise ValueError(f"{port} is not a port")
    except (ValueError, TypeError, LookupError):
        raise UsageError(f"{option} {text!r}: write where a member listens, such as {MEMBER}") from None
    return text


JOIN: Final = Option(
    "join",
    f"Join a ring by one of its nodes: write where that listens, such as {MEMBER}.",
    "ENDPOINT",
    shown="begin a new ring",
    read=parse_member,
)
BITS: Final = Option(
    "bits",
    "How large the ring is: it has 2 to the power of N places. All its nodes need the same N.",
    "N",
    shown=f"{USUAL.bits}; {CLASSIC.bits} with --classic",
    read=whole_number(LEAST_BITS, MOST_BITS),
)
CLASSIC_OPTION: Final = Option(
    "classic",
    f"A small and slow ring, to watch in a lesson: {1 << CLASSIC.bits} places, files that are called by numbers, each "
    "step told. All its nodes need it.",
)
RING_OPTIONS: Final = (
    JOIN,
    BITS,
    Option(
        "successors",
        "How many of the next nodes round the ring this node knows: the ring holds while not all of them die at once.",
        "N",
        shown=f"{USUAL.successors}; {CLASSIC.successors} with --classic",
        read=whole_number(1, MOST_SUCCESSORS),
    ),
    Option(
        "replicas",
        "How many copies there are of everything, each on another node, besides the first.",
        "N",
        shown=f"{USUAL_REPLICAS}; {CLASSIC.successors} with --classic",
        read=whole_number(0, MOST_SUCCESSORS),
    ),
    CLASSIC_OPTION,
)


def read_settings(options: Mapping[str, Any]) -> Settings:
    """The settings of a node on its ring.

    @raise UsageError: it cannot.
    """
    settings = CLASSIC if options.get("classic") else USUAL
    changes = {name: value for name in ("bits", "successors") if (value := options.get(name)) is not None}
    return evolve(settings, **changes)


def read_replicas(options: Mapping[str, Any], settings: Settings) -> int:
    """On how many nodes everything is to be besides the one that it belongs to.

    @raise UsageError: there cannot be so many.
    """
    replicas: int | None = options.get("replicas")
    if replicas is None:
        return min(USUAL_REPLICAS, settings.successors)
    if replicas > settings.successors:
        raise UsageError(f"--replicas '{replicas}': takes a whole number from 0 to {settings.successors}")
    return replicas


def hash_function(ring: Ring, is_classic: bool) -> Callable[[str], int]:
    """The hash function of names; in a classroom a number of four digits is its own identifier."""

    def identifier_of(name: str) -> int:
        return ring.classroom_key(int(name)) if is_number(name) else ring.key_of(name)

    return identifier_of if is_classic else ring.key_of
