"""The page on architecture names modules and commands that there are."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from tests.docs.pages import ROOT, PageTests, read_page, section, table_with, words
from twisted_bazaar import state
from twisted_bazaar.console import LONGEST_REQUEST_BYTES, Console
from twisted_bazaar.role import Role
from twisted_bazaar.roles.commands.files import FilesCommands
from twisted_bazaar.roles.commands.ring import RingCommands
from twisted_bazaar.roles.commands.trade import PurchasesCommands, SalesCommands

PAGE = read_page("docs/architecture.md")
PACKAGE = ROOT / "twisted_bazaar"


class Operable(Role):
    """Something that can be asked what a buyer, a seller, a sharer and a member of a ring can."""

    def __init__(self) -> None:
        nothing: Any = SimpleNamespace()
        self.commands = {
            **SalesCommands(nothing, nothing).commands,
            **PurchasesCommands(nothing, nothing).commands,
            **FilesCommands(nothing, nothing).commands,
            **RingCommands(*[nothing] * 7, is_classic=False).commands,
        }


def is_module(name: str) -> bool:
    """Whether there is a module, or a package, of a name such as C{trade/ledger}."""
    path = PACKAGE / name
    return path.is_dir() or path.with_suffix(".py").is_file()


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
            (PACKAGE / name).read_text(encoding="utf-8")
            for name in ("state.py", "roles/seller.py", "roles/buyer.py", "files/sharing/remembered.py")
        )
        called = set(
            re.findall(
                r'^(?:_LOCK|_KEY|_ID|SOCKET|_LEDGER_FILE|_ORDERS_FILE|HASHES_FILE): Final = "(.+)"$',
                source,
                re.MULTILINE,
            )
        )
        self.assert_lists(text, names, called)
        self.assertIn(state.SOCKET, called)
