"""Honest clients: each asks one question at a time, as any client would, and says when it is answered."""

from __future__ import annotations

import base64
import errno
import hashlib
import itertools
import json
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
from attrs import frozen

from tests.attack.siege import NotAnswered
from tests.attack.stage import LOOPBACK
from tests.integration.tls_by_hand import Identity, SealedSocket
from tests.integration.watched_node import HandPeer, netstring

PATIENCE_S: Final = 5.0
NO_ID: Final = -1


class Identities:
    """Keys with their certificates, one after the other and then again: each costs some milliseconds to make.

    @param count: how many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._made: list[Identity] = []
        self._next = 0

    def make(self, count: int) -> None:
        """Have so many ready."""
        for _ in range(len(self._made), min(count, self._count)):
            self._made.append(identity := Identity())
            # What it needs is made when it is first asked for.
            assert identity.dialling is not None

    def next(self) -> Identity:
        """Who comes next."""
        if self._next == self._count:
            self._next = 0
        if self._next == len(self._made):
            self.make(self._next + 1)
        self._next += 1
        return self._made[self._next - 1]


# Of those who come anew each time, long after they were there last.
_NEWCOMERS: Final = Identities(128)


def connect(
    port: int,
    identity: Identity | None = None,
    host: str = LOOPBACK,
    timeout_s: float = PATIENCE_S,
    *,
    is_sealed: bool = True,
) -> HandPeer:
    """A connection to a daemon, from an address of this machine.

    @param identity: of who connects; None for whoever comes next.
    @param host: each address of 127.0.0.0/8 is a host of its own to the daemon.
    @param is_sealed: whether the daemon seals its connections.
    @raise NotAnswered: there is none.
    """
    try:
        connection = socket.create_connection((LOOPBACK, port), timeout_s, (host, 0))
        if is_sealed:
            connection = SealedSocket(connection, identity or _NEWCOMERS.next())
        return HandPeer(connection)
    except OSError as error:
        raise NotAnswered(str(error)) from None


def link(port: int, is_numbered: bool, listens_at: int) -> HandPeer:
    """A link of somebody new to a daemon.

    @param is_numbered: whether the daemon gives ids.
    @param listens_at: where it says that it takes connections.
    @raise NotAnswered: there is none.
    """
    identity = Identity()
    peer = connect(port, identity)
    greet(peer, {**greeting(is_numbered, identity.key), "port": listens_at})
    return peer


def greeting(is_numbered: bool, key: str) -> dict[str, Any]:
    """C{thisisme} of who has a key.

    @param is_numbered: whether the daemon gives ids, as trackers and index servers do.
    """
    return {"type": "thisisme", "id": NO_ID if is_numbered else int(key[:13], 16), "port": 0, "key": key}


def greet(peer: HandPeer, me: Mapping[str, Any], patience_s: float = PATIENCE_S) -> None:
    """Greet, and wait for the answer.

    @raise NotAnswered: none comes, or another one.
    """
    peer.tell(**me)
    deadline = time.monotonic() + patience_s
    while (message := peer.read(deadline)) is not None:
        if message["type"] in ("thisisme", "thisisyou"):
            return
    raise NotAnswered("the greeting")


class LinkClient:
    """Asks over a link, which it keeps, and makes anew when it is lost.

    @param port: of the daemon.
    @param is_numbered: whether the daemon gives ids.
    @param question: makes a message from the client's id and the number of the question.
    @param answer: the type of the answer, and which of its keys have to be those of the question.
    @param prepare: called with each new link.
    @param patience_s: how long it waits for an answer.
    @param is_sealed: whether the daemon seals its connections.
    """

    def __init__(
        self,
        port: int,
        is_numbered: bool,
        question: Callable[[int, int], dict[str, Any]],
        answer: tuple[str, tuple[str, ...]],
        prepare: Callable[[HandPeer], None] = lambda peer: None,
        patience_s: float = PATIENCE_S,
        *,
        is_sealed: bool = True,
    ) -> None:
        self._port = port
        self._identity = Identity()
        self._me = greeting(is_numbered, self._identity.key)
        self._is_sealed = is_sealed
        self._question = question
        self._answer, self._keys = answer
        self._prepare = prepare
        self._patience_s = patience_s
        self._numbers = itertools.count(secrets.randbelow(1 << 40))
        self._peer: HandPeer | None = None

    def __call__(self) -> None:
        """Ask, and wait for the answer.

        @raise NotAnswered: none comes in time, or there is no link.
        """
        asked = self._question(self._me["id"], next(self._numbers))
        began = time.monotonic()
        if self._peer is None:
            self._peer = self._link()
        same = {key: asked[key] for key in self._keys}
        is_sent = self._peer.tell(**asked)
        if is_sent and self._peer.hear(self._answer, self._patience_s, **same) is not None:
            self._peer.heard.clear()
            return
        # Who waited to the end keeps the link: the answer may be lost, and the next question answered.
        if time.monotonic() < began + self._patience_s:
            self._peer.socket.close()
            self._peer = None
        raise NotAnswered(self._answer)

    def _link(self) -> HandPeer:
        peer = connect(self._port, self._identity, timeout_s=self._patience_s, is_sealed=self._is_sealed)
        try:
            greet(peer, self._me, self._patience_s)
            self._prepare(peer)
        except BaseException:
            peer.socket.close()
            raise
        return peer


@frozen
class Newcomer:
    """Connects and greets anew each time: is anybody let in?

    @ivar port: of the daemon.
    @ivar is_numbered: whether the daemon gives ids.
    @ivar patience_s: how long it waits for the daemon's greeting.
    @ivar is_sealed: whether the daemon seals its connections.
    """

    port: int
    is_numbered: bool
    patience_s: float = PATIENCE_S
    is_sealed: bool = True

    def __call__(self) -> None:
        """Come and go.

        @raise NotAnswered: nobody greeted it.
        """
        identity = _NEWCOMERS.next()
        with connect(self.port, identity, timeout_s=self.patience_s, is_sealed=self.is_sealed) as peer:
            greet(peer, greeting(self.is_numbered, identity.key), self.patience_s)
            peer.tell("dc")


class FrameReader:
    """Reads frames of files: JSON objects and binary ones.

    @param connection: a socket; its time-out is set anew.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._unread = bytearray()

    def read(self, deadline: float) -> bytes:
        """The payload of the next frame.

        @raise NotAnswered: none comes by then, or ever.
        """
        while True:
            colon = self._unread.find(b":")
            end = colon + 1 + int(self._unread[:colon]) if colon > 0 else len(self._unread)
            if end < len(self._unread):
                payload = bytes(self._unread[colon + 1 : end])
                del self._unread[: end + 1]
                return payload
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._connection.recv(1 << 18)
            except OSError as error:
                raise NotAnswered(str(error)) from None
            if not data:
                raise NotAnswered("the connection has ended")
            self._unread += data


