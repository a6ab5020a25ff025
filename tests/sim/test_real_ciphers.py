"""Simulated networks whose connections and datagrams are sealed by TLS and Noise themselves, not by their stand-ins."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.security.noise.node_handshake import NoiseHandshakes
from twisted_bazaar.security.tls.tls_session import TlsSession, tls_sessions
from twisted_bazaar.sim import cluster
from twisted_bazaar.sim.files.run import FilesRun
from twisted_bazaar.sim.files.scenario import FilesScenario
from twisted_bazaar.sim.market.run import MarketRun
from twisted_bazaar.sim.market.scenario import MarketScenario
from twisted_bazaar.sim.ring.run import RingRun
from twisted_bazaar.sim.ring.scenario import RingScenario
from twisted_bazaar.sim.run import Run
from twisted_bazaar.sim.superpeer.run import SuperPeerRun
from twisted_bazaar.sim.superpeer.scenario import SuperPeerScenario


class RealCiphersTests(SynchronousTestCase):
    """All that has to hold holds with them, too."""

    def setUp(self) -> None:
        """Seal by them, and count what they make."""
        self.made: Counter[str] = Counter()
        begin = NoiseHandshakes.begin

        def counted(handshakes: NoiseHandshakes, key: str, purpose: bytes) -> Any:
            self.made["datagrams"] += 1
            return begin(handshakes, key, purpose)

        def sessions(key: Any, rng: object, nonces: object) -> Any:
            make = tls_sessions(key)

            def counting(is_dialler: bool) -> Any:
                session = make(is_dialler)
                self.made["connections"] += isinstance(session, TlsSession)
                return session

            return counting

        self.patch(NoiseHandshakes, "begin", counted)
        self.patch(cluster, "stand_in_sessions", sessions)
        self.patch(cluster, "StandInHandshakes", lambda key, rng, nonces, seconds: NoiseHandshakes(key, seconds))

    def assert_kept(self, run: Run[Any, Any], kind: str, least: int) -> None:
        """A run keeps all promises, and makes so many sessions of a kind at least."""
        self.assertEqual(run.run().violations, [])
        self.assertGreaterEqual(self.made[kind], least)

    def test_market(self) -> None:
        """A market in which nodes are killed and the network is cut."""
        scenario = MarketScenario(nodes=10, sellers=3, buyers=4, for_="20s", faults_a_minute=12.0, seed=3)
        self.assert_kept(MarketRun(scenario), "connections", 20)

    def test_files(self) -> None:
        """Files by an index server, some of whose sharers lie."""
        scenario = FilesScenario(nodes=8, sharers=4, files=6, copies=2, size=0.4, liars=0.25, for_="20s", settle="30s")
        self.assert_kept(FilesRun(scenario), "connections", 16)

    def test_super_peers(self) -> None:
        """Super peers that find each other's files."""
        scenario = SuperPeerScenario(super_peers=6, nodes=20, files=40, queries=5, for_="30s")
        self.assert_kept(SuperPeerRun(scenario), "datagrams", 6)

    def test_ring(self) -> None:
        """A ring of which a third dies at once."""
        scenario = RingScenario(nodes=16, lookups=20, values=10, for_="40s", settle="30s")
        self.assert_kept(RingRun(scenario), "datagrams", 32)
