"""Held links: connections that a role asks for, kept for as long as somebody holds them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.errors import AlreadyLinked, LinkClosed, PeerError
from twisted_bazaar.node.control import Disconnect
from twisted_bazaar.node.link_table import LinkTable
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Address, Peer, network_of
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import NO_ID

# A stranger says where somebody is that this node dials: it must not be able to have it flood others.
VAIN_DIALS_A_SECOND: Final = 3
_SECOND_S: Final = 1.0
_HOSTS: Final = 1_024


class HeldLinks:
    """The links of one node that its roles have asked for.

    Holders know nothing of each other: a link stays until the last of those that hold it has released it.

    @param links: all its links.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, links: LinkTable) -> None:
        self._links = links
        self._linked = links.peers.links
        # The links that were made for a role, and by whom links are held.
        self._made: set[int] = set()
        self._holders: dict[int, set[Hashable]] = {}
        self._dialling: set[Deferred[Peer]] = set()
        # How often a host was dialled in vain within a second.
        self._in_vain: FairTable[Hashable, int] = FairTable(_HOSTS, _SECOND_S, shares=_HOSTS)

    def try_hold_link(self, node_id: int, address: Address, holder: Hashable) -> Deferred[bool]:
        """Try to have a direct link to a node; fires with whether there is one. One that is there is not held."""
        if node_id in self._linked:
            return succeed(True)
        if self._links.peers.is_full or not address.port or self._links.is_taken(address):
            # A stranger chose the address: it must not make this node dial a neighbour or the tracker once
            # more, which would end the link there is.
            return succeed(False)
        now, host = self._links.clock.seconds(), _host_of(address)
        if (self._in_vain.get(host, now) or 0) >= VAIN_DIALS_A_SECOND:
            return succeed(False)
        before = set(self._linked)

        def linked(peer: Peer) -> bool:
            if peer.id not in before:
                self._made.add(peer.id)
                if peer.id == node_id:
                    self._hold(peer.id, holder)
                else:
                    self._close_if_unheld(peer.id)
            return node_id in self._linked

        def not_linked(failure: Failure) -> bool:
            failure.trap(PeerError)
            vain_at = self._links.clock.seconds()
            self._in_vain.put(host, (self._in_vain.get(host, vain_at) or 0) + 1, host, vain_at)
            # It may have dialled this node meanwhile.
            return node_id in self._linked

        # Who asked may stop waiting; a link that comes after that is still one to be released.
        answer: Deferred[bool] = Deferred()
        dialling = self._links.dial(address).addCallbacks(linked, not_linked)
        dialling.addCallback(lambda is_linked: None if answer.called else answer.callback(is_linked))
        dialling.addErrback(lambda failure: self.log.failure("dialling {address} failed", failure, address=address))
        return answer

    def hold_link(self, where: Address | IStreamClientEndpoint, holder: Hashable) -> Deferred[Peer]:
        """Have a direct link to whoever is at an address, which stays until the holder releases it.

        @return: fires with the peer, or fails with a L{PeerError}.
        """
        links = self._links
        linked = links.peer_at(where)
        if linked is not None:
            self._hold(linked.id, holder)
            return succeed(linked)
        if links.id == NO_ID:
            return fail(LinkClosed("this node has no id yet"))
        if isinstance(where, Address) and (not where.port or links.is_taken(where)):
            return fail(PeerError(f"no node takes links at {where}"))
        before = set(self._linked)

        def linked_now(peer: Peer) -> Peer:
            if peer.id not in before:
                self._made.add(peer.id)
            self._hold(peer.id, holder)
            return peer

        def not_linked(failure: Failure) -> Peer | Failure:
            error = failure.value
            there = self._linked.get(error.node_id or NO_ID) if isinstance(error, AlreadyLinked) else None
            if there is not None and there.peer is not None:
                # It dialled first.
                self._hold(there.peer.id, holder)
                return there.peer
            return failure

        return self._dial(where).addCallbacks(linked_now, not_linked)

    def release_link(self, node_id: int, holder: Hashable) -> None:
        """Give up a hold on a link, if there is one; the last closes a link that was made for holders."""
        holders = self._holders.get(node_id, set())
        holders.discard(holder)
        if not holders:
            self._holders.pop(node_id, None)
        self._close_if_unheld(node_id)

    def dismiss_peer(self, node_id: int, why: PeerError) -> bool:
        """Close a link that nobody here has asked for, and say why; returns whether it was one."""
        link = self._linked.get(node_id)
        if link is None or link.peer is None or link.dialled or node_id in self._holders:
            return False
        if self._links.peers.is_user_named(link, link.peer, link.peer.seen_host):
            return False
        link.close(Error.telling(why))
        return True

    def peer_left(self, peer: Peer) -> None:
        """A node is linked no more."""
        self._made.discard(peer.id)
        self._holders.pop(peer.id, None)

    def stop(self) -> None:
        """Dial no more."""
        for dialling in list(self._dialling):
            dialling.cancel()

    def _hold(self, node_id: int, holder: Hashable) -> None:
        self._holders.setdefault(node_id, set()).add(holder)

    def _close_if_unheld(self, node_id: int) -> None:
        """Close a link that was made for a role, unless the node needs it to stay in the network."""
        link = self._linked.get(node_id)
        if node_id not in self._made or node_id in self._holders or link is None:
            return
        if len(self._linked) > self._links.limits.min_links:
            link.close(Disconnect())

    def _dial(self, where: Address | IStreamClientEndpoint) -> Deferred[Peer]:
        if isinstance(where, Address):
            return self._links.dial(where)
        dialling = Deferred.fromCoroutine(self._links.dial_endpoint(where)).addCallback(_peer_of)
        self._dialling.add(dialling)
        return dialling.addErrback(_not_dialled).addBoth(self._dialled, dialling)

    def _dialled(self, result: Peer | Failure, dialling: Deferred[Peer]) -> Peer | Failure:
        self._dialling.discard(dialling)
        return result


def _not_dialled(failure: Failure) -> Peer:
    if failure.check(CancelledError):
        raise LinkClosed("this node is stopping")
    failure.raiseException()


def _peer_of(link: Link) -> Peer:
    if link.peer is None:
        raise LinkClosed("the connection closed as soon as it was made")
    return link.peer


def _host_of(address: Address) -> Hashable:
    """The key that a dial in vain is charged to: a network; on this machine, where many nodes may run, an address."""
    return address if address.is_local else network_of(address.host)
