"""Two roles of one node may not want the same, and what they say of it names both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.node.control import Ping, Pong
from twisted_bazaar.node.routing.dispatch import claims_of, datagram_claims_of, openings_of
from twisted_bazaar.role import Role
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Message, Text


def nothing(message: Any, whence: Any) -> None:
    """Take a message."""


class First(Role):
    """One role."""


class Second(Role):
    """Another."""


class Nameless(Message):
    """A message that has no wire name."""


class Sweet(Message, tag="test-sweet"):
    """A message with a key that datagrams need themselves."""

    cookie: Text = ""


class Generous(Message, tag="test-generous"):
    """Another."""

    give: Text = ""


class Padded(Message, tag="test-padded"):
    """The third."""

    pad: Text = ""


class ClaimsTests(SynchronousTestCase):
    """What is made of the tables of roles."""

    def setUp(self) -> None:
        """Make two."""
        self.roles: list[Any] = [Second(), First()]

    def refusal(self, claims: Callable[[Sequence[IRole]], object]) -> str:
        """Why the tables cannot be."""
        with self.assertRaises(UsageError) as caught:
            claims(self.roles)
        return str(caught.exception)

    def test_tables(self) -> None:
        """Each class goes to the role that takes it; errors go to all that take them."""
        self.roles[0].receives = {Ping: nothing, Error: self.fail}
        self.roles[1].receives = {Pong: nothing, Error: repr}
        self.assertEqual(claims_of(self.roles), ({Ping: nothing, Pong: nothing}, [self.fail, repr]))
        self.roles[0].datagrams = {Pong: nothing}
        self.roles[1].datagrams = {Ping: nothing}
        self.assertEqual(datagram_claims_of(self.roles), {Ping: nothing, Pong: nothing})

    def test_both(self) -> None:
        """A class that two take by the same way is refused; by different ways it is not."""
        self.roles[0].receives = self.roles[1].datagrams = {Ping: nothing}
        self.assertEqual((claims_of(self.roles)[0], datagram_claims_of(self.roles)), ({Ping: nothing},) * 2)
        for role in self.roles:
            role.receives = role.datagrams = role.openings = {Ping: nothing}
        self.assertEqual(self.refusal(claims_of), "First and Second both take Ping; run them as two nodes")
        self.assertEqual(
            self.refusal(datagram_claims_of), "First and Second both take datagrams of Ping; run them as two nodes"
        )
        self.assertEqual(
            self.refusal(openings_of), "two roles take connections that begin with Ping; run them as two nodes"
        )

    def test_cannot_come(self) -> None:
        """What has no name, and what cannot go by datagram, is refused."""
        self.roles[0].receives = self.roles[1].datagrams = {Nameless: nothing}
        self.assertEqual(self.refusal(claims_of), "Second takes Nameless, which has no wire name")
        self.assertEqual(self.refusal(datagram_claims_of), "First takes Nameless, which has no wire name")
        for cls in (Error, Sweet, Generous, Padded):
            self.roles[1].datagrams = {cls: nothing}
            self.assertEqual(
                self.refusal(datagram_claims_of), f"First takes {cls.__name__}, which cannot go by datagram"
            )
