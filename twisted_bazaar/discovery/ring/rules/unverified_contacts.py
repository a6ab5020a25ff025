"""Unverified contacts of a lookup: who has named whom, for disjoint paths against eclipse (S/Kademlia). Sans-IO."""

from __future__ import annotations

from collections.abc import Hashable

from attrs import Factory, define

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.values.addresses import network_of


@define(eq=False)
class UnverifiedContacts:
    """A contact that was named in a lookup. On a small ring one may come before the identifier as well as after it.

    @ivar before: how far it is from it up to the identifier.
    @ivar after: how far it is from the identifier up to it.
    @ivar hops: how many nodes one after another led here, itself included.
    @ivar cuts: the hosts of which each stands on every way here, and so may have made it up. There are none when two
        ways share nobody. On the machine of who looks, each node counts as a host.
    @ivar named: whom it has named.
    @ivar claims: whether its list goes as far as the identifier.
    @ivar is_holder: whether it says that it is responsible itself.
    @ivar is_listed: whether it was in a list of successors that goes as far as the identifier.
    """

    contact: Contact
    before: int
    after: int
    hops: int
    cuts: frozenset[Hashable]
    named: list[UnverifiedContacts] = Factory(list)
    is_asked: bool = False
    has_answered: bool = False
    has_failed: bool = False
    claims: bool = False
    is_holder: bool = False
    is_listed: bool = False

    @property
    def suspects(self) -> frozenset[Hashable]:
        """Those who may have made up what it says."""
        return self.cuts | {host_of(self.contact)}


def host_of(contact: Contact) -> Hashable:
    """Who is behind a node: one host can be as many nodes as it likes."""
    return contact if contact.address.is_local else network_of(contact.address.host)
