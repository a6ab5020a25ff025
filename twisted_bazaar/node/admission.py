"""Admission control: which connections are taken while a process may open only so many files. Sans-IO.

Fair by host, before C{accept} has to fail: when all are taken, somebody goes for a newcomer, and it is one of the host
that has most of them. Who has not said yet who it is goes first, the oldest first: an honest node greets at once. Where
no host has more than others, those go before it that were cut off before without a word and have come again.
IPv6 hosts are counted by their network, as everywhere.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from attrs import frozen

from twisted_bazaar.errors import NoSlots
from twisted_bazaar.values.addresses import network_of

C = TypeVar("C", bound=Hashable)

_NOWHERE: Final = ""
# A socket that is cut is closed in the next turn only, and meanwhile takes one of the files kept in reserve. Half of
# them are for hosts that have no more than others: who has most cannot use up all by pushing out its own.
_MOST_GOING: Final = 8
# Of so many networks it is known that they have said nothing when they could.
_MOST_KNOWN: Final = 4_096


@frozen
class _Seat:
    network: str
    is_silent: bool


class Tally:
    """Counts by network, and knows which has most: 20,000 are not to be looked through for each newcomer."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._networks: dict[int, dict[str, None]] = {}
        self._most = 0

    def __getitem__(self, network: str) -> int:
        return self._counts.get(network, 0)

    @property
    def busiest_network(self) -> str:
        """The network that has most; there is one."""
        return next(iter(self._networks[self._most]))

    def change(self, network: str, by: int) -> None:
        """Count one more of a network, or one fewer."""
        before = self._counts.pop(network, 0)
        if before:
            del self._networks[before][network]
            if not self._networks[before]:
                del self._networks[before]
        if after := before + by:
            self._counts[network] = after
            self._networks.setdefault(after, {})[network] = None
        if after > self._most or (before == self._most and before not in self._networks):
            self._most = after


class Admission(Generic[C]):
    """The connections that others have made to this node.

    @param most: at any time.
    @param most_silent: of those, who have not said who they are.
    """

    def __init__(self, most: int, most_silent: int) -> None:
        self._most = most
        self._most_silent = most_silent
        self._seats: dict[C, _Seat] = {}
        # Those that went for others, and are not closed yet.
        self._going: set[C] = set()
        # In the order in which they came.
        self._silent: OrderedDict[C, None] = OrderedDict()
        self._silent_of: dict[str, OrderedDict[C, None]] = {}
        # Networks that were cut off in silence and have not been heard since, the oldest first; and which of those that
        # are silent now are theirs.
        self._mute: OrderedDict[str, None] = OrderedDict()
        self._silent_again: OrderedDict[C, None] = OrderedDict()
        self._settled_of: dict[str, OrderedDict[C, None]] = {}
        self._taken = Tally()
        self._taken_in_silence = Tally()

    def __len__(self) -> int:
        return len(self._seats)

    def admit(self, host: str) -> C | None:
        """Decide whether one more connection from a host is taken.

        @return: who is to be cut off for it, and then to L{connection_closed}; None when there is room.
        @raise NoSlots: it is not taken.
        """
        newcomer = _network(host)
        if len(self._seats) >= self._most:
            goes = self._place_of_another(newcomer)
        elif len(self._silent) >= self._most_silent:
            goes = self._place_of_silent()
        else:
            return None
        is_its_own = self._seats[goes].network == newcomer
        # Where files are left, those of them that are closing take none from anybody.
        is_scarce = len(self._seats) + len(self._going) >= self._most
        if is_scarce and len(self._going) >= (_MOST_GOING // 2 if is_its_own else _MOST_GOING):
            raise NoSlots("no slots available: too many connections at once")
        if self._seats[goes].is_silent:
            self._note_mute(self._seats[goes].network)
        self.connection_closed(goes)
        self._going.add(goes)
        return goes

    def connection_opened(self, connection: C, host: str) -> None:
        """A connection was made; nothing has come over it."""
        self._put(connection, _Seat(_network(host), is_silent=True))

    def connection_greeted(self, connection: C) -> None:
        """The other end has said who it is; that it goes counts less from now on."""
        self.replace(connection, connection)

    def replace(self, connection: C, by: C) -> None:
        """A connection goes on under another name, and is silent no more."""
        seat = self._seats.get(connection)
        if seat is not None:
            self._mute.pop(seat.network, None)
            self.connection_closed(connection)
            self._put(by, _Seat(seat.network, is_silent=False))

    def connection_closed(self, connection: C) -> None:
        """A connection is closed, or goes on under another name."""
        self._going.discard(connection)
        seat = self._seats.pop(connection, None)
        if seat is None:
            return
        self._taken.change(seat.network, -1)
        if seat.is_silent:
            del self._silent[connection]
            self._silent_again.pop(connection, None)
            self._taken_in_silence.change(seat.network, -1)
        by_network = self._silent_of if seat.is_silent else self._settled_of
        of_network = by_network[seat.network]
        del of_network[connection]
        if not of_network:
            del by_network[seat.network]

    def _put(self, connection: C, seat: _Seat) -> None:
        self._seats[connection] = seat
        self._taken.change(seat.network, +1)
        if seat.is_silent:
            self._silent[connection] = None
            if seat.network in self._mute:
                self._silent_again[connection] = None
            self._taken_in_silence.change(seat.network, +1)
        by_network = self._silent_of if seat.is_silent else self._settled_of
        by_network.setdefault(seat.network, OrderedDict())[connection] = None

    def _place_of_silent(self) -> C:
        """The silent connection that is closed for a newcomer when as many are silent as may be.

        Whoever holds the most silent connections loses its oldest: nobody locks others out. Hundreds of hosts with one
        each could, if they came again and again; so they go before who comes for the first time.
        """
        busiest = self._taken_in_silence.busiest_network
        if self._taken_in_silence[busiest] == 1 and self._silent_again:
            return next(iter(self._silent_again))
        return next(iter(self._silent_of[busiest]))

    def _note_mute(self, network: str) -> None:
        self._mute[network] = None
        self._mute.move_to_end(network)
        if len(self._mute) > _MOST_KNOWN:
            self._mute.popitem(last=False)

    def _place_of_another(self, newcomer: str) -> C:
        """The connection that is closed for a newcomer when all places are taken.

        @raise NoSlots: nobody has more than it would have, and all have said who they are.
        """
        busiest = self._taken.busiest_network
        if self._taken[busiest] > self._taken[newcomer] + 1 or busiest == newcomer:
            silent = self._silent_of.get(busiest)
            if silent:
                return next(iter(silent))
            if busiest != newcomer:
                return next(reversed(self._settled_of[busiest]))
        elif self._silent:
            return next(iter(self._silent))
        raise NoSlots("no slots available: too many connections")


def _network(host: str) -> str:
    return network_of(host) if host else _NOWHERE
