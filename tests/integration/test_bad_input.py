"""No peer, whatever it sends, harms a live node or those that are linked to it.

Each attack runs against a relay in a process of its own, while two well-behaved peers go on using it.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self

import msgspec
import pytest

from tests.integration.watched_node import LONGEST_S, NODE_ID, HandPeer, WatchedNode, framed, netstring, until
from twisted_bazaar.errors import WireError
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.node.control import Disconnect, Pong
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.plugin import declare_messages, load_roles
from twisted_bazaar.trade.contract import Quote, make_purchase
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import LARGEST_INTEGER, LARGEST_TTL, MESSAGE_TYPES, Flooded, Routed

LONGEST_TURN_S: Final = 0.05
# A machine that stands still for a moment may charge it to whoever runs, but not each time.
TRIES: Final = 3
# What may stay: the tables that traffic fills, of which one peer gets an eighth, and what the allocator
# keeps for next time. A leak of what an attack sent, or caused to be sent, is larger.
MEMORY_KEPT_BYTES: Final = 4 << 20
# A backlog of small messages, given back, leaves arenas of the allocator that hold little else, once.
BACKLOG_KEPT_BYTES: Final = 24 << 20
# Four megabytes may wait for a peer that does not read; in small messages they take four times as much.
PEAK_BYTES: Final = 48 << 20
LOG_LINES: Final = 10
LOG_CHARACTERS: Final = 4096
# Long before any deadline of the node.
AT_ONCE_S: Final = 5.0
# Whose bytes are not taken for so long is not read.
NOT_READ_S: Final = 1.5
BAD: Final = 66

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

Steps = Callable[[WatchedNode, "Neighbours"], Iterator[None]]
ATTACKS: Final[list[Any]] = []


def attack(*words: str, kept_bytes: int = MEMORY_KEPT_BYTES) -> Callable[[Steps], Steps]:
    """Enter an attack into the list.

    An attack yields whenever the others are to be looked after, and closes its connections.

    @param words: options for the node, to have it over sooner.
    @param kept_bytes: memory that may stay.
    """

    def enter(steps: Steps) -> Steps:
        ATTACKS.append(pytest.param(steps, words, kept_bytes, id=steps.__name__))
        return steps

    return enter


class Neighbours:
    """Two peers that behave, linked to the node under attack, and its tracker."""

    def __init__(self, node: WatchedNode) -> None:
        self._tracker = node.tracker
        self.asking, self.hearing = node.link(101), node.link(102)
        self._searches = iter(range(1, LARGEST_INTEGER))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.asking.socket.close()
        self.hearing.socket.close()

    def are_served(self, timeout_s: float = LONGEST_S) -> bool:
        """Whether all are answered, and a search of one comes to another.

        Like every buyer it searches again when nothing came of it: a node passes on so many a second,
        and who asks too much has its turn too.
        """
        deadline = monotonic() + timeout_s
        for peer in (self._tracker, self.asking, self.hearing):
            peer.tell("ping")
            if peer.hear("pong", deadline - monotonic()) is None:
                return False
        while monotonic() < deadline:
            number = next(self._searches)
            self.asking.tell("search", id=number, item="apple", returnPath=[101], ttl=3)
            if self.hearing.hear("search", 0.2, id=number, returnPath=[101, NODE_ID], ttl=2) is not None:
                return True
        return False

    def heard_from(self, id: int) -> list[dict[str, Any]]:
        """The searches that came to one of them from a peer."""
        return [message for message in self.hearing.heard if id in message.get("returnPath", ())]


class Calm:
    """A node before an attack, for what it should be again.

    @param kept_bytes: memory that may stay.
    """

    def __init__(self, node: WatchedNode, kept_bytes: int = MEMORY_KEPT_BYTES) -> None:
        self._node = node
        self._kept_bytes = kept_bytes
        node.forget_turns()
        node.forget_peak()
        self._descriptors = node.descriptors()
        self._memory_bytes = node.memory_bytes()
        self._peak_bytes = node.peak_bytes()
        self._log = node.log()

    def wrong(self) -> dict[str, object]:
        """What is not as it was, by name."""
        node = self._node
        open_more = node.descriptors() - self._descriptors
        kept = node.memory_bytes() - self._memory_bytes
        peak = node.peak_bytes() - self._peak_bytes
        told = node.log().removeprefix(self._log)
        found: dict[str, tuple[bool, object]] = {
            "descriptors": (open_more != 0, open_more),
            "memory": (kept > self._kept_bytes, kept),
            "peak": (peak > PEAK_BYTES, peak),
            "turn": (node.longest_turn_s > LONGEST_TURN_S, node.longest_turn_s),
            "log": (len(told.splitlines()) > LOG_LINES or len(told) > LOG_CHARACTERS, told[:2048]),
            "traceback": ("Traceback" in told or "Unhandled" in told, told[:2048]),
        }
        return {name: value for name, (is_wrong, value) in found.items() if is_wrong}

    def comes_back(self) -> dict[str, object]:
        """What is still wrong when there has been time to close connections and to let go of memory."""
        until(lambda: not self.wrong().keys() & {"descriptors", "memory"})
        return self.wrong()


# Bytes that are no frames.


@attack()
def random_megabyte(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Noise instead of a greeting, noise after one, and noise in good frames."""
    rng = random.Random(1)
    for link in (node.connect, lambda: node.link(BAD)):
        with link() as bad:
            for _ in range(16):
                bad.write(rng.randbytes(1 << 16))
                yield
            assert bad.is_closed(AT_ONCE_S)
    for link in (node.connect, lambda: node.link(BAD)):
        with link() as bad:
            for _ in range(512):
                bad.write(netstring(rng.randbytes(2048)))
            yield
            assert bad.is_closed(AT_ONCE_S)


