"""The options of transfers over datagrams, made into values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from attrs import evolve

from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.udp import Transfer, TransferLog
from twisted_bazaar.files.window import Settings
from twisted_bazaar.files.window.segment import MOST_OVERHEAD_BYTES
from twisted_bazaar.files.window.settings import DEFAULT_MSS, LARGEST_MSS, LARGEST_WINDOW
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.system.private_files import open_named
from twisted_bazaar.taps.transfer_options import TRANSFER_OPTIONS

_CLASSIC_WINDOW: Final = 1


def transfer_of_node(
    options: Mapping[str, Any],
    typed: Collection[str],
    limits: Limits,
    seconds: float,
    *,
    takes_datagrams: bool,
    takes_limits: bool = True,
) -> Transfer:
    """How a node transfers files.

    @param typed: the options that stand on the command line; what a file says is for several nodes, not all of which
        take datagrams.
    @param takes_datagrams: whether it takes any.
    @raise UsageError: an option cannot be, or is typed for a node that takes no datagrams.
    """
    if takes_datagrams:
        return read_transfer(options, limits, seconds, takes_limits=takes_limits)
    for name, _, _ in TRANSFER_OPTIONS:
        if name in typed:
            raise UsageError(f"--{name} goes with --udp: add --udp 0 for any port that is free, or leave out --{name}")
    return Transfer()


def read_transfer(options: Mapping[str, Any], limits: Limits, seconds: float, *, takes_limits: bool = True) -> Transfer:
    """How files are transferred, as the options of L{TransferOptions} say it.

    A ring as in a classroom transfers by datagrams, one at a time, if nothing else is said.

    @param options: those of a node; what is absent counts as not given.
    @param limits: those of the node.
    @param seconds: the time that counts as 0 in the log.
    @param takes_limits: whether its user can change limits.
    @raise UsageError: one of them cannot be.
    """
    is_classic = bool(options.get("classic"))
    first = options.get("transfer") or ("udp" if is_classic else "tcp")
    if first not in ("tcp", "udp"):
        raise UsageError(f"--transfer {first!r}: write tcp or udp")
    mss = _mss(options.get("mss"), limits.datagram_bytes, takes_limits=takes_limits)
    settings = Settings(mss=mss, drop=_share(options.get("drop")))
    if options.get("window") is not None:
        settings = evolve(settings, window=_whole("--window", options["window"], LARGEST_WINDOW))
    elif is_classic:
        settings = evolve(settings, window=_CLASSIC_WINDOW)
    return Transfer(settings, first == "udp", _open_log(options.get("transfer-log"), seconds))


def _mss(text: str | None, datagram_bytes: int, *, takes_limits: bool) -> int:
    """How many bytes of a file a segment has, so that it fits into a datagram."""
    room = datagram_bytes - MOST_OVERHEAD_BYTES
    if text is None:
        return max(1, min(DEFAULT_MSS, room))
    most = max(1, min(room, LARGEST_MSS))
    if _is_whole(text, LARGEST_MSS) and int(text) > most:
        size = int(text) + MOST_OVERHEAD_BYTES
        raise UsageError(
            f"--mss {int(text)}: a segment would have {size} bytes, and a datagram has {datagram_bytes} at most; "
            f"write {most} or less" + (f", or add --limit datagram-bytes={size}" if takes_limits else "")
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
        return TransferLog(open(path, "a", encoding="utf-8", buffering=1, opener=open_named), seconds)
    except (OSError, ValueError) as error:
        raise UsageError(f"--transfer-log {path!r}: {getattr(error, 'strerror', None) or error}") from None
