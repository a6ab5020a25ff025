"""The rules of the house: who may import whom, and which modules are pure.

The rules stand in C{docs/architecture.md}. Each is checked against source text, first against small
pieces that break it, then against the package.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

import twisted_bazaar

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = Path(twisted_bazaar.__file__).resolve().parent
NAME: Final = "twisted_bazaar"

# What everybody may stand on, and what itself stands on nothing.
GROUND: Final = frozenset(
    {
        "errors",
        "exit_status",
        "bounded",
        "backoff",
        "byte_budget",
        "rate_limit",
        "timer",
        "interface_bases",
    }
)
FLOORS: Final = {
    **dict.fromkeys(("wire", "identity", "system"), 1),
    "values": 2,
    **dict.fromkeys(("interfaces", "role", "state", "database"), 3),
    "security": 4,
    **dict.fromkeys(("node", "trade", "files", "discovery", "journal", "console", "settings"), 5),
    **dict.fromkeys(("plugin", "service", "roles"), 6),
    # web is to come.
    **dict.fromkeys(("taps", "sim", "web"), 7),
    **dict.fromkeys(("cli.terminal", "testing"), 8),
    "demo": 9,
    "cli": 10,
    "__main__": 11,
}
# The one door by which every role comes in, ours as well, stands on the floor that it leads to; and the base of all
# roles beside what it keeps to. Signed statements keep to the rules of messages.
SIDEWAYS: Final = frozenset({("roles", "plugin"), ("service", "plugin"), ("role", "interfaces"), ("identity", "wire")})

PURE: Final = frozenset(
    {
        *(
            "errors",
            "bounded",
            "backoff",
            "byte_budget",
            "rate_limit",
            "security.links.fair_queue",
            "wire",
            "identity",
            "values",
            "node.admission",
            "node.links.flow_control",
            "node.links.link_bytes",
            "node.routing.duplicate_filter",
            "node.routing.router",
            "node.control",
            "node.limits",
        ),
        *(
            "trade.order",
            "trade.contract",
            "trade.messages",
            "trade.reservations",
            "discovery.offer",
            "discovery.findings",
            "files.chunks",
            "files.messages",
            "files.download.picker",
            "files.window",
        ),
        *(f"discovery.{way}.messages" for way in ("flood", "superpeer", "index")),
        *("discovery.ring.rules", "discovery.ring.rpc.messages", "discovery.ring.rpc.per_host_limit"),
        *(
            f"discovery.ring.storage.{rule}"
            for rule in ("entry", "store", "range_sums", "replication", "fragments", "messages")
        ),
        *(f"discovery.ring.records.{rule}" for rule in ("records", "own_records")),
        "discovery.superpeer.qrp",
        *(f"discovery.superpeer.ultrapeer.{rule}" for rule in ("reverse_paths", "dynamic_query", "query_hits")),
        *(
            "discovery.index.directory.directory",
            "discovery.index.directory.weights",
            "roles.goods",
            "roles.ring.quota",
        ),
    }
)
# In one folder, besides the file that makes it a package.
MOST_MODULES: Final = 16
# Where time, chance and bytes come from; what is pure gets them as arguments.
IMPURE: Final = frozenset(
    {
        *("asyncio", "datetime", "multiprocessing", "os", "secrets", "select", "selectors", "signal"),
        *("socket", "ssl", "subprocess", "threading", "time", "uuid"),
    }
)
CLOCKED: Final = frozenset({"cli", "cli.terminal", "demo"})
RANDOM_MAKERS: Final = frozenset({"cli", "demo", "sim", "testing"})


@frozen
class Source:
    """One module.

    @ivar name: its dotted name below the package; empty for the package itself.
    @ivar nodes: all of its tree.
    """

    name: str
    tree: ast.Module
    is_package: bool = False
    nodes: tuple[ast.AST, ...] = ()

    @classmethod
    def of(cls, name: str, text: str, *, is_package: bool = False) -> Source:
        tree = ast.parse(text)
        return cls(name, tree, is_package, tuple(ast.walk(tree)))

    @property
    def part(self) -> str:
        """The part of the house it belongs to."""
        return part_of(self.name)

    @property
    def is_pure(self) -> bool:
        """Whether it promises to be: by the rules, or by its own words."""
        says_so = "Sans-IO" in (ast.get_docstring(self.tree) or "")
        return says_so or any(is_below(self.name, pure) for pure in PURE)

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """Everything that is imported, anywhere in it, by its full dotted name."""
        for node in self.nodes:
            match node:
                case ast.Import(names=names):
                    for alias in names:
                        yield node, alias.name
                case ast.ImportFrom(module=module, names=names, level=level):
                    for alias in names:
                        yield node, ".".join(filter(None, (self._base(level), module, alias.name)))
                case ast.Call(
                    func=ast.Name(id="import_module" | "__import__"), args=[ast.Constant(value=str(name)), *_]
                ):
                    yield node, name
                case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                    yield node, name

    def _base(self, level: int) -> str:
        """The package that so many leading dots mean."""
        if not level:
            return ""
        parts = [NAME, *filter(None, self.name.split("."))]
        return ".".join(parts[: len(parts) - level + self.is_package])


def part_of(name: str) -> str:
    """The part of the house that a module belongs to: its first folder, or a room in that with a floor of its own."""
    room = ".".join(name.split(".")[:2])
    return room if room in FLOORS else name.partition(".")[0]


def is_below(whole: str, name: str) -> bool:
    """Whether a dotted name is another, or something in it."""
    return whole == name or whole.startswith(name + ".")


def import_faults(source: Source) -> Iterator[str]:
    """Imports sideways or up."""
    own, own_floor = source.part, FLOORS.get(source.part)
    if own and own not in GROUND and own_floor is None:
        yield f"{own} stands on no floor"
        return
    for node, whole in source.imports():
        if not is_below(whole, NAME):
            continue
        other = part_of(whole.removeprefix(NAME).removeprefix("."))
        floor = FLOORS.get(other)
        if other in GROUND or (other == own and own) or (own, other) in SIDEWAYS:
            continue
        if other.startswith("__version"):
            continue
        if floor is None:
            yield f"line {node.lineno}: imports {whole}, which stands on no floor"
        elif own_floor is None or floor >= own_floor:
            yield f"line {node.lineno}: imports {whole}"


def purity_faults(source: Source) -> Iterator[str]:
    """Clocks, sockets, reactors and chance in what promises to be pure."""
    if not source.is_pure:
        return
    for node, whole in source.imports():
        if is_below(whole, "twisted.internet") or whole.partition(".")[0] in IMPURE:
            yield f"line {node.lineno}: imports {whole} into a pure module"
    annotations = {
        id(part)
        for node in source.nodes
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if annotation is not None
        for part in ast.walk(annotation)
    }
    for node, used in uses_of_module(source, "random"):
        if id(node) not in annotations:
            yield f"line {node.lineno}: uses {used} in a pure module"


def uses_of_module(source: Source, module: str) -> Iterator[tuple[ast.AST, str]]:
    """Each use of a module's name, or of a name from it."""
    names: dict[str, str] = {}
    for node in source.nodes:
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name: module for alias in node.names if alias.name == module})
        elif isinstance(node, ast.ImportFrom) and node.module == module and not node.level:
            names.update({alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names})
    attributes = set()
    for node in source.nodes:
        match node:
            case ast.Attribute(value=ast.Name(id=name) as inner, attr=attr) if names.get(name) == module:
                attributes.add(id(inner))
                yield node, f"{module}.{attr}"
            case ast.Name(id=name) if name in names and id(node) not in attributes:
                yield node, names[name]


