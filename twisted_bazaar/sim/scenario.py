"""Scenarios: every setting of a run, checked once and for all.

Here stands what every scenario has; each kind of scenario adds its own, in a package of its own beside this module.
Each setting is one field: its annotation says what it takes, and the help of its option.

How settings stand in a file is left to L{twisted_bazaar.sim.scenario_file}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self, TypeVar

import msgspec
from msgspec import Meta

from twisted_bazaar.sim.engine.network_conditions import SLOWEST_S, Draw, constant, lognormal, uniform
from twisted_bazaar.sim.faults import Fault, FaultKind, fault_kind
from twisted_bazaar.sim.figures import count_of
from twisted_bazaar.sim.setting_fields import Setting, Table, option_help, setting_of, written_as

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>ms|s|m|h)")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_JOINING_NODES_A_SECOND: Final = 100
_LONGEST_S: Final = 7 * 86_400.0
_TICK_S: Final = 0.001
_MOST: Final = 100_000
_MOST_DRAWN: Final = 1_000_000
_LARGEST: Final = 2**53
_WIDEST_SIGMA: Final = 10.0
_NARROWEST: Final = 1_000.0
_WIDEST: Final = 1e12
DURATIONS: Final = "a time up to 7 days such as 250ms, 90s, 10m or 2h"
_LATENCIES: Final = (
    f"20ms, uniform:5ms:80ms or lognormal:20ms:0.5, with times up to {SLOWEST_S:g}s, of two the shorter first, and a "
    f"last number from 0 to {_WIDEST_SIGMA:g}"
)
_BANDWIDTHS: Final = f"0 for any number, or a number from {_NARROWEST:,.0f} to {_WIDEST:,.0f}"
_SESSIONS: Final = "exponential or weibull:SHAPE, SHAPE from 0.1 to 10"

_FAULTS: Final = ("faults-a-minute", "fault-kinds", "faults")

Share = Annotated[float, Meta(ge=0, le=1)]
Many = Annotated[int, Meta(ge=0, le=_MOST)]
Some = Annotated[int, Meta(ge=1, le=_MOST)]
Duration = Annotated[str, written_as(DURATIONS, "TIME")]
Mode = Literal["liveness", "safety"]
Sessions = Annotated[
    str,
    written_as(_SESSIONS),
    option_help(
        "How long nodes stay that leave by --churn: exponential or weibull:SHAPE. The mean follows from --churn."
    ),
]
if TYPE_CHECKING:
    _Kind = str
else:
    _Kind = Literal[tuple(kind.value for kind in FaultKind)]


class _Timed:
    """An event at an instant, counted from when all nodes have been started."""

    __slots__ = ()

    at: str

    @property
    def at_s(self) -> float:
        """When it begins, in seconds.

        @raise ValueError: the time cannot be read.
        """
        return parse_duration(self.at, "at")


class FaultEntry(_Timed, Table, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One fault as a file names it.

    @ivar at: when it begins, such as C{30s}, counted from when all nodes have been started.
    @ivar for_: how long it lasts.
    @ivar nodes: whom it befalls, by name, such as C{seller-1} or C{tracker}.
    @ivar strength: with C{slow}, how many times slower; with C{skew}, the rate of the clock.
    """

    example: ClassVar[str] = "pause:30s:10s:seller-1"

    kind: _Kind
    at: Duration
    for_: Duration
    nodes: Annotated[list[str], Meta(min_length=1)]
    strength: Annotated[float, Meta(gt=0, le=1000)] = 1.0

    def to_fault(self) -> Fault:
        """The fault itself.

        @raise ValueError: a time cannot be read.
        """
        for_s = parse_duration(self.for_, "for")
        return Fault(fault_kind(self.kind), self.at_s, for_s, tuple(self.nodes), self.strength)

    @classmethod
    def of(cls, fault: Fault) -> Self:
        """How a file names a fault."""
        return cls(
            kind=fault.kind.value,
            at=write_duration(fault.at_s),
            for_=write_duration(fault.for_s),
            nodes=list(fault.nodes),
            strength=fault.strength,
        )


