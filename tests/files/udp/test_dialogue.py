"""The dialogue of files over streams: the same as over TCP."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet import error

from tests.files.cases import file_of
from tests.files.in_the_open import in_the_open
from tests.files.udp.cases import Ends, Socket, StreamsTestCase, Talker
from twisted_bazaar.files.download.swarm import Download, Receipt
from twisted_bazaar.files.memory import MemoryContent, MemoryPart, MemoryShare, manifest_of
from twisted_bazaar.files.udp import Doorway, UdpEndpoint
from twisted_bazaar.files.upload.uploads import Uploads
from twisted_bazaar.files.window import Settings
from twisted_bazaar.sim.engine.hosts import Host
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource
from twisted_bazaar.wire.framing import frame

MIB = 1 << 20


class OverDatagrams:
    """A machine whose connections are streams over datagrams."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket.host, name)

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> None:
        """Open a stream."""
        opening = UdpEndpoint(self._socket.streams, (host, port), timeout).connect(factory)
        opening.addErrback(lambda failure: factory.clientConnectionFailed(None, failure))


class DialogueTests(StreamsTestCase):
    """A file that is served and fetched."""

    def serve(self, host: Host, content: bytes, settings: Settings | None = None) -> FileSource:
        """A machine that serves a file."""
        share = MemoryShare(MemoryContent(manifest_of(content), content))
        socket = Socket(host, settings)
        self.uploads = Uploads(host, random.Random(2), share)
        socket.streams.listen(Doorway(host, self.uploads.openings))
        return FileSource(7, "07" * 32, Address(*socket.where))

    def fetch(self, content: bytes, *sources: FileSource) -> Receipt:
        """Fetch it."""
        part = MemoryPart(manifest_of(content).digest)
        reactor: Any = OverDatagrams(Socket(self.a))
        download = Download(reactor, random.Random(1), part, in_the_open(reactor))
        done = download.start()
        download.add_sources(sources)
        self.network.timeline.run_until(120.0, lambda: bool(done.called))
        self.assertEqual(part.content() == content, True)
        return self.successResultOf(done)

    def test_fetch(self) -> None:
        """A file is fetched, whole."""
        content = file_of(3 * MIB + 5)
        receipt = self.fetch(content, self.serve(self.b, content))
        self.assertEqual(receipt.size, len(content))
        self.run_for(10)
        self.assertEqual(self.uploads.status(), [])

    def test_losses(self) -> None:
        """The same where datagrams are lost, doubled and overtaken."""
        self.make(Conditions(latency_s=0.01, loss=0.05, duplication=0.05, reordering=0.1))
        content = file_of(3 * MIB + 5)
        self.fetch(content, self.serve(self.b, content))

    def test_stop_and_wait(self) -> None:
        """The same with a window of one segment, some of which are thrown away on purpose."""
        self.make(Conditions(latency_s=0.001))
        content = file_of(300_000)
        self.fetch(content, self.serve(self.b, content, Settings(window=1, mss=1000, drop=0.1)))

    def test_two_sources(self) -> None:
        """Two sources together are faster than one way goes."""
        self.make(Conditions(latency_s=0.01, bytes_a_second=1e6))
        content = file_of(8 * MIB)
        sources = [self.serve(host, content) for host in (self.b, self.network.add_host("c"))]
        began = self.network.timeline.now
        sources[1] = FileSource(8, "08" * 32, sources[1].address)
        self.fetch(content, *sources)
        self.assertLess(self.network.timeline.now - began, 8 * MIB / 1.1e6)


class HeldSlotsTests(StreamsTestCase):
    """Readers that hold the slots of a sharer, over streams."""

    def ask(self, host: Host, far: Socket, digest: str, *, reads: bool) -> Talker:
        """Ask for a file, for a slot, and for all of its chunks."""
        said = b'{"type":"fetch","digest":"%s"}' % digest.encode(), b'{"type":"queue"}'
        wants = [b'{"type":"want","chunk":%d}' % chunk for chunk in range(3)]
        talker = Talker(b"".join(map(frame, said)))

        def heard(data: bytes) -> None:
            talker.heard += data
            if b'"type":"go"' in data and b'"type":"go"' not in talker.heard[: -len(data)]:
                talker.transport.write(b"".join(map(frame, wants)))
                if not reads:
                    talker.transport.pauseProducing()

        talker.dataReceived = heard  # type: ignore[method-assign]
        Socket(host).streams.connect(far.where, Ends(lambda: talker))
        return talker

    def test_those_who_do_not_read(self) -> None:
        """Whoever asks while twelve others hold all slots and do not read has the first chunk in less than 2 s."""
        content = file_of(3 * MIB)
        manifest = manifest_of(content)
        far = Socket(self.b)
        uploads = Uploads(self.b, random.Random(2), MemoryShare(MemoryContent(manifest, content)), slots=2)
        far.streams.listen(Doorway(self.b, uploads.openings))
        for number in range(12):
            self.ask(self.network.add_host(f"deaf{number}"), far, manifest.digest, reads=False)
        self.run_for(6)
        honest = self.ask(self.a, far, manifest.digest, reads=True)
        self.run_for(2)
        self.assertGreater(len(honest.heard), MIB)


class DoorwayTests(StreamsTestCase):
    """What a stream begins with."""

    def open(self, said: bytes, *, closes: bool = False) -> Talker:
        """Say something to a machine that serves nothing."""
        near, far = self.sockets()
        uploads = Uploads(self.b, random.Random(2), MemoryShare())
        far.streams.listen(Doorway(self.b, uploads.openings))
        talker = Talker(said, closes)
        near.streams.connect(far.where, Ends(lambda: talker))
        self.run_for(1)
        return talker

    def test_no_such_file(self) -> None:
        """Who asks for what is not there is told so, and the stream is closed."""
        talker = self.open(frame(b'{"type":"fetch","digest":"%s"}' % (b"0" * 64)))
        self.assertIn(b'"nofile"', talker.heard)
        self.assertEqual(talker.reason, error.ConnectionDone)

    def test_refused(self) -> None:
        """Who begins with anything else is told so, and the stream is closed."""
        for said in (frame(b'{"type":"thisisme"}'), frame(b"rubbish"), b"rubbish", b"99999:"):
            self.make()
            talker = self.open(said)
            self.assertIn(b'"type":"error"', talker.heard)
            self.assertEqual(talker.reason, error.ConnectionDone)

    def test_silent(self) -> None:
        """Who says nothing, or does not finish, is cut off."""
        for said in (b"", b'92:{"type":"fetch"'):
            self.make()
            talker = self.open(said)
            self.run_for(8.8)
            self.assertEqual(talker.reason, None)
            self.run_for(0.5)
            self.assertEqual(talker.reason, error.ConnectionLost)
            self.assertEqual(self.b.getDelayedCalls(), [])

    def test_leaves(self) -> None:
        """Who leaves at once leaves nothing behind."""
        self.open(b"5:", closes=True)
        self.run_for(1)
        self.assertEqual(self.b.getDelayedCalls(), [])
