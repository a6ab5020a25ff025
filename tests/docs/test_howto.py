"""The how-to shows the example as it is."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.interface import InterfaceClass

from tests.docs.pages import PageTests, read_page, table_with
from twisted_bazaar.cli.commands.ring.client_commands import COMMANDS
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.ring.prompt_commands import WORDS
from twisted_bazaar.interfaces import INode
from twisted_bazaar.roles.discovery.method import DiscoveryMethod
from twisted_bazaar.taps import node

WORDS_THAT_ASK = {command.name for command in COMMANDS}
HOWTO = Path(__file__).parents[2] / "docs/howto"


class ExampleTests(SynchronousTestCase):
    """The pages on what is added from outside, and the packages beside them."""

    def test_shows_the_example(self) -> None:
        """Every block of code in a page stands in a file of its example, letter for letter."""
        for name, example, count in (("add-a-role.md", "greeter", 20), ("add-a-way-to-find.md", "phonebook", 5)):
            page = (HOWTO / name).read_text(encoding="utf-8")
            files = [
                path.read_text(encoding="utf-8")
                for path in (HOWTO / example).rglob("*")
                if path.suffix in (".py", ".toml")
            ]
            blocks = re.findall(r"^```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
            self.assertEqual(len(blocks), count, name)
            self.assertEqual([block for block in blocks if not any(block in text for text in files)], [], name)

    def test_can_be_pasted(self) -> None:
        """The blocks of the page on roles, one below the other, make its module, line by line."""
        page = (HOWTO / "add-a-role.md").read_text(encoding="utf-8")
        before, _, door = page.partition("## The door")
        pasted = re.findall(
            r"^```python\n(.*?)^```", before + door.partition("The drop-in")[0], re.MULTILINE | re.DOTALL
        )
        module = (HOWTO / "greeter/bazaar_greeter/role.py").read_text(encoding="utf-8")
        lines = [[line for line in text.splitlines() if line] for text in ("\n".join(pasted), module)]
        self.assertEqual(*lines)


class MethodTests(PageTests):
    """What the pages say that a node offers, and that a way to find gives."""

    def test_methods(self) -> None:
        """Each method in their tables is there, and takes what it is said to take."""
        for name, first, owner, fewest in (
            ("add-a-role.md", "Of the node", INode, 6),
            ("add-a-way-to-find.md", "Of the way", DiscoveryMethod, 3),
        ):
            rows = table_with(read_page(f"docs/howto/{name}"), first)
            said = [each for row in rows for each in re.findall(r"`(\w+)\(([^)]*)\)`", row[first])]
            self.assertGreaterEqual(len(said), fewest)
            true = [(method, ", ".join(parameters_of(owner, method))) for method, _ in said]
            self.assertEqual(said, true, name)


def parameters_of(owner: Any, method: str) -> list[str]:
    """What a method of a class or an interface takes, as one writes it in a call; empty text if there is none."""
    found = owner.get(method) if isinstance(owner, InterfaceClass) else getattr(owner, method, None)
    if found is None:
        return ["no such method"]
    if isinstance(owner, InterfaceClass):
        about = found.getSignatureInfo()
        return [*about["positional"], *([f"**{about['kwargs']}"] if about["kwargs"] else [])]
    return [name for name in inspect.signature(found).parameters if name != "self"]


class CommandTests(SynchronousTestCase):
    """What the pages say is to be typed."""

    def test_options(self) -> None:
        """Every command line of the page on super peers can be read: each option is one, and takes what it is given."""
        self.check("super-peers.md", least_daemons=10)

    def test_ring(self) -> None:
        """So can those of the page on the ring."""
        self.check("ring.md", least_daemons=4)

    def check(self, name: str, least_daemons: int) -> None:
        """See that the command lines of a page can be read."""
        page = (HOWTO / name).read_text(encoding="utf-8").replace(" \\\n", "")
        lines = re.findall(r"^ {4,}(?:twistd -n )?((?:bazaar-node|bazaar) [^>\n]*?)(?: >.*)?$", page, re.MULTILINE)
        lines = [line.replace("$n", "2") for line in lines]
        daemons = [shlex.split(line)[1:] for line in lines if line.startswith("bazaar-node")]
        self.assertGreaterEqual(len(daemons), least_daemons)
        for words in daemons:
            options = node.Options()
            options.environment = {}
            options.parseOptions(words)
        commands = [shlex.split(line)[1:] for line in lines if line.startswith("bazaar ")]
        self.assertGreater(len(commands), 5)
        for command, *words in commands:
            named = [word for word in words if word.startswith("--")]
            path = [command, *words[:1]] if command == "ring" else [command]
            told = CliRunner().invoke(main, [*path, "--help"]).output
            self.assertEqual([name for name in named if name not in told], [], command)

    def test_classroom(self) -> None:
        """Every command line of the lesson can be read, and what a word is said to be can be typed."""
        page = (HOWTO / "classroom.md").read_text(encoding="utf-8")
        lines = re.findall(
            r"^    (?:echo .* \| )?(bazaar ring .*|bazaar-node .*|twistd -n bazaar-node .*)$", page, re.MULTILINE
        )
        told = {"": CliRunner().invoke(main, ["ring", "--help"]).output}
        for line in lines:
            words = shlex.split(line)
            if words[0] == "twistd":
                options = node.Options()
                options.environment = {}
                options.parseOptions(words[3:])
                continue
            command = words[2] if words[2] in WORDS_THAT_ASK else ""
            if command not in told:
                told[command] = CliRunner().invoke(main, ["ring", command, "--help"]).output
            named = [word for word in words if word.startswith("--")]
            self.assertEqual([name for name in named if name not in told[command]], [], line)
        self.assertGreater(len(lines), 7)
        meant = {word.name for word in WORDS}
        typed = {
            text.split()[0]
            for text in re.findall(r"`((?:store|request|quit|die|list|status|find|delete|put|get|help)\b[^`]*)`", page)
        }
        self.assertLessEqual(typed, meant)
        self.assertEqual(meant - typed, set())