class WantedEntry(_Timed, Table, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One thing that somebody is sure to want, as a file names it: who, when, and what, in this order."""

    @property
    def who(self) -> str:
        """The name of the node that wants it."""
        return str(getattr(self, self.__struct_fields__[0]))


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """All settings of one run; here those that every scenario has.

    @cvar name: what it is called on the command line.
    @cvar hub: the member that all others join through, on top of C{nodes}; None if they join through no one.
    @cvar peopled_by: the settings that say how many nodes of each kind there are, besides C{nodes}.
    @cvar fewest: the kinds of node, in the order in which to do without them, and how many of each there have to be.
    @cvar wanted_by: the setting that names what is wanted; its entries are L{WantedEntry}.
    @ivar nodes: how many nodes there are; the hub, if there is one, comes on top.
    @ivar for_: how long faults, churn and wants go on.
    @ivar settle: how long after that everything that can be had may take.
    @ivar mode: C{liveness} ends all faults after C{for} and asks whether it was had; C{safety} never does.
    @ivar churn: the share of nodes, of the kinds that do, that leave in a minute; half of them without a word.
    """

    name: ClassVar[str]
    hub: ClassVar[str | None]
    peopled_by: ClassVar[Sequence[str]]
    fewest: ClassVar[Mapping[str, int]]
    wanted_by: ClassVar[str]

    nodes: Some
    seed: Annotated[
        int,
        Meta(ge=0, le=_LARGEST),
        option_help("The seed of all random numbers: the same seed is the same run."),
    ] = 1
    for_: Duration
    settle: Duration
    mode: Mode
    loss: Annotated[float, Meta(ge=0, le=0.9), option_help("The share of packets that get lost.")] = 0.0
    churn: Share
    sessions: Sessions = "exponential"
    latency: Annotated[
        str,
        written_as(_LATENCIES),
        option_help(
            "How long a packet takes to another host: 20ms, uniform:5ms:80ms or lognormal:20ms:0.5 (median and sigma)."
        ),
    ] = "lognormal:20ms:0.5"
    bandwidth: Annotated[
        float,
        Meta(ge=0, le=_WIDEST),
        written_as(_BANDWIDTHS),
        option_help("Bytes a second from each host to each other."),
    ] = 0.0
    faults_a_minute: Annotated[
        float, Meta(ge=0, le=6000), option_help("How many faults begin in a minute, on average.")
    ] = 0.0
    fault_kinds: Annotated[
        list[_Kind],
        option_help(
            "A kind of fault to draw, in place of all kinds.",
            each="fault-kind",
        ),
    ] = []
    faults: Annotated[
        list[FaultEntry],
        option_help("A fault that is sure to happen, {shape}.", each="fault"),
    ] = []

    # What a scenario says of itself.

    @property
    def counts(self) -> Mapping[str, int]:
        """How many nodes there are of each kind, in the order in which they are named."""
        raise NotImplementedError

    @property
    def sizes(self) -> Sequence[tuple[int, str]]:
        """How large it is: how many there are of what, in words for one of them."""
        raise NotImplementedError

    @property
    def in_words(self) -> str:
        """What is simulated, in a line."""
        sizes = ", ".join(count_of(number, what) for number, what in self.sizes)
        return f"{sizes}, {self.for_}, {self.mode}"

    def with_counts(self, counts: Mapping[str, int]) -> dict[str, Any]:
        """The settings to change for so many nodes of each kind."""
        raise NotImplementedError

    @property
    def many_drawn(self) -> Sequence[tuple[str, float]]:
        """By setting, how much of a run is drawn because of it."""
        return (("faults-a-minute", self.faults_a_minute * self.for_s / 60),)

    def check_wanted(self, entry: Any) -> None:
        """Refuse an entry of what is wanted that cannot be.

        @raise ValueError: it cannot; the text begins with the name of its part.
        """
        raise NotImplementedError

    def check_there(self, entry: Any) -> None:
        """Refuse an entry of what is wanted that nobody has; chance may draw one.

        @raise ValueError: nobody has it; the text begins with the name of its part.
        """

    # What follows for each.

    def __post_init__(self) -> None:
        if 0 < self.bandwidth < _NARROWEST:
            raise ValueError(f"bandwidth: takes {_BANDWIDTHS}, not {self.bandwidth!r}")
        _ = self.settle_s, self.latency_draw, self.session_shape
        if not self.for_s:
            raise ValueError(f"for: takes {DURATIONS}, above 0, not {self.for_!r}")
        for setting, many in self.many_drawn:
            if many > _MOST_DRAWN:
                raise ValueError(f"{setting}: {many:,.0f} in all; at most {_MOST_DRAWN:,} are drawn for one run")
        self._check_entries()

    def _check_entries(self) -> None:
        names = set(self.names())
        for number, fault in enumerate(self.faults):
            with _in_place(f"faults[{number}]"):
                self._check_begin(fault.to_fault().at_s, fault.at)
                for name in fault.nodes:
                    if name not in names:
                        raise ValueError(f"nodes: takes {self._names_in_words()}, not {name!r}")
        for number, entry in enumerate(self.wanted):
            with _in_place(f"{self.wanted_by}[{number}]"):
                self._check_begin(entry.at_s, entry.at)
                self.check_wanted(entry)

    def _check_begin(self, at_s: float, at: str) -> None:
        """What begins when everything is to end would disturb the end."""
        if at_s >= self.for_s:
            raise ValueError(f"at: takes a time before the end, which is for, {self.for_}, not {at!r}")

    @property
    def wanted(self) -> list[Any]:
        """What is sure to be wanted."""
        entries: list[Any] = getattr(self, self.wanted_by)
        return entries

    @property
    def for_s(self) -> float:
        """How long the run takes, in seconds."""
        return parse_duration(self.for_, "for")

    @property
    def joining_s(self) -> float:
        """Within how many seconds all nodes are started."""
        return self.nodes / _JOINING_NODES_A_SECOND

    @property
    def settle_s(self) -> float:
        """How long it may take to settle, in seconds."""
        return parse_duration(self.settle, "settle")

    @property
    def latency_draw(self) -> Draw:
        """The distribution of latencies."""
        kind, *values = self.latency.split(":")
        try:
            match kind, values:
                case "uniform", [least, most] if _latency(least) <= _latency(most):
                    return uniform(_latency(least), _latency(most))
                case "lognormal", [median, sigma] if 0 <= float(sigma) <= _WIDEST_SIGMA:
                    return lognormal(_latency(median), float(sigma))
                case seconds, []:
                    return constant(_latency(seconds))
        except ValueError:
            pass
        raise ValueError(f"latency: takes {_LATENCIES}, not {self.latency!r}")

    @property
    def session_shape(self) -> float:
        """The shape of the Weibull distribution of session lengths; 1 is exponential."""
        kind, _, shape = self.sessions.partition(":")
        if kind == "exponential" and not shape:
            return 1.0
        try:
            if kind == "weibull" and 0.1 <= float(shape) <= 10:
                return float(shape)
        except ValueError:
            pass
        raise ValueError(f"sessions: takes {_SESSIONS}, not {self.sessions!r}")

    @property
    def drawn_kinds(self) -> Sequence[FaultKind]:
        """The kinds of fault to draw from."""
        return [fault_kind(kind) for kind in self.fault_kinds] or list(FaultKind)

    def names(self) -> list[str]:
        """The name of every member, the hub first."""
        return [*self._hubs, *(f"{kind}-{n + 1}" for kind, number in self.counts.items() for n in range(number))]

    def _names_in_words(self) -> str:
        return ", ".join([*self._hubs, *(names_in_words(kind, most) for kind, most in self.counts.items() if most)])

    @property
    def _hubs(self) -> Sequence[str]:
        return () if self.hub is None else (self.hub,)

    def evolve(self, **changes: Any) -> Self:
        """The same but for some settings, which are checked again."""
        return msgspec.structs.replace(self, **changes)


AnyScenario = TypeVar("AnyScenario", bound=Scenario)


def setting_names(cls: type[Scenario]) -> list[str]:
    """The settings of a kind of scenario: who is there, what every run has, the rest, and what goes wrong."""
    common, last = Scenario.__struct_encode_fields__, (*_FAULTS, cls.wanted_by)
    names = ["nodes", *cls.peopled_by, *common, *cls.__struct_encode_fields__]
    return list(dict.fromkeys([*(name for name in names if name not in last), *last]))


@cache
def settings_by_name(cls: type[Scenario]) -> Mapping[str, Setting]:
    """The settings of a kind of scenario by their names in files, in their order."""
    return {name: setting_of(cls, name) for name in setting_names(cls)}


def parse_duration(text: str, key: str) -> float:
    """Read C{90s}, C{10m}, C{2h} or C{250ms}; a bare number is seconds.

    @raise ValueError: it is none of these.
    """
    match = _DURATION.fullmatch(text if not text.replace(".", "", 1).isdigit() else text + "s")
    if match is None or not (seconds := float(match["number"]) * _UNITS[match["unit"]]) <= _LONGEST_S:
        raise ValueError(f"{key}: takes {DURATIONS}, not {text!r}")
    return seconds


def _latency(text: str) -> float:
    seconds = parse_duration(text, "latency")
    if seconds > SLOWEST_S:
        raise ValueError("latency: too long")
    return seconds


def write_instant(seconds: float) -> str:
    """An instant as a file has it, to the millisecond; the part of one that is left is dropped."""
    return write_duration(seconds // _TICK_S * _TICK_S)


def write_duration(seconds: float) -> str:
    """A time as a file has it, exact to a millionth of a second."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


@contextmanager
def _in_place(place: str) -> Iterator[None]:
    """Name the place of what is wrong."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}.{error}") from None


def names_in_words(kind: str, most: int) -> str:
    """Names that are numbered, in words."""
    if most < 2:
        return f"{kind}-1" if most else f"nothing, there being no {kind}"
    return f"{kind}-1 to {kind}-{most}"


def is_numbered(kind: str, name: str, most: int) -> bool:
    """Whether a name is that of one of a kind, which are numbered from 1."""
    before, _, number = name.rpartition("-")
    return before == kind and _NUMBER.fullmatch(number) is not None and int(number) <= most
