"""Whoever hands over JSON or TOML that is nested without end is told that it cannot be read, wherever it comes in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.trace.reader import TraceFile
from twisted_bazaar.demo.events import Events
from twisted_bazaar.discovery.index.directory.pages import read_cursor
from twisted_bazaar.discovery.ring.records.records import read_page, read_provided
from twisted_bazaar.discovery.ring.storage.entry import read_entry
from twisted_bazaar.errors import Forged, PeerError, UsageError, WireError
from twisted_bazaar.files.chunks import Manifest
from twisted_bazaar.files.download.part_file import PartFile, hidden_names
from twisted_bazaar.identity.signed import read_envelope
from twisted_bazaar.node.control import Ping
from twisted_bazaar.settings.file import SettingsFile
from twisted_bazaar.wire.codec import Codec

DEEP = b"[" * 30_000 + b"]" * 30_000
OBJECT = b'{"type": "ping", "x": ' + DEEP + b"}"


class NestedTests(SynchronousTestCase):
    """Every door."""

    def refused(self, error: type[Exception], read: Callable[[bytes], object], *texts: bytes) -> None:
        """It is refused as what cannot be read is."""
        for text in texts or (DEEP, OBJECT):
            self.assertRaises(error, read, text)

    def test_wire(self) -> None:
        """Messages over links and by datagram."""
        self.refused(WireError, Codec([Ping]).decode)
        self.refused(RecursionError, Codec([Ping]).read, OBJECT)

    def test_signed(self) -> None:
        """Envelopes, what is in them, and the entries of a ring."""
        self.refused(Forged, read_envelope)
        self.refused(Forged, lambda text: read_entry(text.decode()))

    def test_found(self) -> None:
        """What members of a ring and peers of an index say that they have."""
        for text in (DEEP, OBJECT):
            self.assertIsNone(read_provided("ab" * 32, text))
            self.assertEqual(read_page(text).files, ())
        self.refused(PeerError, lambda text: read_cursor(base64.urlsafe_b64encode(text).decode()))

    def test_settings(self) -> None:
        """A settings file."""
        self.refused(UsageError, lambda text: SettingsFile.read("a.toml", b"x = " + text), DEEP)

    def test_traces(self) -> None:
        """A trace, and the events of a demo: the line is left out, and the rest is read."""
        with TemporaryDirectory() as place:
            path = Path(place) / "events"
            event = b'{"time": 1.0, "event": "left"}'
            path.write_bytes(b"\n".join((DEEP, OBJECT, b'{"time": 1, "event": "x", "y": ' + DEEP + b"}", event, b"")))
            with path.open("rb") as file:
                trace = TraceFile(str(path), file, "a")
                self.assertEqual([line.event for line in trace.lines()], ["left"])
                self.assertEqual(trace.unreadable, 3)
            chronicle = Events()
            chronicle.follow("a", path)
            chronicle.refresh()

    def test_journal(self) -> None:
        """The manifest that is noted beside a download: it is asked for anew."""
        manifest = Manifest("ab" * 32, 1, b"\0" * 32)
        with TemporaryDirectory() as place:
            body = DEEP + b"\n" + manifest.chunk_digests
            checksum = hashlib.blake2b(body, digest_size=16).digest()
            _, journal = hidden_names("file", manifest.digest)
            (Path(place) / journal).write_bytes(body + checksum)
            landing = PartFile(Path(place), "file", manifest.digest)
            self.addCleanup(landing.close)
            self.assertIsNone(landing.read_manifest())
