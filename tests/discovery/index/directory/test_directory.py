"""A directory against a list of everything, and what it keeps in bounds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.discovery.index.directory.directories import ASKER, digest, file, found, peer
from twisted_bazaar.byte_budget import ByteBudget
from twisted_bazaar.discovery.index.directory.directory import TITLES_A_STEP, Directory, Steps
from twisted_bazaar.discovery.index.directory.leases import KEPT_S, MOST_KEPT
from twisted_bazaar.discovery.index.directory.weights import (
    LISTER_BYTES,
    weight_of_bazaar,
    weight_of_file,
    weight_of_item,
)
from twisted_bazaar.discovery.index.messages import File, TooMany, Update
from twisted_bazaar.discovery.index.words import folded, words_of
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.files import FileQuery, FoundFile, Page

LEASE_S = 10.0
MOST = 4

NAMES = ("ab cd", "AB-cd", "ab", "abc", "cd", "x")
QUERIES = (
    FileQuery(),
    *(FileQuery(name=name) for name in NAMES),
    *(FileQuery(words=words) for words in ("ab", "cd a", "c", "abc", "ab cd", "-")),
    *(FileQuery(digest=digest(number)) for number in range(3)),
    FileQuery(name="ab", words="a", digest=digest(1)),
    *(FileQuery(digest=digest(number)[:digits]) for number, digits in ((0, 12), (1, 13), (2, 63))),
    *(FileQuery(owner=owner) for owner in ("1", "3", "4", "7")),
    FileQuery(owner="4", words="ab"),
)
PEERS = (peer(1), peer(2, port=0), peer(3, "127.0.0.1"), peer(4))
ASKERS = (ASKER, peer(98, "127.0.0.1"))


def run(steps: Steps[Any]) -> Any:
    """Do all steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@define
class Owner:
    """What a naive directory knows of a peer."""

    mark: int = 0
    until: float = 0.0
    is_there: bool = True
    files: dict[str, File] = field(factory=dict)
    items: set[str] = field(factory=set)


class Naive:
    """The same as a directory, without any table."""

    def __init__(self) -> None:
        self.owners: dict[Peer, Owner] = {}

    def believed(self, owner: Peer, now: float) -> Owner:
        """What is known of a peer, with its lease renewed if it is there."""
        known = self.owners.setdefault(owner, Owner())
        if known.is_there:
            known.until = now + LEASE_S
        return known

    def come(self, owner: Peer, now: float) -> None:
        """A peer is there."""
        self.owners[owner].is_there, self.owners[owner].until = True, now + LEASE_S

    def expire(self, now: float) -> None:
        """See whose time is over."""
        for owner, known in list(self.owners.items()):
            if known.is_there and known.until <= now:
                self.leave(owner, now)
            elif not known.is_there and known.until <= now:
                del self.owners[owner]

    def leave(self, owner: Peer, now: float) -> None:
        """A peer has gone."""
        known = self.owners.get(owner)
        if known is None or not known.is_there:
            return
        known.is_there, known.until = False, now + KEPT_S
        if not known.files and not known.items:
            del self.owners[owner]

    def named_to(self, asker: Peer) -> Iterator[tuple[Peer, Owner]]:
        """Who can be named to who asks."""
        for owner, known in self.owners.items():
            address = owner.address
            if known.is_there and address.port and (asker.address.is_local or not address.is_local):
                yield owner, known

    def is_owned(self, file: File, owner: str | None, asker: Peer) -> bool:
        """Whether a node has a file; it need not be able to be named."""
        having = [str(each.id) for each, known in self.owners.items() if known.is_there and file_in(file, known)]
        return owner is None or owner in having

    def find(self, query: FileQuery, asker: Peer) -> list[FoundFile]:
        """Look for files."""
        counts: dict[tuple[str, int, str], list[int]] = {}
        for _, known in self.named_to(asker):
            for each in known.files.values():
                if fits(each, query) and self.is_owned(each, query.owner, asker):
                    counts.setdefault((each.name, each.size, each.digest), [0, 0])[each.whole] += 1
        files = [FoundFile(*title, whole, part) for title, (part, whole) in counts.items()]
        is_list = query == FileQuery()

        def order(each: FoundFile) -> tuple[Any, ...]:
            exact = query.words is None or folded(each.name) == folded(query.words)
            rank = (0, 0) if is_list else (not exact, -each.sources)
            return *rank, each.name, each.digest, each.size

        return sorted(files, key=order)


