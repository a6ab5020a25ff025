"""Encoding of contacts: a node as it is known here, and as it stands on a card in a message. Sans-IO.

A node does not know by which address others see it, so it never names itself by one: who gets a message knows where it
came from. Others it names as it knows them.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeVar

from twisted_bazaar.discovery.ring.rpc.messages import Card, RingMessage, key_text
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import check_host

_MOST_KEPT: Final = 2_048
_is_base64 = re.compile(r"^[0-9A-Za-z_-]*\Z").search

K = TypeVar("K")
V = TypeVar("V")


class ContactEncoder:
    """Reads and writes contacts, for one node.

    @ivar own: this node; what it says of itself.
    @ivar own_text: its identifier, as it stands in messages.
    @ivar own_card: and all of it.
    """

    __slots__ = ("_read", "_written", "own", "own_card", "own_text", "ring")

    own: Contact
    own_text: str
    own_card: Card

    def __init__(self, own: Contact, ring: Ring) -> None:
        self.ring: Ring = ring
        # The same few stand in message after message.
        self._written: dict[Contact, Card] = {}
        self._read: dict[tuple[Card, bool], Contact] = {}
        self.become(own)

    def become(self, own: Contact) -> None:
        """Know more about this node than before."""
        self.own = own
        self._written.clear()
        self._read.clear()
        self.own_text = self.ring.to_wire(own.id)
        self.own_card = self.write(own)

    def write(self, contact: Contact) -> Card:
        """A contact as it stands in a message of this node."""
        card = self._written.get(contact)
        if card is None:
            given = None if _place_of(self.ring.bits, contact.key) == contact.id else self.ring.to_wire(contact.id)
            where = contact.address
            host = None if contact == self.own else where.host
            card = Card(key_text(contact.key), host, where.port, contact.port, given)
            _keep(self._written, contact, card)
        return card

    def write_all(self, contacts: Iterable[Contact]) -> tuple[Card, ...]:
        """The same for several."""
        return tuple(self.write(contact) for contact in contacts)

    def read(self, card: Card, sender: Address) -> Contact:
        """Whom a message means.

        @param sender: where the message came from.
        @raise ValueError: nobody on this ring.
        """
        if card.host is None:
            return self._sender(card, sender)
        is_near = sender.is_local
        known = self._read.get((card, is_near))
        if known is not None:
            return known
        check_host(card.host)
        key = _key_of(card.key)
        identifier = self._identifier(card, key)
        address = Address(card.host, card.udp)
        if address.is_local and not is_near:
            # On the machine of the sender, as it seems there.
            return self._known(Contact(identifier, key, Address(sender.host, card.udp), card.port))
        contact = self._known(Contact(identifier, key, address, card.port))
        _keep(self._read, (card, is_near), contact)
        return contact

    def read_all(self, cards: Iterable[Card], sender: Address) -> tuple[Contact, ...]:
        """The same for several; those that nobody on this ring can be are left out."""
        contacts = list[Contact]()
        for card in cards:
            try:
                contacts.append(self.read(card, sender))
            except ValueError:
                continue
        return tuple(contacts)

    def sender_of(self, message: RingMessage, address: Address) -> Contact | None:
        """Who has sent a message; None if it was sent on for somebody else, or by nobody on this ring."""
        sender = self.sender(message.origin, address)
        return None if sender is None or message.source != self.ring.to_wire(sender.id) else sender

    def sender(self, card: Card, address: Address) -> Contact | None:
        """Who says of itself what stands on a card; None if it is about somebody else, or nobody on this ring."""
        if card.host is not None:
            return None
        try:
            return self._sender(card, address)
        except ValueError:
            return None

    def _sender(self, card: Card, address: Address) -> Contact:
        key = _key_of(card.key)
        return self._known(Contact(self._identifier(card, key), key, address, card.port))

    def _identifier(self, card: Card, key: str) -> int:
        return _place_of(self.ring.bits, key) if card.id is None else self.ring.from_wire(card.id)

    def _known(self, contact: Contact) -> Contact:
        """This node itself, if it is meant, by whatever address of its machine."""
        own = self.own
        if contact.key != own.key or contact.id != own.id or contact.address.port != own.address.port:
            return contact
        is_here = contact.address.is_local or own.address.is_local or contact.address.host == own.address.host
        return own if is_here else contact


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """Remember something; when there is too much, begin anew."""
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    kept[key] = value


@lru_cache(maxsize=8_192)
def _key_of(text: str) -> str:
    """The key on a card.

    As the pattern of a field what it is made of would be looked at in message after message.

    @raise ValueError: it cannot be one.
    """
    if _is_base64(text) is None:
        raise ValueError("key: not in the base64 of URLs")
    return urlsafe_b64decode(text + "=").hex()


@lru_cache(maxsize=8_192)
def _place_of(bits: int, key: str) -> int:
    return Ring(bits).id_of_key(key)