@attack()
def gigabyte_announced(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """A length past the limit, or none at all, ends the connection before anything of the frame has come."""
    for start in (b"1073741824:", b"99999999999999999999", b"65537:", b"-5:", b"02:", b"1:", b":", b"{"):
        with node.link(BAD) as bad:
            bad.write(start)
            assert bad.is_closed(AT_ONCE_S), start
    yield
    for start in (b"1073741824:", b"4097:", b"GET / HTTP/1.1"):
        with node.connect() as bad:
            bad.write(start)
            assert bad.is_closed(AT_ONCE_S), start
    yield


@attack()
def mebibyte_before_greeting(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """A frame that is good in itself, from somebody unknown."""
    with node.connect() as bad:
        bad.write(netstring(msgspec.json.encode({"type": "ping", "filler": "x" * (1 << 20)})))
        yield
        assert bad.is_closed(AT_ONCE_S)


@attack("--limit", "frame-s=1", "--limit", "handshake-s=1", "--limit", "grace-s=1")
def frame_never_finished(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """A byte every now and then does not keep a frame open for ever, before the greeting or after it."""
    with node.connect() as stranger, node.link(BAD) as bad:
        dripping = [stranger, bad]
        for peer in dripping:
            peer.write(b"4000:{")
        began = monotonic()
        while dripping and monotonic() < began + LONGEST_S:
            dripping = [peer for peer in dripping if peer.write(b" ") and not peer.is_closed(0.1)]
            yield
        assert not dripping
        assert monotonic() > began + 0.9


# Too many frames.


@attack()
def tiny_frames(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """A hundred thousand frames of two bytes: no message among them."""
    for link in (node.connect, lambda: node.link(BAD)):
        for payload in (b"{}", b"[]", b"\0\xff"):
            with link() as bad:
                for _ in range(10):
                    bad.write(netstring(payload) * 10_000)
                    yield
                assert bad.is_closed(AT_ONCE_S)


@attack()
def unknown_messages(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """A hundred thousand messages of a newer version: ten a minute are answered, and the link stays."""
    with node.link(BAD) as bad:
        for _ in range(10):
            bad.write(framed("new") * 10_000)
            yield
        bad.tell("ping")
        assert bad.hear("pong") is not None
        assert [message["type"] for message in bad.heard].count("error") == Limits().refusals_a_minute


@attack()
def pings(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """A hundred thousand pings are a hundred thousand pongs, before the greeting and after it."""
    for link in (node.connect, lambda: node.link(BAD)):
        with link() as bad:
            for _ in range(10):
                bad.write(framed("ping") * 10_000)
                yield
                for _ in range(10_000):
                    assert bad.hear("pong") is not None


@attack()
def searches(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Of a hundred thousand searches others get to see as many a second as the limit says."""
    with node.link(BAD) as bad:
        began = monotonic()
        for batch in range(10):
            numbers = range(batch * 10_000, (batch + 1) * 10_000)
            bad.write(b"".join(framed("search", id=n, item="apple", returnPath=[BAD], ttl=7) for n in numbers))
            yield
        bad.tell("ping")
        assert bad.hear("pong", 60) is not None
        assert neighbours.are_served()
        seconds = monotonic() - began + 1
        assert 0 < len(neighbours.heard_from(BAD)) <= seconds * Limits().searches_a_second


@attack()
def one_search(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """The same search a hundred thousand times is passed on once."""
    with node.link(BAD) as bad:
        for _ in range(10):
            bad.write(framed("search", id=5, item="apple", returnPath=[BAD], ttl=7) * 10_000)
            yield
        bad.tell("ping")
        assert bad.hear("pong") is not None
        assert neighbours.are_served()
        assert len(neighbours.heard_from(BAD)) == 1


# Good frames with bad messages.

# In form; nobody has signed it.
UNSIGNED: Final = {
    "payload": "e30=",
    "payloadType": "application/vnd.twisted-bazaar.purchase+json",
    "signatures": [{"keyid": "ab" * 32, "sig": "A" * 86 + "=="}],
}
# A good value for every key of every message.
GOOD: Final[dict[str, Any]] = {
    "id": 5,
    "returnPath": [BAD],
    "item": "apple",
    "port": 1,
    "host": "192.0.2.1",
    "key": "ab" * 32,
    "code": "new",
    "order": UNSIGNED,
    "answer": UNSIGNED,
    "digest": "0" * 64,
    "root": "0" * 64,
    "name": "a.txt",
    **dict.fromkeys(("size", "first", "chunk", "base"), 0),
    **dict.fromkeys(("count", "mark", "most", "lease"), 1),
    "chunks": [0],
    **{key: ["A" * 43, None, 1, 1] for key in ("origin", "about")},
}
# For keys that are of another kind in other messages.
FITTING: Final = (5, True, "0" * 16, "0" * 32, "0" * 64, "kept", [0])
# What a message needs besides.
NEEDED: Final[dict[str, dict[str, Any]]] = {"findsellers": {"item": "apple"}, "query": {"item": "apple"}}
# Each of these is wrong for most keys, and all together are for every one.
WRONG: Final[tuple[Any, ...]] = (
    *(None, True, 1.5, "", "5", "x" * 60_000, "\0\u202e", "not an address"),
    *(-2, LARGEST_INTEGER + 1, 2**64, -(2**70), int("9" * 4000)),
    *([], {}, [[]], [None], ["x"], [-1], [LARGEST_INTEGER + 1], [5, 5], list(range(9_000)), {"id": 5}),
)
NEVER_ANSWERED: Final = {name for name, cls in MESSAGE_TYPES.items() if cls in (Error, Pong, Disconnect)}


def good_value(field: msgspec.structs.FieldInfo) -> Any:
    """A value that a key takes: the usual one of its name, if its type is the usual one too."""
    for value in (GOOD.get(field.encode_name), *FITTING):
        try:
            msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            continue
        return value
    raise AssertionError(f"no good value for {field.name}")


def wrong_shapes(name: str) -> Iterator[bytes]:
    """Messages of one class, each with something wrong; what is right for a key is left out."""
    decode = Codec().decode
    fields = msgspec.structs.fields(MESSAGE_TYPES[name])
    good = {"type": name, **{field.encode_name: good_value(field) for field in fields if field.required}}
    good |= NEEDED.get(name, {})
    decode(msgspec.json.encode(good))
    for field in fields:
        key = field.encode_name
        changed = [{**good, key: value} for value in WRONG]
        if field.required:
            changed.append({k: value for k, value in good.items() if k != key})
        for message in changed:
            payload = encode(message)
            try:
                decode(payload)
            except WireError:
                yield payload


def encode(message: object) -> bytes:
    """JSON with integers of any size."""
    return json.dumps(message, separators=(",", ":")).encode()


def own_types() -> list[str]:
    """The wire names of this package: not those of tests and of other people's roles."""
    declare_messages()
    load_roles()
    assert {"fetch", "findfiles", "inquiry", "search", "buy", "thisisme", "nodereq"} <= MESSAGE_TYPES.keys()
    return [name for name, cls in MESSAGE_TYPES.items() if cls.__module__.startswith("twisted_bazaar.")]


@attack("--limit", "refusals-a-minute=100000")
def wrong_shape_of_every_message(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Each is told what is wrong with it, once, and nothing else happens."""
    with node.link(BAD) as bad:
        for name in own_types():
            shapes = list(wrong_shapes(name))
            bad.heard.clear()
            for shape in shapes:
                bad.write(netstring(shape))
            yield
            bad.tell("ping")
            assert bad.hear("pong") is not None, name
            told = [(m["code"] in ("wtf", "wrongway"), m["about"]) for m in bad.heard if m["type"] == "error"]
            assert told == ([] if name in NEVER_ANSWERED else [(True, name)] * len(shapes))
        assert neighbours.are_served()
        assert neighbours.heard_from(BAD) == []


@attack()
def wrong_shapes_until_cut(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Whoever sends nothing else is not listened to for long."""
    for name in own_types():
        shapes = list(wrong_shapes(name))
        if shapes:
            with node.link(BAD) as bad:
                bad.write(b"".join(netstring(shape) for shape in shapes[:20]))
                assert bad.is_closed(AT_ONCE_S), name
            yield


@attack("--limit", "refusals-a-minute=100000")
def no_message_at_all(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """JSON without a type, JSON nested without end, and what only looks like JSON."""
    payloads = [
        *(b"null", b"12", b"[]", b"{}", b'"search"', b'{"type":5}', b'{"type":null}', b'{"type":["search"]}'),
        *(b"NaN", b'{"type":"ping",}', b'{"type":"ping"}{"type":"ping"}', b"\xff\xfe", b'{"type":"\xed\xa0\x80"}'),
        *(b'{"type":"\\ud800"}', b'{"type":"' + b"x" * 60_000 + b'"}', b" " * 65_536),
        *(b"[" * 65_536, b'{"a":' * 13_000, b"[" * 30_000 + b"]" * 30_000),
        b'{"type":"ping","more":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"more":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b',"type":"ping"}',
        b'{"type":"search","id":' + b"9" * 60_000 + b"}",
        b'{"type":"search","id":1e' + b"9" * 60_000 + b"}",
    ]
    with node.link(BAD) as bad:
        for payload in payloads:
            for _ in range(20):
                assert bad.write(netstring(payload))
                assert bad.hear("error") is not None, payload[:40]
            yield
    with node.connect() as bad:
        for payload in payloads:
            if len(payload) <= Limits().greeting_frame_bytes:
                assert bad.write(netstring(payload))
                assert bad.hear("error") is not None, payload[:40]
        bad.write(netstring(b"[" * 4096))
        assert bad.hear("error") is not None
        yield


@attack("--limit", "refusals-a-minute=100000")
def paths_that_lead_elsewhere(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """A path without this node, with it twice, out of order, or of a thousand ids, for everything that has one."""
    for_routed = (
        *([BAD, 77, 78], [BAD], [77, NODE_ID], [NODE_ID, BAD], [NODE_ID]),
        *([BAD, NODE_ID, 77, NODE_ID], [BAD, NODE_ID, 102, 102], list(range(1000)), [BAD, NODE_ID, *range(200, 1200)]),
    )
    for_flooded = ([77], [BAD, 77], [77, BAD, 77, BAD], [BAD] * 1000, [*range(200, 1200), BAD])
    with node.link(BAD) as bad:
        for name in own_types():
            cls = MESSAGE_TYPES[name]
            if not issubclass(cls, Routed | Flooded):
                continue
            key, paths = ("path", for_routed) if issubclass(cls, Routed) else ("returnPath", for_flooded)
            fields = msgspec.structs.fields(cls)
            good = {field.encode_name: good_value(field) for field in fields if field.required}
            for path in paths:
                bad.tell(name, **{**good, key: path})
                if name not in NEVER_ANSWERED:
                    answer = bad.hear("error")
                    assert answer is not None
                    assert (answer["code"], answer["about"]) == ("wrongway", name), path[:5]
            yield
        for _ in range(100):
            # Who does not read the errors is not read from either.
            bad.write(framed("buy", id=5, order=UNSIGNED, path=[77, 78]) * 200)
            for _ in range(200):
                assert bad.hear("error", about="buy") is not None
        yield
        # A search that has been here goes nowhere, and nobody is told.
        bad.tell("search", id=5, item="apple", returnPath=[NODE_ID, BAD])
        assert neighbours.are_served()
        assert neighbours.heard_from(BAD) == []


@attack()
def ttl_of_a_million(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """It is passed on as if it had been the largest there is."""
    with node.link(BAD) as bad:
        for number, ttl in enumerate((1_000_000, LARGEST_INTEGER, LARGEST_TTL + 1, 0, 1)):
            bad.tell("search", id=number, item="apple", returnPath=[BAD], ttl=ttl)
        bad.tell("search", id=9, item="apple", returnPath=[BAD], ttl=LARGEST_INTEGER + 1)
        assert bad.hear("error", about="search") is not None
        yield
        assert [message["ttl"] for message in neighbours.heard_from(BAD)] == [LARGEST_TTL - 1] * 3


@attack()
def nothing_counts_after_goodbye(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """What comes after dc is not read."""
    with node.link(BAD) as bad:
        search = framed("search", id=5, item="apple", returnPath=[BAD])
        bad.write(framed("dc") + (search + framed("ping")) * 10_000)
        yield
        assert bad.is_closed(AT_ONCE_S)
        assert neighbours.heard_from(BAD) == []


# Peers that do not read, do not speak, or do not stay.


@attack(kept_bytes=BACKLOG_KEPT_BYTES)
def deaf_peer_that_asks(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Who never reads the answers it causes is read from no more."""
    order = {"id": 5, "order": UNSIGNED}
    for ask in (framed("ping"), framed("ping"), framed("buy", **order), framed("buy", **order, path=[77])):
        with node.connect(receive_buffer_bytes=4096).greet(BAD) as bad:
            deadline = monotonic() + LONGEST_S
            bad.socket.settimeout(NOT_READ_S)
            is_read = True
            while is_read:
                assert monotonic() < deadline
                try:
                    assert bad.write(ask * 10_000)
                except TimeoutError:
                    is_read = False
                yield
            assert neighbours.are_served()


@attack("--limit", "searches-a-second=1000000", kept_bytes=BACKLOG_KEPT_BYTES)
def deaf_peer_among_searches(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """What others search is no longer passed on to who does not read; it stays, and the others get everything."""
    with node.connect(receive_buffer_bytes=4096).greet(BAD) as deaf, node.link(67) as searching:
        for batch in range(100):
            numbers = range(batch * 200, (batch + 1) * 200)
            item = "\N{RED APPLE}" * 128
            searching.write(b"".join(framed("search", id=n, item=item, returnPath=[67]) for n in numbers))
            # Who is to hear them all has to read as fast as they are sent.
            assert neighbours.hearing.hear("search", LONGEST_S, id=numbers[-1], item=item) is not None
            yield
        assert len(neighbours.heard_from(67)) == 20_000
        deaf.tell("ping")
        assert deaf.hear("pong") is not None
        passed_on = sum(67 in message.get("returnPath", ()) for message in deaf.heard)
        assert 100 < passed_on < 19_000


@attack()
def five_hundred_silent_connections(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """As many are kept as the limit says, and who has something to say is heard."""
    with ExitStack() as stack:
        silent = []
        for count in range(500):
            silent.append(stack.enter_context(node.connect()))
            # Faster, and the kernel's queue of connections would run over: that holds up everybody for a second.
            if count % 40 == 39:
                yield
        poller = select.poll()
        for peer in silent:
            poller.register(peer.socket, select.POLLIN)
        most = Limits().max_greeting
        assert until(lambda: len(poller.poll(0)) == 500 - most)
        node.link(BAD).socket.close()
        yield


@attack()
def taken_names(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Nobody gets in under the id of another node, the tracker's, this one's, or with this one's key."""
    for id, key in ((101, "cd" * 32), (NODE_ID, "cd" * 32), (0, "cd" * 32), (-1, "cd" * 32), (BAD, node.key)):
        with node.connect() as bad:
            bad.tell("thisisme", id=id, port=0, key=key)
            assert bad.is_closed(AT_ONCE_S), id
        yield
    with node.link(BAD) as bad:
        bad.tell("thisisme", id=BAD, port=0, key="cd" * 32)
        assert bad.is_closed(AT_ONCE_S)


@attack()
def reconnect_storm(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Hundreds that come and go at once: silently, greeting and leaving, and cutting off."""
    greeting = framed("thisisme", id=BAD, port=0, key="ab" * 32)
    abort = (socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    for said in (b"", greeting, greeting + framed("dc"), greeting + b"1000:"):
        for count in range(200):
            with node.connect() as bad:
                bad.write(said)
                if count % 2:
                    bad.socket.setsockopt(*abort)
            if count % 50 == 49:
                yield


@attack()
def half_closed(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Who will say nothing more is not waited for."""
    for said in (b"", b"10:{", framed("ping") * 50):
        for link in (node.connect, lambda: node.link(BAD)):
            with link() as bad:
                bad.write(said)
                bad.socket.shutdown(socket.SHUT_WR)
                assert bad.is_closed(AT_ONCE_S)
            yield


@attack()
def chattering_strangers(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Sixty who do not say who they are, and all else at once."""
    with ExitStack() as stack:
        strangers = [stack.enter_context(node.connect()) for _ in range(60)]
        for stranger in strangers:
            stranger.write(framed("ping") * 2_000)
        yield
        for stranger in strangers:
            left = 2_000 * len(framed("pong"))
            while left > 0:
                left -= len(stranger.socket.recv(1 << 16))


# What grows with what has been heard.


@attack()
def news_of_broken_hops(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Paths by the hundred, and errors by the thousand that say where paths break."""
    with node.link(BAD) as bad:
        for origin in range(1000, 1600):
            bad.tell("error", code="new", path=[origin, *range(200, 212), BAD, NODE_ID])
        for _ in range(5):
            bad.write(framed("error", code="noroute", hop=5) * 1_000)
            yield
        bad.tell("ping")
        assert bad.hear("pong") is not None


def quote_for(bad: HandPeer) -> Envelope:
    """What the node offers to a peer, signed; the well-behaved ask for something else, and none is held for them."""
    bad.tell("search", id=5, item="pear", returnPath=[BAD], ttl=1)
    reply = bad.hear("reply", id=5)
    assert reply is not None
    return msgspec.convert(reply["quote"], Envelope)


def orders_on(quote: Envelope, count: int) -> list[bytes]:
    """So many orders on it, each another, signed as they have to be."""
    terms, buyer = quote.open(Quote), KeyPair.from_seed(b"b" * 32)
    return [
        framed(
            "buy", id=number, order=msgspec.to_builtins(make_purchase(buyer, f"{number:013x}{0:019x}", quote, terms, 1))
        )
        for number in range(count)
    ]


@attack("--role", "seller", "--stock", "pear=2")
def orders_without_end(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Neither refusals nor one order again and again fill a seller's log."""
    with node.link(BAD) as bad:
        orders = orders_on(quote_for(bad), 5_000)
        # Who does not read the answers meanwhile is cut off.
        for start in range(0, 5_000, 500):
            bad.write(b"".join(orders[start : start + 500]))
            for number in range(start, start + 500):
                assert bad.hear("buyOK" if number < 2 else "buyNO", id=number) is not None
            yield
        for _ in range(10):
            bad.write(orders[0] * 500)
            for _ in range(500):
                assert bad.hear("buyOK", id=0) is not None
            yield


@attack("--role", "seller", "--stock", "pear=2")
def orders_that_nobody_signed(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """Each is told that it does not hold; nothing is sold, and nothing about it fills the log."""
    with node.link(BAD) as bad:
        [order] = orders_on(quote_for(bad), 1)
        forged = [
            framed("buy", id=1, order=UNSIGNED),
            framed("cancel", id=1, order=UNSIGNED),
            order.replace(b"eyJ", b"eyK", 1),
        ]
        for statement in forged:
            bad.write(statement * 2_000)
            for _ in range(2_000):
                assert bad.hear("error", code="forged") is not None
            yield
        bad.write(order)
        assert bad.hear("buyOK", id=0) is not None


@attack("--role", "seller", "--stock", "apple=100000", "--limit", "connect-s=1")
def addresses_that_lead_nowhere(node: WatchedNode, neighbours: Neighbours) -> Iterator[None]:
    """A seller that is told to answer where nobody is answers along the path."""
    hosts = ("0.0.0.0", "127.0.0.1", "::1", "::", "fe80::1", "ff02::1", "255.255.255.255", "224.0.0.1")
    numbers = iter(range(1000))

    def is_answered(bad: HandPeer, **address: Any) -> bool:
        number = next(numbers)
        bad.tell("search", id=number, item="apple", returnPath=[1000 + number, BAD], ttl=1, **address)
        return bad.hear("reply", 0.2, id=number, path=[NODE_ID, BAD, 1000 + number]) is not None

    with node.link(BAD) as bad:
        for host in hosts:
            for port in (1, 65535, node.port):
                assert until(lambda host=host, port=port: is_answered(bad, host=host, port=port)), (host, port)
            yield


# What is tested.


def withstand(directory: Path, steps: Steps, words: tuple[str, ...], kept_bytes: int) -> dict[str, object]:
    """Attack a new node; returns what was wrong afterwards."""
    directory.mkdir()
    with WatchedNode(directory, *words) as node, Neighbours(node) as neighbours:
        assert neighbours.are_served()
        calm = Calm(node, kept_bytes)
        with closing(steps(node, neighbours)) as attacking:
            for _ in attacking:
                assert neighbours.are_served()
        assert neighbours.are_served()
        wrong = calm.comes_back()
    if not node.end():
        wrong["end"] = "it did not end by itself"
    return wrong


@pytest.mark.parametrize(("steps", "words", "kept_bytes"), ATTACKS)
def test_attack(tmp_path: Path, steps: Steps, words: tuple[str, ...], kept_bytes: int) -> None:
    """Others are served meanwhile and afterwards; no turn is long; memory, sockets and log stay as they were."""
    for attempt in range(TRIES):
        wrong = withstand(tmp_path / str(attempt), steps, words, kept_bytes)
        if "turn" not in wrong:
            break
    assert wrong == {}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("stall", "turn"),
        ("leak", "memory"),
        ("swell", "peak"),
        ("chatter", "log"),
        ("failure", "traceback"),
        ("descriptor", "descriptors"),
    ],
)
def test_measures(tmp_path: Path, fault: str, expected: str) -> None:
    """Each measure notices the fault that it is for, and finds nothing while there is none."""
    with WatchedNode(tmp_path, fault=fault) as node, Neighbours(node) as neighbours:
        assert neighbours.are_served()
        calm = Calm(node)
        assert neighbours.are_served()
        assert expected not in calm.wrong()
        node.break_down()
        assert until(lambda: expected in calm.wrong())


def test_notices_who_is_not_served(tmp_path: Path) -> None:
    """A node that has stopped reading is told from one that serves."""
    with WatchedNode(tmp_path, fault="silence") as node, Neighbours(node) as neighbours:
        assert neighbours.are_served()
        node.break_down()
        assert until(lambda: not neighbours.are_served(timeout_s=0.5))
