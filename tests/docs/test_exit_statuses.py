"""The page of exit statuses has those of each program, as the programs declare them; and all numbers are declared.

Whatever has changed, C{python -m tests.docs.test_exit_statuses} writes the page anew.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

import click
from twisted.trial.unittest import SynchronousTestCase

import twisted_bazaar
from tests.cli.command_tree import commands_below
from tests.docs.pages import ROOT, read_page, section, table_with
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.node import shell_commands
from twisted_bazaar.cli.ring import prompt_commands
from twisted_bazaar.cli.terminal.command import PlainCommand
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.plugin import known_roles
from twisted_bazaar.roles import buyer
from twisted_bazaar.taps import node, tracker

PAGE: Final = ROOT / "docs/exit-statuses.md"
_HEAD: Final = """\
# Exit statuses

With which status each program ends, for scripts; `--help` of each shows the same. Programs with the same endings stand
together. A command that a signal has interrupted ends with 128 and the number of the signal, such as 130 for Ctrl-C,
unless its table says otherwise; so does one whose output goes into a pipe that nobody reads any more, with 141.

"""
# What takes a status, and is called with it.
_ENDING: Final = frozenset({"SystemExit", "exit", "_exit", "exit_with", "on_exit", "_finish"})
_MAY_END: Final = re.compile("|".join((*_ENDING, "exit_code")))


def endings() -> Mapping[str, Sequence[Ending]]:
    """The exit statuses of each program and role that has some of its own."""
    roles = {f"`bazaar-node --role {plugin.name}`": plugin.endings() for plugin in known_roles()}
    return {
        "`bazaar-tracker`": tracker.Options.endings,
        "`bazaar-node`": node.NodeOptions.endings,
        **{heading: of_role for heading, of_role in roles.items() if of_role},
        **{f"`bazaar {' '.join(words)}`": command.endings for words, command in plain_commands()},
    }


def plain_commands() -> Iterator[tuple[Sequence[str], PlainCommand]]:
    """Each command with endings, with the words that call it."""
    for words, command in commands_below(main):
        if isinstance(command, PlainCommand):
            yield words, command


def text() -> str:
    """The whole page."""
    alike: dict[tuple[Ending, ...], list[str]] = {}
    for program, of_program in endings().items():
        alike.setdefault(tuple(sorted(of_program, key=lambda each: each.status)), []).append(program)
    sections = (f"## {', '.join(programs)}\n\n{table(of_them)}" for of_them, programs in alike.items())
    return _HEAD + "\n".join(sections)


def table(of_program: Sequence[Ending]) -> str:
    """The endings of a program as a table."""
    rows = "".join(f"| {int(each.status)} | {marked(each.meaning)} |\n" for each in of_program)
    return f"| Status | Meaning |\n|---|---|\n{rows}"


def marked(meaning: str) -> str:
    """A sentence with its options marked as code."""
    return re.sub(r"--[a-z-]+", r"`\g<0>`", meaning)


def numbers_in(tree: ast.AST) -> Iterator[str]:
    """Where a number stands in a module in place of the name of a status."""
    for found in ast.walk(tree):
        match found:
            case ast.Call(
                func=ast.Name(id=name) | ast.Attribute(attr=name), args=[*_, ast.Constant(value=int(number))]
            ):
                if name in _ENDING:
                    yield f"line {found.lineno}: {name}({number})"
            case ast.Assign(targets=[ast.Name(id="exit_code")], value=ast.Constant(value=number)):
                yield f"line {found.lineno}: exit_code = {number}"


def statuses_in(module: ModuleType) -> Iterator[ExitStatus]:
    """The statuses that a module names."""
    for found in ast.walk(ast.parse(inspect.getsource(module))):
        match found:
            case ast.Attribute(value=ast.Name(id="ExitStatus"), attr=name):
                yield ExitStatus[name]


class ExitStatusTests(SynchronousTestCase):
    """Pages and code name the same statuses."""

    maxDiff = None

    def test_page(self) -> None:
        """The page is as it would be written now."""
        written = PAGE.read_text(encoding="utf-8")
        self.assertEqual(written, text(), "python -m tests.docs.test_exit_statuses writes it")

    def test_readme(self) -> None:
        """The README tells what each status means, wherever it is used."""
        told = table_with(section(read_page("README.md"), "The first five minutes"), "Status", "Meaning")
        self.assertEqual(told, [{"Status": str(int(each)), "Meaning": each.meaning} for each in ExitStatus])

    def test_declared(self) -> None:
        """Each command says how it ends, also when an option is wrong."""
        for words, command in plain_commands():
            if not isinstance(command, click.Group) or command.invoke_without_command:
                statuses = {ending.status for ending in command.endings}
                self.assertLessEqual({ExitStatus.DONE, ExitStatus.WRONG_USE}, statuses, words)

    def test_used(self) -> None:
        """A command, and a role, ends with no status that it does not declare."""
        of_modules: dict[ModuleType, set[ExitStatus]] = {buyer: {each.status for each in buyer.ENDINGS}}
        prompts = {"shell": shell_commands, "ring": prompt_commands}
        for words, command in plain_commands():
            modules = [inspect.getmodule(inspect.unwrap(command.callback)) if command.callback else None]
            for module in (*modules, prompts.get(" ".join(words))):
                if module is not None:
                    of_modules.setdefault(module, set()).update(ending.status for ending in command.endings)
        for module, declared in of_modules.items():
            self.assertLessEqual(set(statuses_in(module)), declared, module.__name__)

    def test_no_numbers(self) -> None:
        """Statuses stand in the code by their names only."""
        root = Path(twisted_bazaar.__file__).parent
        sources = {path: path.read_text(encoding="utf-8") for path in root.rglob("*.py")}
        trees = {path: ast.parse(source) for path, source in sources.items() if _MAY_END.search(source)}
        self.assertEqual([f"{path}: {where}" for path, tree in trees.items() for where in numbers_in(tree)], [])
        planted = "raise SystemExit(3)\nself.on_exit(1)\nclass A:\n    exit_code = 5\nos._exit(status)\n"
        self.assertEqual(
            sorted(numbers_in(ast.parse(planted))),
            ["line 1: SystemExit(3)", "line 2: on_exit(1)", "line 4: exit_code = 5"],
        )


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
