"""Progress of a download, and what came from whom: values for those who look on. Sans-IO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import field, frozen

from twisted_bazaar.values.files import FileSource


@frozen
class SourceStatus:
    """One source of a download.

    @ivar state: C{new}, C{connecting}, C{asked}, C{idle}, C{waiting}, C{serving}, C{resting} or C{dropped}.
    @ivar bytes: how much of what came from it was right.
    @ivar rate: in bytes a second, as it was lately; 0 when nothing comes.
    @ivar why: the reason, of one that is dropped or rests.
    """

    source: FileSource
    state: str
    bytes: int
    rate: float
    why: str | None = None


@frozen
class DownloadStatus:
    """A download as it is now.

    @ivar size: of the whole; None as long as nobody has said it.
    @ivar held_bytes: how much is there, and right.
    @ivar rate: bytes a second, smoothed over some seconds.
    @ivar seconds_left: at this rate; None when that cannot be said.
    @ivar gives_up_in_s: when it ends for want of anybody who has the file, if nobody comes; None for never.
    """

    size: int | None
    held_bytes: int
    rate: float
    seconds_left: float | None
    sources: Sequence[SourceStatus]
    gives_up_in_s: float | None = None


@frozen
class Receipt:
    """A file that is there: what came from whom.

    @ivar by_source: bytes, of those from whom any came.
    @ivar dropped: why, of those that were given up.
    @ivar resumed_bytes: what was there before.
    @ivar seconds: how long it took.
    @ivar protocols: bytes by transport protocol, C{tcp} or C{udp}, of those from whom any came.
    """

    digest: str
    size: int
    by_source: Mapping[FileSource, int]
    dropped: Mapping[FileSource, str]
    resumed_bytes: int
    seconds: float
    protocols: Mapping[FileSource, Mapping[str, int]] = field(factory=dict)

    @property
    def by_protocol(self) -> Mapping[str, int]:
        """How much came by each transport protocol, in bytes, from all sources together."""
        sums: Counter[str] = Counter()
        for sizes in self.protocols.values():
            sums.update(sizes)
        return dict(sorted(sums.items()))
