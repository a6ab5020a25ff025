"""The tree of errors and the codes they carry on the wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar import errors
from twisted_bazaar.errors import (
    BazaarError,
    LinkClosed,
    MalformedMessage,
    PeerError,
    UnknownMessage,
    Unreachable,
    WireError,
    WrongWay,
)


def all_classes() -> set[type[Exception]]:
    """Every exception of the module."""
    return {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, Exception)}


class ErrorTreeTests(SynchronousTestCase):
    """Whoever catches one class knows what it can be."""

    def test_one_root(self) -> None:
        """Everything raised on purpose is a BazaarError."""
        self.assertEqual({cls for cls in all_classes() if not issubclass(cls, BazaarError)}, set())

    def test_codes(self) -> None:
        """What a peer is told of carries the code of the specification."""
        codes = {cls.__name__: cls.code for cls in all_classes() if issubclass(cls, PeerError)}
        own = {name: code for name, code in codes.items() if code != "wtf"}
        self.assertEqual(
            own,
            {
                "NotGreeted": "notim",
                "NotNumbered": "notiy",
                "NoSlots": "noslots",
                "AlreadyLinked": "linked",
                "NoRoute": "noroute",
                "SoldOut": "soldout",
                "NotNow": "notnow",
                "Forged": "forged",
                "InTheOpen": "sealed",
                "WrongWay": "wrongway",
            },
        )

    def test_the_users_fault(self) -> None:
        """A user's mistake is never told to a peer."""
        self.assertFalse(issubclass(errors.UsageError, PeerError))

    def test_our_own(self) -> None:
        """A full disk is no fault of a peer's, nor told as one."""
        self.assertFalse(issubclass(errors.StorageError, PeerError))

    def test_of_the_wire(self) -> None:
        """All that a codec or a frame splitter says of a stranger's bytes is an error of the wire."""
        self.assertEqual(
            {cls.__name__ for cls in all_classes() if issubclass(cls, WireError)},
            {"WireError", "FrameError", "MalformedMessage", "UnknownMessage", "WrongWay"},
        )


class SentenceTests(SynchronousTestCase):
    """An error reads well."""

    def test_malformed(self) -> None:
        """It names as much as is known of message and key, and the fault."""
        self.assertEqual(
            [
                str(MalformedMessage("buy", "id", "expected int")),
                str(MalformedMessage("buy", None, "too early")),
                str(MalformedMessage(None, "type", "missing")),
                str(MalformedMessage(None, None, "not JSON")),
                str(WrongWay("buy", "path", "a loop")),
            ],
            [
                "buy.id: expected int",
                "buy: too early",
                "message.type: missing",
                "message: not JSON",
                "buy.path: a loop",
            ],
        )

    def test_parts(self) -> None:
        """Message, key and reason are there for programs too."""
        error = WrongWay("buy", "path", "a loop")
        self.assertEqual((error.message, error.key, error.reason), ("buy", "path", "a loop"))
        self.assertEqual(UnknownMessage("tpye").message, "tpye")

    def test_unreachable(self) -> None:
        """Who cannot be reached is named, with the reason; whoever knows the name has the reason alone."""
        error = Unreachable("tcp:192.0.2.7:9000", "Connection refused")
        self.assertIsInstance(error, LinkClosed)
        self.assertEqual(str(error), "tcp:192.0.2.7:9000 cannot be reached: Connection refused")
        self.assertEqual((error.where, error.reason), ("tcp:192.0.2.7:9000", "Connection refused"))
