"""How a node's command line asks for files to be transferred over datagrams."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import evolve
from twisted.python import usage

from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.udp import Transfer, TransferLog
from twisted_bazaar.files.window import Settings
from twisted_bazaar.files.window.segment import MOST_OVERHEAD_BYTES
from twisted_bazaar.files.window.settings import DEFAULT_MSS, LARGEST_MSS, LARGEST_WINDOW
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.taps.finding import is_typed
from twisted_bazaar.taps.options import DaemonOptions

TRANSFER_OPTIONS: Final = ("transfer", "window", "mss", "drop", "transfer-log")
_CLASSIC_WINDOW: Final = 1


class TransferOptions(usage.Options):
    """The options that say how files come by datagrams; a part of those of a node."""

    optParameters = [
        [
            "transfer",
            None,
            None,
            "How files come from who sends both ways: tcp, or udp; the other if that fails. tcp if not given.",
        ],
        ["window", None, None, "Files by udp: so many segments may be under way; 1 is stop-and-wait."],
        ["mss", None, None, "Files by udp: so many bytes of a file a segment has at most."],
        ["drop", None, None, "Files by udp: throw away this share of segments on purpose, such as 0.1."],
        ["transfer-log", None, None, "Files by udp: a file that gets a line for each segment."],
    ]


def transfer_of_node(
    options: DaemonOptions, limits: Limits, seconds: float, *, takes_datagrams: bool, is_on_ring: bool
) -> Transfer:
    """How a node transfers files.

    @param is_on_ring: whether it lives on a ring; that the ring is one of a classroom means nothing to others.
    @param takes_datagrams: whether it takes any; what a file says is for several nodes, not all of which do.
    @raise UsageError: an option cannot be, or is typed for a node that takes no datagrams.
    """
    if takes_datagrams:
        heeded = options if is_on_ring else {**options, "classic": None}
        return read_transfer(heeded, limits, seconds)
    for name in TRANSFER_OPTIONS:
        if is_typed(options, name):
            raise UsageError(f"--{name} goes with --udp: add --udp 0 for any port that is free, or leave out --{name}")
    return Transfer()


def read_transfer(options: Mapping[str, Any], limits: Limits, seconds: float) -> Transfer:
    """How files are transferred, as the options of L{TransferOptions} say it.

    A ring as in a classroom transfers by datagrams, one at a time, if nothing else is said.

    @param options: those of a node; what is absent counts as not given.
    @param limits: those of the node.
    @param seconds: the time that counts as 0 in the log.
    @raise UsageError: one of them cannot be.
    """
    is_classic = bool(options.get("classic"))
    first = options.get("transfer") or ("udp" if is_classic else "tcp")
    if first not in ("tcp", "udp"):
        raise UsageError(f"--transfer {first!r}: write tcp or udp")
    settings = Settings(mss=_mss(options.get("mss"), limits.datagram_bytes), drop=_share(options.get("drop")))
    if options.get("window") is not None:
        settings = evolve(settings, window=_whole("--window", options["window"], LARGEST_WINDOW))
    elif is_classic:
        settings = evolve(settings, window=_CLASSIC_WINDOW)
    return Transfer(settings, first == "udp", _open_log(options.get("transfer-log"), seconds))


def _mss(text: str | None, datagram_bytes: int) -> int:
    """How many bytes of a file a segment has, so that it fits into a datagram."""
    room = datagram_bytes - MOST_OVERHEAD_BYTES
    if text is None:
        return max(1, min(DEFAULT_MSS, room))
    most = max(1, min(room, LARGEST_MSS))
    if _is_whole(text, LARGEST_MSS) and int(text) > most:
        mss = int(text)
        raise UsageError(
            f"--mss {mss}: a segment would have {mss + MOST_OVERHEAD_BYTES} bytes, and a datagram has "
            f"{datagram_bytes} at most; write {most} or less, or add "
            f"--limit datagram-bytes={mss + MOST_OVERHEAD_BYTES}"
        )
    return _whole("--mss", text, most)


def _whole(option: str, text: str, most: int) -> int:
    if not _is_whole(text, most):
        raise UsageError(f"{option} {text!r}: takes a whole number from 1 to {most}")
    return int(text)


def _is_whole(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most


def _share(text: str | None) -> float:
    try:
        share = float(text or 0)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise UsageError(f"--drop {text!r}: takes a share such as 0.1; 0 or more, and less than 1")
    return share


def _open_log(path: str | None, seconds: float) -> TransferLog | None:
    if path is None:
        return None
    try:
        # Each line is to be there when it is looked at.
        return TransferLog(Path(path).open("a", encoding="utf-8", buffering=1), seconds)
    except (OSError, ValueError) as error:
        raise UsageError(f"--transfer-log {path!r}: {getattr(error, 'strerror', None) or error}") from None
