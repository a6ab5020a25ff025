"""Commands whose options are declared as those of the daemons are.

A command becomes one by its class, and its function gets the values::

    @click.command(cls=PlainCommand, declared=OPTIONS, endings=ENDINGS, example="bazaar cancel 74a0d106")
    @click.argument("order", metavar="ID")
    def cancel(order: str, options: OptionValues) -> None:

Its help shows the options in their groups and what each exit status means, and ends with the example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Final

import click

from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import Ending
from twisted_bazaar.settings.help import entry_of, format_endings, format_examples, format_groups, grouped
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.settings.similar import did_you_mean
from twisted_bazaar.settings.values import TYPED, Kind, Setting, Settings

_DASHES: Final = "--"
WIDEST_COMMAND: Final = 9
"""How many columns help has for the name of a command."""


def in_one_line(error: click.UsageError, command: str = "", commands: Iterable[str] = ()) -> UserError:
    """What is wrong with a command line; of a name that there is not, those that may be meant, if any is close to it.

    @param command: the name of a command that was typed, if that is what is wrong.
    @param commands: those that there are.
    """
    if isinstance(error, click.NoSuchOption):
        params = [] if error.ctx is None else error.ctx.command.get_params(error.ctx)
        names = [name for each in params for name in each.opts if name.startswith(_DASHES)]
        hint = did_you_mean(error.option_name.removeprefix(_DASHES), (n.removeprefix(_DASHES) for n in names), "--{}")
    else:
        hint = did_you_mean(command, commands)
    # To the names that there are not click adds a question in words of its own.
    is_name = command or isinstance(error, click.NoSuchOption)
    message = error.message if is_name else error.format_message()
    return UserError(message.rstrip(".") + (hint or "; see --help"))


class PlainCommand(click.Command):
    """A command with declared options, that says in one line what is wrong with them, and no more.

    Its function gets their values as C{options}.

    @param declared: the options, in the order in which help shows them.
    @param endings: with which exit statuses it ends, and what each means.
    @param example: a command line, for the end of help.
    """

    def __init__(
        self,
        *args: Any,
        declared: Sequence[Option] = (),
        endings: Sequence[Ending] = (),
        example: str = "",
        **attributes: Any,
    ) -> None:
        super().__init__(*args, **attributes)
        self.declared = declared
        self.endings = endings
        self.examples: Sequence[str] = [example] if example else []
        self.params.extend(map(_click_option, declared))
        if self.callback is not None and declared:
            self.callback: Callable[..., Any] | None = self._with_values(self.callback)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            with ctx:
                raise in_one_line(error) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in their groups."""
        groups = {heading: [entry_of(each) for each in options] for heading, options in grouped(self.declared).items()}
        own = {_parameter(option) for option in self.declared}
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option) and each.name not in own]
        others = [each.get_help_record(ctx) for each in options]
        groups["More"] = [record for record in others if record is not None]
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)
        write_lines(formatter, format_groups(groups, formatter.width))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each exit status means, and the example."""
        width = formatter.width
        write_lines(formatter, [*format_endings(self.endings, width), *format_examples(self.examples, width)])

    def values(self, ctx: click.Context, parameters: dict[str, Any]) -> OptionValues:
        """Take the values of the declared options out of the parameters of the function."""
        settings: dict[str, Setting] = {}
        for option in self.declared:
            value = parameters.pop(_parameter(option), None)
            if is_typed(ctx, option):
                settings[option.name] = Setting(value, TYPED)
        return OptionValues(self.declared, {**self.settings_below(ctx), **settings})

    def settings_below(self, ctx: click.Context) -> Settings:
        """What is written below the command line."""
        return {}

    def _with_values(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*args: Any, **parameters: Any) -> Any:
            values = self.values(click.get_current_context(), parameters)
            try:
                return function(*args, options=values, **parameters)
            except UsageError as error:
                raise UserError(str(error)) from None

        return run


class PlainGroup(click.Group):
    """Several commands under one word; its help tells the first paragraph of each, whole."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word calls; for one that there is not, a line with those that are close."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            with ctx:
                raise in_one_line(error, args[0], self.commands) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order in which they were added."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands."""
        entries = [(name, in_short(command)) for name, command in self.commands.items()]
        write_lines(formatter, format_groups({"Commands": entries}, formatter.width, WIDEST_COMMAND))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write an example of each command."""
        commands = [command for command in self.commands.values() if isinstance(command, PlainCommand)]
        examples = [example for command in commands for example in command.examples]
        write_lines(formatter, format_examples(examples, formatter.width))


def in_short(command: click.Command) -> str:
    """What a command does: the first paragraph of its help."""
    return " ".join((command.help or "").partition("\n\n")[0].split())


def write_lines(formatter: click.HelpFormatter, lines: Iterable[str]) -> None:
    """Write lines of help as they are, below what is there."""
    formatter.write_paragraph()
    formatter.write("\n".join(lines))


def is_typed(ctx: click.Context, option: Option) -> bool:
    """Whether an option stands on the command line."""
    return ctx.get_parameter_source(_parameter(option)) is click.core.ParameterSource.COMMANDLINE


def _parameter(option: Option) -> str:
    """What click calls an option."""
    return option.name.replace("-", "_")


def _click_option(option: Option) -> click.Option:
    words = [f"--{option.name}", *([f"-{option.short}"] if option.short else ()), _parameter(option)]
    if option.kind is Kind.FLAG:
        return click.Option(words, is_flag=True, help=option.described)
    return click.Option(words, metavar=option.metavar, multiple=option.is_many, help=option.described)
