"""Trust in manifests: which one a download goes by while its sources say different things, and when it changes.

Sources that say the same size and root are a group. The largest is believed first; one that was wrong is never
believed again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, Protocol

from twisted_bazaar.files.chunks import Manifest
from twisted_bazaar.files.download.manifest_vote import Head, Pages, is_possible
from twisted_bazaar.files.download.source import DESCRIBED, UNDECIDED, Source, State
from twisted_bazaar.files.download.timeouts import TransferLimits


class ManifestOwner(Protocol):
    """Somebody who goes by what is believed."""

    def adopt_manifest(self, manifest: Manifest) -> None:
        """Go by a manifest from now on, if there is room for it."""

    def ban(self, source: Source, lie: str) -> None:
        """A source has lied: it is to be dropped."""


class ManifestTrust:
    """Finds the manifest to believe.

    @param reactor: time.
    @param digest: of the file.
    @param sources: all there are, at any time.
    @ivar head: of the manifest that is believed; None for none.
    """

    def __init__(
        self, reactor: Any, believer: ManifestOwner, digest: str, sources: Collection[Source], limits: TransferLimits
    ) -> None:
        self._reactor = reactor
        self._believer = believer
        self._digest = digest
        self._sources = sources
        self._limits = limits
        self.head: Head | None = None
        self._lies: set[Head] = set()
        self._pages: tuple[Source, Pages] | None = None
        self._first_head_at: float | None = None
        self._confirmed_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether some have not said yet what they have."""
        return any(each.state in UNDECIDED for each in self._sources)

    def adopted(self, head: Head) -> None:
        """Note the manifest that the download goes by from now on."""
        self.head = head
        self._confirmed_at = self._reactor.seconds()

    def source_described(self, source: Source) -> bool:
        """A source has said what the file is made of; returns whether that can be."""
        assert source.head is not None, "it has just said it"
        if source.head in self._lies or not is_possible(self._digest, source.head):
            self._believer.ban(source, "its manifest is that of another file")
            return False
        if self._first_head_at is None:
            self._first_head_at = self._reactor.seconds()
        return True

    def source_digests_received(self, source: Source, digests: bytes) -> None:
        """A source has given digests."""
        if self._pages is not None and self._pages[0] is source:
            pages = self._pages[1]
            pages.add(digests)
            self._go_on(source, pages)

    def source_gone(self, source: Source) -> None:
        """A source is dropped, or rests."""
        if self._pages is not None and self._pages[0] is source:
            self._pages = None

    def distrust(self, head: Head) -> list[Source]:
        """Never believe this again; returns those who said it."""
        self._lies.add(head)
        if self.head == head:
            self.head = None
        return [each for each in self._sources if each.head == head and each.state is not State.DROPPED]

    def choose(self, held_bytes: int) -> bool:
        """Believe the manifest that most say, once enough have spoken.

        @param held_bytes: how much is there, by the manifest that is believed.
        @return: whether anybody has said anything.
        """
        heads = Counter(each.head for each in self._sources if each.state in DESCRIBED and each.head)
        if self._pages is not None or not heads:
            return bool(heads)
        if self.head is not None and not self._may_switch(heads, held_bytes):
            return True
        since = self._first_head_at
        if self.is_open and (since is None or self._reactor.seconds() - since < self._limits.gather_s):
            return True
        [(head, _)] = heads.most_common(1)
        assert head is not None, "those without are not counted"
        source = next(each for each in self._sources if each.head == head and each.state in DESCRIBED)
        self._go_on(source, Pages(head))
        return True

    def _may_switch(self, heads: Collection[Head | None], held_bytes: int) -> bool:
        """Whether to give up what is believed: who said it is gone, and for long if something would be lost by it."""
        assert self.head is not None
        now = self._reactor.seconds()
        if self.head in heads:
            self._confirmed_at = now
            return False
        is_late = now - self._confirmed_at >= self._limits.switch_s
        roots = {head[1] for head in heads if head is not None}
        return is_late or not held_bytes or roots == {self.head[1]}

    def _go_on(self, source: Source, pages: Pages) -> None:
        """Ask for the next page of digests; when all are there they are believed."""
        following = pages.next()
        if following is not None:
            self._pages = (source, pages)
            source.want_digests(*following)
            return
        self._pages = None
        manifest = pages.manifest(self._digest)
        if manifest is None:
            self._believer.ban(source, "its digests are not those of its manifest")
        else:
            self._believer.adopt_manifest(manifest)
