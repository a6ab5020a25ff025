"""Sets of slots, as route tables are sent and kept (QRP). Sans-IO.

Of slots in ascending order the first is written, then how far each lies behind the one before. These numbers are
LEB128 (seven bits a byte, the lowest first, the highest bit set in all bytes but the last), and the bytes are base64.
There is one way to write a set: whatever else looks like one is refused.
"""

from __future__ import annotations

import binascii
import operator
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import Final, overload

_MORE: Final = 0x80
_LONGEST_NUMBER: Final = 3
_SHORT: Final = tuple(bytes((number,)) for number in range(_MORE))
# Numbers of one byte stand side by side nearly always, and are added up many at a time.
_RUN: Final = re.compile(rb"[\x00-\x7f]+|[\x80-\xff]+[\x00-\x7f]?")

# Up to here a sorted array is no greater than the smallest table, and to change it takes no longer than a moment.
_FEW_SLOTS: Final = 2_048
# A dict of so many takes as much as an array with a place for each slot of the widest table.
_FEW_COUNTS: Final = 40_000
_COUNT_BYTES: Final = array("I").itemsize
_IN_BYTE: Final = 8
_EMPTY_BYTES: Final = 256
_BITS: Final = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))
# The four bits of half a byte that say which of four pairs of slots have any, for the lower half and for the upper.
_PAIRS: Final = tuple(sum(1 << pair for pair in range(4) if byte >> 2 * pair & 3) for byte in range(256))
_LOWER_HALF: Final = bytes(_PAIRS)
_UPPER_HALF: Final = bytes(pairs << 4 for pairs in _PAIRS)
# So many bytes of a bitmap are counted as one.
_BLOCK: Final = 64


def write_slots(slots: Sequence[int]) -> str:
    """Write slots as text.

    @param slots: ascending, each once.
    """
    return _text(b"".join(_numbers(slots)))


def write_portions(slots: Sequence[int], most_chars: int) -> list[str]:
    """Slots as several texts, none longer than so many characters; none at all for no slots.

    @param slots: ascending, each once.
    @param most_chars: at least 4.
    """
    numbers = _numbers(slots)
    ends = list(accumulate(map(len, numbers)))
    # The first of each portion is not how far it lies behind another, and so may take longer to say.
    most_bytes = most_chars // 4 * 3 - _LONGEST_NUMBER + 1
    texts = []
    begin = done = 0
    while begin < len(numbers):
        end = max(begin + 1, bisect_right(ends, done + most_bytes))
        texts.append(_text(b"".join((_number(slots[begin]), *numbers[begin + 1 : end]))))
        begin, done = end, ends[end - 1]
    return texts


def read_slots(text: str, bits: int) -> list[int]:
    """The slots that a text stands for, ascending.

    @param bits: there are 2**bits slots.
    @raise ValueError: it is no such text.
    """
    payload = binascii.a2b_base64(text, strict_mode=True)
    if _text(payload) != text:
        raise ValueError("bits left over at the end")
    slots: list[int] = []
    last = 0
    for run in _RUN.findall(payload):
        if run[0] < _MORE:
            sums = accumulate(run, initial=last)
            next(sums)
            slots.extend(sums)
        else:
            slots.append(last + _read_number(run))
        last = slots[-1]
    if last >> bits or any(map(operator.ge, slots, slots[1:])):
        raise ValueError("not ascending, or beyond the last")
    return slots


def _text(payload: bytes) -> str:
    return binascii.b2a_base64(payload, newline=False).decode("ascii")


def _numbers(slots: Sequence[int]) -> list[bytes]:
    gaps = chain(slots[:1], map(operator.sub, slots[1:], slots))
    return [_SHORT[gap] if gap < _MORE else _number(gap) for gap in gaps]


def _number(number: int) -> bytes:
    written = bytearray()
    while number >= _MORE:
        written.append(number & 0x7F | _MORE)
        number >>= 7
    written.append(number)
    return bytes(written)


def _read_number(run: bytes) -> int:
    if run[-1] >= _MORE or not run[-1] or len(run) > _LONGEST_NUMBER:
        raise ValueError("a number that does not end, or is longer than it has to be")
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(run))


