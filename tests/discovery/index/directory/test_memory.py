"""The directory in memory: the promises of every directory, and that nothing in it holds up the reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.index.directory.directories import (
    ASKER,
    LEASE_S,
    MOST_A_PEER,
    DirectoryContract,
    digest,
    file,
    found,
    peer,
)
from twisted_bazaar.byte_budget import ByteBudget
from twisted_bazaar.discovery.index.directory.directory import Directory
from twisted_bazaar.discovery.index.directory.memory import MemoryDirectory
from twisted_bazaar.discovery.index.directory.weights import weight_of_file
from twisted_bazaar.discovery.index.messages import Update
from twisted_bazaar.errors import LinkClosed
from twisted_bazaar.values.files import FileQuery, Page

# Shorter than anything that is timed.
TURN_S: Final = 1e-6


class TurningClock(Clock):
    """A clock on which what is to be done in the next turn is not done in this one."""

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> DelayedCall:
        """Call something in another turn."""
        return super().callLater(max(delay, TURN_S), callable, *args, **kw)

    def turn(self) -> None:
        """One turn."""
        self.advance(TURN_S)


class MemoryCase(SynchronousTestCase):
    """A directory, and a clock for it."""

    most_a_peer = MOST_A_PEER

    def setUp(self) -> None:
        """Start it."""
        self.clock = TurningClock()
        self.directory: Any = MemoryDirectory(Directory(LEASE_S, self.most_a_peer))
        self.directory.start(self.clock)

    def open_with(self, most_bytes: int) -> None:
        """Go on with an empty directory with so much room."""
        self.directory = MemoryDirectory(Directory(LEASE_S, 10_000, ByteBudget(most_bytes)))
        self.directory.start(self.clock)

    def result_of(self, deferred: Deferred[Any]) -> Any:
        """What comes of it, after some turns."""
        self.wait_for(deferred)
        return self.successResultOf(deferred)

    def failure_of(self, deferred: Deferred[Any], kind: type[Exception]) -> Exception:
        """How it fails."""
        self.wait_for(deferred)
        error: Exception = self.failureResultOf(deferred, kind).value
        return error

    def wait_for(self, deferred: Deferred[Any]) -> None:
        """Let turns pass until something has come of it."""
        turns = 0
        while not deferred.called and turns < 10_000:
            self.clock.turn()
            turns += 1

    def later(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            self.clock.pump([TURN_S] * 20)


class MemoryDirectoryTests(DirectoryContract, MemoryCase):
    """The promises of every directory."""


class StandstillTests(MemoryCase):
    """A server that has stood still."""

    def test_late(self) -> None:
        """The first answer after that does not name those whose lease is long over."""
        change = Update(id=1, base=0, mark=1, add=(file("a", 1),), offer=("apple",))
        self.result_of(self.directory.update(peer(1), change))
        # Time has passed, and no timer has run.
        self.clock.rightNow += LEASE_S + 1
        self.assertEqual(self.result_of(self.directory.find(FileQuery(name="a"), ASKER)).files, [])
        self.result_of(self.directory.update(peer(1), change))
        self.clock.rightNow += LEASE_S + 1
        self.assertEqual(self.result_of(self.directory.sources(digest(1), 5, ASKER)), [])
        self.result_of(self.directory.update(peer(1), change))
        self.clock.rightNow += LEASE_S + 1
        self.assertEqual(self.result_of(self.directory.sellers("bazaar", "apple", None, 5, ASKER)), [])


class TurnTests(MemoryCase):
    """What takes long."""

    most_a_peer = 100_000

    def fill(self, count: int, owner: int = 1) -> None:
        """List many files."""
        names = [f"file {number} of {owner}" for number in range(count)]
        mark = 0
        for first in range(0, count, 1000):
            add = tuple(file(name, number) for number, name in enumerate(names[first : first + 1000], first))
            change = Update(id=1, base=mark, mark=mark + 1, add=add)
            mark = self.result_of(self.directory.update(peer(owner), change))

    def test_found_at_once(self) -> None:
        """What has just been listed is found by words and in order, though they are entered a little later."""
        self.fill(3_000)
        asked = [self.directory.find(FileQuery(words="2999"), ASKER), self.directory.find(FileQuery(most=1), ASKER)]
        self.assertEqual([len(each.result.files) if each.called else None for each in asked], [None, None])
        pages = [self.result_of(each) for each in asked]
        self.assertEqual([page.total for page in pages], [1, 3_000])

    def test_by_name_meanwhile(self) -> None:
        """Exact names, contents and sources are answered at once, whatever else is to be done."""
        self.fill(3_000)
        self.clock.turn()
        page: Page = self.successResultOf(self.directory.find(FileQuery(name="file 7 of 1"), ASKER))
        self.assertEqual(page.files, [found("file 7 of 1", 7)])
        self.assertEqual(len(self.successResultOf(self.directory.sources(digest(7), 5, ASKER))), 1)

    def test_long_search(self) -> None:
        """A search through many takes several turns; who asks little meanwhile is answered first."""
        self.fill(20_000)
        self.result_of(self.directory.find(FileQuery(most=1), ASKER))
        long = self.directory.find(FileQuery(words="fil"), ASKER)
        self.clock.turn()
        self.assertFalse(long.called)
        short = self.directory.find(FileQuery(words="19999"), peer(98))
        self.assertEqual((self.successResultOf(short).total, long.called), (1, False))
        self.assertEqual(self.result_of(long).total, 20_000)

    def test_who_leaves_meanwhile(self) -> None:
        """Who has left is in no answer that comes after, though its list is still being cleared."""
        self.fill(5_000, 1)
        self.fill(5, 2)
        self.directory.peer_left(peer(1))
        for _ in range(11):
            self.assertEqual(self.result_of(self.directory.find(FileQuery(), ASKER)).total, 5)
            self.result_of(self.directory.renew(peer(2), 1, 0))
            self.later(30)
        counts = self.result_of(self.directory.counts())
        self.assertEqual((counts.files, counts.entries), (5, 5))

    def test_leaves_with_changes_waiting(self) -> None:
        """A change that has not been made when its peer leaves is never made: it would bring the peer back."""
        self.fill(20, 1)
        self.clock.turn()
        changes = []
        for number in range(30):
            change = Update(id=1, base=1 if number == 0 else number + 1, mark=number + 2, add=(file("a"),))
            changes.append(self.directory.update(peer(1), change))
        self.assertFalse(changes[-1].called)
        self.directory.peer_left(peer(1))
        self.later(3)
        self.assertNoResult(changes[-1])
        self.assertEqual(self.result_of(self.directory.find(FileQuery(), ASKER)).total, 0)

    def test_what_has_gone_is_cleared(self) -> None:
        """Who lists, leaves and lists again without an end clears behind itself: it takes no more than a host may."""
        total = 4_000 * weight_of_file("file 1000 of 1")
        self.open_with(total)
        worst = 0
        for _ in range(30):
            self.fill(1_500, 1)
            self.directory.peer_left(peer(1))
            worst = max(worst, self.result_of(self.directory.counts()).size_bytes)
        self.assertLessEqual(worst, total * 3 // 4)

    def test_stopped(self) -> None:
        """When it stops it leaves no timer, and who waits is told."""
        self.fill(3_000)
        waiting = self.directory.find(FileQuery(words="file"), ASKER)
        self.successResultOf(self.directory.stop())
        self.failureResultOf(waiting, LinkClosed)
        self.failureResultOf(self.directory.find(FileQuery(), ASKER), LinkClosed)
        self.successResultOf(self.directory.peer_left(peer(1)))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(self.directory.stop())
