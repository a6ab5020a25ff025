"""The leaves of a super peer: takes registrations, and keeps their lists and the words in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final

from attrs import define
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twisted_bazaar.byte_budget import MIB, ByteBudget, Room
from twisted_bazaar.discovery.index.directory.directory import Directory, Steps
from twisted_bazaar.discovery.index.directory.memory import MemoryDirectory
from twisted_bazaar.discovery.index.messages import Busy, Listed, Renew, TooMany, Update
from twisted_bazaar.discovery.index.scheduling.pending import PendingRequests
from twisted_bazaar.discovery.index.scheduling.time_slicing import TimeSlicer
from twisted_bazaar.discovery.superpeer.messages import (
    MOST_TABLE_BITS,
    NO_TABLE,
    Other,
    Register,
    Registered,
    Table,
    Unregister,
)
from twisted_bazaar.discovery.superpeer.qrp.tables import Change, OwnTable, RouteTable
from twisted_bazaar.discovery.superpeer.ultrapeer.counters import Counters
from twisted_bazaar.errors import LinkClosed, PeerError
from twisted_bazaar.interfaces import INode, Receivers
from twisted_bazaar.rate_limit import RateLimit, RateLimits
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Origin, Peer, Route
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Message

# The whole of the largest table comes in fewer parts.
_MOST_TABLES_WAITING: Final = 8
# A millisecond or two.
_SLOTS_A_STEP: Final = 2_000
_FULL_TOLD_A_MINUTE: Final = 5
# Of so many it is known that they were told of.
_FULL_TOLD_OF: Final = 64
MOST_BYTES: Final = 128 * MIB
_PART_BYTES: Final = 512


class NotRegistered(PeerError):
    """Somebody who is none of its leaves asks a super peer for something."""

    code: ClassVar[str] = "notregistered"


@define(eq=False)
class Registrant:
    """A leaf.

    @ivar route: the way to it.
    @ivar registration: the id of its C{register}.
    @ivar since: when it was taken.
    @ivar may_lead: whether it would be a super peer itself.
    @ivar udp_port: where it would take datagrams then.
    @ivar table: its words.
    @ivar tables_waiting: how many parts of its table are to be entered yet.
    @ivar table_bytes: what its words are charged, these parts too.
    """

    peer: Peer
    route: Route
    registration: int
    since: float
    may_lead: bool
    udp_port: int
    table: RouteTable
    tables_waiting: int = 0
    table_bytes: int = 0


class Leaves:
    """Takes leaves, and keeps what they say they have.

    @param node: the node that they are linked to.
    @param most: how many are taken.
    @param others: names other super peers.
    @param changed: called when somebody has come or gone, or was turned away.
    @param gone: called with each leaf that has gone.
    @param table_changed: called when there are other words in the table.
    @param verbose: whether the log tells of each leaf that comes or goes.
    @param budget: the memory for their lists and words.
    @ivar registrants: the leaves, by the ids of their nodes, the one that was taken first first.
    @ivar directory: their lists.
    @ivar table: the words of all.
    @ivar pending: what leaves ask for and has not begun.
    @ivar is_open: whether anybody is taken now.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        node: INode,
        most: int,
        table: OwnTable,
        counters: Counters,
        *,
        others: Callable[[], Sequence[Other]],
        changed: Callable[[], None],
        gone: Callable[[Peer], None],
        table_changed: Callable[[], None],
        verbose: bool = False,
        budget: ByteBudget | None = None,
    ) -> None:
        self._node = node
        self._budget = budget or ByteBudget(MOST_BYTES)
        self.most = most
        self.table = table
        self._counters = counters
        self._others = others
        self._changed = changed
        self._gone = gone
        self._verbose = verbose
        self._full_told = RateLimit.a_minute(_FULL_TOLD_A_MINUTE)
        self._full_told_of: RateLimits[str] = RateLimits.a_minute(_FULL_TOLD_OF, 1)
        self._table_changed = table_changed
        self.registrants: dict[int, Registrant] = {}
        self.directory: Directory = Directory(budget=self._budget)
        self._lists = MemoryDirectory(self.directory)
        self._turns = TimeSlicer(node.clock)
        self.pending: PendingRequests = PendingRequests(node.clock, lambda peer: node.is_behind(peer.id))
        self._from: Counter[str] = Counter()
        # Who has gone and whose words are in the table yet: whoever comes and goes is not to fill the memory.
        self._leaving: Counter[str] = Counter()
        self.is_open: bool = False
        self._told: Sequence[int] = ()
        self.receives: Receivers = {
            Register: self._register_received,
            Unregister: self._unregister_received,
            Update: self._update_received,
            Renew: self._renew_received,
            Table: self._table_received,
        }

    def __len__(self) -> int:
        return len(self.registrants)

    @property
    def room(self) -> int:
        """The number of leaves that are still accepted."""
        return max(0, self.most - len(self.registrants) - self._leaving.total()) if self.is_open else 0

    def start(self) -> None:
        """Accept leaves from now on."""
        self.is_open = True
        self._lists.start(self._node.clock)

    def stop(self) -> Deferred[None]:
        """Accept nothing any more, and end what is under way."""
        self.is_open = False
        self.pending.stop()
        self._turns.stop()
        return self._lists.stop()

    def get(self, origin: Origin) -> Registrant:
        """The leaf that a message came from.

        @raise NotRegistered: it came from somebody else.
        """
        registrant = self.registrants.get(origin.id)
        if registrant is None:
            raise NotRegistered("register first; only weak peers of this super peer are answered")
        return registrant

    def peer_left(self, peer: Peer) -> None:
        """Remove the leaf whose link is gone."""
        registrant = self.registrants.get(peer.id)
        if registrant is not None and registrant.peer == peer:
            self._let_go(registrant)

    def others_changed(self) -> None:
        """Tell all leaves of the other super peers, if those have changed."""
        others = self._others()
        ids = sorted(other.id for other in others)
        if ids != self._told:
            self._told = ids
            for registrant in self.registrants.values():
                self._tell(registrant.registration, registrant.route, others, is_taken=True)

    # Who is taken.

    def _register_received(self, message: Register, origin: Origin) -> None:
        peer = next((peer for peer in self._node.peers() if peer.id == origin.id), None)
        if peer is None:
            # It has left, and this came by a link that another has taken the place of.
            return
        before = self.registrants.get(peer.id)
        if before is not None:
            # It asks again; what it has listed stays.
            before.registration, before.may_lead, before.udp_port = message.id, message.may_lead, message.udp
        elif peer.key not in self._leaving and (self.room or self._make_room_for(peer)):
            self._take(peer, message, origin.route)
        else:
            self._turned_away(peer)
        others = self._others()
        self._tell(message.id, origin.route, others, is_taken=peer.id in self.registrants)
        self._changed()

    def _unregister_received(self, message: Unregister, origin: Origin) -> None:
        registrant = self.registrants.get(origin.id)
        if registrant is not None:
            self._let_go(registrant)

    def _take(self, peer: Peer, message: Register, route: Route) -> None:
        for other in list(self.registrants.values()):
            # It comes by another link, under another id; the old one is dead, or the key is lent.
            if other.peer.key == peer.key:
                self._let_go(other)
                # In case it lives, and somebody else has its key: it is to go where it is found.
                self._tell(other.registration, other.route, self._others(), is_taken=False)
        self.registrants[peer.id] = Registrant(
            peer,
            route,
            message.id,
            self._node.clock.seconds(),
            message.may_lead,
            message.udp,
            RouteTable(MOST_TABLE_BITS),
        )
        self._from[peer.network] += 1
        self._report("leaf_joined", "weak peer {id} joined from {address}", peer)

    def _make_room_for(self, peer: Peer) -> bool:
        """Turn away the youngest from the machine with the most, if that is more than one like this would have."""
        if not self._from:
            return False
        host, count = self._from.most_common(1)[0]
        if count <= self._from[peer.network] + 1:
            return False
        youngest = [each for each in self.registrants.values() if each.peer.network == host][-1]
        self._let_go(youngest)
        self._turned_away(youngest.peer)
        self._tell(youngest.registration, youngest.route, self._others(), is_taken=False)
        return True

    def _let_go(self, registrant: Registrant) -> None:
        """Remove a leaf."""
        peer = registrant.peer
        del self.registrants[peer.id]
        self._from[peer.network] -= 1
        if not self._from[peer.network]:
            del self._from[peer.network]
        self.pending.forget(peer)
        leaving = self._lists.peer_left(peer)
        leaving.addErrback(
            lambda failure: self.log.failure("the list of a weak peer that has left could not be removed", failure)
        )
        if registrant.table.version != NO_TABLE or registrant.table_bytes:
            # After what is still to be entered.
            self._leaving[peer.key] += 1
            self._enter_later(registrant, self._clear(registrant))
        self._gone(peer)
        self._report("leaf_left", "weak peer {id} left", peer)
        self._changed()

    def _turned_away(self, peer: Peer) -> None:
        self._counters.turned_away += 1
        now = self._node.clock.seconds()
        # Who has nowhere else to go asks again every second.
        if self._full_told_of.allow(peer.key, now) and self._full_told.allow(now):
            sentence = "there is room for {most} weak peers, and none for node {id}"
            self._node.report("full", sentence, id=peer.id, most=self.most)

    def _report(self, event: str, sentence: str, peer: Peer) -> None:
        # Strangers are not to fill the log.
        self._node.report(event, sentence if self._verbose else None, id=peer.id, address=str(peer.address))

    def _tell(self, registration: int, route: Route, others: Sequence[Other], *, is_taken: bool) -> None:
        self._node.send(Registered(id=registration, taken=is_taken, most=self.most, others=tuple(others)), route)

    # What they list.

    def _update_received(self, message: Update, origin: Origin) -> None:
        self._list(message, origin, lambda peer: self._lists.update(peer, message))

    def _renew_received(self, message: Renew, origin: Origin) -> None:
        self._list(message, origin, lambda peer: self._lists.renew(peer, message.mark, message.load))

    def _list(self, message: Update | Renew, origin: Origin, change: Callable[[Peer], Deferred[int]]) -> None:
        """Change a list, and answer when that is done.

        @raise Busy: too much is waiting.
        """
        peer = self.get(origin).peer

        def begin() -> Deferred[Any]:
            listing: Deferred[Any] = change(peer).addCallback(self._listed, message.id)
            listing.addErrback(_refusal, message)
            listing.addCallback(self._node.send, origin.route)
            return listing.addErrback(
                lambda failure: self.log.failure("the list of a weak peer could not be changed", failure)
            )

        self.pending.submit(peer, message, begin)

    def _listed(self, mark: int, message_id: int) -> Message:
        return Listed(id=message_id, mark=mark, most=self._lists.most_a_peer, lease=int(self._lists.lease_s))

    # The words in it.

    def _table_received(self, message: Table, origin: Origin) -> None:
        registrant = self.get(origin)
        if registrant.tables_waiting >= _MOST_TABLES_WAITING:
            raise Busy("so many parts of a table are waiting; send the whole when they are entered")
        if message.bits != MOST_TABLE_BITS:
            raise PeerError(f"table.bits: that of a weak peer has {MOST_TABLE_BITS}")
        size_bytes = _PART_BYTES + len(message.on) + len(message.off)
        if self._budget.room_for(registrant.peer.network, size_bytes) is not Room.YES:
            raise TooMany("there is no room for more words of your host")
        registrant.tables_waiting += 1
        self._charge(registrant, size_bytes)
        self._enter_later(registrant, self._enter(registrant, message, size_bytes))

    def _enter_later(self, registrant: Registrant, steps: Steps[None]) -> None:
        entering = self._turns.submit(registrant, steps, registrant.peer.network)
        entering.addErrback(lambda failure: failure.trap(LinkClosed))
        entering.addErrback(lambda failure: self.log.failure("the table of a weak peer could not be entered", failure))

    def _enter(self, registrant: Registrant, message: Table, part_bytes: int) -> Steps[None]:
        table = registrant.table
        registrant.tables_waiting -= 1
        before = table.size_bytes
        try:
            change = table.apply_part(message)
        except ValueError as error:
            self._node.send(Error.telling(PeerError(f"table.{error}"), message), registrant.route)
            return
        finally:
            self._charge(registrant, table.size_bytes - before - part_bytes)
        if self._budget.room_for(registrant.peer.network, 0) is not Room.YES:
            # Nothing is known of it from now on, as before it told anything.
            self._node.send(Error.telling(TooMany("there is no room for more words"), message), registrant.route)
            yield from self._merge(change or Change())
            yield from self._forget_words(registrant)
        elif change is not None:
            yield from self._merge(change)

    def _forget_words(self, registrant: Registrant) -> Steps[None]:
        before = registrant.table.size_bytes
        change = registrant.table.clear()
        self._charge(registrant, registrant.table.size_bytes - before)
        yield from self._merge(change)

    def _charge(self, registrant: Registrant, size_bytes: int) -> None:
        registrant.table_bytes += size_bytes
        self._budget.charge(registrant.peer.network, size_bytes)

    def _clear(self, registrant: Registrant) -> Steps[None]:
        yield from self._forget_words(registrant)
        key = registrant.peer.key
        self._leaving[key] -= 1
        if not self._leaving[key]:
            del self._leaving[key]

    def _merge(self, change: Change) -> Steps[None]:
        """Change the table that others are told, so much at a time that nobody has to wait."""
        self.table.merge(Change(full=change.full))
        for off in _portions(change.off):
            self.table.merge(Change(off=off))
            yield
        for on in _portions(change.on):
            self.table.merge(Change(on=on))
            yield
        self._table_changed()


def _portions(slots: Sequence[int]) -> Iterable[Sequence[int]]:
    return (slots[at : at + _SLOTS_A_STEP] for at in range(0, len(slots), _SLOTS_A_STEP))


def _refusal(failure: Failure, message: Message) -> Message:
    failure.trap(PeerError)
    assert isinstance(failure.value, PeerError), "it was just trapped"
    return Error.telling(failure.value, message)
