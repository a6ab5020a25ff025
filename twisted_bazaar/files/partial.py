"""A part file as content: serves the chunks that are here while the rest is on its way."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from twisted_bazaar.files.chunks import Holdings, Manifest
from twisted_bazaar.files.content import IContent, IPart


@implementer(IContent)
class PartContent:
    """The part of a file that is here, while the rest is on its way.

    @param part: the file; it must have a manifest when this is served.
    """

    def __init__(self, part: IPart) -> None:
        self._part = part

    @property
    def manifest(self) -> Manifest:
        """The manifest of the file, as far as it is known now."""
        manifest = self._part.manifest
        assert manifest is not None, "it is shared when there is something of it"
        return manifest

    @property
    def holdings(self) -> Holdings:
        """The chunks that are there."""
        return self._part.holdings

    def read(self, chunk: int) -> Deferred[bytes]:
        """One chunk, whole."""
        return self._part.read(chunk)

    def watch(self, grown: Callable[[int], object]) -> Callable[[], None]:
        """Call back for each chunk that comes in."""
        return self._part.watch(grown)
