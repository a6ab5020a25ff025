"""Attacks on TLS itself: those who never prove a key, who prove ever new ones, and who seal what is nothing."""

from __future__ import annotations

import itertools
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from attrs import define, evolve, field

from tests.attack.attack import Attack
from tests.attack.attacks.greetings import IN
from tests.attack.crowd import Crowd, Manner, hosts
from tests.attack.honest import greeting
from tests.attack.siege import Scene, Tally, siege
from tests.attack.stage import LOOPBACK, Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import SELLER, TRACKER, Kind
from tests.integration.tls_by_hand import DATA, HANDSHAKE, KEY_UPDATE, Identity, KeyLog, RecordKeys, TlsEnd
from tests.integration.watched_node import framed

_HELLO: Final = TlsEnd(Identity().dialling).outgoing()
# A first message, as long as a record may be, in which nothing is as it should be.
_GARBAGE: Final = b"\x16\x03\x01\x40\x00" + secrets.token_bytes(1 << 14)


def strangers(
    kind: Kind, make_manners: Callable[[], list[Manner]], *, is_newcomer: bool, is_sealed: bool
) -> Callable[[Stage], Scene]:
    """What sets up a daemon that seals its connections, and a crowd.

    @param is_newcomer: whether the honest client comes anew each time, rather than keeping its link.
    @param is_sealed: whether the crowd does what TLS wants, rather than writing what it has as it is.
    """

    def set_up(stage: Stage) -> Scene:
        victim, tally = kind.start(stage), Tally()
        return Scene(
            victim=victim,
            ask=kind.newcomer(victim) if is_newcomer else kind.client(victim),
            pause_s=0.1 if is_newcomer else kind.pause_s,
            assaults=[Crowd(victim.port, make_manners(), tally, is_sealed=is_sealed)],
            tally=tally,
        )

    return set_up


def _each_of(count: int, manner: Manner) -> list[Manner]:
    return [evolve(manner, host=host) for host in hosts(count)]


def _silent() -> list[Manner]:
    return _each_of(500, Manner(comes_back_s=0.0))


def _half_hello(host: str) -> Manner:
    """Says what begins a handshake a byte at a time."""
    left: Iterator[int] = iter(())

    def begin(key: str) -> bytes:
        nonlocal left
        left = iter(_HELLO)
        return more()

    def more() -> bytes:
        return bytes([next(left, 0)])

    return Manner(host=host, hello=begin, more=more, every_s=0.01, comes_back_s=0.0)


def _half_hellos() -> list[Manner]:
    return [_half_hello(host) for host in hosts(500)]


def _knocks() -> list[Manner]:
    """Each shakes hands to the end, and goes."""
    return _each_of(100, Manner(requests=1, comes_back_s=0.0, stays=False))


def _hellos() -> list[Manner]:
    """Each has the daemon answer a handshake that somebody else has once begun; that costs it all, and them nothing."""
    return _each_of(250, Manner(hello=lambda key: _HELLO, more=lambda: b"\0" * 8192, requests=1, comes_back_s=0.0))


def _garbage() -> list[Manner]:
    return _each_of(100, Manner(hello=lambda key: _GARBAGE, requests=1, comes_back_s=0.0))


def _in_the_open() -> list[Manner]:
    pings = framed("ping") * 100
    return _each_of(100, Manner(hello=lambda key: pings, requests=1, comes_back_s=0.0))


def _no_frames() -> list[Manner]:
    """Each proves a key, and seals what is no frame."""
    return _each_of(100, Manner(hello=lambda key: secrets.token_bytes(1 << 14), comes_back_s=0.0))


_RECORDS: Final = 300
_PONG: Final = framed("pong")
Seal = Callable[[RecordKeys, int], tuple[bytes, RecordKeys]]


def _updates(keys: RecordKeys, count: int) -> tuple[bytes, RecordKeys]:
    """New keys, again and again."""
    sealed = bytearray()
    for _ in range(count):
        sealed += keys.seal(KEY_UPDATE, HANDSHAKE)
        keys = keys.next()
    return bytes(sealed), keys


def _nothing(keys: RecordKeys, count: int) -> tuple[bytes, RecordKeys]:
    """Records with nothing in them."""
    return b"".join(keys.seal(b"", DATA) for _ in range(count)), keys


