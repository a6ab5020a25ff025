"""An attack, declared once: its name, whom it is on, what it tries, what it may do, and how it is carried out."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from attrs import field, frozen

from tests.attack import attacks
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds, Figures


@frozen(kw_only=True)
class Attack:
    """An attack.

    @ivar name: what it is called on the command line and in the table; short.
    @ivar role: of the daemon that is attacked.
    @ivar tries: what is tried, in one sentence.
    @ivar carry_out: does it, and measures; most are made by L{siege<tests.attack.siege.siege>}.
    @ivar bounds: what it may do at most.
    @ivar is_short: whether it belongs to the short form.
    """

    name: str
    role: str
    tries: str
    carry_out: Callable[[Stage, Bounds], Figures]
    bounds: Bounds = field(factory=Bounds)
    is_short: bool = False


def all_attacks() -> list[Attack]:
    """The attacks of each module of L{tests.attack.attacks}, in the order of the modules' names."""
    found: list[Attack] = []
    for module in sorted(each.name for each in pkgutil.iter_modules(attacks.__path__)):
        found += importlib.import_module(f"{attacks.__name__}.{module}").ATTACKS
    return found
