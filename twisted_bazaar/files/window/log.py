"""The transfer log: a line for each segment that is sent, sent again, dropped, acknowledged or received. Sans-IO."""

from __future__ import annotations

from typing import Final

HEADING: Final = f"{'event':<5} {'seconds':>12} {'offset':>13} {'bytes':>6} {'ack':>13}"
"""The line above the others."""


def line(event: str, at: float, offset: int, size: int, ack: int) -> str:
    """An event of a segment as a line of the log; see L{twisted_bazaar.files.window.settings.Watcher}.

    @param at: seconds since whenever the log counts from.
    """
    return f"{event:<5} {at:>12.6f} {offset:>13} {size:>6} {ack:>13}"
