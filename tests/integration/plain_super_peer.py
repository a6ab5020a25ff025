"""A weak peer and a super peer written from the specification alone: C{json}, C{socket}, C{zlib}, C{base64}.

Nothing of the package is imported here; what seals is beside it, in L{tests.integration.tls_by_hand} and
L{tests.integration.noise_by_hand}.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import queue
import socket
import threading
import time
import zlib
from collections.abc import Iterable
from typing import Any, Final, Self

from nacl.signing import SigningKey

from tests.integration import noise_by_hand
from tests.integration.tls_by_hand import Identity, SealedSocket

LONGEST_S: Final = 20.0
HELLO_S: Final = 2.5
BITS: Final = 20

Address = tuple[str, int]
Message = dict[str, Any]


def slot_of(token: str, bits: int = BITS) -> int:
    """The slot of a token."""
    return zlib.crc32(token.encode()) >> (32 - bits)


def tokens_of(name: str, digest: str) -> set[str]:
    """What a file of a name in plain letters is found by."""
    words = "".join(letter if letter.isalnum() else " " for letter in name.casefold()).split()
    beginnings = {f"b:{word[:size]}" for word in words for size in range(3, min(10, len(word)) + 1)}
    return {f"d:{digest}"} | {f"w:{word}" for word in words} | beginnings


def gaps(slots: Iterable[int]) -> str:
    """Slots as text."""
    written, last = bytearray(), 0
    for slot in sorted(set(slots)):
        number, last = slot - last, slot
        while number > 0x7F:
            written.append(number & 0x7F | 0x80)
            number >>= 7
        written.append(number)
    return base64.b64encode(written).decode()


def slots(text: str) -> set[int]:
    """The slots that a text stands for."""
    found, last, number, shift = set(), 0, 0, 0
    for byte in base64.b64decode(text):
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            last += number
            found.add(last)
            number = shift = 0
    return found


class WeakPeer:
    """A weak peer: a socket with netstrings.

    @param port: of the super peer.
    @param key: the seed of its key.
    @param listens_at: where it would take connections.
    @param is_plain: whether the super peer seals nothing.
    """

    def __init__(self, port: int, key: int, listens_at: int = 4000, *, is_plain: bool = False, **about: Any) -> None:
        identity = Identity(key.to_bytes(32, "big"))
        self.key = identity.key
        self.heard: list[Message] = []
        self._coming: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._socket = socket.create_connection(("127.0.0.1", port))
        if not is_plain:
            self._socket = SealedSocket(self._socket, identity)
        self._bytes = self._socket.makefile("rb")
        threading.Thread(target=self._read, daemon=True).start()
        self.tell("thisisme", id=int(self.key[:13], 16) or key, key=self.key, port=listens_at)
        self.super_peer = self.hear("thisisme")
        self.tell("register", id=key % 1_000_000, **about)
        self.registered = self.hear("registered")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def tell(self, type: str, **keys: Any) -> None:
        """Send a message."""
        payload = json.dumps({"type": type, **keys}, separators=(",", ":")).encode()
        self._socket.sendall(b"%d:%b," % (len(payload), payload))

    def hear(self, *types: str) -> Message:
        """The next message of one of some types."""
        while True:
            message = self._coming.get(timeout=LONGEST_S)
            assert message is not None, f"the connection has been closed; heard {self.heard}"
            self.heard.append(message)
            if message["type"] in types:
                return message

    def _read(self) -> None:
        """Take what comes, and answer pings: who does not is given up after some seconds."""
        try:
            while (digits := b"".join(iter(lambda: self._bytes.read(1).strip(b":"), b""))) != b"":
                message: Message = json.loads(self._bytes.read(int(digits)))
                assert self._bytes.read(1) == b","
                if message["type"] == "ping":
                    self.tell("pong")
                else:
                    self._coming.put(message)
        except (OSError, ValueError):
            pass
        self._coming.put(None)

    def list_files(self, *files: Message) -> None:
        """List files, with a table of their words."""
        mark = int.from_bytes(os.urandom(6), "big") + 1
        self.tell("update", id=mark, base=0, mark=mark, add=files)
        assert self.hear("listed", "error").get("mark") == mark, self.heard[-1]
        tokens = {token for file in files for token in tokens_of(file["name"], file["digest"])}
        self.tell("table", base=0, version=mark, bits=BITS, on=gaps(map(slot_of, tokens)))

    def ask(self, **what: Any) -> tuple[list[Message], Message]:
        """Ask; who has it, and the end."""
        query_id = os.urandom(16).hex()
        self.tell("query", id=query_id, **what)
        found: list[Message] = []
        while (message := self.hear("queryhit", "queryend"))["type"] == "queryhit":
            assert message["id"] == query_id
            found += message["found"]
        assert message["id"] == query_id
        return found, message

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class SuperPeer:
    """A super peer without weak peers, in the open: a UDP socket with cookies, those it is given and those it gives.

    @param key: which it says is its own.
    """

    def __init__(self, key: int, host: str = "127.0.0.1") -> None:
        self.key = f"{key:064x}"
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.address: Address = self.socket.getsockname()
        self.heard: list[tuple[Address, Message]] = []
        self.cookies: dict[Address, str] = {}
        self._secret = os.urandom(16)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.socket.close()

    def write(self, data: bytes, address: Address) -> None:
        """Send any bytes."""
        self.socket.sendto(data, address)

    def tell(self, address: Address, type: str, **keys: Any) -> None:
        """Send a message, with the cookie that its receiver has given."""
        if address not in self.cookies:
            self.knock(address)
        self.write(_object(type=type, **keys, cookie=self.cookies[address]), address)

    def knock(self, address: Address) -> None:
        """Get the cookie of an address."""
        self.cookies.pop(address, None)
        deadline = time.monotonic() + LONGEST_S
        while address not in self.cookies:
            assert time.monotonic() < deadline, f"{address} gives no cookie"
            self.write(_object(type="knock", nonce=os.urandom(8).hex(), pad="x" * 24), address)
            self.hear("cookie", within_s=0.5)

    def hello(self, address: Address, **keys: Any) -> None:
        """Say that it is there."""
        self.tell(address, "superhello", id=int(self.key[:13], 16) or 1, key=self.key, **keys)

    def hear(self, *types: str, within_s: float = LONGEST_S) -> Message | None:
        """The next message of one of some types; None if none comes in time."""
        deadline = time.monotonic() + within_s
        while (left_s := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left_s)
            try:
                data, address = self.socket.recvfrom(1 << 16)
            except TimeoutError:
                break
            assert len(data) <= 1200
            message = self._take(data, address)
            if message is not None and message["type"] in types:
                return message
        return None

    def _take(self, data: bytes, address: Address) -> Message | None:
        """What a datagram says, if it is to be heard."""
        message: Message = json.loads(data)
        if self._is_about_cookies(message, address):
            return message
        shown = message.pop("cookie", None)
        if shown != self._cookie_for(address):
            self.write(_object(type="stale", **({} if shown is None else {"was": shown})), address)
            return None
        self.heard.append((address, message))
        return message

    def _is_about_cookies(self, message: Message, address: Address) -> bool:
        match message["type"]:
            case "knock":
                self.write(_object(type="cookie", nonce=message["nonce"], give=self._cookie_for(address)), address)
            case "cookie":
                self.cookies[address] = message["give"]
            case "stale":
                if message.get("was") == self.cookies.get(address):
                    self.cookies.pop(address, None)
            case _:
                return False
        return True

    def _cookie_for(self, address: Address) -> str:
        return hashlib.sha256(self._secret + repr(address).encode()).hexdigest()[:16]


class SealedSuperPeer(SuperPeer):
    """One that seals what it says.

    @param key: the seed of its key.
    """

    def __init__(self, key: int, host: str = "127.0.0.1") -> None:
        super().__init__(key, host)
        signing_key = SigningKey(key.to_bytes(32, "big"))
        self.key = bytes(signing_key.verify_key).hex()
        self._way = noise_by_hand.SealedSocket(self.socket, signing_key, lambda question, source: None)

    def tell(self, address: Address, type: str, **keys: Any) -> None:
        """Send a message, when there is a session."""
        self._way.send(_object(type=type, **keys), address)
        deadline = time.monotonic() + LONGEST_S
        while not self._way.has_session(address):
            assert time.monotonic() < deadline, f"{address} agrees on no session"
            self.hear("nothing but sessions", within_s=0.05)

    def _take(self, data: bytes, address: Address) -> Message | None:
        if not (said := self._way.take(data, address)):
            return None
        message: Message = json.loads(said)
        self.heard.append((address, message))
        return message


def _object(**keys: Any) -> bytes:
    return json.dumps(keys, separators=(",", ":")).encode()
