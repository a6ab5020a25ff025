"""Settings in environment variables: C{BAZAAR_} and the name of the option, in capitals. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.known import CONFIG, Known
from twisted_bazaar.settings.similar import asking_for, similar_to
from twisted_bazaar.settings.values import Kind, Kinds, Place, Setting, Source, Value

PREFIX: Final = "BAZAAR_"
YES: Final = frozenset({"yes", "true", "on", "1"})
NO: Final = frozenset({"no", "false", "off", "0"})


def variable_of(option: str) -> str:
    """The variable of an option."""
    return PREFIX + option.upper().replace("-", "_")


def environment_settings(environment: Mapping[str, str], kinds: Kinds) -> dict[str, Setting]:
    """The settings of some options in the environment. An empty variable sets nothing.

    @raise UsageError: a value is not what the option takes.
    """
    found = {}
    for name, kind in kinds.items():
        variable = variable_of(name)
        if text := environment.get(variable):
            found[name] = Setting(_value(variable, kind, text), Source(Place.ENVIRONMENT, variable))
    return found


def sets_anything(environment: Mapping[str, str]) -> bool:
    """Whether there is any variable that looks like a setting."""
    return any(name.startswith(PREFIX) for name in environment)


def environment_doubts(environment: Mapping[str, str], known: Known) -> Iterator[str]:
    """A line for each variable that looks like a setting and is none."""
    variables = {variable_of(option) for option in (*known.options, CONFIG)}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in variables:
            meant = similar_to(name.removeprefix(PREFIX), {*known.options, CONFIG})
            yield f"{name} sets nothing{asking_for([*map(variable_of, meant)])}"


def _value(variable: str, kind: Kind, text: str) -> Value:
    if kind is Kind.ONE:
        return text
    if kind is Kind.MANY:
        # Names of goods may hold blanks and commas, and no line breaks.
        return tuple(line.strip() for line in text.split("\n") if line.strip())
    word = text.strip().lower()
    if word not in YES | NO:
        raise UsageError(f"{variable}: write yes or no, not {text!r}")
    return word in YES
