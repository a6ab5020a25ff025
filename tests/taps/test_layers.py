"""Daemons with a settings file and variables below their command lines."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.configured import typed
from twisted_bazaar import plugin
from twisted_bazaar.errors import UsageError
from twisted_bazaar.service.service import NodeService
from twisted_bazaar.settings.known import NODE, TRACKER, Known, kinds_of
from twisted_bazaar.settings.option import Option, OptionValues, whole_number
from twisted_bazaar.settings.values import DEFAULT, Kind, Setting
from twisted_bazaar.taps import node, tracker
from twisted_bazaar.taps.known import known_options
from twisted_bazaar.taps.options import DaemonOptions

TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=5)
LISTS = st.lists(st.sampled_from(["apple", "red pear=2", "-x", "--once", "a,b"]), min_size=1, max_size=3)
LAYER = st.fixed_dictionaries({"for": st.none() | TEXTS, "want": st.none() | LISTS, "once": st.none() | st.booleans()})


class LayersCase(SynchronousTestCase):
    """A settings file, and an environment of its own."""

    def setUp(self) -> None:
        """Make a directory for the file."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "b.toml"
        self.errors = io.StringIO()
        self.patch(sys, "stderr", self.errors)

    def parsed(self, text: str, *words: str, program: Any = node, **environment: str) -> Any:
        """What a program makes of a file, of variables and of words."""
        self.path.write_text(text)
        options: DaemonOptions = program.Options()
        options.environment = environment
        options.parseOptions(["--config", str(self.path), *words])
        return options

    def refusal(self, text: str, *words: str, program: Any = node, **environment: str) -> str:
        """The line that a program ends with, without the directory of the file."""
        with self.assertRaises(SystemExit) as caught:
            program.makeService(self.parsed(text, *words, program=program, **environment), MemoryReactorClock())
        line = str(caught.exception)
        self.assertNotIn("\n", line)
        return line.replace(str(self.path.parent), "")


class PrecedenceTests(LayersCase):
    """Which of several values counts."""

    @examples(60)
    @given(top=LAYER, table=LAYER, role=LAYER, variables=LAYER, typed=LAYER, first=st.booleans())
    def test_highest_wins(
        self,
        top: Mapping[str, Any],
        table: Mapping[str, Any],
        role: Mapping[str, Any],
        variables: Mapping[str, Any],
        typed: Mapping[str, Any],
        first: bool,
    ) -> None:
        """Whatever the layers hold, each option has the value of the highest that names it, and no other."""
        content = "\n".join([_toml(top), "[bazaar-node]", _toml(table), "[buyer]", _toml(role)])
        environment = {f"BAZAAR_{name.upper()}": _variable(value) for name, value in _present(variables).items()}
        words = _words(typed)
        words = ["--role", "buyer", *words] if first else [*words, "--role", "buyer"]
        options = self.parsed(content, *words, **environment)

        # Nothing on the command line switches off.
        layers = [top, table, role, variables, {**typed, "once": typed["once"] or None}]
        expected = {"for": None, "want": None, "once": False} | {
            name: value for layer in layers for name, value in _present(layer).items()
        }
        self.assertEqual({"for": options["for"], "want": options.get("want"), "once": bool(options["once"])}, expected)
        shown = {name: setting.value for name, setting in options.in_force().items() if name in expected}
        wants = expected["want"]
        self.assertEqual(shown, expected | {"want": None if wants is None else tuple(wants)})

    def test_abbreviated(self) -> None:
        """An option counts as typed however it is written."""
        text = "want = ['a', 'b']\nmax-links = 3\nlisten = 'tcp:1'\ntracker = 'tcp:h:1'"
        options = self.parsed(text, "--role=buyer", "--wan", "c", "--max-l=4", "-l", "tcp:2")
        self.assertEqual(
            (options["want"], options["max-links"], options["listen"], options["tracker"]),
            (["c"], "4", "tcp:2", "tcp:h:1"),
        )

    def test_repeatable(self) -> None:
        """Each option that may be given several times is replaced as a whole by a higher layer."""
        text = "limit = ['frame-s=1']\nconnect = ['tcp:h:1', 'tcp:h:2']\nrole = ['seller', 'buyer']\nwant = 'x'"
        options = self.parsed(text, "--role", "buyer", "--limit", "frame-s=2", BAZAAR_CONNECT="tcp:h:3\ntcp:h:4")
        self.assertEqual(
            [options[name] for name in ("limit", "connect", "role", "want")],
            [["frame-s=2"], ["tcp:h:3", "tcp:h:4"], ["buyer"], ["x"]],
        )

    def test_later_role(self) -> None:
        """Of two roles of one node the later wins; both win over the table of every node."""
        text = "[buyer]\nname = 'b'\n[seller]\nname = 's'\nmin-links = 1\n[bazaar-node]\nname = 'n'\nmin-links = 2"
        for roles, name in (("buyer seller", "s"), ("seller buyer", "b")):
            options = self.parsed(text, *(f"--role={role}" for role in roles.split()))
            self.assertEqual((options["name"], options["min-links"]), (name, "1"))


