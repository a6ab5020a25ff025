"""A peer of the classroom that joins: how long it is waited for, and what is told meanwhile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.classroom import room
from twisted_bazaar.cli.classroom.room import Room
from twisted_bazaar.errors import BazaarError


class JoiningTests(SynchronousTestCase):
    """Peers that start no process."""

    def setUp(self) -> None:
        """Have a lesson that has begun."""
        self.clock, self.said = Clock(), list[str]()
        self.peers: dict[int, Any] = {}
        self.patch(room, "PeerProcess", self.begin)
        self.room = Room(self.clock, Path("room"), Path("states"), self.said.append)
        opening = Deferred.fromCoroutine(self.room.open())
        while not opening.called:
            for peer in list(self.peers.values()):
                if not peer.joined.called:
                    peer.joined.callback(None)
        self.successResultOf(opening)

    def begin(self, reactor: object, place: int, *others: object) -> Any:
        """A peer that joins when the test says so."""
        peer = SimpleNamespace(place=place, joined=Deferred(), ended=Deferred(), endpoint="tcp:x:1", is_gone=False)
        self.peers[place] = peer
        return peer

    def test_long(self) -> None:
        """A join is waited for as long as a death takes to be noticed, and it is told that it still goes on."""
        joining = Deferred.fromCoroutine(self.room.join(230))
        self.clock.pump([1.0] * 2)
        self.assertEqual(self.said, [])
        self.clock.pump([1.0] * 58)
        self.assertEqual(self.said, ["peer 230 is still joining; it goes on trying"] * 4)
        self.peers[230].joined.callback(None)
        self.assertIs(self.successResultOf(joining), self.peers[230])

    def test_never(self) -> None:
        """One that has not come after that, or has ended, is told of."""
        joining = Deferred.fromCoroutine(self.room.join(230))
        self.clock.pump([1.0] * 71)
        why = str(self.failureResultOf(joining, BazaarError).value)
        self.assertEqual(why, "peer 230 has not come on the ring within 70 s; it goes on trying")
        joining = Deferred.fromCoroutine(self.room.join(231))
        self.peers[231].ended.callback(None)
        self.assertEqual(str(self.failureResultOf(joining, BazaarError).value), "peer 231 has not come on the ring")
