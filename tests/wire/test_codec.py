"""The codec: every message comes back as it went, and a stranger's bytes raise nothing but errors of the wire."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any, Final

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.errors import MalformedMessage, UnknownMessage, WireError, WrongWay
from twisted_bazaar.identity.signed import LONGEST_PAYLOAD_BYTES, Envelope, Signature
from twisted_bazaar.node.control import (
    Cookie,
    Disconnect,
    Knock,
    NodeReply,
    NodeRequest,
    Ping,
    Pong,
    Stale,
    ThisIsMe,
    ThisIsYou,
)
from twisted_bazaar.trade.messages import Buy, BuyNo, BuyOK, Cancel
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import LARGEST_INTEGER, MESSAGE_TYPES, Message, Routed

CODEC: Final = Codec()
COOKIES: Final = ("nonce", "give", "was")
KEY: Final = "0f" * 32
QUERY: Final = "0f" * 16
# The codec verifies nothing: that is for who opens it.
ENVELOPE: Final = Envelope(b"{}", "application/vnd.example+json", (Signature(KEY, bytes(64)),))
WIRE_ENVELOPE: Final = (
    b'{"payload":"e30=","payloadType":"application/vnd.example+json","signatures":[{"keyid":"%b","sig":"%b"}]}'
    % (KEY.encode(), b"A" * 86 + b"==")
)

bounded = examples(150)

# Every message with every key, as it stands on the wire.
EXAMPLES: Final[list[tuple[bytes, Message]]] = [
    (
        b'{"type":"thisisme","id":-1,"port":9001,"key":"%b","host":"192.0.2.7","version":3,"kind":"super_peer","udp":9}'
        % KEY.encode(),
        ThisIsMe(id=-1, port=9001, key=KEY, host="192.0.2.7", version=3, kind="super_peer", udp=9),
    ),
    (b'{"type":"thisisyou","id":7,"host":"2001:db8::7","port":0}', ThisIsYou(id=7, host="2001:db8::7", port=0)),
    (b'{"type":"ping"}', Ping()),
    (b'{"type":"pong"}', Pong()),
    (b'{"type":"dc"}', Disconnect()),
    (
        b'{"type":"error","path":[3,2,1],"code":"noroute","info":"gone","about":"buy","id":5,'
        b'"query":"%b","hop":4}' % QUERY.encode(),
        Error(path=(3, 2, 1), code="noroute", info="gone", about="buy", id=5, query=QUERY, hop=4),
    ),
    (b'{"type":"nodereq","have":[4,7],"kind":"relay"}', NodeRequest(have=(4, 7), kind="relay")),
    (
        b'{"type":"nodereply","id":9,"host":"192.0.2.9","port":9009,"kind":"super_peer","udp":9}',
        NodeReply(id=9, host="192.0.2.9", port=9009, kind="super_peer", udp=9),
    ),
    (
        b'{"type":"knock","nonce":"00000000000000ab","pad":"0"}',
        Knock(nonce="00000000000000ab", pad="0"),
    ),
    (
        b'{"type":"cookie","nonce":"00000000000000ab","give":"cafe000000000000"}',
        Cookie(nonce="00000000000000ab", give="cafe000000000000"),
    ),
    (b'{"type":"stale","was":"cafe000000000000"}', Stale(was="cafe000000000000")),
    (
        b'{"type":"search","id":11,"returnPath":[1,2],"ttl":4,"host":"192.0.2.1","port":9001,"flows":[65535],'
        b'"item":"pear","quantity":3,"seller":"%b","bazaar":"site"}' % KEY.encode(),
        Search(
            id=11,
            return_path=(1, 2),
            ttl=4,
            host="192.0.2.1",
            port=9001,
            flows=(65_535,),
            item="pear",
            quantity=3,
            seller=KEY,
            bazaar="site",
        ),
    ),
    (
        b'{"type":"reply","path":[3,2,1],"item":"pear","id":11,"quantity":2,"price":120,"quote":%b}' % WIRE_ENVELOPE,
        Reply(path=(3, 2, 1), item="pear", id=11, quantity=2, price=120, quote=ENVELOPE),
    ),
    (b'{"type":"buy","path":[1,2,3],"id":12,"order":%b}' % WIRE_ENVELOPE, Buy(path=(1, 2, 3), id=12, order=ENVELOPE)),
    (
        b'{"type":"cancel","path":[1,2,3],"id":12,"order":%b}' % WIRE_ENVELOPE,
        Cancel(path=(1, 2, 3), id=12, order=ENVELOPE),
    ),
    (
        b'{"type":"buyOK","path":[3,2,1],"id":12,"answer":%b}' % WIRE_ENVELOPE,
        BuyOK(path=(3, 2, 1), id=12, answer=ENVELOPE),
    ),
    (
        b'{"type":"buyNO","path":[3,2,1],"id":12,"answer":%b}' % WIRE_ENVELOPE,
        BuyNo(path=(3, 2, 1), id=12, answer=ENVELOPE),
    ),
]
CLASSES: Final = [type(message) for _, message in EXAMPLES]
PATHS: Final = ("path", "returnPath")


def envelope_with(**changes: Any) -> dict[str, Any]:
    """An envelope on the wire in which something is otherwise."""
    return {**json.loads(WIRE_ENVELOPE), **changes}


def signed_with(**changes: Any) -> dict[str, Any]:
    """An envelope on the wire in whose signature something is otherwise."""
    [signature] = json.loads(WIRE_ENVELOPE)["signatures"]
    return envelope_with(signatures=[{**signature, **changes}])


def base64(size_bytes: int) -> str:
    """So many bytes."""
    return b64encode(bytes(size_bytes)).decode()


# For each key what is at the ends of its range by the specification, and what is just past it.
TOP: Final = (2**53, 2**53 + 1)
IN_ENVELOPE: Final[list[tuple[Any, Any]]] = [
    (envelope_with(payload=base64(LONGEST_PAYLOAD_BYTES)), envelope_with(payload=base64(16_385))),
    (envelope_with(payload=""), envelope_with(payload="e30")),
    (envelope_with(payloadType="Ä" * 128), envelope_with(payloadType="Ä" * 129)),
    (envelope_with(), envelope_with(signatures=[])),
    (envelope_with(), envelope_with(signatures=envelope_with()["signatures"] * 2)),
    (signed_with(sig=base64(64)), signed_with(sig=base64(63))),
    (signed_with(keyid="a" * 64), signed_with(keyid="a" * 63)),
    (signed_with(keyid="a" * 64), signed_with(keyid="A" * 64)),
    (signed_with(sig=base64(64)), signed_with(sig=base64(65))),
]
ENDS: Final[dict[str, list[tuple[Any, Any]]]] = {
    "id": [(0, -1), TOP],
    "greeting id": [(-1, -2), TOP],
    "hop": [(0, -1), TOP],
    "seller": [(KEY, KEY[1:]), (KEY, KEY + "0"), (KEY, KEY.upper())],
    "quote": IN_ENVELOPE,
    "order": IN_ENVELOPE,
    "answer": IN_ENVELOPE,
    "price": [(0, -1), TOP],
    "ttl": [(0, -1), TOP],
    "quantity": [(1, 0), TOP],
    "version": [(1, 0), TOP],
    "port": [(0, -1), (65_535, 65_536)],
    "path": [([1], []), ([*range(16)], [*range(17)])],
    "returnPath": [([1], []), ([*range(16)], [*range(17)])],
    "flows": [([0] * 16, [0] * 17), ([65_535], [65_536])],
    "have": [([1] * 256, [1] * 257), ([0], [-1])],
    "host": [("::", ":"), ("2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:" * 7 + "1")],
    "item": [("x", ""), ("Ä" * 128, "Ä" * 129)],
    "code": [("x", ""), ("Ä" * 64, "Ä" * 65)],
    "bazaar": [("x", ""), ("Ä" * 64, "Ä" * 65)],
    "about": [("x", ""), ("Ä" * 64, "Ä" * 65)],
    "info": [("Ä" * 1_024, "Ä" * 1_025)],
    "key": [(KEY, KEY[1:]), (KEY, KEY + "0")],
    "kind": [("x", ""), ("Ä" * 64, "Ä" * 65)],
    "udp": [(0, -1), (65_535, 65_536)],
    **{key: [("0f" * 8, "0f" * 8 + "0"), ("a" * 16, "A" * 16), ("0" * 16, "0" * 15)] for key in COOKIES},
    "query": [(QUERY, QUERY + "0"), ("a" * 32, "A" * 32), (QUERY, QUERY[1:])],
    "pad": [("", "x" * 65), ("Ä" * 64, "Ä" * 65)],
}
LIMITED_AS: Final = {("thisisme", "id"): "greeting id"}

integers = st.integers(0, LARGEST_INTEGER)
paths = st.lists(integers, min_size=1, max_size=16, unique=True).map(tuple)
ports = st.integers(0, 65535)
hosts = st.ip_addresses().map(str)
counts = st.integers(1, LARGEST_INTEGER)
items = st.one_of(
    st.text("abcdefgh ÄÖñ🍎リ=@:,\"\\'", min_size=1, max_size=128), st.just("a" * 128), st.just("リ" * 128)
)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


keys = st.text("0123456789abcdef", min_size=64, max_size=64)
nonces = st.text("0123456789abcdef", min_size=16, max_size=16)
kinds = st.text(min_size=1, max_size=64)
envelopes = st.builds(
    Envelope,
    payload=st.binary(max_size=300),
    payload_type=st.text(max_size=128),
    signatures=st.tuples(st.builds(Signature, keyid=keys, sig=st.binary(min_size=64, max_size=64))),
)


BUILT: Final[dict[type[Message], st.SearchStrategy[Message]]] = {
    ThisIsMe: st.builds(
        ThisIsMe,
        id=st.integers(-1, LARGEST_INTEGER),
        port=ports,
        key=keys,
        host=maybe(hosts),
        version=counts,
        kind=maybe(kinds),
        udp=ports,
    ),
    Knock: st.builds(Knock, nonce=nonces, pad=st.text(max_size=64)),
    Cookie: st.builds(Cookie, nonce=nonces, give=nonces),
    Stale: st.builds(Stale, was=maybe(nonces)),
    ThisIsYou: st.builds(ThisIsYou, id=integers, host=hosts, port=ports),
    Ping: st.just(Ping()),
    Pong: st.just(Pong()),
    Disconnect: st.just(Disconnect()),
    Error: st.builds(
        Error,
        path=maybe(paths),
        code=st.text(min_size=1, max_size=64),
        info=st.text(max_size=1024),
        about=maybe(st.text(min_size=1, max_size=64)),
        id=maybe(integers),
        hop=maybe(integers),
    ),
    NodeRequest: st.builds(NodeRequest, have=st.lists(integers, max_size=256).map(tuple), kind=maybe(kinds)),
    NodeReply: st.builds(
        NodeReply, id=maybe(integers), host=maybe(hosts), port=maybe(ports), kind=maybe(kinds), udp=ports
    ),
    Search: st.builds(
        Search,
        id=integers,
        return_path=paths,
        ttl=integers,
        host=maybe(hosts),
        port=maybe(ports),
        flows=st.lists(st.integers(0, 65_535), max_size=16).map(tuple),
        item=items,
        quantity=counts,
        seller=maybe(keys),
        bazaar=st.text(min_size=1, max_size=64),
    ),
    Reply: st.builds(
        Reply,
        path=maybe(paths),
        item=items,
        id=integers,
        quantity=counts,
        price=maybe(integers),
        quote=maybe(envelopes),
    ),
    **{cls: st.builds(cls, path=maybe(paths), id=integers, order=envelopes) for cls in (Buy, Cancel)},
    **{cls: st.builds(cls, path=maybe(paths), id=integers, answer=envelopes) for cls in (BuyOK, BuyNo)},
}
messages = st.one_of(list(BUILT.values()))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 20),
    st.sampled_from([2**53, 2**53 + 1, 2**63, 2**64, -(2**53), -(2**63) - 1, 10**30]),
    st.floats(),
    st.text(st.characters(), max_size=12),
    st.sampled_from(["192.0.2.1", "pear", KEY, "\ud800", "\udfff\ud800", "\0", ""]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
known_keys = st.sampled_from(sorted({key for wire, _ in EXAMPLES for key in json.loads(wire)} - {"type"}))
wire_names = st.sampled_from([message.wire_name for _, message in EXAMPLES])


def to_json(value: Any, escaped: bool = True) -> bytes:
    """JSON as sloppy senders write it: with NaN, infinities and lone surrogates."""
    return json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")


def refusal(payload: bytes) -> WireError:
    """The error that a payload is refused with."""
    try:
        message = CODEC.decode(payload)
    except WireError as error:
        return error
    raise AssertionError(f"{payload[:200]!r} was taken for {message!r}")


def fault(payload: bytes) -> tuple[type[WireError], str | None, str | None]:
    """Which error a payload is refused with, and the message and key it names."""
    error = refusal(payload)
    assert isinstance(error, MalformedMessage), error
    return type(error), error.message, error.key


def field_types(cls: type[Message]) -> dict[str, msgspec.inspect.Field]:
    """The keys of a message."""
    info = msgspec.inspect.type_info(cls)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.encode_name: field for field in info.fields}


class RoundTripTests(SynchronousTestCase):
    """What one node writes, another reads as the same."""

    def test_every_class(self) -> None:
        """These tests know every message of the market."""
        modules = {"twisted_bazaar.node.control", "twisted_bazaar.discovery.flood.messages"}
        modules |= {"twisted_bazaar.trade.messages", "twisted_bazaar.wire.error"}

        declared = {name for name, cls in MESSAGE_TYPES.items() if cls.__module__ in modules}
        self.assertEqual({cls.__struct_config__.tag for cls in CLASSES}, declared)
        self.assertEqual(set(BUILT), set(CLASSES))
        for (wire, _), cls in zip(EXAMPLES, CLASSES, strict=True):
            self.assertEqual(set(json.loads(wire)), {"type", *field_types(cls)})

    def test_on_the_wire(self) -> None:
        """Each message stands on the wire in one way, with the keys that the specification names."""
        self.assertEqual([CODEC.encode(message) for _, message in EXAMPLES], [wire for wire, _ in EXAMPLES])
        self.assertEqual([CODEC.decode(wire) for wire, _ in EXAMPLES], [message for _, message in EXAMPLES])

    @bounded
    @given(messages)
    def test_built(self, message: Message) -> None:
        """Any message that can be made comes back equal, and of its own class."""
        self.assertEqual(CODEC.decode(CODEC.encode(message)), message)

    @bounded
    @given(messages)
    def test_plain_json(self, message: Message) -> None:
        """Any JSON library reads what is written, and what it writes again is the same message."""
        plain = json.loads(CODEC.encode(message).decode("utf-8"))
        self.assertEqual(plain["type"], message.wire_name)
        for escaped in (True, False):
            backwards = dict(reversed(plain.items()))
            self.assertEqual(CODEC.decode(json.dumps(backwards, ensure_ascii=escaped, indent=1).encode()), message)

    @bounded
    @given(
        messages,
        st.dictionaries(
            st.text(max_size=8),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.text(max_size=5)
                | st.floats(allow_nan=False, allow_infinity=False),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                max_leaves=6,
            ),
            max_size=4,
        ),
    )
    def test_unknown_keys(self, message: Message, extra: dict[str, Any]) -> None:
        """Keys that a message does not have are ignored, whatever they hold that all readers read alike."""
        known = {"type", *field_types(type(message))}
        plain = json.loads(CODEC.encode(message))
        extra = {key: value for key, value in extra.items() if key not in known}
        for payload in (to_json({**extra, **plain}), to_json({**plain, **extra})):
            if is_whole(extra):
                self.assertEqual(CODEC.decode(payload), message)
            else:
                self.assertIs(type(refusal(payload)), MalformedMessage)

    def test_defaults(self) -> None:
        """A key that is left out has the default of the specification."""
        self.assertEqual(
            [
                CODEC.decode(payload)
                for payload in (
                    b'{"type":"thisisme","id":1,"port":0,"key":"%b"}' % KEY.encode(),
                    b'{"type":"error","code":"wtf"}',
                    b'{"type":"nodereq"}',
                    b'{"type":"nodereply"}',
                    b'{"type":"search","id":1,"returnPath":[1],"item":"a"}',
                    b'{"type":"reply","id":1,"item":"a"}',
                    b'{"type":"buy","id":1,"order":%b}' % WIRE_ENVELOPE,
                    b'{"type":"buyNO","id":1,"answer":%b}' % WIRE_ENVELOPE,
                )
            ],
            [
                ThisIsMe(id=1, port=0, key=KEY, host=None, version=2),
                Error(path=None, code="wtf", info="", about=None, id=None, hop=None),
                NodeRequest(have=()),
                NodeReply(id=None, host=None, port=None),
                Search(id=1, return_path=(1,), ttl=7, host=None, port=None, item="a", quantity=1),
                Reply(path=None, item="a", id=1, quantity=1, price=None, quote=None),
                Buy(path=None, id=1, order=ENVELOPE),
                BuyNo(path=None, id=1, answer=ENVELOPE),
            ],
        )

    def test_some_classes(self) -> None:
        """A codec of some classes knows no others."""
        codec = Codec([Ping])
        self.assertEqual(codec.decode(b'{"type":"ping"}'), Ping())
        self.assertRaises(UnknownMessage, codec.decode, b'{"type":"pong"}')


class StrangerTests(SynchronousTestCase):
    """Whatever a stranger sends is a message, or an error of the wire that can be told to it."""

    def assert_survives(self, payload: bytes) -> None:
        """This payload gives a whole message or a clear error."""
        try:
            message = CODEC.decode(payload)
        except WireError as error:
            self.assertIn(error.code, ("wtf", "wrongway"))
            told = Error.telling(error)
            self.assertEqual(CODEC.decode(CODEC.encode(told)), told)
        else:
            self.assertIn(type(message), CLASSES)
            self.assertEqual(CODEC.decode(CODEC.encode(message)), message)

    @bounded
    @given(st.binary(max_size=200))
    def test_bytes(self, payload: bytes) -> None:
        """Any bytes."""
        self.assert_survives(payload)

    @bounded
    @given(values, st.booleans())
    def test_any_json(self, value: Any, escaped: bool) -> None:
        """Any JSON value, and what sloppy libraries write for JSON."""
        self.assert_survives(to_json(value, escaped))

    @bounded
    @given(wire_names | st.text(max_size=8) | values, st.dictionaries(known_keys, values), st.booleans())
    def test_any_keys(self, name: Any, keys: dict[str, Any], escaped: bool) -> None:
        """A message of any type with any values under keys that messages have."""
        self.assert_survives(to_json({"type": name, **keys}, escaped))

    @examples(300)
    @given(messages, st.data())
    def test_one_wrong_value(self, message: Message, data: st.DataObject) -> None:
        """A good message with any value put under one of its keys."""
        plain = json.loads(CODEC.encode(message))
        key = data.draw(st.sampled_from(["type", *field_types(type(message))]))
        self.assert_survives(to_json({**plain, key: data.draw(values)}, data.draw(st.booleans())))

    @bounded
    @given(messages, st.data())
    def test_damaged(self, message: Message, data: st.DataObject) -> None:
        """A good message with bytes changed, lost or put in."""
        payload = CODEC.encode(message)
        start = data.draw(st.integers(0, len(payload)))
        end = data.draw(st.integers(start, min(len(payload), start + 4)))
        self.assert_survives(payload[:start] + data.draw(st.binary(max_size=4)) + payload[end:])

    @bounded
    @given(messages, st.data())
    def test_cut_short(self, message: Message, data: st.DataObject) -> None:
        """A part of a message is malformed."""
        payload = CODEC.encode(message)
        self.assertIs(type(refusal(payload[: data.draw(st.integers(0, len(payload) - 1))])), MalformedMessage)

    def test_deep_nesting(self) -> None:
        """Nesting of any depth, wherever it stands, is ignored or refused, and ends nothing else."""
        search = b'{"type":"search","id":1,"item":"a","returnPath":%b}'
        buy = b'{"type":"buy","id":1,"order":%b}'
        for depth in (10, 500, 1_000, 20_000, 500_000):
            for opening, closing in ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")):
                deep = opening * depth + b"1" + closing * depth
                for payload in (
                    *(deep, opening * depth, b'{"type":%b}' % deep, b'{"a":%b,"type":"ping"}' % deep),
                    *(b'{"type":"ping","a":%b}' % deep, b'{"type":"ping","a":' + opening * depth),
                    *(buy % deep, buy % WIRE_ENVELOPE.replace(b"[{", b"[" + deep + b",{")),
                    *(search % deep, search % (b"[1," + deep + b"]"), search.replace(b"1,", deep + b",", 1) % b"[1]"),
                ):
                    self.assert_survives(payload)

    def test_numbers(self) -> None:
        """Numbers that no sender should write are refused under a key that counts, whichever it is."""
        for cls in CLASSES:
            for key, field in field_types(cls).items():
                if not isinstance(unwrapped(field.type), msgspec.inspect.IntType):
                    continue
                wire = json.loads(dict(zip(CLASSES, (wire for wire, _ in EXAMPLES), strict=True))[cls])
                for number in (
                    *(b"1.0", b"1e2", b"1E+2", b"1.5", b"-0.0", b"1e400", b"9007199254740993", b"-9007199254740993"),
                    *(b"18446744073709551616", b"9" * 400, b"9" * 5000, b"-" + b"9" * 5000, b"1e99999"),
                ):
                    payload = to_json({**wire, key: 0}).replace(
                        b'"%b": 0' % key.encode(), b'"%b":%b' % (key.encode(), number)
                    )
                    self.assertEqual(fault(payload), (MalformedMessage, cls.__struct_config__.tag, key), payload[:200])
                for nonsense in (b"NaN", b"Infinity", b"-Infinity", b"01", b"1.", b".5", b"+1", b"0x10", b"1_0"):
                    payload = to_json({**wire, key: 0}).replace(
                        b'"%b": 0' % key.encode(), b'"%b":%b' % (key.encode(), nonsense)
                    )
                    self.assertIs(type(refusal(payload)), MalformedMessage)

    def test_no_json(self) -> None:
        """What is not one JSON value in UTF-8 is malformed."""
        for payload in (
            *(b"", b" ", b"{", b"}", b"nonsense", b'{"type":"ping"', b'{"type":"ping",}', b'{type:"ping"}'),
            *(b'{"type":"ping"}{"type":"ping"}', b"{'type':'ping'}", b'{"type":"ping"}\0', b'{"type":NaN}', b"NaN"),
            *(b'{"type":"ping","a":NaN}', b'{"type":"ping","a":Infinity}', b'{"type":"ping"} // ping'),
            *(b'\xef\xbb\xbf{"type":"ping"}', '{"type":"ping"}'.encode("utf-16"), b'{"type":"p\xff"}'),
            *(b'{"type":"reply","id":1,"item":"\xff"}', b'{"type":"reply","id":1,"item":"\xc0\x80"}'),
            *(b'{"type":"reply","id":1,"item":"\xed\xa0\x80"}', b'{"type":"reply","id":1,"item":"\xf4\x90\x80\x80"}'),
            *(b'{"type":"reply","id":1,"item":"a\xe2\x82"}', b'{"type":"reply","id":1,"item":"a\nb"}'),
        ):
            self.assertIs(type(refusal(payload)), MalformedMessage, payload)

    def test_lone_surrogates(self) -> None:
        """Half of a surrogate pair is refused wherever a string stands."""
        for half in (b"\\ud800", b"\\udfff", b"a\\ud83d", b"\\ud800\\ud800", b"\\udc00\\ud800", b"\\ud83dx"):
            for payload in (
                *(b'{"type":"%b"}' % half, b'{"type":"reply","id":1,"item":"%b"}' % half),
                *(b'{"type":"error","code":"wtf","info":"%b"}' % half, b'{"type":"error","code":"%b"}' % half),
            ):
                self.assertIs(type(refusal(payload)), MalformedMessage, payload)
        whole = CODEC.decode(b'{"type":"reply","id":1,"item":"\\ud83c\\udf4e"}')
        self.assertEqual(whole, Reply(id=1, item="🍎"))

    @bounded
    @given(messages, st.data())
    def test_key_twice(self, message: Message, data: st.DataObject) -> None:
        """A key that stands in an object twice never smuggles in a value that is wrong."""
        plain = json.loads(CODEC.encode(message))
        key = data.draw(st.sampled_from(sorted(plain)))
        wrong = data.draw(st.sampled_from([1.5, {}, True, [None], "\0"] if key == "item" else [1.5, {}, True, [None]]))
        body = to_json(plain)[1:-1]
        twice = b'"%b":%b' % (key.encode(), to_json(wrong))
        refusal(b"{" + body + b"," + twice + b"}")
        try:
            taken = CODEC.decode(b"{" + twice + b"," + body + b"}")
        except WireError:
            return
        self.assertEqual(taken, message)

    @bounded
    @given(messages, st.data())
    def test_another_might_read_it_otherwise(self, message: Message, data: st.DataObject) -> None:
        """A key that stands twice is refused and named: in the message, and below keys that it does not have."""
        plain = json.loads(CODEC.encode(message))
        key = data.draw(st.sampled_from(sorted(plain)))
        body = to_json(plain)[1:-1]
        again = to_json({key: plain[key]})[1:-1]
        for payload in (b"{" + body + b"," + again + b"}", b"{" + again + b"," + body + b"}"):
            self.assertEqual(fault(payload), (MalformedMessage, message.wire_name, key))
        for below, named in (
            *((b'{"a":1,"b":2,"a":1}', "a"), (b'[[{"b":{"c":1,"c":1}}]]', "c")),
            *((b"1.5", None), (b"[1e2]", None), (b"9007199254740993", None), (b'{"a":"\\ud800"}', None)),
            *((b'"\xff"', None), (b'["\xed\xa0\x80"]', None), (b"[NaN]", None)),
        ):
            error = refusal(b"{" + body + b',"unknownToAll":' + below + b"}")
            self.assertEqual((type(error), getattr(error, "key", None)), (MalformedMessage, named), below)
        taken = CODEC.decode(b"{" + body + b',"unknownToAll":{"a":[1,{"a":1}],"b":"\\ud83c\\udf4e","c":null}}')
        self.assertEqual(taken, message)

    def test_type_twice(self) -> None:
        """A message is of one type."""
        for payload in (
            *(b'{"type":"ping","type":"pong"}', b'{"type":"ping","type":"nonsense"}'),
            *(b'{"type":"nonsense","type":"ping"}', b'{"type":1,"type":"ping"}', b'{"type":"ping","type":null}'),
        ):
            refusal(payload)


def is_whole(value: Any) -> bool:
    """Whether there is no number but whole ones within 2^53."""
    if isinstance(value, dict):
        return all(map(is_whole, value.values()))
    if isinstance(value, list):
        return all(map(is_whole, value))
    return not isinstance(value, float) and (not isinstance(value, int) or abs(value) <= LARGEST_INTEGER)


def default_of(cls: type[Message], key: str) -> Any:
    """What a key holds that is left out."""
    field = field_types(cls)[key]
    return None if field.required else json.loads(msgspec.json.encode(field.default))


def unwrapped(kind: Any) -> Any:
    """The type of a key, where it is not left out."""
    if isinstance(kind, msgspec.inspect.UnionType):
        return next(part for part in kind.types if not isinstance(part, msgspec.inspect.NoneType))
    return kind


def wrong_values(key: str, kind: Any) -> list[Any]:
    """Values that a key cannot hold, whatever else is right."""
    inner = unwrapped(kind)
    wrong: list[Any] = [1.5, 1.0, 1e300, True, False, {}, {"a": 1}]
    if inner is kind:
        wrong.append(None)
    if isinstance(inner, msgspec.inspect.IntType):
        wrong += ["5", "", "x", [], [1], inner.ge - 1, -(2**53) - 1, inner.le + 1, 2**63, 2**64, 10**400]
    elif isinstance(inner, msgspec.inspect.StrType):
        wrong += [0, 5, [], ["a"], "a" * (inner.max_length + 1), "Ä" * (inner.max_length + 1)]
        wrong += [""] if inner.min_length else []
        wrong += {
            "item": ["\0", "a\nb", "A\u0308", "a\u202eb"],
            "host": ["localhost", "127.0.0.1:80", "[::1]", "1.2"],
            "key": [KEY.upper(), KEY[1:], KEY + "0", KEY[1:] + "\n", KEY + "\n", KEY[1:] + "g"],
        }.get(key, [])
    elif isinstance(inner, msgspec.inspect.StructType):
        wrong = [each for each in wrong if not isinstance(each, dict)]
        wrong += [0, "", [], *(bad for _, bad in IN_ENVELOPE)]
        for bad in (0, 1.5, True, None, [], {}):
            wrong += [envelope_with(**{name: bad}) for name in envelope_with()]
            wrong += [signed_with(keyid=bad), signed_with(sig=bad)]
            # A key that is missing is named itself, wherever it is missing.
            wrong += [envelope_with(signatures=[bad])] if bad != {} else []
        wrong += [envelope_with(payload=bad) for bad in ("e30", "e30=\n", "e3 =", "e30===", "\u00e9", "e_0=")]
    else:
        assert isinstance(inner, msgspec.inspect.VarTupleType)
        wrong += [0, 5, "5", "", list(range(inner.max_length + 1)), [*range(1_000)]]
        wrong += [[1, bad] for bad in ("5", 1.5, 1.0, True, None, [], {}, -1, 2**53 + 1, 10**400)]
        if key in PATHS:
            wrong += [[], [1, 1], [1, 2, 3, 1]]
    return wrong


class RefusalTests(SynchronousTestCase):
    """An error says which message, which key, and what was wrong with it."""

    def test_every_wrong_value(self) -> None:
        """Each kind of wrong value under each key of each message is refused, and its key is named."""
        for wire, message in EXAMPLES:
            for key, field in field_types(type(message)).items():
                expected = (WrongWay if key in PATHS else MalformedMessage, message.wire_name, key)
                for wrong in wrong_values(key, field.type):
                    payload = to_json({**json.loads(wire), key: wrong})
                    kind, name, named = fault(payload)
                    # What stands in an envelope is named with the way to it: order.signatures[0].sig.
                    named = named and re.split(r"[\[.]", named)[0]
                    self.assertEqual((kind, name, named), expected, payload[:300])

    def test_every_missing_key(self) -> None:
        """Each key without a default is asked for by its name."""
        found = set()
        for wire, message in EXAMPLES:
            for key, field in field_types(type(message)).items():
                plain = json.loads(wire)
                del plain[key]
                if field.required:
                    found.add((message.wire_name, key))
                    kind = WrongWay if key in PATHS else MalformedMessage
                    self.assertEqual(fault(to_json(plain)), (kind, message.wire_name, key))
                else:
                    self.assertIs(type(CODEC.decode(to_json(plain))), type(message))
        self.assertEqual(
            found,
            {
                *(("thisisme", key) for key in ("id", "port", "key")),
                *(("thisisyou", key) for key in ("id", "host", "port")),
                *(("search", key) for key in ("id", "returnPath", "item")),
                *(("reply", key) for key in ("id", "item")),
                *((name, key) for name in ("buy", "cancel") for key in ("id", "order")),
                *((name, key) for name in ("buyOK", "buyNO") for key in ("id", "answer")),
                *(("knock", "nonce"), ("cookie", "nonce"), ("cookie", "give")),
                ("error", "code"),
            },
        )

    def test_limits(self) -> None:
        """What is at a limit of the specification is taken, and what is just past it is refused."""
        for wire, message in EXAMPLES:
            for key in field_types(type(message)):
                for good, bad in ENDS[LIMITED_AS.get((message.wire_name, key), key)]:
                    again = json.loads(CODEC.encode(CODEC.decode(to_json({**json.loads(wire), key: good}))))
                    self.assertEqual(again.get(key, default_of(type(message), key)), good)
                    _, name, named = fault(to_json({**json.loads(wire), key: bad}))
                    named = named and re.split(r"[\[.]", named)[0]
                    self.assertEqual((name, named), (message.wire_name, key))

    def test_wrong_way(self) -> None:
        """A path that is empty, too long, or holds a node twice goes the wrong way."""
        for path in ([], list(range(17)), list(range(1_000)), [5, 5], [1, 2, 3, 1]):
            for name, key in (("buy", "path"), ("error", "path"), ("search", "returnPath")):
                whole = {"id": 1, "item": "a", "code": "wtf", "returnPath": [1], "order": envelope_with()}
                payload = to_json({"type": name, **whole, key: path})
                self.assertEqual(fault(payload), (WrongWay, name, key))
        self.assertEqual(refusal(b'{"type":"reply","item":"a","id":1,"path":[1,1]}').code, "wrongway")

    def test_unknown_type(self) -> None:
        """A type that nobody declared is named, and shortened when it is long."""
        for name in ("nonsense", "PING", "ping ", "buyok", "Ping", "tpye", "\0", "` - at `$.path`"):
            error = refusal(to_json({"type": name, "path": "wrong too"}))
            assert isinstance(error, UnknownMessage)
            self.assertEqual((error.message, error.code), (name, "wtf"))
        error = refusal(to_json({"type": "x" * 5_000}))
        assert isinstance(error, UnknownMessage)
        self.assertTrue(len(error.message) <= 64 and error.message.startswith("x" * 60), error.message)

    def test_no_type(self) -> None:
        """An object without a type, with one that is no string, and what is no object, lack `type`."""
        for payload in (
            *(b"{}", b'{"id":1}', b'{"Type":"ping"}', b'{"type":null}', b'{"type":1}', b'{"type":["ping"]}'),
            *(
                b'{"type":{}}',
                b'{"type":true}',
                b"[]",
                b'["ping"]',
                b"null",
                b"true",
                b"5",
                b'"ping"',
                b'[{"type":"ping"}]',
            ),
        ):
            self.assertEqual(fault(payload), (MalformedMessage, None, "type"), payload)

    def test_sentence(self) -> None:
        """The text of an error names message, key and fault for people."""
        self.assertEqual(
            [
                str(refusal(payload))
                for payload in (
                    b'{"type":"reply","item":"a","id":"5"}',
                    b'{"type":"reply","item":"a"}',
                    b'{"type":"reply","item":"a","id":1,"path":[1,"2"]}',
                    b'{"type":"buy","id":1,"order":{"payload":"e30=","payloadType":"","signatures":[]}}',
                    b'{"type":"search","id":1,"item":"a","returnPath":[1,1]}',
                    b'{"type":"nonsense"}',
                )
            ],
            [
                "reply.id: expected int, got str",
                "reply.id: this key is required",
                "reply.path[1]: expected int, got str",
                "buy.order.signatures: expected array of length >= 1",
                "search.returnPath: a node stands in it twice",
                "unknown message type 'nonsense'",
            ],
        )

    def test_half_a_character(self) -> None:
        """Half of a surrogate pair is called so, and bad UTF-8 too."""
        self.assertEqual(
            [
                str(refusal(payload))
                for payload in (
                    b'{"type":"reply","id":1,"item":"\\ud800"}',
                    b'{"type":"reply","id":1,"item":"\\udc00x"}',
                    b'{"type":"reply","id":1,"item":"\xff"}',
                )
            ],
            [
                "reply: \\ud800 is half of a surrogate pair, and no character",
                "reply: \\udc00 is half of a surrogate pair, and no character",
                "message: not UTF-8 at byte 31",
            ],
        )

    def test_id_of_what_is_wrong(self) -> None:
        """An error has the id of the message at fault whenever that can be read, and nothing where it cannot."""
        query = "0f" * 16
        for payload, expected in (
            (b'{"type":"reply","id":7,"item":5}', (7, None)),
            (b'{"type":"reply","id":7}', (7, None)),
            (b'{"type":"nonsense","id":9007199254740992,"a":[1,2]}', (2**53, None)),
            (b'{"type":"search","id":3,"item":"a","returnPath":[1,1]}', (3, None)),
            (b'{"type":"reply","id":7,"item":"a","item":"a"}', (7, None)),
            (b'{"type":"nonsense","id":"%b"}' % query.encode(), (None, query)),
            *((b'{"type":"reply","item":"a","id":%b}' % bad, (None, None)) for bad in (b'"7"', b"-1", b"7.5", b"[7]")),
            *(
                (b'{"type":"reply","id":7,"item":"a","x":[{"y":%b}]}' % bad, (7, None))
                for bad in (b"1.5", b"1e2", b"5.0", b"NaN", b"9007199254740993", b"9" * 5_000, b'"\\ud800"')
            ),
            (b'{"type":"query","id":"%b","words":"a","x":1.5}' % query.encode(), (None, query)),
            (b'{"type":"query","id":"%b","words":"\\ud800"}' % query.encode(), (None, query)),
            (b'{"type":"reply","id":7,"item":"a","id":8}', (8, None)),
            (b'{"type":"reply","item":"a"}', (None, None)),
            (b'{"type":"reply","item":"\xff","id":7}', (None, None)),
        ):
            error = refusal(payload)
            told = Error.telling(error, getattr(error, "message", None))
            self.assertEqual((told.id, told.query), expected, payload)

    def test_own_words_are_not_theirs(self) -> None:
        """What a stranger writes into a value cannot pass for the place of a fault."""
        item = "x: y - at `$.path`"
        self.assertEqual(fault(to_json({"type": "reply", "id": "5", "item": item})), (MalformedMessage, "reply", "id"))
        self.assertEqual(
            fault(to_json({"type": "reply", "id": 1, "item": item + "\0"})), (MalformedMessage, "reply", "item")
        )

    @bounded
    @given(st.text(max_size=2_000) | st.sampled_from(["", "\0" * 2_000, "\U0001f34e" * 2_000]))
    @example("")
    def test_telling_the_peer(self, name: str) -> None:
        """Whatever type a stranger made up, the error about it is a good message itself."""
        error = refusal(to_json({"type": name + "?" if name in MESSAGE_TYPES else name}))
        told = Error.telling(error, getattr(error, "message", None))
        self.assertEqual(CODEC.decode(CODEC.encode(told)), told)

    def test_routed_defaults(self) -> None:
        """Every message of a sale can go along a path or over one link."""
        self.assertEqual({cls for cls in CLASSES if issubclass(cls, Routed)}, {Error, Reply, Buy, BuyOK, BuyNo, Cancel})
