"""What was sent to somebody and waits for its answer: knocks, questions and beginnings, said again until it comes.

Sans-IO.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from attrs import define, field

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.node.datagrams.sealed.packets import Write
from twisted_bazaar.node.datagrams.sealed.path import Path, Where
from twisted_bazaar.security.noise.node_handshake import Begun

AGAIN_S: Final = 0.5
"""After so long something is said again, then after twice as long, and so on."""
WAIT_S: Final = 5.0
"""So long an answer is waited for."""
_MOST: Final = 1_024


@define(eq=False)
class Attempt:
    """One of them.

    @ivar path: on which it went.
    @ivar data: the datagram.
    @ivar handshake: what its answer completes; None of a knock.
    @ivar question: the question in it; None if it is none.
    """

    path: Path
    data: bytes
    handshake: Begun | None = None
    question: bytes | None = None
    again_at: float = 0.0
    pause_s: float = field(default=AGAIN_S, init=False)


class Attempts:
    """Those of one node, by what their answers repeat.

    @param write: sends a datagram.
    @param watch: is called when something is sent whose answer is waited for.
    """

    def __init__(self, write: Write, watch: Callable[[], None]) -> None:
        self._write = write
        self._watch = watch
        # One machine may have many sockets: half of all there is room for.
        self._all: FairTable[bytes, Attempt] = FairTable(_MOST, WAIT_S, shares=2)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, name: bytes) -> bool:
        return name in self._all

    def start(self, name: bytes, attempt: Attempt, owner: str, now: float) -> None:
        """Send something, and again.

        @param name: what the answer repeats.
        @param owner: whom it is charged to.
        """
        attempt.again_at = now + attempt.pause_s
        self._all.put(name, attempt, owner, now)
        self._write(attempt.data, attempt.path.where)
        self._watch()

    def get(self, name: bytes, where: Where, now: float) -> Attempt | None:
        """What an answer from somewhere is to."""
        attempt = self._all.get(name, now)
        return attempt if attempt is not None and attempt.path.where == where else None

    def end(self, name: bytes) -> None:
        """It is answered, or given up."""
        self._all.discard(name)

    def is_under_way(self, name: bytes, now: float) -> bool:
        """Whether it is neither answered nor given up."""
        return self._all.get(name, now) is not None

    def due(self, now: float) -> Iterable[tuple[bytes, Attempt]]:
        """Those to which no answer has come in time; each is due again after twice as long."""
        self._all.expire(now)
        for name, attempt in list(self._all.items(now)):
            if now >= attempt.again_at:
                attempt.pause_s *= 2
                attempt.again_at = now + attempt.pause_s
                yield name, attempt
