"""Keys that were met before."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.security.sealed_pair import ACCEPTER, DIALLER, MALLORY
from twisted_bazaar.errors import Unproven
from twisted_bazaar.security.known_keys import KnownKeys, split_pin

HERE, THERE = "tcp:192.0.2.1:9000", "tcp:[2001:db8::1]:9000"


class Kept:
    """Keeps texts in memory, or fails."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.is_full = False

    def recall(self, name: str) -> str | None:
        return self.texts.get(name)

    def keep(self, name: str, text: str) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.texts[name] = text


class KnownKeysTests(SynchronousTestCase):
    """Trust on first use."""

    def setUp(self) -> None:
        """Know nobody."""
        self.kept = Kept()

    def meet(self, where: str, key: str, pinned: str | None = None) -> None:
        """Meet a key in a process of its own."""
        KnownKeys(self.kept).judge_at(where, pinned)(key)

    def test_first(self) -> None:
        """The first to be met is believed, and expected from then on; at each address by itself."""
        self.meet(HERE, ACCEPTER.public)
        self.meet(THERE, DIALLER.public)
        self.meet(HERE, ACCEPTER.public)
        with self.assertRaisesRegex(Unproven, f"another key than before: {MALLORY.public[:16]}.*{HERE}#"):
            self.meet(HERE, MALLORY.public)
        with self.assertRaises(Unproven):
            self.meet(THERE, ACCEPTER.public)
        self.meet(HERE, ACCEPTER.public)

    def test_pinned(self) -> None:
        """A key that is named counts whatever was met before, and is expected from then on."""
        self.meet(HERE, ACCEPTER.public)
        with self.assertRaisesRegex(Unproven, "asked for"):
            self.meet(HERE, ACCEPTER.public, pinned=DIALLER.public)
        self.meet(HERE, ACCEPTER.public)
        self.meet(HERE, DIALLER.public, pinned=DIALLER.public)
        self.meet(HERE, DIALLER.public)
        with self.assertRaises(Unproven):
            self.meet(HERE, ACCEPTER.public)

    def test_nothing_kept(self) -> None:
        """Without a directory it knows as long as it lives; a full disk costs no connection."""
        self.kept.is_full = True
        for known in (KnownKeys(), KnownKeys(self.kept)):
            known.judge_at(HERE)(ACCEPTER.public)
            with self.assertRaises(Unproven):
                known.judge_at(HERE)(MALLORY.public)

    def test_spaces(self) -> None:
        """An address may have spaces in it."""
        self.meet("unix:/tmp/my socket", ACCEPTER.public)
        with self.assertRaises(Unproven):
            self.meet("unix:/tmp/my socket", MALLORY.public)

    def test_spoilt(self) -> None:
        """Lines that are none are passed over."""
        self.kept.texts["known-keys"] = f"\nnonsense\n{HERE} {ACCEPTER.public}\na b c\n"
        self.meet(HERE, ACCEPTER.public)
        with self.assertRaises(Unproven):
            self.meet(HERE, MALLORY.public)


class PinTests(SynchronousTestCase):
    """A key behind an endpoint."""

    def test_split(self) -> None:
        """It stands behind a #."""
        self.assertEqual(split_pin(HERE), (HERE, None))
        self.assertEqual(split_pin(f"{HERE}#{ACCEPTER.public}"), (HERE, ACCEPTER.public))

    def test_no_key(self) -> None:
        """Anything else there is refused, and it is said what a key looks like."""
        for pin in ("", "ab", ACCEPTER.public[:-1], ACCEPTER.public + "0", ACCEPTER.public.upper(), f"#{'0' * 63}"):
            with self.assertRaisesRegex(ValueError, "64 digits"):
                split_pin(f"{HERE}#{pin}")
