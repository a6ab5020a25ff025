"""All errors, as one tree of exceptions.

A class that a peer can be told about carries its wire code, so that the place that finds a fault
need not know how it is reported. The codes notim, notiy, wtf and wrongway come from the market's
design paper; noslots, linked, noroute, soldout, notnow, forged and sealed close gaps it leaves.
"""

from __future__ import annotations

from typing import ClassVar, Final

from twisted_bazaar.exit_status import ExitStatus

UNREADABLE: Final = (ValueError, RecursionError)
"""What decoders of JSON and TOML raise: it is none, it does not fit, or it is nested more deeply than they go."""


class BazaarError(Exception):
    """Anything that this package raises on purpose.

    @cvar exit_status: with what a command ends that fails by it.
    """

    exit_status: ClassVar[ExitStatus] = ExitStatus.NO


class UsageError(BazaarError):
    """The user asked for something impossible; the text says what to do instead."""


class StorageError(BazaarError):
    """The disk, or whatever keeps the books, is full or fails. Nothing was decided; asking later is safe."""


class FileChanged(StorageError):
    """A shared file is no longer what it was when it was hashed."""


class AlreadyThere(BazaarError):
    """The file that was to be fetched is there already, whole."""


class WrongWhole(BazaarError):
    """All chunks of a file fit their manifest, and the whole does not fit its digest: the manifest was a lie."""


class TransferFailed(BazaarError):
    """A file could not be fetched: nobody who has it serves it. What has come is kept."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNFINISHED


class PeerError(BazaarError):
    """A fault that a peer is told of, or told us of.

    @cvar code: what the `error` message carries in its `code`.
    """

    code: ClassVar[str] = "wtf"


class WholeDigestsOnly(PeerError):
    """Files are looked for by a hash of the whole digest, and not by its beginning. Said by this node to itself."""


class NotGreeted(PeerError):
    """No `thisisme` came in time after a connection was made."""

    code = "notim"


class NotNumbered(PeerError):
    """No `thisisyou` came in time from the tracker."""

    code = "notiy"


class NoSlots(PeerError):
    """The node is linked to as many others as it wants."""

    code = "noslots"


class AlreadyLinked(PeerError):
    """The two nodes have a link, and it is the one to keep.

    @ivar node_id: who says so; None if it does not say who it is.
    """

    code = "linked"

    def __init__(self, reason: str, node_id: int | None = None) -> None:
        super().__init__(reason)
        self.node_id = node_id


class NoRoute(PeerError):
    """The next hop of a path is gone, and no other path is known."""

    code = "noroute"


class SoldOut(PeerError):
    """The seller has less left than was ordered."""

    code = "soldout"


class NotNow(PeerError):
    """The seller cannot write its book at the moment. Nothing was decided; the same order may be sent again."""

    code = "notnow"


class Forged(PeerError):
    """A signed statement that does not hold: changed, of another kind, or by another key than it claims."""

    code = "forged"


class LinkClosed(PeerError):
    """The connection ended before what was asked of it was done."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNREACHED


class Unreachable(LinkClosed):
    """No connection could be made to an address.

    @ivar where: the address, or the endpoint.
    @ivar reason: why not, in the words of the operating system where it has some.
    """

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"{where} cannot be reached: {reason}")


class Unproven(LinkClosed):
    """The other end of a connection has not proven a key, or another than the one that was asked for."""


class NothingProven(Unproven):
    """The other end has closed the connection and proven nothing: it may speak in the open, or have no room."""


class InTheOpen(Unproven):
    """One of the two ends seals its connections, and the other speaks in the open."""

    code = "sealed"


class ReachedItself(LinkClosed):
    """The node that was dialled is the one that dialled."""


class ReachedTracker(PeerError):
    """The node that was dialled gives ids, and is no node to link to."""


class WireError(PeerError):
    """Bytes that break the rules of the wire.

    @ivar about_id: the id of the message at fault, if that could be read: a number, or the text of a query's.
    """

    about_id: int | str | None = None


class FrameError(WireError):
    """The byte stream is no longer a series of frames; nothing after this point can be read."""


class MalformedMessage(WireError):
    """A frame that holds no message, or a message with a wrong key.

    @ivar message: the wire name of the message, or None when even that cannot be read.
    @ivar key: the key at fault as it stands on the wire, or None when it is not one key.
    @ivar reason: what was wrong with it.
    """

    def __init__(self, message: str | None, key: str | None, reason: str, about_id: int | str | None = None) -> None:
        self.message = message
        self.key = key
        self.reason = reason
        self.about_id = about_id
        place = message or "message"
        super().__init__(f"{place}.{key}: {reason}" if key else f"{place}: {reason}")


class UnknownMessage(WireError):
    """A well-formed object whose `type` this node does not know."""

    def __init__(self, message: str, about_id: int | str | None = None) -> None:
        self.message = message
        self.about_id = about_id
        super().__init__(f"unknown message type {message!r}")


class WrongWay(MalformedMessage):
    """A path that does not lead through the node that got it, is too long, or has a loop."""

    code = "wrongway"
