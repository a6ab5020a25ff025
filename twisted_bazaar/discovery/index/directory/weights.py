"""Upper bounds of what the entries of a directory weigh in memory: their texts, and the tables around them.

The figures are upper bounds for CPython 3.11 on 64 bits, with each dict at the emptiest that it can be (a third of
its slots in use, just after it has grown). C{tests/discovery/index/directory/test_weights.py} holds them against
C{tracemalloc}. An entry weighs the same whether others have it too: whoever leaves last is not to pay for all. Sans-IO.
"""

from __future__ import annotations

from sys import getsizeof
from typing import Final

from twisted_bazaar.discovery.index.words import count_words, words_of

LISTER_BYTES: Final = 1_500
"""A peer with a list: its key, its address, and its place in the tables."""

# A title 64, its digest 80, its size 32, and its places: in its owner's list 44, by name 44, by content 60, among those
# that are to be entered 60, in the order of names 16; with a part of a tuple or dict where several are under one key.
_FILE_BYTES: Final = 448
# The place of a word in the index of words, and in its order.
_WORD_BYTES: Final = 56
# A place in the list of a peer 44, one among all goods 44, and one among those who sell it 60.
_ITEM_BYTES: Final = 148
# Two tables of 184, and a place for each in another.
_BAZAAR_BYTES: Final = 480
# Memory comes in pieces of 16 bytes: half of one is lost on average.
_LOST_BYTES: Final = 8
_ASCII_FILE_BYTES: Final = _FILE_BYTES + getsizeof("") + _LOST_BYTES
_ASCII_WORD_BYTES: Final = _WORD_BYTES + getsizeof("") + _LOST_BYTES

# Weights are rounded up, so that millions of titles share a few numbers.
_ROUND: Final = 64
_ROUNDED: Final = tuple(range(0, 1 << 14, _ROUND))

LEAST_FILE_BYTES: Final = -(-_ASCII_FILE_BYTES // _ROUND) * _ROUND
"""A file in a list, with a name without words."""


def weight_of_file(name: str) -> int:
    """The weight of a file in a list, in bytes."""
    if name.isascii():
        # All its words together are no longer than itself.
        weight = _ASCII_FILE_BYTES + 2 * len(name) + _ASCII_WORD_BYTES * count_words(name)
    else:
        weight = _FILE_BYTES + weight_of_text(name)
        # It has its UTF-8 beside it when it has been sent once. Folded, a letter may be a whole line.
        weight += len(name.encode()) + sum(_WORD_BYTES + weight_of_text(word) for word in words_of(name))
    return _ROUNDED[-(-weight // _ROUND)]


def weight_of_item(item: str) -> int:
    """The weight of goods in a list, in bytes."""
    return _ITEM_BYTES + weight_of_text(item)


def weight_of_bazaar(bazaar: str) -> int:
    """The additional weight of the first goods in a bazaar, in bytes."""
    return _BAZAAR_BYTES + weight_of_text(bazaar)


def weight_of_text(text: str) -> int:
    """The weight of a text, in bytes."""
    return getsizeof(text) + _LOST_BYTES
