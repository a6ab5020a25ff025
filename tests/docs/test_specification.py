"""The pages under docs/specification, held against the message classes.

Each page says everything about the messages of one system: here every table row is compared with the
class it describes, so that neither can change without the other.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec.inspect
from attrs import fields
from twisted.trial.unittest import SynchronousTestCase

import twisted_bazaar
from tests.docs.pages import FILES, INDEX, MARKET, ROOT, TRADE, Table, dialogue, flat, section, table_with, tables, word
from tests.docs.pages import SPECIFICATION as PAGES
from twisted_bazaar.discovery.flood.search import DIRECT_LINK_S, DIRECT_TRY_S, REACHES, ROUND_S
from twisted_bazaar.discovery.index import allowance, directory, listers, member, search, turns, words
from twisted_bazaar.discovery.index.messages import Busy, File, FoundFiles, Hit, Seller, Source, TooMany
from twisted_bazaar.discovery.offer import GATHER_S
from twisted_bazaar.errors import PeerError, SoldOut
from twisted_bazaar.identity.signed import LONGEST_PAYLOAD_BYTES, Envelope, Signature, Statement
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.trade.contract import Answer, ByBuyer, BySeller, Presence, Purchase, Quote, Receipt, Withdrawal
from twisted_bazaar.trade.order import EXPIRED
from twisted_bazaar.trade.reservations import RESERVATION_S
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.framing import LARGEST_FRAME, FrameSplitter, frame
from twisted_bazaar.wire.message import LARGEST_INTEGER, MESSAGE_TYPES, Flooded, Message, Routed

# What begins with less is binary.
FIRST_OF_JSON: Final = 0x20
# What stands in the messages of an index server, by the title of its section.
LISTED: Mapping[str, type[msgspec.Struct]] = {
    "A file": File,
    "A hit": Hit,
    "A source": Source,
    "A seller": Seller,
}
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
        case msgspec.inspect.IntType():
            return "integer", f"{number(kind.ge)} to {number(kind.lt - 1 if kind.le is None else kind.le)}"
        case msgspec.inspect.StrType() if kind.min_length == kind.max_length:
            return "string", f"{kind.max_length} characters"
        case msgspec.inspect.StrType():
            return "string", f"{kind.min_length or 0} to {kind.max_length} characters"
        case msgspec.inspect.BytesType():
            return "base64", f"{kind.min_length or 0} to {kind.max_length} bytes"
        case msgspec.inspect.EnumType():
            *most, last = (f"`{member.value}`" for member in sorted(kind.cls, key=lambda member: member.value))
            return "string", f"{', '.join(most)} or {last}"
        case msgspec.inspect.StructType() if kind.cls is Envelope:
            return "envelope", f"at most {LONGEST_PAYLOAD_BYTES} bytes of payload"
        case msgspec.inspect.VarTupleType() if isinstance(kind.item_type, msgspec.inspect.StructType):
            return f"array of {kind.item_type.cls.__name__.lower()}", f"{kind.min_length} to {kind.max_length} items"
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
    return "none" if default is None else f"`{json.dumps(default)}`"


def travels(cls: type[Message]) -> str:
    """The word for how far a message goes."""
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


class MessageTableTests(SynchronousTestCase):
    """The message tables."""

    def test_every_message_has_a_section(self) -> None:
        """Each message class of the package stands in exactly one page, under its wire name."""
        places = {
            name: [page for page, text in PAGES.items() if re.search(rf"^### {name}$", text, re.MULTILINE)]
            for name in own_messages()
        }
        self.assertEqual([name for name, pages in places.items() if len(pages) != 1], [])

    def test_no_section_without_a_message(self) -> None:
        """A page describes no message that there is not."""
        described = {name for text in PAGES.values() for name in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
        self.assertEqual(described - own_messages().keys(), set())

    def test_keys(self) -> None:
        """Every key of every message has a row with its type, its limit and what its absence means; no row is idle."""
        messages = own_messages()
        for page in PAGES.values():
            for name in re.findall(r"^### (\w+)$", page, re.MULTILINE):
                rows = [row for table in tables(section(page, name)) for row in table]
                said, true = described(rows, messages[name])
                self.assertEqual(said, true, f"the section of {name!r}")

    def test_signed(self) -> None:
        """The same holds for envelopes, and for every kind of statement in them."""
        kinds = (cls for maker in (BySeller, ByBuyer) for cls in maker.__subclasses__())
        own = {cls for cls in kinds if cls.__module__.startswith("twisted_bazaar.")}
        self.assertEqual({cls for cls in SIGNED.values() if issubclass(cls, Statement)}, own)
        for title, cls in SIGNED.items():
            said, true = described(table_with(section(TRADE, title), "Key", "Type"), cls)
            self.assertEqual(said, true, f"the section {title!r}")

    def test_receipt(self) -> None:
        """The keys of a receipt are those of the code."""
        table = table_with(section(TRADE, "Receipts"), "Key", "Type")
        said = {word(row["Key"]): (row["Type"], row["Limit"]) for row in table}
        true = {field.encode_name: type_and_limit(field.type) for field in msgspec.inspect.type_info(Receipt).fields}  # type: ignore[attr-defined]
        self.assertEqual(said, true)

    def test_overview(self) -> None:
        """The table of messages names each once, says how it travels, who sends it and what answers it."""
        for page in PAGES.values():
            (overview,) = tables(section(page, "Messages"))
            said = {word(row["Message"]): row["Travels"] for row in overview}
            here = set(re.findall(r"^### (\w+)$", page, re.MULTILINE))
            self.assertEqual(said, {name: travels(cls) for name, cls in own_messages().items() if name in here})
            self.assertEqual([row for row in overview if not all(row.values())], [])


class MarketTests(SynchronousTestCase):
    """What the market's page says besides."""

    def test_error_codes(self) -> None:
        """The codes in the table are those that an C{error} carries; the others stand in signed answers."""
        (table,) = tables(section(MARKET, "Error codes"))
        known = {PeerError.code}
        classes = [PeerError]
        while classes:
            classes.extend(children := classes.pop().__subclasses__())
            known.update(cls.code for cls in children if cls.__module__ == "twisted_bazaar.errors")
        self.assertEqual({word(row["Code"]) for row in table}, known - {SoldOut.code})
        answers = table_with(section(TRADE, "The answer"), "`code`")
        self.assertEqual({word(row["`code`"]) for row in answers}, {SoldOut.code, EXPIRED})

    def test_limits(self) -> None:
        """Every limit of a node has a row with its default."""
        (table,) = tables(section(MARKET, "Limits"))
        said = {word(row["Name"]): float(row["Default"].split()[0]) for row in table}
        self.assertEqual(said, {field.name.replace("_", "-"): field.default for field in fields(Limits)})

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
                f"holds the pieces back for that buyer for {RESERVATION_S:g} s",
            ),
            "Floods": (f"If that has not worked within {DIRECT_TRY_S:g} s",),
        }
        for title, sentences in told.items():
            text = flat(section(MARKET, title))
            self.assertEqual([sentence for sentence in sentences if sentence not in text], [])

    def test_dialogues(self) -> None:
        """Each line of the dialogues is one frame that holds one message, as a daemon would write it."""
        for page in PAGES.values():
            lines = list(dialogue(page))
            self.assertGreater(len(lines), 10)
            for speaker, _, data in lines:
                splitter = FrameSplitter(LARGEST_FRAME)
                splitter.receive(data)
                (payload,) = splitter.take(2)
                self.assertFalse(splitter.unfinished)
                if payload[0] < FIRST_OF_JSON:
                    continue
                message = own_codec().decode(payload)
                if speaker != "client":
                    self.assertEqual(frame(own_codec().encode(message)), data, "a daemon would not have written this")

    def test_examples_in_the_text(self) -> None:
        """Frames shown in sentences are frames too."""
        examples = re.findall(r"`(\d+:\{[^`]*\},)`", MARKET)
        self.assertNotEqual(examples, [])
        for example in examples:
            splitter = FrameSplitter(LARGEST_FRAME)
            splitter.receive(example.encode())
            (payload,) = splitter.take(2)
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


