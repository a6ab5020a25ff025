"""What the tests of transfers have in common: simulated machines that serve and fetch files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.testing import StringTransport
from twisted.protocols.basic import NetstringReceiver
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.files.in_the_open import in_the_open
from twisted_bazaar.files.content import IContent
from twisted_bazaar.files.download.swarm import Download, Receipt, TransferLimits
from twisted_bazaar.files.memory import MemoryContent, MemoryPart, MemoryShare, manifest_of
from twisted_bazaar.files.partial import PartContent
from twisted_bazaar.files.upload.uploads import Uploads
from twisted_bazaar.interfaces import INode
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.sim.engine.hosts import Host
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource

MIB = 1 << 20


def file_of(size: int, seed: int = 7) -> bytes:
    """Some content, different in each chunk."""
    return b"".join(pieces_of(size, seed))


def pieces_of(size: int, seed: int = 7) -> Iterator[bytes]:
    """The same piece by piece, where all of it would take much memory."""
    rng = random.Random(seed)
    return (rng.randbytes(min(MIB, size - at)) for at in range(0, size, MIB))


class Sharing(Role):
    """Serves files."""

    def __init__(self, *contents: IContent, **options: Any) -> None:
        self.share = MemoryShare(*contents)
        self._options = options
        self.loads: list[int] = []
        self.changed_files: list[str] = []

    def start(self, node: INode) -> None:
        super().start(node)
        self.uploads = Uploads(
            node.clock,
            node.rng,
            self.share,
            changed=self.loads.append,
            on_changed_file=self.changed_files.append,
            **self._options,
        )
        self.openings = self.uploads.openings

    def stop(self) -> Deferred[None]:
        return self.uploads.stop()


class Site:
    """A machine with a node that serves files.

    @ivar source: how others find it.
    """

    def __init__(self, network: SimulatedNetwork, number: int, *contents: IContent, **options: Any) -> None:
        self.role = Sharing(*contents, **options)
        self.node: Node = network.add_node(self.role)
        self.host: Host = network.host_of(self.node)
        self.source = FileSource(number, self.node.key.public, Address(*network.where(self.node)))

    @property
    def sent_bytes(self) -> int:
        """All that went out."""
        return self.host.bytes_sent


class Fetching:
    """One download on a machine of its own."""

    def __init__(
        self,
        host: Host,
        part: MemoryPart,
        *,
        give_up_s: float | None = None,
        limits: TransferLimits | None = None,
        own_key: str | None = None,
        seed: int = 1,
    ) -> None:
        self.host = host
        self.part = part
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.receipt: Receipt | None = None
        self.failure: Failure | None = None
        self.download = Download(
            host,
            random.Random(seed),
            part,
            in_the_open(host),
            own_key=own_key,
            on_event=lambda name, details: self.events.append((name, dict(details))),
            limits=limits,
        )
        self._give_up_s = give_up_s

    def start(self, *sources: FileSource) -> Fetching:
        """Begin with these sources."""
        self.download.add_sources(sources)
        self.download.start(self._give_up_s).addCallbacks(self._done, self._failed)
        return self

    def ask(self, sources: Callable[[], list[FileSource]], *later_s: float) -> None:
        """Add sources now and again, as those who ask an index do."""
        self.download.add_sources(sources())
        if not self.is_over:
            wait_s, *rest = later_s or (1.0, 2.0, 4.0, 8.0, 15.0)
            self.host.callLater(wait_s, self.ask, sources, *(rest or [wait_s]))

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.receipt is not None or self.failure is not None

    @property
    def dropped(self) -> dict[int, str]:
        """By the id of the node, why it was dropped."""
        return {details["node"]: details["why"] for name, details in self.events if name == "dropped"}

    def _done(self, receipt: Receipt) -> None:
        self.receipt = receipt

    def _failed(self, failure: Failure) -> None:
        self.failure = failure


class Rogue(TwistedProtocol):
    """A source that is played by a test.

    @param script: called with the protocol and each piece of data that comes.
    """

    transport: Any

    def __init__(self, script: Callable[[Rogue, bytes], object]) -> None:
        self._script = script
        self.heard = b""

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self._script(self, data)


class Wire(StringTransport):
    """A transport that is asked what only TCP knows."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Nothing."""


