"""C{bazaar trace} over queries among super peers, and over transfers of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.cli.commands.simulate.test_trace import RUN, TraceCase, event, sent
from twisted_bazaar.sim.files.run import FilesRun
from twisted_bazaar.sim.files.scenario import FilesScenario
from twisted_bazaar.sim.superpeer.run import SuperPeerRun
from twisted_bazaar.sim.superpeer.scenario import SuperPeerScenario

LEA, MAX, PIA = 21, 22, 23
QUERY: Final = "ab12" + 28 * "0"
DIGEST: Final = "cd34" + 60 * "0"


def datagram(time: float, node: str, to: str, type: str, **details: Any) -> dict[str, Any]:
    """A line about a message that goes as a datagram."""
    return event(time, node, "datagram", to=to, bytes=100, type=type, **details)


def hits(*files: str, key: str = "aa") -> dict[str, Any]:
    """What a query has found with one peer."""
    return {"id": 9, "key": key, "port": 9000, "files": [{"name": f, "size": 1, "digest": f} for f in files]}


MET: Final = [
    sent(1.0, "Lea", MAX, "thisisme", id=LEA, port=1, key="11"),
    datagram(1.0, "Max", "10.0.0.3:9000", "superhello", id=MAX, key="22"),
    datagram(1.0, "Pia", "10.0.0.2:9000", "superhello", id=PIA, key="33"),
    event(1.1, "Max", "neighbour", id=PIA, host="10.0.0.3", port=9000),
    event(1.1, "Lea", "moored", super_peer=MAX, host="10.0.0.2", port=9000),
]
ASKED: Final = [
    sent(2.0, "Lea", MAX, "query", id=QUERY, words="old song"),
    datagram(2.1, "Max", "10.0.0.3:9000", "query", id=QUERY, reach=2, ttl=2, words="old song"),
    datagram(2.1, "Max", "10.0.0.9:9000", "query", id=QUERY, reach=2, ttl=2, words="old song"),
    datagram(2.2, "Pia", "10.0.0.2:9000", "queryhit", id=QUERY, answer=7, parts=2, found=[hits("a", "b")]),
    sent(2.3, "Max", LEA, "queryhit", id=QUERY, answer=8, found=[hits("a", "b"), hits("a", key="bb")]),
    sent(2.4, "Max", LEA, "queryend", id=QUERY, hits=3, reachedAll=True),
]
FETCHED: Final = [
    event(2.0, "Ben", "wanted", file="song", digest=DIGEST),
    event(2.0, "Ben", "fetching", digest=DIGEST),
    *(event(2.1, "Ben", "source-found", digest=DIGEST, source=s, host="10.0.0.5", port=9) for s in (MAX, PIA)),
    event(2.2, "Max", "asked", digest=DIGEST, host="10.0.0.1"),
    event(2.3, "Ben", "source-believed", digest=DIGEST, size=2_000, chunks=1, held_bytes=0),
    event(2.4, "Ben", "source-lied", digest=DIGEST, source=PIA, host="10.0.0.5", port=9, lie="other bytes"),
    event(2.4, "Ben", "source-dropped", digest=DIGEST, source=PIA, host="10.0.0.5", port=9, why="other bytes"),
    event(2.5, "Ben", "fetched", digest=DIGEST, size=2_000, sources=[{"key": "22", "bytes": 2_000, "whole": True}]),
    event(2.6, "Max", "uploaded", digest=DIGEST, name="song", host="10.0.0.1", bytes=2_000),
]


class QueryTests(TraceCase):
    """What super peers were asked."""

    def test_list(self) -> None:
        """Each query is listed with who asks, what for, what it is told of, and what that took."""
        self.write(*MET, *ASKED, sent(5.0, "Max", LEA, "query", id="ef" * 16, item="apple"))
        none = "no hit; 0 queries among super peers"
        hits = "3 hits, the first within 0.300 s; 2 queries among super peers"
        self.assertEqual(
            self.told("run.jsonl")[-3:],
            [
                "2 queries",
                f"{QUERY[:16]}       2.000 s  Lea  files by the words 'old song'  {hits}",
                f"efefefefefefefef       5.000 s  Max  sellers of apple               {none}",
            ],
        )

    def test_none(self) -> None:
        """Where there are none, and no transfers, nothing is said of them."""
        self.write(*RUN)
        told = "\n".join(self.told("run.jsonl"))
        self.assertNotIn("quer", told)
        self.assertNotIn("transfer", told)

    def test_one(self) -> None:
        """One of them is told message by message, by the names of nodes as far as these are known."""
        self.write(*MET, *ASKED)
        self.assertEqual(
            self.told("run.jsonl", "--query", "AB12"),
            [
                f"Query {QUERY}: Lea looks for files by the words 'old song'",
                "It begins at 2.000 s; times are counted from there.",
                "0.000 s  Lea -> Max: query",
                "0.100 s  Max -> Pia, 10.0.0.9:9000: query, reach 2, ttl 2",
                "0.200 s  Pia -> Max: 2 hits, part 1 of 2",
                "0.300 s  Max -> Lea: 3 hits",
                "0.400 s  Max -> Lea: the end, 3 hits, all within reach",
            ],
        )

    def test_refused(self) -> None:
        """An id of no query, one that names several, and one that cannot be are refused."""
        self.write(*MET, *ASKED, sent(5.0, "Max", LEA, "query", id="a" * 32, item="apple"))
        for words, expected in {
            ("--query", "77"): "there is no query with the id 77; without --query all of them are listed",
            ("--query", "a"): f"2 ids begin with a: {QUERY[:16]}, {'a' * 16}; write more of it",
            ("--query", "song"): "--query: takes the id of a query, or its beginning, not 'song'",
            ("--query", "a", "--order", "b"): "--order and --query: give one of them",
            ("--transfer", "77"): "there is no transfer with the id 77; without --transfer all of them are listed",
            ("--transfer", "Ben:song"): "--transfer: takes the digest of a file, or its beginning, .* not 'song'",
        }.items():
            result = self.trace("run.jsonl", *words)
            self.assertEqual((result.exit_code, result.stdout), (2, ""))
            self.assertRegex(result.stderr, rf"\Abazaar trace: {expected}\n\Z")

    def test_simulated(self) -> None:
        """In a simulation every query is listed, and those that found something say so."""
        scenario = SuperPeerScenario(
            nodes=30, super_peers=5, files=50, queries=4, for_="20s", settle="10s", churn=0.0, phases=["dynamic"]
        )
        with Path("run.jsonl").open("wb") as file:
            report = SuperPeerRun(scenario, file).run()
        self.assertEqual(report.violations, [])
        told = self.told("run.jsonl")
        head, *rows = told
        self.assertEqual(head, f"{len(rows)} queries")
        self.assertGreaterEqual(len([row for row in rows if " the first within " in row]), 4)
        one = self.told("run.jsonl", "--query", rows[0].split()[0])
        self.assertRegex(one[2], r"0\.000 s  weak-peer-\d+ -> super-peer-\d: query\Z")
        self.assertIn(": the end, ", one[-1])


class TransferTests(TraceCase):
    """Who fetched what."""

    def test_list(self) -> None:
        """Each download is listed with its file, how it ended, and which sources were given up."""
        again = [
            event(3.0, "Ana", "fetching", digest="ee" * 32, name="film"),
            event(4.0, "Ana", "not_fetched", digest="ee" * 32, name="film", reason="nobody has it"),
            event(5.0, "Ana", "fetching", digest="ee" * 32, name="film"),
        ]
        self.write(*MET, *FETCHED, *again)
        how = "fetched within 0.500 s from 1 source; 1 of 2 given up, 1 found to lie"
        self.assertEqual(
            self.told("run.jsonl")[-4:],
            [
                "3 transfers",
                f"{DIGEST[:16]}       2.000 s  Ben  song  {how}",
                "eeeeeeeeeeeeeeee       3.000 s  Ana  film  not fetched within 1.000 s: nobody has it",
                "eeeeeeeeeeeeeeee       5.000 s  Ana  film  it does not end",
            ],
        )

    def test_one(self) -> None:
        """Those of one file are told event by event; those of one node alone, if it is named."""
        self.write(*MET, *FETCHED)
        told = self.told("run.jsonl", "--transfer", "cd34")
        self.assertEqual(
            told,
            [
                f"Transfers of song ({DIGEST}) by everybody",
                "It begins at 2.000 s; times are counted from there.",
                "0.000 s  Ben begins to fetch song",
                "0.100 s  Ben finds a source: Max at 10.0.0.5:9",
                "0.100 s  Ben finds a source: Pia at 10.0.0.5:9",
                "0.200 s  Max is asked for it from 10.0.0.1",
                "0.300 s  Ben knows what it is made of: 2,000 bytes",
                "0.400 s  Ben finds that Pia lies: other bytes",
                "0.400 s  Ben gives Pia up: other bytes",
                "0.500 s  Ben has it: 2,000 bytes from Max",
                "0.600 s  Max has sent 2,000 bytes of it to 10.0.0.1",
            ],
        )
        own = self.told("run.jsonl", "--transfer", "Ben:cd34")
        self.assertEqual(own[2:], [line for line in told[2:] if "s  Ben " in line])

    def test_simulated(self) -> None:
        """In a simulation every download is listed, and each of them has ended."""
        scenario = FilesScenario(nodes=8, sharers=3, files=6, wants=2, for_="30s", settle="30s")
        with Path("run.jsonl").open("wb") as file:
            report = FilesRun(scenario, file).run()
        told = self.told("run.jsonl")
        head, *rows = told
        self.assertEqual((report.violations, len(rows), head), ([], report.fetched, f"{len(rows)} transfers"))
        self.assertEqual([row for row in rows if " fetched within " not in row], [])
        self.assertGreater(len(self.told("run.jsonl", "--transfer", rows[0].split()[0])), 4)
