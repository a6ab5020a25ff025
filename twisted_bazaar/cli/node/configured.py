"""Commands that take their defaults from where the daemons do: a settings file, and the environment.

A command becomes one by its class, and then has C{--config} too::

    @click.command(cls=ConfiguredCommand)
    @click.option("--index", metavar="ENDPOINT", default="tcp:127.0.0.1:9100", help="...")
    @click.option("--via", ...)
    @click.argument("name")
    def get(name: str, index: str, via: str) -> None:

What is not on the command line is looked up in the variables C{BAZAAR_INDEX} and C{BAZAAR_VIA}, then in the table
C{[bazaar-get]} of the file, then at its top; so the function gets it as if it had been typed, and may be C{required}.
Arguments, and options that are C{hidden}, are for the command line alone. The daemons share the file, and refuse
what no program knows: give the command a line in C{settings.known.COMMANDS}; a test compares the two.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import click

from twisted_bazaar.cli.terminal.errors import PlainCommand, UserError
from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.known import CONFIG, NEVER_SET
from twisted_bazaar.settings.layers import Layers
from twisted_bazaar.settings.values import DEFAULT, Kind, Kinds, Setting, Settings, Value, with_sources
from twisted_bazaar.taps.known import known_options

_META: Final = "twisted_bazaar.settings"


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
                help="A TOML file with settings for what is not said here; see bazaar config show.",
            )
        )

    @property
    def table(self) -> str:
        """Its table in a settings file."""
        return f"bazaar-{self.name}"

    def options(self) -> dict[str, click.Option]:
        """The options that a setting can stand for, by their names in a file."""
        options = {_name_of(each): each for each in self.params if isinstance(each, click.Option) and not each.hidden}
        return {name: option for name, option in options.items() if name not in NEVER_SET}

    def kinds(self) -> Kinds:
        """What each of them takes."""
        return {name: _kind_of(option) for name, option in self.options().items()}

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
            below = self.settings(ctx, config)
            return {
                name: below.get(name) or Setting(_default_of(ctx, option), DEFAULT)
                for name, option in self.options().items()
            }

    def settings(self, ctx: click.Context, config: str | None) -> Settings:
        """What the layers below the command line set.

        @raise Refusal: something there cannot be.
        """
        try:
            layers = Layers.read(config, os.environ)
            for doubt in layers.check(known_options):
                click.echo(f"{ctx.command_path}: {doubt}", err=True)
            return layers.settings(self.kinds(), [self.table])
        except UsageError as error:
            raise UserError(str(error)) from None

    def _below(self, ctx: click.Context) -> Settings:
        """What the layers set, and is in force."""
        settings: Settings = ctx.meta.get(_META, {})
        options = self.options()
        return {
            name: setting
            for name, setting in settings.items()
            if ctx.get_parameter_source(options[name].name or "") is not click.core.ParameterSource.COMMANDLINE
        }


def _read_settings(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Let what lies below the command line be the defaults of a command.

    @raise Refusal: something there cannot be.
    """
    command = ctx.command
    assert isinstance(command, ConfiguredCommand), "the option is of these commands only"
    settings = command.settings(ctx, value)
    ctx.meta[_META] = settings
    options = command.options()
    ctx.default_map = {str(options[name].name): setting.value for name, setting in settings.items()}


def _default_of(ctx: click.Context, option: click.Option) -> Value | None:
    """What an option is by default, as a setting."""
    default = option.get_default(ctx)
    match default:
        case _ if option.is_flag and not isinstance(default, str):
            return default is True
        case str() | int() | float() | Path():
            return str(default)
        case tuple() | list():
            return tuple(map(str, default)) or None
    # Versions of click differ in what stands for none.
    return None


def _name_of(option: click.Option) -> str:
    """The name of an option as a file has it."""
    return max((word for word in option.opts if word.startswith("--")), key=len, default="").lstrip("-")


def _kind_of(option: click.Option) -> Kind:
    if option.is_flag:
        return Kind.FLAG
    return Kind.MANY if option.multiple or option.nargs != 1 else Kind.ONE
