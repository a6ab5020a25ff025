"""The tables that strangers can fill, full of the worst that the wire lets in.

Each is filled as its module fills it, or as near to that as can be done without a network.
"""

from __future__ import annotations

import random
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Final

from attrs import field, frozen
from twisted.internet.task import Clock

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery import findings
from twisted_bazaar.discovery.index.directory import directory
from twisted_bazaar.discovery.index.messages import File
from twisted_bazaar.discovery.index.scheduling import pending
from twisted_bazaar.discovery.ring.rpc import contact_encoding, rtt_table
from twisted_bazaar.discovery.ring.rpc import messages as ring_messages
from twisted_bazaar.discovery.ring.rpc.messages import Card
from twisted_bazaar.discovery.ring.rules.identifiers import MOST_BITS, Contact, Ring
from twisted_bazaar.discovery.ring.storage import fragments, store
from twisted_bazaar.discovery.ring.storage.messages import MOST_PARTS, PART_CHARS
from twisted_bazaar.discovery.superpeer.leaf.leaf import take_hits
from twisted_bazaar.discovery.superpeer.messages import MOST_TABLE_BITS, Found, QueryEnd, Table
from twisted_bazaar.discovery.superpeer.neighbours import neighbours
from twisted_bazaar.discovery.superpeer.qrp.slot_set import write_slots
from twisted_bazaar.discovery.superpeer.qrp.tables import RouteTable
from twisted_bazaar.discovery.superpeer.ultrapeer import leaves, query_control, query_ends, reverse_paths
from twisted_bazaar.files.udp.streams import StreamLimits
from twisted_bazaar.files.window.settings import DEFAULT_MSS
from twisted_bazaar.node.control import Knock
from twisted_bazaar.node.datagrams import address_validation
from twisted_bazaar.node.datagrams.cookies import ROOM_BYTES, Cookies
from twisted_bazaar.node.datagrams.validated_addresses import ValidatedAddresses
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.peers import Peers
from twisted_bazaar.node.routing.duplicate_filter import DuplicateFilter
from twisted_bazaar.node.routing.router import Router
from twisted_bazaar.roles import node_ids
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.trade import ledger, offers, reservations
from twisted_bazaar.trade.contract import QUOTE_S
from twisted_bazaar.trade.stores.memory import MemorySales, MemoryStore
from twisted_bazaar.values.addresses import Address, Origin, Peer
from twisted_bazaar.values.files import FileQuery, SharedFile
from twisted_bazaar.values.sale import StockLevel
from twisted_bazaar.wire.message import LARGEST_INTEGER, LONGEST_PATH

LIMITS: Final = Limits()
LARGE: Final = LARGEST_INTEGER >> 1
PORT: Final = 65_000
ANYTHING: Final = FileQuery(None, None, None)
# Takes four bytes a character in memory, too.
WIDE: Final = "\U0001f600"
_MOST_NEIGHBOURS: Final = neighbours.LEAST_COMING + 2 * neighbours.DEGREE


@frozen
class Filled:
    """One table.

    @ivar most: how many entries it has at most.
    @ivar fill: makes it, with so many entries.
    @ivar sample: so many are made to weigh one.
    """

    most: int
    fill: Callable[[int], object]
    sample: int = field(default=350)


def key_of(number: int) -> str:
    """A public key."""
    return f"{number:064x}"


def host_of(number: int) -> str:
    """The longest address, each of another network."""
    return f"2001:db8:{number >> 16:04x}:{number & 65535:04x}:ffff:ffff:ffff:ffff"


def address_of(number: int) -> Address:
    """Where nobody else is."""
    return Address(host_of(number), PORT + number % 500)


def contact_of(number: int) -> Contact:
    """A node of the widest ring."""
    return Contact((1 << MOST_BITS - 1) + number, key_of(number), address_of(number), PORT)


def card_of(number: int, host: str | None) -> Card:
    """What such a node says of itself."""
    key = urlsafe_b64encode(bytes.fromhex(key_of(number))).decode().rstrip("=")
    return Card(key, host, PORT, PORT, f"{number:040x}")


