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

    Those who reach somebody for a while and those who meet somebody to stay know nothing of each other: a link that
    both want stays until both have said that they do not.

    @param links: all its links.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, links: LinkTable) -> None:
        self._links = links
        self._linked = links.peers.links
        # The links that were made for a role, and those that are wanted by either.
        self._made: set[int] = set()
        self._reached: set[int] = set()
        self._met: set[int] = set()
        self._dialling: set[Deferred[Peer]] = set()
        # How often a host was dialled in vain within a second.
        self._in_vain: FairTable[Hashable, int] = FairTable(_HOSTS, _SECOND_S, shares=_HOSTS)

    def reach(self, node_id: int, address: Address) -> Deferred[bool]:
        """Try to have a direct link to a node; fires with whether there is one."""
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
                    self._reached.add(peer.id)
                else:
                    self._close_if_unwanted(peer.id)
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

    def meet(self, where: Address | IStreamClientEndpoint) -> Deferred[Peer]:
        """Have a direct link to whoever is at an address.

        @return: fires with the peer, or fails with a L{PeerError}.
        """
        links = self._links
        linked = links.peer_at(where)
        if linked is not None:
            self._met.add(linked.id)
            return succeed(linked)
        if links.id == NO_ID:
            return fail(LinkClosed("this node has no id yet"))
        if isinstance(where, Address) and (not where.port or links.is_taken(where)):
            return fail(PeerError(f"no node takes links at {where}"))
        before = set(self._linked)

        def met(peer: Peer) -> Peer:
            if peer.id not in before:
                self._made.add(peer.id)
            self._met.add(peer.id)
            return peer

        def not_met(failure: Failure) -> Peer | Failure:
            if failure.check(AlreadyLinked):
                # It dialled first.
                there = links.peer_at(where)
                if there is not None:
                    self._met.add(there.id)
                    return there
            return failure

        return self._dial(where).addCallbacks(met, not_met)

    def release(self, node_id: int) -> None:
        """Give up the hold of L{reach} on a link."""
        self._reached.discard(node_id)
        self._close_if_unwanted(node_id)

    def part(self, node_id: int) -> None:
        """Give up the hold of L{meet} on a link."""
        self._met.discard(node_id)
        self._close_if_unwanted(node_id)

    def dismiss(self, node_id: int, why: PeerError) -> bool:
        """Close a link that nobody here has asked for, and say why; returns whether it was one."""
        link = self._linked.get(node_id)
        if link is None or link.peer is None or link.dialled or node_id in self._reached or node_id in self._met:
            return False
        if self._links.peers.is_named(link, link.peer, link.peer.seen_host):
            return False
        link.close(Error.telling(why))
        return True

    def peer_left(self, peer: Peer) -> None:
        """A node is linked no more."""
        for ids in (self._made, self._reached, self._met):
            ids.discard(peer.id)

    def stop(self) -> None:
        """Dial no more."""
        for dialling in list(self._dialling):
            dialling.cancel()

    def _close_if_unwanted(self, node_id: int) -> None:
        """Close a link that was made for a role, unless the node needs it to stay in the network."""
        link = self._linked.get(node_id)
        if node_id not in self._made or node_id in self._reached or node_id in self._met or link is None:
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
