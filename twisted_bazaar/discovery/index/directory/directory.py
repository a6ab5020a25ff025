"""The directory of an index server: who has which files, and who sells what. Sans-IO.

Soft state: everything in it is believed for the time of a lease, and its owner can tell it again.

Whatever may take long is a series of steps: an iterator that gives None after each few milliseconds of work, and
returns what came of it. Titles are entered into words and order, and the lists of those who have gone are cleared, a
little later, by L{Directory.run_backlog}; what is asked meanwhile is answered as if it had been done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from attrs import frozen

from twisted_bazaar.byte_budget import MIB, ByteBudget, Room
from twisted_bazaar.discovery.index.directory.catalogue import Catalogue, Title, codes_of, is_meant
from twisted_bazaar.discovery.index.directory.leases import Leases, Lister
from twisted_bazaar.discovery.index.directory.pages import PageMaker, is_list_of_all
from twisted_bazaar.discovery.index.directory.quota import check_cleared, check_list, growth_by, make_room
from twisted_bazaar.discovery.index.directory.weights import (
    LISTER_BYTES,
    weight_of_bazaar,
    weight_of_file,
    weight_of_item,
)
from twisted_bazaar.discovery.index.messages import NOTHING_LISTED, File, Update
from twisted_bazaar.discovery.index.multimap import Multimap
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, Page, is_beginning_only
from twisted_bazaar.wire.message import LARGEST_INTEGER

LEASE_S: Final = 45.0
MOST_A_PEER: Final = 100_000
MOST_BYTES: Final = 256 * MIB
# Titles that are looked at in one step: a millisecond. Fifty hosts that begin to search at once have fifty steps before
# somebody else has one.
TITLES_A_STEP: Final = 250
# What is entered or cleared in one step: 50 titles with as many words as there may be, or 350 of two, which take some
# milliseconds. An entry takes time as it takes memory, for each of its words.
_STEP_BYTES: Final = MIB // 4
# Who adds while so many titles wait to be entered, or so many lists or this part of all memory to be cleared, does some
# of that work first: it never grows without end.
_MOST_TO_ENTER: Final = 200_000
_MOST_TO_CLEAR: Final = 400
_MOST_RETIRED_PART: Final = 16
# So much is cleared at once for what is in one message: some ten milliseconds.
_CLEARED_FOR_ROOM_BYTES: Final = MIB
_CLEARED_AT_A_TIME_BYTES: Final = MIB // 16

T = TypeVar("T")
Steps = Generator[None, None, T]


@frozen
class Counts:
    """Sizes of a directory.

    @ivar peers: who lists something or has asked, and is there.
    @ivar files: different contents under different names.
    @ivar entries: files and goods on all lists.
    @ivar size_bytes: what all lists are charged; None where nobody counts.
    """

    peers: int
    files: int
    entries: int
    goods: int
    words: int
    size_bytes: int | None = None


class Directory:
    """All that is listed.

    @param lease_s: for how long a list is believed without another word.
    @param most_a_peer: entries that one peer may list.
    @param budget: the memory that all lists take, and what of it is due to each host.
    """

    def __init__(
        self, lease_s: float = LEASE_S, most_a_peer: int = MOST_A_PEER, budget: ByteBudget | None = None
    ) -> None:
        self.lease_s = lease_s
        self.most_a_peer = most_a_peer
        self.budget: ByteBudget = budget or ByteBudget(MOST_BYTES)
        self._listers = Leases(lease_s)
        self._titles = Catalogue()
        # By bazaar and item, who sells it.
        self._sellers: dict[str, Multimap[str, Lister]] = {}
        self._entries = 0
        self._to_clear: deque[Lister] = deque()

    @property
    def counts(self) -> Counts:
        """The sizes of the directory."""
        peers = len(self._listers.there)
        goods = sum(map(len, self._sellers.values()))
        return Counts(peers, len(self._titles), self._entries, goods, self._titles.words, self.budget.used)

    # Who is there.

    def renew(self, peer: Peer, mark: int, load: int, now: float) -> int:
        """Believe a peer's list for another lease; returns the mark of the list that is known.

        @param mark: of the list that the peer means. One that it left behind with its last link is only believed if
            it is that one.
        """
        lister = self._renewed(peer, now)
        if mark == lister.mark:
            self._listers.add(lister, now)
        lister.load, lister.named = load, 0
        return lister.mark

    def peer_left(self, key: str, now: float) -> None:
        """A peer's link is gone: nothing of it is found any more; its list is kept, in case it comes back."""
        lister = self._listers.peer_left(key, now)
        if lister is not None and not lister.listed:
            self._dismiss(lister)

    def expire(self, now: float) -> None:
        """See whose time is over."""
        for key in self._listers.overdue(now):
            self.peer_left(key, now)
        for lister in self._listers.forgettable(now):
            self._dismiss(lister)

    # What they list.

    def update(self, peer: Peer, update: Update, now: float) -> int:
        """Change a peer's list, if it builds on what is known of it; returns the mark of what is known then.

        @raise TooMany: it lists too much; nothing is changed.
        """
        lister = self._renewed(peer, now)
        if update.base not in (NOTHING_LISTED, lister.mark):
            return lister.mark
        is_anew = update.base == NOTHING_LISTED and (lister.listed > 0 or not lister.is_there)
        weights = self._check_room(lister, update, is_anew=is_anew)
        if is_anew:
            lister = self._begin_anew(lister, now)
        self._listers.add(lister, now)
        for name in update.remove:
            self._remove(lister, name)
        for item in update.withdraw:
            self._withdraw(lister, update.bazaar, item)
        added_bytes = 0
        for file in update.add:
            added_bytes += self._add(lister, file, weights.get(file.name))
        self._charge(lister, added_bytes)
        for item in update.offer:
            self._offer(lister, update.bazaar, item)
        lister.mark = update.mark
        return lister.mark

    def add(self, peer: Peer, file: File, now: float) -> int:
        """List one file; returns the mark of the list then.

        @raise TooMany: it is one too many.
        """
        lister = self._believed(peer, now)
        weight = None
        if file.name not in lister.files:
            weight = weight_of_file(file.name)
            self._check(lister, lister.listed + 1, weight)
        self._charge(lister, self._add(lister, file, weight))
        return self._move_on(lister)

    def remove(self, peer: Peer, name: str, now: float) -> int:
        """List a file no more; returns the mark of the list then."""
        lister = self._believed(peer, now)
        self._remove(lister, name)
        return self._move_on(lister)

    # What is done a little later.

    @property
    def has_backlog(self) -> bool:
        """Whether anything is left to be done."""
        return bool(self._titles.unindexed_count or self._to_clear)

    @property
    def is_behind(self) -> bool:
        """Whether so much is left to be done that who adds more has to do some of it."""
        return (
            self._titles.unindexed_count > _MOST_TO_ENTER
            or self.budget.retired > self.budget.total // _MOST_RETIRED_PART
            or len(self._to_clear) > _MOST_TO_CLEAR
        )

    def catch_up(self, update: Update) -> Steps[None]:
        """Do some of what is left to be done, if it is much, for somebody who is going to change a list.

        It is somewhat more than this change will leave to be done, so that all together never fall further behind.
        """
        if not self.is_behind:
            return
        added = sum(weight_of_file(file.name) for file in update.add) + sum(map(weight_of_item, update.offer))
        left = 4 * (LISTER_BYTES + added)
        while left > 0 and self.is_behind:
            left -= self.run_backlog()
            yield

    def run_backlog(self, most_bytes: int = _STEP_BYTES) -> int:
        """Do some of what is left to be done: a half of it for what has come, if there is something that has gone.

        @param most_bytes: what may be entered and cleared, and somewhat more than that, by what it weighs.
        @return: what was.
        """
        entered = self._titles.index_some(most_bytes // 2 if self._to_clear else most_bytes)
        return entered + self._clear_some(most_bytes - entered)

    def _clear_some(self, most_bytes: int) -> int:
        """Take entries of those who have gone out of the tables; returns what they weighed."""
        before = self.budget.retired
        end = before - most_bytes
        while self.budget.retired > end and self._to_clear:
            lister = self._to_clear[0]
            while self.budget.retired > end and lister.files:
                self._let_go(lister, lister.files.popitem()[1])
            while self.budget.retired > end and lister.goods:
                bazaar, items = next(iter(lister.goods.items()))
                self._take_back(lister, bazaar, items.popitem()[0])
            if not lister.listed:
                self._listers.forget(self._to_clear.popleft())
                self.budget.release(lister.weight)
        return before - self.budget.retired

    # Questions.

    def find(self, query: FileQuery, asker: Peer) -> Steps[Page]:
        """Look for files that somebody has who can be named to who asks.

        @raise PeerError: what it is to go on after was no page's end.
        """
        page = PageMaker(query)
        is_local = asker.address.is_local
        if query.name is None and (query.digest is None or is_beginning_only(query.digest)):
            while self._titles.unindexed_count:
                self.run_backlog()
                yield
        if is_list_of_all(query):
            return (yield from self._list(page, is_local))
        # Who has the words has all that is asked for, if nothing else is.
        are_meant = (query.name, query.digest, query.owner) == (None, None, None)
        for number, title in enumerate(self._candidates(query), 1):
            if title is not None and (are_meant or is_meant(title, query)):
                self._tell(title, is_local, page)
            if number % TITLES_A_STEP == 0:
                yield
        return page.page()

    def sources(self, digest: str, most: int, asker: Peer) -> Steps[Sequence[FileSource]]:
        """Find the sources of a file that can be named to the asker, the least loaded first."""
        wholes: dict[Lister, bool] = {}
        looked_at = 0
        for title in tuple(self._titles.titles_of(bytes.fromhex(digest))):
            for code in codes_of(title):
                lister = self._listers.find_by_code(code)
                if lister is not None:
                    wholes[lister] = wholes.get(lister, False) or bool(code & 1)
                looked_at += 1
                if looked_at % TITLES_A_STEP == 0:
                    yield
        named = self._named(wholes, most, asker)
        return [
            FileSource(
                each.peer.id,
                each.peer.key,
                each.peer.address,
                wholes[each],
                min(each.load + each.named - 1, LARGEST_INTEGER),
                each.peer.udp_port,
            )
            for each in named
        ]

    def sellers(self, bazaar: str, item: str | None, key: str | None, most: int, asker: Peer) -> Sequence[Peer]:
        """Find sellers of an item, or the seller with a key, of those that can be named to the asker."""
        if key is None:
            of_bazaar = self._sellers.get(bazaar)
            sellers: Iterable[Lister] = () if of_bazaar is None else of_bazaar.under(item or "")
        else:
            known = self._listers.there.get(key)
            goods = {} if known is None else known.goods.get(bazaar, {})
            sellers = [known] if known is not None and (item in goods or (item is None and goods)) else []
        return [each.peer for each in self._named(sellers, most, asker)]

    def holdings(self, query: FileQuery) -> Iterator[Title | None]:
        """Each file that is meant; None for work without one. See L{holders}."""
        while self._titles.unindexed_count and query.name is None and query.digest is None:
            self.run_backlog()
            yield None
        for title in self._candidates(query):
            yield title if title is not None and is_meant(title, query) else None

    def exact_matches(self, name: str | None, digest: str | None) -> Collection[Title]:
        """The files with a name, or with a content."""
        return (
            self._titles.titles_named(name) if name is not None else self._titles.titles_of(bytes.fromhex(digest or ""))
        )

    def holders(self, title: Title) -> Sequence[tuple[Lister, bool]]:
        """The holders of a file, each with whether it has the whole."""
        return [(self._listers.by_code(code), bool(code & 1)) for code in codes_of(title)]

    # Inside: questions.

    def _named(self, listers: Iterable[Lister], most: int, asker: Peer) -> list[Lister]:
        is_local = asker.address.is_local
        near = [each for each in listers if each.peer.key != asker.key and each.can_be_named_to(is_local)]
        named = self._listers.least_loaded(near, most)
        self._listers.note_named(named)
        return named

    def _candidates(self, query: FileQuery) -> Iterator[Title | None]:
        """The titles that may fit a query; all that do are among them."""
        if query.owner is not None:
            return self._owned(query.owner)
        if query.name is None and query.digest is not None and is_beginning_only(query.digest):
            return self._titles.beginning_with(query.digest)
        if query.name is not None or query.digest is not None:
            return iter(tuple(self.exact_matches(query.name, query.digest)))
        return self._titles.having(query.words or "")

    def _owned(self, owner: str) -> Iterator[Title | None]:
        """What is on the lists of a node, which may change meanwhile; None for each node that is not meant."""
        for lister in tuple(self._listers.there.values()):
            if lister.peer.is_named(owner):
                yield from tuple(lister.files.values())
            else:
                yield None

    def _tell(self, title: Title, is_local: bool, page: PageMaker) -> None:
        """Put a title on a page, if there is somebody who has it and can be named to who asks."""
        holders = title.holders
        if isinstance(holders, set):
            named = [code & 1 for code in holders if self._listers.by_code(code).can_be_named_to(is_local)]
            count, wholes = len(named), sum(named)
        else:
            count = self._listers.by_code(holders).can_be_named_to(is_local)
            wholes = holders & count
        if count and page.has_room_for(title.name, wholes):
            page.add(FoundFile(title.name, title.size, title.digest.hex(), wholes, count - wholes))

    def _list(self, page: PageMaker, is_local: bool) -> Steps[Page]:
        """Some of all files. Those before are only counted, and only if it matters."""
        listers = (*self._listers.there.values(), *self._listers.away.values(), *self._to_clear)
        are_all_found = all(each.can_be_named_to(is_local) for each in listers if each.files)
        first = page.after[2] if are_all_found and page.after is not None else ""
        for number, title in enumerate(self._titles.in_order(first), 1):
            self._tell(title, is_local, page)
            if are_all_found and page.is_full:
                break
            if number % TITLES_A_STEP == 0:
                yield
        if are_all_found:
            page.total = len(self._titles)
        return page.page()

    # Inside: lists.

    def _believed(self, peer: Peer, now: float) -> Lister:
        """The lister that a peer is, for changes that do not say what they build on: over a new link on nothing."""
        lister = self._renewed(peer, now)
        return lister if lister.is_there else self._begin_anew(lister, now)

    def _begin_anew(self, before: Lister, now: float) -> Lister:
        """Forget a peer's list, and go on with an empty one."""
        self._dismiss(before)
        lister = self._renewed(before.peer, now)
        lister.load = before.load
        return lister

    def _renewed(self, peer: Peer, now: float) -> Lister:
        """The lister that a peer is, with its lease renewed if it is there."""
        lister = self._listers.renewed(peer, now)
        if not lister.weight:
            self._charge(lister, LISTER_BYTES)
        return lister

    def _dismiss(self, lister: Lister) -> None:
        """Remove a list; its files are taken out when there is time."""
        self._listers.remove(lister)
        self._to_clear.append(lister)
        lister.is_dismissed = True
        self.budget.retire(lister.host, lister.weight)

    def _check_room(self, lister: Lister, update: Update, *, is_anew: bool) -> Mapping[str, int]:
        """See that there is room for a change; returns what the new files weigh.

        @raise TooMany: there is none.
        """
        files = {} if is_anew else lister.files
        goods = {} if is_anew else lister.goods.get(update.bazaar, {})
        growth = growth_by(update, files, goods, lambda name: files[name].weight)
        if growth.is_any:
            listed = 0 if is_anew else lister.listed
            instead_of = lister.weight if is_anew else 0
            self._check(lister, listed + growth.entries, growth.size_bytes, instead_of)
        return growth.weights

    def _check(self, lister: Lister, listed: int, more_bytes: int, instead_of: int = 0) -> None:
        """See that a peer may list so much, and that there is room for it.

        @param listed: how many entries it would have.
        @param more_bytes: what would come to it.
        @param instead_of: bytes that would go from it.
        @raise TooMany: no.
        """
        budget = self.budget
        check_list(budget.total, self.most_a_peer, listed, lister.weight + more_bytes - instead_of)
        if budget.room_for(lister.host, more_bytes, instead_of) is Room.YES:
            return

        def away(host: Hashable | None) -> list[Lister]:
            gone = self._listers.away.values()
            return [each for each in gone if each is not lister and host in (None, each.host)]

        make_room(budget, lister.host, more_bytes, instead_of, away, self._longest_of, self._dismiss)
        for _ in range(_CLEARED_FOR_ROOM_BYTES // _CLEARED_AT_A_TIME_BYTES):
            if budget.used + more_bytes <= budget.total or not self._to_clear:
                break
            self._clear_some(_CLEARED_AT_A_TIME_BYTES)
        check_cleared(budget, more_bytes)

    def _longest_of(self, host: Hashable) -> Lister:
        """The longest list of a host."""
        listers = (*self._listers.there.values(), *self._listers.away.values())
        return max((each for each in listers if each.host == host), key=lambda each: each.weight)

    @staticmethod
    def _move_on(lister: Lister) -> int:
        """Give a list that was changed by one entry another mark."""
        lister.mark = lister.mark + 1 if lister.mark < LARGEST_INTEGER else NOTHING_LISTED + 1
        return lister.mark

    def _add(self, lister: Lister, file: File, weight: int | None) -> int:
        """List a file; returns what is to be charged for it, which is nothing for one that is replaced.

        @param weight: what it weighs; needed if there is none of this name in the list.
        """
        code = lister.codes[file.whole]
        digest = bytes.fromhex(file.digest)
        before = lister.files.get(file.name)
        if before is None:
            if weight is None:
                # It was in the list, and the same change has taken it out.
                weight = weight_of_file(file.name)
            title = self._titles.add_holder(file.name, file.size, digest, code, weight)
            # The name that the title has: two of them for each who has it would be as much again.
            lister.files[title.name] = title
            self._entries += 1
            return weight
        title = lister.files[before.name] = self._titles.add_holder(before.name, file.size, digest, code, before.weight)
        # What is offered already is replaced; only a part may have become the whole.
        for old in lister.codes:
            if before is not title or old != code:
                self._titles.remove_holder(before, old)
        return 0

    def _remove(self, lister: Lister, name: str) -> None:
        title = lister.files.pop(name, None)
        if title is not None:
            self._let_go(lister, title)

    def _let_go(self, lister: Lister, title: Title) -> None:
        """See to it that what is gone from a list is gone elsewhere."""
        self._titles.remove_holder(title, lister.codes[0])
        self._titles.remove_holder(title, lister.codes[1])
        self._count(lister, -1, -title.weight)

    def _offer(self, lister: Lister, bazaar: str, item: str) -> None:
        items = lister.goods.get(bazaar)
        if items is None:
            items = lister.goods[bazaar] = {}
            self._charge(lister, weight_of_bazaar(bazaar))
        if item not in items:
            items[item] = None
            lister.goods_listed += 1
            of_bazaar = self._sellers.get(bazaar)
            if of_bazaar is None:
                of_bazaar = self._sellers[bazaar] = Multimap()
            of_bazaar.add(item, lister)
            self._count(lister, 1, weight_of_item(item))

    def _withdraw(self, lister: Lister, bazaar: str, item: str) -> None:
        items = lister.goods.get(bazaar, {})
        if item in items:
            del items[item]
            self._take_back(lister, bazaar, item)

    def _take_back(self, lister: Lister, bazaar: str, item: str) -> None:
        """See to it that goods that are gone from a list are gone elsewhere."""
        lister.goods_listed -= 1
        self._sellers[bazaar].discard(item, lister)
        if not self._sellers[bazaar]:
            del self._sellers[bazaar]
        if not lister.goods[bazaar]:
            del lister.goods[bazaar]
            self._charge(lister, -weight_of_bazaar(bazaar))
        self._count(lister, -1, -weight_of_item(item))

    def _count(self, lister: Lister, more: int, size_bytes: int) -> None:
        self._entries += more
        self._charge(lister, size_bytes)

    def _charge(self, lister: Lister, size_bytes: int) -> None:
        """Charge a lister for so many bytes more, or fewer if negative."""
        lister.weight += size_bytes
        if lister.is_dismissed:
            self.budget.release(-size_bytes)
        else:
            self.budget.charge(lister.host, size_bytes)
