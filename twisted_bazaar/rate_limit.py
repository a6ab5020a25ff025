"""Rate limits: a token bucket, and one for each of many keys. Sans-IO.

A bucket is full to begin with. Whatever is allowed takes a token, and is refused where there is none. As long as any
are missing, some come back each time that so many seconds have passed. Bucket4j calls it "greedy" when they come back
one by one. When all come back at once ("intervally") the bucket is a fixed window, opened by the first to come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from functools import partial
from typing import Final, Generic, TypeVar

_MINUTE_S: Final = 60.0
# Enough for a table to shrink, and too few to be felt.
_FORGOTTEN_AT_ONCE: Final = 16

K = TypeVar("K", bound=Hashable)


class RateLimit:
    """A token bucket.

    It promises: from an instant at which no token is missing it allows at most C{burst}, and C{refill} more for each
    C{every_s} that has passed. Where tokens come back one by one, that holds from any instant on. Where all come back
    at once, it holds from the beginning of a window: the end of one and the beginning of the next may have C{burst}
    each.

    A clock that is set back brings nothing.

    @param burst: the most tokens that there are.
    @param every_s: seconds until some come back.
    @param refill: how many then; one by one if not given.
    @ivar suppressed: how many were refused before the last that was allowed, since the one before it: for the log.
    """

    __slots__ = ("_burst", "_every_s", "_refill", "_refused", "_since", "_tokens", "suppressed")

    def __init__(self, burst: int, every_s: float, refill: int = 1) -> None:
        self._burst = self._tokens = burst
        self._every_s = every_s
        self._refill = refill
        # Since when the next to come back are waited for; of no meaning while none is missing.
        self._since = 0.0
        self._refused = 0
        self.suppressed: int = 0

    @classmethod
    def a_minute(cls, most: int) -> RateLimit:
        """A limit of so many in a minute, which the first of them opens."""
        return cls(most, _MINUTE_S, most)

    def allow(self, now: float, also: RateLimit | None = None) -> bool:
        """Whether one more is allowed now; then it is counted.

        @param now: seconds, of the same clock in all calls.
        @param also: another limit that it comes under. It counts there as well, or in neither.
        """
        if self._tokens < self._burst:
            self._fill(now)
        if also is not None and also._tokens < also._burst:
            also._fill(now)
        if not self._tokens or (also is not None and not also._tokens):
            self._refused += 1
            return False
        self._take(now)
        if also is not None:
            also._take(now)
        return True

    def is_spent(self, now: float) -> bool:
        """Whether none is there."""
        if self._tokens <= 0:
            self._fill(now)
        return self._tokens <= 0

    def is_full(self, now: float) -> bool:
        """Whether none is missing."""
        if self._tokens < self._burst:
            self._fill(now)
        return self._tokens == self._burst

    def _fill(self, now: float) -> None:
        """Count what has come back."""
        waited_s = now - self._since
        if waited_s >= self._every_s:
            times = int(waited_s / self._every_s)
            self._since += times * self._every_s
            self._tokens = min(self._burst, self._tokens + times * self._refill)
        elif waited_s < 0:
            self._since = now

    def _take(self, now: float) -> None:
        if self._tokens == self._burst:
            self._since = now
        self._tokens -= 1
        self.suppressed, self._refused = self._refused, 0


class RateLimits(Generic[K]):
    """A rate limit for each key, as many keys as strangers make up.

    Under each key it promises what L{RateLimit} does, as long as no more than C{most} are in use at a time. If there
    are more, the one that was asked longest ago is forgotten, and has all its tokens when it comes back. Each has one
    entry, so no key has more room than another. One whose tokens have all come back is forgotten when a new one comes.

    @param most: so many keys are told apart.
    @param burst, every_s, refill: of each; see L{RateLimit}.
    """

    __slots__ = ("_limits", "_most", "_new")

    def __init__(self, most: int, burst: int, every_s: float, refill: int = 1) -> None:
        self._most = most
        self._new = partial(RateLimit, burst, every_s, refill)
        # The one that was asked longest ago comes first.
        self._limits: OrderedDict[K, RateLimit] = OrderedDict()

    @classmethod
    def a_minute(cls, most_keys: int, most: int) -> RateLimits[K]:
        """Limits of so many in a minute, which the first of them opens."""
        return cls(most_keys, most, _MINUTE_S, most)

    def __len__(self) -> int:
        """The number of keys that are known."""
        return len(self._limits)

    def allow(self, key: K, now: float) -> bool:
        """Whether one more is allowed now under a key; then it is counted."""
        return self.of(key, now).allow(now)

    def of(self, key: K, now: float) -> RateLimit:
        """The limit under a key, to be asked now."""
        limits = self._limits
        limit = limits.get(key)
        if limit is None:
            for _ in range(_FORGOTTEN_AT_ONCE):
                if not limits or not (len(limits) >= self._most or next(iter(limits.values())).is_full(now)):
                    break
                limits.popitem(last=False)
            limit = limits[key] = self._new()
        else:
            limits.move_to_end(key)
        return limit

    def forget(self, key: K) -> None:
        """Whoever had this key is gone, and begins anew."""
        self._limits.pop(key, None)
