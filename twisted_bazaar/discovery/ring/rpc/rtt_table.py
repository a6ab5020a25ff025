"""Round-trip times and liveness of the addresses that one node exchanges messages with (RFC 6298). Sans-IO.

All of it stands in one record, which is looked up once a message: with many neighbours, or many nodes on one machine,
most of the time is spent on fetching from memory what has to be looked at.

Source of the waits: Jacobson and Karels, "Congestion avoidance and control" (SIGCOMM 1988), as in RFC 6298, with a
shorter least wait: who is asked does nothing but answer.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import Card, RingMessage
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.values.addresses import Address, network_of

FIRST_WAIT_S: Final = 0.5
LEAST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 2.0
# Who goes on answering is entered anew after so long.
_NOTED_AGAIN_S: Final = 60.0
_REMEMBERED: Final = 4_096
_REMEMBERED_S: Final = 600.0


@define
class Estimate:
    """An estimate of the round-trip time to an address.

    @ivar smoothed_s: on the whole.
    @ivar deviation_s: how far single ones are from that.
    """

    smoothed_s: float
    deviation_s: float

    def note(self, seconds: float) -> None:
        """Take one more into account."""
        more_s = seconds - self.smoothed_s
        self.smoothed_s += more_s / 8
        self.deviation_s += ((more_s if more_s > 0 else -more_s) - self.deviation_s) / 4

    def wait_s(self, trips: int) -> float:
        """How long to wait for something that takes so many round trips."""
        wait_s = trips * self.smoothed_s + 4 * self.deviation_s
        if wait_s <= LEAST_WAIT_S:
            return LEAST_WAIT_S
        return wait_s if wait_s < LONGEST_WAIT_S else LONGEST_WAIT_S


@define(eq=False)
class RttEntry:
    """Round-trip times and the timeout of one address.

    @ivar round_trip: what answers from there take; None while none has come.
    @ivar shown: who has answered from there last, which counts until C{shown_until}; None if nobody has.
    @ivar note_at: from when on it is worth entering anew that the same has answered.
    """

    address: Address
    round_trip: Estimate | None = None
    shown: Contact | None = None
    shown_until: float = 0.0
    note_at: float = 0.0
    # What its node said of itself when that was read last, to whom, who that is, and how it has to name its identifier.
    _card: Card | None = field(default=None, init=False)
    _own: Contact | None = field(default=None, init=False)
    _sender: Contact | None = field(default=None, init=False)
    _source: str = field(default="", init=False)

    def note_answer(self, contact: Contact, now: float, counts_s: float) -> None:
        """Somebody has answered from there, which counts for so long."""
        self.shown, self.shown_until, self.note_at = contact, now + counts_s, now + _NOTED_AGAIN_S

    def shown_at(self, now: float) -> Contact | None:
        """Who has answered from there lately."""
        return self.shown if now < self.shown_until else None

    def sender_of(self, message: RingMessage, cards: ContactEncoder) -> Contact | None:
        """The same as L{ContactEncoder.sender_of}, whose answer is kept: it is nearly always the same."""
        origin = message.origin
        if origin != self._card or cards.own is not self._own:
            self._card, self._own, self._sender = origin, cards.own, cards.sender(origin, self.address)
            self._source = "" if self._sender is None else cards.ring.to_wire(self._sender.id)
        return self._sender if message.source == self._source else None


class RttTable:
    """The addresses of one node."""

    __slots__ = ("_sites", "_usual")

    def __init__(self) -> None:
        # Charged to hosts; one machine may hold a whole classroom.
        self._sites: FairTable[Address, RttEntry] = FairTable(_REMEMBERED, _REMEMBERED_S, shares=2)
        self._usual: Estimate | None = None

    def known(self, address: Address, now: float) -> RttEntry | None:
        """What is known of an address."""
        return self._sites.get(address, now)

    def at(self, address: Address, now: float) -> RttEntry:
        """The same; where nothing is known, what is noted now is forgotten unless it is remembered."""
        return self._sites.get(address, now) or RttEntry(address)

    def remember(self, site: RttEntry, now: float) -> None:
        """Know of an address from now on, which has answered: who only speaks, or is spoken of, takes no room here."""
        self._sites.put(site.address, site, network_of(site.address.host), now)

    def has_shown(self, contact: Contact, now: float) -> bool:
        """Whether a node has answered from its address lately, and nobody else has since."""
        return self.at(contact.address, now).shown_at(now) == contact

    def forget_shown_by(self, contact: Contact, now: float) -> None:
        """That a node has answered counts no longer: when it answers again that is news."""
        site = self.known(contact.address, now)
        if site is not None and site.shown == contact:
            site.shown = None

    def forget_shown(self, now: float) -> None:
        """Begin anew: nobody counts as having answered."""
        for _, site in self._sites.items(now):
            site.shown = None

    def on_answer(self, site: RttEntry, seconds: float, now: float) -> None:
        """An answer has come after so long; one to a question that was asked only once."""
        if site.round_trip is None:
            # Several may have been asked before the first has answered.
            site = self.at(site.address, now)
            self.remember(site, now)
        if site.round_trip is None:
            site.round_trip = Estimate(seconds, seconds / 2)
        else:
            site.round_trip.note(seconds)
            if now < site.note_at:
                # What is usual somewhere else does not depend on how much this one is asked.
                return
        if self._usual is None:
            self._usual = Estimate(seconds, seconds / 2)
        else:
            self._usual.note(seconds)

    def wait_s(self, site: RttEntry) -> float:
        """How long to wait for an answer from somewhere before asking again."""
        if site.round_trip is not None:
            return site.round_trip.wait_s(1)
        # The first question to somebody may have to wait for a cookie.
        return FIRST_WAIT_S if self._usual is None else self._usual.wait_s(2)
