"""The registrations of a leaf with two super peers: finds them, registers, and replaces those that go."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.discovery.superpeer.leaf.candidates import LONGEST_WAIT_ALONE_S, Candidate, Candidates
from twisted_bazaar.discovery.superpeer.leaf.registration import Registration, place_told_by
from twisted_bazaar.discovery.superpeer.messages import Register, Registered, Unregister
from twisted_bazaar.errors import LinkClosed, NoSlots, PeerError, Unreachable
from twisted_bazaar.interfaces import INode
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, Origin, Peer, Whereabouts, text_of_endpoint
from twisted_bazaar.values.joining import JoinObserver, NotJoined
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import NO_ID

KEPT: Final = 2
SUPER_PEER: Final = "super_peer"
MEET_S: Final = 4.0
REGISTER_S: Final = 3.0
# Who does not answer at once may be gone: another one is tried meanwhile.
TRY_ANOTHER_S: Final = 0.5
MOST_TRIES: Final = 4
# Nobody has to be told of what is over in a moment.
ALONE_S: Final = 2.0
_TRACKER_AGAIN_S: Final = 1.0
_TRACKER_LONGEST_S: Final = 30.0
_LOOK_AT_LEAST_EVERY_S: Final = 30.0
_LOOK_AT_MOST_EVERY_S: Final = 0.05


class NotInTime(LinkClosed):
    """Nobody has answered for so long that it is not waited for."""


class Registrations:
    """The super peers that have taken one node.

    @param given: where the user says that there are some.
    @param make: makes what tells a super peer of this node, from when it is begun.
    @param changed: called when one has come or gone.
    @param may_lead: whether this node would be a super peer itself.
    @param observer: told which super peers take this node.
    @ivar taken: by node id, those that have taken it.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        node: INode,
        given: Sequence[Hashable],
        make: Callable[[Peer], Registration],
        changed: Callable[[], None],
        *,
        may_lead: bool,
        observer: JoinObserver,
    ) -> None:
        self._node = node
        self._make = make
        self._changed = changed
        self._may_lead = may_lead
        self._observer = observer
        self._given = list(given)
        # Of those, why each was of no use when it was tried last.
        self._refusals: dict[int, PeerError] = {}
        self.taken: dict[int, Registration] = {}
        self._candidates = Candidates(node.rng, given)
        self._tried_as: dict[int, Candidate] = {}
        # When each try has begun.
        self._tries: dict[Candidate, tuple[float, Deferred[None]]] = {}
        self._registering: dict[int, tuple[Peer, Deferred[Registered]]] = {}
        self._tracker_waits = Backoff(node.rng, _TRACKER_AGAIN_S, _TRACKER_LONGEST_S)
        self._tracker_at = float("-inf")
        self._looking = Timer(node.clock, self.register_with_more)
        self._alone_since = node.clock.seconds()
        self._has_said_alone = False
        self._is_stopped = False

    def start(self) -> None:
        """Begin, when the node listens: it says where in its greetings."""
        self._alone_since = self._node.clock.seconds()
        self._look_in(0)

    def stop(self) -> None:
        """Leave all, and try no more."""
        self._is_stopped = True
        self._looking.cancel()
        for _, trying in list(self._tries.values()):
            trying.cancel()
        for registration in list(self.taken.values()):
            registration.send(Unregister())
            registration.link_lost()
        self.taken.clear()

    def tracker_joined(self) -> None:
        """Ask a tracker for super peers: there is one now, and this node has an id."""
        self._tracker_waits.reset()
        self._tracker_at = float("-inf")
        self.register_with_more()

    def peer_left(self, peer: Peer) -> None:
        """Replace a super peer whose link is gone."""
        for asked, answer in list(self._registering.values()):
            if asked.id == peer.id and not answer.called:
                answer.errback(LinkClosed("it has closed the link"))
        self._lose(peer.id)

    def registered_received(self, message: Registered, origin: Origin) -> None:
        """Take the answer of a super peer, or its news of others."""
        asked, answer = self._registering.get(message.id, (None, None))
        if asked is not None and asked.id == origin.id and answer is not None and not answer.called:
            self._learn(message, asked)
            answer.callback(message)
        elif origin.id in self.taken:
            self._learn(message, self.taken[origin.id].peer)
            if not message.taken:
                self._tried_as[origin.id].is_full = True
                self.unregister_received(origin.id)
        else:
            return
        # It may have named those that are missing.
        self._look_in(0)

    def error_received(self, error: Error, origin: Origin) -> None:
        """Take the refusal of a super peer to have this node."""
        for asked, answer in list(self._registering.values()):
            if asked.id == origin.id and error.about == "register" and not answer.called:
                answer.errback(PeerError(error.reason or error.code))

    def unregister_received(self, node_id: int) -> None:
        """Take the word of a super peer that this node is none of its leaves any more."""
        if node_id in self.taken:
            self._node.release_link(node_id, self)
            self._lose(node_id)

    def register_with_more(self) -> None:
        """Try to register with more super peers, while there are too few."""
        self._looking.cancel()
        if self._is_stopped or self._node.id == NO_ID:
            return
        now = self._node.clock.seconds()
        self._say_if_alone(now)
        while len(self.taken) + self._fresh_tries(now) < KEPT and len(self._tries) < MOST_TRIES:
            candidate = self._candidates.next(now, self._not_to_be_tried(), is_alone=not self.taken)
            if candidate is None:
                self._ask_tracker(now)
                break
            trying = Deferred.fromCoroutine(self._try(candidate))
            if not trying.called:
                self._tries[candidate] = now, trying
            trying.addBoth(self._tried, candidate)
        if len(self.taken) < KEPT:
            self._look_later(now)

    # Inside: one try.

    def _learn(self, message: Registered, peer: Peer) -> None:
        """Add the super peers that another one names."""
        now = self._node.clock.seconds()
        for other in message.others:
            address = place_told_by(peer, other.host, other.port)
            if other.id != self._node.id and other.port:
                self._candidates.add(address, other.id, not other.room, peer.id, now)

    async def _try(self, candidate: Candidate) -> None:
        """Meet a super peer, and ask it to take this node.

        @raise PeerError: it is not there, or does not.
        """
        peer = await self._meet(candidate).addTimeout(MEET_S, self._node.clock, _not_in_time)
        candidate.id = peer.id
        if peer.id in self.taken or any(peer.id == asked.id for asked, _ in self._registering.values()):
            # It was known by another address too, and has been asked.
            self._candidates.not_needed(candidate)
            return
        if len(self.taken) >= KEPT:
            self._release(peer.id)
            self._candidates.not_needed(candidate)
            return
        try:
            registered = await self._register(peer)
        except (PeerError, CancelledError):
            # No `finally`: that would run when a program that was killed is swept up, too.
            self._release(peer.id)
            raise
        if not registered.taken:
            self._release(peer.id)
        candidate.is_full = not registered.taken
        if not registered.taken:
            raise PeerError("it has no room")
        self._take(candidate, peer)

    def _meet(self, candidate: Candidate) -> Deferred[Peer]:
        """Have a link to a super peer; one that comes when nobody waits for it any more is released."""
        answer: Deferred[Peer] = Deferred()
        where: Any = candidate.where

        def met(peer: Peer) -> None:
            if not answer.called:
                answer.callback(peer)
            elif not candidate.is_busy:
                self._release(peer.id)

        def not_met(failure: Failure) -> None:
            failure.trap(PeerError)
            if not answer.called:
                answer.errback(failure)

        meeting = self._node.hold_link(where, self).addCallbacks(met, not_met)
        meeting.addErrback(lambda failure: self.log.failure("dialling a super peer failed", failure))
        return answer

    async def _register(self, peer: Peer) -> Registered:
        """Ask a super peer to take this node.

        @raise PeerError: it is gone.
        """
        number = self._node.rng.getrandbits(53)
        answer: Deferred[Registered] = Deferred()
        udp = self._node.udp_port
        if not self._node.send(
            Register(id=number, may_lead=self._may_lead and udp > 0, udp=udp), (self._node.id, peer.id)
        ):
            raise LinkClosed("it has closed the link")
        self._registering[number] = peer, answer
        try:
            return await answer.addTimeout(REGISTER_S, self._node.clock, _not_in_time)
        finally:
            del self._registering[number]

    def _take(self, candidate: Candidate, peer: Peer) -> None:
        """A super peer has taken this node."""
        self._candidates.accepted(candidate, peer.id)
        if len(self.taken) >= KEPT:
            # Two were tried for one place.
            self._node.send(Unregister(), (self._node.id, peer.id))
            self._release(peer.id)
            self._candidates.not_needed(candidate)
            return
        is_first = not self.taken
        self._tried_as[peer.id] = candidate
        registration = self.taken[peer.id] = self._make(peer)
        self._tracker_waits.reset()
        self._has_said_alone = False
        self._refusals.clear()
        self._node.report(
            "moored",
            "super peer {super_peer} at {host} port {port} accepts this node" if is_first else None,
            super_peer=peer.id,
            host=peer.address.host,
            port=peer.address.port,
        )
        self._observer.joined(f"by the super peer at {peer.address}")
        registration.start()
        self._changed()

    def _release(self, node_id: int) -> None:
        if node_id not in self.taken:
            self._node.release_link(node_id, self)

    def _tried(self, result: Any, candidate: Candidate) -> None:
        """End a try, well or not."""
        self._tries.pop(candidate, None)
        if isinstance(result, Failure):
            self._candidates.dial_failed(candidate, self._node.clock.seconds())
            self._note_refusal(candidate, result)
            if result.check(PeerError, CancelledError) is None:
                self.log.failure("registering with a super peer failed", result)
        self._look_in(0)

    def _note_refusal(self, candidate: Candidate, failure: Failure) -> None:
        """Report why one that the user gave does not take this node, if that is new."""
        error = failure.value
        if candidate.where not in self._given or not isinstance(error, PeerError):
            return
        place, reason = self._given.index(candidate.where), _reason_in(error)
        before = self._refusals.get(place)
        if before is None or _reason_in(before) != reason:
            self._refusals[place] = error
            is_full = failure.check(NoSlots) or (candidate.is_full and not failure.check(LinkClosed))
            is_silent = failure.check(NotInTime)
            why = NotJoined.FULL if is_full else NotJoined.SILENT if is_silent else NotJoined.STRANGER
            self._node.report("not_moored", None, given=place, why=why.value, reason=reason)
            self._observer.not_joined(place, why, reason)

    def _lose(self, node_id: int) -> None:
        registration = self.taken.pop(node_id, None)
        if registration is None or self._is_stopped:
            return
        registration.link_lost()
        now = self._node.clock.seconds()
        self._candidates.registration_lost(self._tried_as.pop(node_id), now - registration.since, now)
        self._tracker_waits.reset()
        self._tracker_at = float("-inf")
        if not self.taken:
            self._alone_since = now
        self._node.report("unmoored", None, super_peer=node_id)
        self._observer.left(f"super peer {node_id}")
        self._changed()
        self.register_with_more()

    # Inside: when to look.

    def _fresh_tries(self, now: float) -> int:
        return sum(now - began < TRY_ANOTHER_S for began, _ in self._tries.values())

    def _not_to_be_tried(self) -> set[int]:
        trying = {each.id for each in self._tries if each.id is not None}
        return {self._node.id, *self.taken, *trying}

    def _ask_tracker(self, now: float) -> None:
        """Have a tracker name another one, if there is a tracker."""
        if now < self._tracker_at:
            return
        wait_s = self._tracker_waits.delay()
        if not self.taken:
            wait_s = min(wait_s, self._node.rng.uniform(0.5, 1.0) * LONGEST_WAIT_ALONE_S)
        self._tracker_at = now + wait_s
        asking = self._node.ask_tracker_for(SUPER_PEER, list(self.taken))
        asking.addCallback(self._named)
        asking.addErrback(lambda failure: self.log.failure("asking the tracker for a super peer failed", failure))

    def _named(self, where: Whereabouts | None) -> None:
        if where is None or where.id == self._node.id or not where.address.port:
            return
        self._candidates.add(where.address, where.id, False, SUPER_PEER, self._node.clock.seconds())
        self._look_in(0)

    def _say_if_alone(self, now: float) -> None:
        if not self.taken and not self._has_said_alone and now - self._alone_since >= ALONE_S:
            self._has_said_alone = True
            self._node.report(
                "alone",
                f"no super peer accepts this node{self._told_of_given()}; see that one runs, and that --super is "
                "right; trying again until one does",
            )

    def _told_of_given(self) -> str:
        """The addresses of the super peers that the user gave, in words, with why they cannot be reached."""
        told = []
        for place, where in enumerate(self._given):
            error = self._refusals.get(place)
            # What a stranger has said would make each line another.
            why = f": {error.reason}" if isinstance(error, Unreachable) else ""
            told.append((str(where) if isinstance(where, Address) else text_of_endpoint(where)) + why)
        # Nothing in it is to be filled in.
        return f" ({', '.join(told)})".replace("{", "{{").replace("}", "}}") if told else ""

    def _look_later(self, now: float) -> None:
        """Look again when something may be different."""
        waits = [_LOOK_AT_LEAST_EVERY_S]
        if self._tracker_at > now:
            waits.append(self._tracker_at - now)
        if self._fresh_tries(now):
            waits.append(TRY_ANOTHER_S)
        elif len(self._tries) < MOST_TRIES:
            ready_s = self._candidates.ready_in(now, self._not_to_be_tried(), is_alone=not self.taken)
            waits += [] if ready_s is None else [ready_s]
        if not self.taken and not self._has_said_alone:
            waits.append(self._alone_since + ALONE_S - now)
        self._look_in(max(_LOOK_AT_MOST_EVERY_S, min(waits)))

    def _look_in(self, wait_s: float) -> None:
        """Look again after a while, or earlier if that has been said already."""
        if not self._is_stopped:
            self._looking.set_earlier(wait_s)


def _reason_in(error: PeerError) -> str:
    """The reason for which a super peer does not take this node, without its address."""
    return error.reason if isinstance(error, Unreachable) else str(error)


def _not_in_time(result: object, timeout_s: float) -> Any:
    raise NotInTime(f"nobody has answered within {timeout_s:g} s")
