"""Commands that take their defaults from where the daemons do: a settings file, and the environment.

What is not on the command line is looked up in the variables C{BAZAAR_INDEX} and C{BAZAAR_VIA}, then in the table
C{[bazaar-get]} of the file, then at its top; so the function gets it as if it had been typed. Arguments are for the
command line alone. The daemons share the file, and refuse what no program knows, so the options of these commands stand
in C{cli.commands.files.options}.
"""

from __future__ import annotations

import os
from typing import Any, Final

import click

from twisted_bazaar.cli.terminal.command import PlainCommand, is_typed
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.terminal.process import hold_back_log
from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.known import CONFIG, kinds_of
from twisted_bazaar.settings.layers import Layers
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.settings.values import Setting, Settings, with_sources
from twisted_bazaar.taps.known import known_options

_META: Final = "twisted_bazaar.settings"
_CONFIG_HELP: Final = "A TOML file with settings for what is not said here; see bazaar config show."


class ConfiguredCommand(PlainCommand):
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
            raise UserError(with_sources(refusal.message, self._in_force_below(ctx))) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except UserError as refusal:
            if type(refusal) is not UserError:
                # It is not about what was written.
                raise
            raise UserError(with_sources(refusal.message, self._in_force_below(ctx))) from None

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
        hold_back_log()
        try:
            layers = Layers.read(config, os.environ)
            for doubt in layers.check(known_options):
                click.echo(f"{ctx.command_path}: {doubt}", err=True)
            return layers.settings(kinds_of(self.declared), [self.table])
        except UsageError as error:
            raise UserError(str(error)) from None

    def settings_below(self, ctx: click.Context) -> Settings:
        """What the layers set."""
        below: Settings = ctx.meta.get(_META, {})
        return below

    def _in_force_below(self, ctx: click.Context) -> Settings:
        """What the layers set, and is in force."""
        below = self.settings_below(ctx)
        typed = {option.name for option in self.declared if is_typed(ctx, option)}
        return {name: setting for name, setting in below.items() if name not in typed}


def _read_settings(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Look up what lies below the command line.

    @raise Refusal: something there cannot be.
    """
    command = ctx.command
    assert isinstance(command, ConfiguredCommand), "the option is of these commands only"
    ctx.meta[_META] = command.settings(ctx, value)
