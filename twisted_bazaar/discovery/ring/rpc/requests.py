"""Requests over datagrams: retransmitted with RFC 6298 timeouts, and failed after some tries (the failure detector)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import ANYBODY, RingMessage, shortened
from twisted_bazaar.discovery.ring.rpc.rtt_table import RttEntry, RttTable
from twisted_bazaar.discovery.ring.rpc.timers import NEVER, Timers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.settings import RetryLimits
from twisted_bazaar.errors import LinkClosed, UsageError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import LARGEST_INTEGER

Answered = Callable[[RingMessage], object]
Unanswered = Callable[[Exception], object]
Make = Callable[..., RingMessage]
"""A class of messages, or a C{functools.partial} of one: what is its own is given, who sends it to whom is not."""

_TRIES: Final = RetryLimits().tries
# Each wait is longer than the last by this: if all are slow, less is asked.
_LONGER: Final = 1.2
# A timer that rings so late says that this node stood still: who was asked may have answered meanwhile.
_STOOD_STILL_S: Final = 0.25
_STAMP_BITS: Final = 52


class Witness(Protocol):
    """Is told by the failure detector which nodes answer and which do not."""

    def on_answer(self, contact: Contact, site: RttEntry | None = None) -> object:
        """A node has answered.

        @param site: what was known of its address when it was asked, where that is at hand; it may have been let go of
            since.
        """

    def on_failure(self, contact: Contact) -> object:
        """A node has not answered, or another is where it was."""


class _Question(msgspec.Struct, eq=False):
    """A request without an answer yet.

    @ivar to: who is asked; None for whoever is at the address.
    @ivar came: called with the answer.
    @ivar failed: called with why there is none.
    @ivar witness: told before C{came} or C{failed} is called; None if nobody wants to know.
    @ivar site: what is known of the address.
    @ivar left: how often it may still be asked.
    @ivar forgiven: how often it may be asked once more since this node itself stood still.
    @ivar wait_s: how long to wait this time.
    @ivar asked_at: when it was asked last.
    @ivar due: when to ask again, or to give up.
    @ivar is_timed: whether its answer says how long answers from there take: it waits for no cookie.
    @ivar is_first: whether it was asked only once.
    @ivar late: called when there is no answer to the first time.
    """

    message: RingMessage
    site: RttEntry
    to: Contact | None
    came: Answered
    failed: Unanswered
    witness: Witness | None
    left: int
    forgiven: int
    wait_s: float
    fixed_s: float | None
    late: Callable[[], None] | None
    is_timed: bool
    asked_at: float = 0.0
    is_first: bool = True
    due: float = NEVER


class Requests:
    """Sends the requests, answers and notices of one node.

    @ivar cards: how this node writes itself and others; may be replaced when it knows more about itself.
    @ivar sites: what it knows of the addresses of others.
    """

    __slots__ = ("_deadlines", "_is_stopped", "_node", "_questions", "_seconds", "_send", "_stamp", "cards", "sites")

    def __init__(self, node: INode, cards: ContactEncoder) -> None:
        self.cards: ContactEncoder = cards
        self.sites: RttTable = RttTable()
        self._node = node
        self._seconds: Callable[[], float] = node.clock.seconds
        self._send = node.send_datagram
        self._questions: dict[int, _Question] = {}
        self._deadlines = Timers(node.clock, self._questions.values(), self._time_over)
        self._stamp = node.rng.getrandbits(_STAMP_BITS)
        self._is_stopped = False

    @property
    def clock(self) -> IReactorTime:
        """The source of time and timers."""
        return self._node.clock

    def ask(
        self,
        to: Contact,
        make: Make,
        retries: RetryLimits | None = None,
        late: Callable[[], None] | None = None,
        witness: Witness | None = None,
    ) -> Deferred[RingMessage]:
        """Ask a node.

        @param late: called if it takes longer than usual.
        @param witness: told whether it has answered.
        @return: fires with the answer.
        @raise LinkClosed: there is none, or somebody else is there.
        @raise UsageError: the question does not fit into a datagram.
        """
        return self._deferred(self._make(make, self.cards.ring.to_wire(to.id)), to.address, to, retries, late, witness)

    def question(
        self,
        to: Contact,
        make: Make,
        came: Answered,
        failed: Unanswered,
        late: Callable[[], None] | None = None,
        retries: RetryLimits | None = None,
        witness: Witness | None = None,
    ) -> None:
        """The same without a Deferred, which would take as long as all the rest.

        @param came: called with the answer.
        @param failed: called with why there is none, perhaps at once: L{LinkClosed}, or L{UsageError} if the question
            does not fit into a datagram.
        @param witness: told first whether it has answered.
        """
        self._ask(
            self._make(make, self.cards.ring.to_wire(to.id)), to.address, to, retries, came, failed, late, witness
        )

    def ask_at(self, address: Address, make: Make) -> Deferred[RingMessage]:
        """Ask whoever is at an address, of whatever ring.

        @raise LinkClosed: there is no answer.
        """
        return self._deferred(self._make(make, ANYBODY), address, None, None, None, None)

    def tell(self, to: Contact, make: Make) -> None:
        """Tell a node something that needs no answer, and may get lost.

        @raise UsageError: it does not fit into a datagram.
        """
        self.send(self._make(make, self.cards.ring.to_wire(to.id)), to.address, to.key)

    def answer(self, question: RingMessage, address: Address, key: str | None, make: Make) -> None:
        """Answer a question.

        @param key: of who has asked; None where nobody proves any.
        """
        self.send(self._make(make, question.source, question.stamp), address, key)

    def send(self, message: RingMessage, address: Address, key: str | None = None) -> None:
        """Send a message, with less in it if it does not fit.

        @param key: of whom it is for; None for whoever is there.
        @raise UsageError: it does not fit even so.
        """
        if self._is_stopped:
            return
        try:
            self._send(message, (address,), (key,))
        except UsageError:
            shorter = shortened(message)
            if shorter is None:
                raise
            self.send(shorter, address, key)

    def on_answer(self, message: RingMessage, address: Address) -> None:
        """An answer has come, perhaps."""
        question = self._questions.get(message.stamp)
        if question is None:
            return
        site, to = question.site, question.to
        if site.address != address:
            return
        self._end(question)
        if to is not None and site.sender_of(message, self.cards) != to:
            self._fail(question, f"somebody else is at {address}")
            return
        if question.is_first and question.is_timed:
            now = self._seconds()
            self.sites.on_answer(site, now - question.asked_at, now)
        witness = question.witness
        try:
            if witness is not None and to is not None:
                witness.on_answer(to, site)
        finally:
            question.came(message)

    def stop(self) -> None:
        """Ask no more, and wait for no answer."""
        self._is_stopped = True
        self._deadlines.stop()
        for question in list(self._questions.values()):
            self._end(question)
            self._fail(question, "this node is stopping")

    # Inside.

    def _make(self, make: Make, destination: str, stamp: int | None = None) -> RingMessage:
        cards = self.cards
        if stamp is None:
            stamp = self._stamp = (self._stamp + 1) % LARGEST_INTEGER
        return make(source=cards.own_text, destination=destination, stamp=stamp, origin=cards.own_card)

    def _deferred(
        self,
        message: RingMessage,
        address: Address,
        to: Contact | None,
        retries: RetryLimits | None,
        late: Callable[[], None] | None,
        witness: Witness | None,
    ) -> Deferred[RingMessage]:
        answer: Deferred[RingMessage] = Deferred(lambda _: self._give_up(message.stamp))

        def end(fire: Callable[[Any], None], result: RingMessage | Exception) -> None:
            # The witness may have had it cancelled.
            if not answer.called:
                fire(result)

        came, failed = partial(end, answer.callback), partial(end, answer.errback)
        self._ask(message, address, to, retries, came, failed, late, witness)
        return answer

    def _ask(
        self,
        message: RingMessage,
        address: Address,
        to: Contact | None,
        retries: RetryLimits | None,
        came: Answered,
        failed: Unanswered,
        late: Callable[[], None] | None,
        witness: Witness | None,
    ) -> None:
        if self._is_stopped:
            failed(LinkClosed("this node is stopping"))
            return
        tries, fixed_s = (_TRIES, None) if retries is None else (retries.tries, retries.wait_s)
        now = self._seconds()
        site = self.sites.at(address, now)
        wait_s = fixed_s or self.sites.wait_s(site)
        # Of whom nobody asks again, as of a predecessor, the first answer would be all that is known for ever.
        is_timed = site.round_trip is not None or self._node.has_validated(address)
        question = _Question(message, site, to, came, failed, witness, tries, tries, wait_s, fixed_s, late, is_timed)
        self._questions[message.stamp] = question
        try:
            self._say(question, now)
        except UsageError as error:
            self._end(question)
            failed(error)

    def _fail(self, question: _Question, why: str) -> None:
        try:
            if question.to is not None and question.witness is not None:
                question.witness.on_failure(question.to)
        finally:
            question.failed(LinkClosed(why))

    def _give_up(self, stamp: int) -> None:
        question = self._questions.get(stamp)
        if question is not None:
            self._end(question)

    def _say(self, question: _Question, now: float) -> None:
        question.left -= 1
        question.asked_at = now
        due = question.due = now + question.wait_s
        self._deadlines.wake_by(due)
        to = question.to
        self.send(question.message, question.site.address, None if to is None else to.key)

    def _time_over(self, question: _Question) -> None:
        now = self._seconds()
        has_stood_still = now > question.asked_at + question.wait_s + _STOOD_STILL_S
        if has_stood_still and question.forgiven > 0:
            # Not for ever: a node that is always behind would never give anybody up.
            question.forgiven -= 1
            question.left += 1
        elif question.fixed_s is None:
            question.wait_s *= _LONGER
        if question.is_first and question.late is not None:
            question.late()
        question.is_first = False
        if question.message.stamp not in self._questions:
            return
        if question.left > 0:
            self._say(question, now)
        else:
            self._end(question)
            self._fail(question, f"no answer from {question.site.address}")

    def _end(self, question: _Question) -> None:
        self._questions.pop(question.message.stamp, None)
        question.due = NEVER


class WitnessedRequests:
    """Requests whose outcome a witness is told.

    @param requests: what sends them.
    """

    __slots__ = ("_requests", "_witness")

    def __init__(self, requests: Requests, witness: Witness) -> None:
        self._requests = requests
        self._witness = witness

    def ask(self, to: Contact, make: Make, late: Callable[[], None] | None = None) -> Deferred[RingMessage]:
        """Ask a node.

        @param make: the class of the message, or a C{functools.partial} with what is its own.
        @param late: called if it takes longer than usual.
        @return: fires with the answer.
        @raise LinkClosed: there is none, or somebody else is there.
        @raise UsageError: the question does not fit into a datagram.
        """
        return self._requests.ask(to, make, late=late, witness=self._witness)

    def question(
        self, to: Contact, make: Make, came: Answered, failed: Unanswered, late: Callable[[], None] | None = None
    ) -> None:
        """The same without a Deferred, for what is asked all the time.

        @param came: called with the answer.
        @param failed: called with why there is none.
        """
        self._requests.question(to, make, came, failed, late, witness=self._witness)
