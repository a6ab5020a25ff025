"""A member of a ring written from the specification alone: C{json}, C{socket}, C{hashlib}, C{base64} and PyNaCl.

It keeps values and no files, has no fingers, and knows its neighbours only. Nothing of the package is imported here;
what seals its datagrams is beside it, in L{tests.integration.noise_by_hand}.
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
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Self

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from tests.integration import tls_by_hand
from tests.integration.noise_by_hand import SealedSocket
from tests.integration.tls_by_hand import Identity

BITS: Final = 64
PLACES: Final = 1 << BITS
PAYLOAD_TYPE: Final = "application/vnd.twisted-bazaar.ringentry+json"
TRIES: Final = 6
WAIT_S: Final = 0.5
ROUND_S: Final = 0.5
SUCCESSORS: Final = 8
PART: Final = 720

Address = tuple[str, int]
Message = dict[str, Any]
Card = list[Any]


class NoAnswer(Exception):
    """Who was asked has not answered, six times."""


class Entry:
    """An entry, as it travels.

    @ivar text: its envelope.
    @ivar told: the statement in it.
    @raise ValueError: it is not signed by its owner.
    """

    def __init__(self, text: str) -> None:
        envelope = json.loads(text)
        [signature] = envelope["signatures"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        self.text = text
        self.told: Message = json.loads(payload)
        if envelope["payloadType"] != PAYLOAD_TYPE or signature["keyid"] != self.told["owner"]:
            raise ValueError("another kind of statement, or somebody else's")
        try:
            VerifyKey(bytes.fromhex(self.told["owner"])).verify(_signed(payload), base64.b64decode(signature["sig"]))
        except BadSignatureError:
            raise ValueError("a signature that does not hold") from None
        identity = "\n".join((self.told["space"], self.told["name"], self.told["owner"])).encode()
        self.tag = hashlib.sha256(identity).hexdigest()[:16]
        self.place = place_of(self.told["name"].encode())
        self.position = self.place + self.tag
        print40 = hashlib.sha256(identity).digest() + self.version.to_bytes(8, "big")
        self.fingerprint = int.from_bytes(hashlib.sha256(print40).digest()[:16], "big")

    @property
    def version(self) -> int:
        """How new it is."""
        return int(self.told["version"])

    @property
    def is_deleted(self) -> bool:
        """Whether it says that there is nothing any more."""
        return bool(self.told.get("deleted"))

    @classmethod
    def sign(cls, key: SigningKey, name: str, **about: Any) -> Self:
        """Make one of one's own."""
        owner = key.verify_key.encode().hex()
        told = {"space": "value", "name": name, "owner": owner, "version": int(time.time() * 1000), **about}
        payload = json.dumps(told).encode()
        signature = {"keyid": owner, "sig": base64.b64encode(key.sign(_signed(payload)).signature).decode()}
        envelope = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE}
        return cls(json.dumps({**envelope, "signatures": [signature]}, separators=(",", ":")))