def chance_faults(source: Source) -> Iterator[str]:
    """Uses of the global random source, and sources made where one should have been handed in."""
    allowed = {"random.Random"} | ({"random.SystemRandom"} if source.name == "service.service" else set())
    calls = {id(node.func) for node in source.nodes if isinstance(node, ast.Call)}
    for node, used in uses_of_module(source, "random"):
        if used not in allowed:
            yield f"line {node.lineno}: uses {used}"
        elif used == "random.Random" and id(node) in calls and source.part not in RANDOM_MAKERS:
            yield f"line {node.lineno}: makes a random source"


def clock_faults(source: Source) -> Iterator[str]:
    """Uses of the machine's clock."""
    if source.part in CLOCKED:
        return
    for node, whole in source.imports():
        if is_below(whole, "time"):
            yield f"line {node.lineno}: imports {whole}"


def reactor_faults(source: Source) -> Iterator[str]:
    """Uses of the global reactor, but as a default inside a function of taps or cli."""
    inside: set[int] = set()
    if source.part in ("taps", "cli", "cli.terminal", "demo"):
        for function in source.nodes:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                inside |= {id(part) for statement in function.body for part in ast.walk(statement)}
    for node, whole in source.imports():
        if is_below(whole, "twisted.internet.reactor") and id(node) not in inside:
            yield f"line {node.lineno}: imports the global reactor"
    for node in source.nodes:
        match node:
            case ast.Attribute(attr="reactor", value=ast.Name(id="internet") | ast.Attribute(attr="internet")):
                yield f"line {node.lineno}: takes the global reactor"


