"""What all links hold together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.node.links.link_bytes import LinkBytes


@define(eq=False)
class Holder:
    """A link that lets go of what it holds when it is cut off."""

    host: str
    held_bytes: int = 0
    is_cut: bool = False
    counted_by: LinkBytes | None = field(default=None, repr=False)
    on_abort: Callable[[], None] | None = None

    def abort(self) -> None:
        """Let go."""
        self.is_cut = True
        if self.on_abort is not None:
            self.on_abort()
        assert self.counted_by is not None
        self.counted_by.charge(self, -self.held_bytes)


@define(eq=False)
class Looked:
    """Links, and how often all of them were looked at."""

    holders: Sequence[Holder]
    times: int = 0

    def __iter__(self) -> Iterator[Holder]:
        self.times += 1
        return iter(self.holders)


class LinkBytesTests(SynchronousTestCase):
    """The cap holds, and falls on who holds most."""

    def holders(self, *hosts: str) -> Sequence[Holder]:
        """Links to these hosts, counted together up to 1000 bytes."""
        holders = [Holder(host) for host in hosts]
        self.counted = LinkBytes(1000, holders)
        for holder in holders:
            holder.counted_by = self.counted
        return holders

    def test_counted(self) -> None:
        """What is let go of is counted no more."""
        first, second = self.holders("a", "b")
        self.counted.charge(first, 400)
        self.counted.charge(second, 600)
        self.assertEqual((self.counted.total, first.held_bytes, second.held_bytes), (1000, 400, 600))
        self.counted.charge(first, -400)
        self.counted.charge(second, -600)
        self.assertEqual((self.counted.total, first.is_cut, second.is_cut), (0, False, False))

    def test_heaviest_host(self) -> None:
        """A host with many links pays for all of them: its heaviest goes, not the heaviest of all."""
        light, heavy, honest = self.holders("attacker", "attacker", "honest")
        self.counted.charge(honest, 350)
        self.counted.charge(light, 300)
        self.counted.charge(heavy, 340)
        self.counted.charge(light, 20)
        self.assertEqual([each.is_cut for each in (light, heavy, honest)], [False, True, False])
        self.assertEqual(self.counted.total, 670)

    def test_itself(self) -> None:
        """Who asks for more than there is goes itself, if it has most."""
        [only] = self.holders("a")
        self.counted.charge(only, 1001)
        self.assertEqual((only.is_cut, self.counted.total, only.held_bytes), (True, 0, 0))

    def test_never_above(self) -> None:
        """However many come and hold however much, the cap holds."""
        holders = self.holders(*[f"h{number % 7}" for number in range(50)])
        for number in range(2000):
            holder = holders[number * 17 % 50]
            self.counted.charge(holder, number % 93)
            self.assertLessEqual(self.counted.total, 1000)
            self.assertEqual(self.counted.total, sum(each.held_bytes for each in holders))

    def test_some_at_once(self) -> None:
        """Links are looked through once for many that go, and those of a host that holds less stay."""
        crowd = [Holder(f"h{number % 3}") for number in range(500)]
        honest = Holder("honest")
        holders = Looked([*crowd, honest])
        counted = LinkBytes(100_000, holders)
        for holder in (*crowd, honest):
            holder.counted_by = counted
            counted.charge(holder, 190)
        for holder in crowd:
            if not holder.is_cut:
                counted.charge(holder, 190)
                self.assertLessEqual(counted.total, 100_000)
        self.assertGreater(sum(each.is_cut for each in crowd), 100)
        self.assertLess(holders.times, 20)
        self.assertFalse(honest.is_cut)

    def test_meanwhile(self) -> None:
        """What is sent to others because one is cut off is counted, and they may go for it as well."""
        first, second = self.holders("a", "b")
        self.counted.charge(second, 400)
        first.on_abort = lambda: self.counted.charge(second, 700)
        self.counted.charge(first, 601)
        self.assertEqual((first.is_cut, second.is_cut, self.counted.total), (True, True, 0))
