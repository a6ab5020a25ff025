"""Super-seeding (BEP 16): chunks that were given to nobody yet go first, so that many askers get others. Sans-IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from twisted_bazaar.files.chunks import Holdings


class SuperSeeding:
    """Hands out each chunk of a file once.

    @param count: how many chunks the file has.
    """

    def __init__(self, count: int) -> None:
        self._given = Holdings(count)
        self._sent = Holdings(count)
        self._next = 0
        self._back: deque[int] = deque()

    def pick(self, most: int) -> tuple[int, ...]:
        """Some chunks that nobody has been given."""
        taken: list[int] = []
        while len(taken) < most:
            if self._back:
                chunk = self._back.popleft()
            else:
                following = self._given.next_missing(self._next)
                if following is None:
                    break
                chunk = following
                self._next = chunk + 1
            if self._given.add(chunk):
                taken.append(chunk)
        return tuple(taken)

    def chunk_sent(self, chunk: int) -> None:
        """A chunk has been sent to somebody, who may have asked for just that."""
        self._given.add(chunk)
        self._sent.add(chunk)

    def put_back(self, chunks: Iterable[int]) -> None:
        """Somebody gives up those that he has been given; what nobody else was sent either is for others."""
        for chunk in chunks:
            if chunk not in self._sent:
                self._given.discard(chunk)
                self._back.append(chunk)
