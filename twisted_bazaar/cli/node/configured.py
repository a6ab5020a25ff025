"""Commands that take their defaults from where the daemons do: a settings file, and the environment.

What is not on the command line is looked up in the variables C{BAZAAR_INDEX} and C{BAZAAR_VIA}, then in the table
C{[bazaar-get]} of the file, then at its top; so the function gets it as if it had been typed. Arguments are for the
command line alone. The daemons share the file, and refuse what no program knows, so the options of these commands are
listed in C{cli.commands.tables}. A command under another shares its table: C{bazaar ring store} has C{[bazaar-ring]}.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import click

from twisted_bazaar.cli.terminal.command import PlainCommand, PlainGroup, is_typed
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.known import CONFIG, Known, kinds_of
from twisted_bazaar.settings.layers import Layers
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.settings.values import Setting, Settings, with_sources

# Contexts of commands under another share what is noted by these names.
_META: Final = "twisted_bazaar.settings"
_FILE: Final = "twisted_bazaar.settings.file"
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
            told = with_sources(refusal.message, self._in_force_below(ctx))
            if type(refusal) is not UserError or told == refusal.message:
                # It is not about what was written, or a command under this one has said it.
                raise
            raise UserError(told) from None

    def settings_below(self, ctx: click.Context) -> Settings:
        """What the layers set."""
        below: Settings = ctx.meta.get(_META, {})
        return below

    def _in_force_below(self, ctx: click.Context) -> Settings:
        """What the layers set, and is in force."""
        below = self.settings_below(ctx)
        typed = {option.name for option in self.declared if is_typed(ctx, option)}
        return {name: setting for name, setting in below.items() if name not in typed}


class ConfiguredGroup(ConfiguredCommand, PlainGroup):
    """A command whose options can stand in a settings file, with others under it, which read their own."""

    def settings_below(self, ctx: click.Context) -> Settings:
        """What the layers set; nothing where a command under it is called."""
        if ctx.invoked_subcommand is not None:
            return {}
        if _META not in ctx.meta:
            ctx.meta[_META] = _settings_of(ctx, self.declared, ctx.meta.get(_FILE))
        return super().settings_below(ctx)


def settings_in_force(table: str, declared: Sequence[Option], config: str | None) -> dict[str, Setting]:
    """Every option that a setting can stand for, with its value and where that was written.

    @param table: of the settings file.
    @param declared: the options.
    @param config: the settings file; None for what the environment names.
    @raise Refusal: something in it cannot be.
    """
    with click.Context(click.Command(table), info_name=table) as ctx:
        return OptionValues(declared, _read_layers(ctx, table, declared, config)).settings


def _settings_of(ctx: click.Context, declared: Sequence[Option], config: str | None) -> Settings:
    """What the layers below the command line set for a command.

    @raise Refusal: something there cannot be.
    """
    own = ctx
    while own.parent is not None and own.parent.parent is not None:
        own = own.parent
    return _read_layers(ctx, f"bazaar-{own.command.name}", declared, config)


def _known_options() -> Known:
    """The options of all programs: it takes a while to import them, so that is done where something is set."""
    from twisted_bazaar.cli.terminal.process import hold_back_log
    from twisted_bazaar.taps.known import known_options

    hold_back_log()
    return known_options()


def _read_layers(ctx: click.Context, table: str, declared: Sequence[Option], config: str | None) -> Settings:
    try:
        layers = Layers.read(config, os.environ)
        for doubt in layers.check(_known_options):
            click.echo(f"{ctx.command_path}: {doubt}", err=True)
        return layers.settings(kinds_of(declared), [table])
    except UsageError as error:
        raise UserError(str(error)) from None


def _read_settings(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Look up what lies below the command line.

    @raise Refusal: something there cannot be.
    """
    command = ctx.command
    assert isinstance(command, ConfiguredCommand), "the option is of these commands only"
    if isinstance(command, ConfiguredGroup):
        # It is not known yet whether a command under it is called.
        ctx.meta[_FILE] = value
    else:
        ctx.meta[_META] = _settings_of(ctx, command.declared, value)
