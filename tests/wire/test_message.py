"""Message classes: how they are declared, and which values their keys hold."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.errors import MalformedMessage
from twisted_bazaar.node.control import Ping, Pong
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import MESSAGE_TYPES, Flooded, Message, Routed, check_host

bounded = examples(150)


class DeclarationTests(SynchronousTestCase):
    """A message is declared once."""

    def setUp(self) -> None:
        before = dict(MESSAGE_TYPES)

        def restore() -> None:
            MESSAGE_TYPES.clear()
            MESSAGE_TYPES.update(before)

        self.addCleanup(restore)

    def test_registers_itself(self) -> None:
        """Declaring a class enters it in the table, and codecs made from then on read it."""

        class Hello(Routed, tag="hello"):
            to_whom: str

        self.assertIs(MESSAGE_TYPES["hello"], Hello)
        self.assertEqual(Codec().decode(b'{"type":"hello","toWhom":"you"}'), Hello(to_whom="you"))

    def test_one_wire_name(self) -> None:
        """Two classes with one wire name are an error at import that names both, and the first stays."""

        class Hello(Message, tag="hello"):
            pass

        with self.assertRaises(TypeError) as caught:

            class Goodbye(Message, tag="hello"):
                pass

        text = str(caught.exception)
        self.assertEqual([word in text for word in ("Hello", "Goodbye", "'hello'", __name__)], [True] * 4)
        self.assertIs(MESSAGE_TYPES["hello"], Hello)

    def test_bases_are_no_messages(self) -> None:
        """A class without a wire name is a base: it is in no table, nor is what inherits without a name."""

        class Greeting(Message):
            pass

        class Hello(Greeting, tag="hello"):
            pass

        class Nameless(Hello):
            pass

        declared = set(MESSAGE_TYPES.values())
        self.assertEqual(
            [cls in declared for cls in (Message, Routed, Flooded, Greeting, Hello, Nameless)][:4], [False] * 4
        )
        self.assertIn(Hello, declared)
        self.assertNotIn(Nameless, declared)

    def test_checks_of_the_bases(self) -> None:
        """What the bases check of paths and hosts holds for each message that is declared on them."""

        class Letter(Routed, tag="letter"):
            pass

        class Cry(Flooded, tag="cry"):
            pass

        codec = Codec()
        for payload, error in (
            (b'{"type":"letter","path":[1,2,1]}', "letter.path: a node stands in it twice"),
            (b'{"type":"cry","id":1,"returnPath":[1,1]}', "cry.returnPath: a node stands in it twice"),
            (b'{"type":"cry","id":1,"returnPath":[1],"host":"here"}', "cry.host: not an IP address"),
        ):
            with self.assertRaises(MalformedMessage) as caught:
                codec.decode(payload)
            self.assertEqual(str(caught.exception), error)
        whole = b'{"type":"cry","id":1,"returnPath":[1,2],"host":"::1"}'
        self.assertEqual(codec.decode(whole), Cry(id=1, return_path=(1, 2), host="::1"))

    def test_names(self) -> None:
        """Names are snake_case in Python and camelCase on the wire."""

        class Long(Message, tag="long"):
            rather_long_name: int

        self.assertEqual(Codec().encode(Long(rather_long_name=1)), b'{"type":"long","ratherLongName":1}')

    def test_wire_name(self) -> None:
        """A message knows what it is called on the wire."""
        self.assertEqual((Ping().wire_name, Error(code="wtf").wire_name), ("ping", "error"))


class ValueTests(SynchronousTestCase):
    """A message is a value."""

    def test_equality(self) -> None:
        """Messages are equal when class and keys are."""
        self.assertEqual(Reply(item="a", id=1), Reply(item="a", id=1, quantity=1, price=None))
        self.assertNotEqual(Reply(item="a", id=1), Reply(item="a", id=2))
        self.assertNotEqual(Ping(), Pong())

    def test_frozen(self) -> None:
        """A message cannot be changed."""
        reply = Reply(item="a", id=1)
        with self.assertRaises(AttributeError):
            reply.id = 2  # type: ignore[misc]
        self.assertEqual(reply, Reply(item="a", id=1))

    def test_evolve(self) -> None:
        """A changed copy leaves the original as it was."""
        search = Search(id=1, return_path=(4,), item="a")
        self.assertEqual(search.evolve(return_path=(4, 5), ttl=6), Search(id=1, return_path=(4, 5), ttl=6, item="a"))
        self.assertEqual(search, Search(id=1, return_path=(4,), ttl=7, item="a"))

    def test_keys_by_name_only(self) -> None:
        """Keys are given by name, so that two numbers are never mixed up."""
        with self.assertRaises(TypeError):
            Reply("a", 1)  # type: ignore[misc]

    def test_origin(self) -> None:
        """The first on the way of a flood began it."""
        self.assertEqual(Search(id=1, return_path=(4, 5, 6), item="a").origin, 4)

    def test_no_loop(self) -> None:
        """A path with a node in it twice cannot be made."""
        self.assertRaises(ValueError, Reply, item="a", id=1, path=(1, 2, 1))
        self.assertRaises(ValueError, Search, item="a", id=1, return_path=(1, 2, 1))


def is_host(text: str) -> bool:
    """Whether a host is accepted."""
    try:
        check_host(text)
    except ValueError:
        return False
    return True


class HostTests(SynchronousTestCase):
    """A stranger names addresses, never names to be looked up."""

    @bounded
    @given(st.ip_addresses())
    def test_addresses(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
        """Every IPv4 and IPv6 address is taken."""
        self.assertTrue(is_host(str(address)))

    def test_others(self) -> None:
        """Names, ports, brackets, and numbers that only some libraries take for addresses are refused."""
        for text in (
            *("", "localhost", "example.org", "127.0.0.1:80", "[::1]", "::1:80:90000", "127.1", "2130706433"),
            *("0x7f.0.0.1", "0177.0.0.1", "127.0.0.1 ", " 127.0.0.1", "127.0.0.1\n", "127.0.0.1\0", "1.2.3.4/8"),
            *("127.0.0.256", "::1/128", "\u0661.2.3.4", "/tmp/socket", "*"),
        ):
            self.assertFalse(is_host(text), ascii(text))

    def test_no_text_in_a_zone(self) -> None:
        """The zone of an IPv6 address is no place for a stranger's text: it ends up in logs and connections."""
        for text in ("fe80::1%a\nb", "fe80::1%\x1b[2J", "::1% ; rm", "fe80::1%" + "z" * 50):
            self.assertFalse(is_host(text), ascii(text))
