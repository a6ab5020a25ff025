"""The service that runs one node: how it starts and ends, what its options mean, and what it writes."""

from __future__ import annotations

import errno
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.configured import config_of
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.journal import EventFile
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.role import Role
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.service.config import NodeConfig, changed_limits
from twisted_bazaar.service.process import exit_with
from twisted_bazaar.service.service import NodeService, build_service
from twisted_bazaar.settings.endpoints import parse_address, server_endpoint
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address


class Errand(Role):
    """A role that can end its process."""

    def __init__(self) -> None:
        self.finished: Deferred[int] = Deferred()


class Unstartable(Role):
    """A role that cannot start."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def start(self, node: object) -> None:
        raise self.error


class ServiceTestCase(SynchronousTestCase):
    """Services on machines in memory."""

    def setUp(self) -> None:
        """A network, and a place for files."""
        self.network = SimulatedNetwork()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.events = Path(directory.name, "events.jsonl")

    def listening(self) -> list[tuple[str, int]]:
        """Where somebody takes connections."""
        return [address for host in self.network.network.hosts.values() for address in host.ports]

    def service(self, *roles: IRole, listen: str = "tcp:9000", **options: Any) -> NodeService:
        """Build a service on a machine of its own."""
        machine = self.network.host()
        return build_service(config_of(machine, *roles, listen=listen, **options), roles, machine)


class NodeServiceTests(ServiceTestCase):
    """A node runs as long as its service."""

    def statuses(self, *roles: IRole) -> tuple[NodeService, list[int]]:
        """A service, and the statuses with which it ends its process."""
        machine, statuses = self.network.host(), list[int]()
        config = NodeConfig(listen=TCP4ServerEndpoint(machine, 9000))
        return NodeService(machine, config, roles, statuses.append), statuses

    def start_broken(self, *roles: IRole) -> list[LogEvent]:
        """Start a service that cannot run; returns what the log says of it."""
        service, statuses = self.statuses(Tracker(), *roles)
        with capturedLogs() as logged:
            service.startService()
        self.assertEqual(statuses, [ExitStatus.NO])
        return [event for event in logged if event["log_level"] >= LogLevel.error]

    def test_runs(self) -> None:
        """Started it listens; stopped it does not, and says when all is closed."""
        service = self.service(Tracker())
        service.startService()
        self.assertEqual(len(self.listening()), 1)
        stopping = service.stopService()
        self.network.run(3)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(self.network.left(), [])

    def test_new_key(self) -> None:
        """One that keeps no key and is known by an address says that it will be refused there; no other does."""
        for said, options in (
            (1, {"plain": False}),
            (0, {"plain": False, "listen": "tcp:0"}),
            (0, {"plain": False, "listen": "none"}),
            (0, {"plain": True}),
        ):
            service = self.service(Tracker(), **options)
            with capturedLogs() as logged:
                service.startService()
            told = [formatEvent(event) for event in logged if "--ephemeral" in formatEvent(event)]
            self.assertEqual(len(told), said, options)
            self.assertTrue(all("--state keeps the key" in each for each in told))
            service.stopService()
        self.network.run(3)

    def test_datagrams(self) -> None:
        """It takes datagrams where it is told to, and says so if it cannot."""
        machine = self.network.host()
        role: IRole = Tracker()
        service = build_service(config_of(machine, role, listen="tcp:9000", udp="9001"), [role], machine)
        service.startService()
        self.assertEqual(service._status()["udp"], 9001)
        # What was never started is not stopped either, so there are no errors in the log.
        role, statuses = SuperPeer(), list[int]()
        config = config_of(machine, role, listen="tcp:9002", udp="9001", tracker="none")
        other = NodeService(machine, config, [role], statuses.append)
        with capturedLogs() as logged:
            other.startService()
        self.assertEqual(statuses, [ExitStatus.NO])
        said = [formatEvent(event) for event in logged if event["log_level"] >= LogLevel.error]
        self.assertRegex(said[0], r"^cannot listen: .*9001.*; choose another --listen or --udp$")
        for each in (service, other):
            each.stopService()
        self.network.run(3)

    def test_errand(self) -> None:
        """When a role has done its errand the process ends with its status."""
        errand = Errand()
        service, statuses = self.statuses(Tracker(), errand)
        service.startService()
        self.assertEqual(statuses, [])
        errand.finished.callback(4)
        self.assertEqual(statuses, [4])

    def test_cannot_run(self) -> None:
        """What the user can mend ends the process with one line and no traceback."""
        for error, line in (
            (UsageError("too much of it"), "too much of it"),
            (
                CannotListenError("", 9000, OSError(98, "in use")),
                "cannot listen: Couldn't listen on any:9000: [Errno 98] in use; choose another --listen",
            ),
        ):
            [event] = self.start_broken(Unstartable(error))
            self.assertEqual((formatEvent(event), event.get("log_failure")), (line, None))

    def test_fault_of_ours(self) -> None:
        """Anything else ends it with a traceback in the log."""
        [event] = self.start_broken(Unstartable(RuntimeError("a planted fault")))
        self.assertEqual(formatEvent(event), "the node could not start")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class EndpointTests(SynchronousTestCase):
    """Where a daemon listens."""

    def test_backlog(self) -> None:
        """Many may connect at once, unless the user says how many."""
        for text, backlog in (
            ("tcp:0", 1024),
            ("tcp:0:interface=127.0.0.1", 1024),
            ("tcp6:0", 1024),
            ("tcp:port=0:backlog=7", 7),
        ):
            reactor = MemoryReactorClock()
            endpoint = server_endpoint(reactor, text)
            assert endpoint is not None, "it is one"
            endpoint.listen(Factory())
            self.assertEqual([each[2] for each in reactor.tcpServers], [backlog], text)


class ExitTests(SynchronousTestCase):
    """How a process ends."""

    def test_stops_once(self) -> None:
        """The reactor is stopped when it runs; a second reason to end finds it stopped."""
        stops: list[Callable[[], None]] = []

        class Counting(MemoryReactorClock):
            def stop(self) -> None:
                stops.append(self.stop)
                super().stop()

        reactor = Counting()
        for _ in range(2):
            exit_with(reactor, 0)
        self.assertEqual(stops, [])
        reactor.running = True
        for hook, args, _ in reactor.whenRunningHooks:
            hook(*args)
        self.assertEqual(len(stops), 1)


class EventsTests(ServiceTestCase):
    """What goes into the file of C{--events}."""

    def test_lines(self) -> None:
        """Each event and each message sent is a line of JSON, with its time."""
        tracker = self.service(Tracker(verbose=True), events=str(self.events))
        tracker.startService()
        [host] = [host.address for host in self.network.network.hosts.values()]
        [(_, port)] = self.listening()
        node = self.service(listen="none", tracker=f"tcp:{host}:{port}")
        node.startService()
        self.network.run(0.1)
        lines = [json.loads(line) for line in self.events.read_text(encoding="utf-8").splitlines()]
        self.assertTrue(all(0.0 <= line.pop("time") < 0.1 for line in lines))
        listening, sent, *_ = lines
        self.assertEqual(listening, {"event": "listening", "host": "all addresses", "port": 9000})
        self.assertEqual({line["event"] for line in lines}, {"listening", "sent", "joined", "asked"})
        self.assertEqual((sent["event"], sent["type"]), ("sent", "thisisyou"))

    def test_datagrams(self) -> None:
        """Each datagram sent has its line too, with the address it goes to."""
        machine = self.network.host()
        role = SuperPeer([Address("10.0.0.9", 9200)])
        config = config_of(machine, role, listen="tcp:9000", udp="9000", events=str(self.events))
        build_service(config, [role], machine).startService()
        self.network.run(0.1)
        lines = [json.loads(line) for line in self.events.read_text(encoding="utf-8").splitlines()]
        self.assertEqual([line["to"] for line in lines if line["event"] == "datagram"], ["10.0.0.9:9200"])

    def test_adds(self) -> None:
        """A file that is there already is continued."""
        self.events.write_text("before\n", encoding="utf-8")
        self.service(Tracker(), events=str(self.events)).startService()
        before, line = self.events.read_text(encoding="utf-8").splitlines()
        self.assertEqual((before, json.loads(line)["event"]), ("before", "listening"))

    def test_full_disk(self) -> None:
        """A disk that is full costs the file and not the node; the log says so once."""

        class Full(io.StringIO):
            def write(self, text: str) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

        with capturedLogs() as logged:
            events = EventFile(Full(), self.network.seconds)
            for _ in range(3):
                events.enter("sold", {"order": 1})
        said = [formatEvent(event) for event in logged]
        self.assertEqual(said, ["--events: No space left on device; no more events are written"])


class OptionTests(ServiceTestCase):
    """What options mean."""

    def refusal(self, read: Callable[[], object]) -> str:
        """What the user is told."""
        with self.assertRaises(UsageError) as caught:
            read()
        return str(caught.exception)

    def test_needs_a_tracker(self) -> None:
        """A node needs a tracker, unless it is one."""
        self.assertIn("--tracker none", self.refusal(lambda: self.service(tracker="none")))
        self.assertIsInstance(self.service(Tracker(), tracker="none"), NodeService)

    def test_advertised(self) -> None:
        """What is advertised is what others are told."""
        service = self.service(Tracker(), advertise="192.0.2.7:4711", events=str(self.events))
        service.startService()
        line = json.loads(self.events.read_text(encoding="utf-8"))
        self.assertEqual((line["host"], line["port"]), ("192.0.2.7", 4711))

    def test_address(self) -> None:
        """An address is an IP address and a port; IPv6 may stand in brackets."""
        self.assertEqual(
            [parse_address(text, "-a") for text in ("192.0.2.7:1", "[2001:db8::7]:65535", "2001:db8::7:80")],
            [Address("192.0.2.7", 1), Address("2001:db8::7", 65535), Address("2001:db8::7", 80)],
        )
        for text in (
            "example.org:1",
            "192.0.2.7",
            ":1",
            "192.0.2.7:0",
            "192.0.2.7:65536",
            "192.0.2.7:x",
            "192.0.2.7:²",
        ):
            self.assertTrue(self.refusal(lambda text=text: parse_address(text, "-a")).startswith(f"-a {text!r}: "))

    def test_limits(self) -> None:
        """--max-links, --min-links and --limit change what they name and nothing else."""
        limits = changed_limits(Limits(), {"max-links": "5", "min-links": "2", "limit": ["frame-s=2.5", "seen-ids=9"]})
        self.assertEqual(limits, Limits(max_links=5, min_links=2, frame_s=2.5, seen_ids=9))

    def test_min_is_never_over_max(self) -> None:
        """A node that may have one link does not look for three."""
        self.assertEqual(changed_limits(Limits(), {"max-links": "1"}).min_links, 1)

    def test_no_limits(self) -> None:
        """A limit is a number within reason."""
        for text in ("frame-s=nan", "frame-s=inf", "seen-ids=0", "seen-ids=1.5", "seen-ids=", "seen-ids"):
            self.assertIn(
                "must be a number of 1 or more",
                self.refusal(lambda text=text: changed_limits(Limits(), {"limit": [text]})),
            )
