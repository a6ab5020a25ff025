"""Production nodes on simulated machines: started, stopped, killed and started again.

A L{Member} is a machine with a program on it, the same as a daemon runs: a node that carries roles. A
L{Cluster} holds them all, and lets observers see what they send and report.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.files.udp import Transfer
from twisted_bazaar.identity.keys import SEED_BYTES, KeyPair
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.node import Node
from twisted_bazaar.plugin import declare_messages
from twisted_bazaar.security.links.link_security import InTheClear, LinkSecurity, Sealed
from twisted_bazaar.sim.engine.hosts import Host, Network
from twisted_bazaar.sim.stand_in_handshakes import StandInHandshakes
from twisted_bazaar.sim.stand_in_session import UsedNonces, stand_in_sessions
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.message import NO_ID, Message

log: Final = Logger()

TRACKER: Final = "tracker"
NODE_PORT: Final = 9000
_KEY_FILE: Final = "key"
_ID_FILE: Final = "id"
_CONNECT_S: Final = 5.0
_START_AGAIN_S: Final = 5.0


class Observer:
    """Sees what happens in a cluster; a base for those that want to see some of it."""

    def on_start(self, member: Member) -> None:
        """A program has been started."""

    def on_stop(self, member: Member) -> None:
        """A program has stopped politely; what it left behind is still there to be seen."""

    def on_death(self, member: Member) -> None:
        """A program was killed, or its machine lost its power."""

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """A node reported something."""

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """A node sent a message; C{peer} is None to one that has not greeted."""

    def on_datagram(self, member: Member, address: Address, message: Message, size_bytes: int) -> None:
        """A node sent a message as a datagram, of so many bytes with its cookie."""

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """Something happened to machines or ways."""


@frozen
class Programme:
    """The program of a machine.

    @ivar make_roles: makes the roles of its node, anew for each start.
    @ivar limits: the limits of its node.
    @ivar port: where it listens; None for nowhere.
    @ivar advertised: where it says that it listens; None for where it does.
    @ivar neighbours: the addresses of nodes that it stays linked to.
    @ivar udp: the port where it takes datagrams; None for nowhere.
    @ivar transfer: how it transfers files over datagrams; None for not at all.
    """

    make_roles: Callable[[Member], Sequence[IRole]] = lambda member: ()
    limits: Limits = field(factory=Limits)
    port: int | None = NODE_PORT
    neighbours: Sequence[Address] = ()
    advertised: Address | None = None
    udp: int | None = None
    transfer: Transfer | None = None


class Member:
    """A machine of a cluster and the program on it.

    @ivar name: its name in the cluster.
    @ivar host: the machine.
    @ivar node: the node that runs now; None while none does.
    @ivar roles: the roles it carries.
    @ivar starts: how often it has been started.
    @ivar key: the public key of its node; empty before its first start.
    """

    def __init__(self, cluster: Cluster, name: str, host: Host, programme: Programme) -> None:
        self._cluster = cluster
        self.name = name
        self.host = host
        self.programme = programme
        self.node: Node | None = None
        self.roles: Sequence[IRole] = ()
        self.starts: int = 0
        self.key: str = ""

    def __repr__(self) -> str:
        return f"<member {self.name}>"

    @property
    def address(self) -> Address:
        """Where its node listens."""
        return Address(self.host.addresses[0], self.programme.port or 0)

    @property
    def udp_address(self) -> Address:
        """Where its node takes datagrams."""
        return Address(self.host.addresses[0], self.programme.udp or 0)

    @property
    def id(self) -> int:
        """The id of its node; -1 if there is none, or it has none."""
        return -1 if self.node is None else self.node.id

    def give_key(self, seed: bytes) -> None:
        """Have a key on the disk, instead of the one that would be made at the first start."""
        self.host.disk.write(self._file(_KEY_FILE), seed)
        self.host.disk.sync(self._file(_KEY_FILE))

    def start(self, key: KeyPair | None = None) -> Node:
        """Start the program.

        @param key: the key of the node; the one on the disk, or a new one, if not given.
        @raise OSError: the disk fails.
        @raise CannotListenError: its port is taken.
        """
        assert self.node is None, f"{self.name} runs already"
        self.starts += 1
        host, cluster, programme = self.host, self._cluster, self.programme
        host.power_up()
        rng = random.Random(f"{cluster.network.seed}/{self.name}/{self.starts}")
        self.roles = programme.make_roles(self)
        key = key or self._key(rng)
        self.key = key.public
        cluster.enter_key(key, self)
        self.node = self._make_node(rng, key)
        port = programme.port
        failures: list[Failure] = []
        endpoint = None if port is None else TCP4ServerEndpoint(host, port)
        udp = None if programme.udp is None else ("", programme.udp)
        starting = Deferred.fromCoroutine(self.node.start(endpoint, programme.advertised, udp))
        starting.addErrback(failures.append)
        if failures:
            self.node.datagrams.close()
            self.node = None
            failures[0].raiseException()
        for observer in cluster.observers:
            observer.on_start(self)
        return self.node

    def keep_running(self) -> None:
        """Start the program unless it runs; while its disk fails try again, as whatever starts daemons does."""
        if self.node is not None:
            return
        try:
            self.start()
        except OSError as error:
            timeline = self._cluster.network.timeline
            self._cluster.note("not-started", node=self.name, reason=str(error))
            timeline.at(timeline.now + _START_AGAIN_S, Member.keep_running, self)

    def stop(self) -> Deferred[None]:
        """Stop the program politely; fires when it has ended."""
        node = self.node
        if node is None:
            return succeed(None)
        epoch = self.host.epoch

        def stopped(result: None) -> None:
            if self.host.epoch == epoch:
                for observer in self._cluster.observers:
                    observer.on_stop(self)
                self.node = None
                if not self._cluster.others_on(self):
                    self.host.kill()

        return node.stop().addCallback(stopped)

    def kill(self) -> None:
        """End the program without warning; the machine goes on."""
        self._end(self.host.kill)

    def crash(self) -> None:
        """Let the machine lose its power."""
        self._end(self.host.crash)

    def _end(self, how: Callable[[], None]) -> None:
        how()
        if self.node is not None:
            self.node = None
            for observer in self._cluster.observers:
                observer.on_death(self)

    def _make_node(self, rng: random.Random, key: KeyPair) -> Node:
        host, cluster, programme = self.host, self._cluster, self.programme
        tracker = cluster.tracker_address if cluster.tracker_address != self.address else None
        transfer = programme.transfer
        return Node(
            host,
            rng,
            key,
            self.roles,
            limits=programme.limits,
            former_id=int(host.disk.read(self._file(_ID_FILE)) or NO_ID),
            tracker=None if tracker is None else _endpoint(host, tracker),
            neighbours=[_endpoint(host, address) for address in programme.neighbours],
            journal=self._report,
            trace=self._trace,
            datagram_trace=self._trace_datagram,
            make_streams=None if transfer is None else transfer.streams,
            streams_first=transfer is not None and transfer.comes_first,
            security=cluster.security_of(self, key),
        )

    def _key(self, rng: random.Random) -> KeyPair:
        """The key on the disk, made at the first start."""
        disk = self.host.disk
        seed = disk.read(self._file(_KEY_FILE))
        if not seed:
            seed = rng.randbytes(SEED_BYTES)
            self.give_key(seed)
        return KeyPair.from_seed(seed)

    def _file(self, name: str) -> str:
        """The name of a file of this node's own, if there are several on a machine."""
        return f"{self.programme.port}.{name}"

    def _keep_id(self) -> None:
        """Have the id on the disk, so that it is asked for again; a disk that fails costs no more than that."""
        disk = self.host.disk
        try:
            disk.write(self._file(_ID_FILE), b"%d" % self.id)
            disk.sync(self._file(_ID_FILE))
        except OSError:
            log.debug("{name} cannot keep its id", name=self.name)

    def _report(self, event: str, details: Mapping[str, Any]) -> None:
        if event == "joined":
            self._keep_id()
        for observer in self._cluster.observers:
            observer.on_report(self, event, details)

    def _trace(self, peer: Peer | None, message: Message) -> None:
        for sent in self._cluster.sent_to:
            sent(self, peer, message)

    def _trace_datagram(self, address: Address, message: Message, size_bytes: int) -> None:
        for sent in self._cluster.datagrams_sent_to:
            sent(self, address, message, size_bytes)


