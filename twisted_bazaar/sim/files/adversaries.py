"""Adversaries that lie about files in a simulation, each in one way.

A liar lists files that it has not, by their right digests, and serves those who ask for them something else, or
nothing, or so slowly that it comes to nothing. One that names an address where nobody is does so by its programme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from twisted_bazaar.files.chunks import CHUNK_BYTES, DIGEST_BYTES, Manifest
from twisted_bazaar.files.content import IContent
from twisted_bazaar.files.memory import MemoryShare
from twisted_bazaar.files.messages import Described, Digests, Fetch, Go, Queue, Want, block_head, digests_page
from twisted_bazaar.files.stream import ANSWERED_CODEC, ASKED_CODEC
from twisted_bazaar.files.upload.uploads import Uploads
from twisted_bazaar.interfaces import ICatalogue, INode, Opening, Openings
from twisted_bazaar.role import Role
from twisted_bazaar.sim.engine.hosts import Host
from twisted_bazaar.sim.files.library import Original, original_of
from twisted_bazaar.sim.files.part_files import OwnFile
from twisted_bazaar.sim.files.scenario import Lie
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import SharedFile
from twisted_bazaar.wire.framing import FrameSplitter, frame
from twisted_bazaar.wire.message import Message

_LARGEST_REQUEST_BYTES: Final = 4096
_BYTE_S: Final = 1.0


class _WrongBytes(OwnFile):
    """A file whose manifest is right, and whose bytes are not."""

    def read(self, chunk: int) -> Deferred[bytes]:
        """Something as long as the chunk."""
        return super().read(chunk).addCallback(lambda content: content[:-1] + bytes([content[-1] ^ 1]))


class _Disguised(OwnFile):
    """Another file, said to be the one that is asked for."""

    def __init__(self, host: Host, other: Original, digest: str) -> None:
        super().__init__(host, other)
        self.manifest = Manifest(digest, other.manifest.size, other.manifest.chunk_digests)


class Adversary(Role):
    """Lies about files.

    @param lie: in which way.
    @param originals: the files that it says it has.
    """

    def __init__(self, catalogue: ICatalogue, host: Host, lie: Lie, originals: Sequence[Original]) -> None:
        self._catalogue = catalogue
        self._host = host
        self._lie = lie
        self._originals = originals
        self._silent: set[_Silence] = set()

    def start(self, node: INode) -> None:
        """List what it has not."""
        super().start(node)
        contents = {each.manifest.digest: self._disguise(each) for each in self._originals}
        share = MemoryShare()
        share.contents = contents
        self._uploads = Uploads(node.clock, node.rng, share)
        opens: Mapping[str, Opening] = {"silence": self._say_nothing, "drip": self._drip}
        self._open: Opening = opens.get(self._lie, self._uploads.open)
        self.openings: Openings = {Fetch: self._opened}
        listed = [
            SharedFile(each.title, contents[each.manifest.digest].manifest.size, each.manifest.digest)
            for each in self._originals
        ]
        self._catalogue.publish(listed, [])

    def stop(self) -> Deferred[None]:
        """Lie no more."""
        for silence in list(self._silent):
            silence.transport.abortConnection()
        return self._uploads.stop()

    def _disguise(self, original: Original) -> IContent:
        """What is served as a file."""
        size, digest = original.manifest.size, original.manifest.digest
        match self._lie:
            case "manifest":
                return _Disguised(self._host, original_of(f"not {original.title}", size), digest)
            case "size":
                wrong = size + CHUNK_BYTES if len(original.title) % 2 else max(1, size // 2)
                return _Disguised(self._host, original_of(f"not {original.title}", wrong), digest)
            case _:
                return _WrongBytes(self._host, original)

    def _opened(self, fetch: Fetch, address: Address) -> IProtocol | None:
        self.node.report("asked", None, digest=fetch.digest, host=address.host)
        return self._open(fetch, address)

    def _say_nothing(self, fetch: Fetch, address: Address) -> IProtocol:
        return _Silence(self._silent)

    def _drip(self, fetch: Fetch, address: Address) -> IProtocol | None:
        original = next((each for each in self._originals if each.manifest.digest == fetch.digest), None)
        return None if original is None else _Drip(self._silent, self._host, original)


class _Silence(Protocol):
    """Takes a connection, and says nothing."""

    transport: Any

    def __init__(self, all_of_them: set[_Silence]) -> None:
        self._all = all_of_them

    def connectionMade(self) -> None:
        """Say nothing."""
        self._all.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other end has had enough."""
        self._all.discard(self)


class _Drip(_Silence):
    """Has all of a file, and sends a byte of it a second."""

    def __init__(self, all_of_them: set[_Silence], host: Host, original: Original) -> None:
        super().__init__(all_of_them)
        self._original = original
        self._splitter = FrameSplitter(_LARGEST_REQUEST_BYTES)
        self._unsent = b""
        self._next_byte = Timer(host, self._send_byte)

    def connectionMade(self) -> None:
        """Say what the file is made of."""
        super().connectionMade()
        manifest = self._original.manifest
        self._say(Described(size=manifest.size, root=manifest.root))

    def dataReceived(self, data: bytes) -> None:
        """Promise everything."""
        self._splitter.receive(data)
        for payload in self._splitter.next_frames(100):
            self._answer(ASKED_CODEC.decode(payload))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other end has had enough."""
        super().connectionLost(reason)
        self._next_byte.cancel()

    def _answer(self, message: Message) -> None:
        match message:
            case Queue():
                self._say(Go())
            case Digests(first=first, count=count):
                digests = self._original.manifest.chunk_digests
                page = digests[first * DIGEST_BYTES : (first + count) * DIGEST_BYTES]
                self.transport.write(frame(digests_page(first, page)))
            case Want(chunk=chunk) if not self._unsent:
                content = self._original.chunk(chunk)[: CHUNK_BYTES // 2]
                self._unsent = block_head(chunk, 0, len(content)) + content + b","
                self._send_byte()

    def _send_byte(self) -> None:
        self.transport.write(self._unsent[:1])
        self._unsent = self._unsent[1:]
        self._next_byte.set(_BYTE_S)

    def _say(self, message: Message) -> None:
        self.transport.write(frame(ANSWERED_CODEC.encode(message)))