class IndexTests(SynchronousTestCase):
    """What the page of the index server says besides."""

    def test_listed(self) -> None:
        """What stands in messages has tables like theirs."""
        for title, cls in LISTED.items():
            said, true = described(table_with(section(INDEX, title), "Key", "Type"), cls)
            self.assertEqual(said, true, f"the section {title!r}")

    def test_codes(self) -> None:
        """The codes that only an index server uses are those of the code."""
        (table,) = tables(section(INDEX, "Errors"))
        self.assertLessEqual({Busy.code, TooMany.code}, {word(row["Code"]) for row in table})

    def test_numbers(self) -> None:
        """The numbers in the sentences are those of the code."""
        text = flat(INDEX)
        sentences = (
            f"{directory.LEASE_S:g} s, unless",
            f"{directory.MOST_A_PEER} entries",
            f"{directory.MOST_ENTRIES} entries",
            f"kept for {listers.KEPT_S:g} s",
            f"{allowance.QUESTIONS_AT_ONCE:g} questions at once, then {allowance.QUESTIONS_A_SECOND:g} a second",
            f"{turns.MOST_WAITING} messages",
            f"the first {words.MOST_WORDS} words",
            f"within {member.ANSWER_S:g} s",
            f"{search.MOST_ASKED} of the sellers named, in random order, {search.ASKED_AT_ONCE} at a time",
            f"linked to in {search.REACH_S:g} s, or does not answer in {search.ANSWER_S:g} s",
            f"kept {search.LINK_WITH_OFFER_S:g} s after an offer",
            f"looks again every {search.LOOK_AGAIN_S:g} s",
            f"{search.INQUIRIES_A_MINUTE:,} a minute",
        )
        self.assertEqual([sentence for sentence in sentences if sentence not in text], [])

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


class FileTests(SynchronousTestCase):
    """What the page of transfers says besides."""

    def test_dialogue_is_coherent(self) -> None:
        """What is sent in the dialogue is the file that was asked for, by its manifest."""
        frames = [data.partition(b":")[2][:-1] for _, _, data in dialogue(section(FILES, "A dialogue"))]
        fetch = json.loads(frames[0])
        manifest = json.loads(frames[1])
        [page] = (frame for frame in frames if frame[0] == 0x01)
        [piece] = (frame for frame in frames if frame[0] == 0x02)
        digests, content = page[5:], piece[9:]
        self.assertEqual((page[1:5], piece[1:9]), (bytes(4), bytes(8)))
        self.assertEqual(hashlib.sha256(digests).hexdigest(), manifest["root"])
        self.assertEqual((hashlib.sha256(content).digest(), len(content)), (digests, manifest["size"]))
        self.assertEqual(hashlib.sha256(content).hexdigest(), fetch["digest"])


class LinkTests(SynchronousTestCase):
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
