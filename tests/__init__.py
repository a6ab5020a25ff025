"""The tests of twisted_bazaar.

Those that try anything at all try a little of it in C{make test}, and much in C{make test-all}: L{THOROUGH} says which
it is. They may take their time, on a machine that does something else besides, and keep nothing.
"""

import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

import hypothesis

# Whether everything is tried that there is time for.
# Not called BAZAAR_ something: daemons would take it for a setting, and warn of it.
THOROUGH: Final = os.environ.get("TESTS_OF_BAZAAR") == "all"
_FEWEST: Final = 20
_Test = TypeVar("_Test", bound=Callable[..., Any])
_QUICK_SHARE: Final = 5


def slow(test: _Test) -> _Test:
    """Leave a unit test to C{make test-all}: pytest gives it its mark C{slow}, and trial runs it without pytest."""
    test.is_slow = True  # type: ignore[attr-defined]
    return test


def examples(most: int, **others: object) -> hypothesis.settings:
    """Settings of hypothesis for a test that is tried so often in C{make test-all}, and with a fifth of that otherwise.

    @param others: further settings.
    """
    tried = most if THOROUGH else min(most, max(_FEWEST, most // _QUICK_SHARE))
    return hypothesis.settings(max_examples=tried, **others)  # type: ignore[arg-type]


hypothesis.settings.register_profile(
    "patient", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")
hypothesis.settings.register_profile("house", examples(100))
hypothesis.settings.load_profile("house")
