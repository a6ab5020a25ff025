"""Route tables of query routing (QRP): the words that somebody has, for the last hop of a query.

A word, the beginning of one, a digest, goods or a seller is a token. Its hash names a slot, and the slots that are set
are the table: a token whose slot is not set is not there, all others may be. After the query routing protocol of
Gnutella (Rohrs, 2001); here the width of a table follows from how full it is, and tables travel as differences.
Sans-IO.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve, frozen

from twisted_bazaar.discovery.index.words import question_of, words_of
from twisted_bazaar.discovery.superpeer.messages import (
    LEAST_TABLE_BITS,
    MOST_TABLE_BITS,
    NO_TABLE,
    Query,
    Table,
)
from twisted_bazaar.discovery.superpeer.qrp.patches import Pending, split_patch
from twisted_bazaar.discovery.superpeer.qrp.slot_set import SlotCounts, SlotSet

HASH_BITS: Final = 32
# One slot in so many is set at most: with that chance a query for a word that nobody has goes astray.
FULLEST: Final = 8
SHORTEST_BEGINNING: Final = 3
LONGEST_BEGINNING: Final = 10
# What stands around the slots in a part of a table, with the longest numbers.
_AROUND_BYTES: Final = 128
_LONGEST_GAPS: Final = 60_000
# So many changes are remembered for those who have an older table.
_MOST_LOGGED: Final = 8_192
# If more than this has changed, and more than there is, the whole is shorter.
_ALWAYS_TOLD: Final = 1_000


def tokens_of_file(name: str, digest: str) -> frozenset[str]:
    """The tokens by which a file can be found."""
    tokens = {f"d:{digest}"}
    for word in words_of(name):
        tokens.add(f"w:{word}")
        tokens.update(f"b:{word[:size]}" for size in range(SHORTEST_BEGINNING, min(len(word), LONGEST_BEGINNING) + 1))
    return frozenset(tokens)


def tokens_of_item(bazaar: str, item: str) -> frozenset[str]:
    """The tokens by which an item can be found."""
    return frozenset((f"g:{bazaar}\0{item}",))


def token_of_seller(bazaar: str, key: str) -> str:
    """The token by which somebody who sells anything can be found."""
    return f"s:{bazaar}\0{key}"


def tokens_of_query(query: Query) -> list[str]:
    """The tokens that are all in the table of whoever has what a query looks for; without any, all may have it."""
    if query.digest is not None:
        return [f"d:{query.digest}"]
    if query.item is not None:
        return list(tokens_of_item(query.bazaar, query.item))
    if query.seller is not None:
        return [token_of_seller(query.bazaar, query.seller)]
    if query.name is not None:
        return [f"w:{word}" for word in words_of(query.name)]
    whole, beginning = question_of(query.words or "")
    tokens = [f"w:{word}" for word in whole]
    if len(beginning) >= SHORTEST_BEGINNING:
        tokens.append(f"b:{beginning[:LONGEST_BEGINNING]}")
    return tokens


def hash_of(token: str) -> int:
    """The hash of a token: CRC-32 of its UTF-8. In a table of 2**n slots its n highest bits name the slot."""
    return zlib.crc32(token.encode("utf-8", "surrogatepass"))


@frozen
class Change:
    """A change of a table by one step: first C{off} were taken out, then C{on} put in.

    @ivar full: 1 if from now on there are too many slots to be told, -1 if that is over.
    """

    on: Sequence[int] = ()
    off: Sequence[int] = ()
    full: int = 0


class OwnTable:
    """A table that is told to others: tokens of one's own, and the tables of leaves, counted.

    @param began: the version to begin with. A random one keeps whoever starts anew from being taken for who it was.
    @param least_bits: it has at least 2**least_bits slots; 20 for tables that are to be merged.
    @ivar bits: it has 2**bits slots now.
    """

    def __init__(self, began: int = 1, least_bits: int = LEAST_TABLE_BITS) -> None:
        self.bits: int = least_bits
        self._least_bits = least_bits
        # Slots of the widest table, how many, and how much more often than once some are there.
        self._wide = SlotSet((), MOST_TABLE_BITS)
        self._count = 0
        self._more = SlotCounts(MOST_TABLE_BITS)
        # How many slots of the table as it is told are set.
        self._set = 0
        self._full = 0
        self._is_full = False
        self._version = began
        # Slots that have changed, one a version; the last one made the version of now.
        self._log = array("I")
        # What was told last: nearly always the next neighbour is to be told the same.
        self._told: tuple[int, int, int, Sequence[Table]] = (NO_TABLE, NO_TABLE, 0, ())

    def __len__(self) -> int:
        """The number of slots that are set, in the widest table."""
        return self._count

    @property
    def version(self) -> int:
        """The version of this table: it changes with its content."""
        self._settle()
        return self._version

    @property
    def is_full(self) -> bool:
        """Whether there are too many slots to be told."""
        self._settle()
        return self._is_full

    def add(self, tokens: Iterable[str]) -> None:
        """Add tokens; each as often as it is added, until it is discarded as often."""
        self.add_slots([hash_of(token) >> HASH_BITS - MOST_TABLE_BITS for token in tokens])

    def discard(self, tokens: Iterable[str]) -> None:
        """Remove tokens, once each."""
        self.discard_slots([hash_of(token) >> HASH_BITS - MOST_TABLE_BITS for token in tokens])

    def merge(self, change: Change) -> None:
        """Include a change of the table of a leaf."""
        self.discard_slots(change.off)
        self.add_slots(change.on)
        self._full += change.full

    def add_slots(self, slots: Iterable[int]) -> None:
        """Add slots of a table of 2**20, counted."""
        more = self._more
        for slot in slots:
            narrow = slot >> MOST_TABLE_BITS - self.bits
            had = self._has(narrow)
            if not self._wide.add(slot):
                more.add(slot, 1)
                continue
            self._count += 1
            if not had:
                self._turned(narrow, 1)

    def discard_slots(self, slots: Iterable[int]) -> None:
        """Remove slots of a table of 2**20, once each."""
        more = self._more
        for slot in slots:
            if more.count(slot):
                more.add(slot, -1)
            elif self._wide.discard(slot):
                self._count -= 1
                narrow = slot >> MOST_TABLE_BITS - self.bits
                if not self._has(narrow):
                    self._turned(narrow, -1)

    def changes_since(self, base: int, most_bytes: int) -> Sequence[Table]:
        """The patches from a version of this table to the present one; none if it is that.

        Who has none, or one too old, is told the whole.

        @param most_bytes: how long the JSON of one part may be.
        """
        self._settle()
        if base == self._version:
            return ()
        behind = self._version - base
        if not 0 < behind <= min(len(self._log), max(_ALWAYS_TOLD, self._set)):
            base = NO_TABLE
        if self._told[:3] != (base, self._version, most_bytes):
            self._told = base, self._version, most_bytes, self._parts(base, most_bytes)
        return self._told[3]

    def _turned(self, slot: int, by: int) -> None:
        """Note that a slot is set now, or no more."""
        self._set += by
        if self._is_full:
            return
        self._version += 1
        self._log.append(slot)
        if len(self._log) > 2 * _MOST_LOGGED:
            del self._log[:-_MOST_LOGGED]

    def _has(self, slot: int) -> bool:
        spare = MOST_TABLE_BITS - self.bits
        return self._wide.has_any(slot << spare, slot + 1 << spare)

    def _settle(self) -> None:
        """Choose the width. When it changes, everybody needs the whole table."""
        before = self.bits, self._is_full
        while self._set > most_slots(self.bits) and self.bits < MOST_TABLE_BITS:
            self._widen(self.bits + 1)
        # Not at once, or a word that comes and goes would turn the table over each time.
        while self.bits > self._least_bits and self._count <= most_slots(self.bits - 1) // 2:
            self._widen(self.bits - 1)
        most = most_slots(self.bits)
        self._is_full = self._full > 0 or self._set > (most * 3 // 4 if self._is_full else most)
        if before != (self.bits, self._is_full):
            self._version += 1
            del self._log[:]

    def _widen(self, bits: int) -> None:
        self.bits = bits
        self._set = len(self._slots())

    def _slots(self) -> Sequence[int]:
        return self._wide.narrowed(MOST_TABLE_BITS - self.bits)

    def _parts(self, base: int, most_bytes: int) -> Sequence[Table]:
        on, off = ((), ()) if self._is_full else self._difference(base)
        room = min(most_bytes - _AROUND_BYTES, _LONGEST_GAPS)
        return split_patch(Table(base=base, version=self._version, bits=self.bits, full=self._is_full), on, off, room)

    def _difference(self, base: int) -> tuple[Sequence[int], Sequence[int]]:
        if base == NO_TABLE:
            return self._slots(), ()
        slots: tuple[list[int], list[int]] = [], []
        for slot in sorted(set(self._log[base - self._version :])):
            slots[not self._has(slot)].append(slot)
        return slots


class RouteTable:
    """The table that somebody else tells, put together from parts. Until it is known, everything may be there.

    A change is taken when it is whole, and builds on the version that is here, or on none. Parts may come in any
    order, more than once or never; what does not fit is let go of, and told again by whoever hears which version is
    here.

    @param bits: the only width that is taken; any if not given.
    @ivar version: 0 for none.
    @ivar bits: it has 2**bits slots.
    @ivar is_full: whether there are too many slots to be told.
    """

    __slots__ = ("_is_open", "_only_bits", "_pending", "_slots", "bits", "is_full", "version")

    def __init__(self, bits: int | None = None) -> None:
        self._only_bits = bits
        self.bits: int = bits or LEAST_TABLE_BITS
        self._slots = SlotSet((), self.bits)
        self._pending: Pending | None = None
        self.version: int = NO_TABLE
        self.is_full: bool = False
        self._is_open = True

    def __len__(self) -> int:
        """The number of slots that are set."""
        return len(self._slots)

    @property
    def size_bytes(self) -> int:
        """Its size in memory."""
        return self._slots.size_bytes + self.pending_bytes

    @property
    def pending_bytes(self) -> int:
        """The bytes taken by changes of which not all has come."""
        return 0 if self._pending is None else self._pending.size_bytes

    def forget_pending(self) -> None:
        """Drop changes of which not all has come: whoever tells of them tells again."""
        self._pending = None

    def may_have(self, hashes: Iterable[int]) -> bool:
        """Whether somebody may have what has all of these hashes."""
        return self._is_open or self._slots.has_all(hashes, HASH_BITS - self.bits)

    def slots(self) -> list[int]:
        """All slots that are set, ascending."""
        return list(self._slots)

    def clear(self) -> Change:
        """Forget the table: everything may be there.

        @return: what goes by that.
        """
        change = Change((), self._slots.to_list(), -int(self.is_full))
        self._slots = SlotSet((), self.bits)
        self.version, self.is_full, self._is_open, self._pending = NO_TABLE, False, True, None
        return change

    def apply_part(self, table: Table) -> Change | None:
        """Take a part of a change.

        @return: what has changed, exactly, if one width only is taken, or the width has not changed; None while
            nothing has.
        @raise ValueError: it is no part of a table, or of another width.
        """
        base, bits = table.base, table.bits
        if self._only_bits not in (None, bits):
            raise ValueError(f"bits: only {self._only_bits} are taken")
        pending = self._pending or Pending()
        is_known = table.version == self.version or base not in (NO_TABLE, self.version)
        if base and not is_known and (self.is_full or bits != self.bits) and not table.full:
            raise ValueError("bits: another width than that of the version it builds on")
        whole = (Pending() if is_known else pending).add_part(table)
        if whole is None or is_known:
            self._pending = pending if len(pending) else None
            return None
        before = self.is_full
        change = self._changed(base, bits, *whole, is_full=table.full)
        self._pending = None
        self.version, self._is_open = table.version, self.is_full
        return evolve(change, full=self.is_full - before)

    def _changed(self, base: int, bits: int, on: SlotSet, off: SlotSet, *, is_full: bool) -> Change:
        old = self._slots
        new = on if base == NO_TABLE else old
        gone: list[int] = []
        come: list[int] = []
        if new is old and not is_full:
            gone, come = [slot for slot in off if old.discard(slot)], [slot for slot in on if old.add(slot)]
        self.is_full = is_full or len(new) > most_slots(bits)
        if self.is_full:
            # What was there before is what is there now but for what has changed.
            for slot in come:
                old.discard(slot)
            old.update(gone)
            self.bits, self._slots = bits, SlotSet((), bits)
            return Change((), old.to_list())
        if new is old:
            return Change(come, gone)
        is_same_width = bits == self.bits
        self.bits, self._slots = bits, new
        return Change(new.difference(old), old.difference(new)) if is_same_width else Change(new.to_list())


def most_slots(bits: int) -> int:
    """The most slots of 2**bits that a table sets."""
    return (1 << bits) // FULLEST
