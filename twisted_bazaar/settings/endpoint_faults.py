"""What is wrong in the text of an endpoint, in words that say how to mend it. Sans-IO."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_LARGEST_PORT: Final = 65_535
_COLON: Final = re.compile(r"(?<!\\):")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_TCP: Final = frozenset({"tcp", "tcp6"})
_KINDS: Final = frozenset({*_TCP, "fd", "haproxy", "ssl", "stdio", "systemd", "tls", "unix"})


def is_port(text: str, least: int = 0) -> bool:
    """Whether a text is the number of a port."""
    return text.isascii() and text.isdigit() and least <= int(text[:6]) <= _LARGEST_PORT


def client_fault(text: str, such_as: str) -> str:
    """What is wrong in an endpoint to connect to.

    @param such_as: one that can be.
    """
    kind, *parts = _COLON.split(text)
    if kind in _TCP:
        host, port = _named(parts, ("host", "port"))
        if host and not port:
            return f"the port is missing; write one such as {such_as}"
        if port and not is_port(port, 1):
            return f"{port!r} is not a port; write one such as {such_as}"
    elif (place := _place(text)) is not None:
        return f"tcp: is missing; write tcp:{_escaped(place[0])}:{place[1]}"
    return f"{_fault_of(kind)}; write one such as {such_as}"


def server_fault(text: str) -> str:
    """What is wrong in an endpoint to listen at."""
    kind, *parts = _COLON.split(text)
    if is_port(text):
        return f"tcp: is missing; write tcp:{text}, or none"
    place = _place(text.removeprefix(f"{kind}:") if kind in _TCP else text)
    if place is not None:
        fault = "the port stands first" if kind in _TCP else "tcp: is missing"
        family = "tcp6" if ":" in place[0] else "tcp"
        return f"{fault}; write {family}:{place[1]}:interface={_escaped(place[0])}"
    if kind in _TCP:
        [port] = _named(parts, ("port",))
        if port and not is_port(port):
            return f"{port!r} is not a port; write one such as tcp:9001, or none"
        if not port:
            return "the port is missing; write one such as tcp:9001, or none"
    return f"{_fault_of(kind)}; write one such as tcp:9001, or none"


def _fault_of(kind: str) -> str:
    return "it cannot be made on this machine" if kind in _KINDS - _TCP else "not an endpoint"


def _named(parts: Sequence[str], names: Sequence[str]) -> list[str]:
    """The values of an endpoint by the names that they have, or by their order; empty for one that is not there."""
    words = [part for part in parts if "=" not in part]
    given = dict(part.split("=", 1) for part in parts if "=" in part)
    return [given.get(name, words[place] if place < len(words) else "") for place, name in enumerate(names)]


def _place(text: str) -> tuple[str, str] | None:
    """The host and the port of a text that has both and nothing else; None if it has not."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if host in _KINDS or not is_port(port) or not (_NAME.fullmatch(host) or _IPV6.fullmatch(host)):
        return None
    return host, port


def _escaped(host: str) -> str:
    return host.replace(":", "\\:")
