"""Attackers that hold many connections at once, from one process: what they write, and how they read."""

from __future__ import annotations

import secrets
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from attrs import define, field, frozen

from tests.attack.honest import Identities, greeting
from tests.attack.siege import Tally
from tests.attack.stage import LOOPBACK
from tests.integration.tls_by_hand import Identity, TlsEnd
from tests.integration.watched_node import framed

ALL: Final = float("inf")
_TICK_S: Final = 0.02
# So little fits into the receiver's buffers that a daemon soon sees that nothing is read.
_SMALL_BUFFER_BYTES: Final = 4096
# As many as the largest crowd has connections; made before it is let loose, since its core has enough to do.
_IDENTITIES: Final = Identities(4000)
_AT_LEAST: Final = 256


@frozen(kw_only=True)
class Manner:
    """How one connection behaves.

    @ivar host: where it comes from; each address of 127.0.0.0/8 is a host of its own to the daemon.
    @ivar identity: who it is; None for somebody else each time.
    @ivar hello: makes what it writes first, from its key.
    @ivar more: makes what it writes then, again and again; nothing when it gives nothing.
    @ivar requests: how many requests there are in each of these.
    @ivar every_s: at least so long from one of these to the next.
    @ivar read_bytes_s: how many bytes it reads in a second; L{ALL} for whatever comes, 0 for none.
    @ivar comes_back_s: how long it waits to connect again when it was cut off; None if it never does.
    @ivar stays: whether it stays until then; else it goes when it has written its hello.
    """

    host: str = LOOPBACK
    identity: Identity | None = None
    hello: Callable[[str], bytes] = lambda key: b""
    more: Callable[[], bytes] = lambda: b""
    requests: int = 0
    every_s: float = 0.0
    read_bytes_s: float = ALL
    comes_back_s: float | None = 0.1
    stays: bool = True


@define(eq=False)
class _Member:
    """One connection, or the place of one that was cut off."""

    manner: Manner
    next_connect: float
    socket: socket.socket | None = None
    # None in the open; whoever is not let in yet has not said its hello.
    tls: TlsEnd | None = None
    key: str = ""
    is_in: bool = False
    unsent: memoryview = field(factory=lambda: memoryview(b""))
    next_write: float = 0.0
    may_read: float = 0.0


