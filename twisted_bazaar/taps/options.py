"""The common part of the daemons' command lines."""

from __future__ import annotations

import getopt
import os
import shutil
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn

from twisted.python import usage

from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.settings.help import (
    Entry,
    entry_of,
    format_endings,
    format_examples,
    format_groups,
    grouped,
)
from twisted_bazaar.settings.known import CONFIG, NEVER_SET, kinds_of
from twisted_bazaar.settings.layers import Layers
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.settings.similar import did_you_mean
from twisted_bazaar.settings.values import DEFAULT, TYPED, Kind, Setting, Settings, as_words, with_sources
from twisted_bazaar.state import StateDirectory, state_path
from twisted_bazaar.taps.known import known_options

# Longer lines are hard to read.
_WIDEST: Final = 100
_ASKING: Final = frozenset(f"--{name}" for name in NEVER_SET - {CONFIG})


class OptionRefused(SystemExit):
    """The end of a process with a bad option; its text has been said."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code: int | str | None = ExitStatus.WRONG_USE


class DaemonOptions(usage.Options):
    """Options of every daemon. A bad one ends the process with one line and status 2.

    What a settings file and the environment say counts as if it stood on the command line, before what
    does; an option that is given there is not looked for in them.

    @cvar declared: the options, in the order in which help shows them.
    @cvar endings: with which exit statuses it ends by itself.
    @cvar example: a command line, for the end of help.
    @cvar tables: the tables of a settings file that count; the later wins.
    @ivar environment: where variables are looked up.
    @ivar layers: what is written below the command line; read when that is, unless it is there already.
    @ivar settings: what the layers set, and is in force.
    @ivar typed: the options that stand on the command line.
    """

    program = "bazaar"
    declared: Sequence[Option] = ()
    optFlags: ClassVar[list[list[str | None]]] = []
    optParameters: ClassVar[list[list[str | None]]] = []
    endings: ClassVar[Sequence[Ending]] = (
        Ending(ExitStatus.NO, "It cannot start."),
        Ending(ExitStatus.WRONG_USE, "An option is wrong."),
    )
    example: ClassVar[str] = ""
    longdesc = ""
    tables: Sequence[str] = ()

    def __init_subclass__(cls, **about: Any) -> None:
        """Tell Twisted what is declared."""
        super().__init_subclass__(**about)
        own: Sequence[Option] = cls.__dict__.get("declared", ())
        cls.optFlags = [[each.name, each.short, each.help] for each in own if each.kind is Kind.FLAG]
        cls.optParameters = [[each.name, each.short, each.default, each.help] for each in own if each.kind is Kind.ONE]
        for option in own:
            if option.kind is Kind.MANY:
                _add_repeated(cls, option)

    def __init__(self) -> None:
        super().__init__()
        self.environment: Mapping[str, str] = os.environ
        self.layers: Layers | None = None
        self.settings: Settings = {}
        self.typed: Collection[str] = ()

    @property
    def option_values(self) -> OptionValues:
        """The value of each option."""
        return OptionValues(self.declared, self.in_force())

    def getUsage(self, width: int | None = None) -> str:
        """Help on the options, in groups."""
        columns = min(width or shutil.get_terminal_size().columns, _WIDEST)
        groups = {
            heading: [entry_of(option) for option in options] for heading, options in grouped(self.declared).items()
        }
        groups["More"] = [("--help", "Show this, and end."), ("--version", "Show the version, and end."), *self.more()]
        lines = [
            *("", *textwrap.wrap(self.longdesc, columns), ""),
            *format_groups(groups, columns),
            *format_endings(self.endings, columns),
            *format_examples([self.example] if self.example else (), columns),
        ]
        return "\n".join(lines)

    def opt_help(self) -> None:
        """Show this, and end."""
        show(str(self))

    def more(self) -> Sequence[Entry]:
        """Further options that only tell something."""
        return ()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line, and what lies below it; what is wrong there ends the process."""
        try:
            self.read_words(list(sys.argv[1:] if options is None else options))
        except UsageError as error:
            raise self._end(str(error)) from None

    def read_words(self, words: Sequence[str]) -> None:
        """Read a command line, and what lies below it.

        @raise UsageError: something there cannot be; the text says where it was written.
        """
        try:
            super().parseOptions([*self._words_below(words), *words])
            if self[CONFIG] != named_config(words):
                raise UsageError(f"write --{CONFIG} FILE in full")
        except (usage.UsageError, UsageError) as error:
            told = f"{error}{self._hint_on(error.__context__)}"
            raise UsageError(with_sources(told, self.settings)) from None

    def parseArgs(self, *words: str) -> None:
        """Refuse words that are no options."""
        if words:
            hint = did_you_mean(words[0], self._names(), "--{}")
            raise UsageError(f"{words[0]!r}: only options are taken, which begin with --{hint}")

    def postOptions(self) -> None:
        """Let several daemons in the foreground share a directory.

        twistd writes C{twistd.pid} even with C{-n}, so a second daemon started beside the first would
        not start. A pid file is for daemons in the background; there, or when the user names one, it
        is left alone.
        """
        parent: Any = self.parent
        if parent is not None and parent.get("nodaemon") and parent.get("pidfile") == "twistd.pid":
            parent["pidfile"] = ""

    def in_force(self) -> dict[str, Setting]:
        """Every option that a setting can stand for, with its value and where that was written."""
        found: dict[str, Setting] = {}
        for option in self.declared:
            value = self.get(option.name)
            if option.kind is Kind.FLAG:
                value = bool(value)
            elif isinstance(value, list):
                value = tuple(value) or None
            source = TYPED if option.name in self.typed else DEFAULT
            found[option.name] = self.settings.get(option.name) or Setting(value, source)
        return {name: setting for name, setting in found.items() if name not in NEVER_SET}

    def refusal(self, error: Exception) -> SystemExit:
        """Say that an option is bad; what is returned ends the process."""
        return self._end(with_sources(str(error), self.settings))

    def who_knows(self, option: str) -> str:
        """Who else has an option, as the end of a sentence; empty if nobody has."""
        return ""

    def _hint_on(self, error: BaseException | None) -> str:
        """What may be meant by an option that there is not; empty if something else is wrong."""
        if not isinstance(error, getopt.GetoptError) or len(error.opt) < 2:
            return ""
        if any(name.startswith(error.opt) for name in self._names()):
            return ""
        return self.who_knows(error.opt) or did_you_mean(error.opt, self._names(), "--{}")

    def _names(self) -> list[str]:
        return [name.rstrip("=") for name in self.longOpt]

    def read_layers(self, words: Sequence[str]) -> Layers:
        """What is written below a command line. Who asks for help gets it, whatever is wrong there.

        @raise UsageError: it cannot be read.
        """
        if self.layers is None:
            asks = not _ASKING.isdisjoint(words)
            self.layers = Layers() if asks else Layers.read(named_config(words), self.environment)
        return self.layers

    def _end(self, why: str) -> SystemExit:
        refused = OptionRefused(f"{self.program}: {why}")
        sys.stderr.write(f"{refused}\n")
        return refused

    def _words_below(self, words: Sequence[str]) -> list[str]:
        """What the layers say of the options that a command line leaves open.

        @raise UsageError: something there cannot be.
        """
        layers = self.read_layers(words)
        for doubt in layers.check(known_options):
            sys.stderr.write(f"{self.program}: {doubt}\n")
        self.typed = self._typed(words)
        found = layers.settings(kinds_of(self.declared), self.tables)
        self.settings = {name: setting for name, setting in found.items() if name not in self.typed}
        return as_words(self.settings)

    def _typed(self, words: Sequence[str]) -> set[str]:
        try:
            pairs, _ = getopt.getopt(list(words), self.shortOpt, self.longOpt)
        except getopt.error:
            # It is told by who reads them all.
            return set()
        return {self.synonyms[name.lstrip("-")] for name, _ in pairs}


