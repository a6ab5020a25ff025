"""Contacts: super peers that might become neighbours, and when to greet each. Sans-IO.

Who was given by hand is greeted for ever, with growing pauses. Who was found is greeted a few times, and then left
alone for a while.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from attrs import define

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.superpeer.neighbours.neighbour import Entry
from twisted_bazaar.values.addresses import Address, network_of, plain_host

NEVER: Final = float("inf")
_FIRST_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 30.0
# How often one that was found is greeted: two of its answers may get lost.
_MOST_GREETINGS: Final = 3
_AVOIDED: Final = 128
_AVOID_S: Final = 60.0
_REMEMBERED: Final = 256
_REMEMBER_S: Final = 600.0


@define(eq=False)
class Contact:
    """Somebody to greet.

    @ivar id: its node id, as far as known.
    @ivar key: its public key, if it turned out to be a neighbour by another address.
    @ivar is_given: whether it was given by hand.
    @ivar due: when it is to be greeted next; never, while it is a neighbour.
    @ivar greetings: how often it was greeted without an answer.
    @ivar greeted_at: when it was greeted last.
    """

    address: Address
    is_given: bool
    backoff: Backoff
    due: float
    id: int | None = None
    key: str | None = None
    greetings: int = 0
    greeted_at: float = -NEVER


class Contacts:
    """All contacts of one super peer; those that were given stay here while they are neighbours."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._contacts: dict[Address, Contact] = {}
        self._avoided: FairTable[int, None] = FairTable(_AVOIDED, _AVOID_S, shares=1)
        self._remembered: FairTable[Address, None] = FairTable(_REMEMBERED, _REMEMBER_S)

    @property
    def due(self) -> float:
        """The time at which somebody is to be greeted next."""
        return min((contact.due for contact in self._contacts.values()), default=NEVER)

    @property
    def tried_count(self) -> int:
        """The number of contacts that were found, not given, and are being tried."""
        return sum(not contact.is_given for contact in self._contacts.values())

    def add_configured(self, address: Address, now: float) -> None:
        """Add a contact that the user has given by hand."""
        address = canonical(address)
        known = self._contacts.get(address)
        if known is None or not known.is_given:
            self._contacts[address] = self._contact(address, None, now, is_given=True)

    def find(self, address: Address, node_id: int | None, now: float) -> bool:
        """Add a contact that was found; returns whether it was not known already."""
        if address in self._contacts:
            return False
        self._contacts[address] = self._contact(address, node_id, now, is_given=False)
        return True

    def unanswered(self) -> Sequence[Address]:
        """The addresses that were given by hand and from which nothing has come."""
        silent = [each for each in self._contacts.values() if each.is_given and each.greetings and each.key is None]
        return [contact.address for contact in silent if contact.due != NEVER]

    def entry_of(self, address: Address) -> Entry:
        """The way in which somebody at an address would become a neighbour."""
        contact = self._contacts.get(address)
        if contact is None:
            return Entry.CAME
        return Entry.GIVEN if contact.is_given else Entry.FOUND

    def to_greet(self, now: float) -> Sequence[Contact]:
        """The contacts that are to be greeted now; the next time is later for each."""
        greeted = []
        for contact in list(self._contacts.values()):
            if contact.due > now:
                continue
            if not contact.is_given and contact.greetings >= _MOST_GREETINGS:
                self.give_up(contact.address, now)
                continue
            contact.greetings += 1
            contact.greeted_at = now
            contact.due = now + contact.backoff.delay()
            greeted.append(contact)
        return greeted

    def is_also(self, address: Address, key: str) -> None:
        """Note the key of whoever is at an address: it is a neighbour by another address."""
        contact = self._contacts.get(address)
        if contact is not None:
            contact.key = key

    def linked(self, address: Address) -> float:
        """Note that a contact is a neighbour now.

        @return: when it was greeted last.
        """
        self._remembered.discard(address)
        contact = self._contacts.get(address)
        if contact is None:
            return -NEVER
        if not contact.is_given:
            del self._contacts[address]
        contact.greetings, contact.key = 0, None
        contact.backoff.reset()
        contact.due = NEVER
        return contact.greeted_at

    def neighbour_lost(self, address: Address, now: float, *, may_return: bool) -> None:
        """Note that somebody is a neighbour no more: one of the contacts is greeted again later.

        @param may_return: whether it went without a word, and so may only be out of reach.
        """
        contact = self._contacts.get(address)
        if contact is not None:
            contact.due = now + contact.backoff.delay()
        elif may_return:
            self._remembered.put(address, None, network_of(address.host), now)

    def give_up(self, address: Address, now: float) -> None:
        """Remove a contact that was found and does not answer; those given by hand stay."""
        contact = self._contacts.get(address)
        if contact is None or contact.is_given:
            return
        del self._contacts[address]
        if contact.id is not None:
            self.avoid(contact.id, now)

    def avoid(self, node_id: int, now: float) -> None:
        """Keep a node from being named for a while."""
        self._avoided.put(node_id, None, None, now)

    def avoided(self, now: float) -> Sequence[int]:
        """Ids of nodes that are of no use now: those given up, and those that are being tried."""
        tried = [contact.id for contact in self._contacts.values() if contact.id is not None]
        return [*tried, *(node_id for node_id, _ in self._avoided.items(now))]

    def remembered(self, now: float) -> Address | None:
        """One of those that were neighbours and went without a word, at random; None if there is none."""
        known = [address for address, _ in self._remembered.items(now) if address not in self._contacts]
        return self._rng.choice(known) if known else None

    def _contact(self, address: Address, node_id: int | None, now: float, *, is_given: bool) -> Contact:
        return Contact(address, is_given, Backoff(self._rng, _FIRST_RETRY_S, _LONGEST_RETRY_S), now, node_id)


def canonical(address: Address) -> Address:
    """An address as datagrams come from it: the same host may be written in several ways."""
    return Address(str(ip_address(plain_host(address.host))), address.port)