class Crowd:
    """Many connections to one daemon.

    @param port: where it listens.
    @param manners: of each connection.
    @param tally: counts what they get done.
    @param connects_s: at least so long from one new connection to the next.
    @param is_sealed: whether they seal what they write.
    """

    def __init__(
        self,
        port: int,
        manners: Sequence[Manner],
        tally: Tally,
        connects_s: float = 0.0,
        *,
        is_sealed: bool = True,
    ) -> None:
        self._port = port
        self._is_sealed = is_sealed
        if is_sealed:
            _IDENTITIES.make(max(_AT_LEAST, 2 * len(manners)))
        self._members = [_Member(manner, i * connects_s) for i, manner in enumerate(manners)]
        self._tally = tally
        self._sent_bytes = self._connections = self._requests = 0

    def __call__(self, deadline: float) -> None:
        """Do it until then, and leave without a word."""
        began = time.monotonic()
        for member in self._members:
            member.next_connect += began
        with select.epoll() as poll:
            last = began
            while (now := time.monotonic()) < deadline:
                open_now: dict[int, _Member] = {}
                for member in self._members:
                    if member.socket is None and now >= member.next_connect:
                        self._connect(poll, member, now)
                    if member.socket is not None:
                        open_now[member.socket.fileno()] = member
                        member.may_read += member.manner.read_bytes_s * (now - last)
                        self._watch(poll, member, now)
                last = now
                for number, events in poll.poll(_TICK_S):
                    if (member := open_now.get(number)) is not None and member.socket is not None:
                        self._serve(poll, member, events)
                self._count()
        self._count()
        for member in self._members:
            if member.socket is not None:
                member.socket.close()

    def _connect(self, poll: select.epoll, member: _Member, now: float) -> None:
        manner = member.manner
        connection = socket.socket()
        connection.setblocking(False)
        if manner.read_bytes_s != ALL:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        try:
            connection.bind((manner.host, 0))
            with suppress(BlockingIOError):
                connection.connect((LOOPBACK, self._port))
        except OSError:
            connection.close()
            member.next_connect = now + (1.0 if manner.comes_back_s is None else max(0.01, manner.comes_back_s))
            return
        member.socket, member.unsent, member.tls, member.is_in = connection, memoryview(b""), None, False
        member.next_write, member.may_read = 0.0, 0.0
        if self._is_sealed:
            identity = manner.identity or _IDENTITIES.next()
            member.tls, member.key = TlsEnd(identity.dialling), identity.key
            member.unsent = memoryview(member.tls.outgoing())
        else:
            member.is_in, member.unsent = True, memoryview(manner.hello(""))
        poll.register(connection, 0)
        self._connections += 1

    def _watch(self, poll: select.epoll, member: _Member, now: float) -> None:
        """Say what is waited for: room to write, something to read, or only the end."""
        assert member.socket is not None, "it is open"
        events = select.EPOLLRDHUP
        if member.unsent or (member.is_in and now >= member.next_write):
            events |= select.EPOLLOUT
        if member.may_read >= 1 or not member.is_in:
            events |= select.EPOLLIN
        poll.modify(member.socket, events)

    def _serve(self, poll: select.epoll, member: _Member, events: int) -> None:
        assert member.socket is not None, "it is open"
        try:
            if events & select.EPOLLIN:
                size = 1 << 16 if member.may_read == ALL or not member.is_in else int(member.may_read)
                data = member.socket.recv(max(1, min(1 << 16, size)))
                if not data:
                    raise ConnectionError
                # What comes when it is in is nothing to it, so it is not even opened.
                if member.is_in:
                    member.may_read -= len(data)
                else:
                    self._shake_hands(member, data)
            elif events & (select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP):
                raise ConnectionError
            if events & select.EPOLLOUT:
                self._write(member)
        except BlockingIOError:
            pass
        except OSError:
            self._lose(member)

    @staticmethod
    def _shake_hands(member: _Member, data: bytes) -> None:
        assert member.tls is not None, "it is sealed"
        member.tls.receive(data)
        if member.tls.is_open:
            member.is_in = True
            member.tls.seal(member.manner.hello(member.key))
        member.unsent = memoryview(bytes(member.unsent) + member.tls.outgoing())

    def _write(self, member: _Member) -> None:
        assert member.socket is not None, "it is open"
        now = time.monotonic()
        if member.is_in and not member.unsent:
            if not member.manner.stays:
                raise ConnectionError
            if now < member.next_write:
                return
            more = member.manner.more()
            if member.tls is not None:
                member.tls.seal(more)
                more = member.tls.outgoing()
            member.unsent = memoryview(more)
            member.next_write = now + member.manner.every_s
            if member.unsent:
                self._requests += member.manner.requests
            else:
                member.next_write = ALL
        if member.unsent:
            sent = member.socket.send(member.unsent)
            self._sent_bytes += sent
            member.unsent = member.unsent[sent:]

    def _lose(self, member: _Member) -> None:
        assert member.socket is not None, "it was open"
        member.socket.close()
        member.socket = None
        back_s = member.manner.comes_back_s
        member.next_connect = ALL if back_s is None else time.monotonic() + back_s

    def _count(self) -> None:
        for counter, amount in (
            (self._tally.sent_bytes, self._sent_bytes),
            (self._tally.connections, self._connections),
            (self._tally.requests, self._requests),
        ):
            if amount:
                Tally.add(counter, amount)
        self._sent_bytes = self._connections = self._requests = 0


def hello(is_numbered: bool, **keys: Any) -> Callable[[str], bytes]:
    """What makes a greeting, of whoever has a key.

    @param is_numbered: whether the daemon gives ids.
    @param keys: what else is in it.
    """
    return lambda key: framed(**{**greeting(is_numbered, key or secrets.token_hex(32)), **keys})


def hosts(count: int) -> list[str]:
    """Addresses of this machine that nobody honest uses; each is a host of its own."""
    return [f"127.1.{i // 250}.{i % 250 + 1}" for i in range(count)]


ONE_HOST: Final = "127.0.0.2"
