"""Trust in manifests: which one a download goes by while its sources say different things, and when it changes.

Sources that say the same size and root are a group. The largest is believed first; one that was wrong is never
believed again. Only the whole shows which is wrong, and who serves slowly can put that off for ever. So while groups
contradict each other they take turns, each longer than the one before: what is right comes to be whole, in a time that
does not depend on the sizes that others make up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, Final, Protocol

from twisted_bazaar.files.chunks import Manifest
from twisted_bazaar.files.download.manifest_vote import Head, Pages, is_possible
from twisted_bazaar.files.download.source import DESCRIBED, UNDECIDED, Source, State
from twisted_bazaar.files.download.timeouts import TransferLimits

# A group with more sources than any other has turns that are so many times as long.
_MOST_SOURCES: Final = 4


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
        self._pages_at = 0.0
        self._first_head_at: float | None = None
        self._confirmed_at = 0.0
        # The seconds that each has had while another wanted them, counted up to a time.
        self._spent: dict[Head, float] = {}
        self._counted_at: float = reactor.seconds()
        # How much longer the turn of the one that is believed may take.
        self._longer_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether some have not said yet what they have."""
        return any(each.state in UNDECIDED for each in self._sources)

    def adopted(self, head: Head) -> None:
        """Note the manifest that the download goes by from now on."""
        self.head = head
        self._confirmed_at = self._reactor.seconds()
        self._longer_s = None

    def source_described(self, source: Source) -> bool:
        """A source has said what the file is made of; returns whether that can be."""
        assert source.head is not None, "it has just said it"
        if source.head in self._lies or not is_possible(self._digest, source.head):
            self._believer.ban(source, "its manifest is that of another file")
            return False
        if self._first_head_at is None:
            self._first_head_at = self._reactor.seconds()
        return True

    def source_digests_received(self, source: Source, first: int, digests: bytes) -> None:
        """A source has given digests."""
        # What it was asked for in an earlier turn may come as well.
        if self._pages is not None and self._pages[0] is source and self._pages[1].next_chunk == first:
            pages = self._pages[1]
            pages.add(digests)
            self._go_on(source, pages)

    def check_pace(self) -> None:
        """Drop the source that is asked for digests if it gives them too slowly: each page would be in time, and all of
        a size that is made up would take for ever."""
        if self._pages is None:
            return
        source, pages = self._pages
        elapsed_s = self._reactor.seconds() - self._pages_at
        if elapsed_s > self._limits.answer_s + self._limits.page_s * pages.count:
            source.drop(f"it gave {pages.count:,} of {pages.whole_count:,} pages of digests in {elapsed_s:.0f} s")

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

    def choose(self, held_bytes: int, left_s: float | None = None) -> bool:
        """Believe the manifest that most say, once enough have spoken; while some say another, each in its turn.

        @param held_bytes: how much is there, by the manifest that is believed.
        @param left_s: the time until all is there by it, in seconds; None if that cannot be said.
        @return: whether anybody has said anything.
        """
        heads = Counter(each.head for each in self._sources if each.state in DESCRIBED and each.head is not None)
        self._count_time(heads)
        if not heads or not self._may_begin(heads, held_bytes, left_s):
            return bool(heads)
        since = self._first_head_at
        if self.is_open and (since is None or self._reactor.seconds() - since < self._limits.gather_s):
            return True
        others = [head for head in heads if head != self.head]
        if others:
            head = min(others, key=lambda each: (self._spent.get(each, 0.0), -heads[each]))
            source = next(each for each in self._sources if each.head == head and each.state in DESCRIBED)
            self._pages_at = self._reactor.seconds()
            self._go_on(source, Pages(head))
        return True

    def _count_time(self, heads: Counter[Head]) -> None:
        """Count what has passed to those who had it."""
        now = self._reactor.seconds()
        elapsed_s, self._counted_at = now - self._counted_at, now
        for head in {self.head, None if self._pages is None else self._pages[1].head}:
            if head is not None and any(each != head for each in heads):
                self._spent[head] = self._spent.get(head, 0.0) + elapsed_s

    def _may_begin(self, heads: Counter[Head], held_bytes: int, left_s: float | None) -> bool:
        """Whether to ask for the digests of a manifest now."""
        if self._pages is not None:
            head = self._pages[1].head
            if not self._is_turn_over(head, heads):
                return False
            self._pages = None
        if self.head is None or self._may_switch(heads, held_bytes):
            return True
        if not self._is_turn_over(self.head, heads, self._longer_s or 0.0):
            return False
        if self._longer_s is None:
            # What is nearly there may be ended; it is not believed twice that it is.
            self._longer_s = left_s if left_s is not None and left_s <= self._limits.turn_s else 0.0
        return not self._longer_s

    def _is_turn_over(self, head: Head, heads: Counter[Head], longer_s: float = 0.0) -> bool:
        """Whether others are to have their turn."""
        others = [each for each in heads if each not in (head, self.head)]
        if not others:
            return False
        turn_s = self._limits.turn_s + 2 * min(self._spent.get(each, 0.0) for each in others)
        if all(heads[head] > heads[each] for each in others):
            turn_s *= _MOST_SOURCES
        return self._spent.get(head, 0.0) >= turn_s + longer_s

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