def place_of(content: bytes) -> str:
    """The place of a name, or of a key."""
    return hashlib.sha256(content).hexdigest()[: BITS // 4]


def way_up(low: str, high: str) -> int:
    """How far it is up from a place to another."""
    return (int(high, 16) - int(low, 16)) % PLACES


def place_on(card: Card) -> str:
    """The place of the node that a card names."""
    if len(card) > 4 and card[4] is not None:
        return str(card[4])
    return place_of(base64.urlsafe_b64decode(card[0] + "="))


def udp_port_of(port: int, key: SigningKey, *, is_plain: bool) -> int:
    """Link to a member, learn where it takes datagrams, and let the link go."""
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        if not is_plain:
            link = stack.enter_context(tls_by_hand.SealedSocket(link, Identity(bytes(key))))
        public = key.verify_key.encode().hex()
        for message in ({"type": "thisisme", "id": int(public[:13], 16), "port": 0, "key": public}, {"type": "dc"}):
            payload = json.dumps(message).encode()
            link.sendall(b"%d:%b," % (len(payload), payload))
        frames = stack.enter_context(link.makefile("rb"))
        digits = b"".join(iter(lambda: frames.read(1).strip(b":"), b""))
        greeting: Message = json.loads(frames.read(int(digits)))
        assert greeting["type"] == "thisisme", greeting
        return int(greeting["udp"])


class OpenSocket:
    """Speaks with nodes over a UDP socket, in the open: each message shows the cookie of whom it is for."""

    def __init__(self, datagrams: socket.socket) -> None:
        self._socket = datagrams
        self._secret = os.urandom(16)
        self._cookies: dict[Address, str] = {}
        self._waiting: dict[Address, list[Message]] = {}
        self._nonces: dict[Address, str] = {}

    def send(self, said: bytes, to: Address) -> None:
        """Say something, when there is a cookie."""
        message: Message = json.loads(said)
        if to in self._cookies:
            self._write({**message, "cookie": self._cookies[to]}, to)
            return
        self._waiting.setdefault(to, []).append(message)
        nonce = self._nonces.setdefault(to, os.urandom(8).hex())
        self._write({"type": "knock", "nonce": nonce, "pad": "0" * 24}, to)

    def take(self, data: bytes, source: Address) -> bytes:
        """What a datagram says to this end; nothing if it is about cookies."""
        message: Message = json.loads(data)
        match message["type"]:
            case "knock":
                self._write({"type": "cookie", "nonce": message["nonce"], "give": self._cookie(source)}, source)
            case "cookie" if message["nonce"] == self._nonces.get(source):
                self._cookies[source] = message["give"]
                for each in self._waiting.pop(source, []):
                    self._write({**each, "cookie": message["give"]}, source)
            case "stale":
                if message.get("was") == self._cookies.get(source):
                    self._cookies.pop(source, None)
            case "cookie":
                pass
            case _ if message.get("cookie") != self._cookie(source):
                was = {"was": message["cookie"]} if "cookie" in message else {}
                self._write({"type": "stale", **was}, source)
            case _:
                return data
        return b""

    def _write(self, message: Message, to: Address) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendto(_written(message), to)

    def _cookie(self, address: Address) -> str:
        return hashlib.sha256(self._secret + repr(address).encode()).hexdigest()[:16]


def _written(message: Message) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


class RingNode:
    """A member of a ring; a thread of its own answers and looks after its neighbours.

    @ivar place: where it stands.
    @ivar predecessor: the card of the node before it.
    @ivar successors: the cards of those after it.
    @ivar entries: what it keeps, by position.
    @ivar asked: the types of the questions that it has answered.
    @param takes_files: say that files are taken, and never come for them; else there is no room for any.
    @param is_plain: whether the others seal nothing.
    """

    def __init__(self, *, takes_files: bool = False, is_plain: bool = False) -> None:
        self._is_plain = is_plain
        self._takes_files = takes_files
        self.key = SigningKey.generate()
        public = self.key.verify_key.encode()
        self.public = public.hex()
        self.place = place_of(public)
        self.is_member = False
        self.predecessor: Card | None = None
        self.successors: list[Card] = []
        self.entries: dict[str, Entry] = {}
        self.asked: set[str] = set()
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._udp = self._socket.getsockname()[1]
        self._card = [base64.urlsafe_b64encode(public).decode().rstrip("="), None, self._udp, 0]
        self._way = OpenSocket(self._socket) if is_plain else SealedSocket(self._socket, self.key, self._answered)
        self._answers: dict[int, queue.SimpleQueue[Message]] = {}
        self._parts: dict[str, dict[int, str]] = {}
        self._stamp = int.from_bytes(os.urandom(6), "big")
        self._is_over = False
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._listen, self._stabilise)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self._is_over = True
        self._socket.close()

    # Coming, going, and what it is for.

    def join(self, port: int) -> None:
        """Join by the member that takes links at a port."""
        address = ("127.0.0.1", udp_port_of(port, self.key, is_plain=self._is_plain))
        pong = self.ask(address, "", "ringjoin")
        assert pong["bits"] == BITS, pong
        holders = self.find(self.place, [self._at(pong["origin"], address)])
        assert place_on(holders[0]) != self.place, "the place is taken"
        # The one before the first holder, or whoever comes nearer while it is asked.
        behind = self._nearest_before or self._at(pong["origin"], address)
        while True:
            pong = self.ask(_address(behind), place_on(behind), "ringjoin")
            named = [self._at(card, _address(behind)) for card in pong.get("successors", [])]
            before = [card for card in named if self._is_between(place_on(behind), place_on(card), self.place)]
            if not before:
                break
            behind = before[-1]
        self.successors = named or [behind]
        self.is_member = True
        self._ping(self.successors[0])
        self._ping(behind)
        self._threads[1].start()

    def leave(self) -> None:
        """Hand over what is here, and say goodbye."""
        for entry in list(self.entries.values()):
            self.send(entry, self.successors[0])
        before, self.is_member = self.predecessor, False
        farewell = {"predecessor": before, "successors": self.successors}
        for card in [*self.successors[:1], *([before] if before else [])]:
            self.ask(_address(card), place_on(card), "ringquit", **farewell)

    def find(self, place: str, known: Iterable[Card] = ()) -> list[Card]:
        """Who is responsible for a place, and those after it."""
        nearest = sorted(known or self.successors, key=lambda card: way_up(place_on(card), place))
        asked: set[str] = set()
        while nearest:
            card = nearest.pop(0)
            if place_on(card) in asked:
                continue
            asked.add(place_on(card))
            try:
                found = self.ask(_address(card), place_on(card), "ringfind", place=place)
            except NoAnswer:
                continue
            if found.get("after"):
                self._nearest_before = card if place_on(card) != place else None
                return [self._at(each, _address(card)) for each in found["after"]]
            nearer = [self._at(each, _address(card)) for each in found.get("before", [])]
            nearest = sorted([*nearer, *nearest], key=lambda each: way_up(place_on(each), place))
        raise NoAnswer(place)

    def send(self, entry: Entry, card: Card) -> str:
        """Ask a node to keep an entry; what has become of it."""
        whole = hashlib.sha256(entry.text.encode()).hexdigest()[:32]
        cut = [entry.text[at : at + PART] for at in range(0, len(entry.text), PART)]
        for part, text in enumerate(cut):
            answer = self.ask(
                _address(card), place_on(card), "ringstore", whole=whole, part=part, parts=len(cut), text=text
            )
        return str(answer["outcome"])

    def request(self, name: str, card: Card) -> list[Entry]:
        """What a node has under a name."""
        where = (_address(card), place_on(card), "ringrequest")
        listed = self.ask(*where, space="value", name=name).get("listed", [])
        return [self._text(*where, space="value", name=name, tag=tag) for tag, *_ in listed]

    def pull(self) -> None:
        """Get from the next node what belongs here."""
        card, before = self.successors[0], self.predecessor
        assert before is not None, "it is known who stands before"
        low, high = place_on(before) + "f" * 16, self.place + "f" * 16
        where = (_address(card), place_on(card))
        while low != high:
            total = f"{self._sum(low, high):032x}"
            compared = self.ask(*where, "ringcompare", low=low, high=high, total=total, own=True)
            for position, version in compared.get("marked", []):
                if position not in self.entries or self.entries[position].version < version:
                    entry = self._text(*where, "ringrequest", position=position)
                    self.entries[entry.position] = entry
            low = high if compared["same"] else compared["until"]

    def ask(self, address: Address, destination: str, type: str, **keys: Any) -> Message:
        """Ask somebody; the answer.

        @raise NoAnswer: there is none.
        """
        self._stamp += 1
        stamp = self._stamp
        answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._answers[stamp] = answers
        for _ in range(TRIES):
            self._way.send(_written(self._message(type, destination, stamp, **keys)), address)
            with contextlib.suppress(queue.Empty):
                return answers.get(timeout=WAIT_S)
        raise NoAnswer(f"{type} to {address}")

    # What comes.

    def _listen(self) -> None:
        while not self._is_over:
            try:
                data, address = self._socket.recvfrom(1 << 16)
            except OSError:
                return
            said = self._way.take(data, address)
            if not said:
                continue
            message: Message = json.loads(said)
            if message["type"] in _ANSWERS and message["stamp"] in self._answers:
                self._answers[message["stamp"]].put(message)
            elif (answer := self._answer(message, address)) is not None:
                self._way.send(_written(answer), address)

    def _answered(self, question: bytes, address: Address) -> bytes | None:
        """The answer to what was asked without a session."""
        answer = self._answer(json.loads(question), address)
        return None if answer is None else _written(answer)

    def _answer(self, message: Message, address: Address) -> Message | None:
        """The answer to a question; None if there is none."""
        answering: dict[str, Callable[[Message, Address], tuple[str, Message]]] = {
            "ringjoin": lambda message, address: ("ringpong", {**self._standing(), "you": [*address]}),
            "ringping": self._pinged,
            "ringfind": lambda message, address: ("ringfound", self._near(message["place"])),
            "ringstore": lambda message, address: ("ringstored", self._keep(message)),
            "ringrequest": lambda message, address: ("ringtransfer", self._list(message)),
            "ringcompare": lambda message, address: ("ringcompared", self._compare(message)),
            "ringquit": self._let_go,
            "ringkept": lambda message, address: ("ringnoted", {}),
        }
        answer = answering.get(message["type"])
        if answer is None or not self.is_member or message["destination"] not in ("", self.place):
            return None
        type, keys = answer(message, address)
        self.asked.add(message["type"])
        return self._message(type, message["source"], message["stamp"], **keys)

    def _standing(self) -> Message:
        known = {} if self.predecessor is None else {"predecessor": self.predecessor}
        return {"bits": BITS, "member": self.is_member, "successors": self.successors[:SUCCESSORS], **known}

    def _pinged(self, message: Message, address: Address) -> tuple[str, Message]:
        card, before = self._at(message["origin"], address), self.predecessor
        if message.get("next") if before is None else self._is_between(place_on(before), message["source"], self.place):
            self.predecessor = card
        return "ringpong", self._standing()

    def _let_go(self, message: Message, address: Address) -> tuple[str, Message]:
        self._forget(message["source"])
        return "ringexit", {}

    def _near(self, place: str) -> Message:
        """Whom it knows round a place."""
        before = self.predecessor
        known = {} if before is None else {"predecessor": before}
        if before is not None and self._is_between(place_on(before), place, self.place, is_closed=True):
            return {"after": [self._card, *self.successors[:3]], **known}
        nearer = [card for card in self.successors if self._is_between(self.place, place_on(card), place)]
        after = [card for card in self.successors if card not in nearer]
        return {"before": nearer[::-1][:4], "after": after[:4], **known}

    def _keep(self, message: Message) -> Message:
        parts = self._parts.setdefault(message["whole"], {})
        parts[message.get("part", 0)] = message["text"]
        if len(parts) < message.get("parts", 1):
            return {"outcome": "part"}
        text = "".join(parts[at] for at in sorted(self._parts.pop(message["whole"])))
        try:
            entry = Entry(text)
        except (ValueError, KeyError):
            return {"outcome": "refused"}
        there = self.entries.get(entry.position)
        if "digest" in entry.told:
            return {"outcome": "kept" if self._takes_files else "full", "version": entry.version}
        if there is not None and there.version >= entry.version:
            return {"outcome": "known" if there.version == entry.version else "older", "version": there.version}
        self.entries[entry.position] = entry
        return {"outcome": "kept", "version": entry.version}

    def _list(self, message: Message) -> Message:
        if "position" in message:
            entries = [entry for entry in (self.entries.get(message["position"]),) if entry]
        else:
            under = (message.get("space"), message.get("name"))
            entries = [each for each in self.entries.values() if (each.told["space"], each.told["name"]) == under]
            if "tag" not in message:
                return {"listed": [[each.tag, each.version, each.is_deleted, False] for each in entries]}
            entries = [each for each in entries if each.tag == message["tag"]]
        if not entries:
            return {}
        [entry] = entries
        first = message.get("part", 0) * PART
        return {"parts": -(-len(entry.text) // PART), "text": entry.text[first : first + PART]}

    def _compare(self, message: Message) -> Message:
        low, high = message["low"], message["high"]
        if f"{self._sum(low, high):032x}" == message["total"]:
            return {"same": True}
        marked = [[each.position, each.version] for each in self._within(low, high)][:32]
        return {"same": False, "marked": marked, "until": marked[-1][0] if len(marked) == 32 else high}

    # Neighbours.

    def _stabilise(self) -> None:
        while not self._is_over:
            time.sleep(ROUND_S)
            if self.is_member and self.successors:
                self._ping(self.successors[0])

    def _ping(self, card: Card) -> None:
        """Ask a node how it stands, and take over what it knows if it is the first successor."""
        is_next = card == self.successors[0]
        try:
            pong = self.ask(_address(card), place_on(card), "ringping", next=is_next)
        except NoAnswer:
            if not self._is_over:
                self._forget(place_on(card))
            return
        if not is_next or not self.is_member:
            return
        named = [self._at(each, _address(card)) for each in pong.get("successors", [])]
        self.successors = [card, *(each for each in named if place_on(each) != self.place)][:SUCCESSORS]
        between = pong.get("predecessor")
        if between is not None and self._is_between(self.place, place_on(between), place_on(card)):
            nearer = self._at(between, _address(card))
            with contextlib.suppress(NoAnswer):
                self.ask(_address(nearer), place_on(nearer), "ringping", next=True)
                self.successors.insert(0, nearer)

    def _forget(self, place: str) -> None:
        self.successors = [card for card in self.successors if place_on(card) != place]
        if self.predecessor is not None and place_on(self.predecessor) == place:
            self.predecessor = None

    # Inside.

    def _text(self, address: Address, destination: str, type: str, **which: Any) -> Entry:
        """Get an entry part by part."""
        text, part, parts = "", 0, 1
        while part < parts:
            answer = self.ask(address, destination, type, part=part, **which)
            text, part, parts = text + answer["text"], part + 1, answer["parts"]
        return Entry(text)

    def _within(self, low: str, high: str) -> Sequence[Entry]:
        """What there is in a span, going up."""
        size, start = 1 << (4 * len(low)), int(low, 16)
        length = (int(high, 16) - start) % size or size
        far = sorted(((int(position, 16) - start) % size or size, position) for position in self.entries)
        return [self.entries[position] for distance, position in far if distance <= length]

    def _sum(self, low: str, high: str) -> int:
        return sum(entry.fingerprint for entry in self._within(low, high)) % (1 << 128)

    @staticmethod
    def _is_between(low: str, place: str, high: str, *, is_closed: bool = False) -> bool:
        """Whether a place comes between two others, going up."""
        way = way_up(low, high) or PLACES
        return 0 < way_up(low, place) < way or (is_closed and place == high)

    @staticmethod
    def _at(card: Card, address: Address) -> Card:
        """A card as it is passed on: that of a sender has no host, and the address counts."""
        return [card[0], *address, *card[3:]] if card[1] is None else card

    def _message(self, type: str, destination: str, stamp: int, **keys: Any) -> Message:
        about = {"source": self.place, "destination": destination, "stamp": stamp, "origin": self._card}
        return {"type": type, **about, **keys}

    _nearest_before: Card | None = None


_ANSWERS: Final = frozenset({"ringpong", "ringexit", "ringfound", "ringstored", "ringtransfer", "ringcompared"})


def _address(card: Card) -> Address:
    return card[1], card[2]


def _signed(payload: bytes) -> bytes:
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
