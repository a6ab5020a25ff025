"""The pages under docs/specification, held against the message classes.

Each page says everything about the messages of one system: here every table row is compared with the
class it describes, so that neither can change without the other.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import pkgutil
import re
import unicodedata
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec.inspect
from attrs import fields

import twisted_bazaar
from tests.docs.pages import (
    FILES,
    INDEX,
    MARKET,
    RING,
    ROOT,
    SPECIFICATION,
    START,
    SUPERPEER,
    TRADE,
    PageTests,
    Table,
    blocks,
    datagrams,
    dialogue,
    section,
    table_with,
    tables,
    word,
    words,
)
from tests.docs.pages import OF_MESSAGES as PAGES
from twisted_bazaar.byte_budget import MIB
from twisted_bazaar.discovery.flood.search import DIRECT_LINK_S, DIRECT_TRY_S, REACHES, ROUND_S
from twisted_bazaar.discovery.index import words as index_words
from twisted_bazaar.discovery.index.client import member, search
from twisted_bazaar.discovery.index.directory import directory, leases, weights
from twisted_bazaar.discovery.index.messages import Busy, File, FoundFiles, Hit, Seller, Source, TooMany
from twisted_bazaar.discovery.index.scheduling import fair_queue, pending
from twisted_bazaar.discovery.offer import GATHER_S
from twisted_bazaar.discovery.ring.rpc.messages import Card, RingMessage, Seen
from twisted_bazaar.discovery.ring.storage.entry import Kept
from twisted_bazaar.discovery.ring.storage.messages import Listed, Marked
from twisted_bazaar.discovery.superpeer.leaf import pending_queries, registrations
from twisted_bazaar.discovery.superpeer.messages import Found, Other, Place
from twisted_bazaar.discovery.superpeer.neighbours import neighbours
from twisted_bazaar.discovery.superpeer.qrp import sync
from twisted_bazaar.discovery.superpeer.qrp.slot_set import read_slots, write_slots
from twisted_bazaar.discovery.superpeer.qrp.tables import (
    hash_of,
    most_slots,
    token_of_seller,
    tokens_of_file,
    tokens_of_item,
)
from twisted_bazaar.discovery.superpeer.ultrapeer import (
    dynamic_query,
    forwarding,
    policy,
    promotion,
    query_control,
    query_ends,
    query_hits,
    reverse_paths,
)
from twisted_bazaar.errors import PeerError, SoldOut
from twisted_bazaar.identity.signed import LONGEST_PAYLOAD_BYTES, Envelope, Signature, Statement
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.trade.contract import Answer, ByBuyer, BySeller, Presence, Purchase, Quote, Receipt, Withdrawal
from twisted_bazaar.trade.order import EXPIRED
from twisted_bazaar.trade.reservations import RESERVATION_S
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.framing import LARGEST_FRAME, FrameSplitter, frame
from twisted_bazaar.wire.message import LARGEST_INTEGER, LARGEST_TTL, MESSAGE_TYPES, Flooded, Message, Routed

# What begins with less is binary.
FIRST_OF_JSON: Final = 0x20
# What stands in the messages of an index server, by the title of its section.
LISTED: Mapping[str, type[msgspec.Struct]] = {
    "A file": File,
    "A hit": Hit,
    "A source": Source,
    "A seller": Seller,
}
# What stands in the messages of super peers.
NAMED: Mapping[str, type[msgspec.Struct]] = {
    "Who has it": Found,
    "Another super peer": Other,
    "A place": Place,
}
# What stands in the messages of a ring.
CARRIED: Mapping[str, type[msgspec.Struct]] = {
    "A card": Card,
    "Where somebody is seen": Seen,
    "An entry in a list": Listed,
    "An entry in a span": Marked,
    "What is kept": Kept,
}
# What goes by datagram, and by nothing else, but for what a ring says; and what goes over links as well.
BY_DATAGRAM: Final = frozenset({"knock", "cookie", "stale", "superhello"})
BY_BOTH: Final = frozenset({"query", "queryhit", "queryend", "table"})
# What the layer of datagrams adds to a message.
COOKIE: Final = re.compile(
    rb',"give":"[0-9a-f]{16}"(,"pad":"0*"|,"cookie":"[0-9a-f]{16}")(?=\}$)|,"cookie":"[0-9a-f]{16}"(?=\}$)'
)
# What is signed, by the title of its section.
SIGNED: Mapping[str, type[msgspec.Struct]] = {
    "The envelope": Envelope,
    "The signature": Signature,
    "The quote": Quote,
    "The presence": Presence,
    "The purchase": Purchase,
    "The withdrawal": Withdrawal,
    "The answer": Answer,
}


def own_messages() -> dict[str, type[Message]]:
    """Every message class of the package, by wire name: not those of tests and of other people's roles."""
    for module in pkgutil.walk_packages(twisted_bazaar.__path__, "twisted_bazaar."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {name: cls for name, cls in MESSAGE_TYPES.items() if cls.__module__.startswith("twisted_bazaar.")}


def own_codec() -> Codec:
    """A codec for the messages of the package."""
    return Codec(own_messages().values())


def number(value: int) -> str:
    """A bound as the pages write it."""
    return "2^53" if value == LARGEST_INTEGER else str(value)


def type_and_limit(kind: Any) -> tuple[str, str]:
    """How a page has to describe a key: its type, and how its limit begins."""
    match kind:
        case msgspec.inspect.UnionType():
            (only,) = (each for each in kind.types if not isinstance(each, msgspec.inspect.NoneType))
            return type_and_limit(only)
        case msgspec.inspect.BoolType():
            return "boolean", "`true` or `false`"
        case msgspec.inspect.IntType(le=None, lt=None):
            return "integer", f"{kind.ge} or more"
        case msgspec.inspect.IntType():
            return "integer", f"{number(kind.ge)} to {number(kind.lt - 1 if kind.le is None else kind.le)}"
        case msgspec.inspect.StrType() if kind.min_length == kind.max_length:
            return "string", f"{kind.max_length} characters"
        case msgspec.inspect.StrType():
            return "string", f"{kind.min_length or 0} to {kind.max_length} characters"
        case msgspec.inspect.BytesType():
            return "base64", f"{kind.min_length or 0} to {kind.max_length} bytes"
        case msgspec.inspect.LiteralType():
            *most, last = (f"`{value}`" for value in sorted(map(str, kind.values)))
            return "string", f"{', '.join(most)} or {last}"
        case msgspec.inspect.EnumType():
            *most, last = (f"`{member.value}`" for member in sorted(kind.cls, key=lambda member: member.value))
            return "string", f"{', '.join(most)} or {last}"
        case msgspec.inspect.StructType() if kind.cls is Envelope:
            return "envelope", f"at most {LONGEST_PAYLOAD_BYTES} bytes of payload"
        case msgspec.inspect.StructType() if kind.array_like:
            least = sum(field.required for field in kind.fields)
            most_items = len(kind.fields)
            return (
                kind.cls.__name__.lower(),
                f"{least} to {most_items} items" if least < most_items else f"{least} items",
            )
        case msgspec.inspect.VarTupleType() if isinstance(kind.item_type, msgspec.inspect.StructType):
            what = f"array of {kind.item_type.cls.__name__.lower()}"
            return what, f"{kind.min_length or 0} to {kind.max_length} items"
        case msgspec.inspect.VarTupleType():
            item, limit = type_and_limit(kind.item_type)
            what = "names" if item == "string" else "ids"
            return f"array of {item}", f"{kind.min_length or 0} to {kind.max_length} {what}, each {limit}"
    raise AssertionError(f"no page can describe {kind!r} yet")


def if_absent(field: Any) -> str:
    """How a page has to say what a missing key means."""
    if field.required:
        return "required"
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    if isinstance(default, bytes):
        default = base64.b64encode(default).decode()
    return "none" if default is None else f"`{json.dumps(default)}`"


def travels(cls: type[Message]) -> str:
    """The word for how far a message goes."""
    name = str(cls.__struct_config__.tag)
    if issubclass(cls, RingMessage):
        return "datagram"
    if name in BY_DATAGRAM | BY_BOTH:
        return "datagram" if name in BY_DATAGRAM else "link, datagram"
    return "flooded" if issubclass(cls, Flooded) else "routed" if issubclass(cls, Routed) else "link"


def described(table: Table, cls: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a table says of the keys of a class, and what is true; words may follow the numbers of a limit."""
    said = {word(row["Key"]): (row["Type"], row["If absent"], row["Limit"]) for row in table}
    true = {}
    for field in msgspec.inspect.type_info(cls).fields:  # type: ignore[attr-defined]
        kind, limit = type_and_limit(field.type)
        told = said.get(field.encode_name, ("", "", ""))[2]
        agrees = told == limit or told.startswith(limit + ",")
        true[field.encode_name] = (kind, if_absent(field), told if agrees else limit)
    return said, true


class StartTests(PageTests):
    """The page that says which page says what."""

    def test_pages(self) -> None:
        """It names each page of the specification, and what it links to is there."""
        rows = table_with(section(START, "Which page says what"), "Page")
        named = [re.findall(r"\]\(([\w-]+\.md)\)", row["Page"])[0] for row in rows]
        self.assert_lists(START, named, list(SPECIFICATION))
        for name, anchor in re.findall(r"\]\(([\w-]+\.md)#([\w-]+)\)", START):
            headings = re.findall(r"^#+ (.+)$", SPECIFICATION[name], re.MULTILINE)
            self.assertIn(anchor, [heading.lower().replace(" ", "-") for heading in headings], name)


class MessageTableTests(PageTests):
    """The message tables."""

    def test_every_message_has_a_section(self) -> None:
        """Each message class of the package stands in exactly one page, under its wire name."""
        places = {
            name: [page for page, text in PAGES.items() if re.search(rf"^### {name}$", text, re.MULTILINE)]
            for name in own_messages()
        }
        for name, pages in places.items():
            self.assertEqual(len(pages), 1, f"the message {name} has a section in {pages or 'no page'}")

    def test_no_section_without_a_message(self) -> None:
        """A page describes no message that there is not."""
        for page in PAGES.values():
            described = set(re.findall(r"^### (\w+)$", page, re.MULTILINE))
            self.assertEqual(described - own_messages().keys(), set(), page.where)

    def test_keys(self) -> None:
        """Every key of every message has a row with its type, its limit and what its absence means; no row is idle."""
        messages = own_messages()
        for page in PAGES.values():
            for name in re.findall(r"^### (\w+)$", page, re.MULTILINE):
                rows = [row for table in tables(section(page, name)) for row in table]
                self.assert_tells(section(page, name), *described(rows, messages[name]))

    def test_signed(self) -> None:
        """The same holds for envelopes, and for every kind of statement in them."""
        kinds = (cls for maker in (BySeller, ByBuyer) for cls in maker.__subclasses__())
        own = {cls for cls in kinds if cls.__module__.startswith("twisted_bazaar.")}
        self.assertEqual({cls for cls in SIGNED.values() if issubclass(cls, Statement)}, own)
        for title, cls in SIGNED.items():
            text = section(TRADE, title)
            self.assert_tells(text, *described(table_with(text, "Key", "Type"), cls))

    def test_receipt(self) -> None:
        """The keys of a receipt are those of the code."""
        table = table_with(section(TRADE, "Receipts"), "Key", "Type")
        said = {word(row["Key"]): (row["Type"], row["Limit"]) for row in table}
        true = {field.encode_name: type_and_limit(field.type) for field in msgspec.inspect.type_info(Receipt).fields}  # type: ignore[attr-defined]
        self.assert_tells(section(TRADE, "Receipts"), said, true)

    def test_overview(self) -> None:
        """The table of messages names each once, says how it travels, who sends it and what answers it."""
        for page in PAGES.values():
            overview = table_with(section(page, "Messages"))
            said = {word(row["Message"]): row["Travels"] for row in overview}
            here = set(re.findall(r"^### (\w+)$", page, re.MULTILINE))
            true = {name: travels(cls) for name, cls in own_messages().items() if name in here}
            self.assert_tells(section(page, "Messages"), said, true)
            self.assertEqual([row for row in overview if not all(row.values())], [], page.where)


class MarketTests(PageTests):
    """What the market's page says besides."""

    def test_error_codes(self) -> None:
        """The codes in the table are those that an C{error} carries; the others stand in signed answers."""
        table = table_with(section(MARKET, "Error codes"))
        known = {PeerError.code}
        classes = [PeerError]
        while classes:
            classes.extend(children := classes.pop().__subclasses__())
            known.update(cls.code for cls in children if cls.__module__ == "twisted_bazaar.errors")
        self.assert_lists(section(MARKET, "Error codes"), {word(row["Code"]) for row in table}, known - {SoldOut.code})
        answers = section(TRADE, "The answer")
        told = {word(row["`code`"]) for row in table_with(answers, "`code`")}
        self.assert_lists(answers, told, {SoldOut.code, EXPIRED})

    def test_limits(self) -> None:
        """Every limit of a node has a row with its default."""
        table = table_with(section(MARKET, "Limits"), "Name")
        said = {word(row["Name"]): float(row["Default"].split()[0]) for row in table}
        true = {field.name.replace("_", "-"): field.default for field in fields(Limits)}
        self.assert_tells(section(MARKET, "Limits"), said, true)

    def test_times(self) -> None:
        """The reaches and times in the sentences are those of the code."""
        told = {
            "How a buyer behaves": (
                f"a `search` with `ttl` {REACHES[0]}. If no reply has come after {ROUND_S[0]:g} s, send",
                f"`ttl` {REACHES[1]} and a new `id`; if none after {ROUND_S[1]:g} s more, one with `ttl` {REACHES[2]}",
                f"give up {ROUND_S[2]:g} s later",
                f"wait {GATHER_S:g} s for others",
            ),
            "How a seller behaves": (
                f"made for this is kept for {DIRECT_LINK_S:g} s",
                f"holds the units back for that buyer for {RESERVATION_S:g} s",
            ),
            "Floods": (f"If that has not worked within {DIRECT_TRY_S:g} s",),
        }
        for title, sentences in told.items():
            self.assert_says(section(MARKET, title), *sentences)

    def test_dialogues(self) -> None:
        """Each line of the dialogues is one frame that holds one message, as a daemon would write it."""
        for page in PAGES.values():
            lines = list(dialogue(page))
            self.assertGreater(len(lines) + len(list(datagrams(page))), 10, page.where)
            for speaker, _, data in lines:
                splitter = FrameSplitter(LARGEST_FRAME)
                splitter.receive(data)
                (payload,) = splitter.next_frames(2)
                self.assertFalse(splitter.unfinished)
                if payload[0] < FIRST_OF_JSON:
                    continue
                message = own_codec().decode(payload)
                if speaker != "client":
                    self.assertEqual(frame(own_codec().encode(message)), data, "a daemon would not have written this")

    def test_datagrams(self) -> None:
        """Each line of datagrams is one message, with a cookie or without, as a daemon would write it."""
        for page in PAGES.values():
            for speaker, _, data in datagrams(page):
                bare = COOKIE.sub(b"", data)
                message = own_codec().decode(bare)
                self.assertIn("datagram", travels(type(message)))
                if speaker not in ("client", "visitor"):
                    self.assertEqual(own_codec().encode(message), bare, "a daemon would not have written this")

    def test_examples_in_the_text(self) -> None:
        """Frames shown in sentences are frames too."""
        examples = re.findall(r"`(\d+:\{[^`]*\},)`", MARKET)
        self.assertNotEqual(examples, [])
        for example in examples:
            splitter = FrameSplitter(LARGEST_FRAME)
            splitter.receive(example.encode())
            (payload,) = splitter.next_frames(2)
            own_codec().decode(payload)

    def test_dialogue_is_coherent(self) -> None:
        """In each dialogue the answers carry the ids and the reversed paths of what they answer."""
        for title in ("A dialogue, direct", "A dialogue over a relay"):
            said = [
                (speaker, own_codec().decode(data.partition(b":")[2][:-1]))
                for speaker, _, data in dialogue(section(MARKET, title))
            ]
            named: dict[str, Any] = {message.wire_name: message for speaker, message in said if speaker == "client"}
            answered: dict[str, Any] = {message.wire_name: message for speaker, message in said if speaker == "seller"}
            search, reply = named["search"], answered["reply"]
            self.assertEqual((reply.id, reply.item), (search.id, search.item))
            terms = reply.quote.open(Quote)
            self.assertEqual(
                (terms.item, terms.quantity, terms.price, terms.seller),
                (reply.item, reply.quantity, reply.price, answered["thisisme"].key),
            )
            way = [message.return_path for speaker, message in said if message.wire_name == "search"][-1]
            self.assertEqual(reply.path and reply.path[1:], way[::-1] if len(way) > 1 else None)


class IndexTests(PageTests):
    """What the page of the index server says besides."""

    def test_listed(self) -> None:
        """What stands in messages has tables like theirs."""
        for title, cls in LISTED.items():
            text = section(INDEX, title)
            self.assert_tells(text, *described(table_with(text, "Key", "Type"), cls))

    def test_codes(self) -> None:
        """The codes that only an index server uses are those of the code."""
        table = table_with(section(INDEX, "Errors"))
        told = {word(row["Code"]) for row in table}
        self.assert_lists(section(INDEX, "Errors"), told, told | {Busy.code, TooMany.code})

    def test_numbers(self) -> None:
        """The numbers in the sentences are those of the code."""
        self.assert_says(
            INDEX,
            f"{directory.LEASE_S:g} s, unless",
            f"{directory.MOST_A_PEER} entries",
            f"{directory.MOST_BYTES // MIB} MiB, `--list-memory`",
            f"a peer {weights.LISTER_BYTES} bytes",
            f"{fair_queue.MOST_WAITING} messages, {pending.MOST_WAITING_BYTES // MIB} MiB",
            f"{pending.MOST_BYTES // MIB} MiB; of one host",
            f"to {pending.MOST_UNDER_WAY} requests under way",
            f"kept for {leases.KEPT_S:g} s",
            f"{pending.QUESTIONS_AT_ONCE} questions at once, then {pending.QUESTIONS_A_SECOND} a second",
            f"{fair_queue.MOST_WAITING} messages",
            f"the first {index_words.MOST_WORDS} words",
            f"within {member.ANSWER_S:g} s",
            f"{search.MOST_ASKED} of the sellers named, in random order, {search.ASKED_AT_ONCE} at a time",
            f"linked to in {search.REACH_S:g} s, or does not answer in {search.ANSWER_S:g} s",
            f"kept {search.LINK_WITH_OFFER_S:g} s after an offer",
            f"looks again every {search.LOOK_AGAIN_S:g} s",
            f"{search.INQUIRIES_A_MINUTE:,} a minute",
        )

    def test_words(self) -> None:
        """The names on the page are cut into the words that stand there, and words are of the categories named."""
        text = section(INDEX, "Words")
        [vectors] = blocks(text, "text")
        read = json.JSONDecoder().raw_decode
        for line in vectors.splitlines():
            name, end = read(line)
            self.assertEqual(index_words.words_of(name), json.loads(line[end:]), line)
        self.assertGreater(len(vectors.splitlines()), 15)
        for character in map(chr, range(0x110000)):
            if not (0xD800 <= ord(character) < 0xE000):
                is_word = unicodedata.category(character)[0] in "LN"
                self.assertEqual(bool(index_words.WORD.fullmatch(character)), is_word, hex(ord(character)))
        found = re.search(r"`([^`]+)` finds\s+`([^`]+)`; `([^`]+)` finds `([^`]+)` and `([^`]+)`, not `([^`]+)`", text)
        assert found is not None
        few, its, one, first, second, other = found.groups()
        for question, name, fits in ((few, its, True), (one, first, True), (one, second, True), (one, other, False)):
            self.assertIs(index_words.is_fitting(name, *index_words.question_of(question)), fits, name)

    def test_dialogue_is_coherent(self) -> None:
        """Each answer carries the id of what it answers, and a page goes on where the one before ended."""
        said = [
            (speaker, own_codec().decode(data.partition(b":")[2][:-1]))
            for speaker, _, data in dialogue(section(INDEX, "A dialogue"))
        ]
        asked: Any = None
        for speaker, message in said:
            if speaker == "client":
                asked = message
            elif hasattr(message, "id") and message.wire_name not in ("thisisme", "thisisyou"):
                self.assertEqual(message.id, asked.id)
        ends = [message.next for _, message in said if isinstance(message, FoundFiles) and message.next is not None]
        self.assertEqual(len([None for _, message in said if getattr(message, "after", None) in ends]), 1)


class SuperPeerTests(PageTests):
    """What the page of super peers says besides."""

    def test_named(self) -> None:
        """What stands in messages has tables like theirs."""
        for title, cls in NAMED.items():
            text = section(SUPERPEER, title)
            self.assert_tells(text, *described(table_with(text, "Key", "Type"), cls))

    def test_tokens(self) -> None:
        """The hashes and slots in the table are those of the code, and its tokens those of files, goods and sellers."""
        text = section(SUPERPEER, "Where a slot is")
        tokens = set()
        for row in table_with(text, "Token", "Hash"):
            token = words(row["Token"])[0].replace("\\0", "\0")
            hashed = hash_of(token)
            said = (word(row["Hash"]), int(row["Slot of 2^16"]), int(row["Slot of 2^20"]))
            self.assertEqual(said, (f"{hashed:08x}", hashed >> 16, hashed >> 12))
            tokens.add(token)
        digest = next(token for token in tokens if token.startswith("d:"))[2:]
        key = next(token for token in tokens if token.startswith("s:")).partition("\0")[2]
        true = tokens_of_file("A Song.txt", digest) | tokens_of_file("Größe.txt", digest)
        true |= tokens_of_item("bazaar", "apple") | {token_of_seller("bazaar", key)}
        self.assertEqual(tokens - true, set())

    def test_gaps(self) -> None:
        """The slots that stand in the text are written as it says."""
        found = re.search(r'^    ([\d, ]+)   gaps ([\d, ]+)   bytes ([\da-f ]+)   "(.+)"$', SUPERPEER, re.MULTILINE)
        assert found is not None
        slots, gaps = ([int(number) for number in found[place].split(", ")] for place in (1, 2))
        self.assertEqual(gaps, [slots[0], *(after - before for before, after in pairwise(slots))])
        self.assertEqual(write_slots(slots), found[4])
        self.assertEqual(base64.b64decode(found[4]), bytes.fromhex(found[3]))

    def test_numbers(self) -> None:
        """The numbers in the sentences are those of the code."""
        self.assert_says(
            SUPERPEER,
            f"Who has more than {most_slots(20)} slots",
            f"drops it if `hops` is {LARGEST_TTL} or more",
            f"At most {sync.PARTS_AT_ONCE} parts go at once",
            f"after {sync.BETWEEN_PARTS_S:g} s, of {sync._MOST_PARTS:g} and {sync._PARTS_A_SECOND:g} a second",
            f"every {neighbours.HELLO_S * neighbours._EARLIEST:g} to {neighbours.HELLO_S:g} s",
            f"said nothing by datagram for {neighbours.SILENCE_S:g} s",
            f"while it has fewer than it wants, {neighbours.DEGREE}.",
            f"but {neighbours.LEAST_COMING} at least",
            f"farthest, which is `--ttl` {policy.TTL}, or less if that has a horizon of {dynamic_query.FAR_ENOUGH:,}",
            f"or after {dynamic_query.LONGEST_S:g} s. A round has {dynamic_query.WAIT_S:g} s for each unit of reach",
            f"no more than `--results` {policy.RESULTS}",
            f"{forwarding.MOST_PART_BYTES} without",
            f"{query_control.MOST_UNDER_WAY} under way",
            f"{query_control.MOST_BYTES // MIB} MiB, {query_control.SEARCH_BYTES} bytes each and "
            f"{query_hits.HIT_BYTES} for each hit",
            f"not ended them | {query_ends.MOST_COUNTED}, an eighth of them from one neighbour; "
            f"{query_ends.LIFETIME_S:g} s",
            f"counted for {reverse_paths.MOST_COUNTED} queries and neighbours",
            f"one in {promotion._BETWEEN_S:g} s, and the same node again after {promotion._ASKED_S:g} s",
            f"not answered `register` in {registrations.REGISTER_S:g} s",
            f"no `queryend` after {pending_queries.SEARCH_S:g} s",
        )

    def test_dialogue_is_coherent(self) -> None:
        """Each answer is to something that was asked, and each table has the words that were listed."""
        said = [
            *((speaker, data.partition(b":")[2][:-1]) for speaker, _, data in dialogue(SUPERPEER)),
            *((speaker, data) for speaker, _, data in datagrams(SUPERPEER)),
        ]
        messages = [(speaker, json.loads(data)) for speaker, data in said]
        asked = {
            message["id"] for _, message in messages if message["type"] in ("register", "renew", "update", "query")
        }
        for _, message in messages:
            if message["type"] in ("registered", "listed", "queryhit", "queryend"):
                self.assertIn(message["id"], asked)
        [update] = (message for _, message in messages if message["type"] == "update")
        listed = {
            hash_of(token) >> 12 for file in update["add"] for token in tokens_of_file(file["name"], file["digest"])
        }
        [first, *_] = (message for speaker, message in messages if message["type"] == "table" and speaker == "client")
        self.assertEqual(set(read_slots(first["on"], 20)), listed)
        [hub] = (message for speaker, message in messages if message["type"] == "table" and speaker == "hub")
        self.assertLessEqual({slot >> 4 for slot in listed}, set(read_slots(hub["on"], 16)))

    def test_every_message_is_heard(self) -> None:
        """Each message of the page stands in one of its dialogues, and in each way in which it travels."""
        over_links = {json.loads(data.partition(b":")[2][:-1])["type"] for _, _, data in dialogue(SUPERPEER)}
        by_datagram = {json.loads(data)["type"] for _, _, data in datagrams(SUPERPEER)}
        overview = table_with(section(SUPERPEER, "Messages"))
        for way, heard in (("link", over_links), ("datagram", by_datagram)):
            said = {word(row["Message"]) for row in overview if way in row["Travels"].split(", ")}
            self.assert_lists(f"{SUPERPEER.where}, in what is said by {way},", said & heard, said)


class RingTests(PageTests):
    """What the page of rings says besides."""

    def test_questions(self) -> None:
        """The page names the messages that need no cookie."""
        [sentence] = re.findall(r"Each needs a \[cookie\].*?\.\n", section(RING, "Messages"), re.DOTALL)
        true = {name for name, cls in own_messages().items() if cls.is_question}
        told = {each for each in words(sentence) if each.startswith("ring")}
        self.assert_lists(f"{RING.where}, in the sentence on cookies,", told, true)

    def test_carried(self) -> None:
        """What stands in messages has tables like theirs."""
        for title, cls in CARRIED.items():
            text = section(RING, title)
            self.assert_tells(text, *described(table_with(text, "Key", "Type"), cls))

    def test_dialogue_is_coherent(self) -> None:
        """Each answer has the stamp of a question before it, and goes back to who has asked."""
        answers = {"ringpong", "ringfound", "ringexit", "ringstored", "ringtransfer", "ringcompared", "ringnoted"}
        asked = set[tuple[str, str, int]]()
        for speaker, listener, data in datagrams(RING):
            message = own_codec().decode(COOKIE.sub(b"", data))
            if not isinstance(message, RingMessage):
                continue
            if message.wire_name in answers:
                self.assertIn((listener, speaker, message.stamp), asked)
            asked.add((speaker, listener, message.stamp))

    def test_every_message_is_heard(self) -> None:
        """Each message of the page stands in one of its dialogues."""
        heard = {json.loads(data)["type"] for _, _, data in datagrams(RING)}
        overview = table_with(section(RING, "Messages"))
        said = {word(row["Message"]) for row in overview}
        self.assert_lists(f"{RING.where}, in its dialogues,", said & heard, said)


class FileTests(PageTests):
    """What the page of transfers says besides."""

    def test_dialogue_is_coherent(self) -> None:
        """What is sent in the dialogue is the file that was asked for, by its manifest."""
        frames = [data.partition(b":")[2][:-1] for _, _, data in dialogue(section(FILES, "A dialogue"))]
        fetch = json.loads(frames[0])
        manifest = json.loads(frames[1])
        [page] = (frame for frame in frames if frame[0] == 0x01)
        [block] = (frame for frame in frames if frame[0] == 0x02)
        digests, content = page[5:], block[9:]
        self.assertEqual((page[1:5], block[1:9]), (bytes(4), bytes(8)))
        self.assertEqual(hashlib.sha256(digests).hexdigest(), manifest["root"])
        self.assertEqual((hashlib.sha256(content).digest(), len(content)), (digests, manifest["size"]))
        self.assertEqual(hashlib.sha256(content).hexdigest(), fetch["digest"])


class LinkTests(PageTests):
    """Links inside the documents."""

    def test_targets_exist(self) -> None:
        """Every link in a page leads to a file, or to a heading of the page, that there is."""
        pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        broken = [
            f"{page.relative_to(ROOT)}: {target}"
            for page in pages
            for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
            if not target.startswith("http") and not leads_somewhere(page, target)
        ]
        self.assertEqual(broken, [])


def leads_somewhere(page: Path, target: str) -> bool:
    """Whether the target of a link is there."""
    name, _, anchor = target.partition("#")
    goal = page if not name else page.parent / name
    if not goal.exists():
        return False
    if not anchor:
        return True
    headings = re.findall(r"^#+ (.*)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