def name_of(options: Mapping[str, Any]) -> str:
    """The name that the user has given to a node; empty for none."""
    return Path(options["state"]).name if options["state"] else options["name"] or ""


def state_of(options: Mapping[str, Any], roles: Sequence[str]) -> StateDirectory | None:
    """The state directory that a command line asks for; it is called after the roles where nothing else is said.

    @param options: those of a state directory are among them.
    @raise UsageError: it asks for two things at once, or the directory cannot be used.
    """
    state, name = options["state"], options["name"]
    if options["ephemeral"]:
        if state or name:
            raise UsageError("--ephemeral keeps nothing: leave out --state and --name")
        return None
    if state and name:
        raise UsageError("--name is for nodes without --state: leave out one of them")
    return StateDirectory(Path(state) if state else state_path("-".join(roles) if name is None else name), roles)


def show(text: str) -> NoReturn:
    """Print something that was asked for, and end; nothing is said when the reader has closed a pipe."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Or Python would try again at its end, and say so in lines of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(ExitStatus.DONE)


def _add_repeated(cls: type[DaemonOptions], option: Option) -> None:
    """Let an option be given several times."""

    def opt(self: DaemonOptions, value: str) -> None:
        self.setdefault(option.name, []).append(value)

    opt.__doc__ = option.help
    for name in (option.name.replace("-", "_"), *([option.short] if option.short else ())):
        setattr(cls, f"opt_{name}", opt)


def named_config(words: Sequence[str]) -> str | None:
    """The settings file that a command line names, before its other options can be understood."""
    return next(iter(reversed(values_of(words, f"--{CONFIG}"))), None)


def values_of(words: Sequence[str], *options: str) -> list[str]:
    """What a command line gives to an option, before it can be understood as a whole.

    @param options: the names of the option, with their dashes.
    """
    values = []
    for position, word in enumerate(words):
        if word in options and position + 1 < len(words):
            values.append(words[position + 1])
        elif word.startswith(f"{options[0]}="):
            values.append(word.removeprefix(f"{options[0]}="))
    return values
