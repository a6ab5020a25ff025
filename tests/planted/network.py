"""Bugs of promises 7 to 9: floods, trackers, index servers, super peers and rings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.planted.bug import Bug, bug

_MARKET: Final = "sim/test_invariants.py::PlantedBugTests::"
_SUPER: Final = "sim/test_invariants_super_peers.py::PlantedBugTests::"
_RING: Final = "sim/test_invariants_ring.py::PlantedBugTests::"
_VIA_INDEX: Final = "sim/test_market_via_index.py::PlantedBugTests::"
_STORIES: Final = "discovery/ring/test_ring_stories.py::PlantedTests::"
_HOSTILE: Final = "discovery/ring/test_hostile.py::"
_REPAIR: Final = "discovery/ring/storage/repair.py"
_QUERY_ENDS: Final = "discovery/superpeer/ultrapeer/query_ends.py"
_MEETING: Final = "discovery/ring/member/contact_verification.py"

BUGS: Final[Mapping[int, Sequence[Bug]]] = {
    7: (
        bug("a node that does not remember what it has passed on", f"{_MARKET}test_forwarded_twice"),
        bug("a pong answered by a ping", f"{_MARKET}test_ping_loop"),
        bug("an error answered by an error", f"{_MARKET}test_error_loop"),
        bug("a super peer that answers whatever it gets", f"{_SUPER}test_answered_twice"),
        bug("one that passes on what it has passed on before", f"{_SUPER}test_forwarded_twice"),
        bug("one to which each query is new", f"{_SUPER}test_flood_without_end"),
        bug("a search that is over, of which nobody is told", f"{_SUPER}test_no_end_mark"),
        bug(
            "hits that go to who was deeper in the query",
            "discovery/superpeer/ultrapeer/test_reverse_paths.py",
            ("discovery/superpeer/ultrapeer/reverse_paths.py", "if hops <= passed.hops and", "if"),
        ),
        bug(
            "a search that goes on though all have answered",
            "discovery/superpeer/ultrapeer/test_query_ends.py",
            (
                _QUERY_ENDS,
                "return self._ended(passed, asker, 0) if has_copy else ()",
                "return ()",
            ),
        ),
        bug(
            "one that is over while hits are on their way",
            "discovery/superpeer/ultrapeer/test_query_ends.py",
            (_QUERY_ENDS, "return _NOT_SAID < said <= self.brought.get(neighbour, 0)", "return _NOT_SAID < said"),
        ),
        bug(
            "a malformed query that nobody ends",
            "roles/test_super_peer.py",
            (
                "node/links/link.py",
                "                self.send(asked.ended_by(id=error.about_id))\n",
                "                pass\n",
            ),
        ),
        bug(
            "an error without the id that could be read",
            "wire/test_codec.py",
            ("wire/codec.py", "    return number\n", "    return None\n"),
        ),
        bug(
            "a neighbour that is dialled for ever, as it listens elsewhere",
            "node/test_bootstrap.py",
            (
                "node/bootstrap.py",
                "if error.node_id not in self._links.peers.links:",
                "if self._links.peer_at(endpoint) is None:",
            ),
        ),
        bug(
            "a cookie that is not looked at",
            "integration/test_super_peer_by_hand.py",
            (
                "node/datagrams/protocol.py",
                "head.cookie is not None and self._cookies.is_valid(head.cookie, *where, now)",
                "head.cookie",
            ),
        ),
        bug(
            "a full table that pushes out the wrong one",
            "test_bounded.py",
            ("bounded.py", "self.discard(loser.oldest)", "self.discard(next(iter(self._entries)))"),
        ),
    ),
    8: (
        bug(
            "a tracker that nobody looks for when it has gone",
            "node/test_bootstrap.py",
            (
                "node/bootstrap.py",
                "joined_at >= _LASTING_S:\n                backoff.reset()",
                "joined_at >= _LASTING_S:\n                return",
            ),
        ),
        bug("a node that does not strike off who has left", f"{_MARKET}test_link_known_at_one_end"),
        bug(
            "a server that believes a list for ever",
            "sim/test_invariants_files.py::PlantedBugTests::test_the_dead_are_named",
        ),
        bug(
            "a peer that tells a server its list once",
            "integration/test_index_server.py",
            (
                "discovery/index/client/list_sync.py",
                "        self._is_joined, self._is_resumed = True, False\n",
                "        self._is_joined, self._is_resumed = True, False\n"
                "        if self._renewal_id is not None:\n            return\n",
            ),
        ),
        bug(
            "a silent server that is noticed too late",
            "node/links/test_keepalive.py node/test_to_tracker.py",
            ("node/links/keepalive.py", "cut_at = min(cut_at, self._asked_at + limits.answer_s)", "pass"),
        ),
        bug("a seller whose goods nobody is told of", f"{_VIA_INDEX}test_never_published"),
        bug("a buyer that does not find the way back to a seller that was away", f"{_VIA_INDEX}test_no_way_back"),
        bug("a weak peer that stays with the super peers that it had first", f"{_SUPER}test_left_alone"),
        bug("a super peer that keeps the lists of those who have left", f"{_SUPER}test_the_dead_are_named"),
        bug(
            "a weak peer that does not notice that one is gone",
            "integration/test_super_peers.py::test_killed",
            ("discovery/superpeer/leaf/registrations.py", "        self._lose(peer.id)\n", ""),
        ),
    ),
    9: (
        bug("a ring in two loops", "discovery/ring/rules/test_invariant.py::FaultsTests::test_two_rings"),
        bug("a list that leaves out somebody", "discovery/ring/rules/test_invariant.py::FaultsTests::test_left_out"),
        bug("a successor that is taken unasked", f"{_STORIES}test_adopts_unasked"),
        bug("the dead that are kept", f"{_STORIES}test_never_lets_go"),
        bug("one that joins at another's place", f"{_STORIES}test_joins_anywhere"),
        bug("a node that looks for nobody whom it has lost", f"{_STORIES}test_forgets"),
        bug("a node that takes for its successors whoever is named", f"{_RING}test_list_comes_round"),
        bug("one that joins behind whomever it asks first", f"{_RING}test_joined_anywhere"),
        bug("one that asks nobody how it stands", f"{_RING}test_never_looked_after"),
        bug("one that never asks those again whom it has lost", f"{_RING}test_never_merged"),
        bug("a lookup that is over with the first answer", f"{_RING}test_first_word_counts"),
        bug("a node that claims what belongs to the one before it", f"{_RING}test_claims_too_much"),
        bug("one that asks for what stands under another name", f"{_RING}test_another"),
        bug("one that says that there is nothing, and has asked nobody", f"{_RING}test_not_got"),
        bug("one that repairs nothing when others die", f"{_RING}test_no_repair"),
        bug("one that goes, and takes with it what nobody else has", f"{_RING}test_not_handed_over"),
        bug(
            "a neighbour that is forgotten because it had not joined yet",
            "discovery/ring/rules/test_stabilization.py",
            (
                "discovery/ring/rules/stabilization.py",
                "                self._reconnect.add(node, now)\n",
                "                pass\n",
            ),
        ),
        bug(
            "what is not claimed any more being kept for who does not know of it",
            "discovery/ring/storage/test_replication.py",
            ("discovery/ring/storage/replication.py", "if withdrawn is None:", "if True:"),
        ),
        bug(
            "what is given back staying on one node",
            "discovery/ring/storage/test_replication.py discovery/ring/storage/test_repair.py",
            ("discovery/ring/storage/replication.py", "self.on_entry_received(by, now)", "pass"),
        ),
        bug(
            "a node that offers all that somebody claims and gives up",
            "discovery/ring/storage/test_repair.py",
            (
                "discovery/ring/storage/repair.py",
                "        if self._member.own in holders:\n",
                "        if self._member.own in holders[:1]:\n",
            ),
        ),
        bug(
            "who counts on a node being forgotten for a crowd of one host",
            "discovery/ring/storage/test_replication.py",
            (
                "discovery/ring/storage/compared_ranges.py",
                "next(each for each in self._claims if host_of(each) == most)",
                "next(iter(self._claims))",
            ),
        ),
        bug(
            "a download that is patient with who serves nothing",
            "roles/test_ring_peer.py::MisersTests::test_planted_patience",
        ),
        bug(
            "a store that ends when one says again that it has the file",
            "roles/test_ring_peer.py::MisersTests",
            (
                "roles/commands/ring.py",
                "                before, until_s = moved, clock.seconds() + _STALLED_S\n",
                "                before, until_s = moved, clock.seconds() + _STALLED_S\n"
                "            else:\n                return\n",
            ),
        ),
        bug(
            "a store that gives up its own slow disk",
            "roles/test_ring_peer.py::FilesTests::test_a_slow_disk",
            (
                "roles/commands/ring.py",
                "                if (copying := self._keeper.being_got(digest)) is not None:\n",
                "                if (copying := None) is not None:\n",
            ),
        ),
        bug(
            "a request that fails where a kept file has just been let go of",
            "roles/test_ring_peer.py::FilesTests::test_let_go_while_it_is_requested",
            (
                "roles/commands/ring.py",
                "                except FileChanged:\n",
                "                except AlreadyThere:\n",
            ),
        ),
        bug(
            "a handover that asks the next node alone",
            "roles/test_ring_peer.py::HandoverTests",
            (
                "roles/ring/handover.py",
                "return self._dht.member.stabilization.successors\n",
                "return self._dht.member.stabilization.successors[:1]\n",
            ),
        ),
        bug("a node that believes who asks", f"{_HOSTILE}SlanderTests::test_planted_mute_predecessor"),
        bug("one that asks whoever is named at once", f"{_HOSTILE}StormTests::test_planted_storm"),
        bug("one that waits for all who ask under new names", f"{_HOSTILE}ClaimantsTests::test_planted_all"),
        bug("one that asks nobody at its own place", f"{_HOSTILE}PartingTests::test_planted_twins"),
        bug("a store that charges no host", f"{_HOSTILE}FloodTests::test_planted_unlimited_host"),
        bug("an owner that believes in newer versions", f"{_HOSTILE}LyingKeepersTests::test_planted_older"),
        bug(
            "a node that hands over nothing",
            "integration/test_ring.py::test_hands_over",
            (_REPAIR, "return Deferred.fromCoroutine(self._hand_over())", "return succeed(None)"),
            (
                "roles/ring/handover.py",
                "left = deque(entry for entry in entries if",
                "left = deque(entry for entry in () if",
            ),
        ),
        bug(
            "copies that nobody makes anew",
            "integration/test_ring.py::test_story",
            (_REPAIR, "contact = self.replication.next_neighbour(now)", "contact = None"),
        ),
        bug(
            "a node that does not read what it had written down",
            "integration/test_ring.py::test_restarts",
            ("roles/ring/checkpoints.py", "self._dht.keep(entry, None, left_s)", "pass"),
        ),
        bug(
            "one that cannot be hurried",
            "integration/test_ring_by_hand.py::test_second_interrupt",
            ("taps/leaving.py", "reactor.callFromThread(service.stop_now)", "pass"),
        ),
        bug(
            "entries that nobody verifies",
            "integration/test_ring_by_hand.py",
            ("identity/signed.py", "if not is_signed_by(", "if False and is_signed_by("),
            ("identity/signed.py", "if statement.signer != signature.keyid:", "if False:"),
        ),
        bug(
            "strangers asked back",
            "discovery/ring/member/test_contact_verification.py",
            (_MEETING, "if not self._node.has_validated(contact.address):", "if False:"),
        ),
        bug(
            "guests that others are led to",
            "discovery/ring/member/test_contact_verification.py",
            (_MEETING, "if message.member:", "if True:"),
        ),
        bug(
            "askers that are taken for dead",
            "discovery/ring/member/test_contact_verification.py",
            (
                _MEETING,
                "_: Exception) -> None:\n",
                "_: Exception) -> None:\n        self._stabilization.failed(contact, self._node.clock.seconds())\n",
            ),
        ),
    ),
}
