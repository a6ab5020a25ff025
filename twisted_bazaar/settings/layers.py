"""The layers below the command line: the settings file that a user names, and the environment above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import field, frozen

from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.environment import (
    environment_doubts,
    environment_settings,
    sets_anything,
    variable_of,
)
from twisted_bazaar.settings.file import SettingsFile
from twisted_bazaar.settings.known import CONFIG, Known
from twisted_bazaar.settings.values import Kinds, Setting, merged

LARGEST_FILE_BYTES: Final = 1 << 20


@frozen
class Layers:
    """The layers below the command line.

    @ivar file: None if the user names none; there is no other that counts.
    """

    file: SettingsFile | None = None
    environment: Mapping[str, str] = field(factory=dict)

    @classmethod
    def read(cls, config: str | None, environment: Mapping[str, str]) -> Layers:
        """Read the file that C{--config} or the environment names.

        @param config: what the command line says; None if it does not.
        @raise UsageError: it cannot be read.
        """
        if config is not None:
            return cls(_read(f"--{CONFIG}", config), environment)
        variable = variable_of(CONFIG)
        path = environment.get(variable)
        return cls(_read(variable, path) if path else None, environment)

    def settings(self, kinds: Kinds, tables: Sequence[str]) -> dict[str, Setting]:
        """The settings of some options in all layers.

        @param kinds: the options of one program.
        @param tables: the tables of the file that count for it; the later wins.
        @raise UsageError: a value is not what the option takes.
        """
        below = {} if self.file is None else self.file.settings(kinds, tables)
        return merged(below, environment_settings(self.environment, kinds))

    def check(self, known: Callable[[], Known]) -> Sequence[str]:
        """A line for each thing in doubt.

        @param known: called for all options that there are, which takes a while, if anything is set at all.
        @raise UsageError: a name in the file means nothing to any program.
        """
        if self.file is None and not sets_anything(self.environment):
            return ()
        options = known()
        if self.file is not None:
            self.file.check(options)
        return list(environment_doubts(self.environment, options))


def _read(named_by: str, path: str) -> SettingsFile:
    what = f"{named_by} {path!r}" if path.strip() != path or not path else f"{named_by} {path}"
    try:
        whole = Path(path).expanduser()
        # Also what is no regular file: a shell hands over what another program writes as one.
        with whole.open("rb") as stream:
            text = stream.read(LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{what}: {reason}; name a TOML file with settings") from None
    if len(text) > LARGEST_FILE_BYTES:
        raise UsageError(f"{what}: no settings file has more than {LARGEST_FILE_BYTES:,} bytes")
    return SettingsFile.read(str(whole.absolute()), text)