def print_faults(source: Source) -> Iterator[str]:
    """Uses of print."""
    if source.part in ("cli", "cli.terminal", "demo"):
        return
    for node in source.nodes:
        if isinstance(node, ast.Name) and node.id == "print":
            yield f"line {node.lineno}: print"


def circle_among(modules: Iterable[Source]) -> list[str]:
    """Modules that import each other in a circle, whether at the top, in functions or for types only; empty if none."""
    known = {source.name: source for source in modules}
    graph: dict[str, set[str]] = {}
    for name, source in known.items():
        imported = {
            whole.removeprefix(NAME).removeprefix(".") for _, whole in source.imports() if is_below(whole, NAME)
        }
        # What is imported may be a module, or something in one; a package itself is only where others lie.
        meant = {whole if whole in known else whole.rpartition(".")[0] for whole in imported}
        graph[name] = {each for each in meant & known.keys() - {name} if not known[each].is_package}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


RULES: Final = (import_faults, purity_faults, chance_faults, clock_faults, reactor_faults, print_faults)


@cache
def sources() -> list[Source]:
    """Every module of the package, parsed once for all tests."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found.append(Source.of(name, path.read_text(encoding="utf-8"), is_package=is_package))
    return found


class HouseTests(SynchronousTestCase):
    """The package keeps the rules of its house."""

    @classmethod
    def tearDownClass(cls) -> None:
        """Let the trees go: they take 70 MB."""
        super().tearDownClass()
        sources.cache_clear()

    def assert_kept(self, *rules: object) -> None:
        """No module breaks any of these rules."""
        faults = [
            f"{source.name or NAME}: {fault}"
            for source in sources()
            for rule in rules
            for fault in rule(source)  # type: ignore[operator]
        ]
        self.assertEqual(faults, [])

    def test_all_found(self) -> None:
        """The checks look at the whole package, and its pure modules are among what they find."""
        names = {source.name for source in sources()}
        self.assertTrue(
            names
            >= {"", "errors", "wire.codec", "node.routing.duplicate_filter", "cli.main", "taps.node", "roles.goods"},
            names,
        )
        pure = {source.name for source in sources() if source.is_pure}
        self.assertTrue(
            pure
            >= {
                "wire.framing",
                "identity.keys",
                "trade.order",
                "trade.contract",
                "node.routing.duplicate_filter",
                "bounded",
            },
            pure,
        )

    def test_floors(self) -> None:
        """A module imports from its own part or a lower floor, never sideways or up."""
        self.assert_kept(import_faults)

    def test_circles(self) -> None:
        """No modules import each other in a circle."""
        self.assertEqual(circle_among(sources()), [])

    def test_sizes_of_folders(self) -> None:
        """No folder has more modules than a reader looks through."""
        sizes = Counter(source.name.rpartition(".")[0] for source in sources() if not source.is_package)
        self.assertEqual({name: size for name, size in sizes.items() if size > MOST_MODULES}, {})

    def test_pure(self) -> None:
        """Rules that can be pure are pure: no reactor, no clock, no chance, no socket."""
        self.assert_kept(purity_faults)

    def test_chance(self) -> None:
        """The random source is an argument everywhere; it is made in one place."""
        self.assert_kept(chance_faults)

    def test_clock(self) -> None:
        """Time comes from the reactor that is handed in; only the command line looks at the machine's."""
        self.assert_kept(clock_faults)

    def test_reactor(self) -> None:
        """The global reactor is a default inside functions of taps and cli, and nowhere else."""
        self.assert_kept(reactor_faults)

    def test_print(self) -> None:
        """Only the command line prints."""
        self.assert_kept(print_faults)

    def test_no_init_beside_twisted(self) -> None:
        """Nothing shadows Twisted, or hides the drop-in: there is no package of our own on that path."""
        plugins = ROOT / "twisted" / "plugins"
        self.assertTrue((plugins / "bazaar_dropin.py").is_file())
        self.assertEqual([*(ROOT / "twisted").rglob("__init__.py*")], [])

    def test_drop_in(self) -> None:
        """The drop-in names things; it needs Twisted and the door for roles, nothing behind it."""
        text = (ROOT / "twisted" / "plugins" / "bazaar_dropin.py").read_text(encoding="utf-8")
        imported = {
            whole
            for _, whole in Source.of("dropin", text).imports()
            if not whole.startswith(("twisted.", "__future__"))
        }
        self.assertEqual(imported - {f"{NAME}.plugin.RolePlugin", f"{NAME}.plugin.DiscoveryPlugin"}, set())


