"""The server of replicas: what one node of a ring keeps for others, and its answers about that.

Whatever comes is verified before it is kept. The file that an entry is about travels in another way; here is only who
has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.member.ring_node import Reply, RingNode
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.entry import TOMBSTONE_S, Entry, read_entry
from twisted_bazaar.discovery.ring.storage.fragments import Assembly, fragment, name_of
from twisted_bazaar.discovery.ring.storage.messages import (
    LONGEST_REASON,
    MOST_LISTED,
    PART_CHARS,
    Listed,
    RingKept,
    RingNoted,
    RingRequest,
    RingStore,
    RingStored,
    RingTransfer,
)
from twisted_bazaar.discovery.ring.storage.replication import USUAL_REPLICAS
from twisted_bazaar.discovery.ring.storage.store import Outcome, Store
from twisted_bazaar.errors import Forged, LinkClosed, PeerError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import network_of

# What one answer has room for, in characters, and what one entry of a list takes at most.
_ROOM: Final = 780
_LISTED_ROOM: Final = 52
_KEEPS: Final = frozenset({"kept", "known"})


class Files(Protocol):
    """The files of a node that entries are about."""

    def has(self, digest: str) -> bool:
        """Whether all of a file is here."""

    def has_room(self, entry: Entry, source: Contact | None) -> bool:
        """Whether the file of an entry could be kept.

        @param source: who has sent the entry; None for this node itself.
        """

    def keep(self, entry: Entry, source: Contact | None) -> None:
        """Get the file of an entry, and keep it.

        @param source: who has sent the entry, and may have the file; to be told when it is here.
        """

    def drop(self, entry: Entry) -> None:
        """The entry is kept no longer, and needs its file no longer."""


class NoFiles:
    """Those of a node that keeps only what entries hold."""

    def has(self, digest: str) -> bool:
        """It has none."""
        return False

    def has_room(self, entry: Entry, source: Contact | None) -> bool:
        """What an entry says about a file is kept."""
        return True

    def keep(self, entry: Entry, source: Contact | None) -> None:
        """That is for others."""

    def drop(self, entry: Entry) -> None:
        """There is nothing."""


@frozen
class Copy:
    """The answer of one node about an entry.

    @ivar outcome: as in C{ringstored}; C{lost} if it has not answered.
    @ivar version: of the newest it has.
    @ivar is_whole: whether it has the file that it is about.
    @ivar reason: why it has refused it.
    """

    at: Contact
    outcome: str
    version: int = 0
    is_whole: bool = False
    reason: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether it has the entry now."""
        return self.outcome in _KEEPS


