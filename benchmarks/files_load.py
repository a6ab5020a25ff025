"""The two ends of the transfers that are measured, each in a process of its own, with the transfer stack of a node.

C{python -m benchmarks.files_load serve FILE [RATE]} serves a file; with each line that it gets it prints how much of
it has been sent. C{python -m benchmarks.files_load fetch [RATE]} fetches what the lines say that it gets, C{FOLDER
NAME DIGEST PORT...}, from whoever listens at these ports, serves what it has of it meanwhile, and prints how long
it took until the file was whole, verified, synced and in its place. Both first print where they listen.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor, stdio
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from benchmarks.processes import LOOPBACK, free_port
from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest
from twisted_bazaar.files.disk import Signature
from twisted_bazaar.files.download.happy_eyeballs import ConnectTo
from twisted_bazaar.files.download.resumable_file import ResumableFile
from twisted_bazaar.files.download.swarm import Download
from twisted_bazaar.files.memory import MemoryShare
from twisted_bazaar.files.partial import PartContent
from twisted_bazaar.files.sharing.scan import Sighting
from twisted_bazaar.files.sharing.shared import SharedContent
from twisted_bazaar.files.upload.uploads import Uploads
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.security.links.link_security import Sealed
from twisted_bazaar.security.tls.tls_session import tls_sessions
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource

# When a peer hears of others, in seconds after the last time: as those do who ask an index.
_ASK_AGAIN_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
_CLOCK: Final[Any] = reactor


class _Sharing(Role):
    """Serves what it is given."""

    def __init__(self, rate: int | None) -> None:
        self.share = MemoryShare()
        self.uploads = Uploads(_CLOCK, random.Random(1), self.share, rate=rate)
        self.openings = self.uploads.openings


class Orders(LineOnlyReceiver):
    """Does what it is told on standard input.

    @param role: what serves.
    @param port: where.
    @param connect_to: makes its connections.
    """

    delimiter = b"\n"
    MAX_LENGTH = 1 << 16

    def __init__(self, role: _Sharing, port: int, connect_to: ConnectTo) -> None:
        self._role = role
        self._port = port
        self._connect_to = connect_to

    def lineReceived(self, line: bytes) -> None:
        """Fetch a file, or say how much has been sent."""
        if not line:
            say(sent=self._role.uploads.sent_bytes)
            return
        folder, name, digest, *ports = line.decode().split()
        fetching = Deferred.fromCoroutine(self._fetch(Path(folder), name, digest, [int(port) for port in ports]))
        fetching.addErrback(_fail)

    def connectionLost(self, reason: object = None) -> None:
        """The benchmark is over."""
        os._exit(0)

    async def _fetch(self, folder: Path, name: str, digest: str, ports: Sequence[int]) -> None:
        began = _CLOCK.seconds()
        part = await ResumableFile.open(_CLOCK, folder, name, digest)
        download = Download(_CLOCK, random.Random(os.urandom(8)), part, self._connect_to)
        contents, content = self._role.share.contents, PartContent(part)
        # What an index is to a node: the others see from it who has something.
        index = folder.parent / "index"

        def grown(chunk: int) -> None:
            if digest not in contents:
                contents[digest] = content
                index.mkdir(exist_ok=True)
                (index / str(self._port)).touch()

        def ask(waits: Sequence[float]) -> None:
            here = [port for port in ports[1:] if (index / str(port)).exists()]
            download.add_sources([_source(port) for port in [*ports[:1], *here]])
            if ports[1:] and waits:
                _CLOCK.callLater(waits[0], ask, waits[1:])

        unwatch = part.watch(grown)
        fetching = download.start(30.0)
        ask(_ASK_AGAIN_S)
        try:
            receipt = await fetching
        finally:
            unwatch()
        took_s = _CLOCK.seconds() - began
        if len(ports) == 1:
            contents.pop(digest, None)
            await part.close()
        say(seconds=took_s, dropped=sorted(receipt.dropped.values()))


def _source(port: int) -> FileSource:
    # Any key will do there.
    return FileSource(port, "", Address(LOOPBACK, port))


def manifest_of_file(path: Path) -> Manifest:
    """What a file on the disk is made of."""
    whole, digests = hashlib.sha256(), bytearray()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            whole.update(chunk)
            digests += hashlib.sha256(chunk).digest()
    return Manifest(whole.hexdigest(), path.stat().st_size, bytes(digests))


def say(**what: object) -> None:
    """Print one line."""
    print(json.dumps(what), flush=True)


def _fail(failure: Failure) -> None:
    say(error=failure.getErrorMessage())


async def _run(words: Sequence[str]) -> None:
    rate = int(words[-1]) if words[-1].isdigit() else None
    role = _Sharing(rate)
    key = KeyPair.from_seed(os.urandom(32))
    node = Node(_CLOCK, random.Random(2), key, [role], security=Sealed(_CLOCK, tls_sessions(key)))
    port = free_port()
    await node.start(TCP4ServerEndpoint(_CLOCK, port, interface=LOOPBACK))
    digest = None
    if words[0] == "serve":
        path = Path(words[1])
        manifest = manifest_of_file(path)
        digest = manifest.digest
        seen = Sighting(path.name, path.name, Signature.of(path.stat()))
        content = SharedContent(_CLOCK, path.parent, seen, manifest, lambda seen: None)
        role.share.contents[digest] = content
    stdio.StandardIO(Orders(role, port, node.connection_endpoint))
    say(port=port, digest=digest)


if __name__ == "__main__":
    Deferred.fromCoroutine(_run(sys.argv[1:])).addErrback(_fail)
    _CLOCK.run()
