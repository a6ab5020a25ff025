"""The page on architecture names modules and commands that there are."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from types import SimpleNamespace
from typing import Any, Final

from benchmarks.report import LATEST
from tests.docs.pages import ROOT, PageTests, blocks, read_page, section, table_with, words
from tests.test_floors import sources
from twisted_bazaar import state
from twisted_bazaar.console import LONGEST_REQUEST_BYTES, Console
from twisted_bazaar.discovery.flood.search import REACHES
from twisted_bazaar.discovery.offer import GATHER_S
from twisted_bazaar.files.chunks import CHUNK_BYTES
from twisted_bazaar.files.download.happy_eyeballs import HEAD_START_S
from twisted_bazaar.files.download.timeouts import TransferLimits
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.role import Role
from twisted_bazaar.roles.commands.files import FilesCommands
from twisted_bazaar.roles.commands.ring import RingCommands
from twisted_bazaar.roles.commands.trade import PurchasesCommands, SalesCommands
from twisted_bazaar.trade.contract import QUOTE_S
from twisted_bazaar.trade.reservations import RESERVATION_S
from twisted_bazaar.trade.stores.sqlite import PURCHASES, SALES
from twisted_bazaar.wire.message import LONGEST_PATH

PAGE = read_page("docs/architecture.md")
PACKAGE = ROOT / "twisted_bazaar"
WAYS: Final = ("message", "order", "chunk")
# What a terminal of 80 columns shows, and leaves some room at the side.
_WIDEST_PICTURE: Final = 76
_NO_CLASSES: Final = ("BitTorrent", "KiB", "MiB")


class Operable(Role):
    """Something that can be asked what a buyer, a seller, a sharer and a member of a ring can."""

    def __init__(self) -> None:
        nothing: Any = SimpleNamespace()
        self.commands = {
            **SalesCommands(nothing, nothing).commands,
            **PurchasesCommands(nothing, nothing).commands,
            **FilesCommands(nothing, nothing).commands,
            **RingCommands(*[nothing] * 8, is_classic=False).commands,
        }


def is_module(name: str) -> bool:
    """Whether there is a module, or a package, of a name such as C{trade/ledger}."""
    path = PACKAGE / name
    return path.is_dir() or path.with_suffix(".py").is_file()


def names_of_classes() -> dict[str, set[str]]:
    """The classes of the package by name, each with the names of its methods and attributes."""
    classes: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                classes[node.name] |= names_in(node)
    return classes


def names_in(cls: ast.ClassDef) -> set[str]:
    """What a class defines, or assigns to itself or to C{self}."""
    names: set[str] = set()
    for node in ast.walk(cls):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
    return names


class WayTests(PageTests):
    """What the page says first: the ways of a message, of an order and of a chunk."""

    def test_modules(self) -> None:
        """Each step is in a module that exists."""
        for way in WAYS:
            text = section(PAGE, f"The way of one {way}")
            named = [name for row in table_with(text, "Step") for name in words(row["Module"])]
            self.assertEqual([name for name in named if not is_module(name)], [], text.where)

    def test_names(self) -> None:
        """Each class that a picture or a step names is one of the package, and has the method that is named with it."""
        classes = names_of_classes()
        for title in (*(f"The way of one {way}" for way in WAYS), "Roles and how they get in"):
            text = section(PAGE, title)
            named = re.findall(r"\b((?:I|[A-Z][a-z]+)[A-Z]\w*)(?:\.(\w+))?", text)
            named += re.findall(r"\b([A-Z][a-z]+)\.([a-z]\w*)", text)
            named = [(cls, attribute) for cls, attribute in named if cls not in _NO_CLASSES]
            wrong = [
                f"{cls}.{attribute}"
                for cls, attribute in named
                if cls not in classes or (attribute and attribute not in classes[cls])
            ]
            self.assertEqual(wrong, [], text.where)

    def test_pictures(self) -> None:
        """Each way has a picture, and a terminal is wide enough for it."""
        for way in WAYS:
            text = section(PAGE, f"The way of one {way}")
            self.assertTrue(blocks(text, "text"), text.where)
        for block in blocks(PAGE, "text"):
            self.assertEqual([line for line in block.splitlines() if len(line) > _WIDEST_PICTURE], [])

    def test_steps(self) -> None:
        """The numbers in the picture of a way are those of its table."""
        for way in WAYS:
            text = section(PAGE, f"The way of one {way}")
            steps = {row["Step"].partition(".")[0] for row in table_with(text, "Step")}
            drawn = set(re.findall(r"^[ |+]*(\d+[ab]?)\.? ", blocks(text, "text")[-1], re.MULTILINE))
            drawn |= set(re.findall(r"\|  (\d+) ", blocks(text, "text")[-1]))
            self.assertEqual(drawn - steps, set(), text.where)


class NumberTests(PageTests):
    """Numbers on the way of a message, of an order and of a chunk."""

    def test_message(self) -> None:
        """What one turn takes, and what is done with who does not read, are the defaults of the limits."""
        limits = Limits()
        self.assert_says(
            section(PAGE, "The way of one message"),
            f"is cut off after {limits.handshake_s + limits.grace_s:g} s",
            f"at most {limits.all_frames_a_turn:,} frames or {limits.turn_s * 1000:g} ms of all links",
            f"A path is at most {LONGEST_PATH} ids",
            f"not read from ({limits.stop_reading_bytes >> 10} KiB unsent), gets no searches "
            f"({limits.stop_forwarding_bytes >> 20} MiB), and is cut off ({limits.abort_bytes >> 20} MiB)",
        )
        strangers = section(PAGE, "What it guards against")
        self.assert_says(
            strangers,
            f"{limits.max_greeting} at most; past that",
            f"each has {limits.handshake_s:g} s to greet",
            f"{limits.frames_a_turn} are taken in one turn",
            f"{limits.strangers_a_second:g} a second from one host",
        )

    def test_order(self) -> None:
        """How far a search goes, and for how long goods are held back and quoted."""
        near, farther, far = REACHES
        self.assert_says(
            section(PAGE, "The way of one order"),
            f"reach {near}, then {farther}, then {far} links",
            f"holds units back for {RESERVATION_S:g} s and signs a `Quote`, good for {QUOTE_S:g} s",
            f"collects offers for {GATHER_S:g} s after the first",
        )

    def test_chunk(self) -> None:
        """How many sources there are, how they are reached, and how large a chunk is."""
        self.assert_says(
            section(PAGE, "The way of one chunk"),
            f"in chunks of {CHUNK_BYTES >> 20} MiB",
            f"Up to {TransferLimits().most_connections} sources are connected to",
            f"when TCP has not worked for {HEAD_START_S:g} s",
        )


class MeasuredTests(PageTests):
    """What the page says that was measured."""

    def test_links(self) -> None:
        """Each row on sealed links is one of the latest run."""
        text = section(PAGE, "What it costs to seal links")
        kept = {row["name"]: row for row in json.loads(LATEST.read_text(encoding="utf-8"))}
        table = {row["Row"].strip("`"): (row["Ratio"], row["Goal"]) for row in table_with(text, "Row")}
        true = {
            name: (f"{row['ratio']:.2f}", f"{row['goal']:g}")
            for name, row in kept.items()
            if name.startswith("tls-") or name in table
        }
        self.assertEqual(table, true, text.where)


class ModuleTests(PageTests):
    """What the page calls modules."""

    def test_floors(self) -> None:
        """Each module on a floor exists, and no module of the package is without one."""
        text = section(PAGE, "Floors")
        named = {name for row in table_with(text, "Floor") for name in words(row["Module"])}
        self.assertEqual([name for name in named if not is_module(name)], [], text.where)
        found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
        true = {name for name in found if not name.startswith("__")}
        self.assert_lists(text, {name.partition("/")[0] for name in named}, true)

    def test_pure(self) -> None:
        """Each module that is free of I/O is in the table of those, and no other is."""
        # The trees take 80 MB.
        self.addCleanup(sources.cache_clear)
        text = section(PAGE, "Sans-IO modules")
        named: set[str] = set()
        for row in table_with(text, "In"):
            [folder] = words(row["In"]) or [""]
            for name in words(row["Sans-IO modules"]):
                path = PACKAGE / folder / name
                found = path.rglob("*.py") if name.endswith("/") else [path.with_suffix(".py")]
                named |= {each.relative_to(PACKAGE).with_suffix("").as_posix() for each in found}
        pure = {each.name.replace(".", "/") for each in sources() if each.is_pure and not each.is_package}
        self.assert_lists(text, {name for name in named if not name.endswith("__init__")}, pure)

    def test_parts(self) -> None:
        """Each module in the tables of the parts is in that package, and none of the package is left out."""
        for package, title in (
            ("trade", "Obtaining: `trade/`"),
            ("node", "The node's parts"),
            ("files", "Obtaining files: `files/`"),
            ("discovery/index", "Finding: `discovery/`"),
            ("discovery/superpeer", "Super peers: `discovery/superpeer/`"),
            ("discovery/ring", "The ring: `discovery/ring/`"),
        ):
            text = section(PAGE, title)
            named = {name for row in table_with(text) for name in words(row["Module"])}
            folders = tuple(name for name in named if name.endswith("/") and (PACKAGE / package / name).is_dir())
            paths = (path.relative_to(PACKAGE / package) for path in (PACKAGE / package).rglob("*.py"))
            found = {path.with_suffix("").as_posix() for path in paths if path.name != "__init__.py"}
            self.assert_lists(text, named, {name for name in found if not name.startswith(folders)} | {*folders})

    def test_guards(self) -> None:
        """Each module that guards against strangers exists."""
        text = section(PAGE, "What it guards against")
        named = {name for row in table_with(text) for name in words(row["Where"])}
        self.assertEqual([name for name in named if not is_module(name)], [], text.where)


class ConsoleTests(PageTests):
    """What the page says of the operator's socket and the state directory."""

    def test_commands(self) -> None:
        """Each command in the table is one, and no command is left out."""
        text = section(PAGE, "The operator's socket: `console`")
        named = [name for row in table_with(text, "Command") for name in words(row["Command"])]
        self.assert_lists(text, named, Console([Operable()], dict)._known())
        self.assertEqual(len(named), len(set(named)), f"{text.where} names one twice")
        self.assert_says(text, f"at most {LONGEST_REQUEST_BYTES:,} bytes")

    def test_files(self) -> None:
        """The files of a state directory are called what the table calls them."""
        text = section(PAGE, "What outlives a process: `state`")
        names = {word for row in table_with(text, "File") for word in words(row["File"])}
        source = "".join(
            (PACKAGE / name).read_text(encoding="utf-8") for name in ("state.py", "files/sharing/remembered.py")
        )
        called = set(
            re.findall(
                r'^(?:_LOCK|KEY|_ID|_ROLES|SOCKET|HASHES_FILE): Final = "(.+)"$',
                source,
                re.MULTILINE,
            )
        )
        called |= {SALES.file_name, PURCHASES.file_name}
        self.assert_lists(text, names, called)
        self.assertIn(state.SOCKET, called)
