"""What a node of a ring keeps is written down: one time after another, again after a fault, and at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.attacks import owned
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.entry import Entry
from twisted_bazaar.roles.ring.checkpoints import SAVE_S, Checkpoints
from twisted_bazaar.testing import FakeNode


class HandThreads(Clock):
    """Time, and threads whose work is done when the test says so.

    @ivar works: what waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.works: list[tuple[Callable[[bool, Any], None], Callable[[], Any]]] = []

    def getThreadPool(self) -> HandThreads:
        """The threads."""
        return self

    def callInThreadWithCallback(self, done: Callable[[bool, Any], None], work: Callable[..., Any], *args: Any) -> None:
        """Have something done."""
        self.works.append((done, lambda: work(*args)))

    def callFromThread(self, call: Callable[..., Any], *args: Any) -> None:
        """All is one thread here."""
        call(*args)

    def work(self) -> None:
        """Do the first of what waits."""
        done, work = self.works.pop(0)
        try:
            result = work()
        except OSError:
            done(False, Failure())
        else:
            done(True, result)


@define
class HandMemory:
    """What is written down, by hand.

    @ivar written: what each writing has had, by name.
    @ivar before: what was written when the node ran last.
    @ivar trouble: with what the next writings end.
    """

    written: list[list[str]] = field(factory=list)
    before: list[Entry] = field(factory=list)
    trouble: list[OSError] = field(factory=list)

    def keep(self, entries: Sequence[tuple[Entry, float]], now: float) -> None:
        """Write."""
        if self.trouble:
            raise self.trouble.pop(0)
        self.written.append([entry.kept.name for entry, _ in entries])

    def recall(self, now: float) -> Sequence[Sequence[tuple[Entry, float]]]:
        """Read."""
        return [[(entry, 60.0)] for entry in self.before]


class CheckpointsTests(SynchronousTestCase):
    """The checkpoints of one node."""

    def setUp(self) -> None:
        """Have a node that keeps things."""
        self.reactor = HandThreads()
        self.memory: Any = HandMemory()
        node = FakeNode()
        node.clock = self.reactor
        self.dht = DhtClient(RingMember())
        self.dht.start(node)
        self.checkpoints = Checkpoints(self.dht, self.memory)

    def begin(self) -> None:
        """Read what there was, and go on."""
        self.checkpoints.start(self.reactor)
        self.reactor.work()
        self.reactor.pump([0.0] * 4)

    def take(self, number: int) -> None:
        """Keep something more."""
        self.dht.keep(owned(number, f"n{number}"), None)

    def test_now_and_then(self) -> None:
        """What has changed is written after some seconds; what has not is not."""
        self.begin()
        self.take(1)
        self.reactor.advance(SAVE_S)
        self.reactor.work()
        self.reactor.advance(SAVE_S)
        self.assertEqual((self.memory.written, self.reactor.works), ([["n1"]], []))

    def test_at_the_end(self) -> None:
        """Stopping writes what there is, and waits for that; nothing is written any more then."""
        self.begin()
        self.take(1)
        stopping = self.checkpoints.stop()
        self.assertNoResult(stopping)
        self.reactor.work()
        self.successResultOf(stopping)
        self.assertEqual((self.memory.written, self.reactor.getDelayedCalls()), ([["n1"]], []))

    def test_one_after_another(self) -> None:
        """While something is being written nothing else is; stopping waits for both, and the newest stays."""
        self.begin()
        self.take(1)
        self.reactor.advance(SAVE_S)
        self.take(2)
        stopping = self.checkpoints.stop()
        self.assertEqual(len(self.reactor.works), 1)
        self.reactor.work()
        self.assertNoResult(stopping)
        self.reactor.work()
        self.successResultOf(stopping)
        self.assertEqual([sorted(names) for names in self.memory.written], [["n1"], ["n1", "n2"]])
        self.assertEqual((self.reactor.works, self.reactor.getDelayedCalls()), ([], []))

    def test_stopped_while_writing(self) -> None:
        """Though nothing has changed since, stopping waits for the writing that is under way."""
        self.begin()
        self.take(1)
        self.reactor.advance(SAVE_S)
        stopping = self.checkpoints.stop()
        self.assertNoResult(stopping)
        self.reactor.work()
        self.successResultOf(stopping)
        self.assertEqual(self.memory.written, [["n1"]])

    def test_again(self) -> None:
        """What could not be written is tried again, though nothing changes; it is logged once for several faults."""
        self.begin()
        self.take(1)
        self.memory.trouble = [OSError("full"), OSError("full")]
        for _ in range(3):
            self.reactor.advance(SAVE_S)
            self.reactor.work()
        self.assertEqual(self.memory.written, [["n1"]])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.successResultOf(self.checkpoints.stop())

    def test_fault_at_the_end(self) -> None:
        """That the last cannot be written is logged, and keeps nobody from stopping."""
        self.begin()
        self.take(1)
        self.memory.trouble = [OSError("full")]
        stopping = self.checkpoints.stop()
        self.reactor.work()
        self.successResultOf(stopping)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_recalls(self) -> None:
        """What was written before is kept again."""
        self.memory.before = [owned(1, "n1"), owned(2, "n2")]
        self.begin()
        self.assertEqual(len(self.dht.store), 2)

    def test_stopped_before_all_is_recalled(self) -> None:
        """Who never joined, or is stopped while it reads, leaves what was written as it is."""
        for is_joined in (False, True):
            self.setUp()
            self.memory.before = [owned(1, "n1"), owned(2, "n2")]
            if is_joined:
                self.checkpoints.start(self.reactor)
                self.reactor.work()
            self.successResultOf(self.checkpoints.stop())
            self.assertEqual((self.memory.written, self.reactor.works), ([], []))
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_nowhere(self) -> None:
        """Who has nowhere to write writes nothing."""
        checkpoints = Checkpoints(self.dht, None)
        checkpoints.start(self.reactor)
        self.successResultOf(checkpoints.stop())
        self.assertEqual((self.reactor.works, self.reactor.getDelayedCalls()), ([], []))
