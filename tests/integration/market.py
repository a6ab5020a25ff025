"""A market in this process: its nodes are the services that the daemons run, on the reactor of pytest-twisted.

Whatever waits here has a deadline of its own: the reactor keeps for itself what pytest-timeout raises in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from socket import AF_INET, AF_INET6, AddressFamily
from typing import Any, Final

from attrs import frozen
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from tests.configured import config_of
from twisted_bazaar.role import Role
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.service.service import NodeService

LONGEST_S: Final = 20.0

reactor: Any = installed


@frozen(eq=False)
class Member:
    """One node of a market.

    @ivar service: what runs it.
    @ivar role: what it carries.
    @ivar events_file: where it writes what happens to it.
    """

    service: NodeService
    role: Role
    events_file: Path

    @property
    def id(self) -> int:
        """Its id; -1 until the tracker has given one."""
        return self.role.node.id

    @property
    def host(self) -> str:
        """Where it listens."""
        return str(self.events("listening")[0]["host"])

    @property
    def port(self) -> int:
        """On which port it listens."""
        return int(self.events("listening")[0]["port"])

    @property
    def endpoint(self) -> str:
        """Where others connect to it."""
        return client(self.host, self.port)

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it has told under one name so far."""
        lines = self.events_file.read_text(encoding="utf-8").splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]


class Market:
    """A tracker and the nodes of one test, all on one host.

    @param host: where they listen unless they say otherwise.
    @param directory: where they write what happens.
    @param statuses: with which status each node that is done would have ended its process; filled by the test.
    """

    def __init__(self, host: str, directory: Path, statuses: list[int]) -> None:
        self._host = host
        self._directory = directory
        self._members: list[Member] = []
        self._started = 0
        self._before = _open_now()
        self.statuses = statuses
        self.tracker = self.start_tracker(server(host))

    def start_tracker(self, listen: str) -> Member:
        """Start a tracker; nodes started later use it."""
        self.tracker = self._run(Tracker(), {"listen": listen, "limit": ["max-links=64"]})
        return self.tracker

    def start(self, role: Role, *near: str, listen: str | None = None, **limits: float) -> Member:
        """Start a node with a role.

        @param near: the endpoints of nodes that it stays linked to.
        @param listen: where it listens.
        @param limits: those of its limits that are not the usual ones.
        """
        options = {
            "listen": listen or server(self._host),
            "tracker": self.tracker.endpoint,
            "connect": near,
            "limit": [f"{name.replace('_', '-')}={value}" for name, value in limits.items()],
        }
        return self._run(role, options)

    def _run(self, role: Role, options: dict[str, Any]) -> Member:
        self._started += 1
        events_file = self._directory / f"{self._started}.jsonl"
        config = config_of(reactor, role, events=str(events_file), **options)
        built = NodeService(reactor, config, [role], self.statuses.append)
        member = Member(built, role, events_file)
        self._members.append(member)
        built.startService()
        return member

    async def stop(self, *members: Member) -> None:
        """Let nodes leave, all at once; all there are if none is named."""
        leaving = members or tuple(self._members)
        self._members = [member for member in self._members if member not in leaving]
        stopped: Deferred[object] = Deferred()
        gatherResults([member.service.stopService() for member in leaving]).chainDeferred(stopped)
        # Not on what was gathered: who cancels that once it has a result cancels nothing.
        stopped.addTimeout(LONGEST_S, reactor)
        await stopped

    def left_open(self) -> set[object]:
        """Sockets and timers that were not there when the market began."""
        return _open_now() - self._before


def server(host: str, port: int = 0) -> str:
    """The endpoint to listen on."""
    return f"tcp{6 if ':' in host else ''}:{port}:interface={_quoted(host)}"


def client(host: str, port: int) -> str:
    """The endpoint to connect to."""
    return f"tcp:{_quoted(host)}:{port}"


def family_of(host: str) -> AddressFamily:
    """The kind of socket for an address."""
    return AF_INET6 if ":" in host else AF_INET


def _quoted(host: str) -> str:
    return host.replace(":", r"\:")


def _open_now() -> set[object]:
    return {*reactor.getReaders(), *reactor.getWriters(), *reactor.getDelayedCalls()}


async def until(condition: Callable[[], object], every_s: float = 0.01) -> None:
    """Let the reactor run until something is so.

    @param every_s: how often to look; 0 for each turn of the reactor.
    @raise AssertionError: it does not become so.
    """
    deadline = reactor.seconds() + LONGEST_S
    while not condition():
        assert reactor.seconds() < deadline, f"this did not come true in {LONGEST_S} s"
        await deferLater(reactor, every_s)
