"""The settings of a scenario as its fields declare them: what each takes, and its option with its help.

A field says it all: C{wants: Annotated[Many, option_help("How many ...")] = 5} is a setting, its option, its help, what
it takes, and what it is unless it is given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec
from attrs import frozen
from msgspec import Meta, inspect

_STEP: Final = re.compile(r"(?P<name>[a-z-]+)|\[(?P<number>\d+)\]")
_HELP, _EACH, _TAKES, _METAVAR = "help", "each", "takes", "metavar"


def option_help(text: str, *, each: str = "") -> Meta:
    """The help of a setting on the command line, to stand in the annotation of its field.

    @param text: the help; in that of a list of tables C{{shape}} stands for how one of them is written.
    @param each: what the option for one entry is called, of a setting that is a list.
    """
    return Meta(extra={_HELP: text, _EACH: each} if each else {_HELP: text})


def written_as(takes: str, metavar: str = "") -> Meta:
    """What a setting takes, in words, to stand in the annotation of its field; where its type does not tell.

    @param metavar: what help shows for its value, if not what it shows for the type.
    """
    return Meta(extra={_TAKES: takes, _METAVAR: metavar} if metavar else {_TAKES: takes})


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One entry of a setting that is a list of tables; an option has its parts with colons between.

    @cvar example: one, as an option has it.
    """

    example: ClassVar[str]

    @classmethod
    def shape(cls) -> str:
        """How one is written in an option, in words."""
        fields = msgspec.structs.fields(cls)
        parts = [_part(field) for field in fields]
        required = ":".join(part for field, part in zip(fields, parts, strict=True) if field.required)
        several = [required] if all(field.required for field in fields) else [required, ":".join(parts)]
        return f"{' or '.join(several)}, such as {cls.example}"


@frozen
class Setting:
    """The declaration of a setting by a field.

    @ivar name: what it is called in a file.
    @ivar option: what its option is called; that of a list takes one entry.
    @ivar help: what it is for.
    @ivar takes: what it may be, in words.
    @ivar metavar: what help shows for its value, if there are no words to choose from.
    @ivar choices: the words of which it takes one, or some; none if it takes other things.
    @ivar usual: what it is unless it is given, in values that TOML can hold.
    @ivar table: what it is a list of, if that are tables.
    """

    name: str
    option: str
    help: str
    takes: str
    metavar: str
    choices: Sequence[str]
    usual: Any
    table: type[Table] | None

    @property
    def is_list(self) -> bool:
        """Whether it is a list, and its option may be given several times."""
        return isinstance(self.usual, list)


def setting_of(cls: type[msgspec.Struct], name: str) -> Setting:
    """What the field of a scenario says of a setting.

    @param name: what it is called in a file.
    """
    [field] = [each for each in msgspec.structs.fields(cls) if each.encode_name == name]
    usual = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    kind, said = _type_of(cls, name)
    each = _type_of(cls, f"{name}[0]")[0] if isinstance(usual, list) else kind
    table = each.cls if isinstance(each, inspect.StructType) and issubclass(each.cls, Table) else None
    help_text, option = said.get(_HELP, ""), said.get(_EACH) or name
    return Setting(
        name,
        option,
        help_text if table is None else help_text.format(shape=table.shape()),
        setting_takes(cls, name),
        option.upper() if table is not None else said.get(_METAVAR) or _metavar(usual),
        [str(value) for value in each.values] if isinstance(each, inspect.LiteralType) else (),
        usual,
        table,
    )


def setting_takes(cls: type[msgspec.Struct], key: str) -> str:
    """What a setting may be, in words.

    @param key: its name, as a file has it, such as C{loss} or C{faults[0].kind}.
    """
    kind, said = _type_of(cls, key)
    return said.get(_TAKES) or _words_for(kind)


def value_at(settings: Any, key: str) -> Any:
    """What stands in settings at a key such as C{faults[0].kind}."""
    for step in _STEP.finditer(key):
        settings = settings[step["name"] or int(step["number"])]
    return settings


def _type_of(cls: type[msgspec.Struct], key: str) -> tuple[Any, dict[str, str]]:
    """The type of a setting, and what its field says besides."""
    kind: Any = inspect.type_info(cls)
    said: dict[str, str] = {}
    for step in _STEP.finditer(key):
        if step["name"]:
            kind = next(each.type for each in kind.fields if each.encode_name == step["name"])
        else:
            kind = kind.item_type
        said = {}
        if isinstance(kind, inspect.Metadata):
            kind, said = kind.type, kind.extra or {}
    return kind, said


def _part(field: msgspec.structs.FieldInfo) -> str:
    name = field.encode_name.upper()
    if isinstance(inspect.type_info(field.type), inspect.ListType):
        one = name.removesuffix("S")
        return f"{one},{one}"
    return name


def _metavar(usual: Any) -> str:
    return {int: "N", float: "X"}.get(type(usual), "TEXT")


def _words_for(kind: Any) -> str:
    """What a type takes, in words."""
    match kind:
        case inspect.LiteralType(values=values):
            *most, last = map(str, values)
            return f"{', '.join(most)} or {last}"
        case inspect.IntType(ge=least, le=most):
            return f"a whole number from {least:,} to {most:,}"
        case inspect.FloatType(gt=above, ge=least, le=most):
            return (
                f"a number {'above' if least is None else 'from'} {above if least is None else least:g} to {most:,.15g}"
            )
        case inspect.ListType(item_type=inspect.StructType(cls=entry)):
            return f"a list of tables with {', '.join(entry.__struct_encode_fields__)}"
        case inspect.ListType(item_type=inspect.StrType()):
            return "a list of at least one name"
        case inspect.ListType(item_type=item):
            return f"a list of {_words_for(item)}"
        case inspect.StructType(cls=entry):
            return f"a table with {', '.join(entry.__struct_encode_fields__)}"
    return "a text"