def file_in(file: File, known: Owner) -> bool:
    """Whether a file is on a list, whole or not."""
    listed = known.files.get(file.name)
    return listed is not None and (listed.size, listed.digest) == (file.size, file.digest)


def fits(each: File, query: FileQuery) -> bool:
    """Whether a file is what is looked for."""
    if query.name not in (None, each.name) or not each.digest.startswith(query.digest or ""):
        return False
    if query.words is None:
        return True
    *whole, last = words_of(query.words) or [None]
    words = words_of(each.name)
    return last is not None and set(whole) <= set(words) and any(word.startswith(last) for word in words)


def weight_of(known: Owner) -> int:
    """What the list of a peer weighs."""
    files = sum(map(weight_of_file, known.files))
    return files + sum(map(weight_of_item, known.items)) + (weight_of_bazaar("bazaar") if known.items else 0)


owners = st.sampled_from(PEERS)
names = st.sampled_from(NAMES)
files = st.builds(file, names, st.integers(0, 2), st.integers(1, 2), whole=st.booleans())
items = st.sampled_from(("apple", "pear"))
parts = st.fixed_dictionaries(
    {
        "add": st.lists(files, max_size=5).map(tuple),
        "remove": st.lists(names, max_size=3).map(tuple),
        "offer": st.lists(items, max_size=2).map(tuple),
        "withdraw": st.lists(items, max_size=2).map(tuple),
    }
)
deeds = st.one_of(
    st.tuples(st.just("update"), owners, st.sampled_from(("known", "known", "nothing", "other")), parts),
    st.tuples(st.just("add"), owners, files),
    st.tuples(st.just("remove"), owners, names),
    st.tuples(st.just("renew"), owners, st.booleans()),
    st.tuples(st.just("leave"), owners),
    st.tuples(st.just("wait"), st.sampled_from((1.0, 9.0, KEPT_S))),
    st.tuples(st.just("work"), st.integers(1, 5)),
)


