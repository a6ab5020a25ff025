"""Promises of a download: from many sources at once, whatever happens to them, and no fast one waits for a slow one."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from tests.files.cases import MIB, TransferTestCase, file_of
from twisted_bazaar.errors import TransferFailed
from twisted_bazaar.files.chunks import EMPTY_DIGEST
from twisted_bazaar.files.memory import MemoryContent, MemoryPart, manifest_of
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.testing import things_of
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource


class OneSourceTests(TransferTestCase):
    """One source is enough."""

    def test_whole(self) -> None:
        """The file comes, in its order, and the receipt says from whom."""
        site = self.site(1)
        fetching = self.fetching().start(site.source)
        self.finish(fetching)
        assert fetching.receipt is not None
        self.assertEqual(fetching.receipt.by_source, {site.source: self.size})
        self.assertEqual((fetching.receipt.dropped, fetching.receipt.resumed_bytes), ({}, 0))
        self.assertEqual(fetching.part.written, [0, 1, 2, 3])

    def test_every_size(self) -> None:
        """Files that end within a chunk, with one, or hold nothing come as well."""
        for size in (1, MIB - 1, MIB, MIB + 1, 2 * MIB):
            content = file_of(size)
            manifest = manifest_of(content)
            site = self.site(1, MemoryContent(manifest, content))
            fetching = self.fetching(MemoryPart(manifest.digest)).start(site.source)
            self.network.run_until(lambda fetching=fetching: fetching.is_over)
            self.assertEqual(fetching.part.content(), content)

    def test_empty(self) -> None:
        """An empty file needs nobody."""
        fetching = self.fetching(MemoryPart(EMPTY_DIGEST)).start()
        self.assertTrue(fetching.part.is_finished)
        assert fetching.receipt is not None
        self.assertEqual(fetching.receipt.size, 0)

    def test_resumed(self) -> None:
        """What is there is not fetched again."""
        chunks = {chunk: self.bytes[chunk * MIB : (chunk + 1) * MIB] for chunk in (0, 2)}
        site = self.site(1)
        fetching = self.fetching(MemoryPart(self.manifest.digest, self.manifest, chunks)).start(site.source)
        self.finish(fetching)
        assert fetching.receipt is not None
        self.assertEqual(fetching.receipt.resumed_bytes, 2 * MIB)
        self.assertEqual(fetching.part.written, [1, 3])

    def test_nothing_to_fetch(self) -> None:
        """A part that is whole already is only put in its place."""
        chunks = {chunk: self.bytes[chunk * MIB : (chunk + 1) * MIB] for chunk in range(4)}
        fetching = self.fetching(MemoryPart(self.manifest.digest, self.manifest, chunks)).start()
        self.finish(fetching)

    def test_slow_disk(self) -> None:
        """A disk that is slow slows the download down, and nothing piles up."""
        host = self.network.host()
        part = MemoryPart(self.manifest.digest, reactor=host, delay_s=2.0)
        content = MemoryContent(self.manifest, self.bytes, reactor=host, delay_s=0.5)
        self.finish(self.fetching(part).start(self.site(1, content).source))

    def test_a_bad_way(self) -> None:
        """Latency, loss and a narrow way only take time."""
        self.network.network.ways.usual = Conditions(latency_s=0.15, loss=0.02, bytes_a_second=2 * MIB)
        fetchings = [self.fetching() for _ in range(3)]
        sites = [self.site(1), self.site(2)]
        for fetching in fetchings:
            fetching.start(*(site.source for site in sites))
        self.finish(*fetchings, most_s=400)
        self.assertEqual([each.dropped for each in fetchings], [{}, {}, {}])

    def test_stopped(self) -> None:
        """A download that is stopped lets go of everything, and keeps what came."""
        site = self.site(1, rate=MIB)
        fetching = self.fetching().start(site.source)
        self.network.run_until(lambda: fetching.part.written)
        ended: list[None] = []
        fetching.download.stop().addCallback(ended.append)
        self.network.run(5)
        assert fetching.failure is not None
        fetching.failure.trap(CancelledError)
        self.assertEqual(ended, [None])
        self.assertGreater(len(fetching.part.holdings), 0)
        self.network.stop_all()
        self.assertEqual(self.network.left(), [])

    def test_stopped_while_connecting(self) -> None:
        """Stopping ends what has only begun as well."""
        site = self.site(1)
        self.network.crash(site.node)
        fetching = self.fetching().start(site.source)
        self.network.run(0.5)
        fetching.download.stop()
        self.network.run(0.1)
        self.assertEqual(things_of(fetching.host), [])
        self.assertEqual(fetching.dropped, {})

    def test_nobody(self) -> None:
        """Without anybody of use it gives up when it was told to, and says so."""
        fetching = self.fetching(give_up_s=5.0).start()
        self.network.run(4)
        self.assertFalse(fetching.is_over)
        self.network.run(2)
        assert fetching.failure is not None
        fetching.failure.trap(TransferFailed)

    def test_left_out(self) -> None:
        """This node itself, and who takes no connections, are no sources; nobody is asked twice at once."""
        site = self.site(1)
        fetching = self.fetching(own_key="ab" * 32)
        own = FileSource(5, "ab" * 32, Address("10.0.0.9", 9001))
        closed = FileSource(6, "cd" * 32, Address("10.0.0.9", 0))
        fetching.start(own, closed, site.source, site.source)
        self.assertEqual([each.source for each in fetching.download.status().sources], [site.source])
        self.finish(fetching)

    def test_progress(self) -> None:
        """How far it is, how fast and how long it will take are told."""
        rate = MIB
        site = self.site(1, rate=rate)
        fetching = self.fetching()
        self.assertEqual((fetching.download.status().size, fetching.download.status().seconds_left), (None, None))
        fetching.start(site.source)
        self.network.run(2.2)
        status = fetching.download.status()
        self.assertEqual((status.size, status.held_bytes), (self.size, 2 * MIB))
        self.assertLess(abs(status.rate / rate - 1), 0.6)
        assert status.seconds_left is not None
        self.assertLess(abs(status.seconds_left - 1), 1)
        self.assertEqual([each.state for each in status.sources], ["serving"])
        self.finish(fetching)
        self.assertEqual(fetching.download.status().held_bytes, self.size)


class ManySourcesTests(TransferTestCase):
    """Several at once."""

    size = 12 * MIB + 5

    def test_each_does_some(self) -> None:
        """Sources that are equally fast do equally much, and it takes so much less time."""
        sites = [self.site(number, rate=MIB) for number in range(1, 5)]
        began = self.network.seconds()
        fetching = self.fetching().start(*(site.source for site in sites))
        self.finish(fetching)
        assert fetching.receipt is not None
        self.assertEqual(len(fetching.receipt.by_source), 4)
        self.assertLess(self.network.seconds() - began, 6)

    def test_slow_last_chunk(self) -> None:
        """A slow source does not hold up the end: what it was asked for is asked of another."""
        slow, fast = self.site(1, rate=20 << 10), self.site(2, rate=4 * MIB)
        began = self.network.seconds()
        fetching = self.fetching().start(slow.source, fast.source)
        self.finish(fetching)
        self.assertLess(self.network.seconds() - began, 10)
        self.assertEqual(fetching.dropped, {})

    def test_nothing_twice_without_need(self) -> None:
        """As long as sources do what can be expected of them no chunk is asked of two."""
        contents = [MemoryContent(self.manifest, self.bytes) for _ in range(3)]
        sites = [self.site(number, content, rate=MIB) for number, content in enumerate(contents)]
        self.finish(self.fetching().start(*(site.source for site in sites)))
        reads = sorted(chunk for content in contents for chunk in content.reads)
        self.assertEqual(reads, list(range(self.manifest.count)))

    def test_joins_midway(self) -> None:
        """A source that comes later takes part at once."""
        slow = self.site(1, rate=256 << 10)
        fetching = self.fetching().start(slow.source)
        self.network.run(5)
        late = self.site(2, rate=8 * MIB)
        fetching.download.add_sources([slow.source, late.source])
        began = self.network.seconds()
        self.finish(fetching)
        self.assertLess(self.network.seconds() - began, 8)
        assert fetching.receipt is not None
        self.assertGreater(fetching.receipt.by_source[late.source], 8 * MIB)

    def test_waiting_sources_are_kept(self) -> None:
        """A source that is busy with others is waited for while another serves."""
        busy, other = self.site(1, slots=1, rate=MIB // 4), self.site(2, rate=2 * MIB)
        hog = self.asker(busy)
        hog.tell("queue")
        self.network.run(0.1)
        for chunk in range(8):
            hog.tell("want", chunk=chunk)
        fetching = self.fetching().start(busy.source, other.source)
        self.network.run(3)
        self.assertEqual([each.state for each in fetching.download.status().sources], ["waiting", "serving"])
        self.finish(fetching)
        self.assertEqual(fetching.dropped, {})

    def test_most_connections(self) -> None:
        """No more than so many are connected to, and the next take the place of those that fail."""
        sites = [self.site(number, rate=256 << 10) for number in range(20)]
        fetching = self.fetching().start(*(site.source for site in sites))
        self.network.run(2)
        states = [each.state for each in fetching.download.status().sources]
        self.assertEqual((states.count("serving") + states.count("idle"), states.count("new")), (16, 4))
        self.network.kill(sites[0].node)
        self.network.run(1)
        states = [each.state for each in fetching.download.status().sources]
        self.assertEqual((states.count("resting"), states.count("new")), (1, 3))

    def test_parts(self) -> None:
        """Sources that have parts of it are enough together, also if they get them while it is going on."""
        contents = [MemoryContent(self.manifest, self.bytes, is_whole=False) for _ in range(3)]
        for chunk in range(10):
            contents[chunk % 3].grow(chunk)
        sites = [self.site(number, content) for number, content in enumerate(contents)]
        fetching = self.fetching().start(*(site.source for site in sites))
        self.network.run(5)
        self.assertEqual(sorted(fetching.part.written), list(range(10)))
        self.assertFalse(fetching.is_over)
        for chunk in (10, 11, 12):
            contents[0].grow(chunk)
        self.finish(fetching)

    def test_no_use(self) -> None:
        """Those who have nothing that is missing are of no use, and it gives up all the same."""
        content = MemoryContent(self.manifest, self.bytes, is_whole=False)
        content.grow(3)
        fetching = self.fetching(give_up_s=5.0).start(self.site(1, content).source)
        self.network.run(10)
        assert fetching.failure is not None
        fetching.failure.trap(TransferFailed)
        self.assertEqual(fetching.part.written, [3])


class DyingTests(TransferTestCase):
    """Several of which some die."""

    size = 3 * MIB + 5

    def test_dying(self) -> None:
        """Sources may die at any moment, one after another; the last one is enough."""
        for moment in range(12):
            with self.subTest(moment=moment):
                sites = [self.site(number, rate=MIB) for number in range(3)]
                fetching = self.fetching().start(*(site.source for site in sites))
                self.network.run(0.0007 + 0.05 * moment**2 / 12)
                (self.network.kill if moment % 2 else self.network.crash)(sites[0].node)
                self.network.run(0.1 * moment)
                self.network.kill(sites[1].node)
                self.finish(fetching)
                self.assertLessEqual(set(fetching.dropped), {0, 1})


class CrowdTests(TransferTestCase):
    """Many fetch at once."""

    size = 16 * MIB

    def test_seeder_sends_little_more_than_once(self) -> None:
        """Ten peers that start together take each chunk about once from the only one who has it."""
        rate = 4 * MIB
        seeder = self.site(1, rate=rate)
        peers = [self.peer(number + 2, rate=rate) for number in range(10)]
        for site, fetching in peers:
            fetching.start(seeder.source)
            fetching.ask(lambda: [site.source for site, each in peers if len(each.part.holdings)])
        began = self.network.seconds()
        self.finish(*(fetching for _, fetching in peers), most_s=400)
        self.assertLess(seeder.sent_bytes, 1.3 * self.size)
        # One after another it would take 40 s.
        self.assertLess(self.network.seconds() - began, 10)
        self.assertEqual([fetching.dropped for _, fetching in peers], [{}] * 10)

    def test_seeder_dies(self) -> None:
        """When everything has been sent once the seeder is needed no more."""
        seeder = self.site(1, rate=8 * MIB)
        peers = [self.peer(number + 2, rate=8 * MIB) for number in range(4)]
        for site, fetching in peers:
            fetching.start(seeder.source)
            fetching.ask(lambda: [site.source for site, each in peers if len(each.part.holdings)])
        held: set[int] = set()
        self.network.run_until(
            lambda: len(held.union(*(fetching.part.holdings for _, fetching in peers))) == self.manifest.count
        )
        self.network.kill(seeder.node)
        self.finish(*(fetching for _, fetching in peers))