class Slots(Sequence[int]):
    """The slots of a bitmap, ascending. To have some of them takes no longer than there are, however many others are.

    @param bitmap: a bit for each slot, the lowest first; at least 64 bytes.
    """

    __slots__ = ("_bitmap", "_ends")

    def __init__(self, bitmap: bytes) -> None:
        self._bitmap = bitmap
        blocks = (bitmap[begin : begin + _BLOCK] for begin in range(0, len(bitmap), _BLOCK))
        # How many there are up to the end of each block.
        self._ends = list(accumulate(int.from_bytes(block, "little").bit_count() for block in blocks))

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self) -> Iterator[int]:
        return self._from(0)

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> list[int]: ...

    def __getitem__(self, index: int | slice) -> int | list[int]:
        places = range(len(self))[index]
        if isinstance(places, int):
            return self[places : places + 1][0]
        if not places:
            return []
        begin, end = min(places), max(places) + 1
        block = bisect_right(self._ends, begin)
        skipped = self._ends[block - 1] if block else 0
        found = list(islice(self._from(block), begin - skipped, end - skipped))
        return found if places.step == 1 else [found[place - begin] for place in places]

    def __contains__(self, slot: object) -> bool:
        return (
            isinstance(slot, int)
            and 0 <= slot < len(self._bitmap) * _IN_BYTE
            and bool(self._bitmap[slot >> 3] >> (slot & 7) & 1)
        )

    def portions(self, most_chars: int) -> Sequence[slice]:
        """Cut into portions that fit into texts of so many characters each; some a little below that.

        @raise ValueError: so few characters are too few.
        """
        room = most_chars // 4 * 3
        if room < _longest_bytes(_BLOCK * _IN_BYTE, 1):
            raise ValueError(f"{most_chars} characters hold too few slots")
        portions = []
        begin = done = blocks = 0
        for end in self._ends:
            blocks += 1
            if _longest_bytes(end - begin, blocks) > room:
                portions.append(slice(begin, done))
                begin, blocks = done, 1
            done = end
        return [*portions, slice(begin, done)]

    def _from(self, block: int) -> Iterator[int]:
        begin = block * _BLOCK
        places = enumerate(self._bitmap[begin:] if begin else self._bitmap, begin)
        return (place << 3 | bit for place, byte in places if byte for bit in _BITS[byte])


def _longest_bytes(slots: int, blocks: int) -> int:
    """The longest encoding of so many slots that lie in so many blocks side by side."""
    space = blocks * _BLOCK * _IN_BYTE
    # One byte for each, one more for each gap that takes two, one more for each that takes three, and the first.
    return slots + space // _MORE + space // _MORE**2 + _LONGEST_NUMBER


def folded(bitmap: bytes, times: int) -> bytes:
    """A bitmap of half as many slots, so many times over: each is set if one of the two was that it is made of."""
    for _ in range(times):
        lower, upper = bitmap[::2].translate(_LOWER_HALF), bitmap[1::2].translate(_UPPER_HALF)
        bitmap = (int.from_bytes(lower, "little") | int.from_bytes(upper, "little")).to_bytes(len(lower), "little")
    return bitmap