def _crumbs(keys: RecordKeys, count: int) -> tuple[bytes, RecordKeys]:
    """What makes sense, with a record for each byte of it."""
    words = itertools.islice(itertools.cycle(_PONG), count // len(_PONG) * len(_PONG))
    return b"".join(keys.seal(bytes([byte]), DATA) for byte in words), keys


@define(eq=False)
class _Sealer:
    """One connection, or the place of one that was cut off."""

    host: str
    identity: Identity
    connection: socket.socket | None = None
    keys: RecordKeys | None = None
    unsent: memoryview = field(factory=lambda: memoryview(b""))

    def close(self) -> None:
        """Go without a word."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Sealers:
    """Connections that write records which they seal themselves; each comes again when it was cut off.

    @param port: of the daemon.
    @param seal: makes so many records; returns them, and the keys for those that follow.
    @param places: the hosts, one connection each.
    @param reads: whether they read what comes.
    """

    def __init__(self, port: int, seal: Seal, places: list[str], tally: Tally, *, reads: bool) -> None:
        self._port = port
        self._seal = seal
        self._tally = tally
        self._reads = reads
        self._members = [_Sealer(place, Identity()) for place in places]
        # There would be no time for it later.
        assert all(member.identity.dialling is not None for member in self._members)

    def __call__(self, deadline: float) -> None:
        """Do it until then."""
        with KeyLog(member.identity.dialling for member in self._members) as log:
            while time.monotonic() < deadline:
                is_idle = True
                for member in self._members:
                    try:
                        if member.connection is None:
                            self._connect(member, log)
                        is_idle = not self._write(member) and is_idle
                    except OSError:
                        member.close()
                if is_idle:
                    time.sleep(0.001)
            for member in self._members:
                member.close()

    def _connect(self, member: _Sealer, log: KeyLog) -> None:
        """Shake hands, and learn by which keys is sealed."""
        connection = member.connection = socket.create_connection((LOOPBACK, self._port), 5.0, (member.host, 0))
        tls = TlsEnd(member.identity.dialling)
        connection.sendall(tls.outgoing())
        while not tls.is_open:
            if not (data := connection.recv(1 << 16)):
                raise ConnectionError
            tls.receive(data)
        member.keys = log.newest()
        greet = member.keys.seal(framed(**greeting(True, member.identity.key)), DATA)
        member.unsent = memoryview(tls.outgoing() + greet)
        connection.setblocking(False)
        Tally.add(self._tally.connections, 1)

    def _write(self, member: _Sealer) -> bool:
        """Write some; returns whether any of it was taken."""
        assert member.connection is not None, "it is connected"
        assert member.keys is not None, "it has shaken hands"
        if self._reads:
            with suppress(BlockingIOError):
                if not member.connection.recv(1 << 16):
                    raise ConnectionError
        if not member.unsent:
            records, member.keys = self._seal(member.keys, _RECORDS)
            member.unsent = memoryview(records)
            Tally.add(self._tally.requests, _RECORDS)
        try:
            sent = member.connection.send(member.unsent)
        except BlockingIOError:
            return False
        Tally.add(self._tally.sent_bytes, sent)
        member.unsent = member.unsent[sent:]
        return True


def sealers(seal: Seal, *, reads: bool) -> Callable[[Stage], Scene]:
    """What sets up a tracker, and 50 links that write records without end that carry nothing."""

    def set_up(stage: Stage) -> Scene:
        victim, tally = TRACKER.start(stage), Tally()
        assault = Sealers(victim.port, seal, hosts(50), tally, reads=reads)
        return Scene(victim=victim, ask=TRACKER.client(victim), assaults=[assault], tally=tally)

    return set_up


ATTACKS: Final = [
    *(
        Attack(
            name=f"tls-{name}",
            role="tracker",
            tries=what,
            carry_out=siege(strangers(TRACKER, make, is_newcomer=True, is_sealed=False)),
            bounds=IN,
        )
        for name, make, what in (
            ("silent", _silent, "500 hosts connect and never begin a handshake, and come again when cut off"),
            ("half-hello", _half_hellos, "500 hosts begin a handshake a byte at a time, and come again when cut off"),
            (
                "hellos",
                _hellos,
                "250 hosts repeat what begins a handshake, and leave it at that; somebody comes",
            ),
        )
    ),
    *(
        Attack(
            name=f"tls-{name}",
            role="tracker",
            tries=what,
            carry_out=siege(strangers(TRACKER, make, is_newcomer=False, is_sealed=is_sealed)),
            is_short=name == "hellos-linked",
        )
        for name, make, is_sealed, what in (
            ("hellos-linked", _hellos, False, "250 hosts repeat what begins a handshake; somebody else is linked"),
            ("garbage", _garbage, False, "100 hosts send what begins as a handshake does and is none, and come again"),
            ("plain", _in_the_open, False, "100 hosts speak in the open to who seals, and come again"),
            ("no-frames", _no_frames, True, "100 hosts prove a key each and seal what is no frame, and come again"),
        )
    ),
    *(
        Attack(
            name=f"tls-knocks-{kind.name}",
            role=kind.name,
            tries="100 hosts prove a new key each and go, without a pause; somebody else comes",
            carry_out=siege(strangers(kind, _knocks, is_newcomer=True, is_sealed=True)),
            bounds=IN,
            is_short=kind is TRACKER,
        )
        for kind in (TRACKER, SELLER)
    ),
    *(
        Attack(
            name=f"tls-{name}",
            role="tracker",
            tries=what,
            carry_out=siege(sealers(seal, reads=reads)),
            # What the system has taken of them is still being opened when they have gone.
            bounds=Bounds(held_bytes=None),
        )
        for name, seal, reads, what in (
            ("updates", _updates, True, "50 links renew their keys without end, and have the other end renew its own"),
            (
                "updates-unread",
                _updates,
                False,
                "50 links have the other end renew its keys without end, and read nothing",
            ),
            ("crumbs", _crumbs, True, "50 links greet, and seal each byte of what they say by itself, without a pause"),
            ("nothing", _nothing, True, "50 links write sealed records without end, with nothing in them"),
        )
    ),
]
