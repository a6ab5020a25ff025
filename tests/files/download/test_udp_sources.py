"""A download from sources that are reached by streams over datagrams, beside others that take connections."""

from __future__ import annotations

import io
import random
from itertools import pairwise
from typing import Any

from attrs import evolve
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from tests.files.cases import MIB, Asker, Fetching, Sharing, file_of
from tests.raw_datagram import RawSocket
from twisted_bazaar.files.download.swarm import Download
from twisted_bazaar.files.memory import MemoryContent, MemoryPart, manifest_of
from twisted_bazaar.files.udp import Transfer, TransferLog
from twisted_bazaar.files.window import Settings
from twisted_bazaar.node.node import Node
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource

LOSSY = Conditions(latency_s=0.01, loss=0.05, duplication=0.02, reordering=0.1)
UDP_FIRST = Transfer(comes_first=True)


class UdpSourcesTestCase(SynchronousTestCase):
    """Simulated machines; a file of some chunks."""

    size = 3 * MIB + 5

    def setUp(self) -> None:
        self.network = SimulatedNetwork()
        self.bytes = file_of(self.size)
        self.manifest = manifest_of(self.bytes)
        self.sites: list[Node] = []

    def site(self, *, tcp: bool = True, udp: bool = True, transfer: Transfer | None = None) -> FileSource:
        """A machine that serves the file."""
        self.role = Sharing(MemoryContent(self.manifest, self.bytes))
        transfer = transfer or Transfer()
        node = self.network.add_node(self.role, listening=tcp, udp=udp, transfer=transfer)
        self.sites.append(node)
        host, port = self.network.where(node)
        number = len(self.sites)
        return FileSource(number, node.key.public, Address(host, port if tcp else 0), udp=port if udp else 0)

    def fetch(self, *sources: FileSource, transfer: Transfer | None = None, most_s: float = 120.0) -> Fetching:
        """Fetch the file; what came is the file."""
        node = self.network.add_node(udp=True, transfer=transfer or Transfer())
        self.fetcher = node
        fetching = Fetching(self.network.host_of(node), MemoryPart(self.manifest.digest))
        fetching.download = Download(
            fetching.host,
            node.rng,
            fetching.part,
            node.connection_endpoint,
            on_event=lambda name, details: fetching.events.append((name, dict(details))),
            stream_to=node.stream_endpoint,
            streams_first=node.streams_first,
        )
        fetching.start(*sources)
        self.network.run_until(lambda: fetching.is_over, most_s)
        if fetching.failure is not None:
            fetching.failure.raiseException()
        self.assertEqual(fetching.part.content() == self.bytes, True)
        return fetching

    def by_source(self, fetching: Fetching) -> dict[FileSource, int]:
        """How much came from whom."""
        assert fetching.receipt is not None
        self.protocols = fetching.receipt.protocols
        return dict(fetching.receipt.by_source)


class WaysTests(UdpSourcesTestCase):
    """Which way the file comes."""

    def told_of(self, transfer: Transfer, *sources: FileSource) -> set[str]:
        """Fetch it; with whom there were streams."""
        lines = io.StringIO()
        self.fetch(*sources, transfer=evolve(transfer, log=TransferLog(lines, 0.0)))
        return {line.split()[-1] for line in lines.getvalue().splitlines()[1:]}

    def test_stream_only(self) -> None:
        """Who takes no connections gives the file by stream."""
        source = self.site(tcp=False)
        host, port = source.address.host, source.udp
        self.assertEqual(self.told_of(Transfer(), source), {f"{host}:{port}"})

    def test_connection_first(self) -> None:
        """Who takes both gives it by connection."""
        self.assertEqual(self.told_of(Transfer(), self.site()), set())

    def test_stream_first(self) -> None:
        """Where streams are wished for, it gives it by stream."""
        source = self.site()
        self.assertEqual(self.told_of(UDP_FIRST, source), {f"{source.address.host}:{source.udp}"})

    def test_no_connection(self) -> None:
        """Where nobody takes the connection, the stream is tried."""
        source = evolve(self.site(), address=Address(self.network.where(self.sites[0])[0], 4))
        self.assertEqual(self.told_of(Transfer(), source), {f"{source.address.host}:{source.udp}"})

    def test_no_stream(self) -> None:
        """Where streams are wished for and nobody takes one, the connection is tried, soon enough."""
        self.assertEqual(self.told_of(UDP_FIRST, evolve(self.site(udp=False), udp=4)), set())

    def test_neither(self) -> None:
        """Who can be reached in neither way is dropped, and costs nothing else."""
        dead = self.network.host().address
        nobody = FileSource(9, "99" * 32, Address(dead, 4), udp=5)
        source = self.site()
        fetching = self.fetch(nobody, source, most_s=30.0)
        self.assertEqual(self.by_source(fetching), {source: self.size})