class SlotSet:
    """A set of slots that takes little room, whether few are set or many.

    @param slots: ascending, each once.
    @param bits: there are 2**bits slots.
    """

    __slots__ = ("_bits", "_few", "_many")

    def __init__(self, slots: Sequence[int], bits: int) -> None:
        self._bits = bits
        self._few = array("I")
        self._many: bytearray | None = None
        if len(slots) <= _FEW_SLOTS:
            self._few.extend(slots)
        else:
            self._many = self._spread(slots)

    def __len__(self) -> int:
        return len(self._few) if self._many is None else int.from_bytes(self._many, "little").bit_count()

    def __iter__(self) -> Iterator[int]:
        """All of them, ascending."""
        if self._many is None:
            return iter(self._few)
        return (place << 3 | bit for place, byte in enumerate(self._many) if byte for bit in _BITS[byte])

    @property
    def size_bytes(self) -> int:
        """Its size in memory."""
        return _EMPTY_BYTES + (
            self._few.buffer_info()[1] * self._few.itemsize if self._many is None else len(self._many)
        )

    def to_list(self) -> Sequence[int]:
        """All of them as they are now, ascending."""
        return self._few.tolist() if self._many is None else Slots(bytes(self._many))

    def narrowed(self, spare: int) -> Sequence[int]:
        """The same slots in a table that is 2**spare times as narrow, ascending."""
        if self._many is None:
            return list(dict.fromkeys(slot >> spare for slot in self._few))
        return Slots(folded(bytes(self._many), spare))

    def difference(self, others: SlotSet) -> Sequence[int]:
        """Those that are not among others of the same width, ascending."""
        if self._many is None:
            return [slot for slot in self._few if not others.has_any(slot, slot + 1)]
        if others._many is None:
            left = bytearray(self._many)
            for slot in others._few:
                left[slot >> 3] &= ~(1 << (slot & 7))
            return Slots(bytes(left))
        left_bits = int.from_bytes(self._many, "little") & ~int.from_bytes(others._many, "little")
        return Slots(left_bits.to_bytes(len(self._many), "little"))

    def update(self, slots: Sequence[int]) -> None:
        """Set many slots."""
        if self._many is None:
            if len(self._few) + len(slots) <= _FEW_SLOTS:
                self._few = array("I", sorted({*self._few, *slots}))
                return
            self._many = self._spread(self._few)
            self._few = array("I")
        _set(self._many, slots)

    def has_all(self, hashes: Iterable[int], shift: int) -> bool:
        """Whether the slot of each hash is set.

        @param shift: how many bits of a hash are not looked at, from the lowest.
        """
        many = self._many
        if many is not None:
            for code in hashes:
                slot = code >> shift
                if not many[slot >> 3] >> (slot & 7) & 1:
                    return False
            return True
        few = self._few
        for code in hashes:
            slot = code >> shift
            place = bisect_left(few, slot)
            if place == len(few) or few[place] != slot:
                return False
        return True

    def has_any(self, begin: int, end: int) -> bool:
        """Whether a slot is set from C{begin} on, before C{end}. They are one, two, four or whole eights, side by side
        in a table that is so much narrower."""
        many = self._many
        if many is None:
            place = bisect_left(self._few, begin)
            return place < len(self._few) and self._few[place] < end
        if end - begin < _IN_BYTE:
            return bool(many[begin >> 3] >> (begin & 7) & (1 << end - begin) - 1)
        return any(many[begin >> 3 : end >> 3])

    def add(self, slot: int) -> bool:
        """Set a slot; returns whether it was not set."""
        many = self._many
        if many is None:
            few = self._few
            place = bisect_left(few, slot)
            if place < len(few) and few[place] == slot:
                return False
            if len(few) < _FEW_SLOTS:
                few.insert(place, slot)
                return True
            many = self._many = self._spread(few)
            self._few = array("I")
        byte, bit = slot >> 3, 1 << (slot & 7)
        if many[byte] & bit:
            return False
        many[byte] |= bit
        return True

    def discard(self, slot: int) -> bool:
        """Clear a slot; returns whether it was set."""
        many = self._many
        if many is None:
            few = self._few
            place = bisect_left(few, slot)
            if place == len(few) or few[place] != slot:
                return False
            del few[place]
            return True
        byte, bit = slot >> 3, 1 << (slot & 7)
        if not many[byte] & bit:
            return False
        many[byte] ^= bit
        return True

    def _spread(self, slots: Iterable[int]) -> bytearray:
        many = bytearray(1 << self._bits - 3)
        _set(many, slots)
        return many


def _set(bitmap: bytearray, slots: Iterable[int]) -> None:
    for slot in slots:
        bitmap[slot >> 3] |= 1 << (slot & 7)


class SlotCounts:
    """Counts of slots, in little room, whether a few are there or all.

    @param bits: there are 2**bits slots.
    """

    __slots__ = ("_bits", "_few", "_many")

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._few: dict[int, int] = {}
        self._many: array[int] | None = None

    def count(self, slot: int) -> int:
        """The count of a slot."""
        return self._few.get(slot, 0) if self._many is None else self._many[slot]

    def add(self, slot: int, by: int) -> None:
        """Count a slot once more, or once less."""
        if self._many is not None:
            self._many[slot] += by
            return
        count = self._few.get(slot, 0) + by
        if count:
            self._few[slot] = count
            if len(self._few) > _FEW_COUNTS:
                # From here on each of them would take as much as twenty numbers.
                self._many = array("I", bytes(_COUNT_BYTES << self._bits))
                for each, times in self._few.items():
                    self._many[each] = times
                self._few = {}
        else:
            del self._few[slot]
