"""Rate limits for the log: a token bucket for each kind of line that strangers can cause, and for each host in it.

A line that is left out is counted, and the next of its kind that is written says how many were. What people wrote into
a line is cut off. So the log grows by so many bytes a minute and no more, whoever sends whatever.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final

from attrs import field, frozen
from twisted.logger import ILogObserver, LogEvent, Logger, globalLogPublisher
from zope.interface import implementer

from twisted_bazaar.rate_limit import RateLimit, RateLimits

_MINUTE_S: Final = 60.0
_OWN_WORDS: Final = frozenset({"log_format", "log_namespace"})
LONGEST_VALUE: Final = 256
"""So many characters of one thing are logged."""


@frozen
class LogLimits:
    """Limits on the log.

    @ivar burst: so many lines of one kind may come at once, after a time in which there were few.
    @ivar a_minute: so many a minute of one kind, for as long as it goes on.
    @ivar host_share: the part of both that lines about one host may have.
    @ivar most_kinds: kinds of lines that are told apart; all others are one kind.
    @ivar most_hosts: of so many hosts it is known how many lines each had.
    """

    burst: int = 300
    a_minute: int = 30
    host_share: float = 0.25
    most_kinds: int = 256
    most_hosts: int = 1024


class LogRate:
    """Says which lines are written. Sans-IO.

    @ivar left_out: how many of the same kind were left out before the last line that was allowed.
    """

    def __init__(self, limits: LogLimits = LogLimits()) -> None:
        self.left_out: int = 0
        self._limits = limits
        self._every_s = _MINUTE_S / limits.a_minute
        self._kinds: dict[Hashable, RateLimit] = {}
        # Whoever makes up hosts still has no more than the kind has.
        self._hosts: RateLimits[tuple[Hashable, Hashable]] = RateLimits(
            limits.most_hosts, int(limits.burst * limits.host_share), self._every_s / limits.host_share
        )

    def allow(self, kind: Hashable, host: Hashable | None, now: float) -> bool:
        """Whether one more line is written.

        @param host: whom it is about; None for nobody.
        """
        of_kind = self._kinds.get(kind)
        if of_kind is None:
            kind = kind if len(self._kinds) < self._limits.most_kinds else None
            of_kind = self._kinds.setdefault(kind, RateLimit(self._limits.burst, self._every_s))
        if not of_kind.allow(now, None if host is None else self._hosts.of((kind, host), now)):
            return False
        self.left_out = of_kind.suppressed
        return True


FAILURES: Final = LogLimits(burst=30, a_minute=5)
"""The same for tracebacks, which are longer, and which no stranger should be able to cause."""


@frozen
class Rates:
    """The rates of one logger.

    @ivar lines: of plain lines.
    @ivar failures: of tracebacks.
    """

    lines: LogRate = field(factory=LogRate)
    failures: LogRate = field(factory=lambda: LogRate(FAILURES))


@implementer(ILogObserver)
class LimitedObserver:
    """Hands on what is not one line too many; a kind is a sentence at a level, and the clock is that of the events.

    @param observer: gets what is left.
    @param rates: say which lines are written.
    """

    def __init__(self, observer: Callable[[LogEvent], object], rates: Rates | None = None) -> None:
        self._observer = observer
        self._rates = Rates() if rates is None else rates

    def __call__(self, event: LogEvent) -> None:
        """Take an event."""
        rate = self._rates.failures if "log_failure" in event else self._rates.lines
        kind = event.get("log_level"), event.get("log_format")
        if not rate.allow(kind, _host_in(event), event["log_time"]):
            return
        event = {name: _cut(value) if name not in _OWN_WORDS else value for name, value in event.items()}
        if rate.left_out:
            event["log_format"] = f"{event['log_format']} ({{left_out}} more like it were left out)"
            event["left_out"] = rate.left_out
        self._observer(event)


def limited_logger(namespace: str, rates: Rates | None = None) -> Logger:
    """A logger for what strangers can cause; all objects of a class that has one have the same rates together."""
    return Logger(namespace, observer=LimitedObserver(globalLogPublisher, rates))


def _host_in(details: Mapping[str, object]) -> str | None:
    """The host that a line is about; None if it names none."""
    host = details.get("host")
    if host is None and "address" in details:
        host = str(details["address"]).rpartition(":")[0]
    return None if host is None else str(host)


def _cut(value: object) -> object:
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"{value[:LONGEST_VALUE]}..."
    return value
