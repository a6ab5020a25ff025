"""C{--role ring_peer}: where it takes datagrams, whom it looks for, and how it leaves."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Sequence
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.taps import node
from twisted_bazaar.taps.leaving import hurry_if_told_again

RING_PEER = ("--ephemeral", "--role", "ring_peer")


def make_service(*words: str, roles: Sequence[str] = RING_PEER) -> Any:
    """The service of a member of a ring that keeps nothing."""
    options = node.Options()
    options.environment = {}
    options.parseOptions([*roles, *words])
    return node.makeService(options, MemoryReactorClock())


class RingPeerTests(SynchronousTestCase):
    """What a member of a ring has without anything being said."""

    def setUp(self) -> None:
        """What it keeps goes to a place that goes."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.patch(tempfile, "tempdir", directory.name)

    def test_datagrams(self) -> None:
        """It takes datagrams at the interface and the port where it takes links, if nothing is said."""
        for words, place in (
            ((), ("127.0.0.1", 0)),
            (("--listen", "tcp:9300"), ("", 9300)),
            (("--listen", "tcp:9300", "--udp", "0"), ("", 0)),
            (("--listen", "tcp:9300:interface=127.0.0.1", "--udp", "9301"), ("127.0.0.1", 9301)),
        ):
            with self.subTest(words=words):
                self.assertEqual(make_service(*words).config.udp, place)

    def test_neighbours(self) -> None:
        """It looks for no neighbours, and has room for those who join by it; what is said holds."""
        for words, least, most in (
            ((), 0, 256),
            (("--min-links", "2", "--max-links", "9"), 2, 9),
        ):
            limits = make_service(*words).config.limits
            self.assertEqual((limits.min_links, limits.max_links), (least, most))

    def test_with_another_role(self) -> None:
        """A role beside it that floods keeps its neighbours."""
        service = make_service("--role", "buyer", "--want", "apple", "--tracker", "tcp:127.0.0.1:9000")
        self.assertEqual(service.config.limits.min_links, 3)

    def test_joins_by_name(self) -> None:
        """The node to join by may be written with its name, which is looked up when it is dialled."""
        for where in ("tcp:localhost:9300", "tcp:member.example:9300"):
            make_service("--join", where)

    def test_place(self) -> None:
        """A place is any that the ring has, as a number or as large rings write it."""
        largest = (1 << 64) - 1
        for text, bits, place in (
            *(("42", "8", 42), ("0x2a", "8", 42)),
            *((str(largest), "64", largest), ("0xffffffffffffffff", "64", largest)),
        ):
            [role] = make_service("--ring-id", text, "--bits", bits).node._roles
            self.assertEqual((role.member._ring_id, role.member.ring.bits), (place, int(bits)))

    def test_refusals(self) -> None:
        """Each mistake has its line, which says what to do."""
        udp = "members of a ring talk to each other by datagrams; write a port, such as 9300"
        links = "a member of a ring takes links of those who join and fetch; write an endpoint such as tcp:9300"
        join = "write where a member listens, such as tcp:127.0.0.1:9300"
        for words, line in (
            (["--udp", "none"], f"--udp none: {udp}"),
            (["--listen", "none"], f"--listen none: {links}"),
            (["--ring-id", "256", "--bits", "8"], "--ring-id 256: places on this ring go from 0 to 255, or 0xff"),
            (["--ring-id", "2a", "--bits", "8"], "--ring-id 2a: places on this ring go from 0 to 255, or 0xff"),
            (["--ring-id", "-1", "--bits", "8"], "--ring-id -1: places on this ring go from 0 to 255, or 0xff"),
            (["--join", "9300"], f"--join '9300': {join}"),
            (["--join", "127.0.0.1:9300"], f"--join '127.0.0.1:9300': {join}"),
            (["--join", "tcp:127.0.0.1:99999"], f"--join 'tcp:127.0.0.1:99999': {join}"),
        ):
            with self.subTest(words=words):
                with self.assertRaises(SystemExit) as caught:
                    make_service(*words)
                self.assertEqual(str(caught.exception), f"bazaar-node: {line}")


class LeavingTests(SynchronousTestCase):
    """A daemon that is leaving is told so again."""

    def setUp(self) -> None:
        """Signals are as they were before, afterwards."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def test_again(self) -> None:
        """From when it leaves, and no sooner, either signal makes it hurry."""
        hurried: list[None] = []
        listening: list[Any] = []

        class Service:
            def stop_now(self) -> None:
                hurried.append(None)

        class Reactor(MemoryReactorClock):
            def addSystemEventTrigger(self, phase: str, event: str, call: Any, *about: Any) -> None:  # type: ignore[override]
                listening.append((phase, event, call))

            def callFromThread(self, call: Any, *about: Any) -> None:
                call(*about)

        before = signal.getsignal(signal.SIGINT)
        hurry_if_told_again(Service(), Reactor())  # type: ignore[arg-type]
        self.assertIs(signal.getsignal(signal.SIGINT), before)
        [(phase, event, call)] = listening
        self.assertEqual((phase, event), ("before", "shutdown"))
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        call()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
        self.assertEqual(len(hurried), 2)