class Cluster:
    """Members on one network.

    @param network: where they are.
    @param sealed: whether their connections and datagrams are sealed, by stand-ins for TLS and Noise.
    @ivar members: by name, in the order in which they were added.
    @ivar tracker: the one that hands out ids, if there is one.
    @ivar tracker_address: where those that are started from now on look for their tracker.
    """

    def __init__(self, network: Network, *, sealed: bool = True) -> None:
        declare_messages()
        self.network = network
        self._used_nonces = UsedNonces() if sealed else None
        self.members: dict[str, Member] = {}
        self.observers: list[Observer] = []
        # Only those that look at messages: there are very many of these.
        self.sent_to: list[Callable[[Member, Peer | None, Message], None]] = []
        self.datagrams_sent_to: list[Callable[[Member, Address, Message, int], None]] = []
        self.tracker: Member | None = None
        self.tracker_address: Address | None = None
        self._by_key: dict[str, Member] = {}
        self._on_machine: dict[str, list[Member]] = {}

    def observe(self, observer: Observer) -> None:
        """Let somebody see everything from now on."""
        self.observers.append(observer)
        if type(observer).on_message is not Observer.on_message:
            self.sent_to.append(observer.on_message)
        if type(observer).on_datagram is not Observer.on_datagram:
            self.datagrams_sent_to.append(observer.on_datagram)

    def add_tracker(
        self, make_roles: Callable[[Member], Sequence[IRole]], limits: Limits | None = None, name: str = TRACKER
    ) -> Member:
        """A machine for the tracker, or for what stands in for one; not started."""
        limits = limits or Limits(max_links=100_000, max_greeting=1024)
        tracker = self.tracker = self.add(name, Programme(make_roles, limits))
        self.tracker_address = tracker.address
        return tracker

    def add(self, name: str, programme: Programme, host: Host | None = None) -> Member:
        """A machine with a program; not started."""
        member = Member(self, name, host or self.network.add_host(name), programme)
        self.members[name] = member
        self._on_machine.setdefault(member.host.name, []).append(member)
        return member

    def name_of(self, peer: Peer) -> str:
        """The name of the member at the other end of a link; the tracker names no key."""
        member = self._by_key.get(peer.key) or self.tracker
        return TRACKER if member is None else member.name

    def member_with_key(self, key: str) -> Member | None:
        """The member whose node has a key."""
        return self._by_key.get(key)

    def enter_key(self, key: KeyPair, member: Member) -> None:
        """Know a member by its key."""
        self._by_key[key.public] = member

    def others_on(self, member: Member) -> list[Member]:
        """Who else runs on the machine of a member."""
        here = self._on_machine[member.host.name]
        return [other for other in here if other is not member and other.node is not None]

    def security_of(self, member: Member, key: KeyPair) -> LinkSecurity:
        """What seals the connections of a member that is being started."""
        if self._used_nonces is None:
            return InTheClear()
        rng = random.Random(f"{self.network.seed}/{member.name}/{member.starts}/sessions")
        handshakes = StandInHandshakes(key, rng, self._used_nonces, member.host.seconds)
        return Sealed(member.host, stand_in_sessions(key, rng, self._used_nonces), handshakes=handshakes)

    def note(self, event: str, **details: Any) -> None:
        """Tell the observers of something that happened to machines or ways."""
        for observer in self.observers:
            observer.on_event(event, details)

    def running(self) -> list[Member]:
        """The members whose program runs."""
        return [member for member in self.members.values() if member.node is not None]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        timeline = self.network.timeline
        timeline.run_until(timeline.now + seconds)


def limits_of(**changes: Any) -> Limits:
    """The usual limits, but for some."""
    return evolve(Limits(), **changes)


def _endpoint(host: Host, address: Address) -> TCP4ClientEndpoint:
    return TCP4ClientEndpoint(host, address.host, address.port, timeout=_CONNECT_S)
