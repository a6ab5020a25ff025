"""Streams over a way that loses, doubles, delays and damages what it carries."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.files.window.cases import Pair, Weather
from twisted_bazaar.files.window import Ended, Settings, Stream
from twisted_bazaar.files.window import stream as stream_module
from twisted_bazaar.files.window.receiver import Receiver
from twisted_bazaar.files.window.segment import ACK, ASK, HEAD_BYTES, RST, SYN, Segment, decode, encode

shares = st.sampled_from([0.0, 0.05, 0.2, 0.35])
weathers = st.builds(
    Weather,
    loss=shares,
    duplication=shares,
    reordering=shares,
    corruption=st.sampled_from([0.0, 0.05, 0.2]),
    latency_s=st.sampled_from([0.0001, 0.01, 0.15]),
)
PATIENT = {"open_s": 300.0, "stuck_s": 600.0, "silence_s": 600.0, "idle_s": 0.0}


def content(size: int, seed: int = 3) -> bytes:
    """Some bytes."""
    return random.Random(seed).randbytes(size)


class WeatherTests(SynchronousTestCase):
    """What arrives is what was sent."""

    @examples(80)
    @given(
        weather=weathers,
        seed=st.integers(0, 1 << 32),
        out_size=st.integers(0, 30_000),
        back_size=st.integers(0, 30_000),
        window=st.sampled_from([1, 2, 7, 1024]),
        mss=st.sampled_from([100, 536, 1140]),
    )
    def test_both_ways(self, weather: Weather, seed: int, out_size: int, back_size: int, window: int, mss: int) -> None:
        """Whatever datagrams are lost, doubled, overtaken and damaged, both ends get all bytes, in order, once."""
        out, back = content(out_size), content(back_size, 4)
        near = Settings(window=window, mss=mss, **PATIENT)
        pair = Pair(weather, seed, near, Settings(**PATIENT))
        pair.far_says = back
        pair.near.write(out, 0.0)
        pair.run(600.0)
        self.assertEqual((len(pair.far_heard), pair.far_heard == out), (out_size, True))
        self.assertEqual((len(pair.near_heard), pair.near_heard == back), (back_size, True))

    @examples(60)
    @given(weather=weathers, seed=st.integers(0, 1 << 32), size=st.integers(0, 20_000))
    def test_closing(self, weather: Weather, seed: int, size: int) -> None:
        """Who closes says everything first; who has heard everything knows that it has, and both end."""
        out = content(size)
        pair = Pair(weather, seed, Settings(**PATIENT), Settings(**PATIENT))
        pair.far_says, pair.far_closes = out, True
        pair.near.write(b"hello", 0.0)
        pair.run(600.0)
        self.assertEqual(pair.near_heard == out, True)
        assert pair.far is not None
        self.assertEqual((pair.near.ended, pair.far.ended), (Ended.HEARD_ALL, Ended.CLOSED))

    @examples(40)
    @given(weather=weathers, seed=st.integers(0, 1 << 32), pieces=st.lists(st.integers(1, 5000), max_size=12))
    def test_pieces(self, weather: Weather, seed: int, pieces: list[int]) -> None:
        """It does not matter in which pieces, or when, something is written."""
        whole = content(sum(pieces))
        pair = Pair(weather, seed, Settings(**PATIENT), Settings(**PATIENT))
        at = 0
        for size in pieces:
            pair.near.write(whole[at : at + size], pair.now)
            at += size
            pair.run(pair.rng.random() * 0.1)
        pair.run(600.0)
        self.assertEqual(pair.far_heard == whole, True)


class PlantedTests(SynchronousTestCase):
    """The checks catch streams that do not keep their promise; a check that has never failed proves nothing."""

    def heard(self, weather: Weather, read: Callable[[bytes], Segment | None] = decode) -> bytes:
        """What comes of what was sent."""
        pair = Pair(weather, 1, Settings(**PATIENT), Settings(**PATIENT), read)
        pair.near.write(content(30_000), 0.0)
        pair.run(60.0)
        return pair.far_heard

    def test_without_checksum(self) -> None:
        """Who believes damaged segments gets something else than was sent, or nothing."""

        def believing(data: bytes) -> Segment | None:
            return decode(data[:2] + crc32(data[6:], data[1]).to_bytes(4, "big") + data[6:])

        weather = Weather(corruption=0.05)
        self.assertEqual(self.heard(weather) == content(30_000), True)
        self.assertEqual(self.heard(weather, believing) == content(30_000), False)

    def test_without_order(self) -> None:
        """Who takes segments as they come gets them in another order."""

        class Hasty(Receiver):
            def receive(self, offset: int, payload: bytes, is_last: bool, number: int, asks: bool, now: float) -> None:
                super().receive(self.next, payload, is_last, number, asks, now)

        self.patch(stream_module, "Receiver", Hasty)
        self.assertEqual(self.heard(Weather(reordering=0.2)) == content(30_000), False)


class CalmTests(SynchronousTestCase):
    """On a way that only takes its time."""

    def test_nothing_needless(self) -> None:
        """Nothing is sent twice, and the other end says in a few segments what has come."""
        pair = Pair()
        pair.near.write(content(1_000_000), 0.0)
        pair.run(5.0)
        counters = pair.near.counters
        self.assertEqual((len(pair.far_heard), counters.resent, counters.timeouts), (1_000_000, 0, 0))
        assert pair.far is not None
        self.assertLess(pair.far.counters.acks, counters.sent / 4)

    def test_opening_takes_three_steps(self) -> None:
        """SYN, its answer, and what is to be said: the second is not longer than the first."""
        pair = Pair()
        pair.near.write(b"hello", 0.0)
        pair.run(0.1)
        first, second, third = pair.log[:3]
        flags = [decode(each[2]).flags & (SYN | ACK) for each in (first, second, third)]  # type: ignore[union-attr]
        self.assertEqual(flags, [SYN, SYN | ACK, ACK])
        self.assertLessEqual(len(second[2]), len(first[2]))
        self.assertEqual((pair.far_heard, round(third[0], 3)), (b"hello", 0.02))

    def test_first_byte(self) -> None:
        """Each datagram begins with a byte with which no JSON does."""
        pair = Pair()
        pair.near.write(content(10_000), 0.0)
        pair.run(1.0)
        pair.near.close(pair.now)
        pair.run(1.0)
        self.assertEqual({each[2][0] for each in pair.log}, {0x11})

    def test_longest(self) -> None:
        """No datagram is longer than those that get through everywhere."""
        pair = Pair()
        pair.near.write(content(100_000), 0.0)
        pair.run(1.0)
        self.assertLessEqual(max(len(each[2]) for each in pair.log), 1200)

    def test_round_trip_of_who_speaks_first(self) -> None:
        """What the called end measures is a round trip, though the other has said much before it heard anything."""
        pair = Pair()
        pair.near.write(content(500_000), 0.0)
        pair.far_says = content(50_000)
        pair.run(2.0)
        assert pair.far is not None
        for stream in (pair.near, pair.far):
            self.assertAlmostEqual(stream.sender.round_trip.least_s, 0.02, 3)

    def test_smaller_of_two(self) -> None:
        """A segment has no more bytes than the other end takes."""
        pair = Pair(far=Settings(mss=200))
        pair.near.write(content(10_000), 0.0)
        pair.run(1.0)
        self.assertEqual(len(pair.far_heard), 10_000)
        self.assertLessEqual(max(len(each[2]) for each in pair.log), 200 + HEAD_BYTES + 10)


class StopAndWaitTests(SynchronousTestCase):
    """A window of one segment."""

    def sent_at(self, pair: Pair) -> list[float]:
        """When segments with bytes of the stream went out."""
        return [
            at
            for at, to_far, data in pair.log
            if to_far and (segment := decode(data)) is not None and not segment.flags & SYN and segment.payload
        ]

    def test_one_at_a_time(self) -> None:
        """Each segment waits until the one before is acknowledged."""
        pair = Pair(near=Settings(window=1, mss=500))
        pair.near.write(content(5000), 0.0)
        pair.run(2.0)
        times = self.sent_at(pair)
        self.assertEqual((len(times), pair.near.counters.resent), (10, 0))
        self.assertEqual([round(later - earlier, 3) for earlier, later in pairwise(times)], [0.02] * 9)

    def test_of_the_other_end(self) -> None:
        """It is enough that one of both ends has such a window."""
        pair = Pair(far=Settings(window=1, mss=500))
        pair.near.write(content(5000), 0.0)
        pair.run(2.0)
        times = self.sent_at(pair)
        self.assertEqual([round(later - earlier, 3) for earlier, later in pairwise(times)], [0.02] * 9)

    def test_loss(self) -> None:
        """What is lost is sent again after a time that follows from the round trips."""
        pair = Pair(near=Settings(window=1, mss=500))
        pair.near.write(content(5000), 0.0)
        pair.run(0.1)
        pair.weather = Weather(loss=1.0)
        pair.run(0.03)
        pair.weather = Weather()
        before = pair.now
        pair.run(1.0)
        self.assertEqual((len(pair.far_heard), pair.near.counters.resent), (5000, 1))
        again = next(at for at in self.sent_at(pair) if at >= before)
        self.assertLess(again - before, 0.08)


class DropTests(SynchronousTestCase):
    """Datagrams thrown away on purpose."""

    def test_drop(self) -> None:
        """The share that was asked for is thrown away, and everything arrives."""
        pair = Pair(near=Settings(drop=0.1))
        pair.near.write(content(1_000_000), 0.0)
        pair.run(20.0)
        counters = pair.near.counters
        self.assertEqual(len(pair.far_heard), 1_000_000)
        self.assertTrue(0.07 < counters.dropped / (counters.sent + counters.resent) < 0.13, counters)

    def test_log(self) -> None:
        """What is sent, sent again, thrown away, acknowledged and received is told, with its place in the stream."""
        told: list[tuple[str, float, int, int, int]] = []
        pair = Pair(near=Settings(drop=0.2, mss=500))
        pair.near = Stream(
            Settings(drop=0.2, mss=500), b"the-near", pair.rng, 0.0, watcher=lambda *event: told.append(event)
        )
        pair.near.write(content(20_000), 0.0)
        pair.far_says = b"welcome"
        pair.run(5.0)
        first = {offset for event, _, offset, _, _ in told if event in ("snd", "drop")}
        self.assertEqual(first, set(range(0, 20_000, 500)))
        self.assertEqual({event for event, *_ in told}, {"snd", "rtx", "drop", "ack", "rcv"})
        self.assertEqual([event[0:1] + event[2:] for event in told if event[0] == "rcv"], [("rcv", 0, 7, 7)])
        acks = [ack for event, _, _, _, ack in told if event == "ack"]
        self.assertEqual((acks, acks[-1]), (sorted(acks), 20_000))


class FlowTests(SynchronousTestCase):
    """An end that does not read."""

    def test_window(self) -> None:
        """Who does not read is sent no more than it keeps, and the rest when it reads on."""
        pair = Pair(far=Settings(window=10, mss=1000))
        pair.is_far_reading = False
        pair.near.write(content(50_000), 0.0)
        pair.run(10.0)
        self.assertEqual(pair.near.unsent_bytes, 40_000)
        pair.is_far_reading = True
        pair.run(10.0)
        self.assertEqual((len(pair.far_heard), pair.near.ended), (50_000, None))

    def test_lost_opening_of_the_window(self) -> None:
        """The word that there is room again may get lost."""
        pair = Pair(far=Settings(window=10, mss=1000))
        pair.is_far_reading = False
        pair.near.write(content(50_000), 0.0)
        pair.run(3.0)
        pair.weather = Weather(loss=1.0)
        pair.is_far_reading = True
        pair.run(0.5)
        pair.weather = Weather()
        pair.run(10.0)
        self.assertEqual(len(pair.far_heard), 50_000)


class EndTests(SynchronousTestCase):
    """How streams end that do not come to their end."""

    def test_nobody(self) -> None:
        """Who is never answered gives up, and has called a few times only."""
        pair = Pair(Weather(loss=1.0), near=Settings(open_s=10.0))
        pair.run(60.0)
        self.assertEqual((pair.near.ended, round(pair.now, 1)), (Ended.UNANSWERED, 60.0))
        self.assertLess(len(pair.log), 8)

    def test_never_acknowledged(self) -> None:
        """A transfer that is never acknowledged ends, and is not sent over and over meanwhile."""
        pair = Pair()
        pair.near.write(b"hello", 0.0)
        pair.run(0.5)
        pair.weather = Weather(loss=1.0)
        began, sent = pair.now, len(pair.log)
        pair.near.write(content(1_000_000), pair.now)
        pair.run(120.0)
        self.assertEqual(pair.near.ended, Ended.STUCK)
        assert pair.far is not None
        self.assertEqual(pair.far.ended, Ended.SILENT)
        times = [at for at, to_far, _ in pair.log[sent:] if to_far]
        self.assertLess(max(times) - began, 20.1)
        self.assertLess(len(times), 80)

    def test_few_ranges(self) -> None:
        """Of what is never acknowledged it is the first that goes again, each time: a receiver may keep nothing else.

        One that takes bytes in order only has all of them soon, though the first of them are lost over and over.
        """
        pair = Pair()
        pair.near.write(b"hello", 0.0)
        pair.run(0.5)
        near, now = pair.near, pair.now
        near.write(content(100_000), now)
        seen: set[int] = set()
        again: list[int] = []
        while now < pair.now + 8:
            for data in near.datagrams(now):
                segment = decode(data)
                assert segment is not None
                again += [segment.offset] * (segment.offset in seen)
                seen.add(segment.offset)
            now = max(now + 0.001, near.next_at(now))
        self.assertGreater(len(seen), 3)
        self.assertGreater(len(again), 3)
        self.assertEqual(set(again), {5})
        taken, began = 5, now
        while taken < 100_005 and now < began + 18:
            now = max(now + 0.001, near.next_at(now))
            said = None
            for data in near.datagrams(now):
                segment = decode(data)
                assert segment is not None
                if segment.offset == taken and segment.payload:
                    taken += len(segment.payload)
                    said = decode(encode(ACK, near.own_id, 0, 0, taken, 200_000, segment.number, 0))
            if said is not None:
                near.receive(said, now + 0.001)
        self.assertEqual(taken, 100_005)
        self.assertLess(now - began, 10)

    def test_probes_answered_but_nothing_taken(self) -> None:
        """Who answers, but never says that anything has come, does not keep a transfer alive."""
        pair = Pair()
        pair.near.write(b"hello", 0.0)
        pair.run(0.5)
        near = pair.near
        near.write(content(10_000), pair.now)
        sent = 0
        for second in range(60):
            sent += len(list(near.datagrams(pair.now + second)))
            if near.ended is not None:
                break
            said = decode(encode(ACK, near.own_id, 0, 0, 5, 100_000, 0, 0))
            assert said is not None
            near.receive(said, pair.now + second)
        self.assertEqual(near.ended, Ended.STUCK)
        self.assertLess(sent, 60)

    def test_silence(self) -> None:
        """Ends that have nothing to say ask each other; who is gone is found out."""
        pair = Pair()
        pair.near.write(b"hello", 0.0)
        pair.run(120.0)
        self.assertEqual(pair.near.ended, None)
        pair.weather = Weather(loss=1.0)
        pair.run(60.0)
        assert pair.far is not None
        self.assertEqual((pair.near.ended, pair.far.ended), (Ended.SILENT, Ended.SILENT))

    def test_idle(self) -> None:
        """A stream over which nothing is said for long ends, though both ends live."""
        pair = Pair()
        pair.near.write(b"hello", 0.0)
        pair.run(310.0)
        self.assertEqual(pair.near.ended, Ended.IDLE)

    def test_reset(self) -> None:
        """Who is told that it is over says nothing more."""
        pair = Pair()
        pair.near.write(b"hello", 0.0)
        pair.run(0.5)
        assert pair.far is not None
        farewell = pair.near.abort()
        assert farewell is not None
        pair.send(farewell, to_far=True)
        pair.run(1.0)
        self.assertEqual((pair.near.ended, pair.far.ended), (Ended.ABORTED, Ended.RESET))
        self.assertEqual(list(pair.far.datagrams(pair.now)), [])

    def test_refused(self) -> None:
        """Who is told so before it is open is refused."""
        pair = Pair()
        said = decode(encode(RST, pair.near.own_id, 0, 0, 0, 0, 0, 0))
        assert said is not None
        pair.near.receive(said, 0.0)
        self.assertEqual(pair.near.ended, Ended.REFUSED)


class SmallPiecesTests(SynchronousTestCase):
    """Many small segments to an end that does not read."""

    def test_room(self) -> None:
        """They take no more room than what is in them."""
        pair = Pair(far=Settings(window=64, mss=1000))
        pair.near.write(b"hello", 0.0)
        pair.run(0.5)
        far = pair.far
        assert far is not None
        for offset in range(5, 60_005, 2):
            said = decode(encode(ACK, far.own_id, offset, 9, 0, 0, 0, 0, b"xx"))
            assert said is not None
            far.receive(said, pair.now)
        self.assertLess(len(far._receiver._ready), 250)
        self.assertEqual(far.read(pair.now), b"x" * 60_000)


class LiarTests(SynchronousTestCase):
    """Segments of somebody who does not keep to the rules."""

    def open(self, **options: object) -> Pair:
        pair = Pair(far=Settings(**options))  # type: ignore[arg-type]
        pair.near.write(b"hello", 0.0)
        pair.run(0.5)
        return pair

    def test_acknowledges_too_much(self) -> None:
        """What was never sent cannot have come."""
        pair = self.open()
        said = decode(encode(ACK, pair.near.own_id, 0, 0, 1_000_000, 100_000, 0, 0))
        assert said is not None
        pair.near.receive(said, pair.now)
        pair.near.write(content(5000), pair.now)
        pair.run(1.0)
        self.assertEqual((pair.near.counters.unwanted, len(pair.far_heard)), (1, 5005))

    def test_beyond_the_window(self) -> None:
        """What there is no room for is not kept."""
        pair = self.open(window=4, mss=1000)
        far = pair.far
        assert far is not None
        for offset in (5 + 4000, 1 << 40, (1 << 64) - 500):
            said = decode(encode(ACK | ASK, far.own_id, offset, 9, 0, 0, 0, 0, bytes(500)))
            assert said is not None
            far.receive(said, pair.now)
        self.assertEqual((far.counters.unwanted, far.read(pair.now)), (3, b""))

    def test_many_small_pieces(self) -> None:
        """Bytes with gaps between them do not fill more than the window is for."""
        pair = self.open(window=64, mss=1000)
        far = pair.far
        assert far is not None
        for offset in range(6, 60_000, 2):
            said = decode(encode(ACK, far.own_id, offset, 9, 0, 0, 0, 0, b"x"))
            assert said is not None
            far.receive(said, pair.now)
        self.assertLess(far.counters.received, 250)
        # What is honest of that stream does not fit to it any more, and it ends.
        pair.near.write(content(50_000), pair.now)
        pair.run(30.0)
        self.assertEqual(pair.near.ended, Ended.STUCK)

    @examples(200)
    @given(
        flags=st.integers(0, 255),
        offset=st.integers(0, (1 << 64) - 1) | st.integers(0, 50),
        number=st.integers(0, (1 << 32) - 1),
        ack=st.integers(0, 50) | st.integers(0, (1 << 64) - 1),
        window=st.integers(0, (1 << 32) - 1),
        echo=st.integers(0, 50) | st.integers(0, (1 << 32) - 1),
        delay=st.integers(0, 65_535),
        payload=st.binary(max_size=40),
        gaps=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=8),
    )
    def test_anything(
        self,
        flags: int,
        offset: int,
        number: int,
        ack: int,
        window: int,
        echo: int,
        delay: int,
        payload: bytes,
        gaps: list[tuple[int, int]],
    ) -> None:
        """No segment, whatever stands in it, raises anything, or keeps a stream from going on until it ends."""
        pair = self.open()
        ranges = [(ack + first, ack + end) for first, end in gaps]
        for stream in (pair.near, pair.far):
            assert stream is not None
            stream.write(content(3000), pair.now)
            list(stream.datagrams(pair.now))
            said = decode(encode(flags, stream.own_id, offset, number, ack, window, echo, delay, payload, ranges))
            assert said is not None
            stream.receive(said, pair.now)
            if stream.ended is None:
                list(stream.datagrams(pair.now))
                stream.close(pair.now)
        pair.run(60.0)
        self.assertTrue(pair.is_over)
