"""C{bazaar shell}: a prompt at which files are found and fetched, word by word."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from twisted_bazaar.cli.commands.files.get import directory_for_files
from twisted_bazaar.cli.commands.files.options import SHELL
from twisted_bazaar.cli.node.availability import Reason
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.node.ephemeral_node import EphemeralNode
from twisted_bazaar.cli.node.shell_commands import ShellCommands
from twisted_bazaar.cli.terminal.history import History
from twisted_bazaar.cli.terminal.prompt import Prompt
from twisted_bazaar.cli.terminal.session import Interrupted, run_in_reactor
from twisted_bazaar.exit_status import WRONG_OPTION, Ending, ExitStatus
from twisted_bazaar.interfaces import ICatalogue
from twisted_bazaar.roles.fetcher import Fetcher, parts_in
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.state import states_root

_HISTORY: Final = "shell.history"
_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "The prompt was left."),
    Ending(ExitStatus.NO, "Something went wrong with a word from a pipe or a file, or this node cannot go on."),
    WRONG_OPTION,
    Ending(ExitStatus.UNFINISHED, "Downloads are left. bazaar get goes on with them."),
    Ending(
        ExitStatus.UNREACHED,
        "Nobody was reached for words from a pipe or a file, or what listens at --index or --join is something else.",
    ),
)


@click.command(cls=ConfiguredCommand, declared=SHELL, endings=_ENDINGS, example="bazaar shell --via superpeer")
def shell(options: OptionValues) -> None:
    """Find files and fetch them at a prompt.

    Its words are query, list, choose, get, cancel, status, wait, help and exit. Downloads go on while the prompt is
    there, and what has come is served to others. Words may come from a pipe or a file too; then it ends with status 7
    where nobody is to be asked.

    Ctrl-C clears the line; on an empty one it stops the only download, and what has come is kept. What is typed can be
    called again the next time, but for lines that begin with a blank.
    """
    run = _Run(directory_for_files(options["output"]), EphemeralNode.read(options))
    try:
        status = run_in_reactor(run.work, run.prompt.interrupt)
    except Interrupted as interrupted:
        run.tell_rest()
        raise SystemExit(ExitStatus.UNFINISHED if run.has_left else interrupted.status) from None
    raise SystemExit(status)


class _Run:
    """One call of the command.

    @ivar prompt: where words are typed.
    @ivar has_left: whether downloads were left that can be gone on with.
    """

    def __init__(self, directory: Path, membership: EphemeralNode) -> None:
        self._directory = directory
        self._membership = membership
        self.prompt = Prompt(history=History(states_root(), _HISTORY))
        self._commands: ShellCommands | None = None
        self.has_left = False

    async def work(self, reactor: Any) -> int:
        """Take words until there are no more; returns the exit status."""
        prompt = self.prompt
        # Who sits there may start what is missing; a script is told.
        late = self._tell_late if prompt.is_seen else None
        async with self._membership.join(reactor, self._make_fetcher, stays=True, late=late) as member:
            commands = self._commands = ShellCommands(
                member.fetcher, self._directory, prompt.say, reactor, patient=not prompt.is_seen
            )
            prompt.interrupted = commands.on_interrupt
            member.fetcher.joined.addCallback(lambda _: prompt.say("joined; help tells which words there are"))
            return await member.stay(commands.run(prompt, reactor))

    def tell_rest(self) -> None:
        """Say what was left when it was interrupted."""
        if self._commands is not None:
            self.has_left = self._commands.show_left()

    def _make_fetcher(self, catalogue: ICatalogue) -> Fetcher:
        return Fetcher(catalogue, parts_in(self._directory))

    def _tell_late(self, reason: Reason) -> None:
        self.prompt.say(self._membership.asked.awaited(reason))