class RoleTests(LayersCase):
    """Roles that are named below the command line."""

    def test_file(self) -> None:
        """They bring their options, and what the file says of them."""
        options = self.parsed("role = ['seller']\n[seller]\nstock = ['red apple=5']")
        self.assertEqual(([each.name for each in options.plugins], options["stock"]), (["seller"], ["red apple=5"]))

    def test_environment(self) -> None:
        """So do those in a variable, which win over those of the file."""
        options = self.parsed("[bazaar-node]\nrole = 'seller'\n[seller]\nname = 'x'", BAZAAR_ROLE="buyer\nrelay")
        self.assertEqual(([each.name for each in options.plugins], options["name"]), (["buyer", "relay"], None))

    def test_service(self) -> None:
        """A node and a tracker start from one file that both share with other programs."""
        text = (
            "role = 'seller'\nstock = ['apple']\nephemeral = true\n[bazaar-tracker]\nlisten = 'tcp:0'\n"
            "verbose = true\n[buyer]\nwant = ['pear']\nonce = true"
        )
        for program in (node, tracker):
            options = self.parsed(text, program=program)
            self.assertIsInstance(program.makeService(options, MemoryReactorClock()), NodeService)
        self.assertEqual((options["listen"], options["verbose"]), ("tcp:0", 1))
        self.assertEqual(self.errors.getvalue(), "")

    def test_tracker_as_role(self) -> None:
        """The table of the role tracker is that of the program too."""
        options = self.parsed("[tracker]\nverbose = true\nmin-links = 3", program=tracker)
        self.assertEqual(options["verbose"], 1)


