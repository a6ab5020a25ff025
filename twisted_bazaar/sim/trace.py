"""Traces: one JSON line for each event of a run, and a hash over all of it.

The lines are those that a daemon writes with C{--events}, and the name of the node besides. Two runs of
one seed have the same lines, and so the same hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import BinaryIO

import msgspec

from twisted_bazaar.sim.cluster import Member, Observer
from twisted_bazaar.sim.engine.timeline import Timeline
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.message import Message

_HASH_BYTES = 16


class Trace(Observer):
    """Writes down a run.

    @param timeline: the time.
    @param file: where the lines go; None for the hash alone.
    """

    def __init__(self, timeline: Timeline, file: BinaryIO | None = None) -> None:
        self._timeline = timeline
        self._file = file
        self._hash = hashlib.blake2b(digest_size=_HASH_BYTES)
        self._encode = msgspec.json.Encoder().encode

    @property
    def digest(self) -> str:
        """The hash over all lines so far."""
        return self._hash.hexdigest()

    def on_start(self, member: Member) -> None:
        """A program has been started."""
        self._enter(member.name, "started", {})

    def on_stop(self, member: Member) -> None:
        """A program has stopped politely."""
        self._enter(member.name, "stopped", {})

    def on_death(self, member: Member) -> None:
        """A program was killed."""
        self._enter(member.name, "ended", {})

    def on_report(self, member: Member, event: str, details: Mapping[str, object]) -> None:
        """A node reported something."""
        self._enter(member.name, event, details)

    def on_event(self, event: str, details: Mapping[str, object]) -> None:
        """Something happened to machines or ways."""
        self._enter(None, event, details)

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """A node sent a message."""
        to = b"null" if peer is None else b"%d" % peer.id
        head = b'{"time":%.6f,"node":"%b","event":"sent","to":%b,' % (self._timeline.now, member.name.encode(), to)
        self._write(head + self._encode(message)[1:] + b"\n")

    def on_datagram(self, member: Member, address: Address, message: Message, size_bytes: int) -> None:
        """A node sent a message as a datagram."""
        head = b'{"time":%.6f,"node":"%b","event":"datagram","to":"%b","bytes":%d,' % (
            self._timeline.now,
            member.name.encode(),
            str(address).encode(),
            size_bytes,
        )
        self._write(head + self._encode(message)[1:] + b"\n")

    def _enter(self, name: str | None, event: str, details: Mapping[str, object]) -> None:
        line = {"time": round(self._timeline.now, 6), "node": name, "event": event, **details}
        self._write(self._encode(line) + b"\n")

    def _write(self, line: bytes) -> None:
        self._hash.update(line)
        if self._file is not None:
            self._file.write(line)
