"""The options of a node on a ring, for roles that keep files and for finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve
from twisted.internet.endpoints import clientFromString
from twisted.python import usage

from twisted_bazaar.discovery.ring.rpc.messages import MOST_SUCCESSORS
from twisted_bazaar.discovery.ring.rules.identifiers import LEAST_BITS, MOST_BITS, Ring, is_number
from twisted_bazaar.discovery.ring.rules.settings import CLASSIC, USUAL, Settings
from twisted_bazaar.discovery.ring.storage.replication import USUAL_REPLICAS
from twisted_bazaar.errors import UsageError

MEMBER: Final = "tcp:127.0.0.1:9300"
_LARGEST_PORT: Final = 65_535


class RingOptions(usage.Options):
    """The options of a node about its ring."""

    optParameters = [
        ["join", None, None, f"Where a member of the ring listens, such as {MEMBER}; a new ring if not given."],
        ["bits", None, None, "The ring has 2 to the power of this many places: 64 if not given, 8 with --classic."],
        ["successors", None, None, "How many nodes after itself it knows: 8 if not given, 2 with --classic."],
        [
            "replicas",
            None,
            None,
            "On how many nodes all is besides the one it belongs to: 3 if not given, 2 if classic.",
        ],
    ]
    optFlags = [["classic", None, "A ring as in a classroom: two successors, no shortcuts, files called by numbers."]]


RING_OPTIONS: Final = ("join", "bits", "successors", "replicas", "classic")


def read_settings(options: Mapping[str, Any]) -> Settings:
    """The settings of a node on its ring, from its options.

    @raise UsageError: it cannot.
    """
    settings = CLASSIC if options.get("classic") else USUAL
    return evolve(
        settings,
        bits=_number(options, "bits", str(settings.bits), LEAST_BITS, MOST_BITS),
        successors=_number(options, "successors", str(settings.successors), 1, MOST_SUCCESSORS),
    )


def read_replicas(options: Mapping[str, Any], settings: Settings) -> int:
    """The number of replicas, besides the node to which something belongs.

    @raise UsageError: there cannot be so many.
    """
    return _number(options, "replicas", str(min(USUAL_REPLICAS, settings.successors)), 0, settings.successors)


def check_endpoint(text: str) -> None:
    """Refuse what is no endpoint.

    @raise UsageError: it is none.
    """
    try:
        endpoint = clientFromString(None, text)
        port = getattr(endpoint, "_port", 0)
        if isinstance(port, int) and not 0 <= port <= _LARGEST_PORT:
            raise ValueError(f"{port} is not a port")
    except (ValueError, TypeError, LookupError):
        raise UsageError(f"--join {text!r}: write where a member listens, such as {MEMBER}") from None


def places_of(ring: Ring, is_classic: bool) -> Callable[[str], int]:
    """The hash function of names; in a classroom a number of four digits is its own identifier."""

    def place_of(name: str) -> int:
        return ring.classroom_key(int(name)) if is_number(name) else ring.key_of(name)

    return place_of if is_classic else ring.key_of


def _number(options: Mapping[str, Any], name: str, usual: str, least: int, most: int) -> int:
    text = options.get(name) or usual
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise UsageError(f"--{name} {text!r}: takes a whole number from {least} to {most}")
