"""The interface between a transfer and whatever holds the bytes: of a shared file, and of one being fetched.

No rule of a transfer is behind these seams. The disk is behind them in daemons, memory in tests and simulations.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import Attribute

from twisted_bazaar.files.chunks import Holdings, Manifest
from twisted_bazaar.interface_bases import Interface


class IContent(Interface):
    """Bytes of one file that can be served."""

    manifest: Manifest = Attribute("What the file is made of.")
    holdings: Holdings = Attribute("Which chunks can be read now; it may grow.")

    def read(chunk: int) -> Deferred[bytes]:
        """One chunk, whole.

        @raise FileChanged: the file is no longer what its manifest says; it is offered no more.
        @raise StorageError: it cannot be read.
        """

    def watch(grown: Callable[[int], object]) -> Callable[[], None]:
        """Call back for each chunk that comes in.

        @return: ends it.
        """


class IShare(Interface):
    """All that a node has to serve."""

    def content(digest: str) -> IContent | None:
        """The content with a digest, or None."""


class IPart(Interface):
    """A file on its way here. Its chunks, and its manifest, outlive the process if anything here does."""

    digest: str = Attribute("What the whole must hash to.")
    manifest: Manifest | None = Attribute("What it is made of, as far as is known; None before L{set_manifest}.")
    holdings: Holdings = Attribute("Which chunks are there, each checked against the manifest.")

    def set_manifest(manifest: Manifest) -> Deferred[None]:
        """Take a manifest, in place of any before; of what is there, what fits it is kept.

        @raise StorageError: there is no room for a file of this size, or it cannot be written.
        """

    def write(chunk: int, content: bytes | bytearray | memoryview) -> Deferred[bool]:
        """Check a chunk and keep it; what is not right is not written.

        @param content: not to be changed before this fires.
        @return: fires with whether it was right.
        @raise StorageError: it cannot be written.
        """

    def read(chunk: int) -> Deferred[bytes]:
        """One chunk that is there.

        @raise StorageError: it cannot be read.
        """

    def watch(grown: Callable[[int], object]) -> Callable[[], None]:
        """Call back for each chunk that comes in. Returns a function that ends this."""

    def finish() -> Deferred[None]:
        """Check the whole, and put it in its place.

        @raise WrongWhole: the chunks are right, and the whole is not: the manifest was a lie. All chunks stay.
        @raise StorageError: it cannot be put there; all chunks stay.
        """

    def close() -> Deferred[None]:
        """Close the file; what is there stays, to go on with another time."""