class Asker(NetstringReceiver):
    """Somebody who fetches, played by hand; it reads frames with Twisted's receiver, not ours."""

    MAX_LENGTH = 1 << 20

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.binary: list[bytes] = []
        self.is_closed = False
        self._forgotten_bytes = 0

    def stringReceived(self, payload: bytes) -> None:
        if payload[0] < 0x20:
            self.binary.append(payload)
        else:
            self.heard.append(json.loads(payload))

    def connectionLost(self, reason: object = None) -> None:
        self.is_closed = True

    def tell(self, type: str, **keys: Any) -> None:
        """Send one message."""
        self.sendString(json.dumps({"type": type, **keys}).encode())

    def types(self) -> list[str]:
        """What has been said, in order."""
        return [message["type"] for message in self.heard]

    def last(self, type: str) -> dict[str, Any]:
        """The latest message of a type."""
        return [message for message in self.heard if message["type"] == type][-1]

    @property
    def file_bytes(self) -> int:
        """How much of the file has come."""
        return self._forgotten_bytes + sum(len(payload) - 9 for payload in self.binary if payload[0] == 2)

    def forget_bytes(self) -> None:
        """Keep of the pieces that have come only how many bytes they were."""
        self._forgotten_bytes = self.file_bytes
        self.binary.clear()


class Chunks(dict[int, bytes]):
    """Where a part keeps its chunks; all that are alike are one object, so that ten copies take the room of one.

    @param alike: what is shared, by itself.
    """

    def __init__(self, alike: dict[bytes, bytes]) -> None:
        super().__init__()
        self._alike = alike

    def __setitem__(self, chunk: int, content: bytes) -> None:
        super().__setitem__(chunk, self._alike.setdefault(content, content))


class TransferTestCase(SynchronousTestCase):
    """Simulated machines; a file of some chunks."""

    size = 3 * MIB + 5

    def setUp(self) -> None:
        self.network = SimulatedNetwork()
        self.bytes = file_of(self.size)
        self._chunks: dict[bytes, bytes] = {}
        self.manifest = manifest_of(self.bytes)

    def site(self, number: int, *contents: IContent, **options: Any) -> Site:
        """A machine that serves the file, or others."""
        return Site(self.network, number, *(contents or (MemoryContent(self.manifest, self.bytes),)), **options)

    def fetching(self, part: MemoryPart | None = None, **options: Any) -> Fetching:
        """A download of the file."""
        return Fetching(self.network.host(), part or self._part(), **options)

    def peer(self, number: int, **options: Any) -> tuple[Site, Fetching]:
        """A machine that fetches the file, and serves what it has of it."""
        part = self._part()
        site = Site(self.network, number, **options)
        site.role.share.contents[self.manifest.digest] = PartContent(part)
        return site, Fetching(site.host, part, own_key=site.source.key, seed=number)

    def _part(self) -> MemoryPart:
        return MemoryPart(self.manifest.digest, chunks=Chunks(self._chunks))

    def asker(self, site: Site, digest: str | None = None, host: Host | None = None, version: int = 1) -> Asker:
        """Somebody who has asked a site for the file."""
        asker = Asker()
        factory = ClientFactory()
        factory.buildProtocol = lambda addr: asker  # type: ignore[method-assign, assignment]
        address = site.source.address
        (host or self.network.host()).connectTCP(address.host, address.port, factory)
        self.network.run(0.01)
        asker.tell("fetch", digest=digest or self.manifest.digest, version=version)
        self.network.run(0.05)
        return asker

    def rogue(self, number: int, script: Callable[[Rogue, bytes], object]) -> FileSource:
        """A machine that a test plays."""
        host = self.network.host()
        factory = Factory()
        factory.buildProtocol = lambda addr: Rogue(script)  # type: ignore[method-assign, assignment]
        host.listenTCP(9001, factory)
        return FileSource(number, f"{number:064x}", Address(host.address, 9001))

    def finish(self, *fetchings: Fetching, most_s: float = 120.0) -> None:
        """Let time pass until all are over; what came is the file."""
        self.network.run_until(lambda: all(each.is_over for each in fetchings), most_s)
        for each in fetchings:
            if each.failure is not None:
                each.failure.raiseException()
            self.assertTrue(each.part.is_finished)
            self.assertEqual(each.part.content(), self.bytes)