class PlantedTests(SynchronousTestCase):
    """The checks catch what breaks the rules; a check that has never failed proves nothing."""

    def assert_caught(self, name: str, *lines: str, is_package: bool = False) -> None:
        """Each of these lines alone, in a module of this name, breaks exactly one rule."""
        for line in lines:
            source = Source.of(name, line, is_package=is_package)
            broken = [rule.__name__ for rule in RULES if list(rule(source))]
            self.assertEqual(len(broken), 1, f"{name}: {line!r} breaks {broken}")

    def assert_allowed(self, name: str, *lines: str, is_package: bool = False) -> None:
        """None of these lines, in a module of this name, breaks a rule."""
        for line in lines:
            source = Source.of(name, line, is_package=is_package)
            self.assertEqual([fault for rule in RULES for fault in rule(source)], [], f"{name}: {line!r}")

    def test_up(self) -> None:
        """Imports from a higher floor are caught, however they are written."""
        self.assert_caught(
            "wire.codec",
            "import twisted_bazaar.node.links.link",
            "import twisted_bazaar.node.links.link as link",
            "from twisted_bazaar import node",
            "from twisted_bazaar import errors, node",
            "from twisted_bazaar.node import link",
            "from twisted_bazaar.interfaces import Route",
            "from ..node import link",
            "from .. import node",
            "from ..node.link import Link",
            "def f():\n    from twisted_bazaar.roles import goods",
            "if TYPE_CHECKING:\n    from twisted_bazaar.interfaces import INode",
            "import importlib\nimportlib.import_module('twisted_bazaar.roles.buyer')",
            "from importlib import import_module\nimport_module('twisted_bazaar.cli.main')",
            "__import__('twisted_bazaar.node')",
        )
        self.assert_caught("roles.buyer", "from twisted_bazaar.taps import node", "import twisted_bazaar.cli.main")
        self.assert_caught(
            "bounded", "import twisted_bazaar.wire", "from . import interfaces", "from .wire import codec"
        )
        self.assert_caught("", "from twisted_bazaar.wire import codec", "from . import node", is_package=True)
        self.assert_caught("node", "from ..roles import goods", "from .. import cli", is_package=True)

    def test_sideways(self) -> None:
        """Parts of one floor do not know each other; roles join them."""
        for own in ("node.node", "trade.ledger", "discovery.flood.search"):
            for other in {"node", "trade", "discovery"} - {own.partition(".")[0]}:
                self.assert_caught(
                    own, f"from twisted_bazaar.{other} import messages", f"import twisted_bazaar.{other}"
                )
        self.assert_caught("wire.codec", "from twisted_bazaar.identity.keys import KeyPair")
        self.assert_caught("files.sharing.folder", "from twisted_bazaar.trade.order import decide")
        self.assert_caught("service", "from twisted_bazaar.roles import goods")
        self.assert_caught("roles.buyer", "from twisted_bazaar.service.service import build_service")
        self.assert_caught("plugin", "from twisted_bazaar.roles import buyer", "import twisted_bazaar.service")
        self.assert_caught("taps.node", "from twisted_bazaar.web import page")

    def test_circle(self) -> None:
        """A circle is caught, also one of imports in functions, or for types only."""
        one = Source.of("node.one", "from twisted_bazaar.node.two import Two")
        for line in (
            "from twisted_bazaar.node import one",
            "def f():\n    from twisted_bazaar.node.one import One",
            "if TYPE_CHECKING:\n    from twisted_bazaar.node.one import One",
        ):
            self.assertEqual(set(circle_among([one, Source.of("node.two", line)])), {"node.one", "node.two"})
        self.assertEqual(circle_among([one, Source.of("node.two", "from twisted_bazaar.node.three import x")]), [])

    def test_no_floor(self) -> None:
        """A new part of the house needs a floor before anything else."""
        self.assert_caught("cellar", "x = 1")
        self.assert_caught(
            "cli.main", "import twisted_bazaar.cellar", "import twisted_bazaar", "from twisted_bazaar import *"
        )

    def test_down(self) -> None:
        """One's own part, lower floors and the ground are allowed; so is the door for roles."""
        self.assert_allowed("wire.codec", "from twisted_bazaar.wire.message import Message", "from . import message")
        self.assert_allowed("wire", "from . import message", "from .message import Message", is_package=True)
        self.assert_allowed(
            "discovery.flood.search", "from twisted_bazaar.discovery.offer import best_first", "from ..offer import x"
        )
        self.assert_allowed(
            "discovery.flood", "from .messages import Reply", "from ..offer import best_first", is_package=True
        )
        self.assert_allowed("node.node", "import twisted_bazaar.bounded", "from twisted_bazaar.interfaces import INode")
        self.assert_allowed(
            "roles.buyer", "from twisted_bazaar.role import Role", "from twisted_bazaar.trade import order"
        )
        self.assert_allowed(
            "cli.main", "from twisted_bazaar import __version__, wire", "import click", "import twisted_bazaarium"
        )

    def test_impure(self) -> None:
        """A clock, a socket, a reactor in a pure module is caught, in those that say Sans-IO too."""
        impure = (
            "import socket",
            "import os.path",
            "from datetime import datetime",
            "from twisted.internet import defer",
        )
        for name in (
            "node.routing.duplicate_filter",
            "wire.framing",
            "trade.order",
            "discovery.ring.rules.fingers",
            "identity.keys",
        ):
            self.assert_caught(
                name, *impure, "import twisted.internet.defer", "from twisted.internet.defer import Deferred"
            )
            self.assert_caught(name, "from twisted import internet", "def f():\n    import threading", "import secrets")
        self.assert_caught("trade.new", *(f'"""Rules. Sans-IO."""\n{line}' for line in impure))
        self.assert_allowed("trade.new", *impure)

    def test_impure_chance(self) -> None:
        """In a pure module the random source is an annotation, and nothing else."""
        for line in ("isinstance(x, random.Random)", "sources = [random.Random]"):
            self.assert_caught("backoff", f"import random\n{line}")
        self.assert_allowed(
            "backoff",
            "byte_budget",
            "import random\ndef f(rng: random.Random) -> random.Random: ...",
            "import random\nclass A:\n    rng: random.Random | None",
            "from random import Random\ndef f(rng: list[Random]): ...",
        )

    def test_chance(self) -> None:
        """The global random source, by any name, and sources of a module's own are caught."""
        for name in ("node.bootstrap", "service.service", "demo.command"):
            self.assert_caught(
                name,
                "import random\nx = random.random()",
                "import random\nrandom.seed(1)",
                "import random as chance\nchance.choice([1])",
                "import random\nf(random)",
                "from random import choice\nchoice([1])",
                "from random import randint as number\nx = number",
            )
        self.assert_caught(
            "node.bootstrap", "import random\nrandom.SystemRandom()", "from random import SystemRandom\nSystemRandom()"
        )
        self.assert_caught(
            "node.bootstrap", "import random\nrandom.Random()", "from random import Random\nx = Random(1)"
        )
        self.assert_allowed(
            "service.service", "import random\nrandom.SystemRandom()", "import random\nx: random.Random"
        )
        self.assert_allowed("sim.scenario", "import random\nrandom.Random(1)")
        self.assert_allowed(
            "node.bootstrap", "import random\nx: random.Random", "rng.choice([1])", "self.random.random()"
        )

    def test_clock(self) -> None:
        """The machine's clock is caught everywhere but on the command line."""
        lines = (
            "import time\ntime.time()",
            "from time import monotonic",
            "import time as clock",
            "def f():\n    import time",
        )
        for name in ("node.links.link", "roles.buyer", "service", "sim.engine.hosts", "taps.node", "testing"):
            self.assert_caught(name, *lines)
        self.assert_allowed("demo.daemons", *lines)
        self.assert_allowed(
            "node.links.link", "import timeit", "x.time()", "from twisted_bazaar.node import limits as time"
        )

    def test_reactor(self) -> None:
        """The global reactor is caught, but inside functions of taps and cli."""
        lines = (
            "from twisted.internet import reactor",
            "import twisted.internet.reactor",
            "from twisted.internet import reactor as r",
        )
        lines += ("from twisted.internet import defer, reactor", "from twisted.internet.reactor import callLater")
        functions = [f"def f(reactor=None):\n    {line}" for line in lines]
        self.assert_caught("service", *lines, *functions, "import twisted.internet\ntwisted.internet.reactor.run()")
        self.assert_caught(
            "node.links.link", *lines, *functions, "from twisted import internet\ninternet.reactor.run()"
        )
        self.assert_caught("taps.node", *lines, "class A:\n    from twisted.internet import reactor")
        self.assert_allowed("taps.node", *functions, "async def f():\n    from twisted.internet import reactor")
        self.assert_allowed("demo.command", *functions)
        self.assert_allowed(
            "node.links.link",
            "from twisted.internet import defer",
            "self._reactor.callLater(0, f)",
            "def f(reactor): ...",
        )

    def test_print(self) -> None:
        """print is caught, called or handed on."""
        self.assert_caught("node.links.link", "print('x')", "d.addCallback(print)", "def f():\n    print()")
        self.assert_allowed("demo.command", "print('x')")
        self.assert_allowed("node.links.link", "console.print('x')", "'print(x)'", "# print(x)")
