"""The dialogues of the ring's page: places, cookies, marks and entries fit together as nodes make them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.nets import key_pair
from tests.docs.pages import RING, datagrams
from tests.docs.test_specification import COOKIE, own_codec
from twisted_bazaar.discovery.ring.member.ping_state import PingState
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import RingPong
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.storage.entry import read_entry
from twisted_bazaar.node.datagrams import cookies, protocol
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.values.addresses import Address

CIRCLE: Final = Ring()
# By place, the keys of all nodes that speak.
PAIRS: Final = {CIRCLE.to_wire(CIRCLE.id_of_key(pair.public)): pair for pair in map(key_pair, range(17))}
PORT: Final = 9001


def host_of(name: str) -> str:
    """Where a node of the dialogues is."""
    return f"10.0.0.{name.removeprefix('node')}"


def said() -> Iterator[tuple[str, str, Any, dict[str, Any]]]:
    """All that is said: by whom, to whom, as a message, and with what the layer of datagrams adds."""
    codec = own_codec()
    for speaker, hearer, data in datagrams(RING):
        yield speaker, hearer, codec.decode(COOKIE.sub(b"", data)), json.loads(data)


def cookie_of(place: str, host: str) -> str:
    """What the node at a place gives a host in the first slot."""
    secret = PAIRS[place].secret_for(protocol.COOKIES)
    return cookies.Cookies(secret, Limits().cookie_s).cookie_for(host, PORT, 0.0)


class RingDialoguesTests(SynchronousTestCase):
    """What is said in them."""

    def test_places(self) -> None:
        """Who speaks stands where its key has it stand."""
        for speaker, _, message, _ in said():
            pair = PAIRS[message.source]
            own = Contact(CIRCLE.id_of_key(pair.public), pair.public, Address(host_of(speaker), PORT), PORT)
            self.assertEqual(message.origin, ContactEncoder(own, CIRCLE).own_card)

    def test_cookies(self) -> None:
        """Who speaks shows what the other end gives it, and gives what it makes itself."""
        for speaker, hearer, message, datagram_said in said():
            right = {
                "cookie": message.destination and cookie_of(message.destination, host_of(speaker)),
                "give": cookie_of(message.source, host_of(hearer)),
            }
            shown = {name: cookie for name, cookie in datagram_said.items() if name in right}
            self.assertEqual(shown, {name: right[name] for name in shown})
            self.assertTrue(shown)

    def test_marks(self) -> None:
        """A mark is that of what stands beside it; nothing but the last mark is answered by C{same}."""
        asked = dict[tuple[str, str, int], str]()
        told = dict[tuple[str, str], str]()
        shortly = 0
        for speaker, hearer, message, _ in said():
            if message.wire_name == "ringping":
                asked[speaker, hearer, message.stamp] = message.mark
            if not isinstance(message, RingPong):
                continue
            if message.same:
                shortly += 1
                self.assertEqual(asked[hearer, speaker, message.stamp], told[speaker, hearer])
                continue
            pair = PAIRS[message.source]
            own = Contact(CIRCLE.id_of_key(pair.public), pair.public, Address(host_of(speaker), PORT), PORT)
            pongs = PingState(ContactEncoder(own, CIRCLE))
            made = pongs.pong(pongs.read_state(message, own))(
                source=message.source,
                destination=message.destination,
                stamp=message.stamp,
                origin=message.origin,
                you=message.you,
            )
            self.assertEqual(made, message)
            told[speaker, hearer] = message.mark
        self.assertTrue(shortly)

    def test_stored(self) -> None:
        """A text is the one that is announced, and what has become of it is said of its version."""
        versions = dict[tuple[str, str, int], int]()
        for speaker, hearer, message, _ in said():
            if message.wire_name == "ringstore":
                self.assertEqual(message.whole, hashlib.sha256(message.text.encode()).hexdigest()[:32])
                versions[speaker, hearer, message.stamp] = read_entry(message.text).kept.version
            elif message.wire_name == "ringstored":
                self.assertEqual(message.version, versions[hearer, speaker, message.stamp])
            elif message.wire_name == "ringtransfer" and message.listed:
                self.assertEqual(message.listed[0].version, read_entry(message.text).kept.version)
        self.assertTrue(versions)
