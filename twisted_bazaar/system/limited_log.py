"""Rate limits for the log: a token bucket for each kind of line that strangers can cause, and for each host in it.

A line that is left out is counted, and the next of its kind that is written says how many were. What people wrote into
a line is cut off. So the log grows by so many bytes a minute and no more, whoever sends whatever.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Final

from attrs import define, field, frozen
from twisted.logger import ILogObserver, LogEvent, Logger, globalLogPublisher
from zope.interface import implementer

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


@define
class _Bucket:
    tokens: float
    filled_at: float
    left_out: int = 0

    def fill(self, now: float, size: float, a_minute: float) -> None:
        # A clock that is set back gives nothing.
        since_s = max(0.0, now - self.filled_at)
        self.tokens = min(size, self.tokens + since_s * a_minute / _MINUTE_S)
        self.filled_at = now


class LogRate:
    """Says which lines are written. Sans-IO."""

    def __init__(self, limits: LogLimits = LogLimits()) -> None:
        self._limits = limits
        self._kinds: dict[Hashable, _Bucket] = {}
        # The one of which nothing was heard for longest comes first.
        self._hosts: OrderedDict[tuple[Hashable, Hashable], _Bucket] = OrderedDict()

    def admit(self, kind: Hashable, host: Hashable | None, now: float) -> int | None:
        """Ask for a line.

        @param host: whom it is about; None for nobody.
        @return: None when it is one too many; else how many of its kind were left out since the last that was not.
        """
        limits = self._limits
        if kind not in self._kinds and len(self._kinds) >= limits.most_kinds:
            kind = None
        of_kind = self._kinds.setdefault(kind, _Bucket(limits.burst, now))
        of_kind.fill(now, limits.burst, limits.a_minute)
        of_host = None if host is None else self._of_host(kind, host, now)
        if of_kind.tokens < 1 or (of_host is not None and of_host.tokens < 1):
            of_kind.left_out += 1
            return None
        of_kind.tokens -= 1
        if of_host is not None:
            of_host.tokens -= 1
        left_out, of_kind.left_out = of_kind.left_out, 0
        return left_out

    def _of_host(self, kind: Hashable, host: Hashable, now: float) -> _Bucket:
        limits, key = self._limits, (kind, host)
        share = limits.burst * limits.host_share
        bucket = self._hosts.setdefault(key, _Bucket(share, now))
        self._hosts.move_to_end(key)
        if len(self._hosts) > limits.most_hosts:
            # Whoever makes up hosts still has no more than the kind has.
            self._hosts.popitem(last=False)
        bucket.fill(now, share, limits.a_minute * limits.host_share)
        return bucket


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
        left_out = rate.admit(kind, _host_in(event), event["log_time"])
        if left_out is None:
            return
        event = {name: _cut(value) if name not in _OWN_WORDS else value for name, value in event.items()}
        if left_out:
            event["log_format"] = f"{event['log_format']} ({{left_out}} more like it were left out)"
            event["left_out"] = left_out
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