def name_of(number: int) -> str:
    """The longest name of a file."""
    return WIDE * 61 + f"{number:06}"


def _floods(count: int) -> object:
    table = DuplicateFilter(2 * count, LIMITS.seen_s)
    for number in range(count):
        table.add(LARGE + number, LARGE - number, LARGE + number, number * 1e-6)
    return table


def _queries(count: int) -> object:
    senders = [address_of(number) for number in range(64)]
    table = reverse_paths.ReversePaths(cap=count, shares=1)
    for number in range(count):
        for way in range(4):
            table.query_received(f"{number:032x}", senders[(number + way) % 64], 1, 7, number * 1e-6)
    return table


def _counted(count: int) -> object:
    senders = [address_of(number) for number in range(64)]
    table = reverse_paths.ReversePaths(most_counted=count, shares=1)
    for number in range(count // 64):
        table.query_received(f"{number:032x}", senders[0], 1, 7, number * 1e-6)
        for sender in senders:
            table.admit_hits(f"{number:032x}", sender, number * 1e-6)
    return table


def _ends(count: int) -> object:
    neighbours_there = [address_of(number) for number in range(_MOST_NEIGHBOURS)]
    table = query_ends.QueryEnds(cap=count, shares=1)
    for number in range(count):
        query_id, now = f"{number:032x}", number * 1e-6
        table.passed_on(query_id, neighbours_there[0], 8, 16, neighbours_there, now)
        for place, neighbour in enumerate(neighbours_there):
            table.copy_received(query_id, neighbour, 1, now)
            table.end_received(QueryEnd(id=query_id, reach=16, parts=LARGE + place), neighbour, now)
            table.hit_received(query_id, neighbour, now)
        for neighbour in neighbours_there[:4]:
            table.hits_sent(query_id, neighbour, 1_000, now)
    return table


def _tables(count: int) -> object:
    made = []
    slots = [write_slots(range(part << 14, (part + 1) << 14, 16)) for part in range(4)]
    for _ in range(count):
        table = RouteTable()
        for part, on in enumerate(slots):
            table.apply_part(Table(base=0, version=2, bits=MOST_TABLE_BITS, part=part, parts=len(slots), on=on))
        made.append(table)
    return made


def _numbers(count: int) -> object:
    table = node_ids.NodeIds(random.Random(1))
    for number in range(count):
        node_id = (1 << 30) + number
        peer = Peer(node_id, key_of(number), address_of(number), seen_host=host_of(number))
        table.id_taken(peer, 0.0)
        table.id_freed(peer, number * 1e-6)
    return table


def _hits(count: int) -> object:
    found = findings.Findings(ANYTHING)
    for number in range(count):
        file = File(name=name_of(number), size=LARGE + number, digest=key_of(number))
        places = [host_of(4 * number + place) for place in range(4)]
        hits = [Found(id=LARGE + number, key=key_of(number), port=PORT, host=at, files=(file,)) for at in places]
        take_hits(found, "", hits)
    return found


def _records(count: int) -> object:
    found = findings.Findings(ANYTHING)
    for number in range(count):
        found.add(key_of(number), [SharedFile(name_of(number), LARGE + number, key_of(number), True)])
    return found


def _quotes(count: int) -> object:
    made = offers.Offers(ledger.Ledger(MemoryStore(MemorySales())), FakeNode(bazaar=WIDE * 16))
    made._quotes = FairTable(count, QUOTE_S, shares=1)
    for number in range(count):
        level = StockLevel(WIDE * 122 + f"{number:06}", LARGE, LARGE, 0, 0, LARGE + number)
        made._state(level, LARGE + number, LARGE + number, Origin(LARGE, (LARGE, LARGE - number)))
    return made


def _sites(count: int) -> object:
    table = rtt_table.RttTable()
    for number in range(count):
        site = table.at(address_of(number), 0.0)
        site.round_trip = rtt_table.Estimate(0.5 + number, 0.25 + number)
        site.note_answer(contact_of(number), number * 1e-6, 600.0)
        site._card, site._sender = card_of(number, None), contact_of(number)
        site._source = f"{number:040x}"
        table.remember(site, number * 1e-6)
    return table


def _parts(count: int) -> object:
    table = fragments.Assembly()
    for number in range(count):
        for part in range(MOST_PARTS - 1):
            text = "x" * (PART_CHARS - 10) + f"{number:010}"
            sender = contact_of(number)
            table.add(f"{number:032x}", part, MOST_PARTS, text, sender, host_of(number), number * 1e-6)
    return table


def _acquaintances() -> ValidatedAddresses:
    return ValidatedAddresses(
        Clock(),
        random.Random(1),
        Cookies(bytes(16), LIMITS.cookie_s),
        LIMITS,
        LIMITS.datagram_bytes,
        lambda message, data, address: None,
        lambda where: where,
    )


def _waiting(count: int) -> object:
    known = _acquaintances()
    for number in range(count):
        address = address_of(number)
        known.table.put((address.host, address.port), known.add(address, 0.0), host_of(number), 0.0)
        for _ in range(address_validation._MOST_WAITING):
            head = bytes(LIMITS.datagram_bytes - ROOM_BYTES - 1)
            known.send(Knock(nonce="", pad=str(number % 10) * 1_000), head, address, number * 1e-6)
    return known


def _correspondents(count: int) -> object:
    known = _acquaintances()
    for number in range(count):
        address = address_of(number)
        known.table.discard((address.host, address.port))
        entry = known.add(address, number * 1e-6)
        known._trust(entry, f"{number:016x}", 0.5 + number)
        entry.suffix, entry.due = f'"cookie":"{number:016x}"}}'.encode(), 0.25 + number
    return known


def _heard_of(count: int) -> object:
    table = Peers("", 8, count, LIMITS.known_s)
    for number in range(count):
        table.note_seen(Peer(LARGE + number, key_of(number), address_of(number)), host_of(number), number * 1e-6)
    return table


def _routes(count: int) -> object:
    table = Router([], 8 * count, LIMITS.known_s)
    for number in range(count):
        first = LARGE + LONGEST_PATH * number
        table.learn(tuple(range(first, first + LONGEST_PATH)), number * 1e-6)
    return table


def _broken(count: int) -> object:
    table = Router([], 8 * count, LIMITS.known_s)
    for number in range(count):
        table.forget_hop(LARGE + 2 * number, LARGE + 2 * number + 1, LARGE - number, number * 1e-6)
    return table


def _read(count: int) -> object:
    made = contact_encoding.ContactEncoder(contact_of(1 << 20), Ring(MOST_BITS))
    for number in range(count):
        made.read(card_of(number, host_of(number)), Address("192.0.2.1", 1))
    return made


def _written(count: int) -> object:
    made = contact_encoding.ContactEncoder(contact_of(1 << 20), Ring(MOST_BITS))
    for number in range(count):
        made.write(contact_of(number))
    return made


def _cached(count: int) -> object:
    for cache in (ring_messages.key_text, contact_encoding._key_of, contact_encoding._place_of):
        cache.cache_clear()
    for number in range(count):
        ring_messages.key_text(key_of(number))
        contact_encoding._key_of(card_of(number, None).key)
        contact_encoding._place_of(MOST_BITS, key_of(number))
    return None


def _reserved(count: int) -> object:
    table = reservations.Reservations()
    item = WIDE * 128
    for number in range(count):
        table.hold(item, LARGE + number, LARGE - number, 1, 1 << 40, number * 1e-6)
    return table


TABLES: Final[Mapping[str, Filled]] = {
    "queries that a super peer has passed on": Filled(65_536, _queries),
    "searches that have passed": Filled(LIMITS.seen_ids, _floods),
    "ids of nodes that have gone": Filled(node_ids._REMEMBERED, _numbers),
    "hits for the last questions, from super peers": Filled(findings.MOST_KEPT, _hits, 175),
    "tables of neighbours, whole": Filled(_MOST_NEIGHBOURS, _tables, 1),
    "quotes that a seller has made": Filled(offers._QUOTES_REMEMBERED, _quotes, 175),
    "addresses of a ring": Filled(rtt_table._REMEMBERED, _sites),
    "keys of a ring, as texts and places": Filled(ring_messages.key_text.cache_parameters()["maxsize"], _cached),
    "texts of which parts have come": Filled(fragments._MOST_UNDER_WAY, _parts, 88),
    "messages that wait for cookies, by address": Filled(address_validation._MOST_KNOCKED_AT, _waiting, 43),
    "queries that are not over for all": Filled(query_ends.MOST_COUNTED, _ends),
    "counts of hits, by query and neighbour": Filled(reverse_paths.MOST_COUNTED, _counted, 384),
    "paths learnt": Filled(LIMITS.known_paths, _routes),
    "addresses that datagrams are exchanged with": Filled(LIMITS.correspondents, _correspondents),
    "records for the last questions, from a ring": Filled(findings.MOST_KEPT, _records, 175),
    "addresses of nodes heard of": Filled(LIMITS.known_paths, _heard_of),
    "goods held back": Filled(reservations._MOST_RESERVATIONS, _reserved),
    "hops that are gone": Filled(LIMITS.known_paths, _broken),
    "contacts read from cards": Filled(contact_encoding._MOST_KEPT, _read),
    "contacts written on cards": Filled(contact_encoding._MOST_KEPT, _written),
}

# What is charged in bytes, and how many there may be.
BUDGETS: Final[Mapping[str, int]] = {
    "lists of an index server": directory.MOST_BYTES,
    "entries kept for a ring": store.MOST_WEIGHT,
    "lists and words of weak peers": leaves.MOST_BYTES,
    "links: read and not taken, or unsent": LIMITS.all_links_bytes,
    "requests that wait": pending.MOST_BYTES,
    "searches under way at a super peer": query_control.MOST_BYTES,
    "orders that wait for the book": ledger.MOST_WAITING_BYTES,
    "streams: bytes that nobody has taken": StreamLimits().most * StreamLimits().kept * DEFAULT_MSS,
    "tables of neighbours, of which parts are missing": neighbours.MOST_PENDING_BYTES,
}

_ANY_NODE: Final = (
    "links: read and not taken, or unsent",
    "searches that have passed",
    "paths learnt",
    "hops that are gone",
    "addresses of nodes heard of",
)
_BY_DATAGRAM: Final = ("messages that wait for cookies, by address", "addresses that datagrams are exchanged with")
# What a node of each kind has of all these.
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "a tracker": (*_ANY_NODE, "ids of nodes that have gone"),
    "a relay": _ANY_NODE,
    "a seller": (
        *_ANY_NODE,
        "orders that wait for the book",
        "quotes that a seller has made",
        "goods held back",
    ),
    "an index server": (
        *_ANY_NODE,
        "ids of nodes that have gone",
        "lists of an index server",
        "requests that wait",
    ),
    "a super peer": (
        *_ANY_NODE,
        *_BY_DATAGRAM,
        "lists and words of weak peers",
        "requests that wait",
        "searches under way at a super peer",
        "queries that a super peer has passed on",
        "counts of hits, by query and neighbour",
        "queries that are not over for all",
        "tables of neighbours, whole",
        "tables of neighbours, of which parts are missing",
    ),
    "a weak peer": (*_ANY_NODE, *_BY_DATAGRAM, "hits for the last questions, from super peers"),
    "a member of a ring": (
        *_ANY_NODE,
        *_BY_DATAGRAM,
        "entries kept for a ring",
        "addresses of a ring",
        "keys of a ring, as texts and places",
        "texts of which parts have come",
        "records for the last questions, from a ring",
        "contacts read from cards",
        "contacts written on cards",
        "streams: bytes that nobody has taken",
    ),
}
