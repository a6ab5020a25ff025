"""Records of TLS, and those of them that carry nothing."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.tls_by_hand import DATA, HANDSHAKE, KEY_UPDATE, Identity, KeyLog, RecordKeys, TlsEnd
from tests.security.sealed_pair import ACCEPTER
from twisted_bazaar.errors import Unproven
from twisted_bazaar.security.tls.record_ends import RecordEnds
from twisted_bazaar.security.tls.tls_session import TlsSession, tls_sessions

MIB = 1 << 20


def record(size: int) -> bytes:
    """A record with so many bytes."""
    return b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size)


class RecordsTests(SynchronousTestCase):
    """Where records end."""

    @given(
        st.lists(st.integers(1, 40)), st.lists(st.integers(1, 30), min_size=1), st.integers(1, 50), st.integers(1, 3)
    )
    def test_pieces(self, sizes: list[int], pieces: list[int], most_bytes: int, most_records: int) -> None:
        """Whatever the pieces in which they come, all of it is cut off in order, and each end is seen where it is."""
        whole = b"".join(map(record, sizes))
        ends = set(itertools.accumulate(size + 5 for size in sizes))
        records, at, seen = RecordEnds(), 0, 0
        for size in itertools.cycle(pieces):
            piece = memoryview(whole)[at : at + size]
            if not piece:
                break
            while piece:
                cut, ended = records.cut(piece, most_bytes, most_records)
                self.assertTrue(0 < cut <= most_bytes)
                self.assertEqual(ended, len(ends & set(range(at + 1, at + cut + 1))))
                self.assertLessEqual(ended, most_records)
                piece, at, seen = piece[cut:], at + cut, seen + ended
        self.assertEqual((at, seen), (len(whole), len(sizes)))


class NothingTests(SynchronousTestCase):
    """Records that carry nothing, sealed by hand."""

    def setUp(self) -> None:
        """Have a session with somebody who seals by hand, up to the last word of the handshake."""
        identity = Identity()
        self.log = KeyLog([identity.dialling])
        self.addCleanup(self.log.__exit__)
        self.session = tls_sessions(ACCEPTER)(False)
        assert isinstance(self.session, TlsSession)
        dialler = TlsEnd(identity.dialling)
        self.session.receive(dialler.outgoing())
        dialler.receive(self.session.outgoing())
        self.last = dialler.outgoing()
        self.keys: RecordKeys = self.log.newest()

    def updates(self, count: int) -> bytes:
        """New keys, so many times."""
        sealed = bytearray()
        for _ in range(count):
            sealed += self.keys.seal(KEY_UPDATE, HANDSHAKE)
            self.keys = self.keys.next()
        return bytes(sealed)

    def test_some(self) -> None:
        """Keys may be renewed, and what follows is understood; the other direction has new keys then too."""
        self.session.receive(self.last)
        self.assertIsNotNone(self.session.proven_key)
        self.session.outgoing()
        self.assertEqual(self.session.receive(self.updates(8)), b"")
        self.assertNotEqual(self.session.outgoing(), b"")
        self.assertEqual(self.session.receive(self.keys.seal(b"words", DATA)), b"words")

    def test_without_end(self) -> None:
        """Who renews keys without end is cut off before it costs much, in whatever pieces they come."""
        for size in (1, 1000, 1 << 20):
            self.setUp()
            self.session.receive(self.last)
            sealed = self.updates(200)
            with self.assertRaisesRegex(Unproven, "carry nothing"):
                for at in range(0, len(sealed), size):
                    self.session.receive(sealed[at : at + size])
            answered = self.session.outgoing()
            self.assertLess(len(answered), 40 * 27)

    def test_with_the_handshake(self) -> None:
        """Nor may they come together with the end of the handshake."""
        with self.assertRaisesRegex(Unproven, "carry nothing"):
            self.session.receive(self.last + self.updates(200))

    def test_empty(self) -> None:
        """Records of data with no data in them are the same."""
        self.session.receive(self.last)
        with self.assertRaisesRegex(Unproven, "carry nothing"):
            self.session.receive(b"".join(self.keys.seal(b"", DATA) for _ in range(9)))

    def test_among_words(self) -> None:
        """A word now and then pays for none; a megabyte pays for one."""
        self.session.receive(self.last)
        self.session.receive(self.updates(8))
        self.session.receive(b"".join(self.keys.seal(bytes(1 << 14), DATA) for _ in range(MIB >> 14)))
        self.session.receive(self.updates(1) + self.keys.seal(b"words", DATA))
        with self.assertRaisesRegex(Unproven, "carry nothing"):
            self.session.receive(self.updates(1))
