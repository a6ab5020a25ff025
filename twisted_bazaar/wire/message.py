"""The base of all messages, the table of their types, and the kinds of value their keys hold.

A message class is declared once: its bases say how it travels, C{tag} is its wire name, its
annotations are its keys, types and limits. Declaring it enters it in L{MESSAGE_TYPES}. Python names
are snake_case, the keys on the wire are their camelCase.

Messages are frozen C{msgspec} structs: one pass of C code goes from JSON to the object, checks types
and limits on the way, and picks the class by its tag.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Final, Self, dataclass_transform

import msgspec
from msgspec import Meta

from twisted_bazaar.wire import strict_json

LARGEST_INTEGER: Final = strict_json.LARGEST_INTEGER
LONGEST_PATH: Final = 16
LARGEST_TTL: Final = 16
LARGEST_FLOW_LABEL: Final = 2**16 - 1
TRACKER_ID: Final = 0
NO_ID: Final = -1
PATH_LOOP: Final = "path: a node stands in it twice"
RETURN_PATH_LOOP: Final = "returnPath: a node stands in it twice"

NodeId = Annotated[int, Meta(ge=TRACKER_ID, le=LARGEST_INTEGER)]
MessageId = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
# A search among super peers has more bits than a number can hold everywhere.
QueryId = Annotated[str, Meta(min_length=32, max_length=32, pattern="^[0-9a-f]{32}$")]
Port = Annotated[int, Meta(ge=0, le=65535)]
Host = Annotated[str, Meta(min_length=2, max_length=64)]
Text = Annotated[str, Meta(max_length=1024)]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Path = Annotated[tuple[NodeId, ...], Meta(min_length=1, max_length=LONGEST_PATH)]
TTL = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
FlowLabel = Annotated[int, Meta(ge=0, le=LARGEST_FLOW_LABEL)]
FlowLabels = Annotated[tuple[FlowLabel, ...], Meta(max_length=LONGEST_PATH)]

MESSAGE_TYPES: Final[dict[str, type[Message]]] = {}


class WireNameTaken(TypeError):
    """Two classes of messages claim one wire name; the text names both."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _MessageMeta(msgspec.StructMeta):
    """Enters each message class that has a wire name in the table of types."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        options.setdefault("kw_only", True)
        options.setdefault("tag", False)
        cls: Any = super().__new__(mcls, name, bases, namespace, **options)
        wire_name = cls.__struct_config__.tag
        if wire_name is not None:
            known = MESSAGE_TYPES.setdefault(wire_name, cls)
            if known is not cls:
                raise WireNameTaken(
                    f"{cls.__module__}.{name} and {known.__module__}.{known.__name__} "
                    f"both claim the wire name {wire_name!r}"
                )
        return cls


class Message(
    msgspec.Struct,
    metaclass=_MessageMeta,
    frozen=True,
    tag_field="type",
    rename="camel",
    omit_defaults=True,
    gc=False,
):
    """Something one node tells another. Subclass it with C{tag="wirename"}.

    @cvar is_question: whether it only asks. Of these alone one is taken by datagram from an address that nobody has
        shown to be the sender's: taking it may have no effect but one answer, which is sent before the method returns.
    @cvar ended_by: what says, with the C{id} of this message alone, that nothing more comes for it. It is sent for one
        that is malformed too, as long as that has an id: so who asks need not know why there is nothing.
    """

    is_question: ClassVar[bool] = False
    ended_by: ClassVar[type[Any] | None] = None

    @property
    def wire_name(self) -> str:
        """The C{type} of this message on the wire."""
        return str(self.__struct_config__.tag)

    def is_from(self, key: str) -> bool:
        """Whether the node with a public key may have sent this: who says of itself that it is another has not.

        @param key: proven, 64 hexadecimal digits.
        """
        return True

    def evolve(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)


class Routed(Message):
    """A message for one node, sent directly or along a path.

    @ivar path: every node it passes, the sender first and the receiver last; None when it goes no
        further than the other end of the link.
    """

    path: Path | None = None

    def __post_init__(self) -> None:
        path = self.path
        if path is not None and len(path) > 1 and len(set(path)) != len(path):
            raise ValueError(PATH_LOOP)


class Flooded(Message):
    """A message for every node within reach, passed on once by each. L{INode.new_flood} makes one.

    @ivar id: with the origin's id, what tells it apart from all others.
    @ivar return_path: the nodes it has passed, the origin first.
    @ivar ttl: how many links it may still cross, counting the one it came by.
    @ivar host: where the origin can be reached; its first neighbour fills it in.
    @ivar port: the origin's listening port; None or 0 when it does not listen.
    @ivar flows: for each node on the return path but the last, from which host the one after it got the flood: a label
        that says no more than whether it was the same as for another flood.
    """

    id: MessageId
    return_path: Path
    ttl: TTL = 7
    host: Host | None = None
    port: Port | None = None
    flows: FlowLabels = ()

    def __post_init__(self) -> None:
        if len(set(self.return_path)) != len(self.return_path):
            raise ValueError(RETURN_PATH_LOOP)
        if self.host is not None:
            check_host(self.host)

    @property
    def origin(self) -> int:
        """The node that began the flood."""
        return self.return_path[0]


def check_host(host: str) -> None:
    """Refuse what is not an IP address: names would let a stranger make this node ask a resolver.

    @raise ValueError: it is not an IPv4 or IPv6 address.
    """
    if not is_address(host):
        raise ValueError("host: not an IP address")


@lru_cache(maxsize=1024)
def is_address(host: str) -> bool:
    """Whether a text is an IP address; a node hears of the same few over and over.

    A zone after a C{%} names an interface of the sender, and is of no use to anybody else.
    """
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host
