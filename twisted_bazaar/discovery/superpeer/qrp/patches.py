"""Patches of query routing tables: cuts a table into parts, and puts them together again (QRP). Sans-IO.

The largest table is told in hundreds of parts, each of which is written when it is asked for, and read when it comes:
so neither end ever has to do all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, overload

from attrs import define

from twisted_bazaar.discovery.superpeer.messages import NO_TABLE, Table
from twisted_bazaar.discovery.superpeer.qrp.slot_set import Slots, SlotSet, read_slots, write_portions, write_slots

# More than this is told as a whole: to change so many slots one by one takes some milliseconds.
MOST_CHANGED: Final = 32_768
_MOST_PENDING: Final = 2
# What it takes to know that a part has come.
_PART_BYTES: Final = 96


def split_patch(part: Table, on: Sequence[int], off: Sequence[int], most_chars: int) -> Sequence[Table]:
    """Cut a change into parts.

    @param part: what stands in each of them.
    @param most_chars: how long the slots of one part may be.
    """
    if isinstance(on, Slots) and not off:
        try:
            return _LongTable(part, on, on.portions(most_chars))
        except ValueError:
            on = on[:]
    texts = [(text, "") for text in write_portions(on, most_chars)] or [("", "")]
    offs = write_portions(off, most_chars)
    if len(offs) == 1 and len(texts[-1][0]) + len(offs[0]) <= most_chars:
        texts[-1] = texts[-1][0], offs.pop()
    texts += [("", text) for text in offs]
    return tuple(
        part.evolve(part=place, parts=len(texts), on=on_text, off=off_text)
        for place, (on_text, off_text) in enumerate(texts)
    )


class _LongTable(Sequence[Table]):
    """The parts of a whole table, each written when it is asked for."""

    def __init__(self, part: Table, slots: Slots, portions: Sequence[slice]) -> None:
        self._part = part
        self._slots = slots
        self._portions = portions

    def __len__(self) -> int:
        return len(self._portions)

    @overload
    def __getitem__(self, index: int) -> Table: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Table]: ...

    def __getitem__(self, index: int | slice) -> Table | Sequence[Table]:
        places = range(len(self))[index]
        return self._at(places) if isinstance(places, int) else tuple(map(self._at, places))

    def _at(self, place: int) -> Table:
        text = write_slots(self._slots[self._portions[place]])
        return self._part.evolve(part=place, parts=len(self), on=text)


class Pending:
    """Parts of changes that have come while others have not."""

    def __init__(self) -> None:
        self._changes: dict[tuple[int, ...], _Change] = {}

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def size_bytes(self) -> int:
        """Its size in memory."""
        changes = self._changes.values()
        return sum(_PART_BYTES * len(each.came) + each.on.size_bytes + each.off.size_bytes for each in changes)

    def add_part(self, table: Table) -> tuple[SlotSet, SlotSet] | None:
        """Take a part of a change.

        @return: the slots to be set, and those to be set no more, when all parts have come.
        @raise ValueError: it is no such part, or the change is too great.
        """
        on, off = _read("on", table.on, table.bits), _read("off", table.off, table.bits)
        if table.parts == 1 and len(on) + len(off) <= MOST_CHANGED:
            return SlotSet(on, table.bits), SlotSet(off, table.bits)
        key = (table.base, table.version, table.bits, table.parts)
        change = self._changes.get(key)
        if change is None:
            if len(self._changes) >= _MOST_PENDING:
                del self._changes[next(iter(self._changes))]
            change = self._changes[key] = _Change(set(), SlotSet((), table.bits), SlotSet((), table.bits))
        change.add_part(table.part, on, off)
        if table.base != NO_TABLE and len(change.on) + len(change.off) > MOST_CHANGED:
            del self._changes[key]
            raise ValueError("parts: more changes than the whole is told for")
        return (change.on, change.off) if len(change.came) == table.parts else None


def _read(key: str, text: str, bits: int) -> Sequence[int]:
    """The slots under a key, which is named if there are none that can be read."""
    try:
        return read_slots(text, bits)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


@define
class _Change:
    """A change of which some parts have come."""

    came: set[int]
    on: SlotSet
    off: SlotSet

    def add_part(self, part: int, on: Sequence[int], off: Sequence[int]) -> None:
        if part not in self.came:
            self.came.add(part)
            self.on.update(on)
            self.off.update(off)
