"""A leaf: lists what it has at two super peers, and asks them who has what.

From the design paper of the super peers. C{registrations} decides which super peers those are, C{registration} what
they are told, C{pending_queries} what becomes of a question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.discovery.findings import MOST_KEPT, Findings
from twisted_bazaar.discovery.index.messages import MOST_ON_PAGE, Listed
from twisted_bazaar.discovery.index.words import question_of
from twisted_bazaar.discovery.recent import Recent
from twisted_bazaar.discovery.superpeer.leaf.own_table import LeafTable
from twisted_bazaar.discovery.superpeer.leaf.pending_queries import PendingQueries
from twisted_bazaar.discovery.superpeer.leaf.registration import Registration, place_told_by
from twisted_bazaar.discovery.superpeer.leaf.registrations import Registrations
from twisted_bazaar.discovery.superpeer.messages import (
    MOST_RESULTS,
    Found,
    Lead,
    QueryEnd,
    QueryHit,
    Registered,
)
from twisted_bazaar.errors import PeerError, WholeDigestsOnly
from twisted_bazaar.interfaces import Command, ICatalogue, INode, Receivers
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.role import Role
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, Origin, Peer
from twisted_bazaar.values.files import FileQuery, FileSource, Page, SharedFile, is_beginning_only
from twisted_bazaar.values.joining import JoinObserver
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.files import LONGEST_NAME_BYTES

ENOUGH: Final = 50
# How long after the first source others are still waited for.
_GATHER_S: Final = 0.2
_WARNINGS_A_MINUTE: Final = 2
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_FORGOTTEN: Final = "notregistered"

Lookup = tuple[str | None, str | None, str | None]
"""What was looked for, on whatever page: a name, words, a digest."""


@implementer(ICatalogue)
class Leaf(Role):
    """Carried by a node that finds, and is found, by super peers.

    @param super_peers: where the first ones are; more are learnt from them, and from a tracker.
    @param lead: called with the reason and where others are, when this node is to be a super peer itself; None if it
        is not able to.
    @param results: how many hits are enough for one question.
    @param observer: told which super peers take this node.
    """

    is_self_numbered = True

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        super_peers: Sequence[IStreamClientEndpoint | Address] = (),
        *,
        lead: Callable[[str, Sequence[Address]], None] | None = None,
        results: int = ENOUGH,
        observer: JoinObserver | None = None,
    ) -> None:
        self.receives: Receivers = {
            Registered: self._registered_received,
            Listed: self._listed_received,
            QueryHit: self._hit_received,
            QueryEnd: self._end_received,
            Lead: self._lead_received,
            Error: self._error_received,
        }
        self.commands: Mapping[str, Command] = {"status": self._status}
        self.results = results
        self._super_peers = super_peers
        self._observer = observer or JoinObserver()
        self._lead = lead
        self._load = 0
        self._warnings = RateLimit.a_minute(_WARNINGS_A_MINUTE)
        self._pages: Recent[Findings] = Recent(MOST_KEPT)

    # What the node calls: IRole.

    def start(self, node: INode) -> None:
        """Begin; nothing is linked yet."""
        super().start(node)
        self._words = LeafTable(node, self._table_changed)
        self._registrations = Registrations(
            node,
            self._super_peers,
            self._moor,
            self._registrations_changed,
            may_lead=self._lead is not None,
            observer=self._observer,
        )
        self._pending_queries = PendingQueries(node, self._registrations.taken)
        self._registrations.start()

    def stop(self) -> Deferred[None]:
        """Tell the super peers that it leaves, and end every timer; what waits for an answer gets none."""
        self._pending_queries.stop()
        self._registrations.stop()
        self._words.stop()
        return succeed(None)

    def peer_joined(self, peer: Peer) -> None:
        """Do nothing: whoever asked for a link hears of it there."""

    def peer_left(self, peer: Peer) -> None:
        """Look whether a super peer is gone."""
        self._registrations.peer_left(peer)

    def tracker_joined(self) -> None:
        """Ask the tracker for super peers from now on."""
        self._registrations.tracker_joined()

    def tracker_left(self) -> None:
        """Do nothing: a leaf goes on with the super peers that it knows."""

    # What other roles call: ICatalogue, and the same for goods.

    @property
    def registered_with(self) -> Sequence[Peer]:
        """The super peers that have taken this node."""
        return [registration.peer for registration in self._registrations.taken.values()]

    @property
    def is_in_sync(self) -> bool:
        """Whether there is a super peer that has taken this node, and each knows all that it has."""
        registrations = self._registrations.taken.values()
        return bool(registrations) and all(registration.is_in_sync for registration in registrations)

    def publish(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Change the files of this node that others can find."""
        self._words.change_files(added, removed)
        for registration in self._registrations.taken.values():
            registration.enrolment.listing.change_files(added, removed)
            registration.enrolment.send_updates()

    def publish_goods(self, items: Sequence[str]) -> None:
        """Set the goods that this node sells, all of them."""
        self._words.set_items(items)
        for registration in self._registrations.taken.values():
            registration.enrolment.listing.set_items(items)
            registration.enrolment.send_updates()

    def set_load(self, downloads: int) -> None:
        """Say how many downloads this node serves now."""
        self._load = downloads
        for registration in self._registrations.taken.values():
            registration.enrolment.set_load(downloads)

    def search(self, query: FileQuery) -> Deferred[Page]:
        """Look for files; fires when the search is over. Later pages are of what was found for the first.

        @raise LinkClosed: there is no super peer, or it does not answer.
        @raise PeerError: it says no, or everything is asked for.
        """
        what = _what_of(query)
        if is_beginning_only(query.digest):
            return fail(WholeDigestsOnly("super peers find a file by its whole digest only, or by its name"))
        if what is None:
            return succeed(Page((), 0))
        if not what:
            return fail(PeerError("super peers have no list of everything; say a name, words or a digest"))
        query = FileQuery(query.name, query.words, query.digest, query.after, max(1, min(query.most, MOST_ON_PAGE)))
        lookup: Lookup = query.name, query.words, query.digest
        findings = self._pages.get(lookup, self.node.clock.seconds())
        if query.after is not None and findings is not None:
            return _page_of(findings, query)
        return self._find(query, what).addCallback(self._turn_to, lookup, query)

    def sources(self, digest: str) -> Deferred[Sequence[FileSource]]:
        """Find the sources of a file, the least loaded first; this node is not among them.

        It fires soon after the first have been named: who fetches is to begin, and asks again for more.

        @raise LinkClosed: there is no super peer, or it does not answer.
        @raise PeerError: it says no.
        """
        if not _DIGEST.fullmatch(digest):
            return succeed(())
        findings = Findings(FileQuery(digest=digest))
        answer: Deferred[Sequence[FileSource]] = Deferred(lambda _: asking.cancel())

        def take(hits: Sequence[Found]) -> None:
            is_first = not findings.sources()
            take_hits(findings, self.node.key.public, hits)
            if is_first and findings.sources():
                timer.set(_GATHER_S)

        def end(result: object) -> None:
            timer.cancel()
            if answer.called:
                return
            if isinstance(result, Failure) and not findings.sources():
                answer.errback(result)
            else:
                answer.callback(findings.sources())

        timer = Timer(self.node.clock, lambda: asking.cancel())
        asking = self.query({"digest": digest}, take)
        asking.addBoth(end)
        return answer

    def sellers(
        self, item: str | None, seller_key: str | None, found: Callable[[Sequence[Peer]], None]
    ) -> Deferred[None]:
        """Find sellers of an item in this node's bazaar, or the seller with a key; this node is not among them.

        @param item: what it sells does not matter if not given; one of the two must be.
        @param found: called with sellers, each time some are named.
        @raise LinkClosed: there is no super peer, or it does not answer.
        @raise PeerError: it says no.
        """

        def name(hits: Sequence[Found]) -> None:
            found(
                [
                    Peer(each.id, each.key, Address(each.host or "", each.port))
                    for each in hits
                    if each.key != self.node.key.public and seller_key in (None, each.key)
                ]
            )

        what = {"seller": seller_key} if seller_key is not None else {"item": item}
        return self.query({**what, "bazaar": self.node.bazaar}, name).addCallback(lambda _: None)

    def query(self, what: Mapping[str, Any], found: Callable[[Sequence[Found]], None]) -> Deferred[QueryEnd | None]:
        """Ask a question, and hear what is found as it comes, checked by nobody.

        @param what: keys of a query.
        @param found: called with hits, each time some come; all have a host.
        @return: fires when no more come, with what was said then; with None if the time was up.
        @raise LinkClosed: there is no super peer, or it does not answer.
        @raise PeerError: it says no.
        """
        return self._pending_queries.query({"results": max(1, min(self.results, MOST_RESULTS)), **what}, found)

    # Inside.

    def _find(self, query: FileQuery, what: Mapping[str, Any]) -> Deferred[Findings]:
        findings = Findings(query)
        take = partial(take_hits, findings, self.node.key.public)
        return self.query(what, take).addCallback(lambda _: findings)

    def _turn_to(self, findings: Findings, lookup: Lookup, query: FileQuery) -> Page:
        self._pages.put(lookup, findings, self.node.clock.seconds())
        return findings.page(query)

    def _moor(self, peer: Peer) -> Registration:
        return Registration(self.node, peer, self._words, self._load, self._warn)

    def _table_changed(self) -> None:
        for registration in self._registrations.taken.values():
            registration.table_changed()

    def _registrations_changed(self) -> None:
        self._pending_queries.super_peers_changed()

    def _registered_received(self, message: Registered, origin: Origin) -> None:
        self._registrations.registered_received(message, origin)

    def _listed_received(self, message: Listed, origin: Origin) -> None:
        registration = self._registrations.taken.get(origin.id)
        if registration is not None:
            registration.listed_received(message)

    def _hit_received(self, message: QueryHit, origin: Origin) -> None:
        self._pending_queries.hit_received(message, origin)

    def _end_received(self, message: QueryEnd, origin: Origin) -> None:
        self._pending_queries.end_received(message, origin)

    def _lead_received(self, message: Lead, origin: Origin) -> None:
        """A super peer asks this node to be one too, beside it and those that it names."""
        registration = self._registrations.taken.get(origin.id)
        if self._lead is not None and registration is not None:
            why = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in message.why)
            peer = registration.peer
            others = [place_told_by(peer, place.host, place.port) for place in message.neighbours]
            if peer.udp_port:
                others.insert(0, Address(peer.address.host, peer.udp_port))
            self._lead(why, others)

    def _error_received(self, error: Error, origin: Origin) -> None:
        registration = self._registrations.taken.get(origin.id)
        if not origin.is_direct:
            return
        if registration is None:
            self._registrations.error_received(error, origin)
            return
        if error.code == _FORGOTTEN:
            self._registrations.unregister_received(origin.id)
        elif error.id is not None:
            registration.error_received(error)
        elif error.about == "query":
            # Which one it says next, with the end.
            registration.refusal = PeerError(error.reason or error.code)

    def _status(self, _request: Mapping[str, Any]) -> Deferred[Any]:
        super_peers = [{"id": peer.id, "address": str(peer.address)} for peer in self.registered_with]
        return succeed({"role": "leaf", "super_peers": super_peers})

    def _warn(self, sentence: str, **details: Any) -> None:
        """Log a warning, unless there were many lately."""
        if self._warnings.allow(self.node.clock.seconds()):
            self.log.warn(sentence, **details)