class ModelTests(SynchronousTestCase):
    """Whatever is done to it, it knows what a list of everything knows."""

    @examples(300)
    @given(st.lists(deeds, max_size=25))
    def test_same_as_a_list(self, done: list[tuple[Any, ...]]) -> None:
        """After each deed, every question has the same answer."""
        self.directory, self.naive, self.now = Directory(LEASE_S, MOST), Naive(), 0.0
        for number, (name, *what) in enumerate(done, 1):
            getattr(self, f"do_{name}")(number, *what)
            for asker in ASKERS:
                for query in QUERIES:
                    answer = self.naive.find(query, asker)
                    page = run(self.directory.find(query, asker))
                    self.assertEqual(page, Page(answer, len(answer)))
                self.compare_owners(asker)
        # When all is cleared nothing is left of those who have gone.
        while self.directory.has_backlog:
            self.directory.run_backlog(3)
        kept = sum(len(known.files) + len(known.items) for known in self.naive.owners.values())
        titles = {(f.name, f.size, f.digest) for known in self.naive.owners.values() for f in known.files.values()}
        self.assertEqual((self.directory.counts.entries, self.directory.counts.files), (kept, len(titles)))
        # And nothing is charged that is not there.
        weight = sum(LISTER_BYTES + weight_of(known) for known in self.naive.owners.values())
        self.assertEqual(self.directory.budget.used, weight)

    def compare_owners(self, asker: Peer) -> None:
        """Sources and sellers."""
        named = dict(self.naive.named_to(asker))
        for number in range(3):
            told = {each.id: each.is_whole for each in run(self.directory.sources(digest(number), 50, asker))}
            true: dict[int, bool] = {}
            for owner, known in named.items():
                for each in known.files.values():
                    if each.digest == digest(number):
                        true[owner.id] = true.get(owner.id, False) or each.whole
            self.assertEqual(told, true)
        for item in ("apple", "pear"):
            sellers = {each.id for each in self.directory.sellers("bazaar", item, None, 50, asker)}
            self.assertEqual(sellers, {owner.id for owner, known in named.items() if item in known.items})

    def do_update(self, number: int, owner: Peer, base: str, what: dict[str, Any]) -> None:
        """Send a part of a list."""
        known = self.naive.believed(owner, self.now)
        on = {"known": known.mark, "nothing": 0, "other": 10**6}[base]
        change = Update(id=1, base=on, mark=number + 1000, **what)
        files, sold = ({}, set()) if on == 0 else (dict(known.files), set(known.items))
        for name in change.remove:
            files.pop(name, None)
        sold -= set(change.withdraw)
        files |= {each.name: each for each in change.add}
        sold |= set(change.offer)
        before = 0 if on == 0 else len(known.files) + len(known.items)
        if on not in (0, known.mark):
            self.assertEqual(self.directory.update(owner, change, self.now), known.mark)
        elif len(files) + len(sold) > max(before, MOST):
            self.assertRaises(TooMany, self.directory.update, owner, change, self.now)
        else:
            self.assertEqual(self.directory.update(owner, change, self.now), change.mark)
            known.files, known.items, known.mark = files, sold, change.mark
            self.naive.come(owner, self.now)

    def begin_one(self, owner: Peer) -> Owner:
        """What one change begins with."""
        known = self.naive.believed(owner, self.now)
        if not known.is_there:
            self.naive.owners[owner] = known = Owner()
            self.naive.come(owner, self.now)
        return known

    def do_add(self, number: int, owner: Peer, each: File) -> None:
        """Add one."""
        known = self.begin_one(owner)
        if each.name not in known.files and len(known.files) + len(known.items) >= MOST:
            self.assertRaises(TooMany, self.directory.add, owner, each, self.now)
            return
        known.mark = self.directory.add(owner, each, self.now)
        known.files[each.name] = each

    def do_remove(self, number: int, owner: Peer, name: str) -> None:
        """Remove one."""
        known = self.begin_one(owner)
        known.mark = self.directory.remove(owner, name, self.now)
        known.files.pop(name, None)

    def do_renew(self, number: int, owner: Peer, is_right: bool) -> None:
        """Renew a lease."""
        known = self.naive.believed(owner, self.now)
        mark = known.mark if is_right else 10**6
        self.assertEqual(self.directory.renew(owner, mark, 0, self.now), known.mark)
        if is_right:
            self.naive.come(owner, self.now)

    def do_leave(self, number: int, owner: Peer) -> None:
        """Lose the link."""
        self.naive.leave(owner, self.now)
        self.directory.peer_left(owner.key, self.now)

    def do_wait(self, number: int, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.naive.expire(self.now)
        self.directory.expire(self.now)

    def do_work(self, number: int, most: int) -> None:
        """Let some of what is left be done."""
        self.directory.run_backlog(most)


class BoundTests(SynchronousTestCase):
    """What strangers can make it do."""

    def fill(self, directory: Directory, owner: Peer, count: int, first: int = 0) -> None:
        """List many files."""
        add = tuple(file(f"p{owner.id}q {number}", number) for number in range(first, first + count))
        mark = directory.renew(owner, 0, 0, 0.0)
        directory.update(owner, Update(id=1, base=mark, mark=mark + 1, add=add), 0.0)

    def directory(self, files: int) -> Directory:
        """A directory with a budget for so many files of one peer."""
        return Directory(LEASE_S, 10_000, ByteBudget(files * weight_of_file("p1q 1") + LISTER_BYTES))

    def listed(self, directory: Directory, owner: Peer) -> int:
        """How many files of a peer are found."""
        page = run(directory.find(FileQuery(words=f"p{owner.id}q"), ASKER))
        self.assertLessEqual(directory.budget.used, directory.budget.total)
        return page.total

    def test_share(self) -> None:
        """One peer has half of the memory at most, its host five eighths, however much is free; then it is told."""
        directory = self.directory(800)
        self.fill(directory, peer(1, "10.0.0.7"), 390)
        error = self.assertRaises(TooMany, self.fill, directory, peer(1, "10.0.0.7"), 20, 390)
        self.assertIn("one peer", str(error))
        self.fill(directory, peer(2, "10.0.0.7"), 90)
        error = self.assertRaises(TooMany, self.fill, directory, peer(2, "10.0.0.7"), 20, 90)
        self.assertIn("one host", str(error))
        self.assertEqual([self.listed(directory, peer(number)) for number in (1, 2)], [390, 90])

    def test_host_is_where_links_come_from(self) -> None:
        """Who says that it is elsewhere is charged to the host that its link comes from all the same."""
        directory = self.directory(800)
        liars = [evolve(peer(number, f"10.0.0.{number}"), seen_host="10.9.9.9") for number in (1, 2)]
        self.fill(directory, liars[0], 390)
        self.assertRaises(TooMany, self.fill, directory, liars[1], 390)

    def test_full(self) -> None:
        """When it is full, who has less than an equal part has it, at the cost of who has the most."""
        directory = self.directory(800)
        self.fill(directory, peer(1), 380)
        self.fill(directory, peer(2), 180)
        self.fill(directory, peer(3), 120)
        # The last eighth is for those with less than an equal part.
        self.assertRaises(TooMany, self.fill, directory, peer(1), 20, 380)
        self.fill(directory, peer(3), 60, 120)
        self.fill(directory, peer(4), 180)
        self.assertEqual([self.listed(directory, peer(number)) for number in (1, 2, 3, 4)], [0, 180, 180, 180])
        # It has lost its list, hears that when it renews, and tells as much again as there is room for.
        self.assertEqual(directory.renew(peer(1), 1, 0, 0.0), 0)
        self.assertRaises(TooMany, self.fill, directory, peer(1), 390)
        self.fill(directory, peer(1), 90)

    def test_many_greedy_hosts(self) -> None:
        """However many hosts want all they can get, the next one finds its equal part, and the memory is bounded."""
        directory = self.directory(2_000)
        for number in range(1, 41):
            listed = 0
            with contextlib.suppress(TooMany):
                while listed < 2_000:
                    self.fill(directory, peer(number, f"10.0.0.{number}"), 10, listed)
                    listed += 10
            share = min(directory.budget.total // number, directory.budget.most_a_peer)
            equal = (share - LISTER_BYTES) // weight_of_file("p10q 100")
            self.assertGreaterEqual(self.listed(directory, peer(number)), equal // 10 * 10 - 10, number)

    def test_many_of_one_machine(self) -> None:
        """A machine with many keys has one part for all of them."""
        directory = self.directory(800)
        for number in range(1, 5):
            self.fill(directory, peer(number, "10.0.0.7"), 110)
        self.assertRaises(TooMany, self.fill, directory, peer(5, "10.0.0.7"), 110)
        self.fill(directory, peer(6), 110)

    def test_full_of_those_who_have_gone(self) -> None:
        """The lists of those who have gone make room for others, the oldest first, and no more than has to."""
        directory = self.directory(800)
        for number in (1, 2, 3):
            self.fill(directory, peer(number), 200)
            directory.peer_left(peer(number).key, 0.0)
        self.fill(directory, peer(4), 290)
        self.assertEqual([directory.renew(peer(number), 1, 0, 1.0) for number in (1, 2, 3)], [0, 1, 1])
        self.assertLessEqual(directory.budget.used, directory.budget.total)

    def test_given_back(self) -> None:
        """Whatever has been listed is given back: what is removed, what is replaced, and who has gone."""
        directory = self.directory(800)
        one = peer(1)
        self.fill(directory, one, 1)
        before = directory.budget.used
        self.fill(directory, one, 100, 1)
        goods = tuple(f"item {number}" for number in range(100))
        names = tuple(f"p1q {number}" for number in range(1, 101))
        directory.update(one, Update(id=1, base=2, mark=3, offer=goods, bazaar="\N{SNOWMAN}"), 0.0)
        directory.update(one, Update(id=1, base=3, mark=4, add=tuple(map(file, names))), 0.0)
        directory.update(one, Update(id=1, base=4, mark=5, remove=names, withdraw=goods, bazaar="\N{SNOWMAN}"), 0.0)
        self.assertEqual(directory.budget.used, before)
        directory.update(one, Update(id=1, base=0, mark=6, offer=goods), 0.0)
        directory.add(one, file("a"), 0.0)
        directory.remove(one, "a", 0.0)
        directory.peer_left(one.key, 0.0)
        directory.expire(KEPT_S + 1)
        while directory.has_backlog:
            directory.run_backlog(7)
        self.assertEqual((directory.budget.used, directory.budget.held_by("10.0.0.1")), (0, 0))

    def test_begun_anew_when_full(self) -> None:
        """Who has all that it may have can tell its list anew: the old one makes room for the new one."""
        directory = self.directory(800)
        self.fill(directory, peer(1), 390)
        for number in range(8):
            add = tuple(file(f"p1q {each}", number) for each in range(390))
            directory.update(peer(1), Update(id=1, base=0, mark=number + 5, add=add), 0.0)
            self.assertEqual(self.listed(directory, peer(1)), 390)

    def test_who_has_gone_is_not_kept_for_ever(self) -> None:
        """No more lists of those who have gone are kept than a number, the latest."""
        directory = Directory(LEASE_S)
        for number in range(MOST_KEPT + 10):
            self.fill(directory, peer(number, "10.0.0.1"), 1)
            directory.peer_left(peer(number).key, 0.0)
        directory.expire(1.0)
        while directory.has_backlog:
            directory.run_backlog()
        self.assertEqual(directory.counts.entries, MOST_KEPT)
        self.assertEqual(directory.renew(peer(MOST_KEPT + 9, "10.0.0.1"), 0, 0, 1.0), 1)
        self.assertEqual(directory.renew(peer(0), 0, 0, 1.0), 0)

    def test_steps_end_by_weight(self) -> None:
        """What is done later is done in steps that end by the number of words, and not of files."""
        directory = Directory(LEASE_S)
        for number in range(300):
            directory.add(peer(1), file(" ".join(f"{word}of{number}" for word in range(32))), 0.0)
        most = 64
        while directory.has_backlog:
            before = directory.counts.words
            directory.run_backlog()
            self.assertLessEqual(directory.counts.words - before, 32 * most)
        self.assertEqual(directory.counts.words, 32 * 300)
        directory.peer_left(peer(1).key, 0.0)
        directory.expire(KEPT_S + 1)
        while directory.has_backlog:
            before = directory.counts.entries
            directory.run_backlog()
            self.assertLessEqual(before - directory.counts.entries, most)
        self.assertEqual((directory.counts.words, directory.counts.entries), (0, 0))

    def test_begun_anew_over_and_over(self) -> None:
        """Who begins its list anew over and over makes no more work than is done meanwhile."""
        directory = Directory(LEASE_S)
        for number in range(3_000):
            add = tuple(file(f"{number} {each}", each) for each in range(10))
            update = Update(id=1, base=0, mark=number + 1, add=add)
            run(directory.catch_up(update))
            directory.update(peer(1), update, 0.0)
        self.assertLess(directory.counts.entries, 10_000)

    def test_one_content_with_many_names(self) -> None:
        """A content with a great many names, such as the empty one, is as quickly listed, found and removed."""
        directory = Directory(LEASE_S, 100_000)
        names = [f"empty {number}" for number in range(50_000)]
        mark = 0
        for first in range(0, len(names), 1000):
            add = tuple(file(name, 0, 0) for name in names[first : first + 1000])
            mark = directory.update(peer(1), Update(id=1, base=mark, mark=mark + 1, add=add), 0.0)
        [source] = run(directory.sources(digest(0), 50, ASKER))
        self.assertTrue(source.is_whole)
        page = run(directory.find(FileQuery(digest=digest(0), most=2), ASKER))
        self.assertEqual((page.total, page.files), (50_000, [found("empty 0", 0, size=0), found("empty 1", 0, size=0)]))
        directory.update(peer(1), Update(id=1, base=mark, mark=mark + 1, remove=tuple(names[:1000])), 0.0)
        self.assertEqual(directory.counts.files, 49_000)

    def test_many_contents_of_one_name(self) -> None:
        """A name under which everybody has something else is no slower than others."""
        directory = Directory(LEASE_S)
        for number in range(5_000):
            directory.add(peer(number, f"10.1.{number >> 8}.{number & 255}"), file("README", number), 0.0)
        page = run(directory.find(FileQuery(name="README", most=3), ASKER))
        self.assertEqual((page.total, [each.digest for each in page.files]), (5_000, [digest(n) for n in range(3)]))

    def test_steps(self) -> None:
        """A question about many is answered in steps, with others in between who come and go."""
        directory = Directory(LEASE_S, 100_000)
        self.fill(directory, peer(1), 1_000)
        self.fill(directory, peer(2), 4_000)
        for query in (FileQuery(words="p1q"), FileQuery(words="p1q 9"), FileQuery(digest=digest(7))):
            steps = directory.find(query, ASKER)
            taken = 0
            try:
                while True:
                    next(steps)
                    taken += 1
            except StopIteration as end:
                self.assertEqual(end.value, run(directory.find(query, ASKER)))
            self.assertEqual(taken > 0, query.digest is None)
        steps = directory.find(FileQuery(words="p2q", most=5), ASKER)
        next(steps)
        directory.peer_left(peer(2).key, 0.0)
        directory.expire(KEPT_S + 1)
        while directory.has_backlog:
            directory.run_backlog()
        self.assertLessEqual(run(steps).total, TITLES_A_STEP)

    def test_sources_in_steps(self) -> None:
        """So is the question who has something, and who goes meanwhile is not named."""
        directory = Directory(LEASE_S)
        for number in range(3_000):
            directory.add(peer(number, f"10.1.{number >> 8}.{number & 255}"), file(f"{number}", 1), 0.0)
        steps = directory.sources(digest(1), 50, ASKER)
        next(steps)
        for number in range(2_990):
            directory.peer_left(peer(number).key, 0.0)
        directory.expire(KEPT_S + 1)
        while directory.has_backlog:
            directory.run_backlog()
        self.assertEqual(list(run(steps)), [])
