"""Putting what a node is to be found by into a ring: soon, at a pace, anew before it expires, deleted at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.ring.records.own_records import OwnRecords
from twisted_bazaar.discovery.ring.records.records import PROVIDERS, SELLERS, provider_key, word_key
from twisted_bazaar.discovery.ring.records.republishing import (
    LIFETIME_S,
    PUTS_A_SECOND,
    WITHDRAWING_S,
    Republisher,
    lifetime_of,
)
from twisted_bazaar.discovery.ring.storage.entry import LONGEST_LIFETIME_S
from twisted_bazaar.errors import LinkClosed, NotNow
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.values.files import SharedFile


@define
class HandKeeping:
    """What is kept in a ring that the test plays.

    @ivar is_member: whether this node is on it.
    @ivar done: what was put, with its time to live, or deleted, with None for a value.
    @ivar waiting: what is under way, if things take their time.
    @ivar trouble: with what the next are answered.
    """

    is_member: bool = True
    is_slow: bool = False
    done: list[tuple[str, str, bytes | None, int]] = field(factory=list)
    waiting: list[Deferred[Any]] = field(factory=list)
    trouble: list[Exception] = field(factory=list)
    watchers: list[Callable[[], None]] = field(factory=list)
    cancelled: int = 0

    def watch(self, changed: Callable[[], None]) -> None:
        """Note whom to tell when neighbours change."""
        self.watchers.append(changed)

    def join(self) -> None:
        """Become a member."""
        self.is_member = True
        for changed in self.watchers:
            changed()

    def put(self, space: str, name: str, value: bytes | None = b"", *, lifetime: int) -> Deferred[Any]:
        """Note it."""
        self.done.append((space, name, value, lifetime))
        doing: Deferred[Any] = Deferred(self._cancel)
        self.waiting.append(doing)
        if self.trouble:
            doing.errback(self.trouble.pop(0))
        elif not self.is_slow:
            doing.callback(None)
        return doing

    def delete(self, space: str, name: str, *, lifetime: int) -> Deferred[Any]:
        """Note it."""
        return self.put(space, name, None, lifetime=lifetime)

    def _cancel(self, _: Any) -> None:
        self.cancelled += 1


def files(count: int) -> list[SharedFile]:
    """So many files, each with a word of its own."""
    return [SharedFile(f"f{number:05}", 1, f"{number:064x}") for number in range(count)]


class PostingTests(SynchronousTestCase):
    """A node with some files."""

    def begin(self, count: int = 1, **about: Any) -> None:
        """Start it."""
        self.node = FakeNode()
        self.dht: Any = HandKeeping(**about)
        self.own = OwnRecords(self.node.bazaar)
        self.own.change_files(files(count), [])
        self.posting = Republisher(self.dht, self.dht, self.own)
        self.posting.start(self.node)

    def run_for(self, seconds: float, step_s: float = 0.05) -> None:
        """Let time pass."""
        self.node.clock.pump([step_s] * round(seconds / step_s))

    def put(self) -> list[tuple[str, str]]:
        """What has been put or deleted since the last time."""
        done, self.dht.done = self.dht.done, []
        return [(space, name) for space, name, _, _ in done]

    def test_at_once(self) -> None:
        """What there is at the start is put at once, for half an hour."""
        self.begin()
        lifetimes = {lifetime for _, _, _, lifetime in self.dht.done}
        self.assertEqual(set(self.put()), {provider_key(files(1)[0].digest), word_key("f00000")})
        self.assertEqual((lifetimes, self.posting.waiting), ({1800}, 0))

    def test_not_on_the_ring(self) -> None:
        """Before this node has joined nothing is put, and then it is."""
        self.begin(is_member=False)
        self.run_for(5)
        self.assertEqual(self.put(), [])
        self.assertEqual(self.posting.waiting, 2)
        # It does not look either, until it is told.
        self.assertEqual(self.node.clock.getDelayedCalls(), [])
        [changed] = self.dht.watchers
        changed()
        self.run_for(1)
        self.assertEqual(self.put(), [])
        for _ in range(3):
            self.dht.join()
        self.run_for(1)
        self.assertEqual(len(self.put()), 2)

    def test_stopped_before_it_joins(self) -> None:
        """Who is stopped before it has joined puts nothing, though it is told that neighbours have changed."""
        for is_told_before in (False, True):
            self.begin(is_member=False)
            if is_told_before:
                self.dht.join()
            self.posting.stop()
            self.dht.join()
            self.assertEqual(self.node.clock.getDelayedCalls(), [])
            self.run_for(1)
            self.assertEqual(self.put(), [])

    def test_anew(self) -> None:
        """It is put anew before it expires, over and over, and not all the time."""
        self.begin()
        self.put()
        self.run_for(0.4 * LIFETIME_S, 1.0)
        self.assertEqual(self.put(), [])
        self.run_for(0.2 * LIFETIME_S, 1.0)
        self.assertEqual(len(self.put()), 2)
        self.run_for(5 * LIFETIME_S, 1.0)
        self.assertIn(len(self.put()), range(18, 25))

    def test_paced(self) -> None:
        """Very many are put at a pace, no more than a second's worth at once, and a few under way at a time."""
        self.begin(500)
        self.assertLessEqual(len(self.put()), PUTS_A_SECOND + 1)
        self.run_for(10)
        self.assertIn(len(self.put()), range(int(9 * PUTS_A_SECOND), int(11 * PUTS_A_SECOND)))
        self.run_for(60)
        self.assertEqual((len(self.put()) > 0, self.posting.waiting), (True, 0))
        self.begin(500, is_slow=True)
        self.run_for(10)
        self.assertLess(len(self.dht.waiting), 20)

    def test_very_many(self) -> None:
        """Who has very much puts it for longer, so that it is put anew no faster than half as fast as at first."""
        self.assertEqual([lifetime_of(count) for count in (0, 100, 20_000)], [1800, 1800, 8000])
        self.assertEqual(lifetime_of(10_000_000), LONGEST_LIFETIME_S)
        for count in (1, 5_000, 20_000, 100_000):
            self.assertLessEqual(2 * count / lifetime_of(count), PUTS_A_SECOND / 2)

    def test_changed(self) -> None:
        """What changes is put at once; what is no more is deleted, for as long as it could have lasted."""
        self.begin()
        self.put()
        self.posting.update(self.own.change_files([SharedFile("f00000", 1, files(1)[0].digest, False)], []))
        self.assertEqual(len(self.put()), 2)
        self.posting.update(self.own.change_files([], ["f00000"]))
        self.assertEqual({(value, lifetime) for _, _, value, lifetime in self.dht.done}, {(None, 1800)})
        self.put()
        self.run_for(3 * LIFETIME_S, 1.0)
        self.assertEqual(self.put(), [])

    def test_all_gone(self) -> None:
        """Who had very much, which lasts for long, and has nothing any more, has it deleted for as long as it lasts."""
        self.begin(10_000, is_member=False)
        lasts_s = lifetime_of(len(self.own))
        self.dht.join()
        self.run_for(2)
        there = set(self.put())
        self.posting.update(self.own.change_files([], [each.name for each in files(10_000)]))
        self.run_for(5)
        lifetimes = [lifetime for _, _, value, lifetime in self.dht.done if value is None]
        self.assertEqual((set(self.put()), self.posting.waiting), (there, 0))
        self.assertGreater(min(lifetimes), lasts_s - 10)
        self.assertLessEqual(max(lifetimes), lasts_s)

    def test_changed_meanwhile(self) -> None:
        """What changes while it is being put is put once more."""
        self.begin(is_slow=True)
        self.posting.update(self.own.change_files([], ["f00000"]))
        self.put()
        for doing in self.dht.waiting:
            doing.callback(None)
        self.assertEqual([value for _, _, value, _ in self.dht.done], [None, None])

    def test_never_there(self) -> None:
        """What has gone before it was put is not deleted."""
        self.begin(is_member=False)
        self.posting.update(self.own.change_files([], ["f00000"]))
        self.dht.join()
        self.run_for(3)
        self.assertEqual((self.put(), self.posting.waiting), ([], 0))

    def test_trouble(self) -> None:
        """What nobody has room for, or nobody takes, is tried again, each time after a longer while."""
        self.begin(is_member=False)
        self.dht.trouble = [NotNow("full"), LinkClosed("nobody"), LinkClosed("nobody"), LinkClosed("nobody")]
        self.dht.join()
        self.run_for(0.2)
        self.assertEqual((len(self.put()), self.posting.waiting), (2, 2))
        self.run_for(2)
        self.assertEqual((len(self.put()), self.posting.waiting), (2, 2))
        self.run_for(9)
        self.assertEqual(self.put(), [])
        self.run_for(3)
        self.assertEqual((len(self.put()), self.posting.waiting), (2, 0))

    def test_withdrawn(self) -> None:
        """Who leaves deletes what it has put, first what others would come for."""
        self.begin()
        self.posting.update(self.own.set_items(["apple"]))
        self.put()
        self.successResultOf(self.posting.withdraw())
        self.assertEqual([value for _, _, value, _ in self.dht.done], [None] * 3)
        self.assertEqual([space for space, _ in self.put()][:2], [SELLERS, PROVIDERS])
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_withdrawing_takes_too_long(self) -> None:
        """Who leaves does not wait for long, however much it has put and whoever does not answer."""
        self.begin(40)
        self.run_for(10)
        self.dht.is_slow = True
        leaving = self.posting.withdraw()
        self.assertNoResult(leaving)
        self.run_for(WITHDRAWING_S + 0.1)
        self.successResultOf(leaving)
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """When it is stopped nothing is under way, and nothing is put any more."""
        self.begin(100, is_slow=True)
        self.posting.stop()
        self.assertEqual(self.node.clock.getDelayedCalls(), [])
        self.put()
        self.posting.update(self.own.change_files([], ["f00000"]))
        self.run_for(5)
        self.assertEqual(self.put(), [])
