"""What strangers and members try against a ring, each once: for tests of single nodes, of simulated rings and of real
sockets.

Whoever attacks has a node, and so an address that has been shown; beyond that nothing it says need be true.
"""

from __future__ import annotations

import random
import string
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from tests.discovery.ring.nets import key_pair
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.member.responder import Responder
from twisted_bazaar.discovery.ring.member.ring_node import Reply, RingNode
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import (
    Card,
    RingAbrupt,
    RingFind,
    RingFound,
    RingMessage,
    RingPing,
    RingPong,
    RingQuit,
    RingUpdate,
)
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.storage.entry import VALUES, Entry, Kept, sign_entry
from twisted_bazaar.discovery.ring.storage.fragments import fragment, name_of
from twisted_bazaar.discovery.ring.storage.messages import (
    Listed,
    RingRequest,
    RingStore,
    RingStored,
    RingTransfer,
)
from twisted_bazaar.interfaces import INode
from twisted_bazaar.role import Role
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import LARGEST_INTEGER

Make = Callable[..., RingMessage]


def forged(ring: Ring, make: Make, own: Contact, to: Contact, origin: Contact | None = None) -> RingMessage:
    """A message in the name of whoever one likes.

    @param own: who it is said to be from.
    @param origin: who is said to have begun it; the same if not given.
    """
    card = ContactEncoder(own, ring).write(origin or own)
    return make(source=ring.to_wire(own.id), destination=ring.to_wire(to.id), stamp=1, origin=card)


def about(ring: Ring, victim: Contact) -> Card:
    """Somebody as it stands in a message of another."""
    return ContactEncoder(replace(victim, id=(victim.id + 1) % ring.size, key="00" * 32), ring).write(victim)


def slanders(victim: Contact) -> Iterator[tuple[Make, Contact]]:
    """What can be said about somebody else, each with who it is said to be from."""
    elsewhere = replace(victim, address=Address("10.99.0.9", 9_001))
    yield RingQuit, elsewhere
    yield partial(RingQuit, predecessor=None, successors=()), victim
    yield RingPing, elsewhere
    yield partial(RingPing, next=True), replace(elsewhere, key=key_pair(666).public)


def hearsay(ring: Ring, victim: Contact, ghost: Contact) -> Iterator[Make]:
    """What can be said to others about somebody, and about somebody who is not there."""
    yield partial(RingAbrupt, about=about(ring, victim))
    yield partial(RingUpdate, about=about(ring, ghost))
    yield partial(RingUpdate, about=about(ring, replace(victim, address=Address("10.99.0.8", 9_001))))


class Mute(Role):
    """A node that says whatever a test wants, and answers nothing."""

    is_self_numbered = True

    def __init__(self) -> None:
        self.datagrams = dict.fromkeys(RingMember().datagrams, lambda message, address, key: None)


class Glutton(RingMember):
    """A member that claims every place, and names nobody but itself and its friends.

    @ivar friends: whom else it names.
    @ivar lies: how often it has.
    """

    def __init__(self, *friends: Contact, **options: Any) -> None:
        super().__init__(**options)
        self.friends = friends
        self.lies = 0
        self.datagrams[RingFind] = partial(self._answer, self._claim)

    def _claim(self, _: Responder, message: RingFind, sender: Contact) -> None:
        self.lies += 1
        named = self.cards.write_all((self.own, *self.friends))
        found = partial(RingFound, before=named[1:], after=named, predecessor=self.cards.write(sender))
        self._requests.answer(message, sender.address, sender.key, found)


class Chameleon(RingMember):
    """A member that is at its one address whoever it is asked as, and for every place has somebody who stands there.

    So it is as many identities as it likes: it names itself as the holder of each place and as those that follow, as
    everybody's predecessor, and as everybody's successor.

    @ivar others: further addresses of whoever is behind it, which it names in turn.
    @ivar lies: how often it has answered as somebody.
    """

    def __init__(self, *others: Contact, **options: Any) -> None:
        super().__init__(**options)
        self.others = others
        self.lies = 0
        self.is_honest = True
        honest = {kind: self.datagrams[kind] for kind in (RingFind, RingPing)}
        self.datagrams[RingFind] = partial(self._lie, honest[RingFind], self._found)
        self.datagrams[RingPing] = partial(self._lie, honest[RingPing], self._pong)

    def _lie(
        self, honest: Any, make: Callable[[Any, int], Make], message: Any, address: Address, key: str | None
    ) -> None:
        identifier = int(message.destination or "0", 16)
        if self.is_honest:
            honest(message, address, key)
            return
        self.lies += 1
        as_asked = ContactEncoder(replace(self.own, id=identifier), self.ring)
        answer = make(message, identifier)(
            source=self.ring.to_wire(identifier),
            destination=message.source,
            stamp=message.stamp,
            origin=as_asked.write(as_asked.own),
        )
        self._requests.send(answer, address)

    def _found(self, message: RingFind, identifier: int) -> Make:
        sought = self.ring.from_wire(message.place)
        named = [*self._names(sought, range(8))]
        if identifier == sought:
            # The holder itself stands first.
            named[0] = ContactEncoder(replace(self.own, id=identifier), self.ring).write(
                replace(self.own, id=identifier)
            )
        return partial(RingFound, after=tuple(named), predecessor=next(self._names(sought, [-1])))

    def _pong(self, message: RingPing, identifier: int) -> Make:
        asker = self.ring.from_wire(message.source)
        before = next(self._names(asker, [-1]))
        return partial(RingPong, bits=self.ring.bits, predecessor=before, successors=tuple(self._names(asker, [1, 2])))

    def _names(self, identifier: int, steps: Sequence[int] | range) -> Iterator[Card]:
        hosts = (self.own, *self.others)
        for number, step in enumerate(steps):
            host = hosts[number % len(hosts)]
            someone = replace(host, id=(identifier + step) % self.ring.size)
            yield Card(
                urlsafe_b64encode(bytes.fromhex(someone.key)).decode().rstrip("="),
                someone.address.host,
                someone.address.port,
                someone.port,
                self.ring.to_wire(someone.id),
            )


