"""The tracker: gives ids, and names nodes to those that look for some. It carries no searches and no sales.

Its state is soft. A node that comes back is known by its key, or by the id it says it had, so a
tracker that lost its memory learns its nodes again from their greetings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from twisted_bazaar.interfaces import Command, INode, IRegistrar, Receivers
from twisted_bazaar.node.control import NodeReply, NodeRequest
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.role import Role
from twisted_bazaar.roles.commands.members import members_commands
from twisted_bazaar.roles.node_ids import LIMITS, MANY_OBJECTS, NodeIds
from twisted_bazaar.settings.endpoints import UsualPort
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Origin, Peer

OPTIONS: Final = (Option("verbose", "Log each question for another node, too.", short="v"),)
"""The options of a tracker."""
LISTEN: Final = UsualPort.TRACKER.to_listen


class _Draw:
    """Nodes by position, to draw from: adding and removing take constant time."""

    def __init__(self) -> None:
        self._peers: list[Peer] = []
        self._positions: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def __getitem__(self, position: int) -> Peer:
        return self._peers[position]

    def add(self, peer: Peer) -> None:
        """Put a node last."""
        self._positions[peer.id] = len(self._peers)
        self._peers.append(peer)

    def discard(self, peer: Peer) -> None:
        """Take a node out, if it is in; the last moves into its place."""
        position = self._positions.pop(peer.id, None)
        if position is None:
            return
        last = self._peers.pop()
        if last.id != peer.id:
            self._peers[position] = last
            self._positions[last.id] = position


@implementer(IRegistrar)
class Tracker(Role):
    """A directory of nodes.

    @param verbose: whether each event is reported, and each question logged.
    """

    log: Final = limited_logger(__name__)
    limits = LIMITS
    collect_after: int | None = MANY_OBJECTS

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._is_stopping = False
        # Those that can be dialled, by kind: by everybody, and by nodes on the tracker's machine only.
        self._open: dict[str | None, _Draw] = {}
        self._local: dict[str | None, _Draw] = {}
        self.receives: Receivers = {NodeRequest: self._request_received}

    def start(self, node: INode) -> None:
        """Begin; nothing is linked yet."""
        super().start(node)
        self._node_ids = NodeIds(node.rng)
        self.commands: Mapping[str, Command] = members_commands(self._node_ids, "tracker")

    def stop(self) -> Deferred[None]:
        """Log no more who leaves: now all do."""
        self._is_stopping = True
        return super().stop()

    def assign_id(self, key: str, claimed: int) -> int:
        """The id of the node that just greeted: its old one if it had one and it is free."""
        return self._node_ids.assign_id(key, claimed, self.node.clock.seconds())

    def peer_joined(self, peer: Peer) -> None:
        """List a node."""
        self._node_ids.id_taken(peer, self.node.clock.seconds())
        if peer.address.port:
            (self._local if peer.address.is_local else self._open).setdefault(peer.kind, _Draw()).add(peer)
        self._log_and_tell("joined", "node {id} joined from {address}", peer)

    def peer_left(self, peer: Peer) -> None:
        """Strike a node off, but remember its id for a while."""
        self._node_ids.id_freed(peer, self.node.clock.seconds())
        for lists in (self._open, self._local):
            listed = lists.get(peer.kind)
            if listed is not None:
                listed.discard(peer)
                if not listed:
                    # What nodes call themselves is up to them.
                    del lists[peer.kind]
        self._log_and_tell("left", "node {id} at {address} left", peer)

    def _request_received(self, request: NodeRequest, origin: Origin) -> None:
        asker = self._node_ids.holders.get(origin.id)
        if asker is None:
            # It has left, and this came by a link that another had taken the place of.
            return
        found = self._another({*request.have, origin.id}, asker, request.kind)
        if found is None:
            reply = NodeReply(kind=request.kind)
            self._tell("asked", "node {asker} asked for another node; there is none", asker=origin.id)
        else:
            address = found.address
            reply = NodeReply(id=found.id, host=address.host, port=address.port, kind=request.kind, udp=found.udp_port)
            self._tell(
                "asked", "node {asker} asked for another node; it was told of node {id}", asker=origin.id, id=found.id
            )
        self.node.send(reply, origin.route)

    def _another(self, unwanted: set[int], asker: Peer, kind: str | None) -> Peer | None:
        """A random node of a kind that the asker can reach and does not have.

        Of one more than there are unwanted ones, one at least is wanted: no need to look at all.
        """
        everybodys = self._open.get(kind) or _Draw()
        locals_ = self._local.get(kind) if asker.address.is_local else None
        listed = len(everybodys) + len(locals_ or ())
        for number in self.node.rng.sample(range(listed), min(listed, len(unwanted) + 1)):
            in_locals = number - len(everybodys)
            peer = everybodys[number] if locals_ is None or in_locals < 0 else locals_[in_locals]
            if peer.id not in unwanted:
                return peer
        return None

    def _log_and_tell(self, event: str, sentence: str, peer: Peer) -> None:
        """Log that a node has come or gone, in one line; the journal has it too, if it has everything."""
        details = {"id": peer.id, "address": str(peer.address)}
        if self._verbose:
            self.node.report(event, sentence, **details)
        elif not self._is_stopping:
            self.log.info(sentence, **details)

    def _tell(self, event: str, sentence: str, **details: Any) -> None:
        if self._verbose:
            self.node.report(event, sentence, **details)


def make_role(options: OptionValues, context: RoleContext) -> Tracker:
    """Make a tracker from its options."""
    return Tracker(verbose=options["verbose"])
