"""Commands whose options are declared, as those of the daemons are; their defaults may lie where those of daemons do.

A command becomes one by its class, and its function gets the values::

    @click.command(cls=ConfiguredCommand, declared=GET, example="bazaar get song.mp3")
    @click.argument("name")
    def get(name: str, options: OptionValues) -> None:

A L{ConfiguredCommand} has C{--config} too. What is not on the command line is looked up in the variables
C{BAZAAR_INDEX} and C{BAZAAR_VIA}, then in the table C{[bazaar-get]} of the file, then at its top; so the function gets
it as if it had been typed. Arguments are for the command line alone. The daemons share the file, and refuse what no
program knows, so its options stand in C{cli.commands.files.options}.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final

import click

from twisted_bazaar.cli.terminal.errors import PlainCommand, UserError
from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.help import entry_of, grouped, told_groups
from twisted_bazaar.settings.known import CONFIG, kinds_of
from twisted_bazaar.settings.layers import Layers
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.settings.values import TYPED, Kind, Setting, Settings, with_sources
from twisted_bazaar.taps.known import known_options

_META: Final = "twisted_bazaar.settings"
_CONFIG_HELP: Final = "A TOML file with settings for what is not said here; see bazaar config show."


class DeclaredOptions(click.Command):
    """A command with declared options. Its function gets their values as C{options}.

    @param declared: the options, in the order in which help shows them.
    @param example: a command line, for the end of help.
    """

    def __init__(self, *args: Any, declared: Sequence[Option] = (), example: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.declared = declared
        self._example = example
        self.params += map(_click_option, declared)
        if self.callback is not None:
            self.callback = self._with_values(self.callback)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in their groups."""
        groups = {heading: [entry_of(each) for each in options] for heading, options in grouped(self.declared).items()}
        own = {_parameter(option) for option in self.declared}
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option) and each.name not in own]
        others = [each.get_help_record(ctx) for each in options]
        groups["More"] = [record for record in others if record is not None]
        formatter.write_paragraph()
        formatter.write("\n".join(told_groups(groups, formatter.width)))
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        if self._example:
            formatter.write(f"\nExample:\n  {self._example}\n")

    def values(self, ctx: click.Context, parameters: dict[str, Any]) -> OptionValues:
        """Take the values of the declared options out of the parameters of the function."""
        below: Settings = ctx.meta.get(_META, {})
        settings = {}
        for option in self.declared:
            value = parameters.pop(_parameter(option), None)
            if ctx.get_parameter_source(_parameter(option)) is click.core.ParameterSource.COMMANDLINE:
                settings[option.name] = Setting(value, TYPED)
            elif option.name in below:
                settings[option.name] = below[option.name]
        return OptionValues(self.declared, settings)

    def _with_values(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*args: Any, **parameters: Any) -> Any:
            values = self.values(click.get_current_context(), parameters)
            try:
                return function(*args, options=values, **parameters)
            except UsageError as error:
                raise UserError(str(error)) from None

        return run


class ConfiguredCommand(DeclaredOptions, PlainCommand):
    """A command whose options can stand in a settings file, and in the environment."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.append(
            click.Option(
                [f"--{CONFIG}"],
                metavar="FILE",
                expose_value=False,
                is_eager=True,
                callback=_read_settings,
                help=_CONFIG_HELP,
            )
        )

    @property
    def table(self) -> str:
        """Its table in a settings file."""
        return f"bazaar-{self.name}"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line, and what lies below it."""
        try:
            return super().parse_args(ctx, args)
        except UserError as refusal:
            raise UserError(with_sources(refusal.message, self._below(ctx))) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except UserError as refusal:
            if type(refusal) is not UserError:
                # It is not about what was written.
                raise
            raise UserError(with_sources(refusal.message, self._below(ctx))) from None

    def in_force(self, config: str | None) -> dict[str, Setting]:
        """Every option that a setting can stand for, with its value and where that was written.

        @param config: the settings file; None for what the environment names.
        @raise Refusal: something in it cannot be.
        """
        with click.Context(self, info_name=self.table) as ctx:
            return OptionValues(self.declared, self.settings(ctx, config)).settings

    def settings(self, ctx: click.Context, config: str | None) -> Settings:
        """What the layers below the command line set.

        @raise Refusal: something there cannot be.
        """
        try:
            layers = Layers.read(config, os.environ)
            for doubt in layers.check(known_options):
                click.echo(f"{ctx.command_path}: {doubt}", err=True)
            return layers.settings(kinds_of(self.declared), [self.table])
        except UsageError as error:
            raise UserError(str(error)) from None

    def _below(self, ctx: click.Context) -> Settings:
        """What the layers set, and is in force."""
        below: Settings = ctx.meta.get(_META, {})
        typed = click.core.ParameterSource.COMMANDLINE
        names = [each.name for each in self.declared if ctx.get_parameter_source(_parameter(each)) is not typed]
        return {name: below[name] for name in names if name in below}


def _read_settings(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Look up what lies below the command line.

    @raise Refusal: something there cannot be.
    """
    command = ctx.command
    assert isinstance(command, ConfiguredCommand), "the option is of these commands only"
    ctx.meta[_META] = command.settings(ctx, value)


def _parameter(option: Option) -> str:
    """What click calls an option."""
    return option.name.replace("-", "_")


def _click_option(option: Option) -> click.Option:
    words = [f"--{option.name}", *([f"-{option.short}"] if option.short else ()), _parameter(option)]
    return click.Option(
        words,
        metavar=option.metavar,
        is_flag=option.kind is Kind.FLAG,
        multiple=option.is_many,
        help=option.described,
    )
