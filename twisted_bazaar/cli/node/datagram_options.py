"""The options by which the node of a command takes datagrams, and files by them; the same as the daemons'."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import click
from attrs import field, frozen
from click.core import ParameterSource

from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.udp import Transfer
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.taps.room import UdpPlace, udp_place
from twisted_bazaar.taps.transfer import read_transfer, transfer_of_node
from twisted_bazaar.taps.transfer_options import TRANSFER_OPTIONS

DATAGRAM_OPTIONS: Final[Sequence[tuple[str, str, str]]] = (
    ("udp", "[HOST:]PORT", "Where to take datagrams, or none.  [a free port if one of the following is given]"),
    *TRANSFER_OPTIONS,
)
"""Each option, what it takes, and what it does."""
_ANY_FREE: Final = "0"
_LOG: Final = "transfer-log"


@frozen
class Datagrams:
    """The user's choices about datagrams.

    @ivar udp: where they are taken, as C{--udp} has it; None if that is not given.
    @ivar transfer: the options of transfers that are given, by their names.
    @ivar typed: those of them that stand on the command line.
    """

    udp: str | None = None
    transfer: Mapping[str, str] = field(factory=dict)
    typed: Collection[str] = frozenset()

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> Datagrams:
        """Take them out of the options of the command that runs.

        @param options: by parameter; a command that has none of these serves nobody.
        @raise Refusal: one of them cannot be.
        """
        parameters = {name: name.replace("-", "_") for name, _, _ in TRANSFER_OPTIONS}
        given = {name: options.pop(parameter, None) for name, parameter in parameters.items()}
        transfer = {name: value for name, value in given.items() if value is not None}
        try:
            # The log is opened when there is something to be told of.
            read_transfer({**transfer, _LOG: None}, Limits(), 0.0, takes_limits=False)
        except UsageError as error:
            raise UserError(str(error)) from None
        source = click.get_current_context().get_parameter_source
        typed = {name for name in transfer if source(parameters[name]) is ParameterSource.COMMANDLINE}
        return cls(options.pop("udp", None), transfer, typed)

    def place(self, listen: str, roles: Sequence[IRole], reactor: Any) -> UdpPlace | None:
        """Where a node takes datagrams; None for nowhere. Who says how files come by them is to have them.

        @param listen: where it takes connections.
        @raise UsageError: it needs a place and has none, or what is said is none.
        """
        udp = _ANY_FREE if self.udp is None and self.transfer else self.udp
        return udp_place({"udp": udp, "listen": listen}, roles, reactor)

    def read(self, limits: Limits, seconds: float, *, takes_datagrams: bool) -> Transfer:
        """How a node transfers files.

        @param limits: those of the node.
        @param seconds: the time that counts as 0 in the log.
        @param takes_datagrams: whether it takes any.
        @raise UsageError: an option cannot be, or is typed for a node that takes no datagrams.
        """
        return transfer_of_node(
            self.transfer, self.typed, limits, seconds, takes_datagrams=takes_datagrams, takes_limits=False
        )