@frozen
class Downloader:
    """Fetches the first bytes of a file, over a connection of its own each time.

    @ivar port: of a sharer.
    @ivar digest: of the file.
    @ivar patience_s: how long it waits for the first bytes.
    """

    port: int
    digest: str
    patience_s: float = 20.0

    def __call__(self) -> None:
        """Fetch, and leave.

        @raise NotAnswered: nothing came in time.
        """
        deadline = time.monotonic() + self.patience_s
        with closing(connect(self.port, timeout_s=self.patience_s).socket) as connection:
            frames = FrameReader(connection)
            self._tell(connection, type="fetch", digest=self.digest)
            self._hear(frames, "manifest", deadline)
            self._tell(connection, type="queue")
            self._hear(frames, "go", deadline)
            self._tell(connection, type="want", chunk=0)
            while frames.read(deadline)[0] != _PIECE:
                pass
            self._tell(connection, type="pass")

    @staticmethod
    def _tell(connection: socket.socket, **message: Any) -> None:
        try:
            connection.sendall(netstring(json.dumps(message).encode()))
        except OSError as error:
            raise NotAnswered(str(error)) from None

    @staticmethod
    def _hear(frames: FrameReader, type: str, deadline: float) -> None:
        while (payload := frames.read(deadline))[0] < _FIRST_TEXT or json.loads(payload)["type"] != type:
            if payload.startswith(b'{"type":"failed"'):
                raise NotAnswered(payload.decode())


_PIECE: Final = 2
_FIRST_TEXT: Final = 0x20


@frozen
class Operator:
    """Asks a daemon at its control socket how it is.

    @ivar path: of the socket.
    """

    path: Path

    def __call__(self) -> None:
        """Ask for its status.

        @raise NotAnswered: it does not say.
        """
        if "results" not in self.ask(b'{"command":"status"}'):
            raise NotAnswered("status")

    def ask(self, payload: bytes) -> dict[str, Any]:
        """Ask anything; returns the answer.

        @raise NotAnswered: there is none.
        """
        deadline = time.monotonic() + PATIENCE_S
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(PATIENCE_S)
            try:
                while connection.connect_ex(str(self.path)) == errno.EAGAIN and time.monotonic() < deadline:
                    time.sleep(0.01)
                connection.sendall(netstring(payload))
            except OSError as error:
                raise NotAnswered(str(error)) from None
            answer: dict[str, Any] = json.loads(FrameReader(connection).read(time.monotonic() + PATIENCE_S))
            return answer


class RingAsker:
    """Asks a member of a ring how it stands, by datagram, as somebody who would join and has no cookie.

    @param port: where the member takes datagrams.
    @param host: from which address it asks.
    """

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self._port = port
        self._host = host

    def __call__(self) -> None:
        """Ask.

        @raise NotAnswered: it does not answer, though asked six times in two seconds.
        """
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as datagrams:
            datagrams.bind((self._host, 0))
            datagrams.settimeout(2.0 / 6)
            for _ in range(6):
                datagrams.sendto(ring_join(), (LOOPBACK, self._port))
                try:
                    answer = json.loads(datagrams.recv(1 << 16))
                except OSError:
                    continue
                if answer["type"] == "ringpong":
                    return
        raise NotAnswered("ringpong")


def ring_card(key: bytes) -> tuple[str, list[Any]]:
    """The place of a member with a key, on a ring of 2^64 places, and its card."""
    return hashlib.sha256(key).hexdigest()[:16], [
        base64.urlsafe_b64encode(key).rstrip(b"=").decode(),
        None,
        9001,
        9001,
        None,
    ]


def ring_join(**keys: Any) -> bytes:
    """A C{ringjoin} of somebody new, padded as questions of strangers are."""
    place, card = ring_card(secrets.token_bytes(32))
    message = {
        "type": "ringjoin",
        "source": place,
        "destination": "",
        "stamp": secrets.randbelow(1 << 50),
        "origin": card,
        "give": secrets.token_hex(8),
        **keys,
    }
    bare = msgspec.json.encode({**message, "pad": ""})
    return msgspec.json.encode({**message, "pad": "0" * (_DATAGRAM_BYTES - len(bare))})


_DATAGRAM_BYTES: Final = 1200