def take_hits(findings: Findings, own_key: str, hits: Sequence[Found]) -> None:
    """Keep what is new of some hits, all of which have a host.

    @param own_key: of this node, which does not look for itself.
    """
    for hit in hits:
        if hit.key == own_key or hit.host is None:
            continue
        files = [SharedFile(file.name, file.size, file.digest, file.whole) for file in hit.files]
        place = FileSource(hit.id, hit.key, Address(hit.host, hit.port), load=hit.load, udp=hit.udp)
        if not findings.add(hit.key, files, place):
            return


def _what_of(query: FileQuery) -> Mapping[str, Any] | None:
    """The keys of a query for files, of which it has exactly one; none for everything, None if no file can be meant."""
    texts = (query.name, query.words)
    if any(text is not None and not 0 < len(text) <= LONGEST_NAME_BYTES for text in texts):
        return None
    if query.words is not None and not question_of(query.words)[1]:
        return None
    if query.digest is not None:
        return {"digest": query.digest} if _DIGEST.fullmatch(query.digest) else None
    if query.name is not None:
        return {"name": query.name}
    return {} if query.words is None else {"words": query.words}


def _page_of(findings: Findings, query: FileQuery) -> Deferred[Page]:
    try:
        return succeed(findings.page(query))
    except PeerError as error:
        return fail(error)
