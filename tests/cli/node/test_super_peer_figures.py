"""A super peer's status in words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.node.super_peer_figures import format_super_peer
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.testing import FakeNode


class SuperPeerFiguresTests(SynchronousTestCase):
    """What people read."""

    def test_all(self) -> None:
        """Each figure that a super peer tells has words for people, and stands once."""
        role = SuperPeer()
        role.start(FakeNode())
        told = self.successResultOf(role.commands["status"]({}))
        told.pop("role")
        self.assertEqual(
            list(format_super_peer(told)),
            [
                "weak peers: 0 of 300",
                "neighbours: none",
                "listed by weak peers: files 0, entries 0, goods 0, words 0",
                "for its weak peers: searches 0, queries sent to neighbours 0, hits told 0, hits too late 0, "
                "searches refused 0, weak peers turned away 0",
                "for other super peers: searches answered 0, searches seen before 0, queries passed on 0, "
                "hits passed back 0, hits without a way back 0",
            ],
        )

    def test_another_version(self) -> None:
        """What is missing is left out, and what is unknown stands at the end as it is called."""
        told = {"leading": True, "leaves": 3, "neighbours": ["10.0.0.2:9200"], "hits": 4, "moons": 2}
        self.assertEqual(
            list(format_super_peer(told)),
            ["weak peers: 3", "neighbours: 10.0.0.2:9200", "for its weak peers: hits told 4", "moons: 2"],
        )
