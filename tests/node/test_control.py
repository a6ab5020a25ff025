"""The messages that hold the network together: what is checked of them, and what they say."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.flood.messages import Reply
from twisted_bazaar.discovery.superpeer.messages import Query
from twisted_bazaar.errors import MalformedMessage, NoRoute, SoldOut
from twisted_bazaar.node.control import Ping, ThisIsMe
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error


class GreetingTests(SynchronousTestCase):
    """Who a node says it is."""

    def refusal(self, **keys: str) -> str:
        """What is wrong with a greeting that says this."""
        greeting = {"type": "thisisme", "id": 1, "port": 9001, "key": "ab" * 32, **keys}
        with self.assertRaises(MalformedMessage) as caught:
            Codec().decode(json.dumps(greeting).encode())
        return str(caught.exception)

    def test_key(self) -> None:
        """A key is 64 lower-case hexadecimal digits: it is compared as text."""
        for key in ("AB" * 32, "xy" * 32, "ab" * 31 + "a\n"):
            self.assertEqual(self.refusal(key=key), "thisisme.key: not 64 lower-case hexadecimal digits")

    def test_host(self) -> None:
        """A host is an IP address, so that nobody makes a node ask a resolver."""
        self.assertEqual(self.refusal(host="example.org"), "thisisme.host: not an IP address")

    def test_version(self) -> None:
        """A greeting without a version is of the second."""
        self.assertEqual(ThisIsMe(id=1, port=0, key="ab" * 32).version, 2)


class ErrorTests(SynchronousTestCase):
    """What a peer is told of a fault."""

    def test_about_a_message(self) -> None:
        """It names the message and its id, so that who sent it knows what failed."""
        told = Error.telling(NoRoute("node 10 is gone"), Reply(item="apple", id=3), hop=10)
        self.assertEqual(told, Error(code="noroute", info="node 10 is gone", about="reply", id=3, hop=10))

    def test_about_a_text(self) -> None:
        """An id that is a text has a key of its own: numbers and texts are never under one."""
        told = Error.telling(SoldOut("gone"), Query(id="ab" * 16, words="song"))
        self.assertEqual(told, Error(code="soldout", info="gone", about="query", query="ab" * 16))

    def test_without_an_id(self) -> None:
        """What has no id, or could not be read, is named all the same."""
        self.assertEqual(Error.telling(SoldOut("gone"), Ping()), Error(code="soldout", info="gone", about="ping"))
        self.assertEqual(Error.telling(SoldOut("gone"), "search"), Error(code="soldout", info="gone", about="search"))
        self.assertEqual(Error.telling(SoldOut("gone")), Error(code="soldout", info="gone"))

    def test_long(self) -> None:
        """A long text is cut, so that the error can always be sent."""
        self.assertEqual(Error.telling(SoldOut("x" * 10_000)).info, "x" * 500)

    def test_reason(self) -> None:
        """What a stranger wrote is shown without control characters."""
        self.assertEqual(Error(code="wtf", info="\x1b[2Jgone\r\n\u202e").reason, "\ufffd[2Jgone\ufffd\ufffd\ufffd")
