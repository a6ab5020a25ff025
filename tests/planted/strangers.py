"""Bugs of promise 11: what strangers could stall, fill or take for themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.planted.bug import Bug, bug

_MEASURES: Final = "integration/test_bad_input.py::test_measures"
_CHOKING: Final = "files/upload/choking.py"
_SERVING: Final = "files/upload/connection.py"
_FAIR: Final = "node/routing/fair_share.py"
_DIRECTORY: Final = "discovery/index/directory/directory.py"
_PENDING: Final = "discovery/index/scheduling/pending.py"
_QUEUE: Final = "discovery/index/scheduling/fair_queue.py"
_ROOM: Final = "discovery/index/directory/quota.py"
_POSTGRES_LISTS: Final = "discovery/index/postgres/lists.py"
_POSTGRES_TESTS: Final = "integration/test_postgres_directory.py"
_SEARCHES: Final = "discovery/superpeer/ultrapeer/query_control.py"
_SEARCHES_TESTS: Final = "discovery/superpeer/ultrapeer/test_query_control.py"
_WORKER_TESTS: Final = "discovery/index/postgres/test_workers.py"
_LOG: Final = "system/limited_log.py"
_PRIVATE: Final = "system/private_files.py"

BUGS: Final[Mapping[int, Sequence[Bug]]] = {
    11: (
        bug("a turn of 60 ms", f"{_MEASURES}[stall-turn]"),
        bug("memory that grows", f"{_MEASURES}[leak-memory]"),
        bug("a descriptor that stays open", f"{_MEASURES}[descriptor-descriptors]"),
        bug(
            "a turn of 100,000 frames",
            "node/links/test_link.py node/links/test_read_budget.py",
            ("node/links/read_budget.py", "self._left -= granted", "pass"),
        ),
        bug(
            "a megabyte unsent on each link",
            "node/links/test_link.py",
            (
                "node/links/link.py",
                "self._owner.limits.stop_reading_bytes:",
                "self._owner.limits.stop_forwarding_bytes:",
            ),
        ),
        bug(
            "two neighbours that both leave much unread, and wait for each other",
            "node/links/test_link.py",
            ("node/links/inbound.py", "        if due is Due.LET_IN:\n            self._let_in()\n", ""),
        ),
        bug(
            "a socket that is read on before what it sent is taken",
            "node/links/test_flow_control.py node/links/test_link_bytes.py",
            (
                "node/links/flow_control.py",
                "(Flow.QUEUED, FlowEvent.ARRIVED): Flow.PAUSED",
                "(Flow.QUEUED, FlowEvent.ARRIVED): Flow.QUEUED",
            ),
        ),
        bug(
            "newcomers turned away when all is taken",
            "node/test_admission.py",
            ("node/admission.py", "goes = self._place_of_another(newcomer)", 'raise NoSlots("no slots available")'),
        ),
        bug(
            "a host that pushes out its own without end",
            "node/test_admission.py",
            ("node/admission.py", "_MOST_GOING // 2 if is_its_own", "1 << 30 if is_its_own"),
        ),
        bug(
            "newcomers turned away though files are left",
            "node/test_admission.py",
            ("node/admission.py", "if is_scarce and len(", "if len("),
        ),
        bug(
            "the oldest goes, whoever comes again and again",
            "node/test_admission.py",
            ("node/admission.py", "[busiest] == 1 and self._silent_again", "[busiest] < 1 and self._silent_again"),
        ),
        bug("a table that drops nothing", "sim/test_invariants.py::PlantedBugTests::test_table_without_end"),
        bug(
            "a super peer that forgets no query",
            "sim/test_invariants_super_peers.py::PlantedBugTests::test_remembered_for_ever",
        ),
        bug(
            "a socket that is read until it is empty: a turn of 98 ms",
            "node/datagrams/test_streaming.py",
            ("node/datagrams/read_budget.py", "_WORK_A_TURN: Final = 512", "_WORK_A_TURN: Final = 1 << 30"),
        ),
        bug(
            "`go` and `wait` by the thousand in one turn of two seconds",
            "files/download/test_connection.py",
            ("files/download/connection.py", "_MESSAGES_A_TURN: Final = 32", "_MESSAGES_A_TURN: Final = 1 << 30"),
        ),
        bug(
            "answers kept without end for who does not read them",
            "files/upload/test_uploads.py",
            (
                _SERVING,
                "            self._full_since = self.reactor.seconds()\n            self.transport.pauseProducing()\n",
                "            self._full_since = self.reactor.seconds()\n",
            ),
            (
                _SERVING,
                "not self.is_open or self._full_since is not None or not (frames",
                "not self.is_open or not (frames",
            ),
        ),
        bug(
            "slots in the order of connections",
            "files/upload/test_choking.py",
            (
                _CHOKING,
                "self._line.setdefault(host, {})[asker] = None",
                "self._line.setdefault(str(asker), {})[asker] = None",
            ),
        ),
        bug(
            "slow hosts that are forgotten",
            "files/upload/test_choking.py",
            (_CHOKING, "return host in self._slow and now - self._slow[host][1] < _SLOW_S", "return False"),
        ),
        bug(
            "equals that push each other out in the middle of chunks",
            "files/upload/test_choking.py",
            (_CHOKING, "(slowest >= _HARDLY or not rate or rate < _MUCH_FASTER * slowest)", "rate < slowest"),
        ),
        bug(
            "no optimistic unchoke",
            "files/upload/test_choking.py",
            (_CHOKING, "if not expired or served[host] or is_trying:", "if True:"),
        ),
        bug(
            "a slot that is kept until the chunk is complete: no slot in 20 s",
            "integration/test_held_slots.py files/udp/test_dialogue.py",
            (
                _CHOKING,
                "return min(now - turn.lease_since, self._progress(asker).kept_waiting_s) >= LEASE_S",
                "return False",
            ),
        ),
        bug(
            "a rate shared by connections",
            "files/upload/test_shared_rate.py",
            (
                "files/upload/shared_rate.py",
                "host = next(iter(self._lines))",
                "host = max(self._lines, key=lambda each: len(self._lines[each]))",
            ),
        ),
        bug(
            "a chunk read ahead for a slow reader",
            "files/upload/test_uploads.py",
            (_SERVING, "if self.is_finishing and self._current is not None:", "if False:"),
        ),
        bug(
            "a table that refuses whoever comes last",
            "files/udp/test_streams.py",
            ("files/udp/streams.py", " or max(self._called.values()) >= own + _FAIR_EXCESS", ""),
        ),
        bug(
            "a large window for whoever calls",
            "files/udp/test_streams.py",
            ("files/udp/streams.py", "kept=min(self._settings.most_kept, self._limits.kept)", "kept=None"),
        ),
        bug(
            "shares by neighbour only, so that who floods a relay starves all behind it",
            "node/routing/test_fair_share.py test_starvation.py",
            (_FAIR, "for node_id in reversed(message.return_path):", "for node_id in message.return_path[-1:]:"),
        ),
        bug(
            "five links that count five times",
            "node/routing/test_fair_share.py test_starvation.py",
            (_FAIR, "keys += (label, node_id)", "keys += (node_id,)"),
        ),
        bug(
            "flows that begin without end before those that wait",
            "node/routing/test_fair_share.py",
            (_FAIR, "(bool(self._begun) and self._is_turn_of_begun)", "bool(self._begun)"),
        ),
        bug(
            "a queue that is full for everybody",
            "node/routing/test_fair_share.py",
            (
                _FAIR,
                "        self._flows.append(flow, (now + self._wait_s, item))\n"
                "        if self._flows.waiting > self._most_waiting:\n"
                "            self._flows.drop_oldest_of_longest()\n",
                "        if self._flows.waiting < self._most_waiting:\n"
                "            self._flows.append(flow, (now + self._wait_s, item))\n",
            ),
        ),
        bug(
            "a list without an end",
            "discovery/index/directory/test_directory.py",
            (_ROOM, "if size_bytes > most_bytes_a_peer(total):", "if False:"),
        ),
        bug(
            "goods that are withdrawn and charged for ever",
            "discovery/index/directory/test_directory.py",
            (_DIRECTORY, "self._count(lister, -1, -weight_of_item(item))", "self._count(lister, -1, 0)"),
        ),
        bug(
            "nobody who goes for others",
            "discovery/index/directory/test_directory.py",
            (_ROOM, "longest = None if heaviest == host else heaviest_of(heaviest)", "longest = None"),
        ),
        bug(
            "a share for each host that somebody only says that it is",
            "discovery/index/directory/test_directory.py",
            (
                "discovery/index/directory/leases.py",
                "Lister(number, peer, peer.network,",
                "Lister(number, peer, peer.address.host,",
            ),
        ),
        bug(
            "a share that is not looked up",
            _POSTGRES_TESTS,
            ("discovery/index/postgres/account.py", "FILTER (WHERE host = %(host)s)", "FILTER (WHERE false)"),
        ),
        bug(
            "lists that have gone and are charged for ever",
            _POSTGRES_TESTS,
            (_POSTGRES_LISTS, "if is_let_go:", "if False:"),
        ),
        bug(
            "cleared bytes that are not given back",
            _POSTGRES_TESTS,
            (_POSTGRES_LISTS, "self._account.release(int(cleared))", "pass"),
        ),
        bug(
            "who goes for others and is back when these are told to try again",
            _POSTGRES_TESTS,
            (_POSTGRES_LISTS, "self._connection.commit()", "pass"),
        ),
        bug(
            "who has its share and drives out others",
            "discovery/index/directory/test_memory.py",
            (_ROOM, "away(host if is_past_its_own else None)", "away(None)"),
        ),
        bug(
            "words that weigh nothing",
            "discovery/index/directory/test_weights.py",
            ("discovery/index/directory/weights.py", " + _ASCII_WORD_BYTES * count_words(name)", ""),
        ),
        bug(
            "goods that weigh half",
            "discovery/index/directory/test_weights.py",
            (
                "discovery/index/directory/weights.py",
                "return _ITEM_BYTES + weight_of_text(item)",
                "return (_ITEM_BYTES + weight_of_text(item)) // 2",
            ),
        ),
        bug(
            "retired bytes that are not counted",
            "test_byte_budget.py",
            (
                "byte_budget.py",
                "        self.used += size_bytes\n        self.retired += size_bytes\n",
                "        self.retired += 0\n",
            ),
        ),
        bug(
            "no last eighth",
            "test_byte_budget.py",
            ("byte_budget.py", "_KEPT_FOR_SMALL: Final = 1", "_KEPT_FOR_SMALL: Final = 0"),
        ),
        bug(
            "an answer that is computed for who does not read",
            "discovery/index/scheduling/test_pending.py",
            (_PENDING, "is_behind = self._is_behind(peer)", "is_behind = False"),
        ),
        bug(
            "requests that wait and are not counted in bytes",
            "discovery/index/scheduling/test_pending.py",
            (_PENDING, " or queue.size_bytes + size_bytes > MOST_WAITING_BYTES", ""),
        ),
        bug(
            "room that is not given back",
            "discovery/index/scheduling/test_pending.py",
            (_PENDING, "self._budget.charge(queue.peer.network, -queue.size_bytes)", "pass"),
        ),
        bug(
            "a host that fills all",
            "discovery/index/scheduling/test_pending.py",
            (
                _PENDING,
                "if self._budget.room_for(peer.network, size_bytes) is not Room.YES:",
                "if self._budget.used + size_bytes > MOST_BYTES:",
            ),
        ),
        bug(
            "turns by peer",
            "discovery/index/scheduling/test_time_slicing.py",
            (_QUEUE, "self._host_of.get(owner, owner if host is None else host)", "owner"),
        ),
        bug(
            "no credit for who asks seldom",
            "discovery/index/scheduling/test_time_slicing.py",
            (_QUEUE, "self._now_s - CREDIT_S", "self._now_s"),
        ),
        bug(
            "credit without end",
            "discovery/index/scheduling/test_time_slicing.py",
            (_QUEUE, "max(self._served.pop(host, 0.0), self._now_s - CREDIT_S)", "self._served.pop(host, 0.0)"),
        ),
        bug(
            "a crowd of new hosts that is ahead of who has asked before",
            "discovery/index/scheduling/test_time_slicing.py",
            (_QUEUE, "if self._turns % self._fair_turn:", "if False:"),
        ),
        bug(
            "all steps for who has just begun",
            "discovery/index/scheduling/test_time_slicing.py",
            (_QUEUE, "if self._turns % self._fair_turn:", "if True:"),
        ),
        bug(
            "an error that keeps who caused it until garbage is collected",
            "node/links/test_link.py",
            (
                "wire/framing.py",
                "                self._fail(str(error))\n",
                "                self._fail(error)  # type: ignore[arg-type]\n",
            ),
        ),
        bug(
            "hosts that wait served one after the other, whatever they have had",
            "node/links/test_read_budget.py",
            ("security/links/fair_queue.py", "heappush(self._in_order, (at_s,", "heappush(self._in_order, (0.0,"),
        ),
        bug(
            "newcomers without end that come before who was served once",
            "node/links/test_read_budget.py",
            ("security/links/fair_queue.py", "self._now_s += work_s / (len(self._in_order) + 1)", "pass"),
        ),
        bug(
            "who has left taking the turns of those that wait",
            "node/links/test_read_budget.py",
            ("security/links/fair_queue.py", "            del self._waiting[host]\n", "            return True\n"),
        ),
        bug(
            "a thousand strangers that come before who is linked",
            "node/links/test_read_budget.py",
            ("node/links/read_budget.py", "if link.is_greeted else", "if not link else"),
        ),
        bug(
            "handshakes that all have their turn at once",
            "security/links/test_opening_budget.py",
            ("security/links/opening_budget.py", "if self._left_s > 0 and not self._waiting:", "if True:"),
        ),
        bug(
            "who has proven a key waiting among strangers",
            "security/links/test_opening_budget.py",
            ("security/links/transport.py", "            return self._budgets.proven\n", "            pass\n"),
        ),
        bug(
            "who was answered waiting behind all that only begin",
            "security/links/test_opening_budget.py",
            (
                "security/links/transport.py",
                "self._budgets.answered if self._is_answered else",
                "self._budgets.strangers or",
            ),
        ),
        bug(
            "last words that are lost because they had to wait",
            "security/links/test_opening_budget.py",
            (
                "security/links/transport.py",
                "if self._waits_in is not None and self.proven_key is not None and",
                "if False and",
            ),
        ),
        bug(
            "keys that are renewed without end",
            "security/tls/test_records.py",
            ("security/tls/tls_session.py", "if self._empty_records >", "if False and self._empty_records >"),
        ),
        bug(
            "a failed connection that is kept until garbage is collected",
            "security/links/test_sealed_transport.py",
            ("security/links/transport.py", "error.__traceback__ = error.__context__ = None", "pass"),
        ),
        bug(
            "a turn of four long steps",
            "discovery/index/scheduling/test_time_slicing.py",
            ("discovery/index/scheduling/time_slicing.py", "(number and self._reactor.seconds() > end)", "False"),
        ),
        bug(
            "a step of many files, however many words they have",
            "discovery/index/directory/test_directory.py",
            ("discovery/index/directory/catalogue.py", "if entered_bytes >= most_bytes:", "if False:"),
        ),
        bug(
            "a table of all words that is written anew as a whole",
            "discovery/index/test_multimap.py",
            ("discovery/index/multimap.py", "self._mask = parts - 1", "self._mask = 0"),
        ),
        bug(
            "lists that are let go of faster than they are cleared",
            "discovery/index/directory/test_memory.py",
            ("discovery/index/directory/memory.py", "self._directory.catch_up(", "iter(()) if True else ("),
        ),
        bug(
            "a host that is dialled whenever somebody names it",
            "node/test_held_links.py",
            ("node/held_links.py", "(self._in_vain.get(host, now) or 0) >= VAIN_DIALS_A_SECOND", "False"),
        ),
        bug(
            "a hundred searches of one host begun at once",
            "discovery/index/scheduling/test_time_slicing.py",
            (_QUEUE, "self.begun if len(self.begun) >= MOST_BEGUN else self.queues", "self.queues"),
        ),
        bug(
            "turns by peer in a database",
            _POSTGRES_TESTS,
            (
                "discovery/index/postgres/directory.py",
                "lambda: database.run(work), host)",
                "lambda: database.run(work))",
            ),
        ),
        bug(
            "work that is not charged by the time it took",
            _WORKER_TESTS,
            ("discovery/index/postgres/workers.py", "max(self._reactor.seconds() - began_s, _LEAST_S)", "_LEAST_S"),
        ),
        bug(
            "time that is forgotten when nothing waits",
            _WORKER_TESTS,
            (_QUEUE, "self._keep(host, self._begin_at(host) + took_s)", "pass"),
        ),
        bug(
            "hits that are told to who does not read",
            _SEARCHES_TESTS,
            (_SEARCHES, "        if self._node.is_behind(search.peer.id):", "        if False:"),
        ),
        bug(
            "rounds that are begun for it",
            _SEARCHES_TESTS,
            (_SEARCHES, "None if is_behind else search", "search"),
        ),
        bug(
            "searches that are over and charged for ever",
            _SEARCHES_TESTS,
            (_SEARCHES, "self.budget.charge(search.peer.network, -search.weight)", "pass"),
        ),
        bug(
            "hits that weigh nothing",
            _SEARCHES_TESTS,
            (_SEARCHES, " + HIT_BYTES * len(search.answers)", ""),
        ),
        bug(
            "hits that are kept as they are",
            _SEARCHES_TESTS,
            (
                "discovery/superpeer/ultrapeer/query_hits.py",
                "if hash(hit) not in self._known",
                "if hit not in self._known",
            ),
            ("discovery/superpeer/ultrapeer/query_hits.py", "map(hash, unknown)", "unknown"),
        ),
        bug(
            "a share for each key",
            _SEARCHES_TESTS,
            (_SEARCHES, "host = search.peer.network", "host = search.peer.key"),
        ),
        bug(
            "a count for each query and each neighbour",
            "discovery/superpeer/ultrapeer/test_reverse_paths.py",
            ("discovery/superpeer/ultrapeer/reverse_paths.py", "FairTable(most_counted,", "FairTable(1_000_000,"),
        ),
        bug(
            "an address that a datagram brought along, kept with each query",
            "discovery/superpeer/ultrapeer/test_reverse_paths.py::PassingTests",
            ("discovery/superpeer/ultrapeer/forwarding.py", "        address = neighbour.address\n", ""),
        ),
        bug(
            "a mapping for each owner",
            "test_bounded.py::FairTableTests::test_weight",
            (
                "bounded.py",
                "    newest: Any\n\n\nclass _Entry",
                "    newest: Any\n    keys: Any = msgspec.field(default_factory=OrderedDict)\n\n\nclass _Entry",
            ),
        ),
        bug(
            "messages that wait beside their bytes",
            "docs/test_memory.py",
            ("node/datagrams/validated_addresses.py", "(message if self._is_traced else None)", "message"),
        ),
        bug(
            "entries that count for as long as their texts are",
            "discovery/ring/storage/test_store.py::RoomTests::test_weight",
            ("discovery/ring/storage/store.py", "or self._weight + heavier > self._most_weight", ""),
        ),
        bug(
            "parts that are kept though they are no entry's",
            "discovery/ring/storage/test_dht_client.py::LiarsTests::test_not_ascii",
            ("discovery/ring/storage/replica_server.py", "if not message.text.isascii():", "if False:"),
        ),
        bug(
            "a bound for each neighbour and none for all",
            "discovery/superpeer/neighbours/test_neighbours.py::PendingTests",
            (
                "discovery/superpeer/neighbours/neighbours.py",
                "while self._pending_bytes > MOST_PENDING_BYTES:",
                "while False:",
            ),
        ),
        bug(
            "pages of sixteen questions, however long",
            "discovery/test_recent.py",
            ("discovery/recent.py", "if kept <= self._most or oldest == question:", "if True:"),
        ),
        bug(
            "orders that wait and are counted, but not weighed",
            "trade/test_ledger.py::WaitingTests::test_bounded",
            ("trade/ledger.py", " or self._waiting_bytes + size_bytes > MOST_WAITING_BYTES", ""),
        ),
        bug(
            "a book that keeps each of them",
            "trade/test_ledger.py",
            ("trade/order.py", '"the quote is over", is_kept=False)', '"the quote is over")'),
            (
                "trade/stores/memory.py",
                "if deal.outcome is not Outcome.SOLD and deal.order.quote in self.refused:",
                "if False:",
            ),
        ),
        bug(
            "a rate that forgets what it has let through",
            "test_rate_limit.py system/test_limited_log.py",
            ("rate_limit.py", "self._tokens -= 1", "pass"),
        ),
        bug(
            "made-up hosts that each have a share",
            "system/test_limited_log.py",
            (
                _LOG,
                "of_kind.allow(now, None if host is None else self._hosts.of((kind, host), now))",
                "(of_kind if host is None else self._hosts.of((kind, host), now)).allow(now)",
            ),
        ),
        bug(
            "a log without a rate",
            "integration/test_log.py",
            (
                _LOG,
                '        if not rate.allow(kind, _host_in(event), event["log_time"]):\n            return\n',
                '        rate.allow(kind, _host_in(event), event["log_time"])\n',
            ),
        ),
        bug(
            "a control socket that expects only errors in values",
            "test_console.py integration/test_state.py::test_nested_request",
            ("console.py", "except UNREADABLE:", "except ValueError:"),
        ),
        bug(
            "a trace that does",
            "test_nested.py",
            (
                "cli/trace/reader.py",
                "except UNREADABLE:\n        return None",
                "except ValueError:\n        return None",
            ),
        ),
        bug(
            "a scenario that does",
            "sim/test_scenario.py",
            ("sim/scenario_file.py", "except RecursionError:", "except KeyError:"),
        ),
        bug(
            "`key.new` opened by name, so that the key is written over any file",
            "system/test_private_files.py test_state.py",
            (_PRIVATE, "os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINKS", "os.O_RDWR | os.O_CREAT | os.O_CLOEXEC"),
        ),
        bug(
            "files opened by the path of a directory that was judged before",
            "system/test_private_files.py",
            (
                _PRIVATE,
                "os.open(name, flags | _NO_LINKS | _NO_WAIT, OWN_MODE, dir_fd=self._descriptor)",
                "os.open(self.path / name, flags | _NO_LINKS | _NO_WAIT, OWN_MODE)",
            ),
        ),
        bug(
            "parents that nobody looks at",
            "system/test_private_files.py",
            (_PRIVATE, "self._check_above(os.fstat(above))", "pass"),
        ),
        bug(
            "a `-wal` that leads elsewhere",
            "trade/stores/test_sqlite.py",
            (
                "trade/stores/sqlite_file.py",
                "for path in (self._path, *map(self._beside, _BESIDE)):",
                "for path in (self._path,):",
            ),
        ),
        bug(
            "hashes that cut off what has a second name",
            "files/sharing/test_remembered.py",
            ("files/sharing/remembered.py", "os.O_RDWR | os.O_CREAT, is_written=True", "os.O_RDWR | os.O_CREAT"),
        ),
        bug(
            "a directory that is made before it is needed",
            "roles/test_ring_peer.py",
            (
                "roles/ring/kept_folder.py",
                "        self._folder: Folder | None = None\n",
                "        if self._ephemeral is not None:\n            self._ephemeral.open()\n"
                "        self._folder: Folder | None = None\n",
            ),
        ),
        bug(
            "one without a lock, removed while it is used",
            "system/test_ephemeral.py",
            (
                "system/ephemeral.py",
                "            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n            if _is_still",
                "            if _is_still",
            ),
        ),
        bug(
            "one that nobody removes",
            "system/test_ephemeral.py",
            (
                "system/ephemeral.py",
                "                shutil.rmtree(path, ignore_errors=True)\n                removed",
                "                removed",
            ),
        ),
    ),
}