# What is kept.


def owned(number: int, name: str, *, version: int = 1, value: bytes = b"x", **said: Any) -> Entry:
    """An entry that one of very many owners has signed."""
    key = key_pair(number)
    return sign_entry(key, Kept(space=VALUES, name=name, owner=key.public, version=version, value=value, **said))


def stores(entry: Entry, left: int | None = None) -> list[Make]:
    """The messages that have an entry kept."""
    parts = fragment(entry.text)
    make = partial(RingStore, whole=name_of(entry.text), parts=len(parts), left=left)
    return [partial(make, part=part, text=text) for part, text in enumerate(parts)]


class Older:
    """A keeper that says of everything that it has the last version there can be."""

    def __init__(self, member: RingNode) -> None:
        self.lies = 0
        member.serve({RingStore: self._store_asked})

    def _store_asked(self, message: RingStore, contact: Contact, reply: Reply) -> None:
        self.lies += 1
        reply(partial(RingStored, outcome="older", version=LARGEST_INTEGER))


class Crowd:
    """A keeper that at once lists as many entries as there can be, none of which it can show.

    @param answers: whether it says so when asked for one; else it is mute.
    """

    def __init__(self, member: RingMember, *, answers: bool = False) -> None:
        self.lies = 0
        self._answers = answers
        member.serve({RingRequest: self._request_asked})

    def _request_asked(self, message: RingRequest, contact: Contact, reply: Reply) -> None:
        self.lies += 1
        if message.tag is None:
            first = 0 if message.after is None else int(message.after, 16) + 1
            listed = tuple(Listed(f"{first + number:016x}", LARGEST_INTEGER) for number in range(16))
            reply(partial(RingTransfer, listed=listed, more=True))
        elif self._answers:
            reply(RingTransfer)


# Rubbish.

_KEYS = """
source destination stamp origin place about predecessor successors bits member you before after beyond whole part parts
text left outcome version space name tag position listed more low high total own same marked until digest next
"""


def json_like(rng: random.Random, kinds: Sequence[str], cookie: str = "") -> dict[str, Any]:
    """An object that looks a little like a message of one of some types."""
    keys = _KEYS.split()
    said = {key: _anything(rng, 3) for key in rng.sample(keys, rng.randrange(len(keys)))}
    basic = {"source": "0" * 16, "destination": "", "stamp": rng.getrandbits(50), "origin": ["A" * 43, None, 1, 1]}
    kept = {key: value for key, value in basic.items() if rng.random() < 0.9}
    return {"type": rng.choice(kinds), **said, **kept, **({"cookie": cookie} if cookie else {})}


def _anything(rng: random.Random, depth: int) -> Any:
    simple: list[Callable[[], Any]] = [
        lambda: rng.choice((None, True, False, 0, -1, 1.5, "", "zz", 2**53, 2**53 + 1, -(2**53))),
        lambda: "".join(rng.choices("0123456789abcdef", k=rng.choice((1, 15, 16, 17, 32, 33, 43, 64)))),
        lambda: "".join(rng.choices(string.printable, k=rng.randrange(40))),
        lambda: "\ud7ff\u202e\u0000"[: rng.randrange(4)],
        lambda: rng.getrandbits(rng.choice((3, 16, 53))),
        lambda: ["A" * 43, rng.choice((None, "10.0.0.1", "::1", "nowhere", "255.255.255.255")), 9_001, 9_001],
    ]
    if depth and rng.random() < 0.4:
        return [_anything(rng, depth - 1) for _ in range(rng.randrange(4))]
    return rng.choice(simple)()


def send(node: INode, ring: Ring, make: Make, own: Contact, to: Contact, origin: Contact | None = None) -> None:
    """Send a forged message."""
    node.send_datagram(forged(ring, make, own, to, origin), (to.address,))
