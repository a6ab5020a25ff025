"""The options that say how files come by datagrams, for daemons and for commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.python import usage

TRANSFER_OPTIONS: Final[Sequence[tuple[str, str, str]]] = (
    (
        "transfer",
        "tcp|udp",
        "How files come from who sends both ways: tcp, or udp; the other if that fails. tcp if not given.",
    ),
    ("window", "N", "Files by udp: so many segments may be under way; 1 is stop-and-wait."),
    ("mss", "BYTES", "Files by udp: so many bytes of a file a segment has at most."),
    ("drop", "SHARE", "Files by udp: throw away this share of segments on purpose, such as 0.1."),
    ("transfer-log", "FILE", "Files by udp: a file that gets a line for each segment."),
)
"""Each option, what it takes, and what it does."""


class TransferOptions(usage.Options):
    """These options as a part of those of a node."""

    optParameters: Sequence[Sequence[object]] = [[name, None, None, text] for name, _, text in TRANSFER_OPTIONS]
