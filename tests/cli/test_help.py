"""Help: options in groups, what matters first, no wider than the terminal, an example at the end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.command_tree import commands_below
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.terminal.command import PlainCommand, PlainGroup
from twisted_bazaar.plugin import known_roles
from twisted_bazaar.settings.help import format_examples, format_groups
from twisted_bazaar.taps import node, tracker
from twisted_bazaar.taps.options import DaemonOptions

EXAMPLE = "Example:"
EXAMPLES = "Examples:"


class CommandHelpTests(SynchronousTestCase):
    """C{bazaar COMMAND --help}."""

    def told(self, words: Sequence[str], columns: int) -> list[str]:
        """The lines of help."""
        done = CliRunner(env={"COLUMNS": str(columns)}).invoke(main, [*words, "--help"], prog_name="bazaar")
        self.assertEqual(done.exit_code, 0)
        return done.output.splitlines()

    def test_width(self) -> None:
        """No line is wider than a terminal, be it narrow; nor than 80 columns, if it is wide."""
        for words, _ in commands_below(main):
            for columns in (80, 200):
                lines = self.told(words, columns)
                self.assertLessEqual(max(map(len, lines)), 80, words)

    def test_example(self) -> None:
        """Each command ends with a line that can be typed; a group of commands with one for each of them."""
        for words, command in [((), main), *commands_below(main)]:
            lines = self.told(words, 80)
            [heading] = [line for line in lines if line in (EXAMPLE, EXAMPLES)]
            examples = lines[lines.index(heading) + 1 :]
            for line in examples:
                self.assertTrue(line.startswith("  " + " ".join(("bazaar", *words))), line)
            is_group = isinstance(command, PlainGroup) and not isinstance(command, PlainCommand)
            self.assertEqual(heading, EXAMPLE if len(examples) == 1 else EXAMPLES, words)
            self.assertGreaterEqual(len(examples), len(command.commands) if is_group else 1, words)

    def test_unknown_command(self) -> None:
        """A command that there is not is answered in one line, with those that are close if there are any."""
        for word, hint in (("serch", "did you mean search?"), ("stoc", "did you mean stock?"), ("xyzzy", "see --help")):
            done = CliRunner().invoke(main, [word], prog_name="bazaar")
            self.assertEqual((done.exit_code, done.output), (2, f"bazaar: No such command {word!r}; {hint}\n"))

    def test_unknown_below(self) -> None:
        """So is one under another word."""
        for words, meant in (("stock lst", "list"), ("config shw", "show"), ("simulate markt", "market")):
            word, unknown = words.split()
            done = CliRunner().invoke(main, [word, unknown], prog_name="bazaar")
            line = f"bazaar {word}: No such command {unknown!r}; did you mean {meant}?"
            self.assertEqual((done.exit_code, done.output), (2, f"{line}\n"))

    def test_unknown_option(self) -> None:
        """And so is an option."""
        for words, hint in (
            ("search a --indx b", "'--indx'; did you mean --index?"),
            ("simulate market --node 3", "'--node'; did you mean --nodes or --mode?"),
            ("ring --joiin x", "'--joiin'; did you mean --join?"),
            ("demo --xyzzy", "'--xyzzy'; see --help"),
        ):
            done = CliRunner().invoke(main, words.split(), prog_name="bazaar")
            self.assertEqual(done.exit_code, 2)
            self.assertEqual(done.output.partition(": No such option ")[2], f"{hint}\n")

    def test_groups(self) -> None:
        """What one asks first stands first: own options, then how to find, then links and datagrams, help last."""
        lines = self.told(["get"], 80)
        headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
        self.assertEqual(
            headings, ["Options:", "Finding:", "Links:", "UDP datagrams:", "More:", "Exit status:", EXAMPLE]
        )


class DaemonHelpTests(SynchronousTestCase):
    """C{twistd bazaar-node --help}."""

    def options(self, *words: str) -> DaemonOptions:
        """A node's options, with those of its roles."""
        options = node.Options()
        options.environment = {}
        options.parseOptions(words)
        return options

    def test_width(self) -> None:
        """No line is wider than 80 columns, whatever the roles; an example stands at the end."""
        roles = [self.options("--role", plugin.name) for plugin in known_roles()]
        for options in (tracker.Options(), self.options(), *roles):
            lines = options.getUsage(80).splitlines()
            self.assertLessEqual(max(map(len, lines)), 80)
            self.assertEqual(lines[-2], EXAMPLE)
            self.assertTrue(lines[-1].startswith("  twistd -n bazaar-"), lines[-1])

    def test_order(self) -> None:
        """What a node does, and its role's own options, stand first."""
        lines = self.options("--role", "buyer").getUsage(80).splitlines()
        headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
        self.assertEqual(headings[:3], ["What it does:", "Role buyer:", "Finding:"])


class LayoutTests(SynchronousTestCase):
    """How options are set on a page."""

    def test_examples(self) -> None:
        """An example that is longer than a line goes on below, as a shell takes it; what is in quotes is not parted."""
        example = "bazaar get 'holiday film.mp4' --index tcp:192.0.2.1:9100"
        self.assertEqual(list(format_examples([example], 80)), [EXAMPLE, f"  {example}", ""])
        narrow = list(format_examples([example], 40))
        self.assertEqual(narrow[1:-1], ["  bazaar get 'holiday film.mp4' \\", "    --index tcp:192.0.2.1:9100"])
        self.assertEqual(shlex.split("\n".join(narrow[1:]).replace("\\\n", "")), shlex.split(example))

    def test_narrow(self) -> None:
        """Where there is no room beside an option its text stands below it."""
        entries = {"Options": [("--listen ENDPOINT", "Where to take connections, or none.")]}
        wide = list(format_groups(entries, 80))
        self.assertEqual(wide[1], "  --listen ENDPOINT           Where to take connections, or none.")
        narrow = list(format_groups(entries, 40))
        self.assertEqual(narrow[1:4], ["  --listen ENDPOINT", "    Where to take connections, or none.", ""])
        self.assertLessEqual(max(map(len, narrow)), 40)
