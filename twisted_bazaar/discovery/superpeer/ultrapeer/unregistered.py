"""Unregistered links of a super peer: cut off after a while, so that they take no room from others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted_bazaar.discovery.superpeer.ultrapeer.leaves import NotRegistered
from twisted_bazaar.interfaces import INode
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Peer

REGISTER_WITHIN_S: Final = 10.0
# Those who came in one moment go in one.
_MOMENT_S: Final = 0.5


class Unregistered:
    """Sends away who does not register in time.

    @param may_stay: whether somebody has registered, or is linked for something else.
    """

    def __init__(self, node: INode, may_stay: Callable[[Peer], bool]) -> None:
        self._node = node
        self._may_stay = may_stay
        # By node id, who it is and until when it may stay; the first to go is first.
        self._until: dict[int, tuple[Peer, float]] = {}
        self._waking = Timer(node.clock, self._look)
        self._is_stopped = False

    def add(self, peer: Peer) -> None:
        """Watch a link that is not registered, or not any more."""
        if self._is_stopped:
            return
        self._until.pop(peer.id, None)
        self._until[peer.id] = peer, self._node.clock.seconds() + REGISTER_WITHIN_S
        self._wake()

    def remove(self, peer: Peer) -> None:
        """Forget a link that is gone."""
        if self._until.get(peer.id, (None, 0.0))[0] == peer:
            del self._until[peer.id]
        self._wake()

    def stop(self) -> None:
        """Cancel the timer: nobody is cut off any more."""
        self._is_stopped = True
        self._until.clear()
        self._wake()

    def _wake(self) -> None:
        """Look again when the first has to go."""
        if not self._until:
            self._waking.cancel()
        elif not self._waking.is_set:
            _, until = next(iter(self._until.values()))
            self._waking.set(max(_MOMENT_S, until - self._node.clock.seconds()))

    def _look(self) -> None:
        now = self._node.clock.seconds()
        late = []
        for peer, until in self._until.values():
            if until > now:
                break
            late.append(peer)
        for peer in late:
            self._until.pop(peer.id, None)
            if not self._may_stay(peer):
                why = f"this is a super peer, and you have not registered within {REGISTER_WITHIN_S:g} s"
                self._node.dismiss_peer(peer.id, NotRegistered(why))
        self._wake()
