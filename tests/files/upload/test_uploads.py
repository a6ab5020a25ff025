"""Promises of those who serve files: what is said in which order, who is served when, and what is not put up with."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from twisted.internet.task import Clock

from tests.files.cases import MIB, Asker, Site, TransferTestCase, Wire
from twisted_bazaar.errors import FileChanged, StorageError
from twisted_bazaar.files.chunks import Manifest
from twisted_bazaar.files.memory import MemoryContent, MemoryShare
from twisted_bazaar.files.messages import Fetch
from twisted_bazaar.files.upload.uploads import Uploads
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.framing import frame

_SMALL_BYTES: Final = 1000


class NarrowWire(Wire):
    """A transport that is full with each piece."""

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(data) > _SMALL_BYTES:
            self.producer.pauseProducing()

    def writeSequence(self, data: Sequence[bytes]) -> None:
        self.write(b"".join(data))


class SlowWire(NarrowWire):
    """One that says how much it has not got rid of."""

    unsent_bytes = 0

    def write(self, data: bytes) -> None:
        self.unsent_bytes += len(data)
        super().write(data)


class DialogueTests(TransferTestCase):
    """One asker and one source."""

    def test_whole_dialogue(self) -> None:
        """The manifest comes first, then digests, a slot and chunks, each when it is asked for."""
        asker = self.asker(self.site(1))
        self.assertEqual(asker.heard, [{"type": "manifest", "size": self.size, "root": self.manifest.root}])
        asker.tell("digests", first=1, count=2)
        asker.tell("queue")
        self.network.run(0.1)
        self.assertEqual(asker.binary, [b"\x01\x00\x00\x00\x01" + self.manifest.chunk_digests[32:96]])
        self.assertEqual(asker.heard[1:], [{"type": "go"}])
        asker.binary.clear()
        asker.tell("want", chunk=3)
        asker.tell("want", chunk=0)
        self.network.run(2)
        self.assertEqual(asker.binary[0], b"\x02\x00\x00\x00\x03\x00\x00\x00\x00" + self.bytes[3 * MIB :])
        pieces = [(int.from_bytes(each[1:5], "big"), int.from_bytes(each[5:9], "big")) for each in asker.binary[1:]]
        self.assertEqual({chunk for chunk, _ in pieces}, {0})
        sizes = [len(each) - 9 for each in asker.binary[1:]]
        self.assertEqual([offset for _, offset in pieces], [sum(sizes[:number]) for number in range(len(sizes))])
        self.assertEqual(b"".join(each[9:] for each in asker.binary[1:]), self.bytes[:MIB])

    def test_no_such_file(self) -> None:
        """What is not here is said so, and the connection ends."""
        asker = self.asker(self.site(1), "ab" * 32)
        self.assertEqual([(each["type"], each["code"]) for each in asker.heard], [("failed", "nofile")])
        self.assertTrue(asker.is_closed)

    def test_part_of_a_file(self) -> None:
        """Who has a part says which, and what comes in meanwhile."""
        content = MemoryContent(self.manifest, self.bytes, is_whole=False)
        content.grow(1)
        asker = self.asker(self.site(1, content))
        self.assertEqual(asker.heard[0]["whole"], False)
        self.assertEqual(asker.binary, [b"\x03\x00\x00\x00\x00\x40"])
        content.grow(3)
        content.grow(0)
        self.network.run(0.2)
        self.assertEqual(asker.heard[1:], [{"type": "have", "chunks": [3, 0]}])
        asker.tell("queue")
        asker.tell("want", chunk=3)
        self.network.run(0.5)
        self.assertEqual(asker.file_bytes, 5)

    def test_rules(self) -> None:
        """Who breaks the rules is told which, and shown out; the others go on."""
        site = self.site(1)
        other = self.asker(site)
        for name, keys in (
            ("want", {"chunk": 4}),
            ("want", {"chunk": -1}),
            ("digests", {"first": 3, "count": 2}),
            ("digests", {"first": 0, "count": 2001}),
            ("nonsense", {}),
            ("manifest", {"size": 1, "root": "ab" * 32}),
        ):
            asker = self.asker(site)
            asker.tell("queue")
            asker.tell(name, **keys)
            self.network.run(0.5)
            self.assertEqual((asker.last("failed")["code"], asker.is_closed), ("wtf", True), name)
        for garbage in (b"x", b"5000:", b"2:\x02a,", b"2:abc"):
            asker = self.asker(site)
            asker.transport.write(garbage)
            self.network.run(0.5)
            self.assertEqual((asker.types()[-1], asker.is_closed), ("failed", True), garbage)
        self.assertFalse(other.is_closed)

    def test_too_many_wants(self) -> None:
        """No more than 8 chunks are wanted at once."""
        asker = self.asker(self.site(1, rate=1000))
        asker.tell("queue")
        self.network.run(0.1)
        for _ in range(12):
            asker.tell("want", chunk=0)
        self.network.run(1)
        self.assertEqual(asker.last("failed")["code"], "wtf")

    def test_wants_without_a_slot(self) -> None:
        """Who has had a slot gets nothing when it has none, and no blame: the two words may have crossed."""
        asker = self.asker(self.site(1))
        asker.tell("queue")
        self.network.run(0.1)
        asker.tell("pass")
        asker.tell("want", chunk=0)
        self.network.run(1)
        self.assertEqual((asker.binary, asker.is_closed), ([], False))

    def test_wants_before_any_slot(self) -> None:
        """Nothing can have crossed before the first slot: who wants something then is told so, and shown out."""
        asker = self.asker(self.site(1))
        asker.tell("want", chunk=0)
        self.network.run(1)
        self.assertEqual(
            (asker.last("failed"), asker.is_closed),
            ({"type": "failed", "code": "wtf", "info": "want: there was no go yet; queue first"}, True),
        )

    def test_version(self) -> None:
        """Who speaks another version is told which is spoken here."""
        asker = self.asker(self.site(1), version=2)
        self.assertEqual((asker.last("failed")["code"], asker.is_closed), ("version", True))


class FaultTests(TransferTestCase):
    """What can go wrong with the file."""

    def test_changed(self) -> None:
        """A file that changes ends the transfer with a clear word, and its owner hears of it."""
        content = MemoryContent(self.manifest, self.bytes)
        site = self.site(1, content)
        asker = self.asker(site)
        asker.tell("queue")
        content.fault = FileChanged("big.iso has changed")
        asker.tell("want", chunk=0)
        self.network.run(1)
        self.assertEqual(asker.last("failed"), {"type": "failed", "code": "changed", "info": "big.iso has changed"})
        self.assertEqual(site.role.changed_files, [self.manifest.digest])
        self.assertTrue(asker.is_closed)

    def test_unreadable(self) -> None:
        """A disk that fails is no secret, but its paths are."""
        content = MemoryContent(self.manifest, self.bytes)
        asker = self.asker(self.site(1, content))
        asker.tell("queue")
        content.fault = StorageError("/home/me/x: Input/output error")
        asker.tell("want", chunk=0)
        self.network.run(1)
        self.assertEqual(asker.last("failed")["code"], "disk")
        self.assertNotIn("home", asker.last("failed")["info"])


class SlotTests(TransferTestCase):
    """Few are served at once, and all in turn."""

    def test_line(self) -> None:
        """Who comes fifth waits, and goes on as soon as one leaves."""
        site = self.site(1)
        askers = [self.asker(site) for _ in range(6)]
        for asker in askers:
            asker.tell("queue")
            self.network.run(0.05)
        self.assertEqual([each.types()[-1] for each in askers], ["go"] * 4 + ["wait"] * 2)
        self.assertEqual([each.last("wait").get("ahead", 0) for each in askers[4:]], [0, 1])
        self.assertEqual(site.role.loads[-1], 6)
        askers[0].transport.loseConnection()
        askers[1].tell("pass")
        self.network.run(0.2)
        self.assertEqual([each.types()[-1] for each in askers[4:]], ["go", "go"])
        self.assertEqual(site.role.loads[-1], 4)

    def test_turns(self) -> None:
        """Nobody keeps a slot for more than 8 chunks while others wait; one host is no more than one."""
        site = self.site(1, slots=1, rate=4 * MIB)
        crowd = self.network.host()
        greedy = [self.asker(site, host=crowd) for _ in range(5)]
        lone = self.asker(site)
        order: list[int] = []
        for asker in (*greedy, lone):
            asker.tell("queue")
            self.network.run(0.02)
        everybody = [*greedy, lone]
        for _ in range(400):
            self.network.run(0.1)
            for number, asker in enumerate(everybody):
                asker.forget_bytes()
                served = asker.types()[-1] == "go"
                if served and (not order or order[-1] != number):
                    order.append(number)
                # One at a time, as long as there is a slot.
                if served and asker.file_bytes == len([1 for each in asker.heard if each["type"] == "asked"]) * MIB:
                    asker.heard.insert(0, {"type": "asked"})
                    asker.tell("want", chunk=0)
        shares = [asker.file_bytes / MIB for asker in everybody]
        self.assertGreaterEqual(shares[-1], max(shares[:-1]) - 8)
        self.assertGreater(min(shares), 0)
        self.assertTrue(all(a != b for a, b in pairwise(order)))

    def test_unused(self) -> None:
        """Who has a slot for nothing does not keep it from others, and after three times loses its place."""
        site = self.site(1, slots=1)
        idle, other = self.asker(site), self.asker(site)
        for asker in (idle, other):
            asker.tell("queue")
        self.network.run(0.2)
        self.assertEqual((idle.types()[-1], other.types()[-1]), ("go", "wait"))
        self.network.run(0.5)
        self.assertEqual((idle.types()[-1], other.types()[-1]), ("go", "go"))
        # It may still want something, as long as there is room for it.
        idle.tell("want", chunk=3)
        self.network.run(1)
        self.assertEqual(idle.file_bytes, 5)
        more = [self.asker(site) for _ in range(4)]
        for asker in more:
            asker.tell("queue")
        self.network.run(20)
        self.assertTrue(all("go" in asker.types() for asker in more))
        self.network.run(40)
        self.assertIn("slow", [asker.last("failed")["code"] for asker in (idle, other, *more) if asker.is_closed])

    def test_a_host_of_slow_readers(self) -> None:
        """Who comes from another host than those who hold all slots is served at once; they finish their chunks."""
        site = self.site(1, slots=2)
        crowd = self.network.host()
        slow = [self.asker(site, host=crowd) for _ in range(2)]
        for asker in slow:
            asker.tell("queue")
            self.network.run(0.05)
            asker.tell("want", chunk=0)
            asker.transport.pauseProducing()
        other = self.asker(site)
        other.tell("queue")
        self.network.run(0.05)
        other.tell("want", chunk=0)
        self.network.run(1)
        self.assertEqual((other.types()[-1], other.file_bytes), ("go", MIB))
        for asker in slow:
            asker.transport.resumeProducing()
        self.network.run(2)
        self.assertEqual([(asker.types()[-1], asker.file_bytes) for asker in slow], [("go", MIB)] * 2)

    def test_memory_of_slow_readers(self) -> None:
        """Of who is served beside the slots no more than one chunk is kept; what it wants besides is read later."""
        content = MemoryContent(self.manifest, self.bytes, reactor=self.network.host(), delay_s=0.02)
        site = self.site(1, content, slots=1)
        slow, other = self.asker(site), self.asker(site)
        slow.tell("queue")
        self.network.run(0.1)
        slow.transport.pauseProducing()
        slow.transport.write(b"".join(frame(b'{"type":"want","chunk":%d}' % chunk) for chunk in (0, 1, 2)))
        self.network.run(0.1)
        other.tell("queue")
        self.network.run(1)
        self.assertEqual((content.reads, other.types()[-1]), ([0, 1], "go"))
        other.tell("pass")
        slow.transport.resumeProducing()
        self.network.run(2)
        self.assertEqual((content.reads, slow.file_bytes), ([0, 1, 1, 2], 3 * MIB))

    def test_one_chunk_beside_the_slots(self) -> None:
        """Who let its lease run out before it wanted anything has one chunk read, however many it wants then."""
        content = MemoryContent(self.manifest, self.bytes, reactor=self.network.host(), delay_s=0.02)
        site = self.site(1, content, slots=1)
        late, other = self.asker(site), self.asker(site)
        for asker in (late, other):
            asker.tell("queue")
            self.network.run(0.6)
        self.assertEqual((late.types()[-1], other.types()[-1]), ("go", "go"))
        late.transport.write(b"".join(frame(b'{"type":"want","chunk":%d}' % chunk) for chunk in (0, 1, 2)))
        late.transport.pauseProducing()
        self.network.run(1)
        self.assertEqual(content.reads, [0])

    def test_a_reader_that_does_not_read(self) -> None:
        """Who asks and does not read is cut, and its slot is for others."""
        site = self.site(1, slots=1)
        deaf, other = self.asker(site), self.asker(site)
        for asker in (deaf, other):
            asker.tell("queue")
        self.network.run(0.5)
        deaf.tell("want", chunk=0)
        deaf.transport.pauseProducing()
        self.network.run(25)
        self.assertEqual(other.types()[-1], "go")
        self.assertEqual([row.state for row in site.role.uploads.status()], ["serving"])

    def full(self, seconds: int, taken_bytes: int) -> bool:
        """Whether somebody is still served whose transport is full for so long, and takes so much of it a second."""
        clock = Clock()
        uploads = Uploads(clock, random.Random(1), MemoryShare(MemoryContent(self.manifest, self.bytes)))
        serving: Any = uploads.open(Fetch(digest=self.manifest.digest), Address("10.0.0.1", 1))
        wire = SlowWire()
        serving.makeConnection(wire)
        serving.dataReceived(frame(b'{"type":"queue"}') + frame(b'{"type":"want","chunk":0}'))
        clock.advance(0)
        self.assertGreater(wire.unsent_bytes, _SMALL_BYTES)
        for _ in range(seconds):
            wire.unsent_bytes -= taken_bytes
            clock.advance(1)
        return bool(serving.is_open)

    def test_answers_that_are_not_read(self) -> None:
        """Who does not read what it has asked for is not heard, and answered nothing more, until it does."""
        clock = Clock()
        uploads = Uploads(clock, random.Random(1), MemoryShare(MemoryContent(self.manifest, self.bytes)))
        serving: Any = uploads.open(Fetch(digest=self.manifest.digest), Address("10.0.0.1", 1))
        wire = SlowWire()
        serving.makeConnection(wire)
        serving.dataReceived(frame(b'{"type":"queue"}') + frame(b'{"type":"want","chunk":0}'))
        clock.advance(0)
        self.assertEqual(wire.producerState, "paused")
        told_bytes = len(wire.value())
        serving.dataReceived(frame(b'{"type":"digests","first":0,"count":1}') * 100)
        clock.advance(1)
        self.assertEqual(len(wire.value()), told_bytes)

    def test_a_slow_way(self) -> None:
        """Who takes what is sent is not cut, however long that takes; who takes nothing is, after 20 s."""
        self.assertTrue(self.full(60, 1000))
        self.assertTrue(self.full(18, 0))
        self.assertFalse(self.full(22, 0))

    def test_a_request_that_does_not_end(self) -> None:
        """A frame that has begun ends within 20 s."""
        asker = self.asker(self.site(1))
        asker.transport.write(b"40:{")
        self.network.run(15)
        self.assertFalse(asker.is_closed)
        self.network.run(8)
        self.assertTrue(asker.is_closed)

    def test_connections(self) -> None:
        """No more than so many connections, and no more than half of them from one host; the idle go first."""
        site = self.site(1, most_connections=4)
        crowd = self.network.host()
        mine = [self.asker(site, host=crowd) for _ in range(3)]
        self.assertEqual([each.is_closed for each in mine], [True, False, False])
        self.assertEqual(mine[0].last("failed")["code"], "busy")
        for each in mine[1:]:
            each.tell("queue")
        self.network.run(0.1)
        refused = self.asker(site, host=crowd)
        self.assertEqual(refused.last("failed")["code"], "busy")
        others = [self.asker(site) for _ in range(3)]
        self.assertEqual([each.is_closed for each in others], [True, False, False])
        self.assertEqual(len(site.role.uploads.status()), 4)

    def in_line(self, site: Site, count: int) -> list[Asker]:
        """Some who ask, one after another."""
        askers = []
        for _ in range(count):
            askers.append(self.asker(site))
            if not askers[-1].is_closed:
                askers[-1].tell("queue")
            self.network.run(0.1)
        return askers

    def test_nobody_is_locked_out(self) -> None:
        """Those who have many connections, and ask all the time, make room for who has few."""
        site = self.site(1, slots=1, most_connections=8)
        crowds = [self.network.host() for _ in range(2)]
        noisy = [self.asker(site, host=crowd) for crowd in crowds for _ in range(4)]
        for asker in noisy:
            asker.tell("queue")
        self.network.run(0.1)
        others = self.in_line(site, 3)
        self.assertEqual([each.types()[-1] for each in others], ["wait"] * 3)
        self.assertEqual([each.last("failed")["code"] for each in noisy if each.is_closed], ["busy"] * 3)
        self.assertEqual(len(site.role.uploads.status()), 8)
        # Until all are alike.
        more = self.in_line(site, 9)
        self.assertEqual([each.is_closed for each in (*others, *more)], [False] * 6 + [True] * 6)

    def test_a_reader_that_trickles(self) -> None:
        """Who reads just enough not to be cut does not keep its slot from others, whatever the rate is."""
        for rate in (None, 4 * MIB):
            clock = Clock()
            share = MemoryShare(MemoryContent(self.manifest, self.bytes))
            uploads = Uploads(clock, random.Random(1), share, slots=1, rate=rate)
            slow, other = (self.trickle(uploads, host) for host in ("10.0.0.1", "10.0.0.2"))
            slow.dataReceived(frame(b'{"type":"want","chunk":0}'))
            for _ in range(80):
                clock.pump([0.1] * 10)
                if clock.seconds() % 9 < 1:
                    slow.resumeProducing()
            self.assertTrue(slow.is_open)
            self.assertLess(slow.sent_bytes, MIB)
            self.assertIn(b'"go"', other.transport.value())

    def trickle(self, uploads: Uploads, host: str) -> Any:
        """Somebody who asks for a slot, to whom little can be sent at once."""
        serving: Any = uploads.open(Fetch(digest=self.manifest.digest), Address(host, 1))
        serving.makeConnection(NarrowWire())
        serving.dataReceived(frame(b'{"type":"queue"}'))
        return serving

    def test_those_who_are_closing(self) -> None:
        """Who is shown out and does not read that is not waited for when others come."""
        huge = Manifest(self.manifest.digest, 2000 * MIB, bytes(64_000))
        site = self.site(1, MemoryContent(huge, b""), most_connections=2)
        crowd = self.network.host()
        for _ in range(20):
            asker = self.asker(site, host=crowd)
            asker.transport.pauseProducing()
            for _ in range(20):
                asker.tell("digests", first=0, count=2000)
            self.network.run(0.01)
            self.assertLessEqual(len(site.role.uploads._streams), 5)

    def test_many_requests(self) -> None:
        """Of very many requests few are taken in one turn of the reactor; all are answered."""
        site = self.site(1, slots=1)
        first, second = self.asker(site), self.asker(site)
        first.tell("queue")
        self.network.run(0.1)
        [serving] = [each for each in site.role.uploads._servings if not each.has_slot]
        turns: list[int] = []
        drain = serving._drain

        def counting() -> None:
            before = len(waits)
            drain()
            turns.append(len(waits) - before)

        waits: list[int] = []
        wait = serving.choke
        serving.choke = lambda ahead: waits.append(ahead) or wait(ahead)  # type: ignore[method-assign, func-returns-value]
        serving._drain = counting  # type: ignore[method-assign]
        second.transport.write(b'16:{"type":"queue"},' * 1000)
        self.network.run(1)
        self.assertEqual((len(waits), second.types().count("wait")), (1000, 1000))
        self.assertLessEqual(max(turns), 100)

    def test_nothing_left(self) -> None:
        """When a node has left, nothing of its transfers is there: no timer, no connection."""
        site = self.site(1, rate=MIB)
        asker = self.asker(site)
        asker.tell("queue")
        asker.tell("want", chunk=0)
        self.network.run(0.3)
        self.network.stop(site.node)
        self.network.run(5)
        self.assertTrue(asker.is_closed)
        self.assertEqual(self.network.left(), [])

    def test_stopped_twice(self) -> None:
        """Who stops it is told when the last connection is gone, however often it is stopped."""
        site = self.site(1)
        self.asker(site)
        stopping = [site.role.uploads.stop() for _ in range(2)]
        for each in stopping:
            self.assertNoResult(each)
        self.network.run(5)
        for each in (*stopping, site.role.uploads.stop()):
            self.successResultOf(each)


class RateTests(TransferTestCase):
    """The limit on the rate is for all together."""

    size = 20 * MIB

    def test_rate(self) -> None:
        """Four that fetch at once get what was set between them, each the same."""
        rate = 512 << 10
        site = self.site(1, rate=rate)
        askers = [self.asker(site) for _ in range(4)]
        for asker in askers:
            asker.tell("queue")
            for chunk in range(8):
                asker.tell("want", chunk=chunk)
        self.network.run(20)
        sent = [sum(len(each) for each in asker.binary) for asker in askers]
        self.assertLess(abs(sum(sent) / (20 * rate) - 1), 0.05)
        self.assertLess(max(sent) - min(sent), 2 * rate * 0.2 + 1)

    def test_slow_link(self) -> None:
        """A rate at which a chunk takes minutes is no reason to give anybody up."""
        site = self.site(1, rate=20 << 10)
        fetchings = [self.fetching().start(site.source) for _ in range(3)]
        self.network.run(200)
        self.assertEqual([each.dropped for each in fetchings], [{}, {}, {}])
        self.assertGreater(sum(each.download.status().held_bytes for each in fetchings), 0)


class CrowdTests(TransferTestCase):
    """Many ask for the same."""

    size = 6 * MIB

    def test_each_is_told_of_others(self) -> None:
        """Who asks with others is told of chunks that the others are not told of; what is not fetched is given anew."""
        site = self.site(1)
        first, second = self.asker(site), self.asker(site)
        for asker in (first, second):
            asker.tell("queue")
            self.network.run(0.05)
        fresh = [asker.last("go")["fresh"] for asker in (first, second)]
        self.assertEqual((first.last("go")["askers"], fresh), (2, [[0, 1, 2], [3, 4, 5]]))
        first.transport.loseConnection()
        third = self.asker(site)
        third.tell("queue")
        self.network.run(0.1)
        self.assertEqual(third.last("go")["fresh"], [0, 1, 2])

    def test_left_lying(self) -> None:
        """Who fetches others than those that it alone was told of is told of no more."""
        site = self.site(1)
        first, _ = self.asker(site), self.asker(site)
        first.tell("queue")
        for _ in range(4):
            first.tell("want", chunk=5)
            self.network.run(0.5)
        told = [chunk for each in first.heard if each["type"] == "go" for chunk in each.get("fresh", [])]
        self.assertEqual(told, [0, 1, 2])

    def test_sent_meanwhile(self) -> None:
        """A chunk that somebody else has been sent meanwhile is new to nobody."""
        site = self.site(1)
        first, second = self.asker(site), self.asker(site)
        for asker in (first, second):
            asker.tell("queue")
            self.network.run(0.05)
        second.tell("want", chunk=1)
        self.network.run(1)
        first.transport.loseConnection()
        third = self.asker(site)
        third.tell("queue")
        self.network.run(0.1)
        self.assertEqual(third.last("go")["fresh"], [0, 2])

    def test_another_manifest(self) -> None:
        """Who wants a chunk of a manifest that is believed no more has broken no rule."""
        content = MemoryContent(self.manifest, self.bytes)
        asker = self.asker(self.site(1, content))
        asker.tell("queue")
        self.network.run(0.1)
        content.manifest = Manifest(self.manifest.digest, 1, b"\x00" * 32)
        content.holdings = MemoryContent(content.manifest, b"?").holdings
        asker.tell("want", chunk=5)
        self.network.run(0.5)
        self.assertEqual(asker.last("failed")["code"], "changed")

    def test_two_crowds(self) -> None:
        """A source that believes another manifest than before does not take those who ask now for the same crowd."""
        content = MemoryContent(Manifest(self.manifest.digest, 1, b"\x00" * 32), b"?")
        site = self.site(1, content)
        self.asker(site)
        content = MemoryContent(self.manifest, self.bytes)
        site.role.share.contents[self.manifest.digest] = content
        asker = self.asker(site)
        asker.tell("queue")
        asker.tell("want", chunk=5)
        self.network.run(2)
        self.assertEqual(asker.last("go").get("askers", 1), 1)
        self.assertEqual(asker.file_bytes, MIB)

    def test_nothing_wrong_is_sent(self) -> None:
        """What is sent is the file."""
        asker = self.asker(self.site(1))
        asker.tell("queue")
        for chunk in range(6):
            asker.tell("want", chunk=chunk)
        self.network.run(5)
        content = b"".join(each[9:] for each in asker.binary)
        self.assertEqual(hashlib.sha256(content).hexdigest(), self.manifest.digest)