class RefusalTests(LayersCase):
    """Mistakes end the process with one line and status 2."""

    def test_source(self) -> None:
        """A value that cannot be is told with the place it was written in."""
        for text, words, environment, line in (
            (
                "ephemeral = true\nmax-links = 0",
                (),
                {},
                "--max-links must be a number of 1 or more, not '0'; --max-links is from /b.toml",
            ),
            (
                "",
                ("--ephemeral",),
                {"BAZAAR_LISTEN": "x"},
                "--listen 'x': not an endpoint; write one such as tcp:9001, or none; --listen is from BAZAAR_LISTEN",
            ),
            ("role = 'bier'", (), {}, "/b.toml: there is no role 'bier'; the roles are "),
            ("role = ['relay', 'relay']", (), {}, "--role relay stands twice; run two nodes"),
            (
                "[bazaar-node]\nstate = '/x'",
                ("--name", "y"),
                {},
                "--name is for nodes without --state: leave out one of them; --state is from /b.toml [bazaar-node]",
            ),
        ):
            told = self.refusal(text, *words, **environment)
            self.assertEqual(told[: len(line) + 13], f"bazaar-node: {line}")

    def test_file(self) -> None:
        """So is a file that cannot be."""
        for text, line in (
            ("lisen = 1", "/b.toml: there is no option 'lisen'; did you mean listen?"),
            ("ephemeral = 1", "/b.toml: ephemeral: write true or false, without quotes"),
            ("=", "/b.toml: this is no TOML: "),
        ):
            for program in (node, tracker):
                if program is node or "ephemeral" not in text:
                    self.assertIn(line, self.refusal(text, program=program))

    def test_in_full(self) -> None:
        """What has to be known first is written in full."""
        options = tracker.Options()
        with self.assertRaises(SystemExit) as caught:
            options.parseOptions(["--conf", "/x"])
        self.assertEqual(str(caught.exception), "bazaar-tracker: write --config FILE in full")

    def test_missing_file(self) -> None:
        """A file that is not there is one line, with what to do."""
        for program, name in ((node, NODE), (tracker, TRACKER)):
            options = program.Options()
            options.environment = {"BAZAAR_CONFIG": "/nowhere"}
            with self.assertRaises(SystemExit) as caught:
                options.parseOptions([])
            self.assertEqual(
                str(caught.exception),
                f"{name}: BAZAAR_CONFIG /nowhere: No such file or directory; name a TOML file with settings",
            )

    def test_help(self) -> None:
        """Who asks for help gets it, whatever the file is like."""
        self.patch(sys, "stdout", io.StringIO())
        for word in ("--help", "--version", "--help-roles"):
            with self.assertRaises(SystemExit) as caught:
                self.parsed("=", word)
            self.assertFalse(caught.exception.code)

    def test_unknown_variable(self) -> None:
        """A variable that means nothing is told once, and nothing ends for it."""
        self.parsed("", BAZAAR_LISEN="x", BAZAAR_STOCK="apple", BAZAAR_CONFIG="/not/asked")
        self.assertEqual(
            self.errors.getvalue(), "bazaar-node: BAZAAR_LISEN sets nothing; did you mean BAZAAR_LISTEN?\n"
        )


class KnownTests(SynchronousTestCase):
    """What there is to set."""

    def test_kinds(self) -> None:
        """What an option takes is read from its class; what asks for help is none."""
        kinds = kinds_of(node.Options().declared)
        self.assertEqual(
            {name: kinds[name] for name in ("listen", "ephemeral", "role", "limit")},
            {"listen": Kind.ONE, "ephemeral": Kind.FLAG, "role": Kind.MANY, "limit": Kind.MANY},
        )
        self.assertEqual(kinds.keys() & {"help", "version", "help-roles", "config", "r", "l"}, set())

    def test_all(self) -> None:
        """All programs and roles are known, also those that are not asked for."""
        known = known_options()
        self.assertIsInstance(known, Known)
        self.assertLessEqual({NODE, TRACKER, "buyer", "seller", "relay"}, known.tables)
        self.assertLessEqual({"want", "stock", "listen", "once", "verbose"}, known.options)

    def test_broken_role(self) -> None:
        """A role that cannot be loaded costs nobody else anything."""
        broken = plugin.RolePlugin("broken", "twisted_bazaar.no_such_module", "Cannot be loaded.")
        self.patch(plugin, "known_roles", lambda: [broken])
        self.assertEqual(known_options().roles, {"broken": None})

    def test_option_with_reader(self) -> None:
        """An option that makes something of its text does so with that of a file and of the command line."""
        option = Option("slots", "How many.", "N", "4", read=whole_number(1, 9))
        values = typed((option,), "--slots", "5")
        self.assertEqual((values["slots"], values.settings["slots"].value), (5, "5"))
        self.assertEqual(OptionValues((option,))["slots"], 4)
        with self.assertRaises(UsageError) as caught:
            OptionValues((option,), {"slots": Setting("x", DEFAULT)})["slots"]
        self.assertEqual(str(caught.exception), "--slots 'x': takes a whole number from 1 to 9")


def _present(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in layer.items() if value is not None}


def _toml(layer: Mapping[str, Any]) -> str:
    """The lines of a table; for these values TOML and JSON are the same."""
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in _present(layer).items())


def _variable(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return "\n".join(value)
        case _:
            return str(value)


def _words(layer: Mapping[str, Any]) -> list[str]:
    words = ["--once"] if layer["once"] else []
    words += [] if layer["for"] is None else [f"--for={layer['for']}"]
    return [*words, *(word for want in layer["want"] or () for word in ("--want", want))]
