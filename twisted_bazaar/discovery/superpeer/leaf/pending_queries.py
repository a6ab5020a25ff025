"""Pending queries: what a leaf has asked its super peers and not heard the end of.

One super peer is asked. If it dies, or refuses, before it has said that it is over, another one is asked the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred, fail

from twisted_bazaar.discovery.superpeer.leaf.registration import Registration
from twisted_bazaar.discovery.superpeer.messages import Found, Query, QueryEnd, QueryHit
from twisted_bazaar.errors import LinkClosed, PeerError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Origin

# A super peer searches for ten at most.
SEARCH_S: Final = 12.0
WAIT_S: Final = 5.0
# However much a super peer answers, of one question no more is listened to.
MOST_HITS: Final = 5_000
_NOBODY: Final = (
    "no super peer accepts this node; see that one runs, and that --super is its endpoint, such as tcp:192.0.2.7:9200"
)


@define(eq=False)
class _PendingQuery:
    """Something that was asked.

    @ivar what: the keys of the query.
    @ivar asked: the node id of the super peer that is asked now; None while there is none.
    @ivar refused_by: those that will not answer it.
    @ivar hits: how many have come from who is asked now.
    @ivar is_answered: whether any have come.
    @ivar timer: ends it.
    @ivar patience: ends it while nobody is asked.
    """

    what: Mapping[str, Any]
    found: Callable[[Sequence[Found]], None]
    answer: Deferred[QueryEnd | None]
    timer: Timer
    patience: Timer
    id: str = ""
    asked: int | None = None
    refused_by: dict[int, PeerError] = field(factory=dict)
    hits: int = 0
    is_answered: bool = False


class PendingQueries:
    """All questions of one node that are under way.

    @param registrations: by node id, the super peers that can be asked.
    """

    def __init__(self, node: INode, registrations: Mapping[int, Registration]) -> None:
        self._node = node
        self._registrations = registrations
        self._pending: list[_PendingQuery] = []
        self._is_stopped = False

    def __len__(self) -> int:
        return len(self._pending)

    def query(self, what: Mapping[str, Any], found: Callable[[Sequence[Found]], None]) -> Deferred[QueryEnd | None]:
        """Ask super peers a question.

        @param what: keys of a L{Query}, without those that say how far it has gone.
        @param found: called with hits, each time some come.
        @return: fires when no more come: with what was said then, or with None if the time was up.
        @raise LinkClosed: there is nobody to ask, or who was asked said nothing at all.
        @raise PeerError: everybody refuses.
        """
        if self._is_stopped:
            return fail(LinkClosed("this node is stopping"))
        clock = self._node.clock
        question = _PendingQuery(
            what,
            found,
            Deferred(lambda answer: self._forget(question)),
            timer=Timer(clock, lambda: self._time_is_up(question)),
            patience=Timer(clock, lambda: self._nobody_came(question)),
        )
        self._pending.append(question)
        self._ask(question)
        return question.answer

    def super_peers_changed(self) -> None:
        """Super peers have come or gone: ask others what was asked of those that are gone."""
        for question in list(self._pending):
            # What becomes of one may have ended another.
            if question in self._pending and question.asked not in self._registrations:
                self._ask(question)

    def hit_received(self, hit: QueryHit, origin: Origin) -> None:
        """Take some hits."""
        question = self._of(hit.id, origin)
        if question is None or question.hits >= MOST_HITS:
            return
        placed = [self._registrations[origin.id].with_host(found) for found in hit.found]
        fitting = [found for found in placed if found is not None]
        question.hits += sum(max(1, len(found.files)) for found in fitting)
        if fitting:
            question.is_answered = True
            question.found(fitting)

    def end_received(self, end: QueryEnd, origin: Origin) -> None:
        """Take the end of a question, or a refusal to answer it."""
        question = self._of(end.id, origin)
        registration = self._registrations.get(origin.id)
        refusal = None
        if registration is not None:
            refusal, registration.refusal = registration.refusal, None
        if question is None:
            return
        if refusal is None or question.hits:
            self._end(question, end)
        else:
            question.refused_by[origin.id] = refusal
            self._ask(question)

    def stop(self) -> None:
        """End all questions, and ask nothing any more."""
        self._is_stopped = True
        for question in list(self._pending):
            self._fail(question, LinkClosed("this node is stopping"))

    # Inside.

    def _ask(self, question: _PendingQuery) -> None:
        """Ask one of those that can be asked; if there is none, wait for one."""
        question.asked, question.hits = None, 0
        others = [each for node_id, each in self._registrations.items() if node_id not in question.refused_by]
        self._node.rng.shuffle(others)
        for registration in others:
            question.id = f"{self._node.rng.getrandbits(128):032x}"
            if registration.send(Query(id=question.id, **question.what)):
                question.asked = registration.peer.id
                question.patience.cancel()
                if not question.timer.is_set:
                    question.timer.set(SEARCH_S)
                return
        if question.refused_by and not others:
            self._fail(question, next(reversed(question.refused_by.values())))
        elif not question.patience.is_set:
            question.patience.set(WAIT_S)

    def _of(self, query_id: str, origin: Origin) -> _PendingQuery | None:
        """The question with an id, if it was asked of the super peer that answers."""
        for question in self._pending:
            if question.id == query_id and question.asked == origin.id and origin.id in self._registrations:
                return question
        return None

    def _time_is_up(self, question: _PendingQuery) -> None:
        if question.is_answered:
            self._end(question, None)
        else:
            self._fail(question, LinkClosed(f"the super peers have not answered within {SEARCH_S:g} s; try again"))

    def _nobody_came(self, question: _PendingQuery) -> None:
        if question.is_answered:
            self._end(question, None)
        else:
            self._fail(question, LinkClosed(_NOBODY))

    def _end(self, question: _PendingQuery, end: QueryEnd | None) -> None:
        self._forget(question)
        question.answer.callback(end)

    def _fail(self, question: _PendingQuery, fault: PeerError) -> None:
        self._forget(question)
        question.answer.errback(fault)

    def _forget(self, question: _PendingQuery) -> None:
        """Remove a question that is over."""
        if question in self._pending:
            self._pending.remove(question)
        question.timer.cancel()
        question.patience.cancel()
