"""The directory in PostgreSQL, against a server of its own: what each promises, and a shared one does."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import count
from random import Random
from typing import Any, Final

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.index.directory.directories import (
    ASKER,
    LEASE_S,
    MOST_A_PEER,
    DirectoryContract,
    digest,
    file,
    peer,
)
from tests.integration.market import reactor, until
from tests.postgres import Cluster
from twisted_bazaar.database.schema_migrations import read_steps
from twisted_bazaar.discovery.index.directory.weights import LISTER_BYTES, weight_of_file
from twisted_bazaar.discovery.index.messages import Busy, File, TooMany, Update
from twisted_bazaar.discovery.index.postgres.lists import CLEARED_AT_ONCE
from twisted_bazaar.errors import LinkClosed, PeerError, StorageError, UsageError
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.files import FileQuery, FileSource

psycopg = pytest.importorskip("psycopg")

from twisted_bazaar.discovery.index.postgres.directory import PostgresDirectory  # noqa: E402

_PASS_TIME: Final = "UPDATE twisted_bazaar_index.peers SET until = until - %s * interval '1 second'"
_COUNTED: Final = "SELECT host, size_bytes::int FROM twisted_bazaar_index.hosts ORDER BY host"
_THERE: Final = """
    SELECT CASE WHEN key IS NULL THEN '' ELSE charged_to END AS host, sum(weight)::int
    FROM twisted_bazaar_index.peers GROUP BY 1 ORDER BY 1"""
_numbers: Final = count(1)


@pytest.fixture
def url(cluster: Cluster) -> str:
    """A database with nothing in it."""
    return cluster.make_database(f"index{next(_numbers)}")


@pytest.fixture
def open_directory(url: str) -> Iterator[Callable[..., PostgresDirectory]]:
    """Opens directories in one database, which are closed with the test."""
    directories: list[PostgresDirectory] = []

    def open_directory(**others: Any) -> PostgresDirectory:
        directory = PostgresDirectory(url, **{"lease_s": LEASE_S, "most_a_peer": MOST_A_PEER, **others})
        directory.start(reactor)
        directories.append(directory)
        return directory

    yield open_directory
    pytest_twisted.blockon(gatherResults([directory.stop() for directory in directories]))


class DirectoryCase:
    """A directory that is open during a test, and what the tests of every directory need."""

    @pytest.fixture(autouse=True)
    def _open(self, url: str, cluster: Cluster, open_directory: Callable[..., PostgresDirectory]) -> None:
        self.url, self.cluster, self.open_directory = url, cluster, open_directory
        self.directory = open_directory()

    def open_with(self, most_bytes: int) -> None:
        """Go on with a directory with so much room."""
        self.directory = self.open_directory(most_bytes=most_bytes, most_a_peer=10_000)

    def result_of(self, deferred: Deferred[Any]) -> Any:
        """What comes of it."""
        return pytest_twisted.blockon(deferred)

    def failure_of(self, deferred: Deferred[Any], kind: type[Exception]) -> Exception:
        """How it fails."""
        with pytest.raises(kind) as caught:
            pytest_twisted.blockon(deferred)
        return caught.value

    def later(self, seconds: float) -> None:
        """Let time pass, as far as the database knows."""
        with psycopg.connect(self.url) as connection:
            connection.execute(_PASS_TIME, [seconds])
        self.clear()

    def clear(self) -> int:
        """See whose time is over, and clear all that is to be cleared; returns how many times there was some."""
        times = 0
        while self.result_of(self.directory._changes.run(lambda each: self.directory._lists(each).expire())):
            times += 1
        return times

    def rows(self, table: str) -> int:
        """How many rows there are."""
        with psycopg.connect(self.url) as connection:
            [rows] = connection.execute(f"SELECT count(*) FROM twisted_bazaar_index.{table}").fetchone()
        return int(rows)


class PostgresDirectoryTests(DirectoryContract, DirectoryCase, SynchronousTestCase):
    """The promises of every directory."""


class DatabaseTests(DirectoryCase, SynchronousTestCase):
    """What is so because of the database."""

    def fill(self, owner: Peer, names: list[str]) -> int:
        """List files."""
        files = tuple(file(name, number) for number, name in enumerate(names))
        mark: int = self.result_of(self.directory.update(owner, Update(id=1, base=0, mark=1, add=files)))
        return mark

    def test_cleared_in_batches(self) -> None:
        """What is left of who has gone is cleared in small batches, and in the end nothing is left."""
        self.directory = self.open_directory(most_a_peer=100_000)
        names = [f"{number}" for number in range(CLEARED_AT_ONCE + 1)]
        mark = 0
        for first in range(0, len(names), 500):
            add = tuple(map(file, names[first : first + 500]))
            change = Update(id=1, base=mark, mark=mark + 1, add=add, offer=("apple",))
            mark = self.result_of(self.directory.update(peer(1), change))
        self.result_of(self.directory.peer_left(peer(1)))
        assert self.rows("files") == len(names)
        with psycopg.connect(self.url) as connection:
            connection.execute(_PASS_TIME, [400])
        assert self.clear() >= 2
        assert [self.rows(table) for table in ("files", "goods", "peers")] == [0, 0, 0]

    def test_clears_by_itself(self) -> None:
        """Nobody has to ask for it."""
        self.fill(peer(1), ["a"])
        with psycopg.connect(self.url) as connection:
            connection.execute(_PASS_TIME, [400])

        def is_cleared() -> bool:
            with psycopg.connect(self.url) as connection:
                connection.execute(_PASS_TIME, [400])
            return not self.rows("peers")

        pytest_twisted.blockon(Deferred.fromCoroutine(until(is_cleared)))

    def test_strangers_texts(self) -> None:
        """A text that no database keeps finds nothing, breaks nothing, and is not listed."""
        self.fill(peer(1), ["a"])
        asked = [FileQuery(name="\0"), FileQuery(words="a\0b c"), FileQuery(name="'; DROP TABLE x;--")]
        for query in asked:
            assert self.result_of(self.directory.find(query, ASKER)).total == 0
        assert not self.result_of(self.directory.sellers("\0", "x", None, 5, ASKER))
        assert not self.result_of(self.directory.sellers("b", "\0", None, 5, ASKER))
        self.result_of(self.directory.remove(peer(1), "\0"))
        change = Update(id=1, base=0, mark=5, remove=("\0",), withdraw=("\0",), add=(file("b"),))
        assert self.result_of(self.directory.update(peer(1), change)) == 5
        self.failure_of(self.directory.update(peer(1), Update(id=1, base=0, mark=5, bazaar="\0")), PeerError)
        for rank in ('[false,0,"\\u0000","aa",1]', '[false,0,"a","xy",1]', f'[false,0,"a","aa",{2**70}]'):
            after = base64.urlsafe_b64encode(rank.encode()).decode()
            self.failure_of(self.directory.find(FileQuery(after=after), ASKER), PeerError)

    def test_long_words(self) -> None:
        """Names with words longer than a database takes are found as others are."""
        name = "\N{LATIN SMALL LETTER A}" * 255
        long = "\u3392" * 80  # Two letters each, when written without regard to form.
        self.fill(peer(1), [name, long])
        for words in (name, name[:230], long):
            assert self.result_of(self.directory.find(FileQuery(words=words), ASKER)).total == 1

    def test_too_much(self) -> None:
        """Who asks much more than is answered is told to wait; nobody else is."""
        asked = [self.directory.find(FileQuery(name="a"), ASKER) for _ in range(70)]
        other = self.directory.find(FileQuery(name="a"), peer(5))
        for each in asked:
            each.addErrback(lambda failure: failure.trap(Busy))
        assert [self.result_of(each) for each in asked].count(Busy) == 5
        self.result_of(other)
        self.result_of(self.directory.find(FileQuery(name="a"), ASKER))

    def test_by_host(self) -> None:
        """Who asks little waits for a few things of a host that asks very much with many keys, and not for all."""
        self.fill(peer(1), ["a"])
        done: list[str] = []
        for number in range(2, 52):
            for _ in range(20):
                asking = self.directory.find(FileQuery(name="a"), peer(number, "10.0.0.7"))
                asking.addCallback(lambda _: done.append("many"))
        self.result_of(self.directory.find(FileQuery(name="a"), peer(60)).addCallback(lambda _: done.append("one")))
        assert len(done) < 20

    def test_gone(self) -> None:
        """What waits of who has gone is not done, and who comes back is there, in whatever order that came."""
        self.result_of(self.directory.counts())
        waiting = [self.directory.find(FileQuery(name="a"), peer(1)) for _ in range(5)]
        changes = [self.directory.add(peer(1), file(name)) for name in "abc"]
        leaving = self.directory.peer_left(peer(1))
        back = self.directory.add(peer(1), file("d"))
        self.result_of(gatherResults([leaving, back]))
        self.result_of(self.directory.counts())
        assert [each.name for each in self.result_of(self.directory.find(FileQuery(), ASKER)).files] == ["d"]
        assert not any(each.called for each in (*waiting[1:], *changes[1:]))

    def test_stopped(self) -> None:
        """What is asked of a directory that has stopped fails."""
        directory = self.open_directory()
        self.result_of(directory.stop())
        self.failure_of(directory.renew(peer(1), 0, 0), LinkClosed)
        self.result_of(directory.peer_left(peer(1)))

    def test_check(self) -> None:
        """A database that cannot be used is refused before there is a reactor."""
        PostgresDirectory(self.url).check()
        with pytest.raises(UsageError):
            PostgresDirectory(self.url.replace("/index", "/nothing")).check()
        with psycopg.connect(self.url) as connection:
            connection.execute("INSERT INTO twisted_bazaar_index.forms VALUES (99)")
        with pytest.raises(UsageError, match="newer version of twisted_bazaar made this directory"):
            PostgresDirectory(self.url).check()


@pytest_twisted.ensureDeferred
async def test_older_form(url: str) -> None:
    """A directory that an older version made is changed by whoever opens it, once, and what is listed in it stays."""
    first, *_ = read_steps(files("twisted_bazaar.discovery.index.schema"))
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA twisted_bazaar_index")
        connection.execute("CREATE TABLE twisted_bazaar_index.forms (number integer PRIMARY KEY)")
        connection.execute("INSERT INTO twisted_bazaar_index.forms VALUES (1)")
        connection.execute(first)
        connection.execute(
            """INSERT INTO twisted_bazaar_index.peers (key, id, host, port, is_local, server, until, mark, listed)
            VALUES (%s, 1, '10.0.0.1', 4000, false, gen_random_uuid(), now() + interval '45 seconds', 7, 1)""",
            [bytes.fromhex(peer(1).key)],
        )
        connection.execute(
            """INSERT INTO twisted_bazaar_index.files SELECT number, 'a', 10, %s, true, 'a', to_tsvector('simple', 'a')
            FROM twisted_bazaar_index.peers""",
            [bytes.fromhex(digest(1))],
        )
    directories = [PostgresDirectory(url) for _ in range(3)]
    for each in directories:
        each.start(reactor)

    one = FileSource(1, peer(1).key, peer(1).address)
    try:
        pages = await gatherResults([each.find(FileQuery(name="a"), ASKER) for each in directories])
        assert [page.total for page in pages] == [1, 1, 1]
        assert await directories[0].sources(digest(1), 5, ASKER) == [one]
        # With its next word it says where it takes datagrams.
        assert await directories[1].renew(evolve(peer(1), udp_port=4001), 7, 0) == 7
        assert await directories[2].sources(digest(1), 5, ASKER) == [evolve(one, udp=4001)]
        # What it listed before is charged too, and given back.
        assert (await directories[0].counts()).size_bytes == LISTER_BYTES + weight_of_file("a")
        await directories[1].remove(peer(1), "a")
        assert (await directories[0].counts()).size_bytes == LISTER_BYTES
    finally:
        await gatherResults([each.stop() for each in directories])
    with psycopg.connect(url) as connection:
        numbers = connection.execute("SELECT number FROM twisted_bazaar_index.forms ORDER BY number").fetchall()
    assert numbers == [(1,), (2,), (3,)]


class SharedTests(DirectoryCase, SynchronousTestCase):
    """Several servers on one database."""

    @pytest.fixture(autouse=True)
    def _open_other(self, _open: None) -> None:
        self.other = self.open_directory()

    def list(self, directory: PostgresDirectory, owner: Peer, *files: File, base: int = 0, mark: int = 1) -> int:
        """List files."""
        change = Update(id=1, base=base, mark=mark, add=files, offer=("apple",))
        answer: int = self.result_of(directory.update(owner, change))
        return answer

    def found(self, directory: PostgresDirectory) -> list[str]:
        """What is found."""
        return [each.name for each in self.result_of(directory.find(FileQuery(), ASKER)).files]

    def test_found_everywhere(self) -> None:
        """Peers of one server are found by those of the other, for what they have and sell."""
        self.list(self.directory, peer(1), file("a"))
        assert self.found(self.other) == ["a"]
        assert [each.id for each in self.result_of(self.other.sources(digest(1), 5, ASKER))] == [1]
        assert [each.id for each in self.result_of(self.other.sellers("bazaar", "apple", None, 5, ASKER))] == [1]
        self.result_of(self.directory.peer_left(peer(1)))
        assert self.found(self.other) == []

    def test_moves(self) -> None:
        """Who goes from one server to the other has its list there; that the first sees it leave does nothing."""
        mark = self.list(self.directory, peer(1), file("a"))
        assert self.result_of(self.other.renew(peer(1), mark, 0)) == mark
        self.result_of(self.directory.peer_left(peer(1)))
        assert self.found(self.directory) == ["a"]
        self.list(self.other, peer(1), file("b"), base=mark, mark=2)
        assert self.found(self.directory) == ["a", "b"]
        self.result_of(self.other.peer_left(peer(1)))
        assert self.found(self.directory) == []

    def test_at_the_same_time(self) -> None:
        """Many peers list the same files at both servers at once, and everything is there."""
        files = tuple(file(name) for name in "abcdef")
        changes = [
            directory.update(peer(2 * number + place), Update(id=1, base=0, mark=1, add=files))
            for number in range(20)
            for place, directory in ((1, self.directory), (2, self.other))
        ]
        self.result_of(gatherResults(changes))
        page = self.result_of(self.other.find(FileQuery(), ASKER))
        assert [(each.name, each.sources) for each in page.files] == [(name, 40) for name in "abcdef"]
        asked = [each.sources(digest(1), 40, ASKER) for each in (self.directory, self.other) * 10]
        assert [len(each) for each in self.result_of(gatherResults(asked))] == [40] * 20

    def test_one_budget(self) -> None:
        """What lists weigh is counted over all servers: a host has no more by being linked to several."""
        most_bytes = 800 * weight_of_file("p1q 1")
        one, two = (self.open_directory(most_bytes=most_bytes, most_a_peer=10_000) for _ in range(2))

        def fill(directory: PostgresDirectory, number: int) -> Deferred[int]:
            files = tuple(file(f"p{number}q {each}") for each in range(300))
            return directory.update(peer(number, "10.0.0.7"), Update(id=1, base=0, mark=1, add=files))

        self.result_of(fill(one, 1))
        self.failure_of(fill(two, 2), TooMany)
        assert self.result_of(one.counts()) == self.result_of(two.counts())

    def test_counted_at_the_same_time(self) -> None:
        """Whatever many peers of a few hosts do at both servers at once, what is counted is what is there."""
        most_bytes = 200 * weight_of_file("p1q 1")
        directories = [self.open_directory(most_bytes=most_bytes, most_a_peer=1_000) for _ in range(2)]
        rng = Random(5)
        for turn in range(15):
            asked: list[Deferred[Any]] = []
            for number in range(12):
                directory, owner = rng.choice(directories), peer(number, f"10.0.0.{number % 4}")
                files = tuple(file(f"p{number}q {each}", turn) for each in range(rng.randrange(60)))
                change = Update(id=1, base=0, mark=turn + 1, add=files, offer=("apple",))
                asked.append(directory.update(owner, change) if rng.random() < 0.8 else directory.peer_left(owner))
            for each in asked:
                each.addErrback(lambda failure: failure.trap(TooMany))
            self.result_of(gatherResults(asked))
            with psycopg.connect(self.url) as connection:
                counted = connection.execute(_COUNTED).fetchall()
                there = connection.execute(_THERE).fetchall()
            assert counted == there
            # One change of each server is not seen by the other.
            assert sum(size_bytes for _, size_bytes in counted) <= most_bytes + 60 * weight_of_file("p10q 10")

    def test_one_key_at_both(self) -> None:
        """A key that speaks at both servers at once has one list, which is one of those it told."""
        for turn in range(5):
            told = [
                each.update(peer(1), Update(id=1, base=0, mark=turn * 2 + place, add=(file(f"{place}"),)))
                for place, each in ((1, self.directory), (2, self.other))
            ]
            self.result_of(gatherResults(told))
            assert self.found(self.directory) in (["1"], ["2"])


class FailureTests(DirectoryCase, SynchronousTestCase):
    """A database server that fails."""

    @pytest.mark.slow
    def test_restarted(self) -> None:
        """While it is away everything fails in one way; when it is back, everything works, and peers tell it again."""
        change = Update(id=1, base=0, mark=1, add=(file("a"),))
        self.result_of(self.directory.update(peer(1), change))
        self.cluster.kill()
        try:
            for asked in (
                self.directory.renew(peer(1), 1, 0),
                self.directory.find(FileQuery(), ASKER),
                self.directory.peer_left(peer(1)),
                self.directory.counts(),
            ):
                assert "s3cret" not in str(self.failure_of(asked, StorageError))
        finally:
            self.cluster.start()
        assert self.result_of(self.directory.renew(peer(1), 1, 0)) == 0
        self.result_of(self.directory.update(peer(1), change))
        assert self.result_of(self.directory.find(FileQuery(), ASKER)).total == 1

    def test_hangs(self) -> None:
        """A server that does not answer is given up, and later used again."""
        directory = self.open_directory(patience_s=1.0)
        self.result_of(directory.counts())
        self.cluster.pause()
        try:
            assert "does not answer" in str(self.failure_of(directory.find(FileQuery(), ASKER), StorageError))
        finally:
            self.cluster.resume()
        assert self.result_of(directory.find(FileQuery(), ASKER)).total == 0