class MixedTests(UdpSourcesTestCase):
    """Sources of both kinds at once."""

    def test_both(self) -> None:
        """The file comes from both, whichever way each is reached."""
        self.network.network.ways.usual = Conditions(latency_s=0.01, bytes_a_second=1e6)
        sources = [self.site(tcp=False), self.site(udp=False)]
        by_source = self.by_source(self.fetch(*sources))
        self.assertEqual(set(by_source), set(sources))
        expected = {sources[0]: {"udp": by_source[sources[0]]}, sources[1]: {"tcp": by_source[sources[1]]}}
        self.assertEqual(self.protocols, expected)
        self.assertTrue(all(size >= MIB for size in by_source.values()), by_source)

    def test_losses(self) -> None:
        """The same where datagrams are lost, doubled and overtaken."""
        self.network.network.ways.usual = LOSSY
        sources = [self.site(tcp=False), self.site(udp=False), self.site(tcp=False)]
        self.fetch(*sources)

    def test_dropped_on_purpose(self) -> None:
        """The same where both ends throw away segments that they send and that come; the logs have all of it."""
        logs = [io.StringIO(), io.StringIO()]
        transfers = [Transfer(Settings(drop=0.1), log=TransferLog(lines, 0.0)) for lines in logs]
        self.fetch(self.site(tcp=False, transfer=transfers[0]), transfer=transfers[1])
        sent, came = ([line.split()[0] for line in lines.getvalue().splitlines()[1:]] for lines in logs)
        self.assertEqual(set(sent) | set(came), {"snd", "rtx", "drop", "ack", "rcv", "lost"})
        self.assertTrue(
            0.07 < sent.count("drop") / (sent.count("drop") + came.count("lost") + came.count("rcv")) < 0.13
        )
        self.assertTrue(0.07 < came.count("lost") / (came.count("lost") + came.count("rcv")) < 0.13)

    def test_stop_and_wait(self) -> None:
        """With a window of one segment it comes too, one after the other."""
        lines = io.StringIO()
        transfer = Transfer(Settings(window=1), log=TransferLog(lines, 0.0))
        self.fetch(self.site(tcp=False, transfer=transfer))
        log = [line.split() for line in lines.getvalue().splitlines()[1:]]
        waiting = [event for event, *_ in log if event in ("snd", "ack")]
        self.assertEqual(set(pairwise(waiting)), {("snd", "ack"), ("ack", "snd")})

    def test_liar(self) -> None:
        """A source by stream that sends wrong bytes is found out, and the file comes from the other."""
        wrong = bytes(self.size)
        source = self.site(tcp=False)
        liar = self.site(tcp=False)
        self.role.share.contents[self.manifest.digest] = MemoryContent(self.manifest, wrong)
        fetching = self.fetch(liar, source)
        self.assertEqual(self.by_source(fetching), {source: self.size})

    def test_killed(self) -> None:
        """A source by stream that is killed is found out, and the rest comes from the other."""
        self.network.network.ways.usual = Conditions(latency_s=0.01, bytes_a_second=1e6)
        sources = [self.site(tcp=False), self.site(tcp=False)]
        host = self.network.host_of(self.sites[0])
        self.network.host().callLater(1.0, host.crash)
        self.fetch(*sources)


class StuckTests(UdpSourcesTestCase):
    """Transfers that are not acknowledged."""

    def test_never_acknowledged(self) -> None:
        """Who asks for a file by stream and then falls silent loses its slot, and nothing of it is left."""
        self.network.network.ways.usual = Conditions(latency_s=0.01, bytes_a_second=1e6)
        source = self.site(tcp=False)
        node = self.network.add_node(udp=True, transfer=Transfer())
        host = self.network.host_of(node)
        asker = Asker()
        factory = Factory()
        factory.buildProtocol = lambda addr: asker  # type: ignore[method-assign, assignment]
        endpoint = node.stream_endpoint(Address(source.address.host, source.udp))
        assert endpoint is not None
        endpoint.connect(factory)
        self.network.run(0.5)
        asker.tell("fetch", digest=self.manifest.digest, version=1)
        self.network.run(0.5)
        asker.tell("queue")
        self.network.run(0.5)
        asker.tell("want", chunk=0)
        asker.tell("want", chunk=1)
        self.network.run(0.5)
        host.crash()
        self.network.run(19.0)
        self.assertEqual(len(self.role.uploads.status()), 1)
        self.network.run(2.0)
        self.assertEqual(self.role.uploads.status(), [])
        streams: Any = self.sites[0].datagrams.streams
        self.assertEqual(len(streams.streams), 0)

    def test_strangers(self) -> None:
        """Segments of strangers in the middle of a transfer do it no harm."""
        self.network.network.ways.usual = Conditions(latency_s=0.01, bytes_a_second=1e6)
        source = self.site(tcp=False)
        socket = RawSocket(self.network, self.sites[0])
        reactor = self.network.host()

        rng = random.Random(5)

        def disturb(left: int) -> None:
            for _ in range(50):
                socket.put(b"\x11" + rng.randbytes(rng.randrange(300)))
            if left:
                reactor.callLater(0.05, disturb, left - 1)

        disturb(50)
        self.fetch(source)
        self.assertEqual(socket.bytes_received, 0)
