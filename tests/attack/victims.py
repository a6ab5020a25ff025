"""Daemons of each role that can be attacked, with an honest client for each."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from tests.attack.honest import LinkClient, Newcomer
from tests.attack.stage import Stage, Victim
from tests.integration.watched_node import HandPeer


@frozen
class Kind:
    """A kind of daemon.

    @ivar name: of its role.
    @ivar is_numbered: whether it gives ids to who greets it.
    @ivar start: starts one.
    @ivar question: what an honest client asks it, from its id and a number.
    @ivar answer: the type of the answer, and which of its keys have to be those of the question.
    @ivar prepare: what such a client does first, when it is linked.
    @ivar pause_s: between two of its questions: asked faster, it would be a flood.
    @ivar is_sealed: whether its connections are sealed.
    """

    name: str
    is_numbered: bool
    start: Callable[..., Victim]
    question: Callable[[int, int], dict[str, Any]]
    answer: tuple[str, tuple[str, ...]]
    prepare: Callable[[HandPeer], None] = lambda peer: None
    pause_s: float = 0.02
    is_sealed: bool = True

    def client(self, victim: Victim, patience_s: float = 5.0) -> LinkClient:
        """An honest client of one, which keeps its link."""
        asks = (self.question, self.answer, self.prepare, patience_s)
        return LinkClient(victim.port, self.is_numbered, *asks, is_sealed=self.is_sealed)

    def newcomer(self, victim: Victim) -> Newcomer:
        """An honest client of one, which comes anew each time."""
        return Newcomer(victim.port, self.is_numbered, is_sealed=self.is_sealed)


def in_the_open(kind: Kind) -> Kind:
    """The same kind of daemon, which seals nothing."""
    return evolve(kind, start=lambda stage, *words: kind.start(stage, "--plain", *words), is_sealed=False)


def start_tracker(stage: Stage, *words: str, **options: Any) -> Victim:
    """A tracker."""
    return stage.start("bazaar-tracker", *words, **options)


def start_index_server(stage: Stage, *words: str, **options: Any) -> Victim:
    """An index server, which believes lists for as long as it can."""
    return stage.start("bazaar-node", "--role", "index_server", "--lease", "55", *words, **options)


def start_super_peer(stage: Stage, *words: str, **options: Any) -> Victim:
    """A super peer without neighbours."""
    return stage.start("bazaar-node", "--role", "super_peer", *words, **options)


def start_ring(stage: Stage, *words: str, **options: Any) -> Victim:
    """A ring of one member, a sharer with an empty folder."""
    folder = ("--role", "sharer", "--folder", str(stage.folder()))
    return stage.start("bazaar-node", "--via", "ring", *folder, *words, **options)


def start_seller(stage: Stage, *words: str, **options: Any) -> Victim:
    """A seller found by flooding, with a tracker of its own, and room for a hundred links."""
    tracker = start_tracker(stage)
    selling = ("--role", "seller", "--stock", "apple=1000000@120", "--max-links", "100", "--min-links", "0")
    seller = stage.start("bazaar-node", *selling, "--tracker", tracker.endpoint, *words, **options)
    seller.wait_for("joined the network")
    return seller


def start_sharer(stage: Stage, folder: Path, *words: str, **options: Any) -> Victim:
    """A sharer of a folder, with an index server of its own."""
    index = start_index_server(stage)
    sharing = ("--role", "sharer", "--folder", str(folder), "--via", "index", "--index", index.endpoint)
    sharer = stage.start("bazaar-node", *sharing, *words, **options)
    sharer.wait_for("joined the network")
    return sharer


def make_file(folder: Path, size_bytes: int) -> str:
    """Write a file of random bytes; returns its digest."""
    content = secrets.token_bytes(size_bytes)
    (folder / "file").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def register(peer: HandPeer) -> None:
    """Become a weak peer of a super peer."""
    peer.tell("register", id=1)
    assert peer.hear("registered") is not None, "a super peer takes weak peers"


TRACKER: Final = Kind("tracker", True, start_tracker, lambda me, number: {"type": "nodereq"}, ("nodereply", ()))
INDEX_SERVER: Final = Kind(
    "index server",
    True,
    start_index_server,
    lambda me, number: {"type": "findfiles", "id": number, "name": "wanted"},
    ("foundfiles", ("id",)),
)
SUPER_PEER: Final = Kind(
    "super peer",
    False,
    start_super_peer,
    lambda me, number: {"type": "query", "id": f"{number:032x}", "name": "wanted"},
    ("queryend", ("id",)),
    register,
)
SELLER: Final = Kind(
    "seller",
    False,
    start_seller,
    lambda me, number: {"type": "search", "id": number, "item": "apple", "returnPath": [me], "ttl": 1},
    ("reply", ("id",)),
    pause_s=0.1,
)
RING: Final = Kind("ring", False, start_ring, lambda me, number: {"type": "ping"}, ("pong", ()))
# In the open, as who teaches with netcat has it.
PLAIN_TRACKER: Final = evolve(in_the_open(TRACKER), name="plain tracker")
KINDS: Final = (TRACKER, INDEX_SERVER, SUPER_PEER, SELLER, RING)