class ReplicaServer:
    """Keeps replicas for other nodes, and answers store and request.

    @param member: the node on its ring; it has not started yet.
    @param replicas: on how many nodes everything is besides the one that it belongs to.
    @param identifier_of_name: where what stands under a name belongs; all nodes have to agree on it.
    @param files: the files that entries are about.
    @param limits: those of L{Store}.
    @ivar store: what it keeps.
    """

    __slots__ = ("_assembly", "_awaited", "_files", "_handed", "_node", "_now", "member", "replicas", "store")

    log: Final = limited_logger(__name__)
    _node: INode
    _now: Callable[[], float]

    def __init__(
        self,
        member: RingNode,
        *,
        replicas: int = USUAL_REPLICAS,
        identifier_of_name: Callable[[str], int] | None = None,
        files: Files | None = None,
        **limits: Any,
    ) -> None:
        self.member: RingNode = member
        self.replicas: int = replicas
        self.store: Store = Store(identifier_of_name or member.ring.key_of, changed=self._changed, **limits)
        self._files = NoFiles() if files is None else files
        self._assembly = Assembly()
        self._awaited: dict[str, list[Callable[[Contact], object]]] = {}
        self._handed: Callable[[Entry, Contact], object] = lambda entry, by: None
        member.serve(
            {RingStore: self._store_asked, RingRequest: self._request_asked, RingKept: self._kept_told},
            [RingStored, RingTransfer, RingNoted],
        )

    def start(self, node: INode) -> None:
        """Begin."""
        self._node = node
        self._now = node.clock.seconds

    def watch_whole(self, digest: str, on_whole: Callable[[Contact], object]) -> Callable[[], None]:
        """Call back for each node to which all of a file has come, from now on. Returns a function that stops this."""
        self._awaited.setdefault(digest, []).append(on_whole)

        def end() -> None:
            self._awaited[digest].remove(on_whole)
            if not self._awaited[digest]:
                del self._awaited[digest]

        return end

    def watch_handovers(self, told: Callable[[Entry, Contact], object]) -> None:
        """Be told of each entry that is new here and was sent by a node that does not own it."""
        self._handed = told

    def on_whole(self, contact: Contact, digest: str) -> None:
        """All of a file has come to a node."""
        for on_whole in tuple(self._awaited.get(digest, ())):
            on_whole(contact)

    def tell_whole(self, contact: Contact, digest: str) -> None:
        """Tell a node that all of a file has come that it had asked this one to keep."""
        telling = self.member.requests.ask(contact, partial(RingKept, digest=digest))
        telling.addErrback(lambda failure: failure.trap(PeerError))
        telling.addErrback(lambda failure: self.log.failure("a node was not told of its file", failure))

    # What is done with an entry.

    def keep(self, entry: Entry, sender: Contact | None, left_s: float | None = None) -> Outcome:
        """Keep an entry here.

        @param sender: who has sent it; None for this node itself.
        """
        now = self._now()
        is_file = entry.kept.digest is not None
        before = self.store.get(entry.key, now)
        if is_file and (before is None or before.rank < entry.rank) and not self._files.has_room(entry, sender):
            return Outcome.FULL
        by, is_near = self._charged(sender)
        outcome = self.store.put(entry, now, left_s=left_s, by=by, is_near=is_near)
        is_missing = outcome is Outcome.KNOWN and not self._files.has(entry.kept.digest or "")
        if is_file and (outcome is Outcome.KEPT or is_missing):
            # If the file is here it is because of others, which may be deleted before this one.
            self._files.keep(entry, sender)
        return outcome

    def send(
        self, contact: Contact, entry: Entry, left_s: float | None = None, late: Callable[[], None] | None = None
    ) -> Deferred[Copy]:
        """Have another node keep an entry.

        @param late: called if it takes longer than usual, perhaps more than once.
        @raise LinkClosed: it does not answer.
        """
        if contact == self.member.own:
            outcome = self.keep(entry, None, left_s)
            return succeed(self._copy(contact, entry, outcome.value))
        parts = fragment(entry.text)
        left = None if left_s is None or left_s == float("inf") else max(0, min(TOMBSTONE_S, int(left_s)))
        make = partial(RingStore, whole=name_of(entry.text), parts=len(parts), left=left)
        ask = self.member.requests.ask
        asking = [ask(contact, partial(make, part=part, text=text), late) for part, text in enumerate(parts)]
        return gatherResults(asking, consumeErrors=True).addCallbacks(self._verdict, first_failure, (contact,))

    def fetch(self, contact: Contact, make: Callable[..., RingRequest]) -> Deferred[tuple[Entry, float | None]]:
        """The entry that a node has, and for how long it is still to be kept.

        @param make: asks for its first part.
        @raise PeerError: there is none, or it does not hold.
        """
        return Deferred.fromCoroutine(self._fetch(contact, make))

    def list_own(self, space: str, name: str, most: int) -> list[tuple[Listed, Entry]]:
        """What is here under a name: as it is listed for others, and itself."""
        return [(self._listed(entry), entry) for entry in self.store.by_tag(space, name, self._now(), most)]

    def _verdict(self, answers: Sequence[Any], contact: Contact) -> Copy:
        for answer in answers:
            if isinstance(answer, RingStored) and answer.outcome != "part":
                return Copy(contact, answer.outcome, answer.version, answer.whole, answer.info)
        # Its memory of parts has overflowed.
        return Copy(contact, "lost")

    def _copy(self, contact: Contact, entry: Entry, outcome: str) -> Copy:
        newest = self.store.get(entry.key, self._now())
        digest = entry.kept.digest
        is_whole = digest is not None and self._files.has(digest)
        return Copy(contact, outcome, 0 if newest is None else newest.kept.version, is_whole)

    async def _fetch(self, contact: Contact, make: Callable[..., RingRequest]) -> tuple[Entry, float | None]:
        first: Any = await self.member.requests.ask(contact, make)
        if not isinstance(first, RingTransfer) or not first.parts:
            raise LinkClosed("the entry is not there any more")
        rest = [self.member.requests.ask(contact, partial(make, part=part)) for part in range(1, first.parts)]
        answers = await gatherResults(rest, consumeErrors=True).addErrback(first_failure)
        texts = [first.text, *(answer.text for answer in answers if isinstance(answer, RingTransfer))]
        return read_entry("".join(texts)), None if first.left is None else float(first.left)

    # What others ask.

    def _store_asked(self, message: RingStore, contact: Contact, reply: Reply) -> None:
        if message.part >= message.parts:
            return
        try:
            if not message.text.isascii():
                # No entry has such a text, and each of its characters would be kept in four bytes.
                raise Forged("ringentry: its text has characters that are not ASCII")
            text = self._assembly.add(
                message.whole, message.part, message.parts, message.text, contact, self._network(contact), self._now()
            )
            if text is None:
                if self._assembly.has_all(message.whole, message.parts, contact, self._now()):
                    raise Forged("ringentry: its text is not the one that `whole` names")
                reply(partial(RingStored, outcome="part"))
                return
            entry = read_entry(text)
        except Forged as error:
            reply(partial(RingStored, outcome="refused", info=str(error)[:LONGEST_REASON]))
            return
        outcome = self.keep(entry, contact, None if message.left is None else float(message.left))
        if outcome is Outcome.KEPT and entry.kept.owner != contact.key:
            self._handed(entry, contact)
        copy = self._copy(contact, entry, outcome.value)
        reply(partial(RingStored, outcome=outcome.value, version=copy.version, whole=copy.is_whole))

    def _request_asked(self, message: RingRequest, contact: Contact, reply: Reply) -> None:
        store, space, name = self.store, message.space, message.name
        if message.position is not None:
            self._reply_text(store.entry_at(int(message.position, 16)), message.part, reply)
        elif space is None or name is None:
            return
        elif message.tag is None:
            first = 0 if message.after is None else int(message.after, 16) + 1
            is_own = self.member.stabilization.is_responsible(store.identifier_under(space, name))
            self._reply_list(store.by_tag(space, name, self._now(), MOST_LISTED + 1, first), is_own, reply)
        else:
            nearest = store.by_tag(space, name, self._now(), 1, int(message.tag, 16))
            asked = next((entry for entry in nearest if entry.tag_text == message.tag), None)
            self._reply_text(asked, message.part, reply)

    def _reply_text(self, entry: Entry | None, part: int, reply: Reply) -> None:
        parts = [] if entry is None else fragment(entry.text)
        if entry is None or part >= len(parts):
            reply(RingTransfer)
            return
        left_s = self.store.ttl_s(entry, self._now())
        left = None if left_s == float("inf") else max(0, min(TOMBSTONE_S, int(left_s)))
        reply(partial(RingTransfer, parts=len(parts), text=parts[part], left=left))

    def _reply_list(self, rest: Sequence[Entry], is_own: bool, reply: Reply) -> None:
        more = len(rest) > MOST_LISTED
        page = rest[:MOST_LISTED] if more else rest
        text = page[0].text if page else ""
        size = len(text)
        if size > PART_CHARS or len(page) * _LISTED_ROOM + size > _ROOM:
            text = ""
        listed = tuple([self._listed(entry) for entry in page])
        before = None if is_own else self.member.stabilization.predecessor
        reply(
            partial(
                RingTransfer,
                listed=listed,
                more=more,
                parts=1 if text else 0,
                text=text,
                own=is_own,
                predecessor=None if before is None else self.member.cards.write(before),
            )
        )

    def _kept_told(self, message: RingKept, contact: Contact, reply: Reply) -> None:
        reply(RingNoted)
        self.on_whole(contact, message.digest)

    # Inside.

    def _listed(self, entry: Entry) -> Listed:
        kept = entry.kept
        return Listed(
            entry.tag_text, kept.version, kept.deleted, kept.digest is not None and self._files.has(kept.digest)
        )

    def _changed(self, before: Entry | None, after: Entry | None) -> None:
        digest = None if before is None else before.kept.digest
        if before is not None and digest is not None and (after is None or after.kept.digest != digest):
            self._files.drop(before)

    def _charged(self, sender: Contact | None) -> tuple[str | None, bool]:
        """Who is charged for what somebody sends, and whether that is a neighbour, whose it is to send much."""
        if sender is None:
            return None, False
        stabilization = self.member.stabilization
        return self._network(sender), stabilization.is_near(sender)

    def _network(self, contact: Contact) -> str:
        return network_of(contact.address.host)


def first_failure(failure: Failure) -> Failure:
    """What went wrong first of several things at once."""
    inner: Failure = getattr(failure.value, "subFailure", failure)
    return inner
