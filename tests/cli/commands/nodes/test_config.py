"""C{bazaar config show}, and commands whose defaults come from where it looks."""

from __future__ import annotations

import json
import os
import re
import tempfile
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli import main as main_module
from twisted_bazaar.cli.commands.tables import COMMANDS, settable_options
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.settings.option import Option, OptionValues, whole_number

FILE = """
role = "seller"
tracker = "tcp:192.0.2.1:9000"

[bazaar-tracker]
listen = "tcp:9000"

[seller]
stock = ["red apple=5@40", "-"]
ledger = "postgresql://ben:s3cret@db/stock"

[bazaar-node]
ephemeral = true
"""


class ConfigCase(SynchronousTestCase):
    """A settings file, and an environment without settings."""

    def setUp(self) -> None:
        """Write the file."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "b.toml"
        self.path.write_text(FILE)
        self.environment: dict[str, str | None] = {name: None for name in os.environ if name.startswith("BAZAAR_")}

    def invoke(self, *words: str, command: click.Command = main, **environment: str) -> Result:
        """Run a command."""
        runner = CliRunner()
        return runner.invoke(command, words, prog_name="bazaar", env={**self.environment, **environment})

    def show(self, *words: str, **environment: str) -> Result:
        """Run C{bazaar config show}."""
        return self.invoke("config", "show", *words, **environment)

    def rows(self, *words: str, **environment: str) -> dict[str, Any]:
        """What it tells a program, by option."""
        result = self.show("--json", *words, **environment)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        return {row.pop("option"): row for row in json.loads(result.stdout)}


class ShowTests(ConfigCase):
    """What is in force, and where it was written."""

    def test_table(self) -> None:
        """Each option has its value, and the place it comes from."""
        result = self.show("--config", str(self.path), BAZAAR_MIN_LINKS="3")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        for line in (
            "option +value +source",
            "ephemeral +yes  +PATH",
            "min-links +3  +BAZAAR_MIN_LINKS",
            "max-links +8, or what its roles need  +default",
            "advertise +-  +default",
            "role +seller  +PATH",
            "stock +red apple=5@40  +PATH",
            " +'-'",
            "tracker +tcp:192.0.2.1:9000  +PATH",
        ):
            # The path of a temporary directory may be too long for a line.
            self.assertRegex(result.stdout, f"(?m)^ {line.replace('PATH', re.escape(str(self.path)[:12]))}")
        self.assertNotIn("no settings file", result.stdout)

    def test_json(self) -> None:
        """For programs it is told as JSON, whole."""
        rows = self.rows("--config", str(self.path), BAZAAR_NAME="ben")
        path = str(self.path)
        self.assertEqual(
            [rows[option] for option in ("ephemeral", "stock", "tracker", "name", "min-links", "listen", "connect")],
            [
                {"value": True, "source": "file", "where": path, "table": "bazaar-node"},
                {"value": ["red apple=5@40", "-"], "source": "file", "where": path, "table": "seller"},
                {"value": "tcp:192.0.2.1:9000", "source": "file", "where": path, "table": None},
                {"value": "ben", "source": "environment", "where": "BAZAAR_NAME", "table": None},
                {"value": None, "source": "default", "where": None, "table": None},
                {"value": "tcp:0:interface=127.0.0.1", "source": "default", "where": None, "table": None},
                {"value": None, "source": "default", "where": None, "table": None},
            ],
        )

    def test_passwords(self) -> None:
        """No password is shown, neither to people nor to programs."""
        for words in ((), ("--json",)):
            told = self.show("--config", str(self.path), *words).stdout
            self.assertNotIn("s3cret", told)
            self.assertIn("postgresql://ben:***@db/stock", told.replace("\n", ""))

    def test_programs(self) -> None:
        """It shows the options of any daemon, and of the roles that are asked for."""
        environment = {"BAZAAR_CONFIG": str(self.path)}
        self.assertEqual(self.rows("--program", "tracker", **environment)["listen"]["value"], "tcp:9000")
        self.assertEqual(self.rows("--program", "bazaar-tracker", **environment)["verbose"]["value"], False)
        rows = self.rows("--role", "buyer", "--role", "relay", **environment)
        self.assertEqual(rows["role"], {"value": ["buyer", "relay"], "source": "option", "where": None, "table": None})
        self.assertIn("want", rows)
        self.assertNotIn("stock", rows)

    def test_without_file(self) -> None:
        """Without a settings file it says how to name one."""
        result = self.show()
        self.assertEqual(result.exit_code, 0)
        self.assertIn("no settings file sets any of this; --config or BAZAAR_CONFIG names one", result.stdout)

    def test_strange_characters(self) -> None:
        """What a value holds cannot move the cursor."""
        self.path.write_text('name = "a\\u001b[2Jb"')
        told = self.show("--config", str(self.path)).stdout
        self.assertIn("a\ufffd[2Jb", told)
        self.assertNotIn("\x1b", told)

    def test_refusals(self) -> None:
        """What cannot be is said in one line, with status 2."""
        broken = self.path.with_name("broken.toml")
        broken.write_text("lisen = 1")
        for words, line in (
            (["--program", "foo"], "--program: takes node, tracker"),
            (["--program", "simulate"], "--program: takes node, tracker"),
            (["--program", "tracker", "--role", "buyer"], "--role goes with --program node"),
            (["--role", "bier"], "there is no role 'bier'; the roles are "),
            (["--config", "/nowhere"], "--config /nowhere: No such file or directory; name a TOML file"),
            (["--config", str(broken)], f"{broken}: there is no option 'lisen'; did you mean listen?"),
            (["--frob"], "No such option"),
        ):
            result = self.show(*words)
            self.assertEqual((result.exit_code, result.stdout, result.stderr.count("\n")), (2, "", 1), words)
            self.assertTrue(result.stderr.startswith(f"bazaar config show: {line}"), result.stderr)

    def test_doubt(self) -> None:
        """A variable that means nothing is told, and costs nothing."""
        result = self.show(BAZAAR_LISEN="x")
        self.assertEqual(result.exit_code, 0)
        self.assertEqual(result.stderr, "bazaar-node: BAZAAR_LISEN sets nothing; did you mean BAZAAR_LISTEN?\n")


FETCH = (
    Option("tracker", "Where the tracker is.", "ENDPOINT"),
    Option("out", "Where it goes.", "DIR", "here", short="o"),
    Option("slots", "How many.", "N", "4", read=whole_number(1, 9)),
    Option("source", "From whom.", "NODE", is_many=True),
    Option("overwrite", "Replace it."),
)


@click.command("fetch", cls=ConfiguredCommand, declared=FETCH)
@click.argument("name")
def fetch(name: str, options: OptionValues) -> None:
    """Tell what it was given."""
    if options["out"] == "nowhere":
        raise UserError("--out: there is no directory 'nowhere'")
    click.echo(json.dumps({**options, "name": name}))


class ConfiguredTests(ConfigCase):
    """A command whose defaults come from settings."""

    def setUp(self) -> None:
        """Make the command known, and write its settings."""
        super().setUp()
        # Into the mapping itself: others have imported it.
        programs: dict[str, Any] = COMMANDS  # type: ignore[assignment]
        programs["bazaar-fetch"] = FETCH
        self.addCleanup(programs.pop, "bazaar-fetch")
        self.path.write_text(
            'tracker = "top"\noverwrite = true\n[bazaar-fetch]\nslots = 7\nsource = ["a b", "c"]\n[seller]\nstock = "x"'
        )
        self.environment["BAZAAR_CONFIG"] = str(self.path)

    def fetched(self, *words: str, **environment: str) -> Any:
        """What the command was given."""
        result = self.invoke(*words, command=fetch, **environment)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        return json.loads(result.stdout)

    def test_order(self) -> None:
        """Defaults, the file, the environment, the command line: the highest wins, and lists are replaced."""
        given = {
            "tracker": "top",
            "out": "here",
            "slots": 7,
            "source": ["a b", "c"],
            "overwrite": True,
            "name": "n",
        }
        self.assertEqual(self.fetched("n"), given)
        above = {"BAZAAR_SLOTS": "8", "BAZAAR_SOURCE": "d\ne f", "BAZAAR_OVERWRITE": "no", "BAZAAR_OUT": "there"}
        given |= {"slots": 8, "source": ["d", "e f"], "overwrite": False, "out": "there"}
        self.assertEqual(self.fetched("n", **above), given)
        given |= {"slots": 9, "source": ["g"], "out": "x", "tracker": "y"}
        self.assertEqual(self.fetched("n", "--slots=9", "--source", "g", "-o", "x", "--tracker", "y", **above), given)

    def test_named_file(self) -> None:
        """A file named on the command line stands instead of the other, wherever it is named."""
        other = self.path.with_name("other.toml")
        other.write_text("tracker = 'other'")
        for words in (("n", "--config", str(other)), ("--config", str(other), "n")):
            self.assertEqual(self.fetched(*words)["tracker"], "other")
            self.assertEqual(self.fetched(*words)["slots"], 4)

    def test_refusals(self) -> None:
        """What cannot be is said in one line, with the place it was written in, and status 2."""
        for text, line in (
            (
                "tracker = 'x'\nslots = 'many'",
                f"--slots 'many': takes a whole number from 1 to 9; --slots is from {self.path}",
            ),
            ("tracker = 'x'\nout = 'nowhere'", f"--out: there is no directory 'nowhere'; --out is from {self.path}"),
            ("tracker = true", f"{self.path}: tracker: takes a text in quotes or a number, not true"),
            ("slotz = 1", f"{self.path}: there is no option 'slotz'; did you mean slots?"),
        ):
            self.path.write_text(text)
            result = self.invoke("n", command=fetch)
            self.assertEqual((result.exit_code, result.stdout, result.stderr.count("\n")), (2, "", 1), text)
            self.assertIn(line, result.stderr)

    def test_show(self) -> None:
        """C{bazaar config show} tells its settings too."""
        self.patch(main_module, "_FOLDERS", {**main_module._FOLDERS, "fetch": "files"})
        modules = {"twisted_bazaar.cli.commands.files.fetch": SimpleNamespace(fetch=fetch)}
        self.patch(main_module, "import_module", lambda name: modules.get(name) or import_module(name))
        rows = self.rows("--program", "fetch")
        self.assertEqual(
            {option: (row["value"], row["source"], row["table"]) for option, row in rows.items()},
            {
                "tracker": ("top", "file", None),
                "out": ("here", "default", None),
                "slots": ("7", "file", "bazaar-fetch"),
                "source": (["a b", "c"], "file", "bazaar-fetch"),
                "overwrite": (True, "file", None),
            },
        )

    def test_known(self) -> None:
        """The daemons know the options of each command that takes settings."""
        root = click.Context(main)
        found = {}
        for name in main.list_commands(root):
            command = main.get_command(root, name)
            assert command is not None, "it is listed"
            if options := settable_options(command):
                found[f"bazaar-{name}"] = options
        self.assertEqual(found, {name: options for name, options in COMMANDS.items() if name != "bazaar-fetch"})


class SetTests(ConfigCase):
    """What somebody has set, and nothing else."""

    def test_set(self) -> None:
        """With --set what has its default is left out; where nothing is set, that is said."""
        rows = self.rows("--program", "get", "--set", "--config", str(self.path), BAZAAR_OUTPUT="there")
        self.assertEqual({option: row["value"] for option, row in rows.items()}, {"output": "there"})
        lines = self.show("--program", "stock", "--set", BAZAAR_NAME="shop").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines if line.strip()][2:3], ["name"])
        self.assertEqual(self.rows("--program", "stock", "--set"), {})
        told = self.show("--program", "stock", "--set").stdout
        self.assertEqual(told, "nothing is set; a settings file would be named by --config or BAZAAR_CONFIG\n")
