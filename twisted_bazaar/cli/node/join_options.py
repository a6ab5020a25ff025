"""The options by which a command says whom its node asks, and how others reach it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, TypeVar, cast

import click
from click.core import ParameterSource

from twisted_bazaar.cli.node.datagram_options import DATAGRAM_OPTIONS, Datagrams
from twisted_bazaar.cli.node.ephemeral_node import INDEX, EphemeralNode
from twisted_bazaar.cli.terminal.errors import UserError, whole_number
from twisted_bazaar.discovery.ring.rules.identifiers import LEAST_BITS, MOST_BITS, USUAL_BITS
from twisted_bazaar.roles.ring.options import MEMBER
from twisted_bazaar.taps.finding import SUPER

_BY_RING: Final = "ring"
# By parameter: the option, and the way that it is for.
_OPTIONS_OF: Final[Mapping[str, tuple[str, str]]] = {
    "index": ("--index", "index"),
    "super_peers": ("--super", "superpeer"),
    "join": ("--join", _BY_RING),
    "bits": ("--bits", _BY_RING),
}
_SERVING: Final[Sequence[tuple[str, str, str]]] = (
    ("listen", "ENDPOINT", "Where to take connections.  [a free port, for this machine only if the index is]"),
    ("advertise", "HOST:PORT", "Where others reach this node, if not where it listens."),
    *DATAGRAM_OPTIONS,
)

_Command = TypeVar("_Command", bound=Callable[..., Any])


def finds_files(command: _Command) -> _Command:
    """Adds the options by which is chosen whom to ask: parameter C{membership} of the command."""

    @wraps(command)
    def with_membership(
        *args: Any, via: str, index: str, super_peers: Sequence[str], join: str | None, bits: int, **options: Any
    ) -> Any:
        _refuse_typed(via)
        if via == _BY_RING and join is None:
            raise UserError(f"--via {_BY_RING}: say where a member of the ring listens, with --join such as {MEMBER}")
        wish = EphemeralNode(
            via,
            index,
            options.pop("listen", None),
            options.pop("advertise", None),
            super_peers=super_peers or (SUPER,),
            member=join or MEMBER,
            bits=bits,
            datagrams=Datagrams.taken_from(options),
        )
        return command(*args, membership=wish, **options)

    decorated: Any = click.option(
        "--bits",
        type=whole_number("--bits", LEAST_BITS, MOST_BITS),
        default=USUAL_BITS,
        metavar="N",
        help=f"The ring has 2 to the power of this many places.  [{USUAL_BITS}]",
    )(with_membership)
    for words, usual, metavar, text in (
        (["--join"], "", "ENDPOINT", f"Where a member of the ring listens, such as {MEMBER}."),
        (["--super", "super_peers"], None, "ENDPOINT", f"Where a super peer listens; may be repeated.  [{SUPER}]"),
        (["--index"], INDEX, "ENDPOINT", f"Where the index server listens.  [{INDEX}]"),
        (["--via"], "index", "WAY", "How files are found: index, superpeer or ring.  [index]"),
    ):
        option = click.option(*words, default=usual or None, multiple=usual is None, metavar=metavar, help=text)
        decorated = option(decorated)
    return cast("_Command", decorated)


def _refuse_typed(via: str) -> None:
    """See that no option is typed that is for another way; what a file says is for several programs.

    @raise Refusal: one is.
    """
    for name, (option, way) in _OPTIONS_OF.items():
        is_typed = click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE
        if is_typed and way != via:
            raise UserError(f"{option} goes with --via {way}: add that, or leave out {option}")


def takes_connections(command: _Command) -> _Command:
    """Adds the options of a command whose node fetches, and serves others; they end in its membership."""
    for name, metavar, text in reversed(_SERVING):
        command = click.option(f"--{name}", metavar=metavar, help=text)(command)
    return command
