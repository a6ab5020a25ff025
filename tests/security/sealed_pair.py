"""Two sessions with a way between them, on which somebody may sit."""

from __future__ import annotations

from collections.abc import Callable

from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.links.session import Session

DIALLER, ACCEPTER, MALLORY = (KeyPair.from_seed(bytes([number]) * 32) for number in (1, 2, 3))

Tamper = Callable[[bytes], bytes]


def untouched(sealed: bytes) -> bytes:
    """What nobody has changed."""
    return sealed


class SealedPair:
    """Both ends of one connection.

    @param there: what becomes of what the dialler sends, all that it sends in one go at a time.
    @param back: the same the other way.
    @ivar came: what came out at each end, plain.
    @ivar carried: how much went over the way in each direction, sealed.
    """

    def __init__(
        self, dialler: Session, accepter: Session, there: Tamper = untouched, back: Tamper = untouched
    ) -> None:
        self.ends = {"dialler": dialler, "accepter": accepter}
        self.came = {"dialler": b"", "accepter": b""}
        self.carried = {"dialler": b"", "accepter": b""}
        self._tampering = {"dialler": there, "accepter": back}
        for each in self.ends.values():
            each.begin()

    @property
    def keys(self) -> tuple[str | None, str | None]:
        """What is proven to the dialler, and to the accepter."""
        return self.ends["dialler"].proven_key, self.ends["accepter"].proven_key

    def run(self) -> None:
        """Carry what there is until nothing more comes; one end that fails has its last word carried first."""
        while any([self._carry("dialler", "accepter"), self._carry("accepter", "dialler")]):
            pass

    def say(self, end: str, plain: bytes) -> None:
        """Have one end send something, and carry it."""
        self.ends[end].send(plain)
        self.run()

    def _carry(self, source: str, sink: str) -> bool:
        sealed = b""
        while some := self.ends[source].outgoing():
            sealed += some
        if sealed:
            sealed = self._tampering[source](sealed)
            self.carried[source] += sealed
            self.came[sink] += self.ends[sink].receive(sealed)
        return bool(sealed)
