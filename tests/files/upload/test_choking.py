"""Promises of upload slots: shared fairly by hosts, and kept by those who make progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.upload.choking import LEASE_S, Choker, Progress, Verdict

CHUNK = 1 << 20
STEP_S = 0.1

# A host, the rate at which it reads, so many connections that it opens, and the seconds until the next comes.
STEPS = st.tuples(st.integers(0, 5), st.sampled_from([0.0, 4e3, 7e4, 2e7]), st.integers(1, 9), st.floats(0.0, 3.0))


@define(eq=False)
class Reader:
    """Somebody who asks without end, and takes so many bytes a second.

    @ivar waits_s: how long it has waited for each of its slots.
    @ivar chunks: how many chunks it has got, whole.
    """

    name: str
    host: str
    rate: float
    taken: float = 0.0
    of_chunk: float = 0.0
    since_chunk: float = 0.0
    waits_since: float = 0.0
    waits_s: list[float] = Factory(list)
    chunks: int = 0


class Source:
    """Serves readers, whose rates alone say how fast it goes."""

    def __init__(self, slots: int = 4) -> None:
        self.now = 0.0
        self.choker: Choker[Reader] = Choker(slots, self.progress)
        self.readers: list[Reader] = []
        self.verdicts: list[tuple[Verdict, str]] = []
        self.holders: set[Reader] = set()

    def progress(self, reader: Reader) -> Progress:
        return Progress(int(reader.taken), self.now - reader.since_chunk)

    def add(self, host: str, rate: float, count: int = 1) -> list[Reader]:
        """Some readers of one host begin to ask."""
        added = [Reader(f"{host}{number}", host, rate) for number in range(count)]
        self.readers += added
        for reader in added:
            self.enter(reader)
        return added

    def enter(self, reader: Reader) -> None:
        reader.waits_since = self.now
        reader.of_chunk = 0.0
        self.choker.enqueue(reader, reader.host)
        self.decide()

    def decide(self) -> None:
        for verdict, reader in self.choker.assign_slots(self.now):
            self.verdicts.append((verdict, reader.name))
            (self.holders.add if verdict is Verdict.UNCHOKE else self.holders.discard)(reader)
            if verdict is Verdict.UNCHOKE and reader.waits_since <= self.now:
                reader.waits_s.append(self.now - reader.waits_since)
                reader.since_chunk = self.now
                reader.waits_since = float("inf")
            elif verdict is Verdict.CHOKE:
                reader.of_chunk = 0.0
                reader.waits_since = self.now

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            for reader in self.readers:
                if self.choker.serves(reader):
                    self.read(reader)
            self.decide()

    def read(self, reader: Reader) -> None:
        reader.taken += reader.rate * STEP_S
        reader.of_chunk += reader.rate * STEP_S
        while reader.of_chunk >= CHUNK and self.choker.serves(reader):
            reader.of_chunk -= CHUNK
            reader.chunks += 1
            reader.since_chunk = self.now
            if self.choker.chunk_sent(reader, self.now):
                self.choker.remove(reader)
                self.holders.discard(reader)
                self.enter(reader)

    def longest_wait_s(self, reader: Reader) -> float:
        """The longest that somebody has waited for a slot, or waits."""
        return max((*reader.waits_s, self.now - reader.waits_since if self.choker.waits(reader) else 0.0))


class ChokerTests(SynchronousTestCase):
    """Who is served and who waits."""

    def choker(self, slots: int) -> Choker[str]:
        """One that sees only good readers."""
        return Choker(slots, lambda asker: Progress(0, 0.0))

    def test_first_come(self) -> None:
        """Slots go to those who came first; the others wait in line."""
        choker = self.choker(2)
        for asker in "abcd":
            choker.enqueue(asker, asker)
        self.assertEqual(choker.assign_slots(0), [(Verdict.UNCHOKE, "a"), (Verdict.UNCHOKE, "b")])
        self.assertEqual((choker.queue_position("c"), choker.queue_position("d"), choker.busy), (0, 1, 4))
        choker.remove("a")
        self.assertEqual(choker.assign_slots(1), [(Verdict.UNCHOKE, "c")])
        self.assertTrue(choker.serves("c") and choker.waits("d"))

    def test_one_host_alone(self) -> None:
        """As long as nobody else asks, one host has all slots, and more connections of it take none from the others."""
        choker = self.choker(4)
        for number in range(9):
            choker.enqueue(f"x{number}", "x")
        self.assertEqual(choker.assign_slots(0), [(Verdict.UNCHOKE, f"x{number}") for number in range(4)])
        self.assertEqual(choker.assign_slots(100), [])

    def test_no_more_for_more_connections(self) -> None:
        """A host with many connections has no more slots than another, as soon as that asks; it finishes a chunk."""
        choker = self.choker(4)
        for number in range(9):
            choker.enqueue(f"x{number}", "x")
        choker.assign_slots(0)
        for number in range(3):
            choker.enqueue(f"y{number}", "y")
        gone = [(Verdict.FINISH, "x3"), (Verdict.UNCHOKE, "y0"), (Verdict.FINISH, "x2"), (Verdict.UNCHOKE, "y1")]
        self.assertEqual(choker.assign_slots(0.1), gone)
        self.assertTrue(choker.serves("x3"))
        self.assertTrue(choker.chunk_sent("x3", 0.2))
        self.assertEqual(choker.assign_slots(0.2), [])

    def test_turns(self) -> None:
        """A turn ends after 8 chunks or 2 s, if anybody waits."""
        choker = self.choker(1)
        choker.enqueue("a", "a")
        choker.assign_slots(0)
        self.assertFalse(any(choker.chunk_sent("a", 0) for _ in range(9)))
        choker.enqueue("b", "b")
        self.assertTrue(choker.chunk_sent("a", 1))
        choker.remove("a")
        choker.assign_slots(1)
        choker.enqueue("a", "a")
        self.assertFalse(choker.chunk_sent("b", 2.9))
        self.assertTrue(choker.chunk_sent("b", 3))

    def test_lease(self) -> None:
        """Who lets the source wait for half a second while others wait finishes beside the slots; not sooner."""
        source = Source(slots=1)
        source.add("slow", 4096)
        source.add("fast", 100 * CHUNK)
        source.run(LEASE_S - STEP_S)
        self.assertEqual(source.verdicts, [(Verdict.UNCHOKE, "slow0")])
        source.run(STEP_S)
        self.assertEqual(source.verdicts[1:], [(Verdict.FINISH, "slow0"), (Verdict.UNCHOKE, "fast0")])
        self.assertEqual(source.longest_wait_s(source.readers[1]), LEASE_S)

    def test_slots_come_back(self) -> None:
        """Who finishes beside the slots has one again as soon as nobody waits."""
        source = Source(slots=1)
        source.add("slow", 4096)
        [fast] = source.add("fast", 100 * CHUNK)
        source.run(0.55)
        source.choker.remove(fast)
        source.readers.remove(fast)
        source.verdicts.clear()
        source.run(5)
        self.assertEqual(source.verdicts, [(Verdict.UNCHOKE, "slow0")])


class HonestAskerTests(SynchronousTestCase):
    """What others can do to who asks as it should."""

    def attacks(self) -> Iterator[Source]:
        """Sources whose slots are all held, each by others who try to keep them."""
        for rate in (0.0, 4096.0, 70_000.0):
            for hosts, connections in ((1, 8), (8, 8), (30, 2)):
                source = Source()
                for number in range(hosts):
                    source.add(f"held{number}-", rate, connections)
                source.run(30)
                yield source

    def test_waits_less_than_two_seconds(self) -> None:
        """Whoever holds the slots, an honest asker has one in less than 2 s, each time it asks, also when those are
        tried again that were slow long ago."""
        for source in self.attacks():
            [honest] = source.add("honest", 50 * CHUNK)
            source.run(90)
            self.assertLess(source.longest_wait_s(honest), 2.0)
            self.assertGreater(honest.chunks, 1000)

    def test_slow_link(self) -> None:
        """A phone at 20 KB/s gets whole chunks while others hold what they can, and keeps nobody from a slot."""
        for source in self.attacks():
            [phone] = source.add("phone", 20_480)
            [honest] = source.add("honest", 50 * CHUNK)
            source.run(240)
            self.assertGreaterEqual(phone.chunks, 2)
            self.assertLess(source.longest_wait_s(honest), 2.0)

    def test_turn_of_hosts(self) -> None:
        """Among those who use their slots, hosts take turns of two seconds, however many connections each has."""
        source = Source()
        for number in range(8):
            source.add(f"busy{number}-", 3.0 * CHUNK, 8)
        source.run(10)
        [lone] = source.add("lone", 3.0 * CHUNK)
        source.run(60)
        self.assertLess(source.longest_wait_s(lone), 7.0)
        others = sum(reader.chunks for reader in source.readers if reader is not lone) / 70 * 60
        self.assertGreater(lone.chunks, 0.7 * others / 8)

    def test_everybody_slow(self) -> None:
        """Where a narrow way makes all equally slow, nobody is pushed out in the middle of a chunk but who tries."""
        source = Source()
        for number in range(40):
            source.add(f"h{number}-", 20_480)
        source.run(600)
        served = sum(reader.chunks for reader in source.readers)
        # Sixteen at a time, of which one may be the one that tries.
        self.assertGreaterEqual(served, 15 * (600 * 20_480 // CHUNK))

    @given(st.lists(STEPS, max_size=12), st.integers(1, 5))
    def test_room(self, steps: list[tuple[int, float, int, float]], slots: int) -> None:
        """Whoever comes, no more are served than there is room for, and no slot is free while somebody waits."""
        source = Source(slots)
        for number, rate, count, seconds in steps:
            source.add(str(number), rate, count)
            source.run(seconds)
            self.assertLessEqual(len(source.holders), slots)
            self.assertLessEqual(sum(map(source.choker.serves, source.readers)), 4 * slots)
            if source.choker.has_line:
                self.assertEqual(len(source.holders), slots)

    @given(st.lists(STEPS, max_size=12), st.integers(1, 5))
    def test_max_min_fair(self, steps: list[tuple[int, float, int, float]], slots: int) -> None:
        """Of those who use what they have, no host holds two slots more than one that waits."""
        source = Source(slots)
        for number, _, count, seconds in steps:
            source.add(str(number), 20 * CHUNK, count)
            source.run(seconds)
            held = Counter(reader.host for reader in source.holders)
            waiting = {reader.host for reader in source.readers if source.choker.waits(reader)}
            if waiting:
                self.assertLessEqual(max(held.values()), min(held[host] for host in waiting) + 1)
