"""The neighbours of a super peer: the super peers that it asks and is asked by, with their route tables.

A neighbour is whoever greets this super peer by datagram every few seconds, and is greeted in turn. Some were given
by hand, some were found through the tracker, and some came by themselves. Of the last there is room for so many, and
when that is gone, whoever comes from where most come from has to go: so nobody pushes out those that were chosen, and
no host all others.

Where datagrams are sealed each key is proven; in the open nobody proves that a key is its own. One super peer counts
once, however many addresses it has, and who was chosen counts before who came: a stranger under the key of another
keeps out only those that nobody has chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median_low
from typing import Final

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.byte_budget import MIB
from twisted_bazaar.discovery.superpeer.messages import MOST_OTHERS, NO_TABLE, Other, SuperHello, Table
from twisted_bazaar.discovery.superpeer.neighbours.contacts import NEVER, Contacts
from twisted_bazaar.discovery.superpeer.neighbours.discovery import NeighbourDiscovery
from twisted_bazaar.discovery.superpeer.neighbours.neighbour import Entry, Neighbour, Standing
from twisted_bazaar.discovery.superpeer.qrp.sync import TableSync, parts_limit
from twisted_bazaar.discovery.superpeer.qrp.tables import OwnTable
from twisted_bazaar.interfaces import INode
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, network_of
from twisted_bazaar.wire.message import TRACKER_ID, Message

HELLO_S: Final = 2.5
SILENCE_S: Final = 7.5
DEGREE: Final = 6
LEAST_COMING: Final = 64
# Greetings come a little early, so that three of them fit into the longest silence.
_EARLIEST: Final = 0.8
# Those who are to be greeted soon are greeted with those whose time has come, and all again at one time.
_ROUND_S: Final = 0.2
# Greetings out of turn, and news of neighbours, at most so often.
_BETWEEN_S: Final = 1.0
# What is due in one moment is done in one go.
_MOMENT_S: Final = 0.01
_TABLE_NEWS_S: Final = 0.25
_GONE: Final = 256
# Tables of which not all parts have come, of all neighbours together. One can make it 700 KB.
MOST_PENDING_BYTES: Final = 8 * MIB
_REPORTS_A_MINUTE: Final = 30


class Neighbours:
    """All neighbours of one super peer.

    @param table: the words of its leaves; say C{table_changed} when it has changed.
    @param own: tells what there is to say of this super peer.
    @param changed: called when neighbours have come or gone, or have room or none as they had not before; soon, and
        at most once a second.
    @param hello_s: how often each is greeted.
    @param silence_s: after how much silence it is taken for dead.
    @ivar degree: how many it wants.
    @ivar linked: those there are now, by where they take datagrams.
    @ivar tells_tables: whether they are told the table.
    @ivar rubbish: how many parts of tables were not taken: they were none, or too many.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        node: INode,
        table: OwnTable,
        own: Callable[[], Standing],
        changed: Callable[[], None],
        *,
        degree: int = DEGREE,
        hello_s: float = HELLO_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.degree = degree
        self.linked: dict[Address, Neighbour] = {}
        self.tells_tables = True
        self.rubbish: int = 0
        self._node = node
        self._table = table
        self._own = own
        self._changed = changed
        self._hello_s = hello_s
        self._silence_s = silence_s
        self._by_key: dict[str, Neighbour] = {}
        self._contacts = Contacts(node.rng)
        # Who has said that it goes, or was sent away, is not taken back in the same moment.
        self._gone: FairTable[Address, bool] = FairTable(_GONE, hello_s)
        self._seeking = NeighbourDiscovery(
            node,
            self._contacts,
            have=lambda: [neighbour.id for neighbour in self.linked.values()],
            is_linked=self.is_neighbour,
            changed=lambda: self._wake_by(min(self._seeking.due, self._contacts.due)),
        )
        self._changed_at = float("-inf")
        self._changed_due = NEVER
        self._has_table_news = False
        self._has_met_itself = False
        self._is_running = False
        self._waking = Timer(node.clock, self._work)
        self._reports = RateLimit.a_minute(_REPORTS_A_MINUTE)
        self._pending_bytes = 0

    def start(self, given: Sequence[Address] = ()) -> None:
        """Begin to look for neighbours.

        @param given: super peers that are to be neighbours whenever they are there.
        """
        now = self._now()
        self._is_running = True
        for address in given:
            self._contacts.add_configured(address, now)
        self._seeking.ask_soon(now)
        self._wake_by(now)

    def stop(self) -> None:
        """Tell all neighbours that this super peer goes, and end."""
        if not self._is_running:
            return
        for neighbour in self.linked.values():
            self._greet(neighbour.address, leaving=True)
        self._is_running = False
        self.linked.clear()
        self._by_key.clear()
        self._pending_bytes = 0
        self._waking.cancel()

    # What comes from others.

    def hello_received(self, hello: SuperHello, address: Address, key: str | None = None) -> None:
        """Take a greeting, or a goodbye, of a super peer."""
        if not self._is_running:
            return
        now = self._now()
        neighbour = self.linked.get(address)
        if hello.leaving:
            if neighbour is not None and neighbour.key == hello.key:
                self._gone.put(address, True, network_of(address.host), now)
                self._unlink(neighbour, now, "left")
            return
        if neighbour is not None and neighbour.key != hello.key:
            if now - neighbour.linked_at < self._silence_s:
                # Whoever changes keys all the time would keep everybody busy.
                return
            self._unlink(neighbour, now, "another is there")
            neighbour = None
        if neighbour is None:
            neighbour = self._admit(hello, address, now)
            if neighbour is None:
                return
        elif bool(neighbour.room) != bool(hello.room) or neighbour.hello.port != hello.port:
            self._note_change(now)
        neighbour.hello = hello
        neighbour.heard_at = now
        neighbour.telling.version_received(hello.have, now)
        if hello.version == NO_TABLE and neighbour.route.version != NO_TABLE:
            # It tells no more what it has, and what it has told will soon be wrong.
            neighbour.route.clear()
            self._count_pending(neighbour)
        if self.tells_tables:
            self._wake_by(neighbour.telling.due)

    def neighbour_at(self, address: Address, key: str | None) -> Neighbour | None:
        """The neighbour that something came from.

        @param key: what its sender has proven; None where nobody proves any.
        """
        neighbour = self.linked.get(address)
        return neighbour if key is None or neighbour is None or neighbour.key == key else None

    def send(self, message: Message, addresses: Sequence[Address]) -> None:
        """Send a message to some addresses; to those of neighbours so that nobody else reads it.

        @raise UsageError: it does not fit into a datagram.
        """
        linked = [self.linked.get(address) for address in addresses]
        self._node.send_datagram(message, addresses, [None if each is None else each.key for each in linked])

    def table_received(self, table: Table, address: Address, key: str | None = None) -> None:
        """Take a part of the table of a neighbour."""
        neighbour = self.neighbour_at(address, key)
        if neighbour is None:
            return
        now = self._now()
        neighbour.heard_at = now
        if not neighbour.parts_limit.allow(now):
            self.rubbish += 1
            return
        before = neighbour.route.version
        try:
            neighbour.route.apply_part(table)
        except ValueError:
            self.rubbish += 1
        self._count_pending(neighbour)
        if neighbour.route.version != before:
            # It tells nothing newer until it knows that this has come.
            neighbour.hello_due = min(neighbour.hello_due, max(now, neighbour.greeted_at + _BETWEEN_S))
            self._wake_by(neighbour.hello_due)

    def note_alive(self, address: Address) -> None:
        """Note that the neighbour at an address lives: something else came from there."""
        neighbour = self.linked.get(address)
        if neighbour is not None:
            neighbour.heard_at = self._now()

    # What this super peer has to say, and asks.

    def table_changed(self) -> None:
        """Tell the neighbours soon that the table has changed, all changes of a moment at once."""
        if not self._has_table_news and self.tells_tables:
            self._has_table_news = True
            self._wake_by(self._now() + _TABLE_NEWS_S)

    def unanswered(self) -> Sequence[Address]:
        """The addresses that the user gave and that have not answered a greeting."""
        return self._contacts.unanswered()

    def is_neighbour(self, address: Address) -> bool:
        """Whether there is a neighbour at an address."""
        return address in self.linked

    def others(self) -> list[Other]:
        """The super peers for leaves to go to: with room first, of these the chosen ones, then those with the most.

        So whoever comes with many addresses and much room does not keep the others from being named.
        """
        reachable = [(neighbour, link) for neighbour in self.linked.values() if (link := neighbour.link) is not None]
        reachable.sort(key=lambda each: (not each[0].room, each[0].entry is Entry.CAME, -each[0].room))
        return [
            Other(id=neighbour.id, host=link.host, port=link.port, room=neighbour.room)
            for neighbour, link in reachable[:MOST_OTHERS]
        ]

    @property
    def usual_degree(self) -> int:
        """The median of the degrees of all neighbours; 0 if there is none.

        From this follows how far searches go: one who lies has no say in it.
        """
        return median_low(neighbour.degree for neighbour in self.linked.values()) if self.linked else 0

    def _count_pending(self, neighbour: Neighbour) -> None:
        """Count what a neighbour has not told all of; if there is too much of that, whose host has most begins anew."""
        size_bytes = neighbour.route.pending_bytes
        self._pending_bytes += size_bytes - neighbour.pending_bytes
        neighbour.pending_bytes = size_bytes
        while self._pending_bytes > MOST_PENDING_BYTES:
            by_host = Counter[str]()
            for each in self.linked.values():
                by_host[network_of(each.address.host)] += each.pending_bytes
            busiest = max(by_host, key=by_host.__getitem__)
            of_host = (each for each in self.linked.values() if network_of(each.address.host) == busiest)
            loser = max(of_host, key=lambda each: each.pending_bytes)
            loser.route.forget_pending()
            self._pending_bytes -= loser.pending_bytes
            loser.pending_bytes = 0

    # Who becomes a neighbour, and who is one no more.

    def _admit(self, hello: SuperHello, address: Address, now: float) -> Neighbour | None:
        """Take somebody as a neighbour, if it can be one."""
        if hello.key == self._node.key.public:
            self._meet_itself(address, now)
            return None
        if hello.id == TRACKER_ID or self._gone.get(address, now) is not None:
            return None
        entry = self._contacts.entry_of(address)
        same = self._by_key.get(hello.key)
        if same is not None and same.entry >= entry:
            self._contacts.is_also(address, hello.key)
            self._contacts.give_up(address, now)
            return None
        if entry is Entry.CAME and not self._make_room(address.host, now):
            return None
        if same is not None:
            # Nothing is said to it: if it is the same in truth, it would take this for a farewell.
            self._unlink(same, now, "known elsewhere")
        return self._link(hello, address, entry, now)

    def _meet_itself(self, address: Address, now: float) -> None:
        self._contacts.is_also(address, self._node.key.public)
        self._contacts.give_up(address, now)
        if not self._has_met_itself and self._contacts.entry_of(address) is Entry.GIVEN:
            self._has_met_itself = True
            self.log.warn("the neighbour {address} is this super peer itself, or has its key", address=str(address))

    def _make_room(self, host: str, now: float) -> bool:
        """Have room for one more who comes from a host; returns whether there is any."""
        came = [neighbour for neighbour in self.linked.values() if neighbour.entry is Entry.CAME]
        if len(came) < max(LEAST_COMING, 2 * self.degree):
            return True
        counts = Counter(network_of(neighbour.address.host) for neighbour in came)
        busiest, count = counts.most_common(1)[0]
        if count <= counts[network_of(host)] + 1:
            return False
        # The latest of those: who has been here for long has proven to be of use.
        loser = [neighbour for neighbour in came if network_of(neighbour.address.host) == busiest][-1]
        self._greet(loser.address, leaving=True)
        self._gone.put(loser.address, True, network_of(loser.address.host), now)
        self._unlink(loser, now, "too many from there")
        return True

    def _link(self, hello: SuperHello, address: Address, entry: Entry, now: float) -> Neighbour:
        greeted_at = self._contacts.linked(address)
        if entry is Entry.FOUND:
            self._seeking.ask_next(now)
        neighbour = Neighbour(
            address,
            entry,
            hello,
            telling=TableSync(self._table, now),
            parts_limit=parts_limit(),
            linked_at=now,
            heard_at=now,
            greeted_at=greeted_at,
            hello_due=max(now, greeted_at + _BETWEEN_S),
        )
        self.linked[address] = self._by_key[hello.key] = neighbour
        self._wake_by(min(neighbour.hello_due, self._seeking.due))
        self._note_change(now)
        self._report("neighbour", "super peer at {host} port {port} is a neighbour", neighbour, now)
        return neighbour

    def _unlink(self, neighbour: Neighbour, now: float, why: str) -> None:
        del self.linked[neighbour.address]
        del self._by_key[neighbour.key]
        self._pending_bytes -= neighbour.pending_bytes
        self._contacts.neighbour_lost(neighbour.address, now, may_return=why == "silent")
        self._seeking.ask_soon(now)
        self._wake_by(min(self._seeking.due, self._contacts.due))
        self._note_change(now)
        self._report(
            "neighbour-lost",
            "super peer at {host} port {port} is no neighbour any more: {why}",
            neighbour,
            now,
            why=why,
        )

    def _note_change(self, now: float) -> None:
        self._changed_due = min(self._changed_due, max(now, self._changed_at + _BETWEEN_S))
        self._wake_by(self._changed_due)

    def _report(self, event: str, sentence: str, neighbour: Neighbour, now: float, **details: str) -> None:
        """Report what happens to neighbours that were chosen; of those that come and go some."""
        if neighbour.entry is Entry.CAME and not self._reports.allow(now):
            return
        address = neighbour.address
        self._node.report(event, sentence, id=neighbour.id, host=address.host, port=address.port, **details)

    # What is done when its time has come.

    def _work(self) -> None:
        now = self._now()
        try:
            self._has_table_news = False
            again_at = now + self._hello_s * self._node.rng.uniform(_EARLIEST, 1.0)
            for neighbour in list(self.linked.values()):
                if now >= neighbour.heard_at + self._silence_s:
                    self._unlink(neighbour, now, "silent")
                else:
                    self._tend(neighbour, now, again_at)
            tried = self._contacts.tried_count
            for contact in self._contacts.to_greet(now):
                # It may be a neighbour by another address, which is not to believe that its table was lost.
                same = self._by_key.get(contact.key or "")
                self._greet(contact.address, have=NO_TABLE if same is None else same.route.version)
            if self._contacts.tried_count < tried:
                self._seeking.ask_later(now)
            self._seeking.ask_if_due(self._wanted(), now)
            if now >= self._changed_due:
                self._changed_at, self._changed_due = now, NEVER
                self._changed()
        finally:
            self._wake_by(self._next_due())

    def _tend(self, neighbour: Neighbour, now: float, again_at: float) -> None:
        """Tell a neighbour what it is to know now; greet it again later on."""
        if now + _ROUND_S >= neighbour.hello_due:
            neighbour.greeted_at, neighbour.hello_due = now, again_at
            self._greet(neighbour.address, have=neighbour.route.version)
        if self.tells_tables:
            for part in neighbour.telling.next_parts(now):
                self.send(part, (neighbour.address,))

    def _next_due(self) -> float:
        due = min(self._contacts.due, self._changed_due, self._seeking.due)
        for neighbour in self.linked.values():
            due = min(due, neighbour.hello_due, neighbour.heard_at + self._silence_s)
            if self.tells_tables:
                due = min(due, neighbour.telling.due)
        return due

    def _wake_by(self, at: float) -> None:
        """Do what is due at an instant, or earlier."""
        if not self._is_running or at == NEVER:
            return
        self._waking.set_earlier(max(_MOMENT_S, at - self._now()))

    def _greet(self, address: Address, *, have: int = NO_TABLE, leaving: bool = False) -> None:
        if self._node.id <= TRACKER_ID:
            # Nobody could greet it back.
            return
        standing = self._own()
        hello = SuperHello(
            id=self._node.id,
            key=self._node.key.public,
            port=standing.port,
            host=standing.host,
            leaves=standing.leaves,
            room=standing.room,
            neighbours=len(self.linked),
            version=self._table.version if self.tells_tables else NO_TABLE,
            have=have,
            leaving=leaving,
        )
        self.send(hello, (address,))

    def _wanted(self) -> int:
        """The number of neighbours that are still to be found."""
        chosen = sum(neighbour.entry is not Entry.CAME for neighbour in self.linked.values())
        # However many come, half are chosen: else those who come first would be all that this super peer knows.
        return max(self.degree - len(self.linked), (self.degree + 1) // 2 - chosen)

    def _now(self) -> float:
        return float(self._node.clock.seconds())
