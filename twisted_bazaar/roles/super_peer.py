"""The super peer: an index for its leaves, which looks for what they seek at other super peers too.

It carries no files and no sales. Its state is soft: leaves tell it again what it has lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Final, Self

from attrs import asdict
from twisted.internet.defer import Deferred, succeed

from twisted_bazaar.byte_budget import MIB, ByteBudget
from twisted_bazaar.discovery.superpeer.messages import MOST_RESULTS, Query, SuperHello, Table
from twisted_bazaar.discovery.superpeer.neighbours.alerts import Alerts
from twisted_bazaar.discovery.superpeer.neighbours.neighbour import Standing
from twisted_bazaar.discovery.superpeer.neighbours.neighbours import Neighbours
from twisted_bazaar.discovery.superpeer.qrp.tables import OwnTable
from twisted_bazaar.discovery.superpeer.ultrapeer.counters import Counters
from twisted_bazaar.discovery.superpeer.ultrapeer.forwarding import QueryForwarding
from twisted_bazaar.discovery.superpeer.ultrapeer.leaves import MOST_BYTES, Leaves
from twisted_bazaar.discovery.superpeer.ultrapeer.local_search import LocalSearch
from twisted_bazaar.discovery.superpeer.ultrapeer.policy import RESULTS, TTL, Policy
from twisted_bazaar.discovery.superpeer.ultrapeer.promotion import Promotion
from twisted_bazaar.discovery.superpeer.ultrapeer.query_control import QueryControl
from twisted_bazaar.discovery.superpeer.ultrapeer.query_ends import QueryEnds
from twisted_bazaar.discovery.superpeer.ultrapeer.reverse_paths import ReversePaths
from twisted_bazaar.discovery.superpeer.ultrapeer.unregistered import Unregistered
from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import Command, DatagramReceivers, INode, Receivers
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.role import Role
from twisted_bazaar.roles.goods import parse_memory
from twisted_bazaar.settings.endpoints import UsualPort
from twisted_bazaar.settings.option import Option, OptionValues, whole_number
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Address, Peer, plain_host
from twisted_bazaar.values.needs import FIND_OUT_SOON, MOST_DIRECT_LINKS, UdpNeed
from twisted_bazaar.wire.message import LARGEST_TTL, TRACKER_ID, is_address

KIND: Final = "super_peer"
LEAVES: Final = 300
DEGREE: Final = 6
_MOST_LEAVES: Final = 10_000
_MOST_DEGREE: Final = 64
_LARGEST_PORT: Final = 65_535
_VERSION_BITS: Final = 48
# Other super peers, and leaves that are told who has room.
_OTHER_LINKS: Final = 64
# Leaves come and go, and each leaves some garbage: with more at once the reactor would feel it.
_COLLECT_AFTER: Final = 20_000
_BROADCAST: Final = "255.255.255.255"
_UDP_TO_LEAD: Final = UdpNeed(
    no_udp="super peers talk to each other by datagrams; write a port, such as 9200",
    no_links="a super peer takes links of weak peers; write an endpoint such as tcp:9200",
)
_UDP_IF_IT_LEADS: Final = UdpNeed(no_udp="who may lead takes datagrams; leave out --udp or --may-lead")


def parse_place(text: str, option: str) -> Address:
    """Read the address where a super peer takes datagrams.

    @raise UsageError: it cannot be read.
    """
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not is_address(host) or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _LARGEST_PORT):
        raise UsageError(f"{option} {text!r}: write HOST:PORT with an IP address, such as 127.0.0.1:9201")
    ip = ip_address(plain_host(host))
    if ip.is_unspecified or ip.is_multicast or str(ip) == _BROADCAST:
        raise UsageError(f"{option} {text!r}: that is no single machine; write the address of one")
    return Address(host, int(port))


OPTIONS: Final = (
    Option("neighbour", "Where another super peer takes datagrams.", "HOST:PORT", is_many=True, read=parse_place),
    Option("leaves", "How many weak peers (leaves) it takes.", "N", f"{LEAVES}", read=whole_number(1, _MOST_LEAVES)),
    Option(
        "list-memory",
        "How many MiB the lists and words of weak peers may take.",
        "MIB",
        f"{MOST_BYTES // MIB}",
        read=parse_memory,
    ),
    Option(
        "ttl",
        "Over how many links between super peers a search goes at most.",
        "N",
        f"{TTL}",
        read=whole_number(1, LARGEST_TTL),
    ),
    Option(
        "results", "How many hits are enough for one search.", "N", f"{RESULTS}", read=whole_number(1, MOST_RESULTS)
    ),
    Option("degree", "How many other super peers it looks for.", "N", f"{DEGREE}", read=whole_number(0, _MOST_DEGREE)),
    Option("no-query-routing", "Send searches to neighbours that have none of the words, too."),
    Option("no-dynamic-querying", "Send every search as far as it may go at once."),
    Option("verbose", "Tell of each weak peer that comes or goes.", short="v"),
)
"""The options of a super peer."""
LISTEN: Final = UsualPort.SUPER_PEER.to_listen
EXAMPLE: Final = "--listen tcp:9200"


class SuperPeer(Role):
    """An index for leaves, linked to other super peers.

    @param neighbours: where super peers take datagrams that are to be its neighbours.
    @param ttl: over how many links between super peers a search goes at most.
    @param leaves: how many leaves it takes.
    @param budget: the memory for their lists and words.
    @param results: how many hits are enough for one search.
    @param degree: how many neighbours it looks for.
    @param query_routing: whether a search goes on its last link only where the words may be.
    @param dynamic_querying: whether a search goes farther only while there is not enough.
    @param verbose: whether the log tells of each leaf that comes or goes.
    @ivar policy: how it searches; may be changed at any time.
    @ivar counters: what it has done since it began.
    @ivar is_leading: whether it is a super peer by now.
    @ivar leaves: its leaves; there from L{start} on, like its neighbours and the searches of its leaves.
    """

    is_self_numbered = True
    needs_neighbours = False

    log: Final = limited_logger(__name__)
    udp_need: UdpNeed | None = _UDP_TO_LEAD
    collect_after: int | None = _COLLECT_AFTER
    leaves: Leaves
    neighbours: Neighbours
    searches: QueryControl

    def __init__(
        self,
        neighbours: Sequence[Address] = (),
        *,
        ttl: int = TTL,
        leaves: int = LEAVES,
        budget: ByteBudget | None = None,
        results: int = RESULTS,
        degree: int = DEGREE,
        query_routing: bool = True,
        dynamic_querying: bool = True,
        verbose: bool = False,
    ) -> None:
        self.policy: Policy = Policy(ttl, results, query_routing, dynamic_querying)
        self.counters: Counters = Counters()
        self.is_leading: bool = True
        self.kind: str | None = KIND
        self._given = list(neighbours)
        self._most_leaves = leaves
        self._budget = budget
        self._degree = degree
        self._verbose = verbose
        self._has_begun = False
        self.commands: Mapping[str, Command] = {"status": self._status}
        # When a super peer dies, all of its leaves may come here at once.
        most = leaves + _OTHER_LINKS
        self.limits: Mapping[str, Any] = {"max_links": most, "max_greeting": most, **FIND_OUT_SOON}

    @classmethod
    def dormant(cls, **options: Any) -> Self:
        """One that is no super peer until it is told to L{lead}."""
        made = cls(**options)
        made.is_leading, made.kind, made.udp_need = False, None, _UDP_IF_IT_LEADS
        made.limits = {**made.limits, "max_links": made.limits["max_links"] + MOST_DIRECT_LINKS}
        return made

    @property
    def query_routing(self) -> bool:
        """Whether a search goes on its last link only where the words may be."""
        return self.policy.query_routing

    @query_routing.setter
    def query_routing(self, is_on: bool) -> None:
        self.policy.query_routing = is_on

    @property
    def dynamic_querying(self) -> bool:
        """Whether a search goes farther only while there is not enough."""
        return self.policy.dynamic_querying

    @dynamic_querying.setter
    def dynamic_querying(self, is_on: bool) -> None:
        self.policy.dynamic_querying = is_on

    @property
    def ttl(self) -> int:
        """Over how many links between super peers a search goes at most."""
        return self.policy.ttl

    def start(self, node: INode) -> None:
        """Begin; nothing is linked yet."""
        super().start(node)
        # A table that begins anew is not to be taken for what it was when this node ran last.
        table = OwnTable(1 + node.rng.getrandbits(_VERSION_BITS))
        self.neighbours = Neighbours(node, table, self._standing, self._neighbours_changed, degree=self._degree)
        self.neighbours.tells_tables = self.policy.query_routing
        self.leaves = Leaves(
            node,
            self._most_leaves,
            table,
            self.counters,
            others=self.neighbours.others,
            changed=lambda: self._promotion.consider(),
            gone=self._leaf_gone,
            table_changed=self.neighbours.table_changed,
            verbose=self._verbose,
            budget=self._budget,
        )
        self._attendance = Alerts(node, self.neighbours)
        self._visitors = Unregistered(node, self._may_stay)
        self._lookups = LocalSearch(self.leaves.directory, node.clock)
        parts = (node, self.policy, self.neighbours, ReversePaths(), QueryEnds(), self._lookups, self.counters)
        self.searches = QueryControl(self.leaves, *parts)
        self._passing = QueryForwarding(*parts, self.searches.hit_received, self.searches.round_over)
        self._promotion = Promotion(node, self.leaves, lambda: list(self.neighbours.linked.values()))
        self.receives: Receivers = {**self.leaves.receives, Query: self.searches.query_received}
        self.datagrams: DatagramReceivers = {
            **self._passing.datagrams,
            SuperHello: self.neighbours.hello_received,
            Table: self.neighbours.table_received,
        }
        self._begin()

    def lead(self, why: str, neighbours: Sequence[Address] = ()) -> None:
        """Become a super peer.

        @param why: for the log.
        @param neighbours: super peers that are to be its neighbours.
        """
        if self.is_leading:
            return
        self.is_leading, self.kind = True, KIND
        self._given += neighbours
        self.node.report("led", "this node is a super peer from now on: {why}", why=why)
        self._begin()
        self.node.kind_changed()

    def tracker_joined(self) -> None:
        """The tracker has given an id."""
        self._begin()

    def peer_joined(self, peer: Peer) -> None:
        """A node is linked, which is to register."""
        self._visitors.add(peer)

    def peer_left(self, peer: Peer) -> None:
        """A link is gone."""
        self.leaves.peer_left(peer)
        self._visitors.remove(peer)

    def stop(self) -> Deferred[None]:
        """End: tell the neighbours, and answer nobody."""
        self._attendance.stop()
        self._visitors.stop()
        self.searches.stop()
        self._lookups.stop()
        self.neighbours.stop()
        return self.leaves.stop()

    def _begin(self) -> None:
        """Take leaves and neighbours, as soon as there is an id to be known by."""
        if self._has_begun or not self.is_leading or self.node.id <= TRACKER_ID:
            return
        self._has_begun = True
        self.leaves.start()
        if self.node.udp_port:
            self.neighbours.start(self._given)
            self._attendance.start()
        else:
            self.log.warn("this super peer takes no datagrams, and so knows no others; give it --udp PORT")

    def _leaf_gone(self, peer: Peer) -> None:
        self.searches.peer_left(peer)
        self._visitors.add(peer)

    def _may_stay(self, peer: Peer) -> bool:
        """Whether somebody is linked who is of use: a leaf, or a super peer that is greeted as well."""
        if peer.id in self.leaves.registrants:
            return True
        return peer.kind == KIND and any(each.key == peer.key for each in self.neighbours.linked.values())

    def _standing(self) -> Standing:
        host, port = self.node.advertised
        return Standing(len(self.leaves), self.leaves.room, port, host)

    def _neighbours_changed(self) -> None:
        self._attendance.neighbours_changed()
        self.leaves.others_changed()
        self._promotion.consider()

    def _status(self, request: Mapping[str, Any]) -> Deferred[Any]:
        counts = self.leaves.directory.counts
        return succeed(
            {
                "role": KIND,
                "leading": self.is_leading,
                "leaves": len(self.leaves),
                "most": self.leaves.most,
                "neighbours": [str(address) for address in self.neighbours.linked],
                "files": counts.files,
                "entries": counts.entries,
                "goods": counts.goods,
                "words": counts.words,
                **asdict(self.counters),
            }
        )


def make_role(options: OptionValues, context: RoleContext) -> SuperPeer:
    """Make a super peer from its options.

    @raise UsageError: one of them cannot be read.
    """
    return SuperPeer(
        options["neighbour"],
        ttl=options["ttl"],
        leaves=options["leaves"],
        budget=options["list-memory"],
        results=options["results"],
        degree=options["degree"],
        query_routing=not options["no-query-routing"],
        dynamic_querying=not options["no-dynamic-querying"],
        verbose=options["verbose"],
    )
